//! The comparison itself: entry by entry to steps, steps to edits, edits to bytes and books.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::changes::{Changes, Field, Live, columns, desired, is_desired};
use super::contents::Contents;
use super::decide::{Action, Facts, Want, decide};
use super::file::{FilePlan, Guard, Observed, Options, State, Step, Wishes};
use super::ledger::{EntryRecord, FileRecord, TargetRecord, seal};
use crate::base::{Diagnostic, Fingerprint, Place, Pointer, Step as At};
use crate::desired::{Entry, Wish};
use crate::document::{Document, Fault, Op, Seam};
use crate::manifest::GATEWAY_ENTRY;
use crate::manifest::model::{Drift, Unmanaged};

/// Compares what is wanted of a file with what is there and what we wrote.
pub fn plan_file(
    wishes: Wishes,
    observed: Observed,
    record: Option<&FileRecord>,
    key: &[u8; 32],
    options: Options,
) -> FilePlan {
    let (document, before) = match observed.state {
        State::Absent => (Document::blank(wishes.format), None),
        State::Present(document, print) => (document, Some(print)),
        State::Refused(problem) => return refuse(wishes, observed.real, None, record, problem),
    };
    let planned = Contents::read(&document, &wishes, record).and_then(|contents| {
        let mut planner = Planner {
            key,
            options,
            document: &document,
            contents: &contents,
            ops: Vec::new(),
            steps: Vec::new(),
            guards: Vec::new(),
            targets: BTreeMap::new(),
            held: held(&wishes, record),
            strangers: BTreeSet::new(),
        };
        planner.walk(&wishes, record);
        let finished = planner.finish(&wishes, record, before.is_none())?;
        Ok((finished, planner.steps, planner.guards))
    });
    match planned {
        Err(fault) => refuse(wishes, observed.real, before, record, diagnose(&fault)),
        Ok((Finished { new, removes_file, record }, steps, guards)) => FilePlan {
            real: observed.real,
            before,
            // A file that holds a secret and that others can read is written again for its mode alone.
            new: match new {
                None if !removes_file && observed.is_open && is_private(&wishes) => {
                    Some(document.bytes().to_vec())
                }
                new => new,
            },
            old: before.map(|_| document),
            removes_file,
            steps,
            guards,
            refused: None,
            record,
            wishes,
        },
    }
}

fn held<'a>(wishes: &Wishes, record: Option<&'a FileRecord>) -> BTreeSet<&'a Pointer> {
    let targets = record.into_iter().flat_map(|record| &record.targets);
    let frozen = targets.filter(|(target, _)| wishes.frozen.contains(target));
    frozen.flat_map(|(_, target)| target.entries.values()).map(|entry| &entry.at).collect()
}

fn diagnose(fault: &Fault) -> Diagnostic {
    let place = Place { line: fault.line, column: fault.column, ..Place::file("") };
    Diagnostic::error("cannot-edit", fault.message.clone()).at(place)
}

/// A file that must not be touched: every entry that was wanted or is ours is blocked.
fn refuse(
    wishes: Wishes,
    real: PathBuf,
    before: Option<Fingerprint>,
    record: Option<&FileRecord>,
    mut problem: Diagnostic,
) -> FilePlan {
    if let Some(place) = problem.place.as_mut().filter(|place| place.file.is_empty()) {
        place.file = wishes.path.display().to_string();
    }
    let steps = wishes
        .wishes
        .iter()
        .flat_map(|wish| wish.entries.iter().filter(|entry| !entry.omitted).map(move |entry| (wish, entry)))
        .map(|(wish, entry)| Step {
            target: wish.target.clone(),
            client: wish.client.clone(),
            server: entry.server.clone(),
            action: Action::Blocked,
            since: '?',
            will: '!',
            why: problem.message.clone(),
            leak: false,
            unapproved: false,
            starts: None,
            behind: BTreeMap::new(),
            problem: None,
        })
        .collect();
    FilePlan {
        wishes,
        real,
        before,
        old: None,
        new: None,
        removes_file: false,
        steps,
        guards: Vec::new(),
        refused: Some(problem),
        record: record.cloned(),
    }
}

/// What the client has from now on in place of an entry that goes: the gateway's in place of a server's, or those
/// of servers in place of the gateway's, if not most of them are gone.
fn replaced(wish: &Wish, server: &str, record: &EntryRecord) -> Option<&'static str> {
    if wish.behind.iter().any(|name| name == server) {
        return Some("reached through the gateway from now on");
    }
    let has = |name: &&String| wish.entries.iter().any(|entry| entry.server == **name);
    let left = record.behind.keys().filter(has).count();
    (left > 0 && left * 2 >= record.behind.len())
        .then_some("its servers have entries of their own from now on")
}

/// Whether nobody has agreed yet to what the entry starts or opens: what stands in the books came
/// about by an apply, or by what an approval let through.
fn is_unapproved(entry: &Entry, known: Option<&EntryRecord>) -> bool {
    known.is_none_or(|record| record.pin.as_ref() != Some(&entry.pin))
}

/// Whether the value of a secret stands in the file once this is done.
pub(super) fn is_private(wishes: &Wishes) -> bool {
    let entries = wishes.wishes.iter().flat_map(|wish| &wish.entries);
    entries.into_iter().any(|entry| entry.writes_secret && entry.blocked.is_none() && !entry.omitted)
}

struct Planner<'a> {
    key: &'a [u8; 32],
    options: Options,
    document: &'a Document,
    contents: &'a Contents<'a>,
    ops: Vec<Op>,
    steps: Vec<Step>,
    guards: Vec<Guard>,
    targets: BTreeMap<String, TargetRecord>,
    /// Entries of client blocks that could not be resolved.
    held: BTreeSet<&'a Pointer>,
    /// Entries of strangers that were counted, and whether they go.
    strangers: BTreeSet<(Pointer, bool)>,
}

struct Finished {
    /// None when the bytes stay, or the file goes.
    new: Option<Vec<u8>>,
    removes_file: bool,
    record: Option<FileRecord>,
}

impl<'a> Planner<'a> {
    fn walk(&mut self, wishes: &Wishes, record: Option<&FileRecord>) {
        let nothing = TargetRecord::default();
        for wish in &wishes.wishes {
            let owned = record.and_then(|record| record.targets.get(&wish.target)).unwrap_or(&nothing);
            self.walk_target(wish, owned, wishes);
        }
        for (target, owned) in record.into_iter().flat_map(|record| &record.targets) {
            if wishes.wishes.iter().any(|wish| wish.target == *target) {
                continue;
            }
            if wishes.frozen.contains(target) {
                self.targets.insert(target.clone(), owned.clone());
                continue;
            }
            // A client block that is gone wants nothing any more.
            let gone = Wish {
                target: target.clone(),
                client: owned.client.clone(),
                path: wishes.path.clone(),
                format: wishes.format,
                containers: Vec::new(),
                new_file: None,
                lock: None,
                drift: Drift::Repair,
                unmanaged: Unmanaged::Keep,
                entries: Vec::new(),
                behind: Vec::new(),
            };
            self.walk_target(&gone, owned, wishes);
        }
    }

    fn walk_target(&mut self, wish: &Wish, owned: &TargetRecord, all: &Wishes) {
        let mut kept = BTreeMap::new();
        let mut known = BTreeSet::new();
        let begun = self.steps.len();
        for entry in &wish.entries {
            if !entry.omitted {
                known.insert(&entry.at);
            }
            if let Some(record) = self.step(wish, entry, owned.entries.get(&entry.server), all) {
                kept.insert(entry.server.clone(), record);
            }
        }
        // Switching off is asked for by name; only what follows is pruning.
        let first = self.steps.len();
        let mut moved = 0;
        for (server, record) in &owned.entries {
            known.insert(&record.at);
            match wish.entries.iter().find(|entry| entry.server == *server) {
                Some(entry) if entry.at == record.at => continue,
                // What cannot be written now stood elsewhere when it could: it stays there.
                Some(entry) if entry.blocked.is_some() || self.holds(entry, Some(record)) => {
                    kept.entry(server.clone()).or_insert_with(|| record.clone());
                    continue;
                }
                // An entry that moves to another container is not pruned.
                Some(entry) if !entry.omitted => moved += 1,
                // Nor is one in whose place the client gets another, and until it gets that it keeps this one.
                None if self.waits(wish, server, record, begun) => {
                    kept.insert(server.clone(), record.clone());
                    continue;
                }
                None if replaced(wish, server, record).is_some() => moved += 1,
                _ => {}
            }
            if let Some(record) = self.step_unwanted(wish, server, record, all) {
                kept.insert(server.clone(), record);
            }
        }
        self.foreign(wish, &known, all);
        let removes = self.steps[first..].iter().filter(|step| step.action == Action::Remove).count();
        let removes = removes.saturating_sub(moved);
        if removes * 2 > owned.entries.len() {
            self.guards.push(Guard { target: wish.target.clone(), removes, owned: owned.entries.len() });
        }
        if !kept.is_empty() {
            self.targets
                .insert(wish.target.clone(), TargetRecord { client: wish.client.clone(), entries: kept });
        }
    }

    /// Decides on one entry that the manifest names. Returns what the ledger says of it afterwards.
    fn step(
        &mut self,
        wish: &Wish,
        entry: &Entry,
        known: Option<&EntryRecord>,
        all: &Wishes,
    ) -> Option<EntryRecord> {
        let recorded = known.filter(|record| record.at == entry.at);
        if let Some(problem) = &entry.blocked {
            let (since, will, why) = ('?', '!', problem.message.clone());
            self.push(wish, &entry.server, Action::Blocked, since, will, why, Some(problem.clone()));
            return recorded.cloned();
        }
        let live = Live::of(self.contents, &entry.at);
        let (changes, mut after) = Changes::of(entry, &live, recorded, self.key);
        let facts = Facts {
            want: if entry.omitted { Want::No } else { Want::Yes },
            live: live.entry.is_some() && !(entry.omitted && is_wanted_by_another(wish, &entry.at, all)),
            recorded: recorded.is_some(),
            live_is_desired: changes.live_is_desired(),
            live_is_incomplete: changes.pending.iter().all(|field| {
                matches!(field, Field::Own(at) if entry.made.contains(at)) && live.get(*field).is_none()
            }),
            live_is_recorded: changes.drifted.is_empty(),
            recorded_is_desired: changes.recorded_is_desired(),
            // Switching off is asked for in the manifest, so it is no pruning.
            protect: false,
        };
        // A leak is taken out whatever happens to other drift, and never goes into the manifest.
        let is_leak = !changes.leaked.is_empty();
        let drift = if is_leak { Drift::Repair } else { wish.drift };
        let decided = decide(facts, drift, wish.unmanaged, self.options.adopt);
        // In books of before there were pins, what stands there was agreed to all the same.
        let is_plain_repair = facts.recorded_is_desired && known.is_some_and(|record| record.pin.is_none());
        let unapproved = decided.writes() && is_unapproved(entry, known) && !is_plain_repair;
        let action = if unapproved && self.options.hold { Action::Held } else { decided };
        let spares_drift = drift != Drift::Repair && action == Action::UpdateDrift;
        let why = changes.why(action, entry, facts);
        let (since, will) = columns(action, facts);
        if !(entry.omitted && matches!(action, Action::Nothing | Action::Foreign)) {
            self.push(wish, &entry.server, action, since, will, why, None);
            if let Some(step) = self.steps.last_mut() {
                step.leak = is_leak;
                step.unapproved = unapproved;
                step.starts.clone_from(&entry.starts);
                let new = entry.behind.iter().filter(|(name, _)| changes.behind.contains(&name.as_str()));
                step.behind = new.map(|(name, server)| (name.clone(), server.starts.clone())).collect();
            }
        }
        match action {
            Action::Create | Action::Restore => {
                self.put_entry(entry);
                self.drop_against(entry, &live);
                Some(after)
            }
            Action::Update | Action::Repair | Action::UpdateDrift => {
                if !live.entry.is_some_and(Value::is_object) {
                    self.put_entry(entry);
                    return Some(after);
                }
                for (field, value) in desired(entry).filter(|(field, _)| changes.pending.contains(field)) {
                    if spares_drift && !changes.updated.contains(&field) {
                        let print = recorded.and_then(|record| record.print(field));
                        print.into_iter().for_each(|print| after.set(field, print));
                        continue;
                    }
                    self.ops.push(Op::Put { at: field.place(&entry.at), value: value.clone() });
                }
                for (field, _) in recorded.into_iter().flat_map(EntryRecord::prints) {
                    if !is_desired(entry, field) && live.get(field).is_some() {
                        self.ops.push(Op::Drop { at: field.place(&entry.at) });
                    }
                }
                if !spares_drift {
                    // What somebody else put there is theirs to keep where drift is spared.
                    let filled = entry.empty.iter().filter(|at| changes.pending.contains(&Field::Own(at)));
                    self.ops.extend(filled.map(|field| Op::Drop { at: entry.at.join(field) }));
                }
                self.drop_against(entry, &live);
                Some(after)
            }
            Action::Keep | Action::Record => Some(after),
            Action::Report | Action::Adopt | Action::Conflict | Action::Held => recorded.cloned(),
            Action::Remove => {
                if let Some(record) = recorded {
                    self.drop_entry(record, &live);
                }
                None
            }
            _ => None,
        }
    }

    /// Whether an entry waits for a person, and so what we wrote for it earlier stays.
    fn holds(&self, entry: &Entry, known: Option<&EntryRecord>) -> bool {
        self.options.hold && !entry.omitted && is_unapproved(entry, known)
    }

    /// Whether what takes the place of an entry is not written now: it is refused, or waits for a person.
    /// `begun` is where the client block's steps begin.
    fn waits(&self, wish: &Wish, server: &str, record: &EntryRecord, begun: usize) -> bool {
        self.steps[begun..]
            .iter()
            .filter(|step| match wish.behind.iter().any(|name| name == server) {
                true => step.server == GATEWAY_ENTRY,
                false => record.behind.contains_key(&step.server),
            })
            .any(|step| step.action.is_refused() || step.action == Action::Held)
    }

    /// Decides on one entry that only the ledger knows.
    fn step_unwanted(
        &mut self,
        wish: &Wish,
        server: &str,
        record: &EntryRecord,
        all: &Wishes,
    ) -> Option<EntryRecord> {
        let live = Live::of(self.contents, &record.at);
        let drifted = live.entry.is_some()
            && record
                .prints()
                .any(|(field, print)| live.get(field).map(|value| seal(self.key, value)) != Some(print));
        let handed_over = is_wanted_by_another(wish, &record.at, all);
        let replaced = replaced(wish, server, record);
        let facts = Facts {
            want: Want::No,
            live: live.entry.is_some() && !handed_over,
            recorded: true,
            live_is_desired: false,
            live_is_incomplete: false,
            live_is_recorded: !drifted,
            recorded_is_desired: false,
            protect: record.protect && replaced.is_none() || (self.options.never_prune && !handed_over),
        };
        let action = decide(facts, wish.drift, wish.unmanaged, self.options.adopt);
        let why = match action {
            Action::Protected if record.protect => {
                "no longer in the manifest, but `protect: true` was; write `protect: false` first to let it go".to_owned()
            }
            Action::Protected => "the manifest names no client at all, so nothing is pruned".to_owned(),
            Action::Forget if handed_over => "another client block answers for it now".to_owned(),
            Action::Forget => "no longer in the manifest, and already gone from the file".to_owned(),
            _ if wish.entries.iter().any(|entry| entry.server == *server && !entry.omitted) => {
                "stands in another place of the file from now on".to_owned()
            }
            _ if let Some(by) = replaced => by.to_owned(),
            _ if drifted => "no longer in the manifest (it was also changed by hand; a backup is kept)".to_owned(),
            _ => "no longer in the manifest".to_owned(),
        };
        let (since, will) = columns(action, facts);
        self.push(wish, server, action, since, will, why, None);
        match action {
            Action::Remove => {
                self.drop_entry(record, &live);
                None
            }
            Action::Protected => Some(record.clone()),
            _ => None,
        }
    }

    /// Entries in the container that nobody here answers for.
    fn foreign(&mut self, wish: &Wish, known: &BTreeSet<&Pointer>, all: &Wishes) {
        for (name, at, value) in self.entries(wish) {
            // A server that cannot be written may stand in any of the containers.
            let is_blocked = |entry: &Entry| entry.blocked.is_some() && entry.server == name;
            let is_ours = known.contains(&at)
                || self.held.contains(&at)
                || wish.entries.iter().any(is_blocked)
                || is_wanted_by_another(wish, &at, all);
            let is_removed = wish.unmanaged == Unmanaged::Remove;
            if is_ours || !is_server(value) || !self.strangers.insert((at.clone(), is_removed)) {
                continue;
            }
            let action = match wish.unmanaged {
                Unmanaged::Remove => Action::RemoveForeign,
                Unmanaged::Keep | Unmanaged::Adopt => Action::Foreign,
            };
            let (since, will, why) = match action {
                Action::RemoveForeign => {
                    ('A', 'D', "not in the manifest, and this client is declared exclusive")
                }
                _ => ('A', ' ', "not in the manifest; it stays"),
            };
            self.push(wish, name, action, since, will, why.to_owned(), None);
            if action == Action::RemoveForeign {
                self.ops.push(Op::Drop { at });
            }
        }
    }

    /// Every entry in the containers of a wish.
    fn entries(&self, wish: &Wish) -> Vec<(&'a str, Pointer, &'a Value)> {
        let mut found = Vec::new();
        for (root, list) in &wish.containers {
            match (self.contents.get(root), list) {
                (Some(Value::Object(members)), None) => {
                    found.extend(members.iter().map(|(name, value)| (name.as_str(), root.key(name), value)));
                }
                (Some(Value::Array(items)), Some(key)) => {
                    found.extend(items.iter().filter_map(|item| {
                        let name = item.get(key)?.as_str()?;
                        let step = At::Item { key: key.clone(), is: name.to_owned() };
                        Some((name, root.then(step), item))
                    }));
                }
                _ => {}
            }
        }
        found
    }

    fn put_entry(&mut self, entry: &Entry) {
        let mut whole = Value::Object(serde_json::Map::new());
        for (field, value) in &entry.fields {
            set(&mut whole, &field.0, value);
        }
        self.put_once(Op::Put { at: entry.at.clone(), value: whole });
        for (at, value) in &entry.sides {
            self.put_once(Op::Put { at: at.clone(), value: value.clone() });
        }
    }

    /// What says the opposite of the entry elsewhere in the file goes.
    fn drop_against(&mut self, entry: &Entry, live: &Live<'_>) {
        let contrary = entry.against.iter().filter(|(at, value)| live.at(at) == Some(*value));
        self.ops.extend(contrary.map(|(at, _)| Op::Drop { at: at.clone() }));
    }

    /// Two client blocks may want the same entry in a file that they share.
    fn put_once(&mut self, op: Op) {
        if !self.ops.contains(&op) {
            self.ops.push(op);
        }
    }

    fn drop_entry(&mut self, record: &EntryRecord, live: &Live<'_>) {
        self.ops.push(Op::Drop { at: record.at.clone() });
        for side in record.sides.keys() {
            if live.at(side).is_some() {
                self.ops.push(Op::Drop { at: side.clone() });
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        wish: &Wish,
        server: &str,
        action: Action,
        since: char,
        will: char,
        why: String,
        problem: Option<Diagnostic>,
    ) {
        self.steps.push(Step {
            target: wish.target.clone(),
            client: wish.client.clone(),
            server: server.to_owned(),
            action,
            since,
            will,
            why,
            leak: false,
            unapproved: false,
            starts: None,
            behind: BTreeMap::new(),
            problem,
        });
    }

    /// Turns the collected ops into bytes and into the ledger's next record.
    fn finish(
        &mut self,
        wishes: &Wishes,
        record: Option<&FileRecord>,
        absent: bool,
    ) -> Result<Finished, Fault> {
        let created = absent || record.is_some_and(|record| record.created);
        let mut furniture = record.map(|record| record.furniture.clone()).unwrap_or_default();
        let mut ops = Vec::new();
        if absent {
            furniture = Vec::new();
            if !self.ops.is_empty() {
                for (key, value) in wishes.wishes.iter().flat_map(|wish| wish.new_file.iter().flatten()) {
                    let at = Pointer::of([key]);
                    ops.push(Op::Put { at: at.clone(), value: value.clone() });
                    furniture.push(at);
                }
            }
        }
        ops.append(&mut self.ops);
        let mut seams = if absent { Vec::new() } else { record.map(|r| r.seams.clone()).unwrap_or_default() };
        let nothing_left = self.targets.is_empty();
        if nothing_left && created {
            ops.extend(furniture.iter().map(|at| Op::Drop { at: at.clone() }));
        }
        let closes = ops.iter().any(|op| matches!(op, Op::Drop { .. }));
        if closes {
            ops.extend(seams.iter().rev().map(|seam| Op::Close { seam: seam.clone() }));
        }
        let record =
            |targets, seams| FileRecord { format: wishes.format, created, furniture, seams, targets };
        if ops.is_empty() {
            let removes_file = nothing_left && created && !absent && self.document.is_hollow();
            let record = (!nothing_left).then(|| record(std::mem::take(&mut self.targets), seams));
            return Ok(Finished { new: None, removes_file, record });
        }
        let edited = self.document.edit(&ops)?;
        let after = Document::parse(wishes.format, edited.bytes.clone())?;
        if closes {
            seams.retain(|seam| is_open(seam, &after));
        }
        // What stood there before us is what the first edit found.
        let new = edited.seams.iter().filter(|seam| !seams.iter().any(|known| known.at == seam.at));
        let new: Vec<Seam> = new.cloned().collect();
        seams.extend(new);
        let removes_file = nothing_left && created && !absent && after.is_hollow();
        let changed = edited.bytes != self.document.bytes() && !removes_file;
        let record = (!nothing_left).then(|| record(std::mem::take(&mut self.targets), seams));
        Ok(Finished { new: changed.then_some(edited.bytes), removes_file, record })
    }
}

/// Whether another client block that shares the file answers for the entry.
fn is_wanted_by_another(wish: &Wish, at: &Pointer, all: &Wishes) -> bool {
    all.wishes.iter().any(|other| {
        other.target != wish.target && other.entries.iter().any(|entry| entry.at == *at && !entry.omitted)
    })
}

/// Whether a stranger's entry starts or reaches a server at all (Goose keeps its own extensions, and
/// Zed its settings, in the same map).
fn is_server(entry: &Value) -> bool {
    const SIGNS: [&str; 8] = ["command", "cmd", "url", "httpUrl", "serverUrl", "uri", "argv", "transport"];
    SIGNS.iter().any(|sign| entry.get(sign).is_some())
}

/// Whether a container that we opened is still there with something in it.
fn is_open(seam: &Seam, document: &Document) -> bool {
    match document.get(&seam.at) {
        Ok(Some(Value::Object(members))) => !members.is_empty(),
        Ok(Some(Value::Array(items))) => !items.is_empty(),
        _ => false,
    }
}

fn set(whole: &mut Value, path: &[At], value: &Value) {
    let Some((At::Key(key), rest)) = path.split_first() else {
        *whole = value.clone();
        return;
    };
    let Value::Object(members) = whole else { return };
    set(members.entry(key.clone()).or_insert_with(|| Value::Object(serde_json::Map::new())), rest, value);
}
