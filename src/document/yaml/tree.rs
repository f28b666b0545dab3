//! The span tree: what every value is, and which bytes write it.
//!
//! Invariant: a node's span covers its own text only: never the line break after it, nor comments,
//! nor anything of a neighbour. A tree that was built holds one document without duplicate keys,
//! whose aliases, written out, stay within bounds.
//!
//! Start at [`Tree::parse`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::super::Fault;
use super::{build, lines, reparse, scalar};
use crate::base::Step;

/// An index into [`Tree::nodes`].
pub(super) type Id = usize;

/// A document.
pub(super) struct Tree<'t> {
    pub text: &'t str,
    pub nodes: Vec<Node<'t>>,
    /// None in a file without a document.
    pub root: Option<Id>,
    /// In order.
    pub comments: Vec<Range<usize>>,
    /// Where an explicit `...` stands.
    pub finish: Option<usize>,
    /// Anchors: where they stand and what they name.
    pub anchors: HashMap<usize, (usize, Id)>,
    /// Aliases: which anchor they mean, and where they stand.
    pub aliases: Vec<(usize, usize)>,
}

/// A value or a key.
pub(super) struct Node<'t> {
    pub kind: Kind<'t>,
    /// Where its content starts (a block scalar's at its header, a block list's at its first dash).
    pub start: usize,
    /// Where its content ends.
    pub end: usize,
    /// Its anchor and tag, if it has any.
    pub props: Option<Range<usize>>,
    /// The number of its anchor.
    pub anchor: Option<usize>,
    pub tag: Option<Mark>,
    /// What it costs to write it out, aliases and all.
    pub weight: u64,
    /// How deep it goes below itself.
    pub height: u32,
}

/// What a tag says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    /// `!!str`, `!!map` ...: the part behind `!!`.
    Core(String),
    /// Something only its application knows.
    Foreign,
}

pub(super) enum Kind<'t> {
    Scalar { text: Cow<'t, str>, style: ScalarStyle },
    Alias(Id),
    Map { flow: bool, entries: Vec<Entry> },
    Seq { flow: bool, items: Vec<Item> },
}

/// A member of a map.
pub(super) struct Entry {
    /// Of its `?`, else of its key.
    pub start: usize,
    pub key: Id,
    /// Past its colon; none when it has none.
    pub colon: Option<usize>,
    pub value: Id,
    /// Written with `?`.
    pub explicit: bool,
}

/// An item of a list.
pub(super) struct Item {
    /// Of its dash; in a flow list, of the item itself.
    pub start: usize,
    pub node: Id,
}

impl Node<'_> {
    /// Where it starts with its anchor and tag.
    pub(super) fn head(&self) -> usize {
        self.props.as_ref().map_or(self.start, |props| props.start.min(self.start))
    }

    /// Nothing was written for it.
    pub(super) fn is_absent(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn is_flow(&self) -> bool {
        matches!(self.kind, Kind::Map { flow: true, .. } | Kind::Seq { flow: true, .. })
    }

    /// A map or list in block style.
    pub(super) fn is_block(&self) -> bool {
        matches!(self.kind, Kind::Map { flow: false, .. } | Kind::Seq { flow: false, .. })
    }

    pub(super) fn is_block_scalar(&self) -> bool {
        matches!(self.kind, Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
    }

    /// How many members or items it has; none for a scalar.
    pub(super) fn count(&self) -> Option<usize> {
        match &self.kind {
            Kind::Map { entries, .. } => Some(entries.len()),
            Kind::Seq { items, .. } => Some(items.len()),
            _ => None,
        }
    }
}

/// A fault at a byte offset.
pub(super) fn fault(text: &str, at: usize, message: impl Into<String>) -> Fault {
    let (line, column) = lines::position(text, at);
    Fault { message: message.into(), line, column }
}

impl<'t> Tree<'t> {
    /// Read one document. Time and memory stay linear in the text.
    pub(super) fn parse(text: &'t str) -> Result<Self, Fault> {
        let tree = build::build(text)?;
        match tree.nameless() {
            Some(at) => Err(tree.fault(at, "a key is missing before this `:`")),
            None => Ok(tree),
        }
    }

    /// Where a member has no key at all; parsers do not agree on what it is called.
    fn nameless(&self) -> Option<usize> {
        let entries = self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Map { entries, .. } => Some(entries),
            _ => None,
        });
        let is_nameless = |entry: &&Entry| {
            let key = self.node(entry.key);
            matches!(&key.kind, Kind::Scalar { text, style: ScalarStyle::Plain } if text.is_empty())
        };
        entries.flatten().find(is_nameless).map(|entry| entry.start)
    }

    pub(super) fn node(&self, id: Id) -> &Node<'t> {
        // Ids are only made by the builder, for nodes that it has pushed.
        &self.nodes[id]
    }

    pub(super) fn fault(&self, at: usize, message: impl Into<String>) -> Fault {
        fault(self.text, at, message)
    }

    /// What an alias stands for; the node itself otherwise.
    pub(super) fn target(&self, id: Id) -> Id {
        match self.node(id).kind {
            Kind::Alias(target) => target,
            _ => id,
        }
    }

    /// A key as text; none for a key that is a map or a list.
    pub(super) fn key(&self, id: Id) -> Option<&str> {
        match &self.node(self.target(id)).kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value, aliases written out and merge keys applied.
    pub(super) fn value(&self, id: Id) -> Value {
        let node = self.node(id);
        match &node.kind {
            Kind::Alias(target) => self.value(*target),
            Kind::Scalar { text, style } => match (&node.tag, style) {
                (Some(Mark::Core(tag)), _) => scalar::resolve_as(tag, text),
                (_, ScalarStyle::Plain) => scalar::resolve(text),
                _ => Value::String(text.to_string()),
            },
            Kind::Map { entries, .. } => {
                let pair = |entry: &Entry| (self.key_text(entry.key), self.value(entry.value));
                Value::Object(reparse::merged(entries.iter().map(pair).collect::<Map<_, _>>()))
            }
            Kind::Seq { items, .. } => Value::Array(items.iter().map(|item| self.value(item.node)).collect()),
        }
    }

    /// A key as text, whatever it is.
    fn key_text(&self, id: Id) -> String {
        let node = self.node(id);
        self.key(id).map_or_else(|| lines::slice(self.text, node.start..node.end).to_owned(), str::to_owned)
    }

    /// Follow one step, through aliases and merge keys; with the place of the key or item.
    pub(super) fn find(&self, id: Id, step: &Step) -> Option<(usize, Id)> {
        match (&self.node(self.target(id)).kind, step) {
            (Kind::Map { entries, .. }, Step::Key(key)) => {
                let own = entries.iter().find(|entry| self.key(entry.key) == Some(key));
                if let Some(own) = own {
                    return Some((self.node(own.key).start, own.value));
                }
                let merge = entries.iter().find(|entry| self.key(entry.key) == Some("<<"))?;
                self.merge_sources(merge.value).into_iter().find_map(|source| self.find(source, step))
            }
            (Kind::Seq { items, .. }, step) => {
                let hit = items.iter().find(|item| self.is_item(item.node, step))?;
                Some((self.node(hit.node).start, hit.node))
            }
            _ => None,
        }
    }

    /// The maps that a `<<` brings in; none when it is no merge.
    fn merge_sources(&self, id: Id) -> Vec<Id> {
        match &self.node(self.target(id)).kind {
            Kind::Map { .. } => vec![id],
            Kind::Seq { items, .. } => {
                let is_map = |item: &Item| matches!(self.node(self.target(item.node)).kind, Kind::Map { .. });
                if items.iter().all(is_map) { items.iter().map(|item| item.node).collect() } else { vec![] }
            }
            _ => vec![],
        }
    }

    /// Whether the step means this item of its list.
    pub(super) fn is_item(&self, id: Id, step: &Step) -> bool {
        let is = |id: Id, text: &str| self.value_is(id, text);
        match step {
            Step::Item { key, is: name } => {
                let step = Step::Key(key.clone());
                let map = matches!(self.node(self.target(id)).kind, Kind::Map { .. });
                map && self.find(id, &step).is_some_and(|(_, value)| is(value, name))
            }
            Step::Element(text) => is(id, text),
            Step::Key(_) => false,
        }
    }

    fn value_is(&self, id: Id, text: &str) -> bool {
        let node = self.node(self.target(id));
        matches!(node.kind, Kind::Scalar { .. }) && self.value(id).as_str() == Some(text)
    }

    /// The first such character there that is not part of a comment.
    pub(super) fn seek(&self, within: Range<usize>, what: &[char]) -> Option<usize> {
        seek(self.text, &self.comments, within, what)
    }

    /// Whether a comment starts there.
    pub(super) fn has_comment(&self, within: Range<usize>) -> bool {
        let next = self.comments.partition_point(|comment| comment.start < within.start);
        self.comments.get(next).is_some_and(|comment| comment.start < within.end)
    }

    /// The node carries an anchor that an alias refers to.
    pub(super) fn is_shared(&self, id: Id) -> bool {
        self.node(id).anchor.is_some_and(|anchor| self.aliases.iter().any(|(means, _)| *means == anchor))
    }

    /// An anchor inside this range that an alias outside of it refers to: where the alias stands.
    pub(super) fn needed_outside(&self, range: &Range<usize>) -> Option<usize> {
        let inside = |anchor: &usize| self.anchors.get(anchor).is_some_and(|(at, _)| range.contains(at));
        self.aliases.iter().find(|(anchor, at)| !range.contains(at) && inside(anchor)).map(|(_, at)| *at)
    }
}

fn seek(text: &str, comments: &[Range<usize>], within: Range<usize>, what: &[char]) -> Option<usize> {
    let mut from = within.start;
    let next = comments.partition_point(|comment| comment.end <= from);
    for comment in comments.iter().skip(next).take_while(|comment| comment.start < within.end) {
        if let Some(found) = lines::slice(text, from..comment.start).find(what) {
            return Some(from + found);
        }
        from = comment.end;
    }
    lines::slice(text, from..within.end).find(what).map(|found| from + found)
}

/// Where a member ends.
pub(super) fn entry_end(tree: &Tree<'_>, entry: &Entry) -> usize {
    let (key, value) = (tree.node(entry.key), tree.node(entry.value));
    let props = value.props.as_ref().map_or(0, |props| props.end);
    key.end.max(value.end).max(entry.colon.unwrap_or(0)).max(props)
}

/// Where an item ends.
pub(super) fn item_end(tree: &Tree<'_>, item: &Item) -> usize {
    let node = tree.node(item.node);
    node.end.max(node.props.as_ref().map_or(0, |props| props.end))
}

/// Past the `|2-` that opens a block scalar.
pub(super) fn header_end(text: &str, header: usize) -> usize {
    let tail = lines::slice(text, header..text.len());
    let rest = tail
        .trim_start_matches(['|', '>'])
        .trim_start_matches(|c: char| "+-".contains(c) || c.is_ascii_digit());
    header + tail.len() - rest.len()
}
