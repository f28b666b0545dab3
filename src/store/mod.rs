//! The state directory: what mcpkeel remembers between runs.
//!
//! ```text
//! lock, lock.json     one run at a time, and who it is
//! key                 32 random bytes of this machine
//! ledger.json         written by the caller as a state file of a run
//! journal/ID.jsonl    a run that is under way, or was cut off
//! backups/ID.json     what a run replaced; contents in backups/objects/FINGERPRINT
//! history.jsonl       one line per run
//! source/             the manifest's repository; see `crate::source`
//! events.jsonl        one line for everything that `watch` noticed or did, bounded
//! conditions.json     how every client block stands
//! suspended.json      which of them `watch` leaves alone
//! approved.json       the revision that may change what is run
//! watch.json, watch.lock   the process that watches
//! logs/NAME.log       what a server complained about; see `crate::supervise::logs`
//! notices.json        what was told last of each client, written by `watch`
//! mcpkeel.db          what happens while the gateway runs; see [`db`]
//! tools/              the definitions of servers' tools as they were seen last; see `crate::gateway`
//! ```
//!
//! Invariant: directories are 0700 and files 0600; a file here is replaced whole or appended to, so
//! that a cut-off run leaves the old content or the new one (the database sees to that itself); nothing
//! here is needed to read a user's own files. Looking needs no state at all, and creates none.

mod backups;
pub mod db;
mod events;
mod files;
mod follow;
mod history;
mod journal;
mod lock;
mod standing;
mod time;

use std::path::{Path, PathBuf};

pub use backups::{BackedUp, Backup, Before, Saved};
pub use events::{Event, Kind as EventKind, Stand, events_of};
pub use files::{create_dirs, json_text, load_json, save_json, write_among_others, write_file};
pub use follow::Reader;
pub use history::{Entry, Result as RunResult};
pub use journal::{Commit, Dirs, Header, Journal, JournalFile, Line, Round, StateFile};
pub use lock::{Holder, LockError, StateLock};
pub use standing::{Approval, Condition, Conditions, Suspension, Suspensions, Watching};
pub use time::{from_rfc3339, rfc3339, rfc3339_millis};

use crate::system::{At, FileError, System, found};

/// The state directory of one user.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// At this directory, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where the platform keeps such things: `$XDG_STATE_HOME/mcpkeel` (`~/.local/state/mcpkeel`),
    /// `~/Library/Application Support/mcpkeel/state`, `%LOCALAPPDATA%\mcpkeel`. None without a home.
    pub fn usual_dir(system: &dyn System) -> Option<PathBuf> {
        let absolute = |name| system.env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        if let Some(dir) = absolute("XDG_STATE_HOME") {
            return Some(dir.join("mcpkeel"));
        }
        let home = system.home()?;
        Some(match system.os() {
            "macos" => home.join("Library/Application Support/mcpkeel/state"),
            "windows" => {
                absolute("LOCALAPPDATA").unwrap_or_else(|| home.join("AppData/Local")).join("mcpkeel")
            }
            _ => home.join(".local/state/mcpkeel"),
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file or directory in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// 32 random bytes that never leave this machine, made on first use.
    pub fn machine_key(&self, system: &dyn System, _lock: &StateLock) -> Result<[u8; 32], FileError> {
        if let Some(key) = self.known_machine_key(system)? {
            return Ok(key);
        }
        let path = self.path("key");
        let key = system.random().at(&path, "make a key for")?;
        write_file(system, &path, &key)?;
        Ok(key)
    }

    /// The key, if this machine has one; for runs that only look.
    pub fn known_machine_key(&self, system: &dyn System) -> Result<Option<[u8; 32]>, FileError> {
        let path = self.path("key");
        let bytes = found(system.read(&path)).at(&path, "read")?;
        // A damaged key is as good as none: fingerprints made with it only look like drift.
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()))
    }

    /// A name for a run: sorts by time, and after every run that left a backup or a journal.
    pub fn new_id(&self, system: &dyn System, _lock: &StateLock) -> Result<String, FileError> {
        let id = time::id(system.now());
        let backups = self.backup_ids(system)?;
        let newest = backups.into_iter().chain(self.journal_ids(system)?).max();
        Ok(match newest {
            Some(newest) if newest >= id => time::id_after(&newest).unwrap_or(id),
            _ => id,
        })
    }

    /// Makes the directory, for what is written without the lock.
    pub fn prepare(&self, system: &dyn System) -> Result<(), FileError> {
        files::create_dirs(system, &self.dir)
    }

    fn create_dirs(&self, system: &dyn System) -> Result<(), FileError> {
        files::create_dirs(system, &self.dir)?;
        for name in ["journal", "backups", "backups/objects"] {
            files::create_private_dir(system, &self.path(name))?;
        }
        Ok(())
    }

    /// Names in a directory of ours that end like this, without the ending; none if it is missing.
    fn names(&self, system: &dyn System, dir: &str, ending: &str) -> Result<Vec<String>, FileError> {
        let path = self.path(dir);
        let names = found(system.list(&path)).at(&path, "list")?.unwrap_or_default();
        Ok(names.iter().filter_map(|name| name.strip_suffix(ending)).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Kind, Memory};

    #[test]
    fn everything_it_makes_is_private() {
        let memory = Memory::default();
        let store = Store::at("/home/me/.local/state/mcpkeel");
        let lock = store.lock(&memory, "apply").expect("free");
        let key = store.machine_key(&memory, &lock).expect("made");
        assert_eq!(store.machine_key(&memory, &lock).expect("kept"), key);
        assert_eq!(store.known_machine_key(&memory).expect("read"), Some(key));
        store.keep_object(&memory, b"secret").expect("kept");
        for path in memory.tree(store.dir()) {
            let meta = memory.about(&path).expect("listed");
            let expected = if meta.kind == Kind::Dir { 0o700 } else { 0o600 };
            assert_eq!(meta.mode, expected, "{}", path.display());
        }
    }

    #[test]
    fn an_open_state_directory_is_closed_again() {
        let memory = Memory::default();
        memory.make_dirs(Path::new("/state"));
        drop(Store::at("/state").lock(&memory, "apply").expect("free"));
        assert_eq!(memory.about(Path::new("/state")).expect("there").mode, 0o700);
    }

    #[test]
    fn ids_sort_even_when_the_clock_stands() {
        let memory = Memory::default();
        let store = Store::at("/state");
        let lock = store.lock(&memory, "apply").expect("free");
        let mut ids = Vec::new();
        for _ in 0..3 {
            let id = store.new_id(&memory, &lock).expect("named");
            memory.write(&store.path(&format!("backups/{id}.json")), b"{}");
            ids.push(id);
        }
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}
