use std::io::ErrorKind;
use std::path::Path;

use super::{problem, text_of};
use crate::base::{Diagnostic, Secret};
use crate::system::{Kind, System, follow};

/// More than any secret has.
const MOST: u64 = 1 << 20;

/// What the file holds, which only its owner may read. Links are followed.
pub(super) fn read(system: &dyn System, name: &str, path: &Path) -> Result<Secret<String>, Box<Diagnostic>> {
    let what = format!("the file {}", path.display());
    let unreadable = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => problem(
            "no-file",
            format!("{what} is not there"),
            format!("`mcpkeel secret set {name}` writes it"),
        ),
        _ => problem("unreadable", format!("{what} cannot be read: {error}"), "look at its permissions"),
    };
    let real = follow(system, path).map_err(|error| unreadable(&error.source))?;
    let meta = system.meta(&real).map_err(|error| unreadable(&error))?;
    if meta.kind != Kind::File {
        return Err(problem("unreadable", format!("{what} is no regular file"), "write the path of a file"));
    }
    // Where there are no owners the bits mean nothing.
    if meta.mode & 0o077 != 0 && meta.owner.is_some() {
        return Err(problem(
            "open-file",
            format!("{what} can be read by others (its mode is {:04o})", meta.mode & 0o7777),
            format!("`chmod 600 {}`, and replace the secret if others may have seen it", real.display()),
        ));
    }
    if meta.len > MOST {
        return Err(problem("too-big", format!("{what} is larger than 1 MiB"), "is this the right file?"));
    }
    let bytes = system.read(&real).map(Secret::new).map_err(|error| unreadable(&error))?;
    text_of(&bytes, &what)
}
