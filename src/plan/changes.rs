//! One entry's three sides, field by field: what differs, and on whose account.

use serde_json::Value;

use super::contents::Contents;
use super::decide::{Action, Facts};
use super::ledger::{EntryRecord, seal};
use crate::base::mask::looks_secret;
use crate::base::{Fingerprint, Pointer};
use crate::desired::{Entry, Leak};

/// The live side of one entry.
pub(super) struct Live<'a> {
    contents: &'a Contents<'a>,
    at: &'a Pointer,
    /// The entry itself.
    pub(super) entry: Option<&'a Value>,
}

impl<'a> Live<'a> {
    pub(super) fn of(contents: &'a Contents<'a>, at: &'a Pointer) -> Self {
        Self { contents, at, entry: contents.get(at) }
    }

    pub(super) fn get(&self, field: Field<'_>) -> Option<&'a Value> {
        match field {
            Field::Own(at) => Pointer::follow(&at.0, self.entry?),
            Field::Beside(at) => self.at(at),
        }
    }

    /// The value at a place in the document.
    pub(super) fn at(&self, at: &Pointer) -> Option<&'a Value> {
        match at.0.strip_prefix(self.at.0.as_slice()) {
            Some(steps) => Pointer::follow(steps, self.entry?),
            None => self.contents.get(at),
        }
    }
}

/// A value that is ours.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    /// By its place in the entry.
    Own(&'a Pointer),
    /// Elsewhere in the file, by its place in the document.
    Beside(&'a Pointer),
}

impl Field<'_> {
    /// Its place in the document.
    pub(super) fn place(self, entry: &Pointer) -> Pointer {
        match self {
            Self::Own(at) => entry.join(at),
            Self::Beside(at) => at.clone(),
        }
    }

    pub(super) fn name(self, entry: &Pointer) -> String {
        let within = |at: &Pointer| at.to_string().trim_start_matches('/').replace('/', ".");
        match self {
            Self::Own(at) => within(at),
            Self::Beside(at) if at.is_within(entry) => within(&Pointer(at.0[entry.0.len()..].to_vec())),
            Self::Beside(at) => at.to_string(),
        }
    }
}

/// What an entry should say, field by field.
pub(super) fn desired(entry: &Entry) -> impl Iterator<Item = (Field<'_>, &Value)> {
    let own = entry.fields.iter().map(|(at, value)| (Field::Own(at), value));
    own.chain(entry.sides.iter().map(|(at, value)| (Field::Beside(at), value)))
}

impl Entry {
    pub(super) fn implies(&self, field: Field<'_>) -> bool {
        matches!(field, Field::Own(at) if self.implied.contains(at))
    }
}

pub(super) fn is_desired(entry: &Entry, field: Field<'_>) -> bool {
    match field {
        Field::Own(at) => entry.fields.contains_key(at),
        Field::Beside(at) => entry.sides.contains_key(at),
    }
}

impl EntryRecord {
    pub(super) fn prints(&self) -> impl Iterator<Item = (Field<'_>, Fingerprint)> {
        let own = self.fields.iter().map(|(at, print)| (Field::Own(at), *print));
        own.chain(self.sides.iter().map(|(at, print)| (Field::Beside(at), *print)))
    }

    pub(super) fn print(&self, field: Field<'_>) -> Option<Fingerprint> {
        match field {
            Field::Own(at) => self.fields.get(at).copied(),
            Field::Beside(at) => self.sides.get(at).copied(),
        }
    }

    pub(super) fn set(&mut self, field: Field<'_>, print: Fingerprint) {
        match field {
            Field::Own(at) => self.fields.insert(at.clone(), print),
            Field::Beside(at) => self.sides.insert(at.clone(), print),
        };
    }
}

/// Which fields differ, and on whose account.
pub(super) struct Changes<'a> {
    /// Fields in which L differs from D.
    pub(super) pending: Vec<Field<'a>>,
    /// Fields in which L differs from B: somebody else's doing.
    pub(super) drifted: Vec<Field<'a>>,
    /// Fields in which B differs from D: the manifest's doing.
    pub(super) updated: Vec<Field<'a>>,
    /// Where in the entry the value of a secret stands in place of a reference, as names.
    pub(super) leaked: Vec<String>,
    /// Servers behind the entry that are new or changed since it was written.
    pub(super) behind: Vec<&'a str>,
    /// Servers that were behind it and are no longer.
    pub(super) gone: Vec<&'a str>,
    entry: &'a Pointer,
}

impl<'a> Changes<'a> {
    /// With what the ledger will say of the entry once it is as the manifest says.
    pub(super) fn of(
        entry: &'a Entry,
        live: &Live<'_>,
        recorded: Option<&'a EntryRecord>,
        key: &[u8; 32],
    ) -> (Self, EntryRecord) {
        let mut changes = Self {
            pending: Vec::new(),
            drifted: Vec::new(),
            updated: Vec::new(),
            leaked: leaked(entry, live),
            behind: Vec::new(),
            gone: Vec::new(),
            entry: &entry.at,
        };
        let mut after = EntryRecord {
            at: entry.at.clone(),
            pin: Some(entry.pin.clone()),
            behind: entry.behind.iter().map(|(name, server)| (name.clone(), server.pin.clone())).collect(),
            protect: entry.protect,
            ..EntryRecord::default()
        };
        let entry_is_there = live.entry.is_some();
        let mut known = 0;
        for (field, value) in desired(entry) {
            let (base, live) = (recorded.and_then(|record| record.print(field)), live.get(field));
            let print = seal(key, value);
            known += usize::from(base.is_some());
            let is_right = live == Some(value) || live.is_none() && entry_is_there && entry.implies(field);
            let live_print = if is_right { Some(print) } else { live.map(|live| seal(key, live)) };
            if !is_right {
                changes.pending.push(field);
            }
            // A field that was never ours and is there with another value is somebody's, too.
            let is_drift = match base {
                Some(_) => live_print != base,
                None => live.is_some() && !is_right,
            };
            if is_drift {
                changes.drifted.push(field);
            }
            if base != Some(print) {
                changes.updated.push(field);
            }
            after.set(field, print);
        }
        let given_up = recorded.filter(|record| record.fields.len() + record.sides.len() > known);
        for (field, base) in given_up.into_iter().flat_map(EntryRecord::prints) {
            if is_desired(entry, field) {
                continue;
            }
            let live_print = live.get(field).map(|live| seal(key, live));
            if live_print.is_some() {
                changes.pending.push(field);
            }
            if live_print != Some(base) {
                changes.drifted.push(field);
            }
            changes.updated.push(field);
        }
        for field in entry.empty.iter().map(Field::Own) {
            let was_ours = recorded.is_some_and(|record| record.print(field).is_some());
            let is_filled = live.get(field).is_some_and(|value| !crate::base::is_hollow(value));
            if is_filled && !was_ours && !is_desired(entry, field) {
                changes.pending.push(field);
                changes.drifted.push(field);
            }
        }
        for (at, value) in &entry.against {
            let is_ours = || match at.0.strip_prefix(entry.at.0.as_slice()) {
                Some(steps) => entry.fields.contains_key(&Pointer(steps.to_vec())),
                None => entry.sides.contains_key(at),
            };
            // Somebody said the opposite: the client's own switch, most likely.
            if live.at(at) == Some(value) && !is_ours() {
                changes.pending.push(Field::Beside(at));
                changes.drifted.push(Field::Beside(at));
            }
        }
        let known = |name: &str| recorded.and_then(|record| record.behind.get(name));
        let new = entry.behind.iter().filter(|(name, server)| known(name) != Some(&server.pin));
        changes.behind = new.map(|(name, _)| name.as_str()).collect();
        let known = recorded.into_iter().flat_map(|record| record.behind.keys());
        changes.gone = known.filter(|name| !entry.behind.contains_key(*name)).map(String::as_str).collect();
        (changes, after)
    }

    /// Whether L = D in every field that is ours, and what is behind the entry is what it was written for.
    pub(super) fn live_is_desired(&self) -> bool {
        self.pending.is_empty() && self.is_for_the_same()
    }

    /// Whether B = D.
    pub(super) fn recorded_is_desired(&self) -> bool {
        self.updated.is_empty() && self.is_for_the_same()
    }

    fn is_for_the_same(&self) -> bool {
        self.behind.is_empty() && self.gone.is_empty()
    }

    /// What the manifest changed, as the end of a sentence.
    fn by_the_manifest(&self) -> String {
        let fields = self.names(&self.updated);
        let mut said: Vec<String> = Vec::new();
        said.extend((!fields.is_empty()).then_some(fields));
        let behind = [("", &self.behind), ("no longer ", &self.gone)].into_iter();
        let behind = behind.filter(|(_, names)| !names.is_empty());
        let behind: Vec<String> = behind.map(|(word, names)| format!("{word}{}", names.join(", "))).collect();
        said.extend((!behind.is_empty()).then(|| format!("what is behind it ({})", behind.join("; "))));
        said.join(", ")
    }

    pub(super) fn names(&self, fields: &[Field<'_>]) -> String {
        let pending = fields.iter().filter(|field| self.pending.contains(field));
        pending.map(|field| field.name(self.entry)).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn why(&self, action: Action, entry: &Entry, facts: Facts) -> String {
        match action {
            Action::Keep => entry.why.clone(),
            Action::Record => "already there as the manifest says; ours from now on".to_owned(),
            Action::Create => format!("new in the manifest; {}", entry.why),
            Action::Restore => "was removed by hand".to_owned(),
            Action::Update if facts.live_is_incomplete && !facts.recorded => {
                format!("already there but for {}; ours from now on", self.names(&self.pending))
            }
            Action::Update if !facts.recorded => {
                format!("was somebody else's, adopted; differs in {}", self.names(&self.pending))
            }
            Action::Update => format!("the manifest changed: {}", self.by_the_manifest()),
            Action::Repair | Action::UpdateDrift if !self.leaked.is_empty() => {
                format!("LEAK: the value of a secret stands in {}; it is taken out", self.leaked.join(", "))
            }
            Action::Conflict if !self.leaked.is_empty() => format!(
                "an entry of this name is already there and is not ours; LEAK: the value of a secret stands in its {}",
                self.leaked.join(", ")
            ),
            Action::Repair => format!("changed by hand: {}", self.names(&self.drifted)),
            Action::UpdateDrift => format!(
                "the manifest changed {}; by hand changed: {}",
                self.by_the_manifest(),
                self.names(&self.drifted)
            ),
            Action::Report if !facts.live => {
                "was removed by hand; left as it is (`drift: report`)".to_owned()
            }
            Action::Adopt if !facts.live => {
                "was removed by hand; the manifest will follow (`drift: adopt`)".to_owned()
            }
            Action::Report => {
                format!("changed by hand: {}; left as it is (`drift: report`)", self.names(&self.drifted))
            }
            Action::Adopt => format!(
                "changed by hand: {}; the manifest will follow (`drift: adopt`)",
                self.names(&self.drifted)
            ),
            Action::Conflict => format!(
                "an entry of this name is already there and is not ours; it differs in {}",
                self.names(&self.pending)
            ),
            Action::Held => "changes what is run; waits for `mcpkeel apply` or `mcpkeel approve`".to_owned(),
            Action::Remove if entry.omitted => {
                "switched off; this client has no switch, so its entry is taken out".to_owned()
            }
            Action::Forget if entry.omitted && facts.live_is_recorded => {
                "switched off here; another client block keeps it".to_owned()
            }
            Action::Forget if entry.omitted => "switched off, and already gone from the file".to_owned(),
            _ => String::new(),
        }
    }
}

/// Where the live entry holds the value of a secret, and the manifest a reference to it: the very
/// value, or something else that looks like one.
fn leaked(entry: &Entry, live: &Live<'_>) -> Vec<String> {
    let is_leak = |leak: &&Leak| {
        let Some(value) = live.get(Field::Own(&leak.at)) else { return false };
        let key = match leak.at.0.last() {
            Some(crate::base::Step::Key(key)) => key,
            _ => "",
        };
        texts(value).any(|text| {
            leak.value == Some(Fingerprint::of(text.as_bytes()))
                || looks_secret(key, text) && !is_said(entry, &leak.at, text)
        })
    };
    let mut names: Vec<String> =
        entry.leaks.iter().filter(is_leak).map(|leak| Field::Own(&leak.at).name(&entry.at)).collect();
    names.dedup();
    names
}

/// Whether the manifest itself says this text at this place.
fn is_said(entry: &Entry, at: &Pointer, text: &str) -> bool {
    entry.fields.iter().any(|(field, value)| {
        let steps = at.0.strip_prefix(field.0.as_slice());
        let found = steps.and_then(|steps| Pointer::follow(steps, value));
        found.is_some_and(|found| texts(found).any(|said| said == text))
    })
}

/// The text, or the texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value.as_str().into_iter().chain(items.iter().filter_map(Value::as_str))
}

/// The two columns: what somebody else did since we wrote, and what apply will do.
pub(super) fn columns(action: Action, facts: Facts) -> (char, char) {
    let since = match (facts.live, facts.recorded) {
        (true, false) => 'A',
        (false, true) => 'D',
        (true, true) if !facts.live_is_recorded => 'M',
        _ => ' ',
    };
    let will = match action {
        Action::Create | Action::Restore => 'A',
        Action::Update | Action::Repair | Action::UpdateDrift => 'M',
        Action::Remove | Action::RemoveForeign => 'D',
        Action::Conflict | Action::Blocked | Action::Held => '!',
        _ => ' ',
    };
    (since, will)
}
