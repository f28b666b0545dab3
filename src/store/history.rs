use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{StateLock, Store, files};
use crate::system::{At, FileError, System, found};

/// One line of the history: a run that changed something, or tried to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1.
    pub format_version: u32,
    /// The run's name, which is also its backup's.
    pub id: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// What was asked for: `apply`, `undo` ..
    pub command: String,
    /// One sentence for people.
    pub summary: String,
    /// The files it was about.
    pub files: Vec<PathBuf>,
    /// How it ended.
    pub outcome: Result,
    /// The manifest's revision, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Result {
    /// Every file was changed.
    Done,
    /// Some files were changed, as `--keep-going` allows.
    Partly,
    /// No file was changed.
    RolledBack,
    /// It was cut off, and undone by a later run.
    Undone,
}

impl Result {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partly => "partly",
            Self::RolledBack => "rolled back",
            Self::Undone => "undone",
        }
    }
}

impl Store {
    /// All runs, oldest first. Lines that are torn or from a later format are left out.
    pub fn history(&self, system: &dyn System) -> std::result::Result<Vec<Entry>, FileError> {
        let path = self.path("history.jsonl");
        let bytes = found(system.read(&path)).at(&path, "read")?.unwrap_or_default();
        Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// Adds a run, unless it is there already.
    pub fn add_history(
        &self,
        system: &dyn System,
        _lock: &StateLock,
        entry: &Entry,
    ) -> std::result::Result<(), FileError> {
        let path = self.path("history.jsonl");
        let bytes = found(system.read(&path)).at(&path, "read")?.unwrap_or_default();
        let is_known =
            |line: &[u8]| serde_json::from_slice::<Entry>(line).is_ok_and(|known| known.id == entry.id);
        if bytes.rsplit(|byte| *byte == b'\n').take(50).any(is_known) {
            return Ok(());
        }
        // A torn last line must not swallow this one.
        let start = if bytes.last().is_none_or(|byte| *byte == b'\n') { "" } else { "\n" };
        let line = format!("{start}{}\n", serde_json::json!(entry));
        system.append(&path, line.as_bytes()).at(&path, "append to")?;
        system.sync(&path).at(&path, "flush")?;
        if bytes.is_empty() { files::sync_parent(system, &path) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Fault, Loss, Memory};

    fn entry(id: &str) -> Entry {
        Entry {
            format_version: 1,
            id: id.to_owned(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            command: "apply".to_owned(),
            summary: "1 file".to_owned(),
            files: vec!["/home/me/.claude.json".into()],
            outcome: Result::Done,
            revision: None,
        }
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let memory = Memory::default();
        let store = Store::at("/state");
        let lock = store.lock(&memory, "apply").expect("free");
        store.add_history(&memory, &lock, &entry("a")).expect("added");
        memory.fault(2, Fault::Torn);
        assert!(store.add_history(&memory, &lock, &entry("b")).is_err());
        memory.reboot(Loss::Nothing);
        store.add_history(&memory, &lock, &entry("c")).expect("added");
        store.add_history(&memory, &lock, &entry("c")).expect("known already");
        let ids: Vec<String> =
            store.history(&memory).expect("read").into_iter().map(|entry| entry.id).collect();
        assert_eq!(ids, ["a", "c"]);
    }
}
