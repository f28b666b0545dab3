//! Secrets in age files: one file per secret, encrypted for everybody who may read it.
//!
//! The files are those of the `age` program, in both directions. [`sealed`] knows what such a file says
//! about itself, [`keys`] who we are.
//!
//! Invariant: what the library says is never shown; its messages are about programs, not about files.

mod keys;
mod recipients;
mod sealed;

use std::io::ErrorKind;
use std::path::Path;

use super::{problem, text_of};
use crate::base::{Diagnostic, Fingerprint, Secret};
use crate::system::System;

pub use keys::{IDENTITY, Keys, PASSPHRASE};
pub use recipients::{Recipients, seal};
pub use sealed::Sealed;

/// The value in an age file.
pub(super) fn read(
    system: &dyn System,
    name: &str,
    path: &Path,
    keys: &Keys<'_>,
) -> Result<Secret<String>, Box<Diagnostic>> {
    let (sealed, _) = load(system, path).map_err(|trouble| match trouble.code {
        "no-file" | "not-age" => {
            Box::new(trouble.hint(format!("`mcpkeel secret set {name}` encrypts a value")))
        }
        _ => trouble,
    })?;
    let what = format!("the age file {}", path.display());
    text_of(&keys.open(&sealed, &what)?, &what)
}

/// The age file at this path, still closed, and the fingerprint of its bytes.
///
/// # Errors
/// When it cannot be read, or is no age file.
pub fn load(system: &dyn System, path: &Path) -> Result<(Sealed, Fingerprint), Box<Diagnostic>> {
    let what = format!("the age file {}", path.display());
    let bytes = system.read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            problem("no-file", format!("{what} is not there"), "`mcpkeel secret set` writes it")
        }
        _ => problem("unreadable", format!("{what} cannot be read: {error}"), "look at its permissions"),
    })?;
    Ok((Sealed::parse(&bytes, &what)?, Fingerprint::of(&bytes)))
}

#[cfg(test)]
mod tests;
