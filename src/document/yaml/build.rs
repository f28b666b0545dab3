//! Building the span tree from the parser's events.
//!
//! Invariant: every node is placed exactly once, below the container that was open when it came; what
//! the parser's spans leave open (dashes, colons, `?`, headers of block scalars) is looked up in the
//! text between two tokens, outside of comments.
//!
//! Start at [`build`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag};

use super::super::Fault;
use super::lines;
use super::tree::{Entry, Id, Item, Kind, Mark, Node, Tree, entry_end, header_end, item_end};

/// How deep a document may be, aliases written out.
const DEPTH: u32 = 255;
/// How many bytes aliases may add, counting 64 for each value.
const BUDGET: u64 = 64 << 20;

/// Read one document.
pub(super) fn build(text: &str) -> Result<Tree<'_>, Fault> {
    let options =
        granit_parser::options! { emit_anchor_events: true, max_buffered_comment_events: usize::MAX };
    let mut builder = Builder::new(text);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| syntax(&error))?;
        builder.take(event, span)?;
    }
    Ok(builder.tree)
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
