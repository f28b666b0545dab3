//! The manifest: read with places, validated, checked.
//!
//! A file goes through [`parse`] (text to tree to [`model::Manifest`]); the files that belong together
//! then go through [`check()`], which knows about names across files.
//!
//! Invariant: problems never stop at the first one, and no sentence or excerpt shows a value that
//! looks like a secret. A manifest is handed out only when its file has no error.

pub mod check;
mod excerpt;
pub mod explain;
pub mod fmt;
pub mod model;
pub mod scalar;
pub mod schema;
mod syntax;
pub mod text;
pub mod tree;
mod typed;
mod validate;
pub mod values;

use std::ops::Range;
use std::sync::Arc;

use crate::base::{Diagnostic, Place, Severity};

pub use check::{check, texts_of, texts_of_notify};
use tree::{Id, Problem, Tree};
pub use typed::TEXTS;

/// Most problems that are listed for one file.
pub const MAX_PROBLEMS: usize = 200;

/// The name of the entry through which a client reaches the gateway.
pub const GATEWAY_ENTRY: &str = "mcpkeel";

/// Sections that do not count in a manifest of a repository.
pub const LOCAL: [&str; 4] = ["source", "gateway", "supervisor", "settings"];

/// A manifest file: its text and where everything stands in it.
#[derive(Debug)]
pub struct File {
    /// As the user would name it.
    pub name: String,
    /// The whole text, byte-order mark included.
    pub text: String,
    tree: Tree,
    /// Byte offsets at which lines start.
    lines: Vec<u32>,
}

/// Which half of a member is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The key; for an item of a list the item itself.
    Key,
    /// The value.
    Value,
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Parsed {
    /// None when it is no text or too big.
    pub file: Option<Arc<File>>,
    /// None when there is any error in `diagnostics`.
    pub manifest: Option<model::Manifest>,
    /// Every problem of this file by itself, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether a repository holds it, so that what is this machine's own business does not count in it.
    pub is_sourced: bool,
    /// What is left of a manifest with errors once they are cut out, for [`check()`] alone.
    partial: Option<model::Manifest>,
    /// JSON pointers of what was cut out.
    broken: Vec<String>,
}

/// Reads one manifest. The name is only used in diagnostics.
pub fn parse(name: &str, bytes: Vec<u8>) -> Parsed {
    read(name, bytes, false)
}

/// Like [`parse`], and holds even a manifest without errors against the JSON schema: some 10 ms more.
pub fn validate_fully(name: &str, bytes: Vec<u8>) -> Parsed {
    read(name, bytes, true)
}

fn read(name: &str, bytes: Vec<u8>, fully: bool) -> Parsed {
    let text = match decode(name, bytes) {
        Ok(text) => text,
        Err(problem) => return Parsed { diagnostics: vec![*problem], ..Parsed::default() },
    };
    let mut problems = invisible(&text);
    let (tree, found) = tree::read(&text);
    let seen: Vec<usize> = problems.iter().map(|problem| problem.span.start).collect();
    problems.extend(found.into_iter().filter(|problem| !seen.contains(&problem.span.start)));
    let complete = tree.complete;
    let file = File { name: name.to_owned(), lines: line_starts(&text), text, tree };
    let mut parsed = Parsed::default();
    if !complete {
        parsed.diagnostics = file.diagnostics(problems);
    } else if let Some(root) = file.tree.root.filter(|root| !file.is_empty(*root)) {
        parsed = typed::read(&file, root, fully);
        // What stands where an alias leads nowhere is not judged as well.
        let gaps: Vec<_> = problems
            .iter()
            .filter(|p| matches!(p.code, "unknown-anchor" | "alias-cycle"))
            .map(|p| p.span.start)
            .collect();
        let gaps: Vec<_> = gaps.into_iter().map(|at| file.line_of(at) as u32 + 1).collect();
        let is_gap = |d: &Diagnostic| d.place.as_ref().is_some_and(|place| gaps.contains(&place.line));
        parsed.diagnostics.retain(|d| !(d.code == "no-value" && is_gap(d)));
        parsed.diagnostics.extend(file.diagnostics(problems));
    } else {
        let hint = "write `version: 1` as its first line, or run `mcpkeel init`";
        parsed.diagnostics = file.diagnostics(problems);
        parsed.diagnostics.push(
            Diagnostic::error("empty-manifest", "The manifest is empty.").at(Place::file(name)).hint(hint),
        );
    }
    if parsed.diagnostics.iter().any(Diagnostic::is_error)
        && let Some(manifest) = parsed.manifest.take()
    {
        parsed.partial = Some(manifest);
    }
    sort(&mut parsed.diagnostics);
    cap(name, &mut parsed.diagnostics);
    parsed.file = Some(Arc::new(file));
    parsed
}

/// By place, then by weight.
fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|d| {
        let (line, column) = d.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
        (line, column, std::cmp::Reverse(d.severity))
    });
}

fn cap(name: &str, diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.len() > MAX_PROBLEMS {
        // Errors are never crowded out by lesser things.
        diagnostics.sort_by_key(|d| std::cmp::Reverse(d.severity));
        diagnostics.truncate(MAX_PROBLEMS);
        sort(diagnostics);
        let message = format!("More than {MAX_PROBLEMS} problems; the rest is not listed.");
        diagnostics.push(Diagnostic::note("more-problems", message).at(Place::file(name)));
    }
}

fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Box<Diagnostic>> {
    let at_file = |problem: Problem| {
        let diagnostic = Diagnostic::error(problem.code, problem.message).at(Place::file(name));
        Box::new(match problem.hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        })
    };
    if bytes.len() > tree::MAX_BYTES {
        return Err(at_file(tree::too_big()));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let problem = Problem::new("not-utf8", "The file is written as UTF-16.", 0..0);
        return Err(at_file(problem.hint("save it as UTF-8")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let problem = Problem::new("not-utf8", "The file is not UTF-8 from here on.", 0..0);
        let mut diagnostic = at_file(problem.hint("save it as UTF-8"));
        diagnostic.place =
            Some(Place { line: line as u32, column: column as u32, length: 1, ..Place::file(name) });
        diagnostic
    })
}

/// Characters that cannot be seen but change what a text means.
fn invisible(text: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        let span = at..at + c.len_utf8();
        let message = match c {
            '\t' | '\n' | '\r' => continue,
            '\0'..'\u{20}' | '\u{7f}'..'\u{a0}' if c != '\u{85}' => {
                format!("The file holds the control character U+{:04X}.", u32::from(c))
            }
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => {
                format!("The file holds the invisible character U+{:04X}.", u32::from(c))
            }
            _ => continue,
        };
        found.push(Problem::new("hidden-character", message, span).hint("remove it"));
        if found.len() > MAX_PROBLEMS {
            break;
        }
    }
    found
}

fn line_starts(text: &str) -> Vec<u32> {
    let first = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1);
    std::iter::once(first).chain(newlines).collect()
}

impl Parsed {
    /// The same, as a file of a repository: the sections of [`LOCAL`] do not count.
    #[must_use]
    pub fn sourced(mut self) -> Self {
        self.is_sourced = true;
        for manifest in [&mut self.manifest, &mut self.partial].into_iter().flatten() {
            manifest.source = None;
            manifest.gateway = None;
            manifest.supervisor = None;
            manifest.settings = model::Settings::default();
        }
        self
    }
}

impl File {
    /// Where the value at a JSON pointer stands; the nearest container if it is not there.
    pub fn place(&self, pointer: &str, on: On) -> Place {
        let mut at = pointer;
        let (key, value) = loop {
            if let Some(found) = self.tree.find(at) {
                break found;
            }
            match at.rfind('/') {
                Some(cut) => at = &at[..cut],
                None => return Place::file(&self.name),
            }
        };
        self.at(self.tree.span(if on == On::Key { key } else { value }))
    }

    /// Where a fragment of the scalar at a JSON pointer stands; the whole scalar if it is not written
    /// out as such.
    pub fn place_of(&self, pointer: &str, fragment: &str) -> Place {
        let span = self.tree.find(pointer).map(|(_, value)| self.tree.span(value));
        let found = span.clone().and_then(|span| {
            let at = span.start + self.text.get(span)?.find(fragment)?;
            Some(self.at(at..at + fragment.len()))
        });
        found.unwrap_or_else(|| self.place(pointer, On::Value))
    }

    /// The keys of the map at a JSON pointer, as far as the file could be read.
    pub fn keys(&self, pointer: &str) -> Vec<&str> {
        let Some((_, id)) = self.tree.find(pointer) else { return Vec::new() };
        self.tree.members(id).into_iter().map(|(key, _, _)| key).collect()
    }

    /// Whether something stands at a JSON pointer.
    pub fn has(&self, pointer: &str) -> bool {
        self.tree.find(pointer).is_some()
    }

    /// Whether the value at a JSON pointer is a plain word that the file does not put in quotes.
    fn source(&self, pointer: &str) -> Option<&str> {
        let (_, value) = self.tree.find(pointer)?;
        self.tree.text(value)
    }

    fn is_empty(&self, root: Id) -> bool {
        match self.tree.kind(root) {
            tree::Kind::Scalar { text, typing } => scalar::value(text, *typing).is_null(),
            tree::Kind::Map(members) => members.is_empty(),
            _ => false,
        }
    }

    fn diagnostics(&self, problems: Vec<Problem>) -> Vec<Diagnostic> {
        let place = |problem: Problem| Diagnostic {
            severity: Severity::Error,
            code: problem.code,
            message: problem.message,
            place: Some(self.at(problem.span)),
            related: problem
                .related
                .into_iter()
                .map(|(label, span)| (label.to_owned(), self.at(span)))
                .collect(),
            hint: problem.hint,
        };
        // One more than is listed, so that the rest is known to exist.
        problems.into_iter().take(MAX_PROBLEMS + 1).map(place).collect()
    }

    /// A range of the text as a place with its excerpt.
    fn at(&self, span: Range<usize>) -> Place {
        let index = self.line_of(span.start);
        let line = self.line(index);
        let within = span.start.clamp(line.start, line.end);
        let first = &self.text[within..span.end.clamp(within, line.end)];
        let column = self.text[line.start..within].chars().count() + 1;
        Place {
            file: self.name.clone(),
            line: index as u32 + 1,
            column: column as u32,
            length: first.trim_end().chars().count().max(1) as u32,
            excerpt: excerpt::of(&self.text, &self.tree, line, column),
        }
    }

    /// The number, from 0, of the line with this offset.
    fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start as usize <= offset).saturating_sub(1)
    }

    /// The range of a line without its end.
    fn line(&self, index: usize) -> Range<usize> {
        let start = self.lines.get(index).map_or(0, |start| *start as usize);
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| *next as usize);
        start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }
}
