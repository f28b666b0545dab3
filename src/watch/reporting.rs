use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::metrics::Metrics;
use super::verdict::{Verdict, condition};
use crate::store::{Condition, Conditions, Event, EventKind, Stand, Store, Suspensions, rfc3339};
use crate::system::{FileError, System};

/// Whom the reconciler tells what happened.
pub type Tell<'a> = dyn FnMut(&Event) + 'a;

/// How everything stands, for whoever asks from another thread.
#[derive(Clone, Default)]
pub struct Snapshot(Arc<Mutex<Now>>);

/// How everything stands.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// The manifest and every client block.
    pub conditions: Conditions,
    /// Who is left alone.
    pub suspensions: Suspensions,
    /// The revision that is applied or about to be.
    pub revision: Option<String>,
    /// What was counted.
    pub metrics: Metrics,
}

impl Snapshot {
    /// As it is now.
    pub fn now(&self) -> Now {
        self.lock().clone()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what changes from pass to pass: conditions to the state directory, events to the log.
pub struct Reporter {
    /// For whoever asks.
    pub snapshot: Snapshot,
    conditions: Conditions,
    /// What the state directory says.
    saved: Option<Conditions>,
    /// Changes of conditions that nobody took yet.
    fresh: Vec<Event>,
}

impl Reporter {
    /// Goes on from what the state directory says.
    pub fn new(system: &dyn System, store: &Store, snapshot: Snapshot) -> Self {
        // Conditions that cannot be read are found out again.
        let conditions = store.conditions(system).unwrap_or_default();
        snapshot.change(|now| now.conditions = conditions.clone());
        Self { snapshot, saved: Some(conditions.clone()), conditions, fresh: Vec::new() }
    }

    /// Keeps an event and tells of it.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn event(
        &self,
        system: &dyn System,
        store: &Store,
        event: &Event,
        tell: &mut Tell<'_>,
    ) -> Result<(), FileError> {
        tell(event);
        store.add_event(system, event)
    }

    /// Takes in how client blocks stand after a pass over all of them, and the manifest. Returns an event
    /// for each change.
    pub fn stand(
        &mut self,
        system: &dyn System,
        manifest: Verdict,
        clients: Vec<(String, Verdict)>,
        revision: Option<&str>,
    ) -> Vec<Event> {
        let now = rfc3339(system.now());
        let mut events = Vec::new();
        let mut next = Conditions::default();
        let before = self.conditions.manifest.as_ref();
        let found = condition(manifest, before, &now, revision);
        events.extend(change(system, None, before, &found));
        next.manifest = Some(found);
        for (client, verdict) in clients {
            let before = self.conditions.clients.get(&client);
            let found = condition(verdict, before, &now, revision);
            events.extend(change(system, Some(&client), before, &found));
            next.clients.insert(client, found);
        }
        self.conditions = next;
        self.publish();
        self.fresh.extend(events.iter().cloned());
        events
    }

    /// Takes in that only the manifest stands differently.
    pub fn manifest_stands(&mut self, system: &dyn System, verdict: Verdict) -> Option<Event> {
        let before = self.conditions.manifest.as_ref();
        let revision = before.and_then(|before| before.revision.clone());
        let found = condition(verdict, before, &rfc3339(system.now()), revision.as_deref());
        let event = change(system, None, before, &found);
        self.conditions.manifest = Some(found);
        self.publish();
        self.fresh.extend(event.clone());
        event
    }

    /// Keeps how everything stands, if that changed.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn save(&mut self, system: &dyn System, store: &Store) -> Result<(), FileError> {
        if self.saved.as_ref() == Some(&self.conditions) {
            return Ok(());
        }
        store.save_conditions(system, &self.conditions)?;
        self.saved = Some(self.conditions.clone());
        Ok(())
    }

    /// The changes of conditions since the last time.
    pub fn take_fresh(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.fresh)
    }

    fn publish(&self) {
        self.snapshot.change(|now| now.conditions = self.conditions.clone());
    }
}

/// The event for a change of condition. Coming into being in step is none.
fn change(
    system: &dyn System,
    client: Option<&str>,
    before: Option<&Condition>,
    now: &Condition,
) -> Option<Event> {
    let is_same =
        before.is_some_and(|before| before.condition == now.condition && before.reason == now.reason);
    let is_quiet_start = before.is_none() && now.condition == Stand::Ready && now.reason == "InSync";
    if is_same || is_quiet_start {
        return None;
    }
    Some(Event {
        client: client.map(str::to_owned),
        condition: Some(now.condition),
        reason: Some(now.reason.clone()),
        revision: now.revision.clone(),
        ..Event::new(system, EventKind::Condition, now.message.clone())
    })
}
