use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Problem, Revision};
use crate::store::{create_dirs, load_json, rfc3339, save_json};
use crate::system::{At, FileError, Lock, System};

const FORMAT: u32 = 1;

/// What is known about a repository: `head.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The repository that `fetched` is from.
    #[serde(default)]
    pub url: String,
    /// The branch as the manifest named it; none for the repository's default.
    #[serde(default)]
    pub branch: Option<String>,
    /// The newest good revision.
    #[serde(default)]
    pub fetched: Option<Good>,
    /// The revision that was applied last.
    #[serde(default)]
    pub applied: Option<Good>,
    /// Revisions that were applied to some clients only since then, the newest first.
    #[serde(default)]
    pub partly: Vec<Good>,
    /// Revisions that were applied before that one, the newest first: `undo` leads back to them.
    #[serde(default)]
    pub before: Vec<Good>,
    /// When the repository was asked last and all was well. RFC 3339, UTC.
    #[serde(default)]
    pub fetched_at: Option<String>,
    /// What was wrong when it was asked last, if anything.
    #[serde(default)]
    pub problem: Option<Trouble>,
}

/// A revision that may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// The commit.
    pub id: String,
    /// The branch it was the tip of.
    pub branch: String,
    /// Who signed it, where a signature was asked for.
    pub signer: Option<String>,
    /// Against what the signature was held.
    pub verified: Option<String>,
}

impl Good {
    /// As it is shown.
    pub fn revision(&self) -> Revision {
        let Self { id, branch, signer, .. } = self.clone();
        Revision { id, branch: Some(branch), signer }
    }
}

/// A [`Problem`] that is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// A stable name for machines.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// Since when it has been the same, RFC 3339, UTC.
    pub since: String,
}

impl Head {
    /// Remembers what went wrong; the same thing again keeps its time.
    pub(super) fn fail(&mut self, system: &dyn System, problem: &Problem) {
        let is_same = |known: &&Trouble| known.reason == problem.reason && known.message == problem.message;
        let since = self.problem.as_ref().filter(is_same).map(|known| known.since.clone());
        self.problem = Some(Trouble {
            reason: problem.reason.to_owned(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
            since: since.unwrap_or_else(|| rfc3339(system.now())),
        });
    }
}

/// Makes the source's directory, and the state directory that it is in: both closed to others.
pub(super) fn create(system: &dyn System, dir: &Path) -> Result<(), FileError> {
    create_dirs(system, dir.parent().unwrap_or(dir))?;
    create_dirs(system, dir)
}

pub(super) fn load(system: &dyn System, dir: &Path) -> Result<Head, FileError> {
    Ok(load_json(system, &dir.join("head.json"), FORMAT)?.unwrap_or_default())
}

/// Changes what is known, alone.
pub(super) fn change(
    system: &dyn System,
    dir: &Path,
    change: impl FnOnce(&mut Head),
) -> Result<(), FileError> {
    create(system, dir)?;
    let _held = lock(system, dir)?;
    let before = load(system, dir)?;
    let mut after = before.clone();
    change(&mut after);
    if after == before {
        return Ok(());
    }
    save_json(system, &dir.join("head.json"), FORMAT, &after)
}

/// The right to change what is known, or to rely on it for a moment.
pub(super) fn lock(system: &dyn System, dir: &Path) -> Result<Box<dyn Lock>, FileError> {
    wait_for(system, &dir.join("head.lock"), Duration::from_secs(10))
}

/// Takes a lock, waiting for whoever has it.
///
/// # Errors
/// `ResourceBusy` when it is not to be had.
pub(super) fn wait_for(
    system: &dyn System,
    path: &Path,
    limit: Duration,
) -> Result<Box<dyn Lock>, FileError> {
    let pause = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(lock) = system.try_lock(path).at(path, "lock")? {
            return Ok(lock);
        }
        if waited >= limit {
            let why = "another run has held it for too long";
            return Err(FileError::new(path, "lock", std::io::ErrorKind::ResourceBusy, why));
        }
        system.sleep(pause);
        waited += pause;
    }
}
