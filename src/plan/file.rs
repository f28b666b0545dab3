//! The plan of one file as values: what goes into it, and what comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::decide::Action;
use super::ledger::FileRecord;
use crate::base::{Diagnostic, Fingerprint, Pointer};
use crate::desired::{Entry, Wish};
use crate::document::{Document, Format};

/// Everything that is wanted of one file: the desired side of its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// The file, as configured: the key of its record in the ledger.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
    /// What each client block wants; empty when only the ledger knows the file.
    pub wishes: Vec<Wish>,
    /// Client blocks that could not be resolved: what is theirs stays untouched.
    pub frozen: Vec<String>,
}

/// A live file.
pub struct Observed {
    /// The file after following links.
    pub real: PathBuf,
    /// What was found.
    pub state: State,
    /// Whether others than its owner can read it.
    pub is_open: bool,
}

/// What was found at a file's path.
pub enum State {
    /// Nothing.
    Absent,
    /// A document, with the fingerprint of its bytes.
    Present(Document, Fingerprint),
    /// Something that must not be touched (malformed, unreadable, a directory).
    Refused(Diagnostic),
}

/// Choices of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Entries of strangers with the name of ours become ours.
    pub adopt: bool,
    /// Nothing may be pruned: the manifest names no client at all.
    pub never_prune: bool,
    /// What changes what is run waits for a person.
    #[serde(default)]
    pub hold: bool,
}

/// What would be done to one file.
#[derive(Debug)]
pub struct FilePlan {
    /// What was wanted, so that the same plan can be made again over other bytes.
    pub wishes: Wishes,
    /// The file after following links.
    pub real: PathBuf,
    /// The fingerprint of the bytes it was made from; none for a missing file.
    pub before: Option<Fingerprint>,
    /// The old file, for showing.
    pub old: Option<Document>,
    /// The new bytes; none when the file is to be removed or nothing changes.
    pub new: Option<Vec<u8>>,
    /// Whether the file is removed: it was ours alone and is empty now.
    pub removes_file: bool,
    /// Entry by entry.
    pub steps: Vec<Step>,
    /// Prunings that need a word from the user.
    pub guards: Vec<Guard>,
    /// Why the file as a whole cannot be touched.
    pub refused: Option<Diagnostic>,
    /// The ledger's record once this is done; none when nothing of ours is left.
    pub record: Option<FileRecord>,
}

impl FilePlan {
    /// Whether only its owner may read it: the value of a secret stands in it.
    pub fn is_private(&self) -> bool {
        super::diff::is_private(&self.wishes)
    }

    /// Whether it is written for its permissions alone.
    pub fn only_closes(&self) -> bool {
        self.old.as_ref().zip(self.new.as_ref()).is_some_and(|(old, new)| old.bytes() == new.as_slice())
    }

    /// Whether the file's bytes change.
    pub fn writes(&self) -> bool {
        self.new.is_some() || self.removes_file
    }
}

/// What happens to one entry, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The client block.
    pub target: String,
    /// The client's id.
    pub client: String,
    /// The server.
    pub server: String,
    /// What happens.
    pub action: Action,
    /// Since we last wrote: ` ` same, `A` added, `D` deleted, `M` changed by somebody else.
    pub since: char,
    /// What apply will do: ` ` nothing, `A` add, `D` delete, `M` change, `!` refused.
    pub will: char,
    /// One sentence.
    pub why: String,
    /// Whether the value of a secret stands in the live file in place of a reference to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leak: bool,
    /// Whether it changes what is started or opened, what that is given or which of its tools may be seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unapproved: bool,
    /// What `mcpkeel exec` starts or opens for this entry, with its references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// The same for each server that is new or changed behind an entry of the gateway.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<String, String>,
    /// The problem behind a refusal.
    #[serde(skip)]
    pub problem: Option<Diagnostic>,
}

/// A pruning that needs a word from the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The client block.
    pub target: String,
    /// Entries that would be removed.
    pub removes: usize,
    /// Entries that are ours.
    pub owned: usize,
}

/// Entries by place, for finding two client blocks that want different things of one place.
pub fn clashes(wishes: &Wishes) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    if wishes.wishes.len() < 2 {
        return found;
    }
    let mut seen: IndexMap<&Pointer, (&Wish, &Entry)> = IndexMap::new();
    for wish in &wishes.wishes {
        for entry in wish.entries.iter().filter(|entry| entry.blocked.is_none() && !entry.omitted) {
            match seen.get(&entry.at) {
                Some((other, first)) if first.fields != entry.fields || first.sides != entry.sides => {
                    found.push((entry.server.clone(), other.target.clone(), wish.target.clone()));
                }
                Some(_) => {}
                None => {
                    seen.insert(&entry.at, (wish, entry));
                }
            }
        }
    }
    found
}
