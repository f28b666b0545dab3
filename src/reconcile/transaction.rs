//! Replaces a set of files as one: all of them or none, and nobody else's update is lost.
//!
//! Invariant: every content that stood in a user's file at any moment is, until the run counts,
//! in that file, beside it under a temporary name, or in the object store; what a name beside a
//! file may hold was in the journal before it was used.
//!
//! One file is replaced in rounds ([`file`]). A round looks at the file ([`look`]) under a read
//! lease, so that nobody is writing into it; prepares the new content beside it; and, if the file
//! is still the one it was prepared for, exchanges the two ([`swap`]) and examines what came out.
//! Anything else than what was seen is another writer's update: it goes back at once, and the
//! caller is asked what to write over it ([`Rework`]). What came out stays beside the file, and is
//! examined again before the run counts, since a writer that opened the file before the exchange
//! writes into it after.
//!
//! When a run fails, [`crate::recover`](super::recover) undoes it, from the journal alone, just as
//! it would after a crash.
//!
//! | platform | lease | exchange | who can still lose an update |
//! | --- | --- | --- | --- |
//! | Linux, local disk, own file | yes | yes | nobody who writes whole files |
//! | Linux, someone else's file or no leases (FUSE, NFS) | no | mostly | an in-place writer that takes longer than the run |
//! | macOS | no | yes | the same |
//! | Windows | no | in two steps | the same |
//! | no exchange (some network file systems) | maybe | no | a writer within microseconds of our rename |
//!
//! Start at [`run`].

mod client_lock;
mod file;
mod look;
mod restore;
mod swap;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::file::Work;
use super::recover::{self, Recovered, Undone};
use crate::base::{Diagnostic, Fingerprint};
use crate::store::{
    BackedUp, Backup, Before, Commit, Entry, Header, JournalFile, Line, RunResult, StateFile, StateLock,
    Store, rfc3339,
};
use crate::system::{FileError, System};

pub use restore::{Restore, restore};

pub(super) use crate::system::follow;
pub(super) use client_lock::{ClientLocks, remove_small_tree};
pub(super) use file::write_temp;
pub(super) use look::{Seen, look};
pub(super) use swap::{Swapped, put, take};

/// What is to become of one file.
#[derive(Clone, Debug)]
pub struct Change {
    /// As configured; links are followed, so that the real file changes and the link stays.
    pub path: PathBuf,
    /// What the change was made for; none if there was no file.
    pub before: Option<Fingerprint>,
    /// What is to be there.
    pub after: After,
    /// The lock that the client takes around its own writes.
    pub client_lock: Option<ClientLock>,
    /// Whether missing parents are made (and removed again when the run is undone).
    pub create_dirs: bool,
}

/// What is to be at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum After {
    /// A file with these bytes.
    Write {
        /// The whole content.
        bytes: Vec<u8>,
        /// Who may read it.
        access: Access,
    },
    /// Nothing.
    Remove,
}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As before; a new file as the umask has it.
    Keep,
    /// Its owner only (0600): it holds a secret.
    Private,
    /// These permission bits.
    Mode(u32),
}

/// A lock by convention: a directory that is there while someone writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLock {
    /// The directory.
    pub dir: PathBuf,
    /// After how many seconds without a touch it may be taken over.
    pub stale_seconds: u32,
}

/// What the caller knows about contents and this module does not.
pub trait Rework {
    /// Another writer changed file number `file` after the change was made for it: what is to be
    /// there now, given what was found (`None`: no file)? `Ok(None)`: nothing is left to do.
    ///
    /// May be asked many times; a refusal ends the run and undoes it.
    fn rework(&mut self, file: usize, found: Option<&[u8]>) -> Result<Option<After>, Box<Diagnostic>>;

    /// One content with the changes of both `one` and `other` since `base`. Asked in the rare case
    /// that two updates by others went past each other because our content was visible in between.
    /// With `None` the newer one stays live, and the older one goes to the object store with a warning.
    fn merge(&mut self, file: usize, base: &[u8], one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        let _ = (file, base, one, other);
        None
    }
}

/// How a run appears in the history.
#[derive(Clone, Debug)]
pub struct RunMeta {
    /// What was asked for: `apply`, `undo` ..
    pub command: String,
    /// One sentence for people.
    pub summary: String,
    /// The manifest's revision, where it has one.
    pub revision: Option<String>,
    /// Whether a file that cannot be changed leaves the others changed.
    pub keep_going: bool,
}

/// What a run did.
#[derive(Debug)]
pub struct Outcome {
    /// The run's name, and its backup's.
    pub id: String,
    /// Every file, in the order of the changes.
    pub files: Vec<FileOutcome>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// What had to be brought in order first.
    pub recovered: Recovered,
}

/// What became of one file.
#[derive(Debug)]
pub struct FileOutcome {
    /// As configured.
    pub path: PathBuf,
    /// The real file, links followed.
    pub real: PathBuf,
    /// What was done.
    pub done: Done,
    /// What our content replaced; none if there was no file.
    pub before: Option<Fingerprint>,
    /// What is there now; none if there is no file.
    pub after: Option<Fingerprint>,
    /// How often other writers made us start over.
    pub reworked: u32,
}

/// What was done to a file.
#[derive(Debug)]
pub enum Done {
    /// It has new content.
    Written,
    /// It is gone.
    Removed,
    /// It was as it should be.
    Unchanged,
    /// It could not be changed (with `keep_going`).
    Failed(Problem),
}

/// Why a file could not be changed.
#[derive(Debug)]
pub enum Problem {
    /// The system refused.
    File(FileError),
    /// The caller would not write over what another program had written.
    Refused(Box<Diagnostic>),
    /// Another program rewrote the file each time we were about to.
    Contended {
        /// The file.
        path: PathBuf,
        /// How often we tried.
        rounds: u32,
    },
    /// The client holds its own lock and does not let go.
    ClientLocked {
        /// The lock.
        dir: PathBuf,
        /// For how long we waited.
        waited: Duration,
    },
}

/// A run that did not count.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub problem: Problem,
    /// The file it was about, if it was about one.
    pub path: Option<PathBuf>,
    /// What was put back; or why that has to wait for the next run, which will try again.
    pub undone: Result<Undone, FileError>,
}

/// Replaces the files, then writes the state files that `commit` makes, as one.
///
/// A run that was cut off is brought in order first. The lock shows that no other run is under way.
pub fn run(
    system: &dyn System,
    store: &Store,
    lock: &StateLock,
    meta: &RunMeta,
    changes: Vec<Change>,
    rework: &mut dyn Rework,
    commit: &mut dyn FnMut(&Outcome) -> Result<Vec<StateFile>, FileError>,
) -> Result<Outcome, Box<Failure>> {
    let before_start = |problem: FileError| {
        Box::new(Failure { problem: Problem::File(problem), path: None, undone: Ok(Undone::default()) })
    };
    let recovered = recover::recover(system, store, lock).map_err(before_start)?;
    let id = store.new_id(system, lock).map_err(before_start)?;
    let header = Header {
        format_version: 1,
        id: id.clone(),
        at: rfc3339(system.now()),
        command: meta.command.clone(),
        files: changes.iter().map(|change| change.journaled(system)).collect(),
    };
    let mut run = Run {
        system,
        store,
        lock,
        meta,
        locks: ClientLocks::new(system, &id),
        works: changes.into_iter().enumerate().map(|(index, change)| Work::new(index, change)).collect(),
        outcome: Outcome { id: id.clone(), files: Vec::new(), warnings: Vec::new(), recovered },
        header: &header,
        id: &id,
        kept: Vec::new(),
        has_exchange: true,
    };
    let result = store
        .add_journal(system, lock, &id, &Line::Run(header.clone()))
        .map_err(|error| (Problem::File(error), None))
        .and_then(|()| run.replace_all(rework))
        .and_then(|()| run.commit(commit).map_err(|error| (Problem::File(error), None)));
    match result {
        Ok(()) => Ok(run.outcome),
        Err((problem, path)) => {
            let undone = run.abort(rework);
            Err(Box::new(Failure { problem, path, undone }))
        }
    }
}

/// A run under way.
struct Run<'r> {
    system: &'r dyn System,
    store: &'r Store,
    lock: &'r StateLock,
    meta: &'r RunMeta,
    id: &'r str,
    header: &'r Header,
    /// Contents of others that found no place in a live file.
    kept: Vec<(PathBuf, Fingerprint)>,
    locks: ClientLocks<'r>,
    works: Vec<Work>,
    outcome: Outcome,
    has_exchange: bool,
}

type Stopped = (Problem, Option<PathBuf>);

impl Run<'_> {
    fn replace_all(&mut self, rework: &mut dyn Rework) -> Result<(), Stopped> {
        for index in 0..self.works.len() {
            self.replace_one(index, rework)?;
        }
        // Writers that opened a file before we replaced it may have written since: once more around,
        // until all is quiet.
        for index in 0..self.works.len() {
            if self.works[index].failed.is_none() {
                self.replace_one(index, rework)?;
            }
        }
        Ok(())
    }

    fn replace_one(&mut self, index: usize, rework: &mut dyn Rework) -> Result<(), Stopped> {
        let mut work = std::mem::replace(&mut self.works[index], Work::placeholder());
        let result = self.bring(&mut work, rework);
        self.works[index] = work;
        let Err(problem) = result else { return Ok(()) };
        let path = Some(self.works[index].change.path.clone());
        if !self.meta.keep_going {
            return Err((problem, path));
        }
        self.undo(Some(index)).map_err(|error| (Problem::File(error), path))?;
        self.works[index].failed = Some(problem);
        Ok(())
    }

    /// From here on the run counts, as soon as the journal says so.
    fn commit(
        &mut self,
        commit: &mut dyn FnMut(&Outcome) -> Result<Vec<StateFile>, FileError>,
    ) -> Result<(), FileError> {
        let (system, store, lock) = (self.system, self.store, self.lock);
        let mut files = Vec::new();
        for work in std::mem::take(&mut self.works) {
            if let Some((before, mode)) = work.replaced() {
                let before = match before {
                    Some(bytes) => Some(Before { fingerprint: store.keep_object(system, bytes)?, mode }),
                    None => None,
                };
                files.push(BackedUp { path: work.change.path.clone(), before, after: work.stands });
            }
            self.outcome.files.push(work.into_outcome());
        }
        let state = commit(&self.outcome)?;
        let failed = self.outcome.files.iter().any(|file| matches!(file.done, Done::Failed(_)));
        let history = (!files.is_empty() || failed).then(|| Entry {
            format_version: 1,
            id: self.id.to_owned(),
            at: self.header.at.clone(),
            command: self.meta.command.clone(),
            summary: self.meta.summary.clone(),
            files: self.outcome.files.iter().map(|file| file.path.clone()).collect(),
            outcome: if failed { RunResult::Partly } else { RunResult::Done },
            revision: self.meta.revision.clone(),
        });
        let dirs = store.load_journal(system, self.id)?;
        let dirs = dirs.iter().flat_map(|journal| journal.made_dirs().cloned()).collect();
        let backup = (!files.is_empty()).then(|| Backup {
            id: self.id.to_owned(),
            at: self.header.at.clone(),
            command: self.meta.command.clone(),
            revision: self.meta.revision.clone(),
            files,
            dirs,
        });
        let line = Line::Commit(Box::new(Commit { state, backup, history }));
        store.add_journal(system, lock, self.id, &line)?;
        self.locks.release();
        let kept = recover::keep_strays(system, store, lock, self.header, &self.kept);
        match kept.and_then(|()| recover::finish(system, store, lock, self.id)) {
            Ok(strays) => self.outcome.warnings.extend(strays),
            // The files are as they should be, and the next run will write what is missing.
            Err(error) => self.outcome.warnings.push(format!("{error}; the next run will finish this one")),
        }
        Ok(())
    }

    fn abort(&mut self, rework: &mut dyn Rework) -> Result<Undone, FileError> {
        let (system, store, lock) = (self.system, self.store, self.lock);
        let mut undone = self.undo(None)?;
        let mut works = std::mem::take(&mut self.works);
        for work in &mut works {
            self.give_back(work, rework)?;
        }
        let mut owed = std::mem::take(&mut self.kept);
        for (path, theirs) in works.iter().flat_map(Work::owed_contents) {
            owed.push((path.to_owned(), store.keep_object(system, theirs)?));
        }
        owed.retain(|stray| !undone.strays.contains(stray));
        undone.strays.append(&mut owed);
        recover::keep_strays(system, store, lock, self.header, &undone.strays)?;
        self.locks.release();
        store.drop_journal(system, lock, self.id)?;
        // What happened is known to the caller; that the history lacks it is no reason to fail twice.
        let _ = store.add_history(
            system,
            lock,
            &Entry {
                format_version: 1,
                id: self.id.to_owned(),
                at: self.header.at.clone(),
                command: self.meta.command.clone(),
                summary: self.meta.summary.clone(),
                files: undone.put_back.clone(),
                outcome: RunResult::RolledBack,
                revision: self.meta.revision.clone(),
            },
        );
        Ok(undone)
    }

    fn undo(&mut self, only: Option<usize>) -> Result<Undone, FileError> {
        let Some(journal) = self.store.load_journal(self.system, self.id)? else {
            return Ok(Undone::default());
        };
        if journal.commit().is_some() {
            self.store.add_journal(self.system, self.lock, self.id, &Line::Abort)?;
        }
        recover::undo(self.system, self.store, self.lock, &journal, only)
    }
}

impl Change {
    fn journaled(&self, system: &dyn System) -> JournalFile {
        let lock = self.client_lock.as_ref().map(|lock| (lock.dir.clone(), lock.stale_seconds));
        // A path that cannot be followed now fails when it is looked at.
        let real = follow(system, &self.path).ok();
        let dir = real.and_then(|real| real.parent().map(Path::to_owned));
        JournalFile { path: self.path.clone(), lock, dir }
    }
}

/// How names beside a file begin, for one file of a run.
pub(super) fn temp_prefix(run: &str, file: usize) -> String {
    format!(".mcpkeel-{run}-{file}-")
}

/// A name beside a file.
pub(super) fn temp_path(real: &Path, run: &str, file: usize, number: u32) -> PathBuf {
    real.with_file_name(format!("{}{number}.tmp", temp_prefix(run, file)))
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Debug for After {
    /// Without the content, which may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { bytes, access } => {
                write!(f, "Write({:?}, {access:?})", Fingerprint::of(bytes))
            }
            Self::Remove => f.write_str("Remove"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Refused(diagnostic) => f.write_str(&diagnostic.message),
            Self::Contended { path, rounds } => write!(
                f,
                "another program keeps rewriting {}: tried {rounds} times and gave way each time",
                path.display()
            ),
            Self::ClientLocked { dir, waited } => write!(
                f,
                "the client holds its lock {} and did not let go of it in {} seconds",
                dir.display(),
                waited.as_secs()
            ),
        }
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)?;
        match &self.undone {
            Ok(_) => Ok(()),
            Err(error) => {
                write!(f, "; putting the files back failed too ({error}), the next run tries again")
            }
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}
