use std::path::PathBuf;

use super::{Access, After, Change, follow};
use crate::base::Fingerprint;
use crate::store::{Backup, Store};
use crate::system::{At, FileError, System, found};

/// How the files of a backup are put back.
#[derive(Debug, Default)]
pub struct Restore {
    /// What is to be done, to be handed to [`run`](super::run). No client lock is named in them.
    pub changes: Vec<Change>,
    /// Files that somebody changed since the run: among the changes only with `force`.
    pub changed_since: Vec<PathBuf>,
    /// Files that are as they were before the run already.
    pub unchanged: Vec<PathBuf>,
}

/// What puts every file of a backup back to what it was before the run.
///
/// A file that is not any more as the run left it is left alone, unless with `force`.
pub fn restore(
    system: &dyn System,
    store: &Store,
    backup: &Backup,
    force: bool,
) -> Result<Restore, FileError> {
    let mut restore = Restore::default();
    for file in &backup.files {
        let real = follow(system, &file.path)?;
        let live = found(system.read(&real)).at(&real, "read")?.as_deref().map(Fingerprint::of);
        if live == file.before.map(|before| before.fingerprint) {
            restore.unchanged.push(file.path.clone());
            continue;
        }
        if live != file.after {
            restore.changed_since.push(file.path.clone());
            if !force {
                continue;
            }
        }
        let after = match file.before {
            Some(before) => After::Write {
                bytes: store.load_object(system, before.fingerprint)?,
                access: Access::Mode(before.mode),
            },
            None => After::Remove,
        };
        let path = file.path.clone();
        restore.changes.push(Change { path, before: live, after, client_lock: None, create_dirs: true });
    }
    Ok(restore)
}
