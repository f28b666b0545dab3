//! Texts of the manifest with what is known now filled in.

use std::path::{Path, PathBuf};

use super::{Machine, Unit};
use crate::base::Diagnostic;
use crate::clients::{Part, Text};
use crate::manifest::model::SecretSource;
use crate::manifest::text::{self as manifest_text, Builtin};

/// What becomes of a reference to a secret that lives in the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// A reference to the variable, in the client's own syntax.
    AsVariable,
    /// A secret like any other.
    AsSecret,
}

/// Fills in variables and built-ins; secrets stay references.
pub(super) fn fill(text: &str, units: &[Unit], unit: usize, machine: &Machine<'_>, kept: Kept) -> Text {
    let mut filling = Filling { units, machine, kept, text: Text::default() };
    filling.add(text, unit, 0);
    filling.text
}

/// A text of a manifest that is no server's, such as the address of a webhook; whatever may be secret stays a
/// reference.
pub fn text(text: &str, units: &[Unit], unit: usize, machine: &Machine<'_>) -> Text {
    fill(text, units, unit, machine, Kept::AsSecret)
}

struct Filling<'a> {
    units: &'a [Unit],
    machine: &'a Machine<'a>,
    kept: Kept,
    text: Text,
}

impl Filling<'_> {
    fn add(&mut self, text: &str, unit: usize, depth: usize) {
        // `manifest::check` refuses cycles; the bound keeps this total on its own.
        if depth > 16 {
            return;
        }
        for part in parts_of(text) {
            match part {
                manifest_text::Part::Literal(literal) => self.text.push(Part::Literal(literal)),
                manifest_text::Part::Env(name) => self.text.push(Part::Env(name)),
                manifest_text::Part::Builtin(builtin) => {
                    let value = built_in(builtin, &self.units[unit].dir, self.machine);
                    self.text.push(Part::Literal(value));
                }
                manifest_text::Part::Var(name) => {
                    let found = self.units.iter().position(|unit| unit.manifest.vars.contains_key(&name));
                    if let Some(at) = found {
                        self.add(&self.units[at].manifest.vars[&name], at, depth + 1);
                    }
                }
                manifest_text::Part::Secret(name) => {
                    let source = super::source_of(self.units, &name);
                    self.text.push(match source {
                        Some((_, SecretSource { env: Some(variable), .. }))
                            if self.kept == Kept::AsVariable =>
                        {
                            Part::Env(variable.clone())
                        }
                        _ => Part::Secret(name),
                    });
                }
            }
        }
    }
}

/// `manifest::check` has refused texts with mistakes; should one come here, it is what it says.
fn parts_of(text: &str) -> Vec<manifest_text::Part> {
    manifest_text::parse(text).unwrap_or_else(|_| vec![manifest_text::Part::Literal(text.to_owned())])
}

fn built_in(builtin: Builtin, dir: &Path, machine: &Machine<'_>) -> String {
    match builtin {
        Builtin::Home => machine.home.display().to_string(),
        Builtin::ManifestDir => dir.display().to_string(),
        Builtin::Host => machine.host.to_owned(),
        Builtin::Os => machine.os.to_owned(),
        Builtin::User => machine.user.to_owned(),
    }
}

/// A path as the manifest writes it: `~`, variables, built-ins, or relative to the manifest.
///
/// # Errors
/// When a part of it is not known now: half a path would name another place.
pub fn path(
    text: &str,
    units: &[Unit],
    unit: usize,
    machine: &Machine<'_>,
) -> Result<PathBuf, Box<Diagnostic>> {
    let unknown =
        |message: String, hint: &str| Box::new(Diagnostic::error("unknown-path", message).hint(hint));
    let filled = fill(text, units, unit, machine, Kept::AsVariable);
    let mut path = String::new();
    for part in filled.parts() {
        match part {
            Part::Literal(literal) => path.push_str(literal),
            Part::Env(name) => {
                let value = (machine.var)(name).ok_or_else(|| {
                    unknown(
                        format!("the path `{text}` needs the variable {name}, which is not set"),
                        "set it, or write the path out",
                    )
                })?;
                path.push_str(&value);
            }
            Part::Secret(name) => {
                let message = format!("the path `{text}` needs the secret `{name}`");
                return Err(unknown(message, "a path cannot hold a secret"));
            }
        }
    }
    Ok(match path.strip_prefix("~/") {
        _ if path == "~" => machine.home.to_owned(),
        Some(rest) => machine.home.join(rest),
        None => units[unit].dir.join(path),
    })
}
