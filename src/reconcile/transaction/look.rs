use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::Fingerprint;
use crate::system::{At, FileError, Kind, Lease, Meta, Quiet, System, follow, found};

/// How long a writer may keep a file open before we give up on it: 200 times 10 ms.
const WAITS: u32 = 200;
const WAIT: Duration = Duration::from_millis(10);
/// Without leases, a file this fresh may still be under someone's pen.
const FRESH: Duration = Duration::from_millis(100);

/// A file as it stands. While this lives nobody writes into it in place, where the platform has leases.
pub(in crate::reconcile) struct Seen {
    /// The real file, links followed.
    pub real: PathBuf,
    /// Its bytes; none if there is no file.
    pub bytes: Option<Vec<u8>>,
    /// Of the bytes.
    pub print: Option<Fingerprint>,
    /// About the file that the bytes are from.
    pub meta: Option<Meta>,
    /// Keeps writers waiting.
    pub lease: Option<Box<dyn Lease>>,
}

impl Seen {
    /// Lets waiting writers go on.
    pub fn release(&mut self) {
        self.lease = None;
    }

    /// The permission bits, or those of a new file.
    pub fn mode(&self) -> u32 {
        self.meta.as_ref().map_or(0o644, |meta| meta.mode)
    }
}

/// Looks at a file once nobody is writing into it.
pub(in crate::reconcile) fn look(system: &dyn System, path: &Path) -> Result<Seen, FileError> {
    for _ in 0..WAITS {
        let real = follow(system, path)?;
        let Some(meta) = found(system.meta(&real)).at(&real, "look at")? else {
            return Ok(Seen { real, bytes: None, print: None, meta: None, lease: None });
        };
        match meta.kind {
            Kind::File => {}
            Kind::Link => continue,
            Kind::Dir => {
                return Err(FileError::new(&real, "read", ErrorKind::IsADirectory, "it is a directory"));
            }
            Kind::Other => {
                return Err(FileError::new(
                    &real,
                    "read",
                    ErrorKind::InvalidInput,
                    "it is not a regular file",
                ));
            }
        }
        let (bytes, lease) = match found(system.lease(&real)).at(&real, "open")? {
            None => continue,
            Some(Quiet::Busy) => {
                system.sleep(WAIT);
                continue;
            }
            Some(Quiet::Leased(lease)) => {
                if lease.id() != meta.id {
                    continue;
                }
                (lease.read().at(&real, "read")?, Some(lease))
            }
            Some(Quiet::Unknown) => match settled(system, &real, &meta)? {
                None => continue,
                Some(bytes) => (bytes, None),
            },
        };
        let print = Some(Fingerprint::of(&bytes));
        return Ok(Seen { real, bytes: Some(bytes), print, meta: Some(meta), lease });
    }
    let why = "another program keeps it open for writing; close it there, or try again later";
    Err(FileError::new(path, "replace", ErrorKind::ResourceBusy, why))
}

/// The bytes of a file that stays the same while it is read; `None` to look again.
fn settled(system: &dyn System, real: &Path, meta: &Meta) -> Result<Option<Vec<u8>>, FileError> {
    let age = system.now().duration_since(meta.modified).unwrap_or_default();
    if age < FRESH {
        system.sleep(WAIT);
    }
    let Some(bytes) = found(system.read(real)).at(real, "read")? else { return Ok(None) };
    let now = found(system.meta(real)).at(real, "look at")?;
    Ok((now.as_ref() == Some(meta)).then_some(bytes))
}
