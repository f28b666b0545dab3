//! A YAML (or JSON) text as nodes that know where they stand.
//!
//! Invariant: whatever the text, reading it ends soon and takes bounded memory: size, nesting, number
//! of values and the expansion of aliases are limited before anything is built from them. Aliases
//! only point backwards at closed nodes, so walking a tree always ends.
//!
//! Start at [`read`]; [`Tree::value`] turns nodes into plain values.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::scalar;
use super::{MAX_PROBLEMS, syntax};

/// Largest text that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting of lists and maps, aliases followed.
pub const MAX_DEPTH: usize = 64;
/// Most nodes in one text.
const MAX_NODES: usize = 500_000;
/// Most bytes that aliases may stand for, at [`NODE_COST`] for each node plus its text.
const MAX_ALIAS_COST: u64 = 8 * 1024 * 1024;
const NODE_COST: u32 = 64;

/// An index into a tree's nodes.
pub type Id = u32;

/// A text's nodes in the order in which they start.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The document's node; none for a text without one.
    pub root: Option<Id>,
    /// Whether the whole text was read.
    pub complete: bool,
}

#[derive(Debug)]
struct Node {
    start: u32,
    end: u32,
    parent: Id,
    cost: u32,
    height: u8,
    kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// A text, number, truth value or nothing.
    Scalar {
        /// As written, escapes resolved.
        text: Box<str>,
        /// How its type is found.
        typing: scalar::Typing,
    },
    /// A list.
    List(Vec<Id>),
    /// Keys with their values, as written: merge keys are still there.
    Map(Vec<(Id, Id)>),
    /// Stands for another node.
    Alias(Id),
}

/// A problem of the text itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The diagnostic's code.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// Another place that explains it.
    pub related: Option<(&'static str, Range<usize>)>,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// Without related place and hint.
    pub fn new(code: &'static str, message: impl Into<String>, span: Range<usize>) -> Self {
        Self { code, message: message.into(), span, related: None, hint: None }
    }

    /// The same, with a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads one document. The tree holds what was read before a problem that ends the reading.
pub fn read(text: &str) -> (Tree, Vec<Problem>) {
    let bom = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut reader = Reader { base: bom, ..Reader::default() };
    if text.len() > MAX_BYTES {
        reader.problems.push(too_big());
    } else {
        reader.run(&text[bom..]);
    }
    (reader.tree, reader.problems)
}

/// What is said about a file over the limit.
pub fn too_big() -> Problem {
    Problem::new("file-too-big", format!("The file is larger than {} MB.", MAX_BYTES / 1024 / 1024), 0..0)
        .hint("split it into several files and name them under `include`")
}

#[derive(Default)]
struct Reader {
    base: usize,
    tree: Tree,
    problems: Vec<Problem>,
    /// Open lists and maps, each with the key that waits for its value.
    open: Vec<(Id, Option<Id>)>,
    anchors: HashMap<usize, Id>,
    alias_cost: u64,
    documents: usize,
}

impl Reader {
    fn run(&mut self, text: &str) {
        let options = granit_parser::options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: MAX_DEPTH + 1,
            block_nesting_limit: MAX_DEPTH + 1,
        };
        let mut parser = Parser::new_from_str_with_options(text, options);
        while let Some(next) = parser.next_event() {
            let step = match next {
                Ok((event, span)) => self.take(event, span),
                Err(error) => Err(Box::new(syntax::problem(text, &error))),
            };
            if let Err(mut problem) = step {
                let shift = if problem.code == "syntax" || problem.code == "tab" { self.base } else { 0 };
                problem.span = problem.span.start + shift..problem.span.end + shift;
                self.problems.push(*problem);
                return;
            }
        }
        self.tree.complete = true;
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Problem>> {
        let tag_at = span.tag_span().map(|span| self.range(span));
        let span = self.range(span);
        let tag_at = tag_at.as_ref().unwrap_or(&span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let problem = Problem::new(
                        "several-documents",
                        "The file holds more than one YAML document.",
                        span,
                    );
                    let hint = "keep one document per file and name the others under `include`";
                    return Err(Box::new(problem.hint(hint)));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let typing = self.typing(tag.as_deref(), style, tag_at);
                let kind = Kind::Scalar { text: text.into(), typing };
                let id = self.add(kind, span.clone())?;
                self.anchor(anchor, id);
                self.close(id);
            }
            Event::Alias(anchor) => {
                let kind = self.alias(anchor, &span)?;
                let id = self.add(kind, span.clone())?;
                self.close(id);
            }
            Event::UnresolvedAlias(name) => {
                let message = format!("No anchor `&{}` stands before this alias.", shown(&name));
                self.say(Problem::new("unknown-anchor", message, span.clone()));
                let id = self.add(NOTHING(), span.clone())?;
                self.close(id);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", tag_at);
                self.open(Kind::List(Vec::new()), anchor, span.clone())?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", tag_at);
                self.open(Kind::Map(Vec::new()), anchor, span.clone())?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((id, _)) = self.open.pop() {
                    let node = &mut self.tree.nodes[id as usize];
                    node.end = node.end.max(span.end.try_into().unwrap_or(u32::MAX));
                    self.check_keys(id);
                    self.close(id);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Keeps a problem, unless there are more than anyone will be shown.
    fn say(&mut self, problem: Problem) {
        if self.problems.len() <= MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let bytes = span.byte_range().unwrap_or(0..0);
        bytes.start + self.base..bytes.end.max(bytes.start) + self.base
    }

    fn add(&mut self, kind: Kind, span: Range<usize>) -> Result<Id, Box<Problem>> {
        if self.tree.nodes.len() >= MAX_NODES {
            let message = format!("The file holds more than {MAX_NODES} values.");
            return Err(Box::new(
                Problem::new("too-many-values", message, span)
                    .hint("split it into several files and name them under `include`"),
            ));
        }
        let id = self.tree.nodes.len() as Id;
        let cost = match &kind {
            Kind::Scalar { text, .. } => NODE_COST.saturating_add(text.len() as u32),
            Kind::Alias(target) => self.tree.nodes[*target as usize].cost,
            _ => NODE_COST,
        };
        let height = match &kind {
            Kind::Alias(target) => self.tree.nodes[*target as usize].height,
            Kind::Scalar { .. } => 0,
            _ => 1,
        };
        let parent = self.open.last().map_or(id, |(parent, _)| *parent);
        let (start, end) = (span.start as u32, span.end as u32);
        self.tree.nodes.push(Node { start, end, parent, cost, height, kind });
        match self.open.last_mut() {
            None => self.tree.root = self.tree.root.or(Some(id)),
            Some((parent, key)) => match (&mut self.tree.nodes[*parent as usize].kind, key.take()) {
                (Kind::List(items), _) => items.push(id),
                (Kind::Map(members), Some(key)) => members.push((key, id)),
                (_, _) => *key = Some(id),
            },
        }
        Ok(id)
    }

    fn open(&mut self, kind: Kind, anchor: usize, span: Range<usize>) -> Result<(), Box<Problem>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Box::new(syntax::too_deep(span)));
        }
        let id = self.add(kind, span)?;
        self.anchor(anchor, id);
        self.open.push((id, None));
        Ok(())
    }

    /// Adds what a finished node costs to its container.
    fn close(&mut self, id: Id) {
        let Node { parent, cost, height, .. } = self.tree.nodes[id as usize];
        if parent != id {
            let parent = &mut self.tree.nodes[parent as usize];
            parent.cost = parent.cost.saturating_add(cost);
            parent.height = parent.height.max(height.saturating_add(1));
        }
    }

    fn anchor(&mut self, anchor: usize, id: Id) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn alias(&mut self, anchor: usize, span: &Range<usize>) -> Result<Kind, Box<Problem>> {
        let Some(&target) = self.anchors.get(&anchor) else { return Ok(NOTHING()) };
        if self.open.iter().any(|(id, _)| *id == target) {
            let message = "The alias stands inside the value it stands for.";
            self.say(Problem::new("alias-cycle", message, span.clone()));
            return Ok(NOTHING());
        }
        let Node { cost, height, .. } = self.tree.nodes[target as usize];
        if self.open.len() + usize::from(height) > MAX_DEPTH {
            return Err(Box::new(syntax::too_deep(span.clone())));
        }
        self.alias_cost += u64::from(cost);
        if self.alias_cost > MAX_ALIAS_COST {
            let message = "The aliases of this file stand for more than 8 MB of values.";
            return Err(Box::new(
                Problem::new("alias-limit", message, span.clone())
                    .hint("write the values out, or use `groups` and `vars`"),
            ));
        }
        let target = match self.tree.nodes[target as usize].kind {
            Kind::Alias(further) => further,
            _ => target,
        };
        Ok(Kind::Alias(target))
    }

    fn typing(&mut self, tag: Option<&Tag>, style: ScalarStyle, span: &Range<usize>) -> scalar::Typing {
        let plain = if style == ScalarStyle::Plain { scalar::Typing::ByLook } else { scalar::Typing::Text };
        let Some(tag) = tag else { return plain };
        match tag.core_suffix() {
            Some("str") => scalar::Typing::Text,
            Some("int" | "float" | "bool" | "null") => scalar::Typing::ByLook,
            _ if tag.original() == "!" => scalar::Typing::Text,
            _ => {
                self.unknown_tag(tag, span);
                plain
            }
        }
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, allowed: &str, span: &Range<usize>) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(allowed)
            && tag.original() != "!"
        {
            self.unknown_tag(tag, span);
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, span: &Range<usize>) {
        let message = format!("The tag `{}` has no meaning here.", shown(&tag.original()));
        let hint = "remove the tag; secrets are written as `${secret:NAME}`";
        self.say(Problem::new("unknown-tag", message, span.clone()).hint(hint));
    }

    /// Whether a few keys are all texts, different ones, and none of them merges: the common case.
    fn are_plain(&self, members: &[(Id, Id)]) -> bool {
        let text = |key: Id| self.tree.text(key).filter(|text| *text != "<<");
        members.iter().enumerate().all(|(at, (key, _))| {
            let key = text(*key);
            key.is_some() && members[..at].iter().all(|(earlier, _)| text(*earlier) != key)
        })
    }

    /// Keys must be texts, each once; merge keys must name maps.
    fn check_keys(&mut self, map: Id) {
        let Kind::Map(members) = &self.tree.nodes[map as usize].kind else { return };
        if members.len() <= 16 && self.are_plain(members) {
            return;
        }
        let mut first: HashMap<&str, Id> = HashMap::with_capacity(members.len());
        let mut found = Vec::new();
        for (key, value) in members {
            if found.len() > MAX_PROBLEMS {
                break;
            }
            let span = self.tree.span(*key);
            let Some(text) = self.tree.text(*key) else {
                let message = "A key must be a single text, not a list or a map.";
                let hint = "put it in quotes if it is meant as text (`\"${x}\"`)";
                found.push(Problem::new("key-not-text", message, span).hint(hint));
                continue;
            };
            if let Some(earlier) = first.insert(text, *key) {
                first.insert(text, earlier);
                let message = format!("`{}` is defined twice.", shown(text));
                found.push(Problem {
                    related: Some(("first defined here", self.tree.span(earlier))),
                    ..Problem::new("duplicate-key", message, span)
                        .hint("remove one of the two, or give it another name")
                });
            }
            if self.tree.is_merge(*key) && !self.tree.can_merge(*value) {
                let message = "`<<` takes an alias of a map, or a list of such aliases.";
                found.push(Problem::new("merge-key", message, self.tree.span(*value)));
            }
        }
        found.into_iter().for_each(|problem| self.say(problem));
    }
}

#[allow(non_snake_case)]
fn NOTHING() -> Kind {
    Kind::Scalar { text: "~".into(), typing: scalar::Typing::ByLook }
}

/// A name from the file, short enough for a sentence and without control characters.
pub fn shown(name: &str) -> String {
    let name = crate::base::mask::hide_tokens(name.get(..4096).unwrap_or(name));
    let mut out: String = name.chars().map(|c| if c.is_control() { '�' } else { c }).take(60).collect();
    if out.len() < name.len() && name.chars().count() > 60 {
        out.push('…');
    }
    out
}

impl Tree {
    /// Where a node stands, in bytes of the text.
    pub fn span(&self, id: Id) -> Range<usize> {
        let node = &self.nodes[id as usize];
        node.start as usize..node.end as usize
    }

    /// What a node is, aliases not followed.
    pub fn kind(&self, id: Id) -> &Kind {
        &self.nodes[id as usize].kind
    }

    /// What a node is, aliases followed.
    pub fn resolved(&self, id: Id) -> Id {
        match self.kind(id) {
            Kind::Alias(target) => *target,
            _ => id,
        }
    }

    /// The list or map around a node; the root is its own.
    pub fn parent(&self, id: Id) -> Id {
        self.nodes[id as usize].parent
    }

    /// The text of a scalar as written, aliases followed.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.kind(self.resolved(id)) {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The nodes that start within a range of the text.
    pub fn starting_in(&self, range: Range<usize>) -> impl Iterator<Item = Id> {
        let from = self.nodes.partition_point(|node| (node.start as usize) < range.start);
        let until = self.nodes.partition_point(|node| (node.start as usize) < range.end);
        from as Id..until.max(from) as Id
    }

    /// The last node that starts before an offset: the one a text over several lines belongs to.
    pub fn before(&self, offset: usize) -> Option<Id> {
        let after = self.nodes.partition_point(|node| (node.start as usize) < offset);
        after.checked_sub(1).map(|id| id as Id)
    }

    /// The members of a map with merge keys resolved: what is written wins over what is merged, and
    /// among the merged the first. Each with the node of its key and of its value.
    pub fn members(&self, id: Id) -> Vec<(&str, Id, Id)> {
        let Kind::Map(members) = self.kind(self.resolved(id)) else { return Vec::new() };
        let written = members.iter().filter_map(|(key, value)| Some((self.text(*key)?, *key, *value)));
        if !members.iter().any(|(key, _)| self.is_merge(*key)) {
            return written.collect();
        }
        let mut place: HashMap<&str, usize> = HashMap::new();
        let mut all: Vec<(&str, Id, Id)> = Vec::new();
        let (plain, merges): (Vec<_>, Vec<_>) = written.partition(|(_, key, _)| !self.is_merge(*key));
        let merged = merges.iter().flat_map(|(_, _, value)| self.merge_sources(*value));
        for member in plain.into_iter().chain(merged.flat_map(|source| self.members(source))) {
            place.entry(member.0).or_insert_with(|| {
                all.push(member);
                all.len() - 1
            });
        }
        all
    }

    /// The items of a list.
    pub fn items(&self, id: Id) -> &[Id] {
        match self.kind(self.resolved(id)) {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    fn is_merge(&self, key: Id) -> bool {
        matches!(self.kind(key), Kind::Scalar { text, typing: scalar::Typing::ByLook } if &**text == "<<")
    }

    fn can_merge(&self, value: Id) -> bool {
        let is_map = |id: &Id| matches!(self.kind(self.resolved(*id)), Kind::Map(_));
        is_map(&value) || !self.items(value).is_empty() && self.items(value).iter().all(is_map)
    }

    fn merge_sources(&self, value: Id) -> Vec<Id> {
        match self.kind(self.resolved(value)) {
            Kind::List(items) => items.clone(),
            _ => vec![value],
        }
    }

    /// The nodes of a member's key and value, or of an item (whose key is itself), by JSON pointer.
    pub fn find(&self, pointer: &str) -> Option<(Id, Id)> {
        let root = self.root?;
        let mut at = (root, root);
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            at = match self.kind(self.resolved(at.1)) {
                Kind::Map(members) => {
                    let written = members.iter().find(|(key, _)| self.text(*key) == Some(&step));
                    let merged = || self.members(at.1).into_iter().find(|(key, _, _)| *key == step);
                    match written {
                        Some(member) => *member,
                        None => merged().map(|(_, key, value)| (key, value))?,
                    }
                }
                Kind::List(items) => {
                    let item = *items.get(step.parse::<usize>().ok()?)?;
                    (item, item)
                }
                _ => return None,
            };
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        read(text).1.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn what_is_written_wins_over_what_is_merged() {
        let (tree, problems) = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{y: 4}, *a]}\n");
        assert_eq!(problems, []);
        let texts = |pointer: &str| -> Vec<_> {
            let (_, id) = tree.find(pointer).expect("there");
            tree.members(id)
                .iter()
                .map(|(key, _, value)| format!("{key}{}", tree.text(*value).unwrap()))
                .collect()
        };
        assert_eq!(texts("/b"), ["y3", "x1"]);
        assert_eq!(texts("/c"), ["y4", "x1"]);
    }

    #[test]
    fn refuses_aliases_that_loop_or_explode() {
        assert_eq!(codes("a: &a [*a]\n"), ["alias-cycle"]);
        assert_eq!(codes("a: *b\n"), ["unknown-anchor"]);
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
        }
        assert_eq!(codes(&bomb), ["alias-limit"]);
        let mut chain = String::from("a0: &a0 [x]\n");
        for i in 1..100 {
            chain += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
        }
        assert_eq!(codes(&chain), ["nesting"]);
    }

    #[test]
    fn goes_on_after_duplicates_and_odd_keys() {
        assert_eq!(
            codes("a: 1\na: 2\nb: {c: 1, c: 2}\n? [x]\n: 1\nd: !secret x\n"),
            ["duplicate-key", "unknown-tag", "duplicate-key", "key-not-text"]
        );
    }
}
