use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::about;
use super::inbox::Inbox;
use crate::manifest::model::ManifestSource;
use crate::manifest::values;
use crate::reconcile::{self, Care, Which};
use crate::source::{Fetched, Problem};
use crate::store::Store;
use crate::system::System;

/// How often a repository is asked when its manifest does not say.
const USUAL: Duration = Duration::from_secs(300);

/// How soon after a first failure it is asked again; twice as long after each further one.
const SOON: Duration = Duration::from_secs(10);

/// Asks the manifest's repository from time to time, in the background: a slow network holds nothing up.
pub struct Fetching {
    system: Arc<dyn System>,
    store: Store,
    manifest: PathBuf,
    inbox: Arc<Inbox>,
    /// When to ask next; none while there is no source.
    next: Option<Duration>,
    under_way: bool,
    failures: u32,
    outcome: Arc<Mutex<Option<Result<Fetched, Problem>>>>,
}

impl Fetching {
    /// Nothing is known yet, so the first time is now.
    pub fn new(system: Arc<dyn System>, store: Store, manifest: PathBuf, inbox: Arc<Inbox>) -> Self {
        Self {
            system,
            store,
            manifest,
            inbox,
            next: None,
            under_way: false,
            failures: 0,
            outcome: Arc::default(),
        }
    }

    /// Asks, if it is time, or at once if somebody wants to know.
    pub fn ask(&mut self, source: Option<&ManifestSource>, at_once: bool) {
        if source.is_none() {
            self.next = None;
            return;
        }
        let now = self.system.ticks();
        let next = *self.next.get_or_insert(now);
        if self.under_way || !at_once && now < next {
            return;
        }
        let (system, store, manifest) = (self.system.clone(), self.store.clone(), self.manifest.clone());
        let (outcome, inbox) = (self.outcome.clone(), self.inbox.clone());
        let asking = std::thread::Builder::new().name("fetch".to_owned()).spawn(move || {
            let fetched = fetch(&*system, &store, &manifest);
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
            inbox.wake();
        });
        // Without a thread to be had it is tried again like after any failure.
        self.under_way = asking.is_ok();
        self.next = Some(now + if self.under_way { Duration::from_secs(3600) } else { SOON });
    }

    /// What came of it, once.
    pub fn take(&mut self, source: Option<&ManifestSource>) -> Option<Result<Fetched, Problem>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.under_way = false;
        self.failures = if outcome.is_ok() { 0 } else { self.failures + 1 };
        let interval = source.and_then(|source| source.interval.as_deref()).and_then(values::duration);
        let interval = interval.unwrap_or(USUAL);
        let wait = match self.failures {
            0 => interval,
            failures => (SOON * (1 << (failures - 1).min(10))).min(interval),
        };
        self.next = Some(self.system.ticks() + about(&*self.system, wait));
        Some(outcome)
    }

    /// When it is time.
    pub fn next(&self) -> Option<Duration> {
        self.next
    }
}

/// Asks the repository of a manifest, in this thread.
///
/// # Errors
/// Why there is no new revision; the last good one stays.
pub fn fetch(system: &dyn System, store: &Store, manifest: &std::path::Path) -> Result<Fetched, Problem> {
    let loaded = reconcile::load(system, manifest, store.dir(), Which::Newest, Care::Quick);
    reconcile::fetch(system, &loaded, store.dir())
}
