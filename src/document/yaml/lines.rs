//! Lines of a text, and splices into it.
//!
//! Invariant: a line break is `\n`, `\r\n` or a lone `\r`, as in YAML; offsets are bytes.

use std::ops::Range;

/// Replace one stretch of the text; an empty stretch inserts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Splice {
    pub at: Range<usize>,
    pub with: String,
}

impl Splice {
    pub(super) fn insert(at: usize, with: impl Into<String>) -> Self {
        Self { at: at..at, with: with.into() }
    }

    pub(super) fn cut(at: Range<usize>) -> Self {
        Self { at, with: String::new() }
    }

    pub(super) fn swap(at: Range<usize>, with: impl Into<String>) -> Self {
        Self { at, with: with.into() }
    }
}

/// Carry out splices that do not overlap. Those at one place keep their order, insertions first.
pub(super) fn splice(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| (splice.at.start, !splice.at.is_empty()));
    let added: usize = splices.iter().map(|splice| splice.with.len()).sum();
    let mut out = String::with_capacity(text.len() + added);
    let mut done = 0;
    for Splice { at, with } in splices {
        out.push_str(slice(text, done..at.start));
        out.push_str(&with);
        done = done.max(at.end);
    }
    out.push_str(slice(text, done..text.len()));
    out
}

/// The text there; empty when the range is none.
pub(super) fn slice(text: &str, at: Range<usize>) -> &str {
    text.get(at).unwrap_or("")
}

/// Where the line of `at` begins.
pub(super) fn start(text: &str, at: usize) -> usize {
    slice(text, 0..at).rfind(['\n', '\r']).map_or(0, |found| found + 1)
}

/// Where the line of `at` ends, before its line break.
pub(super) fn end(text: &str, at: usize) -> usize {
    slice(text, at..text.len()).find(['\n', '\r']).map_or(text.len(), |found| at + found)
}

/// Past the line break at `end`; the same place at the end of the text.
pub(super) fn past(text: &str, end: usize) -> usize {
    let rest = slice(text, end..text.len());
    end + if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with(['\n', '\r'])) }
}

/// Before the line break that ends right before `start`.
pub(super) fn before(text: &str, start: usize) -> usize {
    let head = slice(text, 0..start);
    start - if head.ends_with("\r\n") { 2 } else { usize::from(head.ends_with(['\n', '\r'])) }
}

/// How far `at` is from the start of its line, in bytes (what precedes block content is ASCII).
pub(super) fn column(text: &str, at: usize) -> usize {
    at - start(text, at)
}

/// Whether only blanks precede `at` on its line.
pub(super) fn leads(text: &str, at: usize) -> bool {
    blank(slice(text, start(text, at)..at))
}

/// Whether there is nothing but blanks.
pub(super) fn blank(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte == b'\t')
}

/// The line break in use at `at`: that of the line, or of the line before, or of the first line.
pub(super) fn eol(text: &str, at: usize) -> &'static str {
    let own = end(text, at);
    let line_break = |end: usize| slice(text, end..past(text, end));
    let first_before = start(text, at);
    let found =
        [line_break(own), slice(text, before(text, first_before)..first_before), line_break(end(text, 0))];
    match found.into_iter().find(|found| !found.is_empty()) {
        Some("\r\n") => "\r\n",
        Some("\r") => "\r",
        _ => "\n",
    }
}

/// The 1-based line and column, in characters, of a byte offset.
pub(super) fn position(text: &str, at: usize) -> (u32, u32) {
    let head = slice(text, 0..at);
    let breaks = head.matches('\n').count() + head.replace("\r\n", "\n").matches('\r').count();
    let column = slice(text, start(text, at)..at).chars().count();
    (u32::try_from(breaks).map_or(u32::MAX, |n| n + 1), u32::try_from(column).map_or(u32::MAX, |n| n + 1))
}
