//! The live side: what is in a client's file right now.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::{Diagnostic, Fingerprint, Place};
use crate::document::{Document, Format};
use crate::plan::{Observed, State};
use crate::system::{Kind, Quiet, System};

/// The largest client file that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// Follows a chain of links to the file behind it, which need not exist.
///
/// # Errors
/// When the chain has no end, or a part of it cannot be looked at.
pub fn follow(system: &dyn System, path: &Path) -> io::Result<PathBuf> {
    super::transaction::follow(system, path).map_err(|error| error.source)
}

/// Looks at a client's file. What cannot be used comes back as a refusal, never as an empty file.
pub fn observe(system: &dyn System, path: &Path, format: Format) -> Observed {
    let name = path.display().to_string();
    let refused = |real: PathBuf, code, message: String, hint: &str| Observed {
        real,
        state: State::Refused(Diagnostic::error(code, message).at(Place::file(&name)).hint(hint)),
        is_open: false,
    };
    let real = match follow(system, path) {
        Ok(real) => real,
        Err(error) => {
            return refused(
                path.to_owned(),
                "unreadable-file",
                format!("the link cannot be followed: {error}"),
                "mend or remove the link",
            );
        }
    };
    // A client that writes in place can be caught in the middle; a torn file is read again.
    for attempt in 0..6 {
        let meta = match system.meta(&real) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Observed { real, state: State::Absent, is_open: false };
            }
            Err(error) => {
                return refused(
                    real,
                    "unreadable-file",
                    format!("it cannot be looked at: {error}"),
                    "check the permissions of its directory",
                );
            }
        };
        if meta.kind != Kind::File {
            return refused(real, "not-a-file", "it is not a regular file".into(), "move it out of the way");
        }
        if meta.len > MAX_BYTES {
            return refused(
                real,
                "file-too-large",
                format!("it is {} MB large", meta.len >> 20),
                "is this the right file?",
            );
        }
        let bytes = match system.read(&real) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return refused(
                    real,
                    "unreadable-file",
                    format!("it cannot be read: {error}"),
                    "check its permissions",
                );
            }
        };
        let print = Fingerprint::of(&bytes);
        let fault = match Document::parse(format, bytes) {
            Ok(document) => {
                let is_open = meta.mode & 0o077 != 0 && system.os() != "windows";
                return Observed { real, state: State::Present(document, print), is_open };
            }
            Err(fault) => fault,
        };
        let is_torn = attempt < 5
            && (matches!(system.lease(&real), Ok(Quiet::Busy)) || recently_written(system, &meta));
        if is_torn {
            system.sleep(Duration::from_millis(20));
            continue;
        }
        let place = Place { line: fault.line, column: fault.column, ..Place::file(&name) };
        let problem = Diagnostic::error("malformed-file", fault.message)
            .at(place)
            .hint("mend it by hand; nothing was changed in it");
        return Observed { real, state: State::Refused(problem), is_open: false };
    }
    refused(
        real,
        "busy-file",
        "it keeps changing and was never whole when read".into(),
        "try again when its client is idle",
    )
}

fn recently_written(system: &dyn System, meta: &crate::system::Meta) -> bool {
    system.now().duration_since(meta.modified).is_ok_and(|age| age < Duration::from_millis(500))
}
