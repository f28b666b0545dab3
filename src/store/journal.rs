use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Backup, Entry, StateLock, Store, files};
use crate::base::Fingerprint;
use crate::system::{At, FileError, System, found};

/// A line of a journal. Each is on the disk before what it announces is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The first one.
    Run(Header),
    /// Directories that are about to be made, outermost first.
    Dirs(Dirs),
    /// A file is about to be replaced.
    Round(Round),
    /// All files are done: the run counts, and only its own files remain to be written.
    Commit(Box<Commit>),
    /// The run does not count after all.
    Abort,
}

/// What a run set out to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// 1.
    pub format_version: u32,
    /// The run's name.
    pub id: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// What was asked for.
    pub command: String,
    /// The files it is about; rounds name them by their place in this list.
    pub files: Vec<JournalFile>,
}

/// One file of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalFile {
    /// As configured, before links were followed.
    pub path: PathBuf,
    /// The client's own lock, with the seconds after which it is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<(PathBuf, u32)>,
    /// The directory of the real file at the start: a name of ours may lie there although a link has led
    /// elsewhere since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
}

/// Directories that a run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dirs {
    /// Outermost first.
    pub made: Vec<PathBuf>,
}

/// One try at replacing one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Which file of the header.
    pub file: usize,
    /// The real file, links followed.
    pub real: PathBuf,
    /// The name beside it: first of the new content, afterwards of the old one.
    pub temp: PathBuf,
    /// What is expected there; none for nothing.
    pub from: Option<Fingerprint>,
    /// What is put there; none for nothing.
    pub to: Option<Fingerprint>,
    /// The permission bits of what is there, for the case that it must be made anew.
    pub mode: u32,
    /// Whether this puts back what was there, so that `to` is not ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

/// What is left to be written once the run counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Files of the state directory, with their contents.
    pub state: Vec<StateFile>,
    /// The run's backup.
    pub backup: Option<Backup>,
    /// The run's line in the history; none if it changed nothing.
    pub history: Option<Entry>,
}

/// A file of the state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    /// Its name in the state directory, `ledger.json`.
    pub name: String,
    /// Its whole content.
    pub text: String,
}

/// A journal as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// What the run set out to do.
    pub header: Header,
    /// The lines after that, in order. Torn ones are left out: what they announce was not begun.
    pub lines: Vec<Line>,
}

impl Journal {
    /// Directories that the run made, outermost first.
    pub fn made_dirs(&self) -> impl DoubleEndedIterator<Item = &PathBuf> {
        let made = self.lines.iter().filter_map(|line| match line {
            Line::Dirs(dirs) => Some(&dirs.made),
            _ => None,
        });
        made.flatten()
    }

    /// What is left to be written, if the run counts.
    pub fn commit(&self) -> Option<&Commit> {
        self.lines.iter().rev().find_map(|line| match line {
            Line::Commit(commit) => Some(Some(&**commit)),
            Line::Abort => Some(None),
            _ => None,
        })?
    }

    /// The tries, in order.
    pub fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.lines.iter().filter_map(|line| if let Line::Round(round) = line { Some(round) } else { None })
    }
}

impl Store {
    /// Names of runs that are under way or were cut off, oldest first.
    pub fn journal_ids(&self, system: &dyn System) -> Result<Vec<String>, FileError> {
        self.names(system, "journal", ".jsonl")
    }

    /// A journal; `None` if it was cut off before its first line was whole: then nothing was begun.
    pub fn load_journal(&self, system: &dyn System, id: &str) -> Result<Option<Journal>, FileError> {
        let path = self.journal(id);
        let bytes = found(system.read(&path)).at(&path, "read")?.unwrap_or_default();
        let mut lines =
            bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let Some(Line::Run(header)) = lines.next() else { return Ok(None) };
        Ok(Some(Journal { header, lines: lines.collect() }))
    }

    /// Adds a line, on the disk when this returns.
    pub fn add_journal(
        &self,
        system: &dyn System,
        _lock: &StateLock,
        id: &str,
        line: &Line,
    ) -> Result<(), FileError> {
        let path = self.journal(id);
        // The newline in front keeps a line that was torn by a full disk from swallowing this one.
        let text = match line {
            Line::Run(_) => format!("{}\n", serde_json::json!(line)),
            _ => format!("\n{}\n", serde_json::json!(line)),
        };
        system.append(&path, text.as_bytes()).at(&path, "append to")?;
        system.sync(&path).at(&path, "flush")?;
        if matches!(line, Line::Run(_)) { files::sync_parent(system, &path) } else { Ok(()) }
    }

    /// Drops a journal: the run is over.
    pub fn drop_journal(&self, system: &dyn System, _lock: &StateLock, id: &str) -> Result<(), FileError> {
        let path = self.journal(id);
        found(system.remove_file(&path)).at(&path, "remove")?;
        files::sync_parent(system, &path)
    }

    fn journal(&self, id: &str) -> PathBuf {
        self.path("journal").join(format!("{id}.jsonl"))
    }
}
