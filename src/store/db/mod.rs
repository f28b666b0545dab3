//! `mcpkeel.db`: what happens while the gateway runs: tokens, calls, approvals.
//!
//! Invariant: no token and no argument of a call is in it as it was given: tokens and digests are keyed, texts went
//! through the mask. Nothing that a user declared is in it. Several processes may have it open; each write is one
//! transaction.
//!
//! This is the one place that SQLite is spoken to. Its own file and what belongs to it are the library's to open;
//! [`Database::open`] makes the file before, closed to others.
//!
//! Start reading at [`Database::open`].

mod approvals;
mod calls;
mod schema;
mod tokens;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

pub use approvals::{Approval, Decided, Found, Question, Status};
pub use calls::{Call, Kept, Outcome, Recorded, Sum, Wanted};
pub use tokens::Token;

use super::Store;
use crate::system::{At, FileError, System, found, made};

/// What the database is called in the state directory.
const FILE: &str = "mcpkeel.db";

/// How long a write waits for that of another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database, open.
pub struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens it, made when there is none, and brings one of an earlier version up to date.
    ///
    /// # Errors
    /// When it is damaged, of a later version, or cannot be opened. It is never made anew by itself.
    pub fn open(system: &dyn System, store: &Store) -> Result<Self, FileError> {
        store.prepare(system)?;
        let path = store.path(FILE);
        made(system.create_new(&path, b"", 0o600)).at(&path, "create")?;
        Self::at(system, path)
    }

    /// Opens it if there is one: looking makes nothing.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn look(system: &dyn System, store: &Store) -> Result<Option<Self>, FileError> {
        let path = store.path(FILE);
        match found(system.meta(&path)).at(&path, "look at")? {
            Some(_) => Self::at(system, path).map(Some),
            None => Ok(None),
        }
    }

    fn at(system: &dyn System, path: PathBuf) -> Result<Self, FileError> {
        let meta = system.meta(&path).at(&path, "look at")?;
        if meta.mode & 0o077 != 0 && meta.owner.is_some() {
            system.set_mode(&path, 0o600).at(&path, "close to others")?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags);
        let connection = connection.map_err(|error| failure(&path, "open", &error))?;
        let mut database = Self { connection, path };
        database.prepare(system)?;
        Ok(database)
    }

    fn prepare(&mut self, system: &dyn System) -> Result<(), FileError> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| failure(&path, "open", &error);
        self.connection.busy_timeout(PATIENCE).map_err(failed)?;
        // Two processes that open it for the first time at once: the switch does not wait by itself.
        let mut patience = 100;
        loop {
            match self.connection.pragma_update(None, "journal_mode", "wal") {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && patience > 0 => {
                    patience -= 1;
                    system.sleep(Duration::from_millis(20));
                }
                done => break done.map_err(failed)?,
            }
        }
        // A page cache of 512 KB, and a journal that does not stay large after a burst.
        for (name, value) in [("synchronous", 2), ("cache_size", -512), ("journal_size_limit", 4 << 20)] {
            self.connection.pragma_update(None, name, value).map_err(failed)?;
        }
        schema::migrate(&mut self.connection, &path)
    }

    /// Goes on without waiting for the disk at each write: the last moments may be lost with the machine's power, and
    /// nothing else. For what is written all the time.
    pub fn relax(&self) -> Result<(), FileError> {
        self.connection.pragma_update(None, "synchronous", 1).map_err(|error| self.failure("open", &error))
    }

    /// A number that changes whenever another connection has written.
    pub fn data_version(&self) -> Result<i64, FileError> {
        let version = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        version.map_err(|error| self.failure("read", &error))
    }

    /// Does some work in one transaction that nothing else writes in between.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, FileError> {
        let path = &self.path;
        let failed = |error: rusqlite::Error| failure(path, "write", &error);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let result = work(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, FileError> {
        work(&self.connection).map_err(|error| self.failure("read", &error))
    }

    fn failure(&self, doing: &'static str, error: &rusqlite::Error) -> FileError {
        failure(&self.path, doing, error)
    }
}

/// What SQLite says, in the words of the rest.
fn failure(path: &Path, doing: &'static str, error: &rusqlite::Error) -> FileError {
    let (kind, why) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            let why = "it is damaged; move it away, and a new one is made: tokens, approvals and usage are then lost, \
                       and nothing else";
            (ErrorKind::InvalidData, why.to_owned())
        }
        Some(ErrorCode::DiskFull) => (ErrorKind::StorageFull, "the disk is full".to_owned()),
        Some(ErrorCode::ReadOnly) => (ErrorKind::ReadOnlyFilesystem, "it cannot be written".to_owned()),
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            (ErrorKind::PermissionDenied, "it cannot be opened".to_owned())
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::WouldBlock, "another process has been writing to it for seconds".to_owned())
        }
        _ => (ErrorKind::Other, error.to_string()),
    };
    FileError::new(path, doing, kind, why)
}

/// A time as it is stored: milliseconds since 1970.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time that [`millis`] made.
fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests;
