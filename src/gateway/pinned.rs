//! `mcp.lock` beside the manifest, and the definitions that it is about.
//!
//! The lock holds digests, so it is fit for a repository; the texts lie in the state directory, in `tools/SERVER.json`:
//! the definitions as they were listed last, and those that were accepted and are no longer listed as they were. So a
//! difference can be shown while nothing runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::Diagnostic;
use crate::guard::{Digest, Examined, LOCK_FILE, Lock, State};
use crate::reconcile::{self, ManifestEdit, Site, transaction};
use crate::store::{LockError, Store, create_dirs, load_json, rfc3339, save_json};
use crate::system::{At as _, FileError, System, follow, found};

/// Of the files under `tools/`.
const FORMAT: u32 = 1;

/// The lock of one manifest, and the definitions that were seen.
#[derive(Clone, Debug)]
pub struct Pinned {
    path: PathBuf,
    store: Store,
}

/// The definitions of one server's tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The server.
    pub server: String,
    /// When they were listed so for the first time, RFC 3339.
    pub since: String,
    /// Each as the server gives it.
    pub definitions: Vec<String>,
    /// Those that were accepted and are not among them, by digest.
    #[serde(default)]
    accepted: BTreeMap<String, String>,
}

/// A change of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// What is accepted; none to forget the tool.
    pub digest: Option<Digest>,
}

/// Why the lock could not be read or written.
#[derive(Debug)]
pub enum PinError {
    /// It is no lock.
    Bad(Box<Diagnostic>),
    /// Another run has the state: later.
    Busy(LockError),
    /// A file could not be read.
    File(FileError),
    /// It could not be written; it is as it was.
    Run(Box<transaction::Failure>),
}

impl Seen {
    /// The definition with this digest, listed or once accepted.
    pub fn text_of(&self, digest: &Digest) -> Option<&str> {
        let listed =
            self.definitions.iter().find(|text| Digest::of(text).is_ok_and(|found| found == *digest));
        listed.or_else(|| self.accepted.get(&digest.to_string())).map(String::as_str)
    }

    /// Each definition as [`examine`](crate::guard::examine) takes it.
    pub fn texts(&self) -> Vec<&str> {
        self.definitions.iter().map(String::as_str).collect()
    }
}

impl Pinned {
    /// The lock of this manifest. It lies beside the real file, wherever links to it are: that is the one in the
    /// repository.
    ///
    /// # Errors
    /// When the links lead in a circle.
    pub fn beside(system: &dyn System, manifest: &Path, store: &Store) -> Result<Self, FileError> {
        let path = follow(system, manifest)?.with_file_name(LOCK_FILE);
        Ok(Self { path, store: store.clone() })
    }

    /// Where the lock is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock; one that knows nothing where there is none.
    ///
    /// # Errors
    /// When it cannot be read. Then nothing is accepted, and nothing may be written over it.
    pub fn lock(&self, system: &dyn System) -> Result<Lock, PinError> {
        self.read(system).map(|(lock, _)| lock)
    }

    fn read(&self, system: &dyn System) -> Result<(Lock, Option<Vec<u8>>), PinError> {
        let real = follow(system, &self.path)?;
        let bytes = found(system.read(&real)).at(&self.path, "read")?;
        let name = reconcile::shown(system, &self.path);
        let lock = Lock::parse(&name, bytes.as_deref().unwrap_or_default()).map_err(PinError::Bad)?;
        Ok((lock, bytes))
    }

    /// Keeps what a server lists now, and what was accepted of what it listed before. Writes nothing when that is
    /// known. One process may do this, the one that runs the servers.
    ///
    /// # Errors
    /// When a file of the state directory cannot be read or written.
    pub fn seen(
        &self,
        system: &dyn System,
        server: &str,
        definitions: &[&str],
        lock: &Lock,
    ) -> Result<(), FileError> {
        let path = self.seen_path(server);
        let before: Option<Seen> = load_json(system, &path, FORMAT)?;
        let since = match &before {
            Some(before) if before.texts() == definitions => before.since.clone(),
            _ => rfc3339(system.now()),
        };
        let definitions: Vec<String> = definitions.iter().map(|text| (*text).to_owned()).collect();
        let mut now = Seen { server: server.to_owned(), since, definitions, accepted: BTreeMap::new() };
        let pins = lock.all().filter(|(name, _, _)| *name == server).map(|(_, _, digest)| digest);
        for digest in pins {
            let is_listed = now.text_of(digest).is_some();
            let text = before.as_ref().and_then(|before| before.text_of(digest));
            if let Some(text) = text.filter(|_| !is_listed) {
                now.accepted.insert(digest.to_string(), text.to_owned());
            }
        }
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        create_dirs(system, &self.store.path("tools"))?;
        save_json(system, &path, FORMAT, &now)
    }

    /// What every server listed last, by its name.
    ///
    /// # Errors
    /// When a file of the state directory cannot be read.
    pub fn last_seen(&self, system: &dyn System) -> Result<Vec<Seen>, FileError> {
        let dir = self.store.path("tools");
        let names = found(system.list(&dir)).at(&dir, "list")?.unwrap_or_default();
        let servers = names.iter().filter_map(|name| name.strip_suffix(".json"));
        let servers = servers.filter(|server| !server.starts_with('.'));
        let seen =
            servers.filter_map(|server| load_json(system, &self.seen_path(server), FORMAT).transpose());
        seen.collect()
    }

    /// Takes the tools of servers that were seen first into the lock, and says how many. Several servers at once are one
    /// run in the history.
    ///
    /// # Errors
    /// [`PinError::Busy`] while another run has the state; everything may be used meanwhile as if it were done.
    pub fn take_first(
        &self,
        system: &dyn System,
        command: &str,
        servers: &[(&str, &[Examined])],
    ) -> Result<usize, PinError> {
        let mut pins = Vec::new();
        for (server, examined) in servers {
            for one in examined.iter().filter(|one| one.state == State::First) {
                pins.push(Pin { server: (*server).to_owned(), tool: one.tool.clone(), digest: one.digest });
            }
        }
        if pins.is_empty() {
            return Ok(0);
        }
        let state = self.store.lock(system, command).map_err(PinError::Busy)?;
        reconcile::recover::recover(system, &self.store, &state)?;
        self.write(&Site { system, store: &self.store, lock: &state }, command, &pins)?;
        Ok(pins.len())
    }

    /// Changes the lock; everything else in it stays.
    ///
    /// # Errors
    /// When it cannot be read or written; then it is as it was.
    pub fn write(&self, site: &Site<'_>, command: &str, pins: &[Pin]) -> Result<(), PinError> {
        // Read under the state lock, so that nothing that another run accepted is lost.
        let (mut lock, before) = self.read(site.system)?;
        for Pin { server, tool, digest } in pins {
            match digest {
                Some(digest) => lock.accept(server, tool, *digest),
                None => lock.forget(server, tool),
            }
        }
        let after = lock.text().into_bytes();
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let edit = ManifestEdit { path: self.path.clone(), before, after };
        reconcile::write_manifests(site, command, vec![edit]).map_err(PinError::Run)
    }

    fn seen_path(&self, server: &str) -> PathBuf {
        self.store.path("tools").join(format!("{server}.json"))
    }
}

impl From<FileError> for PinError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(problem) => f.write_str(&problem.message),
            Self::Busy(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::Run(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for PinError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::examine;
    use crate::manifest::model::Trust;
    use crate::system::Memory;

    const ADD: &str = r#"{"name":"add","description":"Adds."}"#;
    const ADD_2: &str = r#"{"name":"add","description":"Adds two numbers."}"#;

    fn pinned(memory: &Memory) -> Pinned {
        let manifest = Path::new("/home/me/mcp.yaml");
        memory.write(manifest, b"version: 1\n");
        Pinned::beside(memory, manifest, &Store::at("/home/me/state")).expect("a lock")
    }

    /// As of a server that no lock knows.
    fn fresh() -> Vec<Examined> {
        examine(&Lock::default(), "other", &[ADD], Trust::FirstUse, &[])
    }

    #[test]
    fn the_first_tools_of_a_server_are_taken_in_and_nothing_else_is_lost() {
        let memory = Memory::default();
        let pinned = pinned(&memory);
        let lock = b"{\"version\": 1, \"servers\": {\"old\": {\"package\": \"x@1\"}}, \"mine\": 1}";
        memory.write(pinned.path(), lock);
        let examine = |texts: &[&str]| {
            examine(&pinned.lock(&memory).expect("a lock"), "math", texts, Trust::FirstUse, &[])
        };
        assert_eq!(pinned.take_first(&memory, "up", &[("math", &examine(&[ADD]))]).expect("taken"), 1);
        assert_eq!(examine(&[ADD])[0].state, State::Accepted);
        assert!(matches!(examine(&[ADD_2])[0].state, State::Changed { .. }));
        assert_eq!(pinned.take_first(&memory, "up", &[("math", &examine(&[ADD_2]))]).expect("nothing"), 0);
        let text = String::from_utf8(memory.contents(pinned.path()).expect("there")).expect("text");
        assert!(text.contains("\"package\": \"x@1\"") && text.contains("\"mine\": 1"), "{text}");
        let held = pinned.store.lock(&memory, "apply").expect("free");
        let busy = pinned.take_first(&memory, "up", &[("other", &fresh())]);
        assert!(matches!(busy, Err(PinError::Busy(_))));
        drop(held);
    }

    #[test]
    fn a_bad_lock_is_never_written_over() {
        let memory = Memory::default();
        let pinned = pinned(&memory);
        memory.write(pinned.path(), b"<<<<<<< HEAD");
        assert!(matches!(pinned.lock(&memory), Err(PinError::Bad(_))));
        let result = pinned.take_first(&memory, "up", &[("math", &fresh())]);
        assert!(matches!(result, Err(PinError::Bad(_))));
        assert_eq!(memory.contents(pinned.path()).expect("there"), b"<<<<<<< HEAD");
    }

    #[test]
    fn the_text_of_what_was_accepted_is_kept_while_the_lock_names_it() {
        let memory = Memory::default();
        let pinned = pinned(&memory);
        let (old, new) = (Digest::of(ADD).expect("one"), Digest::of(ADD_2).expect("one"));
        let mut lock = Lock::default();
        lock.accept("math", "add", old);
        for definitions in [ADD, ADD_2, ADD_2] {
            pinned.seen(&memory, "math", &[definitions], &lock).expect("kept");
        }
        let seen = pinned.last_seen(&memory).expect("read").remove(0);
        assert_eq!((seen.text_of(&old), seen.text_of(&new)), (Some(ADD), Some(ADD_2)));
        lock.accept("math", "add", new);
        pinned.seen(&memory, "math", &[ADD_2], &lock).expect("kept");
        let seen = pinned.last_seen(&memory).expect("read").remove(0);
        assert_eq!((seen.text_of(&old), seen.texts()), (None, vec![ADD_2]));
    }
}
