//! The span tree: what every value is, and which bytes write it.
//!
//! Invariant: a node's span covers its own text only: never the line break after it, nor comments,
//! nor anything of a neighbour. A tree that was built holds one document without duplicate keys,
//! whose aliases, written out, stay within bounds.
//!
//! Start at [`Tree::parse`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag};
use serde_json::{Map, Value};

use super::super::Fault;
use super::{lines, reparse, scalar};
use crate::base::Step;

/// How deep a document may be, aliases written out.
const DEPTH: u32 = 255;
/// How many bytes aliases may add, counting 64 for each value.
const BUDGET: u64 = 64 << 20;

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
    anchors: HashMap<usize, (usize, Id)>,
    /// Aliases: which anchor they mean, and where they stand.
    aliases: Vec<(usize, usize)>,
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
    weight: u64,
    height: u32,
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
        let options =
            granit_parser::options! { emit_anchor_events: true, max_buffered_comment_events: usize::MAX };
        let mut builder = Builder::new(text);
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| syntax(&error))?;
            builder.take(event, span)?;
        }
        Ok(builder.tree)
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

fn syntax(error: &ScanError) -> Fault {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mark = error.marker();
    Fault { message: error.info(), line: number(mark.line()), column: number(mark.col()).saturating_add(1) }
}

/// A container whose end has not come yet.
struct Open {
    id: Id,
    /// The key that waits for its value: entry start, key, explicit.
    pending: Option<(usize, Id, bool)>,
    keys: HashSet<String>,
    weight: u64,
    height: u32,
}

struct Builder<'t> {
    tree: Tree<'t>,
    open: Vec<Open>,
    /// Past the last token that was seen.
    last: usize,
    /// A node whose anchor event is still to come: it is placed afterwards.
    waiting: Option<(Id, Span)>,
    added: u64,
    documents: usize,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        let tree = Tree {
            text,
            nodes: Vec::new(),
            root: None,
            comments: Vec::new(),
            finish: None,
            anchors: HashMap::new(),
            aliases: Vec::new(),
        };
        Self { tree, open: Vec::new(), last: 0, waiting: None, added: 0, documents: 0 }
    }

    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Fault> {
        let range = span.byte_range().unwrap_or(0..0);
        if let Event::Anchor(anchor, _) = event {
            return self.anchor(anchor, range);
        }
        if let Event::Comment(..) = event {
            // Almost always the last one: the parser may hold a comment back for a token or two.
            let place = self.tree.comments.partition_point(|comment| comment.start < range.start);
            self.tree.comments.insert(place, range);
            return Ok(());
        }
        self.settle()?;
        match event {
            Event::DocumentStart(explicit, _) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self
                        .tree
                        .fault(range.start, "a second document starts here; only one can be edited"));
                }
                if explicit {
                    self.last = range.end;
                }
            }
            Event::DocumentEnd if lines::slice(self.tree.text, range.clone()) == "..." => {
                self.tree.finish = Some(range.start);
            }
            Event::Alias(anchor) => {
                let Some((_, target)) = self.tree.anchors.get(&anchor).copied() else {
                    return Err(self.tree.fault(range.start, "this alias has no anchor"));
                };
                if self.open.iter().any(|open| open.id == target) {
                    return Err(self
                        .tree
                        .fault(range.start, "this alias stands inside the value it refers to"));
                }
                self.tree.aliases.push((anchor, range.start));
                self.alias(target, span)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let absent = style == ScalarStyle::Plain && range.is_empty();
                let text = if absent { Cow::Borrowed("") } else { text };
                self.node(Kind::Scalar { text, style }, span, anchor, tag)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.node(
                    Kind::Seq { flow: style == StructureStyle::Flow, items: Vec::new() },
                    span,
                    anchor,
                    tag,
                )?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.node(
                    Kind::Map { flow: style == StructureStyle::Flow, entries: Vec::new() },
                    span,
                    anchor,
                    tag,
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range)?,
            _ => {}
        }
        Ok(())
    }

    fn node(
        &mut self,
        kind: Kind<'t>,
        span: Span,
        anchor: usize,
        tag: Option<Cow<'t, Tag>>,
    ) -> Result<(), Fault> {
        let tag_range = span.tag_span().and_then(|span| span.byte_range());
        let tag = tag.map(|tag| match tag.core_suffix() {
            Some(suffix) => Mark::Core(suffix.to_owned()),
            None => Mark::Foreign,
        });
        let id = self.push(kind, &span, tag_range, tag);
        self.waiting = Some((id, span));
        if anchor == 0 { self.settle() } else { Ok(()) }
    }

    fn alias(&mut self, target: Id, span: Span) -> Result<(), Fault> {
        let id = self.push(Kind::Alias(target), &span, None, None);
        let (weight, height) = (self.tree.node(target).weight, self.tree.node(target).height);
        self.added = self.added.saturating_add(weight);
        if self.added > BUDGET {
            return Err(self
                .tree
                .fault(self.tree.node(id).start, "aliases make this document far larger than its text"));
        }
        (self.tree.nodes[id].weight, self.tree.nodes[id].height) = (weight, height);
        self.waiting = Some((id, span));
        self.settle()
    }

    fn push(&mut self, kind: Kind<'t>, span: &Span, props: Option<Range<usize>>, tag: Option<Mark>) -> Id {
        let range = span.byte_range().unwrap_or(0..0);
        let weight = match &kind {
            Kind::Scalar { text, .. } => 64 + text.len() as u64,
            _ => 64,
        };
        let node =
            Node { kind, start: range.start, end: range.end, props, anchor: None, tag, weight, height: 0 };
        self.tree.nodes.push(node);
        self.tree.nodes.len() - 1
    }

    fn anchor(&mut self, anchor: usize, range: Range<usize>) -> Result<(), Fault> {
        if let Some((id, _)) = self.waiting {
            self.tree.anchors.insert(anchor, (range.start, id));
            let node = &mut self.tree.nodes[id];
            node.anchor = Some(anchor);
            node.props = Some(match node.props.take() {
                Some(tag) => tag.start.min(range.start)..tag.end.max(range.end),
                None => range,
            });
        }
        self.settle()
    }

    /// Place the node that waits: below its parent, with its exact span.
    fn settle(&mut self) -> Result<(), Fault> {
        let Some((id, span)) = self.waiting.take() else {
            return Ok(());
        };
        let text = self.tree.text;
        let props_end = self.tree.node(id).props.as_ref().map_or(0, |props| props.end);
        let seek = |tree: &Tree, from: usize, to: usize, what: &[char]| tree.seek(from..to, what);

        if self.tree.node(id).is_block_scalar() {
            let (start, end) = (self.tree.node(id).start, self.tree.node(id).end);
            let header = seek(&self.tree, self.last.max(props_end), start, &['|', '>']).unwrap_or(start);
            let end = block_scalar_end(text, header, start..end, span.indent);
            let node = &mut self.tree.nodes[id];
            (node.start, node.end) = (header, end);
            // At the end of a file without a line break there is none to keep either.
            if let Kind::Scalar { text: content, .. } = &mut node.kind
                && end == text.len()
                && lines::end(text, header) < end
                && content.ends_with('\n')
            {
                content.to_mut().pop();
            }
        }
        let head = self.tree.node(id).head();
        let gap = self.last;
        let mut mark = gap;
        let mut entry = None;
        if let Some(parent) = self.open.last() {
            match &self.tree.node(parent.id).kind {
                Kind::Seq { flow, .. } => {
                    let dash = if *flow { None } else { seek(&self.tree, gap, head.max(gap), &['-']) };
                    mark = dash.map_or(mark, |dash| dash + 1);
                    entry = Some((dash.unwrap_or(head), None, false));
                }
                Kind::Map { .. } if parent.pending.is_some() => {
                    let colon =
                        seek(&self.tree, gap, head.max(gap), &[':']).or_else(|| lone_colon(text, gap));
                    let colon = colon.map(|colon| colon + 1);
                    mark = colon.unwrap_or(mark);
                    entry = Some((head, colon, false));
                }
                _ => {
                    let question = seek(&self.tree, gap, head.max(gap), &['?']);
                    mark = question.map_or(mark, |question| question + 1);
                    entry = Some((question.unwrap_or(head), None, question.is_some()));
                }
            }
        }
        // What was not written stands right behind the token before it.
        let node = &mut self.tree.nodes[id];
        let absent =
            matches!(node.kind, Kind::Scalar { style: ScalarStyle::Plain, .. }) && node.start == node.end;
        if absent {
            let at = mark.max(props_end);
            (node.start, node.end) = (at, at);
        }
        let (start, end, flow) = (node.start, node.end, node.is_flow());
        let container = node.count().is_some();
        self.last = self.last.max(mark).max(props_end);
        // A list at its key's column starts, for the parser, behind its first dash.
        let behind_dash = self.tree.node(id).is_block() && self.tree.seek(self.last..start, &['-']).is_some();
        if !behind_dash {
            self.last = self.last.max(if container && !flow { start } else { end });
        }

        let Some((place, colon, explicit)) = entry else {
            self.tree.root = Some(id);
            return self.opened(id, container);
        };
        let Some(parent) = self.open.last_mut() else {
            return self.opened(id, container);
        };
        let owner = parent.id;
        // A flow list's item and a key start at their properties, a dash or a `?`.
        match (&mut self.tree.nodes[owner].kind, parent.pending.take()) {
            (Kind::Seq { items, .. }, _) => items.push(Item { start: place, node: id }),
            (Kind::Map { entries, .. }, Some((start, key, explicit))) => {
                entries.push(Entry { start, key, colon, value: id, explicit });
            }
            (Kind::Map { .. }, None) => {
                let place = if absent && !explicit { start } else { place };
                parent.pending = Some((place, id, explicit));
                if let Some(key) = self.tree.key(id)
                    && let Some(parent) = self.open.last_mut()
                    && !parent.keys.insert(key.to_owned())
                {
                    let message = format!("the key `{key}` stands there twice; keep one of them");
                    return Err(self.tree.fault(start, message));
                }
            }
            _ => {}
        }
        self.opened(id, container)
    }

    /// A container stays open; a leaf counts for its parent at once.
    fn opened(&mut self, id: Id, container: bool) -> Result<(), Fault> {
        if container {
            self.open.push(Open { id, pending: None, keys: HashSet::new(), weight: 0, height: 0 });
            return Ok(());
        }
        self.count(id)
    }

    fn count(&mut self, id: Id) -> Result<(), Fault> {
        let (weight, height) = (self.tree.node(id).weight, self.tree.node(id).height);
        if let Some(parent) = self.open.last_mut() {
            parent.weight = parent.weight.saturating_add(weight);
            parent.height = parent.height.max(height + 1);
        }
        if height > DEPTH {
            return Err(self
                .tree
                .fault(self.tree.node(id).start, format!("nested deeper than {DEPTH} levels")));
        }
        Ok(())
    }

    fn close(&mut self, range: Range<usize>) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let node = self.tree.node(open.id);
        let (mut start, mut end) = (node.start, range.end);
        if node.is_flow() {
            self.last = self.last.max(end);
        } else {
            let (first, last) = match &node.kind {
                Kind::Map { entries, .. } => (
                    entries.first().map(|entry| entry.start),
                    entries.last().map(|entry| entry_end(&self.tree, entry)),
                ),
                Kind::Seq { items, .. } => (
                    items.first().map(|item| item.start),
                    items.last().map(|item| item_end(&self.tree, item)),
                ),
                _ => (None, None),
            };
            start = first.unwrap_or(start);
            end = last.unwrap_or(start);
        }
        let node = &mut self.tree.nodes[open.id];
        (node.start, node.end) = (start, end);
        node.weight = node.weight.saturating_add(open.weight);
        node.height = open.height;
        self.count(open.id)
    }
}

/// The colon right behind a key, for a value that was not written.
fn lone_colon(text: &str, at: usize) -> Option<usize> {
    let rest = lines::slice(text, at..text.len());
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    lines::slice(text, at + blanks..text.len()).starts_with(':').then_some(at + blanks)
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

/// The end of a block scalar's last line of content: its blank tail counts only when it is kept (`+`).
fn block_scalar_end(text: &str, header: usize, content: Range<usize>, indent: Option<usize>) -> usize {
    let header_line = lines::end(text, header);
    let mut end = header_end(text, header);
    let keep = lines::slice(text, header..end).contains('+');
    let mut at = lines::past(text, header_line);
    while at < content.end {
        let stop = lines::end(text, at);
        let line = lines::slice(text, at..stop);
        let blank = lines::blank(line);
        let spaces = line.len() - line.trim_start_matches(' ').len();
        // The parser's span may reach into the indentation of the line behind.
        if !blank && at + spaces >= content.end {
            break;
        }
        if keep || !blank || indent.is_some_and(|indent| line.len() > indent) {
            end = stop;
        }
        let next = lines::past(text, stop);
        if next == stop {
            break;
        }
        at = next;
    }
    end
}

/// Past the `|2-` that opens a block scalar.
pub(super) fn header_end(text: &str, header: usize) -> usize {
    let tail = lines::slice(text, header..text.len());
    let rest = tail
        .trim_start_matches(['|', '>'])
        .trim_start_matches(|c: char| "+-".contains(c) || c.is_ascii_digit());
    header + tail.len() - rest.len()
}
