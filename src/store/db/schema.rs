use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::failure;
use crate::system::FileError;

/// The steps from nothing to the present; `user_version` says how many were done. Never changed, only added to.
const STEPS: [&str; 1] = ["
    CREATE TABLE tokens (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        hash BLOB NOT NULL,
        scopes TEXT NOT NULL,
        servers TEXT,               -- a JSON list; NULL: all of them
        created INTEGER NOT NULL,
        expires INTEGER,
        last_used INTEGER,
        revoked INTEGER
    ) STRICT;
    CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        principal TEXT NOT NULL,
        client TEXT,
        method TEXT NOT NULL,
        server TEXT NOT NULL,
        name TEXT NOT NULL,
        verdict TEXT NOT NULL,
        policy TEXT,
        approval TEXT,
        digest TEXT,
        arguments TEXT,             -- masked; NULL unless they are kept
        outcome TEXT NOT NULL,
        bytes_in INTEGER NOT NULL,
        bytes_out INTEGER NOT NULL,
        micros INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX calls_at ON calls (at);
    CREATE TABLE approvals (
        id TEXT PRIMARY KEY,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        lasting INTEGER NOT NULL,
        principal TEXT NOT NULL,
        server TEXT NOT NULL,
        tool TEXT NOT NULL,
        digest TEXT NOT NULL,
        preview TEXT NOT NULL,      -- masked
        policy TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        decided INTEGER
    ) STRICT;
    CREATE INDEX approvals_asked ON approvals (principal, server, tool, digest);
    CREATE INDEX approvals_status ON approvals (status, expires);
"];

/// Brings a database up to date.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), FileError> {
    let failed = |error: rusqlite::Error| failure(path, "open", &error);
    if version(connection).map_err(failed)? == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Another process may have been faster.
    let done = version(&transaction).map_err(failed)?;
    let Some(missing) = STEPS.get(done..) else {
        let known = STEPS.len();
        let why = format!(
            "its format is version {done}, and this program knows version {known}: use a newer mcpkeel"
        );
        return Err(FileError::new(path, "open", ErrorKind::InvalidData, why));
    };
    for step in missing {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}
