//! Put: a value into its place.
//!
//! Invariant: text that is not the value's own is only ever added to, never taken away.

use serde_json::{Map, Value};

use super::super::{Fault, Op, Seam};
use super::edit::{
    Change, Holder, Membership, Planned, Spot, guard_anchor, guard_tag, header, holder, mismatch, walk,
};
use super::lines::{self, Splice, slice};
use super::tree::{Id, Kind, Mark, Tree, entry_end, header_end, item_end};
use super::write::{Member, Style, is_inline};
use crate::base::{Pointer, Step};

/// YAML readers give up on a key that is longer than this.
const KEY_LIMIT: usize = 1000;

/// Create or replace the value at a place.
pub(super) fn put(tree: &Tree<'_>, at: &Pointer, value: &Value) -> Result<Planned, Fault> {
    let there =
        tree.root.and_then(|root| at.0.iter().try_fold(root, |id, step| Some(tree.find(id, step)?.1)));
    if there.is_some_and(|id| !(at.0.is_empty() && tree.node(id).is_absent()) && tree.value(id) == *value) {
        return Ok(Planned::Nothing);
    }
    if let Some(key) = long_key(value).or_else(|| at.0.iter().find_map(long_step)) {
        let message =
            format!("the key `{}...` is too long for YAML", key.chars().take(20).collect::<String>());
        return Err(tree.fault(0, message));
    }
    let spot = walk(tree, at)?;
    match spot.node {
        Some(id) if spot.depth() == at.0.len() && !(at.0.is_empty() && tree.node(id).is_absent()) => {
            replace(tree, at, &spot, id, value)
        }
        _ => create(tree, at, &spot, value),
    }
}

fn long_key(value: &Value) -> Option<&str> {
    match value {
        Value::Object(map) => {
            map.iter().find_map(
                |(key, value)| {
                    if key.len() > KEY_LIMIT { Some(key.as_str()) } else { long_key(value) }
                },
            )
        }
        Value::Array(items) => items.iter().find_map(long_key),
        _ => None,
    }
}

fn long_step(step: &Step) -> Option<&str> {
    match step {
        Step::Key(key) | Step::Item { key, .. } if key.len() > KEY_LIMIT => Some(key),
        _ => None,
    }
}

fn prefix(at: &Pointer, depth: usize) -> Pointer {
    Pointer(at.0.iter().take(depth).cloned().collect())
}

/// Make what is missing on the way, and the value at its end.
fn create(tree: &Tree<'_>, at: &Pointer, spot: &Spot, value: &Value) -> Result<Planned, Fault> {
    let depth = spot.depth();
    let rest = at.0.get(depth..).unwrap_or_default();
    let here = prefix(at, depth);
    let Some((step, below)) = rest.split_first() else {
        return fill_root(tree, value);
    };
    let member = match step {
        Step::Key(key) => Member::Pair(key.clone(), wrap(tree, below, value)?),
        _ => Member::Item(item(tree, step, below, value)?),
    };
    // An item brings its name along, so it is never empty and has no seam.
    let made = (depth + 1..at.0.len()).filter(|made| matches!(at.0.get(made - 1), Some(Step::Key(_))));
    let made = made.map(|made| Seam { at: prefix(at, made), was: None });

    let Some(id) = spot.node else {
        let splices = vec![open_blank(tree, &member)];
        let opened = Seam { at: here.clone(), was: Some(tree.text.to_owned()) };
        let seams = std::iter::once(opened).chain(made).collect();
        return Ok(Planned::Change(Change { splices, seams, touched: here, member: None }));
    };
    let node = tree.node(id);
    let fits = matches!(
        (&node.kind, &member),
        (Kind::Map { .. }, Member::Pair(..)) | (Kind::Seq { .. }, Member::Item(_)) | (Kind::Scalar { .. }, _)
    );
    if !fits {
        return Err(mismatch(tree, id, step, &here));
    }
    guard_tag(tree, id, &here)?;
    guard_anchor(tree, id, &here)?;
    let style = style(tree, spot, id);
    if node.count().unwrap_or(0) == 0 {
        let (splices, was) = open(tree, spot, id, &member, style)?;
        let seams = std::iter::once(Seam { at: here.clone(), was: Some(was) }).chain(made).collect();
        return Ok(Planned::Change(Change { splices, seams, touched: here, member: None }));
    }
    let (splices, membership) = if node.is_flow() {
        (grow_flow(tree, id, &member, style)?, None)
    } else {
        let count = node.count().unwrap_or(0);
        (vec![grow_block(tree, spot, id, &member, style)?], Some(Membership { of: id, grows: true, count }))
    };
    // Inside brackets a neighbour's comma is touched as well.
    let touched = if membership.is_some() { prefix(at, depth + 1) } else { here };
    Ok(Planned::Change(Change { splices, seams: made.collect(), touched, member: membership }))
}

/// The containers below a new member.
fn wrap(tree: &Tree<'_>, steps: &[Step], value: &Value) -> Result<Value, Fault> {
    match steps.split_first() {
        None => Ok(value.clone()),
        Some((Step::Key(key), below)) => {
            Ok(Value::Object(Map::from_iter([(key.clone(), wrap(tree, below, value)?)])))
        }
        Some((step, below)) => Ok(Value::Array(vec![item(tree, step, below, value)?])),
    }
}

/// A new item of a list, which must be found again under its step.
fn item(tree: &Tree<'_>, step: &Step, below: &[Step], value: &Value) -> Result<Value, Fault> {
    let made = match (step, below) {
        (Step::Item { key, is }, [Step::Key(_), ..]) => {
            let mut made = Map::from_iter([(key.clone(), Value::String(is.clone()))]);
            if let Value::Object(members) = wrap(tree, below, value)? {
                made.extend(members);
            }
            Value::Object(made)
        }
        (_, []) => value.clone(),
        _ => Value::Null,
    };
    let found = match step {
        Step::Item { key, is } => made.get(key).and_then(Value::as_str) == Some(is),
        Step::Element(text) => made.as_str() == Some(text),
        Step::Key(_) => true,
    };
    if found {
        Ok(made)
    } else {
        Err(tree.fault(0, "the new list item does not hold the value that names it"))
    }
}

/// A whole document where there is none.
fn fill_root(tree: &Tree<'_>, value: &Value) -> Result<Planned, Fault> {
    let style = Style { step: 2, dash: 2, gap: 1, json: false, pad: false };
    let splice = append(tree, &style.block(value, 0));
    Ok(Planned::Change(Change { splices: vec![splice], ..Change::default() }))
}

/// The first member of a document that is not there yet.
fn open_blank(tree: &Tree<'_>, member: &Member) -> Splice {
    let style = Style { step: 2, dash: 2, gap: 1, json: false, pad: false };
    append(tree, &style.block_member(member, 0))
}

/// Lines at the end of the document.
fn append(tree: &Tree<'_>, lines: &[String]) -> Splice {
    let text = tree.text;
    let at = tree.finish.unwrap_or(text.len());
    let eol = lines::eol(text, at);
    let new = lines.join(eol);
    if lines::column(text, at) == 0 {
        Splice::insert(at, format!("{new}{eol}"))
    } else {
        Splice::insert(at, format!("{eol}{new}"))
    }
}

/// Lines behind the line that ends at `at`.
fn below(text: &str, at: usize, lines: &[String], column: usize) -> Splice {
    let eol = lines::eol(text, at);
    let indent = " ".repeat(column);
    Splice::insert(at, format!("{eol}{indent}{}", lines.join(eol)))
}

/// The first member of an empty container; with what stood there.
fn open(
    tree: &Tree<'_>,
    spot: &Spot,
    id: Id,
    member: &Member,
    style: Style,
) -> Result<(Vec<Splice>, String), Fault> {
    let (text, node) = (tree.text, tree.node(id));
    let (kind, alone) = match member {
        Member::Pair(key, value) => ("map", Value::Object(Map::from_iter([(key.clone(), value.clone())]))),
        Member::Item(value) => ("seq", Value::Array(vec![value.clone()])),
    };
    if let Some(Mark::Core(tag)) = &node.tag
        && tag != kind
    {
        return Err(
            tree.fault(node.head(), format!("the tag `!!{tag}` does not allow members here; remove it"))
        );
    }
    let own = slice(text, node.start..node.end).to_owned();
    let holder = holder(tree, spot);
    let head = header(tree, holder, id);
    match holder {
        Holder::Root if node.is_absent() => return Ok((vec![open_blank(tree, member)], text.to_owned())),
        Holder::Root => {
            let stop = lines::end(text, node.end);
            let alone = node.props.is_none()
                && lines::column(text, node.start) == 0
                && !tree.has_comment(node.start..stop);
            if alone && slice(text, node.end..stop).trim_end_matches([' ', '\t']).is_empty() {
                let new = style.block_member(member, 0).join(lines::eol(text, node.start));
                return Ok((vec![Splice::swap(node.start..node.end, new)], own));
            }
        }
        Holder::Entry { start, colon: Some(_) } if !spot.in_flow(tree) => {
            if let Some(head) = head.filter(|head| !tree.has_comment(*head..node.end)) {
                let base = lines::column(text, start);
                let column = base + if kind == "seq" { style.dash } else { style.step };
                let stop = past_comments(tree, lines::end(text, node.end), base + 1);
                let splices = vec![
                    Splice::cut(head..node.end),
                    below(text, stop, &style.block_member(member, column), column),
                ];
                let was = slice(text, head..node.end);
                // One blank before it goes without saying.
                let was = was
                    .strip_prefix(' ')
                    .filter(|rest| !rest.is_empty() && !rest.starts_with([' ', '\t']))
                    .unwrap_or(was);
                return Ok((splices, was.to_owned()));
            }
        }
        Holder::Entry { .. } | Holder::Item { .. } => {}
    }
    if node.is_absent() {
        let Some(head) = head else {
            return Err(tree.fault(node.start, "this key has no colon; write its value as `{}` first"));
        };
        return Ok((vec![Splice::insert(head, format!(" {}", style.inline(&alone, true)))], own));
    }
    if tree.has_comment(node.start..node.end) {
        return Ok((vec![Splice::insert(node.start + 1, style.flow_member(member))], own));
    }
    Ok((vec![Splice::swap(node.start..node.end, style.inline(&alone, true))], own))
}

/// One more member at the end of a block map or list.
fn grow_block(tree: &Tree<'_>, spot: &Spot, id: Id, member: &Member, style: Style) -> Result<Splice, Fault> {
    if let Kind::Map { entries, .. } = &tree.node(id).kind
        && let Some(last) = entries.last().filter(|entry| tree.node(entry.key).is_block_scalar())
    {
        return Err(tree.fault(last.start, "the key before is a text block; add this member by hand"));
    }
    let text = tree.text;
    let (first, last, before_last, end) = match &tree.node(id).kind {
        Kind::Map { entries, .. } => {
            let last = entries.len().saturating_sub(1);
            let start = |n: usize| entries.get(n).map_or(0, |entry| entry.start);
            let end = |n: usize| entries.get(n).map_or(0, |entry| entry_end(tree, entry));
            (start(0), start(last), last.checked_sub(1).map(end), end(last))
        }
        Kind::Seq { items, .. } => {
            let last = items.len().saturating_sub(1);
            let start = |n: usize| items.get(n).map_or(0, |item| item.start);
            let end = |n: usize| items.get(n).map_or(0, |item| item_end(tree, item));
            (start(0), start(last), last.checked_sub(1).map(end), end(last))
        }
        _ => (0, 0, None, 0),
    };
    let column = lines::column(text, first);
    let new = style.block_member(member, column);
    let stop = lines::end(text, end);
    if stop == text.len() && ends_open(tree, id) {
        // A line break behind this block scalar would become part of it: stay before it.
        if matches!(member, Member::Item(_)) {
            let message = "the file ends inside this block scalar; add a line break at its end first";
            return Err(tree.fault(last, message));
        }
        return Ok(match before_last {
            Some(end) => below(text, past_comments(tree, lines::end(text, end), column + 1), &new, column),
            None => {
                let eol = lines::eol(text, last);
                Splice::insert(last, format!("{}{eol}{}", new.join(eol), " ".repeat(column)))
            }
        });
    }
    // A list at its key's own column shares it with the keys that follow, and with their comments.
    let shares = match (&tree.node(id).kind, holder(tree, spot)) {
        (Kind::Seq { .. }, Holder::Entry { start, .. }) => lines::column(text, start) == column,
        _ => false,
    };
    let stop = past_comments(tree, stop, column + usize::from(shares));
    Ok(below(text, stop, &new, column))
}

/// Whether the last value inside is a block scalar that would take in another line break.
fn ends_open(tree: &Tree<'_>, id: Id) -> bool {
    let node = tree.node(id);
    let last = match &node.kind {
        Kind::Map { entries, .. } => entries.last().map(|entry| entry.value),
        Kind::Seq { items, .. } => items.last().map(|item| item.node),
        _ => None,
    };
    match last {
        Some(last) => ends_open(tree, last),
        None => {
            let header = slice(tree.text, node.start..header_end(tree.text, node.start));
            node.is_block_scalar() && !header.contains('-')
        }
    }
}

/// Past the lines of comment right below the line that ends at `stop`, if they are indented so far.
fn past_comments(tree: &Tree<'_>, mut stop: usize, column: usize) -> usize {
    let text = tree.text;
    loop {
        let start = lines::past(text, stop);
        let end = lines::end(text, start);
        let line = slice(text, start..end);
        let content = line.trim_start_matches([' ', '\t']);
        if start == stop || !content.starts_with('#') || line.len() - content.len() < column {
            return stop;
        }
        stop = end;
    }
}

/// One more member at the end of a flow map or list.
fn grow_flow(tree: &Tree<'_>, id: Id, member: &Member, style: Style) -> Result<Vec<Splice>, Fault> {
    let (text, node) = (tree.text, tree.node(id));
    if !slice(text, node.start..node.end).starts_with(['{', '[']) {
        return Err(
            tree.fault(node.start, "this pair has no braces of its own; write it as `{key: value}` first")
        );
    }
    let (start, end) = match &node.kind {
        Kind::Map { entries, .. } => entries.last().map(|entry| (entry.start, entry_end(tree, entry))),
        Kind::Seq { items, .. } => items.last().map(|item| (item.start, item_end(tree, item))),
        _ => None,
    }
    .unwrap_or((node.start + 1, node.start + 1));
    let close = node.end.saturating_sub(1);
    let new = style.flow_member(member);
    let comma = tree.seek(end..close, &[',']);
    let line = comma.map_or(end, |comma| comma + 1);
    let own_line = lines::leads(text, start)
        && lines::leads(text, close)
        && lines::start(text, close) > end
        && lines::start(text, line) <= end;
    if !own_line {
        // Some readers take `key:,` for one word: the comma stays behind the blank.
        let bare = slice(text, 0..end).ends_with(':') && slice(text, end..close).starts_with(' ');
        return Ok(vec![Splice::insert(end + usize::from(bare), format!(", {new}"))]);
    }
    let stop = lines::end(text, line);
    let indent = slice(text, lines::start(text, start)..start);
    let eol = lines::eol(text, stop);
    let (before, after) = if comma.is_some() { ("", ",") } else { (",", "") };
    Ok(vec![Splice::insert(end, before), Splice::insert(stop, format!("{eol}{indent}{new}{after}"))])
}

/// Another value for a place that has one.
fn replace(tree: &Tree<'_>, at: &Pointer, spot: &Spot, id: Id, value: &Value) -> Result<Planned, Fault> {
    let (text, node) = (tree.text, tree.node(id));
    if let Some(step @ (Step::Item { .. } | Step::Element(_))) = at.0.last() {
        item(tree, step, &[], value)?;
    }
    guard_tag(tree, id, at)?;
    guard_anchor(tree, id, at)?;
    if let (Kind::Map { entries, .. }, Value::Object(new)) = (&node.kind, value)
        && let Some(finer) = member_by_member(tree, at, entries, new)
    {
        return Ok(Planned::Finer(finer));
    }
    if let Some(alias) = tree.needed_outside(&(node.start..node.end)) {
        return Err(tree.fault(
            alias,
            "this alias refers to something inside the value to be replaced; write it out first",
        ));
    }
    // A tag goes with the value that it was about; an anchor stays.
    let from = match (&node.tag, node.anchor, &node.props) {
        (None, ..) => node.start,
        (Some(_), None, Some(props)) if !node.is_block() => props.start,
        _ => {
            return Err(tree.fault(node.head(), "the tag of this value stands in the way; remove it by hand"));
        }
    };
    let change =
        |splices: Vec<Splice>| Planned::Change(Change { splices, touched: at.clone(), ..Change::default() });
    let holder = holder(tree, spot);
    let style = style(tree, spot, id);
    let head = if node.tag.is_some() { header_without_tag(holder) } else { header(tree, holder, id) };
    let stays_flow = node.is_flow() && node.count() != Some(0) && (value.is_object() || value.is_array());
    let flow = spot.in_flow(tree);
    if flow || stays_flow {
        return Ok(change(vec![in_place(tree, id, from, head, &style.inline(value, flow))?]));
    }
    let keeps_list =
        matches!(node.kind, Kind::Seq { flow: false, .. }) && value.as_array().is_some_and(|v| !v.is_empty());
    if is_inline(value) && !keeps_list {
        let new = style.inline(value, false);
        return Ok(change(inline_over(tree, holder, id, from, head, &new)?));
    }
    if node.is_block() {
        return Ok(change(vec![block_over_block(tree, holder, id, value, style)]));
    }
    let Holder::Entry { start, colon: Some(_) } = holder else {
        let new = style.inline(value, true);
        return Ok(change(inline_over(tree, holder, id, from, head, &new)?));
    };
    let Some(head) = head.filter(|head| !tree.has_comment(*head..from)) else {
        return Ok(change(inline_over(tree, holder, id, from, head, &style.inline(value, true))?));
    };
    let column = lines::column(text, start) + if value.is_array() { style.dash } else { style.step };
    let new = style.block(value, column);
    let mut splices = Vec::new();
    let stop = if node.is_block_scalar() {
        let opened = header_end(text, node.start);
        let stop = lines::end(text, opened);
        splices.push(Splice::cut(head..opened));
        splices.push(Splice::cut(stop..node.end.max(stop)));
        stop
    } else {
        splices.push(Splice::cut(head..node.end));
        lines::end(text, node.end)
    };
    splices.push(below(text, stop, &new, column));
    Ok(change(splices))
}

/// A map that keeps some of its members is changed member by member: their comments stay.
fn member_by_member(
    tree: &Tree<'_>,
    at: &Pointer,
    entries: &[super::tree::Entry],
    new: &Map<String, Value>,
) -> Option<Vec<Op>> {
    let keys: Vec<_> = entries.iter().map(|entry| tree.key(entry.key)).collect::<Option<_>>()?;
    if keys.contains(&"<<") || !keys.iter().any(|key| new.contains_key(*key)) {
        return None;
    }
    let puts = new.iter().map(|(key, value)| Op::Put { at: at.key(key), value: value.clone() });
    let gone = keys.iter().filter(|key| !new.contains_key(**key));
    Some(puts.chain(gone.map(|key| Op::Drop { at: at.key(key) })).collect())
}

fn header_without_tag(holder: Holder) -> Option<usize> {
    match holder {
        Holder::Root => None,
        Holder::Entry { colon, .. } => colon,
        Holder::Item { dash } => dash.map(|dash| dash + 1),
    }
}

/// New text exactly where the old value stood.
fn in_place(tree: &Tree<'_>, id: Id, from: usize, head: Option<usize>, new: &str) -> Result<Splice, Fault> {
    let node = tree.node(id);
    if !node.is_absent() {
        return Ok(Splice::swap(from..node.end, new));
    }
    if head.is_none() {
        return Err(tree.fault(node.start, "this key has no colon; write its value by hand"));
    }
    // What was not written may still have had a tag.
    Ok(if from < node.start {
        Splice::swap(from..node.end, new)
    } else {
        Splice::insert(from, format!(" {new}"))
    })
}

/// One line instead of any value, outside of brackets.
fn inline_over(
    tree: &Tree<'_>,
    holder: Holder,
    id: Id,
    from: usize,
    head: Option<usize>,
    new: &str,
) -> Result<Vec<Splice>, Fault> {
    let (text, node) = (tree.text, tree.node(id));
    if node.is_block_scalar() {
        let stop = lines::end(text, header_end(text, node.start));
        return Ok(vec![
            Splice::swap(from..header_end(text, node.start), new),
            Splice::cut(stop..node.end.max(stop)),
        ]);
    }
    if !node.is_block() {
        return Ok(vec![in_place(tree, id, from, head, new)?]);
    }
    let stop = lines::end(text, node.end);
    match (holder, head) {
        (Holder::Entry { .. } | Holder::Item { .. }, Some(head)) if lines::leads(text, node.start) => {
            let start = lines::before(text, lines::start(text, node.start));
            Ok(vec![Splice::insert(head, format!(" {new}")), Splice::cut(start..stop)])
        }
        _ => Ok(vec![Splice::swap(node.start..stop, new)]),
    }
}

/// Block lines instead of block lines.
fn block_over_block(tree: &Tree<'_>, holder: Holder, id: Id, value: &Value, style: Style) -> Splice {
    let (text, node) = (tree.text, tree.node(id));
    let stop = lines::end(text, node.end);
    let same = matches!(
        (&node.kind, value),
        (Kind::Map { .. }, Value::Object(_)) | (Kind::Seq { .. }, Value::Array(_))
    );
    let eol = lines::eol(text, node.start);
    match holder {
        Holder::Entry { start, .. } if !same => {
            let column = lines::column(text, start) + if value.is_array() { style.dash } else { style.step };
            let new = style.block(value, column).join(eol);
            Splice::swap(lines::start(text, node.start)..stop, format!("{}{new}", " ".repeat(column)))
        }
        _ => {
            let column = lines::column(text, node.start);
            Splice::swap(node.start..stop, style.block(value, column).join(eol))
        }
    }
}

/// How things are written around here.
fn style(tree: &Tree<'_>, spot: &Spot, id: Id) -> Style {
    let text = tree.text;
    let column = |at: usize| lines::column(text, at);
    let nested = |of: Id, list: bool| match &tree.node(of).kind {
        Kind::Map { flow: false, entries } => entries.iter().find_map(|entry| {
            let value = tree.node(entry.value);
            let kind = matches!((&value.kind, list), (Kind::Map { .. }, false) | (Kind::Seq { .. }, true));
            if kind && value.is_block() { column(value.start).checked_sub(column(entry.start)) } else { None }
        }),
        _ => None,
    };
    let near = || std::iter::once(id).chain(spot.chain.iter().rev().map(|(container, _)| *container));
    let all = || 0..tree.nodes.len();
    let step = near().find_map(|id| nested(id, false)).or_else(|| all().find_map(|id| nested(id, false)));
    let step = step.filter(|step| *step > 0).unwrap_or(2);
    let dash = near().find_map(|id| nested(id, true)).or_else(|| all().find_map(|id| nested(id, true)));
    let gap = |of: Id| match &tree.node(of).kind {
        Kind::Seq { flow: false, items } => items.iter().find_map(|item| {
            let head = tree.node(item.node).head();
            let blanks = slice(text, item.start + 1..head);
            (!blanks.is_empty() && blanks.bytes().all(|byte| byte == b' ')).then_some(blanks.len())
        }),
        _ => None,
    };
    let quoted = |of: Id| match &tree.node(of).kind {
        Kind::Map { flow: true, entries } if !entries.is_empty() => {
            let json = |key: Id| slice(text, tree.node(key).start..tree.node(key).end).starts_with('"');
            Some(entries.iter().all(|entry| json(entry.key)))
        }
        _ => None,
    };
    let pad = |of: Id| match &tree.node(of).kind {
        Kind::Map { flow: true, entries } if !entries.is_empty() => {
            Some(slice(text, tree.node(of).start..tree.node(of).end).starts_with("{ "))
        }
        _ => None,
    };
    Style {
        step,
        dash: dash.unwrap_or(step),
        gap: near().take(1).find_map(gap).or_else(|| all().find_map(gap)).unwrap_or(1),
        json: near().find_map(quoted).unwrap_or(false),
        pad: near().find_map(pad).or_else(|| all().find_map(pad)).unwrap_or(false),
    }
}
