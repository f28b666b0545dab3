use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{StateLock, Store, files, load_json};
use crate::base::Fingerprint;
use crate::system::{At, FileError, System, found};

const FORMAT: u32 = 1;

/// What one run replaced: enough to put every file back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The run's name.
    pub id: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// What was asked for.
    pub command: String,
    /// The manifest's revision, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The files that were changed.
    pub files: Vec<BackedUp>,
    /// Directories that the run made, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<PathBuf>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// As configured, before links were followed.
    pub path: PathBuf,
    /// What was there; none if nothing was.
    pub before: Option<Before>,
    /// What the run wrote; none if it removed the file.
    pub after: Option<Fingerprint>,
}

/// A content that is kept, with the permission bits of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The content's name in the object store.
    pub fingerprint: Fingerprint,
    /// Unix permission bits.
    pub mode: u32,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Backups that were dropped.
    pub backups: usize,
    /// Contents that were dropped, since nothing refers to them now.
    pub objects: usize,
}

impl Store {
    /// Keeps a content, once.
    pub fn keep_object(&self, system: &dyn System, bytes: &[u8]) -> Result<Fingerprint, FileError> {
        let print = Fingerprint::of(bytes);
        let path = self.object(print);
        // A damaged object would only be found when it is needed most.
        if found(system.read(&path)).at(&path, "read")?.is_none_or(|kept| kept != bytes) {
            files::write_file(system, &path, bytes)?;
        }
        Ok(print)
    }

    /// A kept content, checked against its name.
    pub fn load_object(&self, system: &dyn System, print: Fingerprint) -> Result<Vec<u8>, FileError> {
        let path = self.object(print);
        let bytes = system.read(&path).at(&path, "read")?;
        if Fingerprint::of(&bytes) != print {
            let why = "its content is not the one it is named after: the backup is damaged";
            return Err(FileError::new(&path, "read", ErrorKind::InvalidData, why));
        }
        Ok(bytes)
    }

    /// Names of all backups, oldest first.
    pub fn backup_ids(&self, system: &dyn System) -> Result<Vec<String>, FileError> {
        let names = self.names(system, "backups", ".json")?;
        Ok(names.into_iter().filter(|name| !name.starts_with('.')).collect())
    }

    /// A backup; `None` if there is none of this name.
    pub fn load_backup(&self, system: &dyn System, id: &str) -> Result<Option<Backup>, FileError> {
        if id.contains(['/', '\\']) || id.starts_with('.') {
            return Ok(None);
        }
        load_json(system, &self.backup(id), FORMAT)
    }

    /// Adds a backup, whose contents are kept already.
    pub fn add_backup(
        &self,
        system: &dyn System,
        _lock: &StateLock,
        backup: &Backup,
    ) -> Result<(), FileError> {
        let path = self.backup(&backup.id);
        let text = files::json_text(&path, FORMAT, backup)?;
        files::write_file(system, &path, text.as_bytes())
    }

    /// Drops all but the newest `keep` backups, and every content that no backup refers to. Repairs by
    /// `watch` are counted by themselves, so that they do not push out what a person did.
    ///
    /// A backup that cannot be read is left alone, and then so are all contents.
    pub fn prune_backups(
        &self,
        system: &dyn System,
        _lock: &StateLock,
        keep: usize,
    ) -> Result<Saved, FileError> {
        let (mut watched, mut asked) = (Vec::new(), Vec::new());
        for id in self.backup_ids(system)? {
            let backup = self.load_backup(system, &id).ok().flatten();
            let is_watch = backup.as_ref().is_some_and(|backup| backup.command == "watch");
            if is_watch { &mut watched } else { &mut asked }.push((id, backup));
        }
        let mut kept = Vec::new();
        let mut saved = Saved::default();
        for mut kind in [watched, asked] {
            kept.extend(kind.split_off(kind.len().saturating_sub(keep)));
            saved.backups += kind.len();
            for (id, _) in &kind {
                // The books of that time lie beside it.
                for path in [self.path(&format!("backups/{id}.ledger")), self.backup(id)] {
                    found(system.remove_file(&path)).at(&path, "remove")?;
                }
            }
        }
        // A run that was cut off still needs its contents.
        if !self.journal_ids(system)?.is_empty() {
            return Ok(saved);
        }
        let mut used = BTreeSet::new();
        for (_, backup) in &kept {
            let Some(backup) = backup else { return Ok(saved) };
            used.extend(backup.files.iter().filter_map(|file| Some(file.before?.fingerprint.to_string())));
        }
        for name in self.names(system, "backups/objects", "")? {
            if !used.contains(&name) {
                let path = self.path("backups/objects").join(name);
                found(system.remove_file(&path)).at(&path, "remove")?;
                saved.objects += 1;
            }
        }
        Ok(saved)
    }

    fn object(&self, print: Fingerprint) -> PathBuf {
        self.path("backups/objects").join(print.to_string())
    }

    fn backup(&self, id: &str) -> PathBuf {
        self.path("backups").join(Path::new(&format!("{id}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Memory;

    fn backup(id: &str, before: Fingerprint) -> Backup {
        let before = Some(Before { fingerprint: before, mode: 0o600 });
        let file = BackedUp { path: "/home/me/x".into(), before, after: None };
        let (at, command) = ("2026-01-01T00:00:00Z".to_owned(), "apply".to_owned());
        Backup { id: id.to_owned(), at, command, revision: None, files: vec![file], dirs: Vec::new() }
    }

    #[test]
    fn keeps_the_newest_and_what_they_need() {
        let memory = Memory::default();
        let store = Store::at("/state");
        let lock = store.lock(&memory, "apply").expect("free");
        let [one, two] = [b"one", b"two"].map(|bytes| store.keep_object(&memory, bytes).expect("kept"));
        for (id, print) in [("1", one), ("2", two), ("3", two)] {
            store.add_backup(&memory, &lock, &backup(id, print)).expect("added");
        }
        let saved = store.prune_backups(&memory, &lock, 2).expect("pruned");
        assert_eq!(saved, Saved { backups: 1, objects: 1 });
        assert_eq!(store.backup_ids(&memory).expect("listed"), ["2", "3"]);
        assert_eq!(store.load_backup(&memory, "3").expect("read"), Some(backup("3", two)));
        assert_eq!(store.load_object(&memory, two).expect("kept"), b"two");
        assert!(store.load_object(&memory, one).is_err());
    }

    #[test]
    fn repairs_by_watch_do_not_push_out_what_a_person_did() {
        let memory = Memory::default();
        let store = Store::at("/state");
        let lock = store.lock(&memory, "watch").expect("free");
        let print = store.keep_object(&memory, b"before").expect("kept");
        store.add_backup(&memory, &lock, &backup("1", print)).expect("added");
        for id in ["2", "3", "4"] {
            let repair = Backup { command: "watch".to_owned(), ..backup(id, print) };
            store.add_backup(&memory, &lock, &repair).expect("added");
        }
        store.prune_backups(&memory, &lock, 2).expect("pruned");
        assert_eq!(store.backup_ids(&memory).expect("listed"), ["1", "3", "4"]);
    }

    #[test]
    fn a_damaged_object_is_noticed_and_mended() {
        let memory = Memory::default();
        let store = Store::at("/state");
        let _lock = store.lock(&memory, "apply").expect("free");
        let print = store.keep_object(&memory, b"content").expect("kept");
        memory.write(&store.object(print), b"bit rot");
        let error = store.load_object(&memory, print).expect_err("damaged").to_string();
        assert!(error.contains("the backup is damaged"), "{error}");
        store.keep_object(&memory, b"content").expect("kept");
        assert_eq!(store.load_object(&memory, print).expect("mended"), b"content");
    }
}
