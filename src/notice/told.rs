//! Which events are news.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::{Event, EventKind, Stand, Store, load_json, save_json};
use crate::system::{FileError, System};

/// Where it is kept between two runs of `watch`.
const FILE: &str = "notices.json";

/// What was told last of each subject, so that nothing is told twice in a row, by a later run neither.
///
/// A subject is a client block, or the manifest itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<Last>,
    #[serde(default)]
    clients: BTreeMap<String, Last>,
}

/// How a subject stood when it was told of last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    condition: Stand,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Told {
    /// What an earlier run told; nothing if there was none.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged. Starting with nothing then tells again what still stands.
    pub fn load(system: &dyn System, store: &Store) -> Result<Self, FileError> {
        Ok(load_json(system, &store.path(FILE), 1)?.unwrap_or_default())
    }

    /// Keeps it for the next run. Only one process at a time may do that.
    pub fn save(&self, system: &dyn System, store: &Store) -> Result<(), FileError> {
        save_json(system, &store.path(FILE), 1, self)
    }

    /// Whether this event is news; if so, it counts as told from here on.
    ///
    /// Being on the way is none. Being in step is, once something else was told.
    pub fn is_news(&mut self, event: &Event) -> bool {
        let (EventKind::Condition, Some(condition)) = (event.event, event.condition) else { return false };
        let now = Last { condition, reason: event.reason.clone() };
        let last = match &event.client {
            Some(client) => self.clients.get(client),
            None => self.manifest.as_ref(),
        };
        let is_news = match condition {
            Stand::Reconciling => false,
            Stand::Ready => last.is_some_and(|last| last.condition != Stand::Ready),
            Stand::Stalled | Stand::Contended => last != Some(&now),
        };
        if is_news {
            match &event.client {
                Some(client) => drop(self.clients.insert(client.clone(), now)),
                None => self.manifest = Some(now),
            }
        }
        is_news
    }

    /// Forgets clients that the manifest no longer names: one that comes back is a new one.
    pub fn keep_only(&mut self, is_named: impl Fn(&str) -> bool) {
        self.clients.retain(|client, _| is_named(client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Memory;
    use proptest::prelude::*;

    fn event(client: Option<&str>, condition: Stand, reason: &str) -> Event {
        let mut event = Event::new(&Memory::default(), EventKind::Condition, "x");
        event.client = client.map(str::to_owned);
        event.condition = Some(condition);
        event.reason = Some(reason.to_owned());
        event
    }

    #[track_caller]
    fn tells(told: &mut Told, changes: &[(Stand, &str, bool)]) {
        for (condition, reason, expected) in changes {
            let is_news = told.is_news(&event(Some("cursor"), *condition, reason));
            assert_eq!(is_news, *expected, "{condition:?} {reason}");
        }
    }

    #[test]
    fn tells_each_change_once() {
        use Stand::{Contended, Ready, Reconciling, Stalled};
        let mut told = Told::default();
        tells(
            &mut told,
            &[
                (Ready, "InSync", false),
                (Stalled, "Malformed", true),
                (Reconciling, "Changed", false),
                (Stalled, "Malformed", false),
                (Stalled, "Conflict", true),
                (Contended, "Rewritten", true),
                (Ready, "InSync", true),
                (Ready, "DriftReported", false),
                (Stalled, "Malformed", true),
            ],
        );
        assert!(told.is_news(&event(None, Stalled, "Malformed")), "the manifest is another subject");
        assert!(told.is_news(&event(Some("zed"), Stalled, "Malformed")), "so is another client");
    }

    #[test]
    fn other_events_are_no_news() {
        let mut told = Told::default();
        let mut note = event(Some("cursor"), Stand::Stalled, "Malformed");
        note.event = EventKind::Note;
        assert!(!told.is_news(&note));
    }

    #[test]
    fn a_restart_tells_nothing_again() {
        let memory = Memory::default();
        let store = Store::at("/state");
        drop(store.lock(&memory, "watch").expect("free"));
        let mut told = Told::load(&memory, &store).expect("none yet");
        assert!(told.is_news(&event(Some("cursor"), Stand::Stalled, "Malformed")));
        assert!(told.is_news(&event(None, Stand::Stalled, "Unverified")));
        told.save(&memory, &store).expect("saved");
        let mut again = Told::load(&memory, &store).expect("read");
        assert_eq!(again, told);
        assert!(!again.is_news(&event(Some("cursor"), Stand::Stalled, "Malformed")));
        assert!(again.is_news(&event(Some("cursor"), Stand::Ready, "InSync")));
    }

    #[test]
    fn a_client_that_comes_back_is_a_new_one() {
        let mut told = Told::default();
        assert!(told.is_news(&event(Some("cursor"), Stand::Stalled, "Malformed")));
        told.keep_only(|client| client != "cursor");
        assert!(told.is_news(&event(Some("cursor"), Stand::Stalled, "Malformed")));
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let stand = prop_oneof![
            Just(Stand::Ready),
            Just(Stand::Reconciling),
            Just(Stand::Stalled),
            Just(Stand::Contended)
        ];
        let client = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
        let kind = prop_oneof![4 => Just(EventKind::Condition), 1 => Just(EventKind::Note)];
        let one = (client, stand, prop_oneof![Just("X"), Just("Y")], kind)
            .prop_map(|(client, stand, reason, kind)| Event { event: kind, ..event(client, stand, reason) });
        proptest::collection::vec(one, 0..40)
    }

    /// What stands after one another: without what is on the way, reasons of being in step, repetitions, and
    /// being in step at first.
    fn changes(events: &[&Event]) -> Vec<(Stand, Option<String>)> {
        let mut changes: Vec<_> = events
            .iter()
            .filter(|event| event.event == EventKind::Condition)
            .map(|event| (event.condition.expect("one"), event.reason.clone()))
            .filter(|(condition, _)| *condition != Stand::Reconciling)
            .map(|(condition, reason)| (condition, reason.filter(|_| condition != Stand::Ready)))
            .collect();
        changes.dedup();
        changes.into_iter().skip_while(|(condition, _)| *condition == Stand::Ready).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
        #[test]
        fn every_change_is_told_once_whenever_watch_is_restarted(events in events(), restart in 0_usize..40) {
            let mut told = Told::default();
            let mut notices = Vec::new();
            for (index, event) in events.iter().enumerate() {
                if index == restart {
                    told = serde_json::from_value(serde_json::json!(told)).expect("the same");
                }
                if told.is_news(event) {
                    notices.push(event);
                }
            }
            for client in [None, Some("a"), Some("b")] {
                let of = |events: &[&Event]| -> Vec<Event> {
                    let of = events.iter().filter(|event| event.client.as_deref() == client);
                    of.map(|event| (*event).clone()).collect()
                };
                let (notices, all) = (of(&notices), of(&events.iter().collect::<Vec<_>>()));
                for pair in notices.windows(2) {
                    let said = |event: &Event| (event.condition, event.reason.clone());
                    prop_assert_ne!(said(&pair[0]), said(&pair[1]));
                }
                let said: Vec<_> = notices.iter().map(|event| {
                    let condition = event.condition.expect("one");
                    (condition, event.reason.clone().filter(|_| condition != Stand::Ready))
                }).collect();
                prop_assert_eq!(said, changes(&all.iter().collect::<Vec<_>>()));
            }
        }
    }
}
