//! Bracketed containers (`{..}`, `[..]`) as lossless trees, opened only where an edit goes.
//!
//! Invariant: the pieces of a container, put together again, are its text; whatever is not touched is
//! a borrowed slice of the original.
//!
//! Start at [`Node::put`]; a [`Dialect`] says how JSON and TOML differ.

use std::borrow::Cow;

use serde_json::Value;

use super::model;
use super::{Seam, Slip};
use crate::base::{Pointer, Step};

mod style;

use style::{BREAK, ends_open, leading_newline};
pub(super) use style::{Place, SPACE, Style, comments_of, newline};

/// What the tree needs to know about a format.
pub(super) trait Dialect: Copy {
    /// What stands between key and value.
    const MARK: u8;
    /// The end of white space and comments that begin at `at`.
    fn trivia(self, text: &str, at: usize) -> usize;
    /// The end of the key that begins at `at`.
    fn key(self, text: &str, at: usize) -> usize;
    /// The end of the value that begins at `at`.
    fn value(self, text: &str, at: usize) -> usize;
    /// The names that a key stands for: one, or more when it is dotted.
    fn names(self, key: &str) -> Vec<String>;
    /// The value of a piece of text.
    fn read(self, text: &str) -> Result<Value, Slip>;
    /// A key as text.
    fn quote(self, name: &str) -> String;
    /// A value as text; its continuation lines are indented by `indent`.
    fn write(self, value: &Value, style: &Style, indent: &str, spread: Spread) -> Result<String, Slip>;
}

/// How much room a written value takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// All on one line.
    Line,
    /// Maps on lines of their own, short lists of scalars on one.
    Lines,
    /// Every list on lines, too.
    Everything,
}

/// A value in its place; opened into members when an edit goes through it.
#[derive(Clone, Debug)]
pub(super) struct Node<'t> {
    text: Cow<'t, str>,
    /// Where the value stands in the original, for messages.
    at: usize,
    open: Option<Box<Container<'t>>>,
}

#[derive(Clone, Debug)]
struct Container<'t> {
    is_list: bool,
    items: Vec<Item<'t>>,
    /// White space and comments before the closing bracket.
    tail: Cow<'t, str>,
    /// Whether its keys are known to be distinct. An edit adds only keys that are not there.
    is_distinct: bool,
}

#[derive(Clone, Debug)]
struct Item<'t> {
    at: usize,
    /// White space and comments since the opening bracket or the last comma.
    before: Cow<'t, str>,
    /// The key as written; empty in a list.
    key: Cow<'t, str>,
    /// From the key to the value: the mark and what is around it.
    mid: Cow<'t, str>,
    value: Node<'t>,
    /// White space and comments before the comma; empty without one.
    gap: Cow<'t, str>,
    comma: bool,
}

enum Found {
    Nothing,
    /// The item, and how many steps its key took.
    At(usize, usize),
    /// Items whose dotted keys begin with all the steps.
    Below(Vec<usize>),
}

impl<'t> Node<'t> {
    /// A value at a byte offset of the original.
    pub(super) fn new(text: impl Into<Cow<'t, str>>, at: usize) -> Self {
        Self { text: text.into(), at, open: None }
    }

    /// Its text, as edited.
    pub(super) fn print(&self, out: &mut String) {
        let Some(container) = &self.open else {
            out.push_str(&self.text);
            return;
        };
        out.push_str(if container.is_list { "[" } else { "{" });
        for item in &container.items {
            out.push_str(&item.before);
            out.push_str(&item.key);
            out.push_str(&item.mid);
            item.value.print(out);
            out.push_str(&item.gap);
            out.push_str(if item.comma { "," } else { "" });
        }
        out.push_str(&container.tail);
        out.push_str(if container.is_list { "]" } else { "}" });
    }

    /// Its text on its own.
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        self.print(&mut out);
        out
    }

    /// Puts `value` at `steps[depth..]` of the pointer.
    pub(super) fn put<D: Dialect>(
        &mut self,
        dialect: D,
        at: &Pointer,
        depth: usize,
        value: &Value,
        place: &Place,
        seams: &mut Vec<Seam>,
    ) -> Result<(), Slip> {
        let steps = &at.0[depth..];
        let Some(step) = steps.first() else {
            return self.replace(dialect, value, place);
        };
        let here = self.at;
        let container = self.open(dialect)?.filter(|container| container.is_list != is_key(step));
        let Some(container) = container else {
            return Err(Slip::new(here, wrong_kind(at, depth)));
        };
        container.refuse_duplicates(dialect, step)?;
        let place = container.learn(place);
        match container.find(dialect, steps) {
            Found::At(index, taken) => {
                let item = &mut container.items[index];
                let place = place.inside(&item.before);
                item.value.put(dialect, at, depth + taken, value, &place, seams)
            }
            Found::Below(_) => {
                let message = format!("{at} is written with dotted keys; change it by hand");
                Err(Slip::new(here, message))
            }
            Found::Nothing => {
                let seams_here = made(at, depth);
                if self.is_empty() {
                    let seam = Seam { at: Pointer(at.0[..depth].to_vec()), was: Some(self.to_text()) };
                    remember(seams, seam);
                }
                seams_here.for_each(|seam| remember(seams, seam));
                if let Some(container) = &mut self.open {
                    container.push(dialect, step, &model::child(steps, value), &place)?;
                }
                Ok(())
            }
        }
    }

    /// Removes what is at these steps; absent is fine.
    pub(super) fn drop<D: Dialect>(&mut self, dialect: D, steps: &[Step]) -> Result<(), Slip> {
        let (Some(step), Some(container)) = (steps.first(), self.open(dialect)?) else { return Ok(()) };
        if container.is_list == is_key(step) {
            return Ok(());
        }
        container.refuse_duplicates(dialect, step)?;
        match container.find(dialect, steps) {
            Found::Nothing => {}
            Found::At(index, taken) if taken < steps.len() => {
                container.items[index].value.drop(dialect, &steps[taken..])?;
            }
            Found::At(index, _) => {
                container.remove(dialect, index);
                // A list may hold the same string twice; it goes altogether.
                while let (Step::Element(_), Found::At(index, _)) = (step, container.find(dialect, steps)) {
                    container.remove(dialect, index);
                }
            }
            Found::Below(indices) => {
                indices.into_iter().rev().for_each(|index| container.remove(dialect, index));
            }
        }
        Ok(())
    }

    /// Puts back what stood at these steps before we opened it, if it is empty now and holds no
    /// comment that came later.
    pub(super) fn close<D: Dialect>(
        &mut self,
        dialect: D,
        steps: &[Step],
        was: Option<&str>,
    ) -> Result<(), Slip> {
        let (Some(_), Some(container)) = (steps.first(), self.open(dialect)?) else { return Ok(()) };
        let Found::At(index, taken) = container.find(dialect, steps) else { return Ok(()) };
        let node = &mut container.items[index].value;
        if taken < steps.len() {
            return node.close(dialect, &steps[taken..], was);
        }
        if node.closes(dialect, was)? {
            match was {
                None => container.remove(dialect, index),
                Some(text) => *node = Node::new(text.to_owned(), node.at),
            }
        }
        Ok(())
    }

    /// Whether it is an empty container with no other comments than `was` had.
    pub(super) fn closes<D: Dialect>(&mut self, dialect: D, was: Option<&str>) -> Result<bool, Slip> {
        self.open(dialect)?;
        let mut old = Node::new(was.unwrap_or("{}"), 0);
        let Some(before) = old.open(dialect)? else { return Ok(false) };
        let Some(now) = self.open.as_ref().filter(|container| container.items.is_empty()) else {
            return Ok(false);
        };
        Ok(comments_of(dialect, &now.tail) == comments_of(dialect, &before.tail))
    }

    /// Follows steps without changing anything: the node, and where its key or item begins.
    pub(super) fn seek<D: Dialect>(
        &mut self,
        dialect: D,
        steps: &[Step],
    ) -> Result<Option<(&mut Self, usize)>, Slip> {
        let mut node = self;
        let mut start = node.at;
        let mut rest = steps;
        while let Some(step) = rest.first() {
            let Some(container) = node.open(dialect)?.filter(|found| found.is_list != is_key(step)) else {
                return Ok(None);
            };
            container.refuse_duplicates(dialect, step)?;
            let Found::At(index, taken) = container.find(dialect, rest) else { return Ok(None) };
            let item = &mut container.items[index];
            start = item.at;
            node = &mut item.value;
            rest = &rest[taken..];
        }
        Ok(Some((node, start)))
    }

    /// The member names of a map.
    pub(super) fn names<D: Dialect>(&mut self, dialect: D) -> Result<Vec<String>, Slip> {
        let Some(container) = self.open(dialect)?.filter(|container| !container.is_list) else {
            return Ok(Vec::new());
        };
        container.refuse_duplicates(dialect, &Step::Key(String::new()))?;
        Ok(container.items.iter().filter_map(|item| dialect.names(&item.key).into_iter().next()).collect())
    }

    /// Its value.
    pub(super) fn read<D: Dialect>(&self, dialect: D) -> Result<Value, Slip> {
        dialect.read(&self.to_text()).map_err(|slip| slip.shifted(self.at))
    }

    /// Whether it is a container without members.
    pub(super) fn opened_empty<D: Dialect>(&mut self, dialect: D) -> Result<bool, Slip> {
        self.open(dialect)?;
        Ok(self.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.open.as_ref().is_some_and(|container| container.items.is_empty())
    }

    fn replace<D: Dialect>(&mut self, dialect: D, value: &Value, place: &Place) -> Result<(), Slip> {
        let old = self.to_text();
        if dialect.read(&old).is_ok_and(|old| old == *value) {
            return Ok(());
        }
        let spread = match (old.contains(BREAK), old.starts_with('[')) {
            (true, true) => Spread::Everything,
            (true, false) => Spread::Lines,
            (false, _) if old.starts_with(['{', '[']) => Spread::Line,
            (false, _) => place.spread(),
        };
        *self = Node::new(dialect.write(value, &place.style, &place.indent, spread)?, self.at);
        Ok(())
    }

    /// Its members; none for a scalar.
    fn open<D: Dialect>(&mut self, dialect: D) -> Result<Option<&mut Container<'t>>, Slip> {
        if self.open.is_none() && self.text.starts_with(['{', '[']) {
            let container = match &self.text {
                Cow::Borrowed(text) => Container::split(dialect, text, self.at),
                Cow::Owned(text) => Container::split(dialect, text, self.at).map(Container::into_owned),
            };
            let Some(container) = container else {
                return Err(Slip::new(self.at, "this part of the file cannot be taken apart"));
            };
            self.open = Some(Box::new(container));
        }
        Ok(self.open.as_deref_mut())
    }
}

impl<'t> Container<'t> {
    fn split<D: Dialect>(dialect: D, text: &'t str, base: usize) -> Option<Self> {
        let is_list = text.starts_with('[');
        let close = if is_list { b']' } else { b'}' };
        let bytes = text.as_bytes();
        let mut items = Vec::new();
        let mut from = 1;
        loop {
            let start = dialect.trivia(text, from);
            if *bytes.get(start)? == close {
                let tail = Cow::Borrowed(&text[from..start]);
                return (start + 1 == text.len()).then_some(Self {
                    is_list,
                    items,
                    tail,
                    is_distinct: false,
                });
            }
            let (mut key_end, mut value) = (start, start);
            if !is_list {
                key_end = dialect.key(text, start);
                let mark = dialect.trivia(text, key_end);
                if *bytes.get(mark)? != D::MARK {
                    return None;
                }
                value = dialect.trivia(text, mark + 1);
            }
            let end = dialect.value(text, value);
            if end <= value {
                return None;
            }
            let next = dialect.trivia(text, end);
            let comma = *bytes.get(next)? == b',';
            items.push(Item {
                at: base.saturating_add(start),
                before: Cow::Borrowed(&text[from..start]),
                key: Cow::Borrowed(&text[start..key_end]),
                mid: Cow::Borrowed(&text[key_end..value]),
                value: Node::new(&text[value..end], base.saturating_add(value)),
                gap: Cow::Borrowed(if comma { &text[end..next] } else { "" }),
                comma,
            });
            from = if comma { next + 1 } else { end };
            if !comma && bytes[next] != close {
                return None;
            }
        }
    }

    fn into_owned<'o>(self) -> Container<'o> {
        let own = |piece: Cow<'_, str>| Cow::Owned(piece.into_owned());
        let items = self.items.into_iter().map(|item| Item {
            at: item.at,
            before: own(item.before),
            key: own(item.key),
            mid: own(item.mid),
            value: Node { text: own(item.value.text), at: item.value.at, open: None },
            gap: own(item.gap),
            comma: item.comma,
        });
        Container {
            is_list: self.is_list,
            items: items.collect(),
            tail: own(self.tail),
            is_distinct: self.is_distinct,
        }
    }

    fn find<D: Dialect>(&self, dialect: D, steps: &[Step]) -> Found {
        let Some(step) = steps.first() else { return Found::Nothing };
        if self.is_list {
            let hit =
                |item: &Item<'_>| item.value.read(dialect).is_ok_and(|item| model::matches(step, &item));
            return self.items.iter().position(hit).map_or(Found::Nothing, |index| Found::At(index, 1));
        }
        let mut below = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            let names = dialect.names(&item.key);
            let shared = names.iter().zip(steps).take_while(|(name, step)| is_named(step, name)).count();
            if shared == names.len() {
                return Found::At(index, shared);
            }
            if shared == steps.len() {
                below.push(index);
            }
        }
        if below.is_empty() { Found::Nothing } else { Found::Below(below) }
    }

    /// Two members of one name, or two items that both are `step`, and nobody knows which one counts.
    fn refuse_duplicates<D: Dialect>(&mut self, dialect: D, step: &Step) -> Result<(), Slip> {
        if self.is_distinct {
            return Ok(());
        }
        let mut seen = std::collections::HashSet::new();
        for item in &self.items {
            let (name, kind) = match step {
                Step::Key(_) => (dialect.names(&item.key).join("\u{0}"), "key"),
                Step::Item { is, .. }
                    if item.value.read(dialect).is_ok_and(|item| model::matches(step, &item)) =>
                {
                    (is.clone(), "name")
                }
                _ => continue,
            };
            if let Some(name) = seen.replace(name) {
                let message = format!("the {kind} `{}` is given twice", name.replace('\0', "."));
                return Err(Slip::new(item.at, message));
            }
        }
        self.is_distinct = !self.is_list;
        Ok(())
    }

    /// After the last item, in the style of the others.
    fn push<D: Dialect>(
        &mut self,
        dialect: D,
        step: &Step,
        value: &Value,
        place: &Place,
    ) -> Result<(), Slip> {
        let first = self.items.is_empty();
        let (kept, space) = {
            let kept = self.tail.trim_end_matches(SPACE);
            (kept.to_owned(), self.tail[kept.len()..].to_owned())
        };
        let indent = if place.lines { self.indent_of_items(place) } else { String::new() };
        let pad = place.style.pad(self.is_list);
        let lead = match (place.lines, first) {
            (true, _) => format!("{}{indent}", place.style.newline),
            (false, true) if kept.is_empty() => pad.to_owned(),
            (false, true) => " ".to_owned(),
            (false, false) => place.style.gap().to_owned(),
        };
        let within = if place.lines { &indent } else { &place.indent };
        let text = dialect.write(value, &place.style, within, place.spread())?;
        let (key, mid) = match step {
            Step::Key(key) => (dialect.quote(key), place.style.mark.clone()),
            _ => (String::new(), String::new()),
        };
        let trailing = self.items.last().is_some_and(|last| last.comma);
        let at = self.items.last_mut().map_or(0, |last| {
            last.comma = true;
            last.at
        });
        self.items.push(Item {
            at,
            before: Cow::Owned(kept + &lead),
            key: Cow::Owned(key),
            mid: Cow::Owned(mid),
            value: Node::new(text, at),
            gap: Cow::Borrowed(""),
            comma: trailing,
        });
        self.tail = Cow::Owned(match (first, place.lines) {
            (true, true) if !space.contains(BREAK) => format!("{}{}", place.style.newline, place.indent),
            (true, false) => pad.to_owned(),
            _ => space,
        });
        Ok(())
    }

    /// Takes an item out with the white space before it and the comma that belonged to it. Comments
    /// stay: those inside the item move out to where it stood.
    fn remove<D: Dialect>(&mut self, dialect: D, index: usize) {
        let newline = leading_newline(&self.items[index].before);
        let item = self.items.remove(index);
        let mut rest = String::new();
        if !item.comma
            && let Some(last) = self.items.last_mut()
        {
            last.comma = false;
            rest.push_str(&std::mem::take(&mut last.gap));
        }
        rest.push_str(item.before.trim_end_matches(SPACE));
        let indent = style::last_line(&item.before);
        let inner = [&*item.mid, &*item.value.to_text(), &*item.gap].concat();
        for comment in comments_of(dialect, &inner) {
            match (&newline, indent) {
                (Some(newline), Some(indent)) => rest.extend([newline, indent]),
                _ if ends_open(dialect, &rest) => rest.push('\n'),
                _ => rest.push(' '),
            }
            rest.push_str(comment);
        }
        let target = match self.items.get_mut(index) {
            Some(next) => &mut next.before,
            None => &mut self.tail,
        };
        if ends_open(dialect, &rest) && leading_newline(target).is_none() {
            rest.push('\n');
        }
        if !rest.is_empty() {
            *target = Cow::Owned(rest + target);
        }
    }

    fn is_on_lines(&self) -> bool {
        self.tail.contains(BREAK) || self.items.iter().any(|item| item.before.contains(BREAK))
    }

    fn indent_of_items(&self, place: &Place) -> String {
        let own = self.items.iter().rev().find_map(|item| style::last_line(&item.before));
        own.map_or_else(|| format!("{}{}", place.indent, place.style.unit), str::to_owned)
    }

    /// How things are written in here.
    fn learn(&self, outer: &Place) -> Place {
        let mut place = outer.clone();
        if !self.items.is_empty() || self.tail.contains(BREAK) {
            place.lines = self.is_on_lines();
        }
        let style = &mut place.style;
        if let Some(indent) = self.items.iter().rev().find_map(|item| style::last_line(&item.before))
            && let Some(unit) = indent.strip_prefix(outer.indent.as_str())
            && !unit.is_empty()
        {
            style.unit = unit.to_owned();
        }
        let is_plain = |text: &str| !text.contains(BREAK) && text.trim().len() <= 1;
        if let Some(last) = self.items.iter().rev().find(|item| !item.mid.is_empty() && is_plain(&item.mid)) {
            style.mark = last.mid.clone().into_owned();
        }
        if let ([first, .., last], false) = (self.items.as_slice(), place.lines) {
            if last.before.trim_matches(SPACE).is_empty() {
                style.gap = Some(last.before.clone().into_owned());
            }
            if !self.is_list && first.before.trim_matches(SPACE).is_empty() {
                style.pad = first.before.clone().into_owned();
            }
        } else if let ([only], false, false) = (self.items.as_slice(), place.lines, self.is_list)
            && only.before.trim_matches(SPACE).is_empty()
        {
            style.pad = only.before.clone().into_owned();
        }
        place
    }
}

fn is_key(step: &Step) -> bool {
    matches!(step, Step::Key(_))
}

fn is_named(step: &Step, name: &str) -> bool {
    matches!(step, Step::Key(key) if key == name)
}

/// The containers that come into being when the step at `depth` is missing.
pub(super) fn made(at: &Pointer, depth: usize) -> impl Iterator<Item = Seam> {
    (depth + 1..at.0.len()).map(|length| Seam { at: Pointer(at.0[..length].to_vec()), was: None })
}

/// Keeps the first seam of a place: it tells how things were before this edit.
pub(super) fn remember(seams: &mut Vec<Seam>, seam: Seam) {
    if seams.iter().all(|known| known.at != seam.at) {
        seams.push(seam);
    }
}

pub(super) fn wrong_kind(at: &Pointer, depth: usize) -> String {
    let parent = Pointer(at.0[..depth].to_vec());
    let name = if depth == 0 { "the document".to_owned() } else { format!("`{parent}`") };
    let wanted = if at.0.get(depth).is_some_and(is_key) { "a map" } else { "a list" };
    format!("{name} is not {wanted}, so nothing can be put into it")
}

impl Place {
    fn spread(&self) -> Spread {
        if self.lines { Spread::Lines } else { Spread::Line }
    }
}
