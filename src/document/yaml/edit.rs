//! Operations become splices.
//!
//! Invariant: every splice is computed from a tree of the very text it goes into. Operations share
//! a tree only as long as none of them touches what another one looks at.
//!
//! Start at [`edit`]; `put` and `prune` say what one operation changes.

use std::collections::VecDeque;

use serde_json::Value;

use super::super::{Fault, Op, Seam};
use super::lines::{self, Splice};
use super::tree::{Id, Kind, Mark, Tree};
use super::{prune, put};
use crate::base::{Pointer, Step};

/// What one operation comes to.
pub(super) enum Planned {
    Nothing,
    /// The same, said in smaller operations.
    Finer(Vec<Op>),
    Change(Change),
}

/// What one operation does to the text.
#[derive(Default)]
pub(super) struct Change {
    pub splices: Vec<Splice>,
    pub seams: Vec<Seam>,
    /// The place below and above which nothing is as it was.
    pub touched: Pointer,
    /// The container that got or lost one member, others remaining.
    pub member: Option<Membership>,
}

/// A block container and what happens to it.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Membership {
    pub of: Id,
    pub grows: bool,
    /// Members before the change.
    pub count: usize,
}

/// A lone carriage return ends a line in YAML and in hardly any editor: whoever wrote one did not mean to.
fn refuse_lone_returns(text: &str) -> Result<(), Fault> {
    let lone = text.match_indices('\r').find(|(at, _)| !text[at + 1..].starts_with('\n'));
    let message = "a lone carriage return ends this line; end it as the others end";
    lone.map_or(Ok(()), |(at, _)| Err(super::tree::fault(text, at, message)))
}

/// Carry out the operations in order.
pub(in super::super) fn edit(text: &str, ops: &[Op]) -> Result<(String, Vec<Seam>), Fault> {
    if !ops.is_empty() {
        refuse_lone_returns(text)?;
    }
    let mut queue: VecDeque<Op> = ops.iter().cloned().collect();
    let mut text = text.to_owned();
    let mut seams = Vec::new();
    while !queue.is_empty() {
        let splices = {
            let tree = Tree::parse(&text)?;
            let mut batch = Batch::default();
            while let Some(op) = queue.pop_front() {
                if batch.disturbs(&op) {
                    queue.push_front(op);
                    break;
                }
                let planned = match plan(&tree, &op) {
                    // What stands in the way may go with what the batch does.
                    Err(_) if !batch.touched.is_empty() => {
                        queue.push_front(op);
                        break;
                    }
                    planned => planned?,
                };
                match planned {
                    Planned::Nothing => {}
                    Planned::Finer(finer) => finer.into_iter().rev().for_each(|op| queue.push_front(op)),
                    Planned::Change(change) if batch.admits(&change) => seams.extend(batch.add(change)),
                    Planned::Change(_) => {
                        queue.push_front(op);
                        break;
                    }
                }
            }
            batch.splices
        };
        if !splices.is_empty() {
            text = lines::splice(&text, splices);
        }
    }
    Ok((text, seams))
}

fn plan(tree: &Tree<'_>, op: &Op) -> Result<Planned, Fault> {
    match op {
        Op::Put { at, value } => match blank_null(tree) {
            Some(start) => Err(tree.fault(
                start,
                "the document is a written-out null with blanks behind it; remove the word first",
            )),
            None => put::put(tree, at, value),
        },
        Op::Drop { at } => prune::drop_place(tree, at),
        Op::Close { seam } => prune::close(tree, seam),
    }
}

/// Where the whole document is `~` or `null` with blanks behind it, which could not be put back.
fn blank_null(tree: &Tree<'_>) -> Option<usize> {
    let root = tree.root.map(|id| tree.node(id))?;
    let is_scalar = matches!(&root.kind, Kind::Scalar { text, .. } if !text.is_empty());
    let line = lines::slice(tree.text, root.end..tree.text.len()).lines().next().unwrap_or_default();
    (is_scalar && !line.is_empty() && line.trim().is_empty()).then_some(root.start)
}

/// Changes that were planned on one tree.
#[derive(Default)]
struct Batch {
    splices: Vec<Splice>,
    touched: Vec<Pointer>,
    members: Vec<(Membership, Vec<Splice>)>,
    /// The containers that grow or shrink.
    containers: Vec<Pointer>,
}

impl Batch {
    /// Whether this operation has to see what the batch does.
    fn disturbs(&self, op: &Op) -> bool {
        match op {
            Op::Put { at, .. } | Op::Drop { at } => self.touched.iter().any(|touched| meet(touched, at)),
            Op::Close { .. } => !self.touched.is_empty(),
        }
    }

    fn admits(&self, change: &Change) -> bool {
        let same = |member: &Membership| change.member.is_some_and(|own| own.of == member.of);
        let siblings: Vec<_> = self.members.iter().filter(|(member, _)| same(member)).collect();
        let one_way = siblings.iter().all(|(member, _)| Some(*member) == change.member);
        let remains = change
            .member
            .is_none_or(|own| own.grows || siblings.is_empty() || siblings.len() + 1 < own.count);
        let grows = change.member.is_some_and(|own| own.grows);
        let clear = |new: &Splice| {
            self.splices.iter().all(|old| {
                let kin = siblings.iter().any(|(_, splices)| splices.contains(old));
                let apart = old.at.end < new.at.start || new.at.end < old.at.start;
                let beside = old.at.end <= new.at.start || new.at.end <= old.at.start;
                apart || kin && (grows && old.at == new.at || !grows && beside)
            })
        };
        // The end of a container is where its last members end, too.
        let container = change.member.and_then(|_| change.touched.parent());
        let nested = |outer: &Pointer, inner: &Pointer| {
            inner.is_within(outer) && inner.parent().as_ref() != Some(outer)
        };
        let apart = !self.touched.iter().any(|touched| {
            meet(touched, &change.touched)
                || container.as_ref().is_some_and(|container| nested(container, touched))
        });
        let apart = apart && !self.containers.iter().any(|container| nested(container, &change.touched));
        apart && one_way && remains && change.splices.iter().all(clear)
    }

    fn add(&mut self, change: Change) -> Vec<Seam> {
        if let Some(member) = change.member {
            self.members.push((member, change.splices.clone()));
            self.containers.extend(change.touched.parent());
        }
        self.splices.extend(change.splices);
        self.touched.push(change.touched);
        change.seams
    }
}

/// Whether one place lies in the other, or the way to one may depend on the other.
fn meet(touched: &Pointer, at: &Pointer) -> bool {
    let same = touched.0.iter().zip(&at.0).take_while(|(a, b)| a == b).count();
    match (touched.0.get(same), at.0.get(same)) {
        (None, _) | (_, None) => true,
        // An item is not found again once its name is another.
        (Some(Step::Key(key)), Some(Step::Key(_))) => {
            let holder = same.checked_sub(1).and_then(|above| at.0.get(above));
            matches!(holder, Some(Step::Item { key: name, .. }) if name == key)
        }
        // Items are found by what they hold: only whole items do not depend on each other.
        _ => touched.0.len() > same + 1 || at.0.len() > same + 1,
    }
}

/// Where a walk from the root ended.
pub(super) struct Spot {
    /// The containers on the way, each with the index of the member that was entered.
    pub chain: Vec<(Id, usize)>,
    /// The last value that is there; none in a file without a document.
    pub node: Option<Id>,
}

impl Spot {
    /// How many steps are there.
    pub(super) fn depth(&self) -> usize {
        self.chain.len()
    }

    /// The place lies inside brackets.
    pub(super) fn in_flow(&self, tree: &Tree<'_>) -> bool {
        self.chain.iter().any(|(container, _)| tree.node(*container).is_flow())
    }
}

/// What holds a value.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    Root,
    /// A map's member: where it starts, and past its colon.
    Entry {
        start: usize,
        colon: Option<usize>,
    },
    /// A list's item: where its dash is; none inside brackets.
    Item {
        dash: Option<usize>,
    },
}

/// What holds the value where the walk ended.
pub(super) fn holder(tree: &Tree<'_>, spot: &Spot) -> Holder {
    let Some((container, index)) = spot.chain.last() else {
        return Holder::Root;
    };
    match &tree.node(*container).kind {
        Kind::Map { entries, .. } => entries
            .get(*index)
            .map_or(Holder::Root, |entry| Holder::Entry { start: entry.start, colon: entry.colon }),
        Kind::Seq { flow, items } => items
            .get(*index)
            .map_or(Holder::Root, |item| Holder::Item { dash: (!flow).then_some(item.start) }),
        _ => Holder::Root,
    }
}

/// Past what introduces a value: its key's colon, its dash, its anchor and tag.
pub(super) fn header(tree: &Tree<'_>, holder: Holder, id: Id) -> Option<usize> {
    let props = tree.node(id).props.as_ref().map(|props| props.end);
    props.or(match holder {
        Holder::Root => Some(tree.node(id).start),
        Holder::Entry { colon, .. } => colon,
        Holder::Item { dash } => Some(dash.map_or(tree.node(id).start, |dash| dash + 1)),
    })
}

/// Walk to a place that is to be changed. Refuses what a change there would not be confined to.
pub(super) fn walk(tree: &Tree<'_>, at: &Pointer) -> Result<Spot, Fault> {
    let mut spot = Spot { chain: Vec::new(), node: tree.root };
    for (depth, step) in at.0.iter().enumerate() {
        let Some(id) = spot.node else { break };
        let here = || Pointer(at.0.iter().take(depth).cloned().collect());
        guard(tree, id, &here())?;
        let Some((index, next)) = enter(tree, id, step, &here())? else { break };
        spot.chain.push((id, index));
        spot.node = Some(next);
    }
    Ok(spot)
}

/// Refuses to change anything inside this value.
fn guard(tree: &Tree<'_>, id: Id, here: &Pointer) -> Result<(), Fault> {
    let node = tree.node(id);
    if let Kind::Alias(_) = node.kind {
        let name = lines::slice(tree.text, node.start..node.end);
        let message = format!(
            "{} is the alias `{name}`; edit the value it refers to, or write the value out here",
            name_of(here)
        );
        return Err(tree.fault(node.start, message));
    }
    guard_tag(tree, id, here)?;
    guard_anchor(tree, id, here)
}

pub(super) fn guard_tag(tree: &Tree<'_>, id: Id, here: &Pointer) -> Result<(), Fault> {
    let node = tree.node(id);
    match node.tag {
        Some(Mark::Foreign) => {
            let message = format!(
                "{} carries a tag that only its own program understands; edit it by hand",
                name_of(here)
            );
            Err(tree.fault(node.head(), message))
        }
        _ => Ok(()),
    }
}

pub(super) fn guard_anchor(tree: &Tree<'_>, id: Id, here: &Pointer) -> Result<(), Fault> {
    if !tree.is_shared(id) {
        return Ok(());
    }
    let message = format!(
        "{} has an anchor, and aliases elsewhere would change with it; edit it by hand",
        name_of(here)
    );
    Err(tree.fault(tree.node(id).head(), message))
}

/// One step into a container; none when it is not there.
fn enter(tree: &Tree<'_>, id: Id, step: &Step, here: &Pointer) -> Result<Option<(usize, Id)>, Fault> {
    match (&tree.node(id).kind, step) {
        (Kind::Map { entries, .. }, Step::Key(key)) => {
            let Some(index) = entries.iter().position(|entry| tree.key(entry.key) == Some(key)) else {
                return merged(tree, id, step, here);
            };
            let entry = &entries[index];
            let key_node = tree.node(entry.key);
            if entry.explicit || matches!(key_node.kind, Kind::Alias(_)) {
                let message =
                    format!("the key `{key}` is written as `? key` or as an alias; edit it by hand");
                return Err(tree.fault(entry.start, message));
            }
            if tree.is_shared(entry.key) {
                let message = format!("the key `{key}` has an anchor that aliases refer to; edit it by hand");
                return Err(tree.fault(entry.start, message));
            }
            Ok(Some((index, entry.value)))
        }
        (Kind::Seq { items, .. }, Step::Item { .. } | Step::Element(_)) => {
            let mut hits = items.iter().enumerate().filter(|(_, item)| tree.is_item(item.node, step));
            let hit = hits.next();
            if let Some((_, twin)) = hits.next() {
                let message = format!("{} lists this item twice; keep one of them", name_of(here));
                return Err(tree.fault(twin.start, message));
            }
            Ok(hit.map(|(index, item)| (index, item.node)))
        }
        // Whether it can be opened is for the operation to say.
        (Kind::Map { entries, .. }, _) if entries.is_empty() => Ok(None),
        (Kind::Seq { items, .. }, _) if items.is_empty() => Ok(None),
        (Kind::Scalar { .. }, _) if tree.value(id) == Value::Null => Ok(None),
        _ => Err(mismatch(tree, id, step, here)),
    }
}

/// A key that is only there through `<<`.
fn merged(tree: &Tree<'_>, id: Id, step: &Step, here: &Pointer) -> Result<Option<(usize, Id)>, Fault> {
    if tree.find(id, step).is_none() {
        return Ok(None);
    }
    let message =
        format!("this member of {} is merged in with `<<`; edit it where it is written", name_of(here));
    Err(tree.fault(tree.node(id).head(), message))
}

pub(super) fn mismatch(tree: &Tree<'_>, id: Id, step: &Step, here: &Pointer) -> Fault {
    let is = match &tree.node(id).kind {
        Kind::Map { .. } => "a map",
        Kind::Seq { .. } => "a list",
        _ => "a single value",
    };
    let wanted = if matches!(step, Step::Key(_)) { "a map" } else { "a list" };
    tree.fault(tree.node(id).head(), format!("{} is {is}, not {wanted}; correct it by hand", name_of(here)))
}

/// A place in a sentence.
pub(super) fn name_of(here: &Pointer) -> String {
    if here.0.is_empty() { "the document".to_owned() } else { format!("`{here}`") }
}
