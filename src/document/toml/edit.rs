//! Changing tables, expression by expression.
//!
//! Invariant: only lines of the changed entries are added or taken away, with the blank line that we
//! put before a table; comments stay where they are.

use std::ops::Range;

use serde_json::{Map, Value};

use super::locate::{self, Spot, locate};
use super::scan::{Expr, Kind, Seg, expressions};
use super::{
    Fault, Node, Op, Place, Pointer, SPACE, Seam, Slip, Step, Style, Toml, comments_of, model, newline,
    remember, write,
};
use crate::document::tree::made;

pub(in crate::document) fn edit(text: &str, ops: &[Op]) -> Result<(String, Vec<Seam>), Fault> {
    let mut seams = Vec::new();
    let mut current = text.to_owned();
    for op in ops {
        let sheet = Sheet { text: &current, exprs: expressions(&current) };
        let next = match op {
            Op::Put { at, value } => sheet.put(at, value, &mut seams),
            Op::Drop { at } => sheet.drop(at),
            Op::Close { seam } => sheet.close(seam),
        };
        current = next.map_err(|slip| slip.fault(&current))?;
    }
    Ok((current, seams))
}

struct Sheet<'t> {
    text: &'t str,
    exprs: Vec<Expr>,
}

impl Sheet<'_> {
    fn put(&self, at: &Pointer, value: &Value, seams: &mut Vec<Seam>) -> Result<String, Slip> {
        if at.0.is_empty() {
            return Err(Slip::new(0, "a whole TOML document cannot be replaced"));
        }
        match locate(self.text, &self.exprs, at)? {
            Spot::Misfit { path, depth } => Err(locate::misfit(&self.exprs, at, &path, depth)),
            Spot::Inside { expr, depth } => self.put_inside(&self.exprs[expr], at, depth, value, seams),
            Spot::Missing { path, depth } => {
                made(at, depth).for_each(|seam| remember(seams, seam));
                self.insert(&path, at, depth, value)
            }
            Spot::Table(path) => self.replace(&path, at, value),
        }
    }

    fn drop(&self, at: &Pointer) -> Result<String, Slip> {
        match locate(self.text, &self.exprs, at)? {
            Spot::Misfit { .. } | Spot::Missing { .. } => Ok(self.text.to_owned()),
            Spot::Table(path) => Ok(self.without(|expr| expr.path.starts_with(&path))),
            Spot::Inside { expr, depth } if depth == at.0.len() => {
                let span = self.exprs[expr].span.clone();
                Ok(self.without(|other| other.span == span))
            }
            Spot::Inside { expr, depth } => {
                let mut node = self.node(expr);
                node.drop(Toml, &at.0[depth..])?;
                Ok(self.splice(self.exprs[expr].value.clone(), &node.to_text()))
            }
        }
    }

    fn close(&self, seam: &Seam) -> Result<String, Slip> {
        let was = seam.was.as_deref();
        match locate(self.text, &self.exprs, &seam.at)? {
            Spot::Misfit { .. } | Spot::Missing { .. } => Ok(self.text.to_owned()),
            Spot::Table(path) => {
                let own = |expr: &Expr| expr.path.starts_with(&path);
                let is_empty = self
                    .exprs
                    .iter()
                    .filter(|expr| own(expr))
                    .all(|expr| expr.kind == Kind::Table && expr.path == path);
                let made = was.is_none() && is_empty && !path.is_empty();
                Ok(if made { self.without(own) } else { self.text.to_owned() })
            }
            Spot::Inside { expr, depth } => {
                let mut node = self.node(expr);
                if depth < seam.at.0.len() {
                    node.close(Toml, &seam.at.0[depth..], was)?;
                } else if node.closes(Toml, was)? {
                    match was {
                        Some(text) => node = Node::new(text.to_owned(), 0),
                        None => {
                            let span = self.exprs[expr].span.clone();
                            return Ok(self.without(|other| other.span == span));
                        }
                    }
                }
                Ok(self.splice(self.exprs[expr].value.clone(), &node.to_text()))
            }
        }
    }

    fn put_inside(
        &self,
        expr: &Expr,
        at: &Pointer,
        depth: usize,
        value: &Value,
        seams: &mut Vec<Seam>,
    ) -> Result<String, Slip> {
        let mut node = Node::new(&self.text[expr.value.clone()], expr.value.start);
        let place = Place { style: self.style(), indent: self.indent(expr).to_owned(), lines: false };
        node.put(Toml, at, depth, value, &place, seams)?;
        Ok(self.splice(expr.value.clone(), &node.to_text()))
    }

    /// Another value for something that is made of headers or dotted pairs: new text where its first
    /// expression stands.
    fn replace(&self, path: &[Seg], at: &Pointer, value: &Value) -> Result<String, Slip> {
        let now = super::reparse(self.text).ok();
        if now.as_ref().and_then(|now| at.get(now)) == Some(value) {
            return Ok(self.text.to_owned());
        }
        let own = |expr: &Expr| expr.path.starts_with(path);
        let Some(first) = self.exprs.iter().find(|expr| own(expr)) else { return Ok(self.text.to_owned()) };
        let new = match (value, first.is_header()) {
            (Value::Object(members), true) => write::block(&header(path), members, &self.style())?,
            (_, true) => {
                // A scalar cannot stand behind another table's header: it goes where a new one would.
                let without = self.without(own);
                let sheet = Sheet { text: &without, exprs: expressions(&without) };
                return sheet.put(at, value, &mut Vec::new());
            }
            (_, false) => {
                let key = write::dotted(&path[first.section.min(path.len())..]);
                format!("{}{key} = {}", self.indent(first), write::inline(value, &self.style())?)
            }
        };
        let rest = self.cut(own, first.line);
        let newline = if rest.is_empty() && !self.text.ends_with('\n') { "" } else { newline(self.text) };
        Ok([&self.text[..first.line], &new, newline, &rest].concat())
    }

    /// A member or item for the table (or array of tables) at `path`, which lacks it.
    fn insert(&self, path: &[Seg], at: &Pointer, depth: usize, value: &Value) -> Result<String, Slip> {
        let steps = &at.0[depth..];
        let key = |step: &Step| match step {
            Step::Key(key) => Some(Seg::Key(key.clone())),
            _ => None,
        };
        let keys: Vec<Seg> = steps.iter().map_while(key).collect();
        let next = steps.get(keys.len());
        let whole = [path, &keys].concat();
        // Headers cannot speak of an element that is not the last one: what is in there stays inline.
        let in_list = path.iter().any(|seg| matches!(seg, Seg::Nth(_)));
        let not_a_table = || Slip::new(0, "a list of tables holds only tables");

        if matches!(next, Some(Step::Item { .. })) && (keys.is_empty() || !in_list) {
            let Value::Object(members) = model::child(&steps[keys.len()..], value) else {
                return Err(not_a_table());
            };
            let header = format!("[[{}]]", write::dotted(&whole));
            let prefix = if keys.is_empty() { &whole } else { path };
            return Ok(self.append(prefix, &write::block(&header, &members, &self.style())?));
        }
        let (Some(first), Some((last, parents))) = (keys.first(), keys.split_last()) else {
            return Err(not_a_table());
        };
        let is_new_table = next.is_none() && (keys.len() > 1 || self.wants_block(path));
        if let (Value::Object(members), true, false) = (value, is_new_table, in_list) {
            let style = self.style();
            let blocks: Result<Vec<String>, Slip> = tables(&whole, members)
                .into_iter()
                .map(|(path, members)| write::block(&header(&path), members, &style))
                .collect();
            let between = format!("{0}{0}", style.newline);
            return Ok(self.append(path, &blocks?.join(&between)));
        }
        if in_list || parents.is_empty() {
            return self.add_pair(path, first, &model::child(steps, value));
        }
        // A scalar or a list of strings in a table that does not exist yet.
        let pair = self.pair(std::slice::from_ref(last), &model::child(&steps[parents.len()..], value))?;
        let header = header(&[path, parents].concat());
        Ok(self.append(path, &[&header, newline(self.text), &pair].concat()))
    }

    /// Whether a new map in the table at `path` gets a header of its own. That is how entries are
    /// written; the maps inside an entry are inline tables.
    fn wants_block(&self, path: &[Seg]) -> bool {
        let below = |expr: &&Expr| expr.path.len() > path.len() && expr.path.starts_with(path);
        let mut pairs = self.exprs.iter().filter(below).filter(|expr| !expr.is_header());
        let has_fields = pairs.clone().any(|pair| pair.section == path.len());
        let has_inline = pairs.any(|pair| {
            pair.path.len() > path.len() + 1 && pair.section <= path.len()
                || pair.path.len() == path.len() + 1 && self.text[pair.value.clone()].starts_with('{')
        });
        let has_headers = self.exprs.iter().filter(below).any(Expr::is_header);
        match path.len() {
            0 => true,
            1 => has_headers || !has_inline,
            _ => has_headers && !has_fields,
        }
    }

    /// A pair at the end of the table's own body.
    fn add_pair(&self, path: &[Seg], key: &Seg, value: &Value) -> Result<String, Slip> {
        let key = std::slice::from_ref(key);
        let body = match self.exprs.iter().position(|expr| expr.is_header() && expr.path == path) {
            Some(header) => Some(self.section_end(header)),
            None if path.is_empty() => {
                let pairs = self.exprs.iter().take_while(|expr| !expr.is_header()).count();
                pairs.checked_sub(1)
            }
            // Dotted keys in the section of an outer table.
            None => self.exprs.iter().rposition(|expr| {
                !expr.is_header() && expr.section < path.len() && expr.path.starts_with(path)
            }),
        };
        if let Some(last) = body {
            let last = &self.exprs[last];
            let section = if last.is_header() { path.len() } else { last.section };
            let line = self.pair(&[&path[section..], key].concat(), value)?;
            return Ok(self.insert_line(last.next, &format!("{}{line}", self.indent(last))));
        }
        let line = self.pair(key, value)?;
        if !path.is_empty() {
            return Ok(self.append(path, &[&header(path), newline(self.text), &line].concat()));
        }
        // Before the first header, its comments, and the blank line that belongs to it.
        let spot = self.exprs.first().map_or(self.text.len(), |first| {
            without_blank_line(&self.text[..self.comments_above(first.line)]).len()
        });
        Ok(self.insert_line(spot, &line))
    }

    fn pair(&self, key: &[Seg], value: &Value) -> Result<String, Slip> {
        Ok(format!("{} = {}", write::dotted(key), write::inline(value, &self.style())?))
    }

    fn insert_line(&self, spot: usize, line: &str) -> String {
        let (before, after) = self.text.split_at(spot);
        let newline = newline(self.text);
        if before.is_empty() || before.ends_with('\n') {
            [before, line, newline, after].concat()
        } else {
            // The file has no final newline, and keeps it that way.
            [before, newline, line].concat()
        }
    }

    /// A block after the last expression below `prefix`, with one blank line before it.
    fn append(&self, prefix: &[Seg], block: &str) -> String {
        let last = self.exprs.iter().rposition(|expr| expr.path.starts_with(prefix));
        let spot = match last.filter(|_| !prefix.is_empty()) {
            Some(last) => self.comments_below(self.exprs[self.section_end(last)].next),
            None => self.text.len(),
        };
        let (before, after) = self.text.split_at(spot);
        let newline = newline(self.text);
        if before.is_empty() {
            [block, newline, after].concat()
        } else if before.ends_with('\n') {
            [before, newline, block, newline, after].concat()
        } else {
            [before, newline, newline, block].concat()
        }
    }

    /// The last expression of the section that `index` belongs to.
    fn section_end(&self, index: usize) -> usize {
        index + self.exprs[index + 1..].iter().take_while(|expr| !expr.is_header()).count()
    }

    /// Past the comment lines at `spot`, if they end a section and do not begin the next one.
    fn comments_below(&self, spot: usize) -> usize {
        let mut end = spot;
        for line in self.text[spot..].split_inclusive('\n') {
            if !line.trim_start_matches(SPACE).starts_with('#') {
                return if line.trim_matches(SPACE).is_empty() { end } else { spot };
            }
            end += line.len();
        }
        end
    }

    /// The start of the comment lines right above the line at `line`.
    fn comments_above(&self, line: usize) -> usize {
        let above = self.text[..line].split_inclusive('\n').rev();
        let comments = above.take_while(|line| line.trim_start_matches(SPACE).starts_with('#'));
        line - comments.map(str::len).sum::<usize>()
    }

    fn without(&self, own: impl Fn(&Expr) -> bool) -> String {
        self.cut(own, 0)
    }

    /// The text from `from` on without the lines of these expressions and the blank line before a
    /// header. Comments stay.
    fn cut(&self, own: impl Fn(&Expr) -> bool, from: usize) -> String {
        let mut out = String::new();
        let mut at = from;
        let mut after_own = false;
        let mut ends_kept = true;
        for expr in &self.exprs {
            if !own(expr) {
                after_own = false;
                continue;
            }
            let between = &self.text[at..expr.line];
            if !(after_own && between.trim_matches(SPACE).is_empty()) {
                out.push_str(if expr.is_header() { without_blank_line(between) } else { between });
            }
            let rest = self.text[expr.span.end..expr.next].trim_start_matches([' ', '\t']);
            for comment in comments_of(Toml, &self.text[expr.value.clone()]) {
                out.extend([self.indent(expr), comment, newline(self.text)]);
            }
            ends_kept = rest.starts_with('#');
            if ends_kept {
                out.push_str(self.indent(expr));
                out.push_str(rest);
            }
            at = expr.next;
            after_own = true;
        }
        let ends_here = at == self.text.len() && !ends_kept;
        out.push_str(&self.text[at..]);
        if ends_here && !self.text.ends_with('\n') && out.ends_with('\n') {
            out.pop();
            if out.ends_with('\r') {
                out.pop();
            }
        }
        out
    }

    fn splice(&self, range: Range<usize>, new: &str) -> String {
        [&self.text[..range.start], new, &self.text[range.end..]].concat()
    }

    fn node(&self, expr: usize) -> Node<'_> {
        let value = self.exprs[expr].value.clone();
        Node::new(&self.text[value.clone()], value.start)
    }

    fn indent(&self, expr: &Expr) -> &str {
        &self.text[expr.line..expr.span.start]
    }

    fn style(&self) -> Style {
        Style {
            newline: newline(self.text),
            unit: "  ".to_owned(),
            mark: " = ".to_owned(),
            gap: None,
            pad: " ".to_owned(),
        }
    }
}

fn header(path: &[Seg]) -> String {
    let name = write::dotted(path);
    if matches!(path.last(), Some(Seg::Nth(_))) { format!("[[{name}]]") } else { format!("[{name}]") }
}

/// The tables that a map is written as: one, or one for each entry when it is the map of all entries.
fn tables<'v>(path: &[Seg], map: &'v Map<String, Value>) -> Vec<(Vec<Seg>, &'v Map<String, Value>)> {
    let entries: Option<Vec<_>> = map
        .iter()
        .map(|(name, entry)| Some(([path, &[Seg::Key(name.clone())]].concat(), entry.as_object()?)))
        .collect();
    match entries {
        Some(entries) if path.len() == 1 && !entries.is_empty() => entries,
        _ => vec![(path.to_vec(), map)],
    }
}

/// Without the empty line at its end, if there is one.
fn without_blank_line(text: &str) -> &str {
    let Some(rest) = text.strip_suffix('\n') else { return text };
    let rest = rest.strip_suffix('\r').unwrap_or(rest);
    if rest.is_empty() || rest.ends_with('\n') { rest } else { text }
}
