use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::file::Wishes;
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
        let mut twins = Vec::new();
        for (root, list) in wishes.wishes.iter().flat_map(|wish| &wish.containers) {
            contents.add(&root.0)?;
            twins.extend(list.iter().flat_map(|key| contents.twins(root, key)));
        }
        for entry in wishes.wishes.iter().flat_map(|wish| &wish.entries) {
            contents.add_entry(&entry.at, entry.sides.keys().chain(entry.against.keys()))?;
            if twins.contains(&entry.at) {
                // The document knows whether that is a fault, and where.
                document.get(&entry.at)?;
            }
        }
        let targets = record.into_iter().flat_map(|record| record.targets.values());
        for entry in targets.flat_map(|target| target.entries.values()) {
            contents.add_entry(&entry.at, entry.sides.keys())?;
        }
        Ok(contents)
    }

    fn add_entry<'p>(&mut self, at: &Pointer, sides: impl Iterator<Item = &'p Pointer>) -> Result<(), Fault> {
        self.add(around(at))?;
        for side in sides.filter(|side| !side.is_within(at)) {
            self.add(around(side))?;
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

    /// The items of a list that stand in it more than once.
    fn twins(&self, list: &Pointer, key: &str) -> Vec<Pointer> {
        let items = self.get(list).and_then(Value::as_array).into_iter().flatten();
        let mut seen = BTreeSet::new();
        let again = items.filter_map(|item| item.get(key)?.as_str()).filter(|name| !seen.insert(*name));
        again.map(|name| list.then(Step::Item { key: key.to_owned(), is: name.to_owned() })).collect()
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

/// What is read to know a place: its container, but never the whole file, and no more than the one
/// container for what a client keeps of each server beside its entry.
fn around(at: &Pointer) -> &[Step] {
    &at.0[..at.0.len().saturating_sub(1).clamp(at.0.len().min(1), 2)]
}
