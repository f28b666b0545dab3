//! Drop and close: members go, and what was opened for them closes again.
//!
//! Invariant: what goes is the member's own lines, or its own text and one comma; comments above and
//! below it stay.

use super::super::{Fault, Seam};
use super::edit::{Change, Holder, Membership, Planned, Spot, header, holder, walk};
use super::lines::{self, Splice, slice};
use super::tree::{Id, Kind, Tree, entry_end, header_end, item_end};
use crate::base::Pointer;

/// Remove what is at a place, if it is there.
pub(super) fn drop_place(tree: &Tree<'_>, at: &Pointer) -> Result<Planned, Fault> {
    if at.0.is_empty() {
        return Err(tree.fault(0, "the whole document cannot be removed; delete the file instead"));
    }
    let there = tree
        .root
        .is_some_and(|root| at.0.iter().try_fold(root, |id, step| Some(tree.find(id, step)?.1)).is_some());
    if !there {
        let is_named = tree.root.is_some_and(|root| at.get(&tree.value(root)).is_some());
        return match is_named {
            true => Err(tree.fault(0, "a key on the way is no plain text; remove it by hand")),
            false => Ok(Planned::Nothing),
        };
    }
    let spot = walk(tree, at)?;
    if spot.depth() < at.0.len() {
        return Ok(Planned::Nothing);
    }
    remove(tree, at, &spot)
}

/// Remove the member that a walk has found.
fn remove(tree: &Tree<'_>, at: &Pointer, spot: &Spot) -> Result<Planned, Fault> {
    let Some((container, index)) = spot.chain.last().copied() else {
        return Ok(Planned::Nothing);
    };
    let parent = at.parent().unwrap_or_default();
    let above = Spot { chain: spot.chain[..spot.chain.len() - 1].to_vec(), node: Some(container) };
    let count = tree.node(container).count().unwrap_or(0);
    let flow = tree.node(container).is_flow();
    let splices = match (flow, count) {
        (true, _) => drop_flow(tree, container, index)?,
        (false, 1) => empty_block(tree, &above, container),
        (false, _) => vec![drop_block(tree, container, index)?],
    };
    for splice in splices.iter().filter(|splice| !splice.at.is_empty()) {
        if let Some(alias) = tree.needed_outside(&splice.at) {
            let message =
                format!("this alias refers to something inside `{at}`; write it out before that is removed");
            return Err(tree.fault(alias, message));
        }
    }
    let member = (!flow && count > 1).then_some(Membership { of: container, grows: false, count });
    let touched = if member.is_some() { at.clone() } else { parent };
    Ok(Planned::Change(Change { splices, seams: Vec::new(), touched, member }))
}

/// Where a member starts and ends.
fn extent(tree: &Tree<'_>, container: Id, index: usize) -> (usize, usize) {
    match &tree.node(container).kind {
        Kind::Map { entries, .. } => entries.get(index).map(|entry| (entry.start, entry_end(tree, entry))),
        Kind::Seq { items, .. } => items.get(index).map(|item| (item.start, item_end(tree, item))),
        _ => None,
    }
    .unwrap_or((0, 0))
}

/// One of several members of a block container.
fn drop_block(tree: &Tree<'_>, container: Id, index: usize) -> Result<Splice, Fault> {
    let text = tree.text;
    let (start, end) = extent(tree, container, index);
    let stop = lines::end(text, end);
    if lines::leads(text, start) {
        let line = lines::start(text, start);
        let above = scalar_above(tree, line);
        if let Some(at) = above.and_then(|above| absorbed(tree, above, lines::past(text, stop))) {
            let message = "this would become part of the text block above when the entry between them goes; move it first";
            return Err(tree.fault(at, message));
        }
        // Without a line break at the end of the file, the one before goes, unless a text block needs it.
        let needs = above.is_some_and(|id| !block_header(tree, id).contains('-'));
        let from = if stop == text.len() && !needs { lines::before(text, line) } else { line };
        return Ok(Splice::cut(from..lines::past(text, stop)));
    }
    // The first member stands behind a dash: the next one moves up, unless a comment is in between.
    let (next, _) = extent(tree, container, index + 1);
    Ok(Splice::cut(start..if next > stop && !tree.has_comment(stop..next) { next } else { stop }))
}

/// The block scalar that ends above this line, with nothing but blank lines in between.
fn scalar_above(tree: &Tree<'_>, line: usize) -> Option<Id> {
    let above = |id: &Id| {
        let node = tree.node(*id);
        node.is_block_scalar() && node.end <= line && slice(tree.text, node.end..line).trim().is_empty()
    };
    (0..tree.nodes.len()).find(above)
}

fn block_header<'t>(tree: &Tree<'t>, id: Id) -> &'t str {
    let start = tree.node(id).start;
    slice(tree.text, start..header_end(tree.text, start))
}

/// What follows at `from` would, right below this block scalar, be read as its text: where.
fn absorbed(tree: &Tree<'_>, id: Id, from: usize) -> Option<usize> {
    let (text, node, header) = (tree.text, tree.node(id), block_header(tree, id));
    let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let content = lines::past(text, lines::end(text, node.start));
    let first = slice(text, content..node.end).lines().find(|line| !lines::blank(line)).map(spaces);
    let indent = first.filter(|_| !header.contains(|c: char| c.is_ascii_digit())).unwrap_or(1);
    let mut at = from;
    while at < text.len() {
        let stop = lines::end(text, at);
        let line = slice(text, at..stop);
        if !lines::blank(line) {
            return (line.trim_start().starts_with('#') && spaces(line) >= indent).then_some(at);
        }
        if header.contains('+') || spaces(line) > indent {
            return Some(at);
        }
        at = lines::past(text, stop);
    }
    None
}

/// The only member of a block container, which then is written as `{}` or `[]`.
fn empty_block(tree: &Tree<'_>, above: &Spot, container: Id) -> Vec<Splice> {
    let text = tree.text;
    let (start, end) = extent(tree, container, 0);
    let stop = lines::end(text, end);
    let empty = if matches!(tree.node(container).kind, Kind::Seq { .. }) { "[]" } else { "{}" };
    let holder = holder(tree, above);
    match (holder, header(tree, holder, container)) {
        (Holder::Entry { .. } | Holder::Item { .. }, Some(head)) if lines::leads(text, start) => {
            let line = lines::start(text, start);
            vec![
                Splice::insert(head, format!(" {empty}")),
                if stop == text.len() {
                    Splice::cut(lines::before(text, line)..stop)
                } else {
                    Splice::cut(line..lines::past(text, stop))
                },
            ]
        }
        _ => vec![Splice::swap(start..stop, empty)],
    }
}

/// A member inside brackets, with one comma.
fn drop_flow(tree: &Tree<'_>, container: Id, index: usize) -> Result<Vec<Splice>, Fault> {
    let (text, node) = (tree.text, tree.node(container));
    if !slice(text, node.start..node.end).starts_with(['{', '[']) {
        return Err(tree.fault(node.start, "this pair has no braces of its own; remove it by hand"));
    }
    let count = node.count().unwrap_or(0);
    let close = node.end.saturating_sub(1);
    let (start, end) = extent(tree, container, index);
    let next = (index + 1 < count).then(|| extent(tree, container, index + 1).0);
    let comma = tree.seek(end..next.unwrap_or(close), &[',']);
    let stop = comma.map_or(end, |comma| comma + 1);
    let previous = index.checked_sub(1).and_then(|previous| {
        let (_, end) = extent(tree, container, previous);
        Some((end, tree.seek(end..start, &[','])?))
    });

    if count == 1 && !tree.has_comment(node.start..node.end) {
        return Ok(vec![Splice::cut(node.start + 1..close)]);
    }
    // On lines of its own: those lines.
    let line_end = lines::end(text, stop);
    let behind = slice(text, stop..line_end).trim_start_matches([' ', '\t']);
    if lines::leads(text, start) && (behind.is_empty() || behind.starts_with('#')) && line_end < text.len() {
        let mut splices = vec![Splice::cut(lines::start(text, start)..lines::past(text, line_end))];
        // The last one without a comma: the one before loses its comma.
        if let (None, None, Some((_, comma))) = (next, comma, previous) {
            splices.push(Splice::cut(comma..comma + 1));
        }
        return Ok(splices);
    }
    if let Some(next) = next {
        let until = if tree.has_comment(stop..next) { stop } else { next };
        return Ok(vec![Splice::cut(start..until)]);
    }
    match previous {
        Some((before, before_comma)) if !tree.has_comment(before..start) => {
            // A trailing comma stays, as the trailing comma of the one before.
            Ok(vec![Splice::cut(before_comma..start.max(end))])
        }
        Some((_, before_comma)) if comma.is_none() => {
            Ok(vec![Splice::cut(before_comma..before_comma + 1), Splice::cut(start..end)])
        }
        _ => Ok(vec![Splice::cut(start..stop)]),
    }
}

/// Put back what stood where a container was opened, if it is empty now.
pub(super) fn close(tree: &Tree<'_>, seam: &Seam) -> Result<Planned, Fault> {
    let Ok(spot) = walk(tree, &seam.at) else {
        return Ok(Planned::Nothing);
    };
    let Some(id) = spot.node.filter(|_| spot.depth() == seam.at.0.len()) else {
        return Ok(Planned::Nothing);
    };
    let (text, node) = (tree.text, tree.node(id));
    let made = seam.was.is_none() && !seam.at.0.is_empty();
    let empty = node.count() == Some(0) || made && tree.value(id).is_null();
    if !empty || tree.has_comment(node.start..node.end) || tree.is_shared(id) {
        return Ok(Planned::Nothing);
    }
    if made {
        // Its own place is gone with it; what it was in is for the next seam to close.
        return Ok(match remove(tree, &seam.at, &spot)? {
            Planned::Change(change) => {
                Planned::Change(Change { touched: Pointer::root(), member: None, ..change })
            }
            other => other,
        });
    }
    let was = seam.was.as_deref().unwrap_or("");
    let holder = holder(tree, &spot);
    let splice = match (holder, header(tree, holder, id)) {
        (Holder::Root, _) if was_blank(was) => {
            let (line, stop) = (lines::start(text, node.start), lines::end(text, node.end));
            if !lines::leads(text, node.start) {
                Splice::cut(node.start..node.end)
            } else if stop == text.len() && !was.ends_with(['\n', '\r']) && !was.is_empty() {
                Splice::cut(lines::before(text, line)..stop)
            } else {
                Splice::cut(line..lines::past(text, stop))
            }
        }
        (Holder::Entry { .. }, Some(head)) if !tree.has_comment(head..node.start) && !spot.in_flow(tree) => {
            let blank = if was.is_empty() || was.starts_with(char::is_whitespace) { "" } else { " " };
            Splice::swap(head..node.end, format!("{blank}{was}"))
        }
        (Holder::Entry { .. }, Some(head)) if was.is_empty() => Splice::cut(head..node.end),
        _ => Splice::swap(node.start..node.end, was),
    };
    Ok(Planned::Change(Change { splices: vec![splice], touched: Pointer::root(), ..Change::default() }))
}

/// The file had no value at all before we wrote into it.
fn was_blank(was: &str) -> bool {
    Tree::parse(was).is_ok_and(|tree| tree.root.is_none_or(|root| tree.node(root).is_absent()))
}
