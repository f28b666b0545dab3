//! Where secrets are kept: the keyring, age files, variables, programs, files.
//!
//! Invariant: a value leaves here only as a [`Secret`]; no diagnostic holds one. A value is text and
//! never empty.
//!
//! Start reading at [`Vault::get`]; each store is a file of its own.

pub mod age;
mod command;
mod env;
mod file;
mod keyring;
mod source;
mod uses;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::base::{Diagnostic, Hidden, Pointer, Secret};
use crate::clients::{Part, Text};
use crate::desired::{self, Machine, Unit};
use crate::manifest::On;
use crate::manifest::model::SecretSource;
use crate::system::{Keyring, KeyringError, System};

pub use keyring::trouble as keyring_trouble;
pub use source::Source;
pub use uses::{Use, uses};

/// Hands the machine's facts to a function. Nothing is looked up before it is asked for.
pub fn with_machine<T>(system: &dyn System, units: &[Unit], then: impl FnOnce(&Machine<'_>) -> T) -> T {
    let (home, user, host) = (system.home().unwrap_or_default(), system.user(), system.host());
    let var = |name: &str| system.env(name);
    let vault = Vault::new(system, units);
    let secret = |name: &str| vault.get(name);
    let program = || system.own_path().unwrap_or_else(|_| PathBuf::from("mcpkeel"));
    then(&Machine {
        os: system.os(),
        host: &host,
        user: &user,
        home: &home,
        var: &var,
        secret: &secret,
        program: &program,
    })
}

/// The secrets that a manifest names.
pub struct Vault<'a> {
    system: &'a dyn System,
    units: &'a [Unit],
    keys: age::Keys<'a>,
    /// Opened once: that takes longer than a look into it.
    keyring: OnceCell<Result<Box<dyn Keyring>, KeyringError>>,
    /// Values that were looked up: what is used twice is asked for once.
    known: RefCell<BTreeMap<String, Secret<String>>>,
}

impl<'a> Vault<'a> {
    /// The secrets of these manifests.
    pub fn new(system: &'a dyn System, units: &'a [Unit]) -> Self {
        let keys = age::Keys::new(system, units);
        Self { system, units, keys, keyring: OnceCell::new(), known: RefCell::default() }
    }

    /// Where a secret is kept, with the manifest that says so.
    pub fn source(&self, name: &str) -> Option<(&'a Unit, &'a SecretSource)> {
        desired::source_of(self.units, name)
    }

    /// Where a secret is kept, paths made absolute.
    ///
    /// # Errors
    /// When no manifest names it, or its path needs something that is not known here.
    pub fn kept(&self, name: &str) -> Result<Source, Box<Diagnostic>> {
        Source::of(self.system, self.units, name)
    }

    /// The keys that open age files.
    pub fn keys(&self) -> &age::Keys<'a> {
        &self.keys
    }

    /// A secret's value.
    ///
    /// # Errors
    /// One diagnostic that says which secret, where it was looked for, and what to do next.
    pub fn get(&self, name: &str) -> Result<Secret<String>, Box<Diagnostic>> {
        self.system.keep_memory_private();
        if let Some(value) = self.known.borrow().get(name) {
            return Ok(value.copy());
        }
        let value = self.kept(name).and_then(|source| self.read(name, &source)).map_err(|problem| {
            Box::new(Diagnostic {
                message: format!("the secret `{name}` cannot be had: {}", problem.message),
                place: self.place(name),
                ..*problem
            })
        })?;
        self.known.borrow_mut().insert(name.to_owned(), value.copy());
        Ok(value)
    }

    /// What was looked up so far, for hiding it in texts that are about to be shown.
    pub fn looked_up(&self) -> Hidden {
        let mut hidden = Hidden::default();
        self.known.borrow().values().for_each(|value| hidden.add(value.copy()));
        hidden
    }

    fn read(&self, name: &str, source: &Source) -> Result<Secret<String>, Box<Diagnostic>> {
        let value = match source {
            Source::Keyring(entry) => {
                keyring::read(self.keyring.get_or_init(|| self.system.keyring()), name, entry)
            }
            Source::Age(path) => age::read(self.system, name, path, &self.keys),
            Source::Env(variable) => env::read(self.system, variable),
            Source::Command { argv, dir } => command::read(self.system, argv, dir),
            Source::File(path) => file::read(self.system, name, path),
        }?;
        if value.expose().is_empty() {
            let hint = match source {
                Source::Env(_) | Source::Command { .. } => "a secret has at least one character".to_owned(),
                _ => format!("`mcpkeel secret set {name}` stores a value"),
            };
            return Err(problem("empty-secret", format!("what {source} holds is empty"), hint));
        }
        Ok(value)
    }

    /// Where the manifest says so.
    fn place(&self, name: &str) -> Option<crate::base::Place> {
        let (unit, _) = self.source(name)?;
        Some(unit.file.place(&Pointer::of(["secrets", name]).to_string(), On::Value))
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

/// What went wrong, as the end of "the secret `x` cannot be had: ..", and what to do next.
fn problem(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(code, message).hint(hint))
}

/// Text that a store holds, less the one line end that editors and `echo` put behind it.
///
/// # Errors
/// When it is no text; `what` says whose it is.
pub fn text_of(bytes: &Secret<Vec<u8>>, what: &str) -> Result<Secret<String>, Box<Diagnostic>> {
    let Ok(text) = std::str::from_utf8(bytes.expose()) else {
        return Err(problem(
            "not-text",
            format!("what {what} holds is not UTF-8 text"),
            "a secret is text; encode bytes first, with `base64` for example",
        ));
    };
    let text = match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    };
    Ok(Secret::new(text.to_owned()))
}

/// What is written so that [`text_of`] finds this value again.
pub fn bytes_of(value: &Secret<String>) -> Secret<Vec<u8>> {
    let text = value.expose();
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    if text.ends_with('\n') {
        bytes.push(b'\n');
    }
    Secret::new(bytes)
}

/// One behind the other, in memory of the right size at once, so that no part of it is left behind.
fn joined(first: &Secret<String>, second: &str) -> Secret<String> {
    let mut both = String::with_capacity(first.expose().len() + second.len());
    both.push_str(first.expose());
    both.push_str(second);
    Secret::new(both)
}

#[cfg(test)]
mod tests;
