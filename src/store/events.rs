use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Store;
use crate::system::{At, FileError, System, found};

/// The log of events is cut to its newer half when it is longer than this, in bytes.
const MOST: u64 = 4 << 20;

/// What `watch` noticed or did: one line of `events.jsonl`. Never holds a value of a user's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// 1.
    pub format_version: u32,
    /// RFC 3339, UTC, with milliseconds.
    pub at: String,
    /// What kind of event it is.
    pub event: Kind,
    /// The client block it is about; none for the manifest, or for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// How the client, or the manifest, stands from now on; with [`Kind::Condition`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Stand>,
    /// One word in CamelCase: `InSync`, `Malformed`, `Rewritten` ..
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One sentence for people.
    pub message: String,
    /// The manifest's revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The run's name in the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The files it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
}

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `watch` began.
    Started,
    /// `watch` ended.
    Stopped,
    /// A client's condition changed, or the manifest's.
    Condition,
    /// Files were changed.
    Applied,
    /// The manifest has a new revision.
    Revision,
    /// A client was suspended.
    Suspended,
    /// A client goes on.
    Resumed,
    /// A revision was approved.
    Approved,
    /// A call waits for a person.
    ApprovalNew,
    /// Such a call was approved, rejected, made, or nobody answered in time.
    ApprovalUpdated,
    /// Something that a person may want to know.
    Note,
}

/// How a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stand {
    /// In step with the manifest, or as far from it as its `drift:` allows.
    Ready,
    /// On the way there.
    Reconciling,
    /// It cannot get there without a person.
    Stalled,
    /// Another program keeps writing over our entries; we wait longer each time.
    Contended,
}

impl Kind {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Condition => "condition",
            Self::Applied => "applied",
            Self::Revision => "revision",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::Approved => "approved",
            Self::ApprovalNew => "approval-new",
            Self::ApprovalUpdated => "approval-updated",
            Self::Note => "note",
        }
    }
}

impl Stand {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Contended => "Contended",
        }
    }
}

impl Event {
    /// Of this kind, now.
    pub fn new(system: &dyn System, event: Kind, message: impl Into<String>) -> Self {
        Self {
            format_version: 1,
            at: super::time::rfc3339_millis(system.now()),
            event,
            client: None,
            condition: None,
            reason: None,
            message: message.into(),
            revision: None,
            run: None,
            files: Vec::new(),
        }
    }
}

impl Store {
    /// All events that are kept, oldest first. Lines that are torn or from a later format are left out.
    pub fn events(&self, system: &dyn System) -> Result<Vec<Event>, FileError> {
        let path = self.path("events.jsonl");
        let bytes = found(system.read(&path)).at(&path, "read")?.unwrap_or_default();
        Ok(events_of(&bytes))
    }

    /// Adds an event. Several processes may do that at once: a line is appended in one piece.
    pub fn add_event(&self, system: &dyn System, event: &Event) -> Result<(), FileError> {
        let path = self.path("events.jsonl");
        // The newline in front keeps a torn line from swallowing this one.
        let line = format!("\n{}\n", serde_json::json!(event));
        system.append(&path, line.as_bytes()).at(&path, "append to")?;
        let length = system.meta(&path).at(&path, "look at")?.len;
        if length > MOST { self.cut_events(system) } else { Ok(()) }
    }

    fn cut_events(&self, system: &dyn System) -> Result<(), FileError> {
        let path = self.path("events.jsonl");
        let bytes = system.read(&path).at(&path, "read")?;
        let half = &bytes[bytes.len() / 2..];
        let start = half.iter().position(|byte| *byte == b'\n').map_or(half.len(), |at| at + 1);
        super::write_file(system, &path, &half[start..])
    }
}

/// The events that stand in these bytes.
pub fn events_of(bytes: &[u8]) -> Vec<Event> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Memory;

    #[test]
    fn the_log_stays_bounded_and_keeps_the_newest() {
        let memory = Memory::default();
        let store = Store::at("/state");
        drop(store.lock(&memory, "watch").expect("free"));
        let long = "x".repeat(64 << 10);
        for number in 0..200 {
            store
                .add_event(&memory, &Event::new(&memory, Kind::Note, format!("{number} {long}")))
                .expect("added");
        }
        let events = store.events(&memory).expect("read");
        assert!(events.last().is_some_and(|event| event.message.starts_with("199 ")));
        assert!(events.len() < 100, "{}", events.len());
        let numbers: Vec<u32> = events
            .iter()
            .map(|event| event.message.split(' ').next().and_then(|number| number.parse().ok()).expect("one"))
            .collect();
        assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{numbers:?}");
    }
}
