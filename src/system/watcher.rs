//! Directories that are watched: which names in them were touched.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::FileId;

/// What was noticed. It comes on a thread of the watcher's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Something happened to this name in a watched directory.
    Path(PathBuf),
    /// Events were lost, so anything may have happened.
    Anything,
}

/// Why a directory is not watched.
#[derive(Debug)]
pub enum WatchError {
    /// The system has no more watches to give; what it said.
    Exhausted(String),
    /// Anything else, with the directory.
    Failed(PathBuf, String),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted(why) => write!(f, "the system has no more file watches to give ({why})"),
            Self::Failed(path, why) => write!(f, "{} cannot be watched: {why}", path.display()),
        }
    }
}

impl std::error::Error for WatchError {}

/// Watches a set of directories, each for the names directly in it.
pub struct Watcher {
    inner: RecommendedWatcher,
    watched: BTreeMap<PathBuf, Option<FileId>>,
}

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system has no watcher to give.
    pub fn new(notice: impl Fn(Noticed) + Send + 'static) -> Result<Self, WatchError> {
        let handler = move |result: notify::Result<notify::Event>| match result {
            Ok(event) if event.need_rescan() => notice(Noticed::Anything),
            // Whoever reads a file opens it, we among them.
            Ok(event) if is_reading(event.kind) => {}
            Ok(event) => event.paths.into_iter().for_each(|path| notice(Noticed::Path(path))),
            Err(_) => notice(Noticed::Anything),
        };
        let config = Config::default().with_follow_symlinks(false);
        let inner =
            RecommendedWatcher::new(handler, config).map_err(|error| explain(Path::new(""), error))?;
        Ok(Self { inner, watched: BTreeMap::new() })
    }

    /// Watches exactly these directories from now on, each told by which one it is, so that a directory
    /// which took another one's place is watched anew. Returns those that are not watched.
    pub fn watch(&mut self, wanted: &BTreeMap<PathBuf, Option<FileId>>) -> Vec<WatchError> {
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, id)| wanted.get(*path) != Some(id))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.watched.remove(&path);
            // The system forgets directories that are gone by itself.
            let _ = self.inner.unwatch(&path);
        }
        let mut failed = Vec::new();
        for (path, id) in wanted {
            if self.watched.contains_key(path) {
                continue;
            }
            match self.inner.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(path.clone(), *id)),
                Err(error) => failed.push(explain(path, error)),
            }
        }
        failed
    }
}

fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn explain(path: &Path, error: notify::Error) -> WatchError {
    // EMFILE: no more instances, or no more files; ENOSPC: no more watches.
    let is_spent = |error: &io::Error| matches!(error.raw_os_error(), Some(24 | 28));
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            WatchError::Exhausted("the limit on watches is reached".to_owned())
        }
        notify::ErrorKind::Io(error) if is_spent(&error) => WatchError::Exhausted(error.to_string()),
        _ => WatchError::Failed(path.to_owned(), error.to_string()),
    }
}
