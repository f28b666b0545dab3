//! Where the expressions of a TOML file stand.
//!
//! Invariant: made for text that toml_edit has accepted; anything else gives some answer, no panic.

use std::collections::HashMap;
use std::ops::Range;

/// One step of an absolute path: a key, or the n-th table of an array of tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seg {
    Key(String),
    Nth(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[a.b]`
    Table,
    /// `[[a.b]]`
    Element,
    /// `a.b = 1`
    Pair,
}

/// A header or a pair.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub kind: Kind,
    /// Absolute; that of an element ends in its number.
    pub path: Vec<Seg>,
    /// How much of the path its section's header gives; all of it for a header.
    pub section: usize,
    /// Where its line begins.
    pub line: usize,
    /// From its first token to its last.
    pub span: Range<usize>,
    /// The value of a pair, the whole of a header.
    pub value: Range<usize>,
    /// Where the next line begins.
    pub next: usize,
}

impl Expr {
    pub(super) fn is_header(&self) -> bool {
        self.kind != Kind::Pair
    }
}

/// All expressions, in order.
pub(super) fn expressions(text: &str) -> Vec<Expr> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut section: Vec<Seg> = Vec::new();
    let mut counts: HashMap<Vec<Seg>, usize> = HashMap::new();
    let mut at = 0;
    loop {
        let start = skip_trivia(bytes, at);
        if start >= bytes.len() {
            return found;
        }
        let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let (kind, keys) = match (bytes[start], bytes.get(start + 1)) {
            (b'[', Some(b'[')) => (Kind::Element, start + 2),
            (b'[', _) => (Kind::Table, start + 1),
            _ => (Kind::Pair, start),
        };
        let (value, path) = if kind == Kind::Pair {
            let key_end = skip_key(bytes, start, b'=');
            let value = skip_blank(bytes, skip_blank(bytes, key_end) + 1);
            let end = skip_value(bytes, value).max(value);
            let names = names(text.get(start..key_end).unwrap_or_default());
            let path = section.iter().cloned().chain(names.into_iter().map(Seg::Key)).collect();
            (value..end, path)
        } else {
            let key_end = skip_key(bytes, keys, b']');
            let close = skip_blank(bytes, key_end);
            let end = (close + if kind == Kind::Element { 2 } else { 1 }).min(bytes.len());
            let names = names(text.get(keys..key_end).unwrap_or_default());
            let path = header_path(names, kind, &mut counts);
            section.clone_from(&path);
            (start..end, path)
        };
        let value = value.start.min(bytes.len())..value.end.min(bytes.len());
        let end = value.end.max(start + 1);
        let next = bytes[end..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |by| end + by + 1);
        let section = section.len();
        found.push(Expr { kind, path, section, line, span: start..end, value, next });
        at = next;
    }
}

/// Headers speak of the last table of each array of tables on their way.
fn header_path(names: Vec<String>, kind: Kind, counts: &mut HashMap<Vec<Seg>, usize>) -> Vec<Seg> {
    let last = names.len().saturating_sub(1);
    let mut path = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        path.push(Seg::Key(name));
        if kind == Kind::Element && index == last {
            let count = counts.entry(path.clone()).or_default();
            *count += 1;
        }
        if let Some(count) = counts.get(&path) {
            path.push(Seg::Nth(count - 1));
        }
    }
    path
}

/// The end of white space, line breaks and comments.
pub(super) fn skip_trivia(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
            Some(b'#') => at = line_end(bytes, at),
            _ => return at,
        }
    }
}

fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at.min(bytes.len())
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at)
}

/// The end of a possibly dotted key that is followed by `mark`, without the blanks before it.
pub(super) fn skip_key(bytes: &[u8], start: usize, mark: u8) -> usize {
    let mut at = start;
    let mut end = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            _ if byte == mark => break,
            b'"' | b'\'' => {
                at = skip_string(bytes, at);
                end = at;
            }
            b' ' | b'\t' => at += 1,
            b'\n' | b'\r' => break,
            _ => {
                at += 1;
                end = at;
            }
        }
    }
    end.min(bytes.len())
}

fn skip_string(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let triple = [quote; 3];
    let is_long = bytes[at..].starts_with(&triple);
    let mut at = at + if is_long { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && quote == b'"' {
            at += 2;
        } else if byte == quote && !is_long {
            return at + 1;
        } else if is_long && bytes[at..].starts_with(&triple) {
            // Up to two quotes may stand before the closing three.
            let run = bytes[at..].iter().take(5).take_while(|byte| **byte == quote).count();
            return at + run;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The end of the value at `at`.
pub(super) fn skip_value(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = skip_string(bytes, at),
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' if depth == 0 => return at,
            b']' | b'}' => {
                depth -= 1;
                at += 1;
            }
            b'#' => at = line_end(bytes, at),
            _ if depth > 0 => at += 1,
            _ => return bare_end(bytes, at),
        }
        if depth == 0 {
            break;
        }
    }
    at.min(bytes.len())
}

/// The end of a number, word or date (which may have a blank inside).
fn bare_end(bytes: &[u8], at: usize) -> usize {
    let stop = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b'#' | b'\n' | b'\r');
    let end = at + bytes[at..].iter().position(stop).unwrap_or(bytes.len() - at);
    at + bytes[at..end].trim_ascii_end().len()
}

/// The names of a dotted key.
pub(super) fn names(key: &str) -> Vec<String> {
    if !key.contains('\\') {
        return plain_names(key);
    }
    match toml_edit::Key::parse(key.trim()) {
        Ok(keys) => keys.iter().map(|key| key.get().to_owned()).collect(),
        Err(_) => vec![key.trim().to_owned()],
    }
}

/// The same, where no escape is to be decoded.
fn plain_names(key: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quote = None;
    for char in key.chars() {
        match (char, quote) {
            ('"' | '\'', None) => quote = Some(char),
            (char, Some(open)) if char == open => quote = None,
            ('.', None) => names.push(std::mem::take(&mut name)),
            (' ' | '\t', None) => {}
            (char, _) => name.push(char),
        }
    }
    names.push(name);
    names
}
