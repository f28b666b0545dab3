use std::sync::Arc;
use std::time::Duration;

use super::reporting::Tell;
use crate::notice::{Notifier, Told, targets};
use crate::reconcile::Loaded;
use crate::store::{Event, EventKind, Store};
use crate::system::System;

/// How long a process that ends waits for what is still to be told.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells those whom `settings.notify` names, in the background.
pub struct Notices {
    system: Arc<dyn System>,
    store: Store,
    told: Told,
    notifier: Option<Notifier>,
}

impl Notices {
    /// Goes on from what an earlier run told.
    pub fn new(system: Arc<dyn System>, store: Store) -> Self {
        // What cannot be read was told once too often at worst.
        let told = Told::load(&*system, &store).unwrap_or_default();
        Self { system, store, told, notifier: None }
    }

    /// Takes in the events of a pass. What is news is told; what cannot be is said.
    pub fn hear(&mut self, events: &[Event], loaded: Option<&Loaded>, tell: &mut Tell<'_>) {
        if let Some(loaded) = loaded {
            let blocks =
                |client: &str| loaded.units.iter().any(|unit| unit.manifest.clients.contains_key(client));
            self.told.keep_only(blocks);
        }
        let news: Vec<&Event> = events.iter().filter(|event| self.told.is_news(event)).collect();
        if news.is_empty() {
            return;
        }
        let mut problems = Vec::new();
        if let Err(error) = self.told.save(&*self.system, &self.store) {
            problems.push(error.to_string());
        }
        let notify = loaded.map(|loaded| loaded.settings().notify).unwrap_or_default();
        for event in news.into_iter().filter(|_| !notify.is_empty()) {
            // Looked up anew for each: a target is used up by telling it, and holds a secret.
            let (targets, wrong) = targets(&*self.system, loaded.map_or(&[], |loaded| &loaded.units));
            problems.extend(wrong.into_iter().map(|problem| problem.message));
            match self.notifier() {
                Ok(notifier) => notifier.tell(event, targets),
                Err(error) => problems.push(format!("nobody can be told: {error}")),
            }
        }
        problems.dedup();
        for problem in problems {
            let event = Event::new(&*self.system, EventKind::Note, problem);
            tell(&event);
            // The log may be what is wrong.
            let _ = self.store.add_event(&*self.system, &event);
        }
    }

    /// Waits for what is still to be told.
    pub fn finish(&mut self) {
        if let Some(notifier) = self.notifier.take() {
            notifier.finish(PATIENCE);
        }
    }

    fn notifier(&mut self) -> std::io::Result<&Notifier> {
        let notifier = match self.notifier.take() {
            Some(notifier) => notifier,
            None => {
                let (system, store) = (self.system.clone(), self.store.clone());
                Notifier::start(move |problem| {
                    let event = Event::new(&*system, EventKind::Note, problem);
                    // There is no other place to say it.
                    let _ = store.add_event(&*system, &event);
                })?
            }
        };
        Ok(self.notifier.insert(notifier))
    }
}
