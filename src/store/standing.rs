//! What outlives a run of `watch`: how clients stand, who is suspended, what was approved, which
//! process watches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Stand, Store, from_rfc3339, load_json, rfc3339, save_json};
use crate::system::{At as _, FileError, Lock, System, found};

const FORMAT: u32 = 1;

/// How the manifest and every client block stand: `conditions.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The manifest: whether it can be had and read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Condition>,
    /// By the client block's key.
    #[serde(default)]
    pub clients: BTreeMap<String, Condition>,
}

/// How one of them stands, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// In one word.
    pub condition: Stand,
    /// Why, in one word in CamelCase.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
    /// Since when it stands this way for this reason, RFC 3339.
    pub since: String,
    /// The revision that was applied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// Clients that `watch` leaves alone: `suspended.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspensions {
    /// All clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Suspension>,
    /// By the client block's key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, Suspension>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when, RFC 3339.
    pub since: String,
    /// Until when, RFC 3339; none for until it is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The revision that may change what is run: `approved.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The whole revision.
    pub revision: String,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub by: String,
}

/// The process that watches: `watch.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watching {
    /// Its process.
    pub pid: u32,
    /// The machine start that the process belongs to.
    pub boot_id: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Its version.
    pub version: String,
    /// The manifest.
    pub manifest: PathBuf,
    /// Its control socket, or pipe.
    pub socket: PathBuf,
}

impl Suspension {
    /// From now on.
    pub fn new(system: &dyn System, lasting: Option<std::time::Duration>, why: Option<String>) -> Self {
        let now = system.now();
        let until = lasting.and_then(|lasting| now.checked_add(lasting));
        Self { since: rfc3339(now), until: until.map(rfc3339), why }
    }

    /// When it ends by itself.
    pub fn end(&self) -> Option<SystemTime> {
        self.until.as_deref().and_then(from_rfc3339)
    }

    /// Whether it is over. One whose end cannot be read stays.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.end().is_some_and(|end| end <= now)
    }
}

impl Suspensions {
    /// The one that holds for this client block.
    pub fn of(&self, client: &str, now: SystemTime) -> Option<&Suspension> {
        let own = self.clients.get(client).filter(|suspension| !suspension.is_over(now));
        own.or_else(|| self.all.as_ref().filter(|suspension| !suspension.is_over(now)))
    }

    /// The next moment at which one of them is over by itself.
    pub fn next_end(&self, now: SystemTime) -> Option<SystemTime> {
        let all = self.all.iter().chain(self.clients.values());
        all.filter_map(Suspension::end).filter(|end| *end > now).min()
    }

    /// Drops those that are over.
    pub fn tidy(&mut self, now: SystemTime) {
        self.clients.retain(|_, suspension| !suspension.is_over(now));
        self.all = self.all.take().filter(|suspension| !suspension.is_over(now));
    }
}

impl Store {
    /// How everything stood last.
    pub fn conditions(&self, system: &dyn System) -> Result<Conditions, FileError> {
        Ok(load_json(system, &self.path("conditions.json"), FORMAT)?.unwrap_or_default())
    }

    /// Keeps how everything stands.
    pub fn save_conditions(&self, system: &dyn System, conditions: &Conditions) -> Result<(), FileError> {
        save_json(system, &self.path("conditions.json"), FORMAT, conditions)
    }

    /// Who is suspended.
    pub fn suspensions(&self, system: &dyn System) -> Result<Suspensions, FileError> {
        Ok(load_json(system, &self.path("suspended.json"), FORMAT)?.unwrap_or_default())
    }

    /// Keeps who is suspended.
    pub fn save_suspensions(&self, system: &dyn System, suspensions: &Suspensions) -> Result<(), FileError> {
        self.prepare(system)?;
        save_json(system, &self.path("suspended.json"), FORMAT, suspensions)
    }

    /// What was approved last.
    pub fn approval(&self, system: &dyn System) -> Result<Option<Approval>, FileError> {
        load_json(system, &self.path("approved.json"), FORMAT)
    }

    /// Keeps what was approved.
    pub fn save_approval(&self, system: &dyn System, approval: &Approval) -> Result<(), FileError> {
        self.prepare(system)?;
        save_json(system, &self.path("approved.json"), FORMAT, approval)
    }

    /// The right to watch: one process at a time has it. None if another one does.
    pub fn lock_watch(&self, system: &dyn System) -> Result<Option<Box<dyn Lock>>, FileError> {
        self.prepare(system)?;
        let path = self.path("watch.lock");
        system.try_lock(&path).at(&path, "lock")
    }

    /// The process that watches now. Writes nothing.
    pub fn watching(&self, system: &dyn System) -> Result<Option<Watching>, FileError> {
        let watching: Option<Watching> = load_json(system, &self.path("watch.json"), FORMAT)?;
        Ok(watching
            .filter(|watching| watching.boot_id == system.boot_id() && system.is_running(watching.pid)))
    }

    /// Says which process watches.
    pub fn save_watching(&self, system: &dyn System, watching: &Watching) -> Result<(), FileError> {
        save_json(system, &self.path("watch.json"), FORMAT, watching)
    }

    /// Says that none does any more.
    pub fn drop_watching(&self, system: &dyn System) -> Result<(), FileError> {
        let path = self.path("watch.json");
        found(system.remove_file(&path)).at(&path, "remove").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::system::Memory;

    #[test]
    fn a_suspension_ends_by_itself() {
        let memory = Memory::default();
        let store = Store::at("/state");
        let mut suspensions = store.suspensions(&memory).expect("none yet");
        let hour = Duration::from_secs(3600);
        suspensions.clients.insert("cursor".into(), Suspension::new(&memory, Some(hour), None));
        suspensions.clients.insert("zed".into(), Suspension::new(&memory, None, Some("testing".into())));
        store.save_suspensions(&memory, &suspensions).expect("saved");
        let mut suspensions = store.suspensions(&memory).expect("read");
        let now = memory.now();
        assert!(suspensions.of("cursor", now).is_some() && suspensions.of("codex", now).is_none());
        let later = now + hour;
        assert_eq!(suspensions.next_end(now).map(rfc3339), Some(rfc3339(later)));
        assert!(suspensions.of("cursor", later).is_none() && suspensions.of("zed", later).is_some());
        suspensions.all = Some(Suspension::new(&memory, Some(hour), None));
        assert!(suspensions.of("codex", now).is_some());
        suspensions.tidy(later);
        assert_eq!(suspensions.clients.keys().collect::<Vec<_>>(), ["zed"]);
        assert_eq!(suspensions.all, None);
    }
}
