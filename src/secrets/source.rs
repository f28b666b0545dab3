use std::fmt;
use std::path::{Path, PathBuf};

use super::problem;
use crate::base::{Diagnostic, mask};
use crate::desired::{self, Unit};
use crate::manifest::model::SecretSource;
use crate::system::System;

/// Where a secret is kept, ready to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An entry of the operating system's keyring.
    Keyring(String),
    /// An age-encrypted file, absolute.
    Age(PathBuf),
    /// An environment variable.
    Env(String),
    /// A program that prints it.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The directory it runs in: the manifest's.
        dir: PathBuf,
    },
    /// A file that holds it and nothing else, absolute.
    File(PathBuf),
}

impl Source {
    /// Where the manifests keep this secret.
    pub(super) fn of(system: &dyn System, units: &[Unit], name: &str) -> Result<Self, Box<Diagnostic>> {
        let unit = units.iter().position(|unit| unit.manifest.secrets.contains_key(name));
        let Some(index) = unit else {
            let known = units.iter().flat_map(|unit| unit.manifest.secrets.keys());
            let hint = match crate::base::closest(name, known.map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("add `{name}: {{ keyring: {name} }}` under `secrets`"),
            };
            return Err(problem("no-secret", "no manifest names it", hint));
        };
        Self::said(system, units, index, &units[index].manifest.secrets[name])
    }

    /// What a manifest, the one with this index, says in its own words.
    ///
    /// # Errors
    /// When a path needs something that is not known here.
    pub fn said(
        system: &dyn System,
        units: &[Unit],
        unit: usize,
        source: &SecretSource,
    ) -> Result<Self, Box<Diagnostic>> {
        let path = |text: &str| absolute(system, units, unit, text);
        Ok(match source {
            SecretSource { keyring: Some(entry), .. } => Self::Keyring(entry.clone()),
            SecretSource { age: Some(text), .. } => Self::Age(path(text)?),
            SecretSource { env: Some(variable), .. } => Self::Env(variable.clone()),
            SecretSource { command: Some(argv), .. } => {
                Self::Command { argv: argv.clone(), dir: units[unit].dir.clone() }
            }
            SecretSource { file: Some(text), .. } => Self::File(path(text)?),
            _ => {
                let hint = "write `keyring:`, `age:`, `env:`, `command:` or `file:`";
                return Err(problem("no-store", "the manifest does not say where it is kept", hint));
            }
        })
    }

    /// The word of the manifest for the store.
    pub fn store(&self) -> &'static str {
        match self {
            Self::Keyring(_) => "keyring",
            Self::Age(_) => "age",
            Self::Env(_) => "env",
            Self::Command { .. } => "command",
            Self::File(_) => "file",
        }
    }

    /// The file that holds it, if a file does.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Age(path) | Self::File(path) => Some(path),
            Self::Keyring(_) | Self::Env(_) | Self::Command { .. } => None,
        }
    }

    /// Where in the store, as a person reads it.
    pub fn place(&self) -> String {
        match self {
            Self::Keyring(name) | Self::Env(name) => name.clone(),
            Self::Age(path) | Self::File(path) => path.display().to_string(),
            Self::Command { argv, .. } => {
                let mut masker = mask::Masker::default();
                masker.learn(&serde_json::Value::from(argv.clone()));
                masker.hide(&argv.join(" "))
            }
        }
    }
}

impl fmt::Display for Source {
    /// "the age file /home/me/secrets/x.age"; of a command its name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyring(entry) => write!(f, "the keyring's entry `{entry}`"),
            Self::Age(path) => write!(f, "the age file {}", path.display()),
            Self::Env(variable) => write!(f, "the variable {variable}"),
            Self::Command { argv, .. } => {
                write!(f, "the command `{}`", argv.first().map_or("", String::as_str))
            }
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// A path as a manifest writes it.
pub(super) fn absolute(
    system: &dyn System,
    units: &[Unit],
    unit: usize,
    text: &str,
) -> Result<PathBuf, Box<Diagnostic>> {
    super::with_machine(system, units, |machine| {
        desired::path(text, units, unit, machine).map(|path| tidy(&path))
    })
}

/// Without `.` parts: `/work/./x.age`.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}
