use std::collections::BTreeMap;

use serde_json::Value;

use super::diff::Wishes;
use super::ledger::FileRecord;
use crate::base::{Pointer, Step};
use crate::document::{Document, Fault};

/// The parts of a live file that a plan looks at, each read once however many entries stand in it.
pub(super) struct Contents<'d> {
    document: &'d Document,
    parts: BTreeMap<Vec<Step>, Option<Value>>,
}

impl<'d> Contents<'d> {
    /// Reads every container that holds, or would hold, something of ours.
    pub(super) fn read(
        document: &'d Document,
        wishes: &Wishes,
        record: Option<&FileRecord>,
    ) -> Result<Self, Fault> {
        let mut contents = Self { document, parts: BTreeMap::new() };
        for (root, _) in wishes.wishes.iter().flat_map(|wish| &wish.containers) {
            contents.add(&root.0)?;
        }
        for entry in wishes.wishes.iter().flat_map(|wish| &wish.entries) {
            contents.add_entry(&entry.at, entry.fields.keys().chain(entry.against.keys()))?;
        }
        let targets = record.into_iter().flat_map(|record| record.targets.values());
        for entry in targets.flat_map(|target| target.entries.values()) {
            contents.add_entry(&entry.at, entry.fields.keys())?;
        }
        Ok(contents)
    }

    fn add_entry<'p>(
        &mut self,
        at: &Pointer,
        fields: impl Iterator<Item = &'p Pointer>,
    ) -> Result<(), Fault> {
        self.add(around(at))?;
        if self.is_twin(at) {
            // The document knows whether that is a fault, and where.
            self.document.get(at)?;
        }
        for field in fields.filter(|field| !field.is_within(at)) {
            self.add(around(field))?;
        }
        Ok(())
    }

    fn add(&mut self, at: &[Step]) -> Result<(), Fault> {
        if self.part(at).is_none() {
            let value = self.document.get(&Pointer(at.to_vec()))?;
            self.parts.insert(at.to_vec(), value);
        }
        Ok(())
    }

    /// Whether the item stands in its list more than once.
    fn is_twin(&self, at: &Pointer) -> bool {
        let Some((Step::Item { key, is }, list)) = at.0.split_last() else { return false };
        let Some((Some(value), rest)) = self.part(list) else { return false };
        let items = Pointer::follow(rest, value).and_then(Value::as_array);
        let is_it = |item: &&Value| item.get(key).and_then(Value::as_str) == Some(is);
        items.into_iter().flatten().filter(is_it).take(2).count() > 1
    }

    /// The part that a place lies in, and the steps from there on.
    fn part<'a>(&self, at: &'a [Step]) -> Option<(Option<&Value>, &'a [Step])> {
        let found = (0..=at.len()).rev().find_map(|length| Some((self.parts.get(&at[..length])?, length)));
        found.map(|(value, length)| (value.as_ref(), &at[length..]))
    }

    /// The value at a place in one of the containers.
    pub(super) fn get(&self, at: &Pointer) -> Option<&Value> {
        let (value, rest) = self.part(&at.0)?;
        Pointer::follow(rest, value?)
    }
}

/// What is read to know a place: its container, unless that is the whole file.
fn around(at: &Pointer) -> &[Step] {
    match at.0.split_last() {
        Some((_, container)) if !container.is_empty() => container,
        _ => &at.0,
    }
}
