use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Store, files, from_rfc3339, load_json, rfc3339};
use crate::system::{At, FileError, Lock, System};

const FORMAT: u32 = 1;

/// The right to change state and clients' files: one run at a time holds it.
///
/// Whatever needs that right takes a reference to this. Dropping it releases the lock; so does the
/// end of the process, however it ends.
#[must_use]
pub struct StateLock {
    _held: Box<dyn Lock>,
}

impl fmt::Debug for StateLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateLock")
    }
}

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// The machine start that the process belongs to.
    pub boot_id: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// What it does: `apply`, `watch` ..
    pub command: String,
}

/// Why the lock was not to be had.
#[derive(Debug)]
pub enum LockError {
    /// Another run has it; who, if it said so.
    Held(Option<Holder>),
    /// The lock file could not be used.
    File(FileError),
}

impl Store {
    /// Takes the state lock, making the state directory on first use. Does not wait.
    pub fn lock(&self, system: &dyn System, command: &str) -> Result<StateLock, LockError> {
        self.create_dirs(system)?;
        let path = self.path("lock");
        let Some(held) = system.try_lock(&path).at(&path, "lock")? else {
            return Err(LockError::Held(self.holder(system)));
        };
        let holder = Holder {
            pid: system.pid(),
            boot_id: system.boot_id(),
            since: rfc3339(system.now()),
            command: command.to_owned(),
        };
        // Beside the lock file: on Windows a locked file cannot be read by others.
        let path = self.path("lock.json");
        let text = files::json_text(&path, FORMAT, &holder)?;
        files::write_file(system, &path, text.as_bytes())?;
        Ok(StateLock { _held: held })
    }

    /// Who took the lock last. It is only known to be held by trying to take it.
    pub fn holder(&self, system: &dyn System) -> Option<Holder> {
        load_json(system, &self.path("lock.json"), FORMAT).ok().flatten()
    }
}

impl Holder {
    /// Since when, as a time.
    pub fn since(&self) -> Option<SystemTime> {
        from_rfc3339(&self.since)
    }
}

impl From<FileError> for LockError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(Some(Holder { pid, since, command, .. })) => {
                write!(f, "locked by `{command}`, process {pid}, since {since}")
            }
            Self::Held(None) => f.write_str("locked by another run"),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LockError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Memory;

    #[test]
    fn says_who_holds_it() {
        let memory = Memory::default();
        let store = Store::at("/state");
        let lock = store.lock(&memory, "watch").expect("free");
        let error = store.lock(&memory, "apply").expect_err("held");
        let LockError::Held(Some(holder)) = &error else { panic!("{error}") };
        assert_eq!((holder.pid, holder.boot_id.as_str()), (4242, "boot-1"));
        assert!(holder.since().is_some());
        assert!(error.to_string().starts_with("locked by `watch`, process 4242, since 2026-01-01T00:00:"));
        drop(lock);
        drop(store.lock(&memory, "apply").expect("free again"));
    }
}
