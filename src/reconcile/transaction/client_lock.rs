use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Problem;
use crate::system::{At, FileError, Kind, System, found};

const TICK: Duration = Duration::from_millis(100);
const TOUCH: Duration = Duration::from_secs(1);
/// How long a lock that its holder keeps touching is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The clients' own locks that this run holds: directories, made and removed (`proper-lockfile` and
/// its kin), stale when nobody touched them for so long.
pub(in crate::reconcile) struct ClientLocks<'s> {
    system: &'s dyn System,
    run: &'s str,
    held: Vec<PathBuf>,
    touched: SystemTime,
    taken_over: u32,
}

impl<'s> ClientLocks<'s> {
    pub fn new(system: &'s dyn System, run: &'s str) -> Self {
        Self { system, run, held: Vec::new(), touched: system.now(), taken_over: 0 }
    }

    /// Takes a lock, waiting for it or taking it over when it is stale.
    pub fn take(&mut self, dir: &Path, stale: Duration) -> Result<(), Problem> {
        if self.held.iter().any(|held| held == dir) {
            return Ok(());
        }
        let start = self.system.now();
        loop {
            match self.system.create_dir(dir, 0o755) {
                Ok(()) => {
                    self.held.push(dir.to_owned());
                    return Ok(());
                }
                // No directory for the lock: no file of the client's either.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => Err(error).at(dir, "create")?,
            }
            let now = self.system.now();
            if self.age(dir, now)?.is_some_and(|age| age > stale) {
                self.take_over(dir, stale)?;
                continue;
            }
            let waited = now.duration_since(start).unwrap_or_default();
            if waited > PATIENCE.max(stale + TOUCH) {
                return Err(Problem::ClientLocked { dir: dir.to_owned(), waited });
            }
            self.system.sleep(TICK);
            self.touch();
        }
    }

    /// Shows that the locks are in use. Cheap when called often.
    pub fn touch(&mut self) {
        let now = self.system.now();
        if now.duration_since(self.touched).is_ok_and(|age| age < TOUCH) {
            return;
        }
        self.touched = now;
        for dir in &self.held {
            // A lock that someone removed is theirs to answer for.
            let _ = self.system.touch(dir);
        }
    }

    /// Gives all locks back. One that cannot be removed is tried again at the end, and goes stale by
    /// itself after that.
    pub fn release(&mut self) {
        self.held.retain(|dir| found(self.system.remove_dir(dir)).is_err());
    }

    fn age(&self, dir: &Path, now: SystemTime) -> Result<Option<Duration>, FileError> {
        let meta = found(self.system.meta(dir)).at(dir, "look at")?;
        Ok(meta.map(|meta| now.duration_since(meta.modified).unwrap_or_default()))
    }

    /// Moves a stale lock away, so that of several that want it one gets it.
    fn take_over(&mut self, dir: &Path, stale: Duration) -> Result<(), FileError> {
        self.taken_over += 1;
        let aside = dir.with_file_name(format!(".mcpkeel-{}-stale-{}", self.run, self.taken_over));
        if found(self.system.rename_new(dir, &aside)).at(dir, "take over")?.is_none() {
            return Ok(());
        }
        if self.age(&aside, self.system.now())?.is_some_and(|age| age <= stale) {
            // It was renewed in the last moment: not stale after all.
            let _ = self.system.rename_new(&aside, dir);
            return Ok(());
        }
        remove_small_tree(self.system, &aside)
    }
}

impl Drop for ClientLocks<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Removes a lock directory and the marks that its holder put into it.
pub(in crate::reconcile) fn remove_small_tree(system: &dyn System, dir: &Path) -> Result<(), FileError> {
    if found(system.meta(dir)).at(dir, "look at")?.is_some_and(|meta| meta.kind == Kind::Dir) {
        for name in system.list(dir).at(dir, "list")? {
            let path = dir.join(name);
            found(system.remove_file(&path)).at(&path, "remove")?;
        }
        return found(system.remove_dir(dir)).at(dir, "remove").map(drop);
    }
    found(system.remove_file(dir)).at(dir, "remove").map(drop)
}
