//! Texts of the manifest with what is known now filled in.

use std::path::{Path, PathBuf};

use super::{Machine, Unit};
use crate::base::Diagnostic;
use crate::clients::{Part, Text};
use crate::manifest::model::SecretSource;
use crate::manifest::text::{self as manifest_text, Builtin};

/// Why a text cannot be written into a client's file as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// It refers to a secret that only a launch can resolve.
    Secret(String),
}

/// Fills in variables and built-ins; secrets that live in the environment become references to it.
pub(super) fn fill(text: &str, units: &[Unit], unit: usize, machine: &Machine<'_>) -> Result<Text, Needs> {
    let mut filled = Text::default();
    fill_into(&mut filled, text, units, unit, machine, 0)?;
    Ok(filled)
}

fn fill_into(
    filled: &mut Text,
    text: &str,
    units: &[Unit],
    unit: usize,
    machine: &Machine<'_>,
    depth: usize,
) -> Result<(), Needs> {
    // `manifest::check` refuses cycles; the bound keeps this total on its own.
    if depth > 16 {
        return Ok(());
    }
    for part in parts_of(text) {
        match part {
            manifest_text::Part::Literal(literal) => filled.push(Part::Literal(literal)),
            manifest_text::Part::Env(name) => filled.push(Part::Env(name)),
            manifest_text::Part::Builtin(builtin) => {
                filled.push(Part::Literal(built_in(builtin, &units[unit].dir, machine)));
            }
            manifest_text::Part::Var(name) => {
                let found = units.iter().position(|unit| unit.manifest.vars.contains_key(&name));
                if let Some(at) = found {
                    fill_into(filled, &units[at].manifest.vars[&name], units, at, machine, depth + 1)?;
                }
            }
            manifest_text::Part::Secret(name) => {
                let source = units.iter().find_map(|unit| unit.manifest.secrets.get(&name));
                match source {
                    Some(SecretSource { env: Some(variable), .. }) => {
                        filled.push(Part::Env(variable.clone()))
                    }
                    _ => return Err(Needs::Secret(name)),
                }
            }
        }
    }
    Ok(())
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
pub(super) fn path(
    text: &str,
    units: &[Unit],
    unit: usize,
    machine: &Machine<'_>,
) -> Result<PathBuf, Box<Diagnostic>> {
    let unknown =
        |message: String, hint: &str| Box::new(Diagnostic::error("unknown-path", message).hint(hint));
    let filled = fill(text, units, unit, machine).map_err(|Needs::Secret(name)| {
        unknown(format!("the path `{text}` needs the secret `{name}`"), "a path cannot hold a secret")
    })?;
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
        }
    }
    Ok(match path.strip_prefix("~/") {
        _ if path == "~" => machine.home.to_owned(),
        Some(rest) => machine.home.join(rest),
        None => units[unit].dir.join(path),
    })
}
