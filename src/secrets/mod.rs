//! Where secrets are kept: the keyring, age files, variables, programs, files.
//!
//! Invariant: a value leaves here only as a [`Secret`]; no diagnostic holds one.
//!
//! Start reading at [`Vault::get`].

use crate::base::{Diagnostic, Secret};
use crate::clients::{Part, Text};
use crate::desired::Unit;
use crate::manifest::model::SecretSource;
use crate::system::System;

/// The secrets that a manifest names.
pub struct Vault<'a> {
    system: &'a dyn System,
    units: &'a [Unit],
}

impl<'a> Vault<'a> {
    /// The secrets of these manifests.
    pub fn new(system: &'a dyn System, units: &'a [Unit]) -> Self {
        Self { system, units }
    }

    /// Where a secret is kept, with the manifest that says so.
    pub fn source(&self, name: &str) -> Option<(&'a Unit, &'a SecretSource)> {
        self.units.iter().find_map(|unit| Some((unit, unit.manifest.secrets.get(name)?)))
    }

    /// A secret's value.
    ///
    /// # Errors
    /// One diagnostic that says which secret, where it was looked for, and what to do next.
    pub fn get(&self, name: &str) -> Result<Secret<String>, Box<Diagnostic>> {
        self.system.keep_memory_private();
        let Some((_, _source)) = self.source(name) else {
            return Err(Box::new(Diagnostic::error(
                "no-secret",
                format!("no manifest names the secret `{name}`"),
            )));
        };
        Err(Box::new(Diagnostic::error("no-secret", format!("the secret `{name}` cannot be read yet"))))
    }

    /// A text with everything that it refers to in its place.
    ///
    /// # Errors
    /// The first reference that leads nowhere.
    pub fn fill(&self, text: &Text) -> Result<Secret<String>, Box<Diagnostic>> {
        let mut filled = Secret::new(String::new());
        for part in text.parts() {
            match part {
                Part::Literal(literal) => filled = joined(&filled, literal),
                Part::Env(name) => {
                    let value = self.system.env(name).map(Secret::new).ok_or_else(|| {
                        let message = format!("the variable {name} is not set here");
                        let hint = "set it where the client is started, or keep the value as a secret of the manifest";
                        Box::new(Diagnostic::error("no-variable", message).hint(hint))
                    })?;
                    filled = joined(&filled, value.expose());
                }
                Part::Secret(name) => filled = joined(&filled, self.get(name)?.expose()),
            }
        }
        Ok(filled)
    }
}

/// One behind the other, in memory of the right size at once, so that no part of it is left behind.
fn joined(first: &Secret<String>, second: &str) -> Secret<String> {
    let mut both = String::with_capacity(first.expose().len() + second.len());
    both.push_str(first.expose());
    both.push_str(second);
    Secret::new(both)
}
