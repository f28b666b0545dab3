//! How a file is written: indentation, spacing, line ends.
//!
//! Invariant: learned from the neighbours of the place that is edited, from the outside in.

use super::Dialect;

/// White space between tokens. (Wider notions would take the end of a comment for it.)
pub(in crate::document) const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
/// Either ends a line comment.
pub(super) const BREAK: [char; 2] = ['\n', '\r'];

/// What is learned.
#[derive(Clone, Debug)]
pub(in crate::document) struct Style {
    pub newline: &'static str,
    /// One level of indentation.
    pub unit: String,
    /// Between key and value (`: `, ` = `).
    pub mark: String,
    /// After a comma on one line, if seen.
    pub gap: Option<String>,
    /// Inside the braces of a map on one line.
    pub pad: String,
}

impl Style {
    pub(in crate::document) fn gap(&self) -> &str {
        self.gap.as_deref().unwrap_or(if self.mark.ends_with(' ') { " " } else { "" })
    }

    pub(super) fn pad(&self, is_list: bool) -> &str {
        if is_list { "" } else { &self.pad }
    }
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(in crate::document) struct Place {
    pub style: Style,
    /// The white space at the start of its line.
    pub indent: String,
    /// Whether the members of an empty container here go on lines of their own.
    pub lines: bool,
}

impl Place {
    /// One item further in.
    pub(super) fn inside(&self, before: &str) -> Self {
        let mut place = self.clone();
        if let Some(indent) = last_line(before) {
            indent.clone_into(&mut place.indent);
        }
        place
    }
}

/// The line end that a text uses.
pub(in crate::document) fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The indentation after the last line break; none without one.
pub(super) fn last_line(before: &str) -> Option<&str> {
    let line = &before[before.rfind(BREAK)? + 1..];
    line.trim_matches(SPACE).is_empty().then_some(line)
}

/// The first line break, if nothing but white space is before it.
pub(super) fn leading_newline(text: &str) -> Option<&'static str> {
    let space = &text[..text.len() - text.trim_start_matches(SPACE).len()];
    space.contains(BREAK).then(|| newline(space))
}

/// The comments in a piece of text, values and all.
pub(in crate::document) fn comments_of<D: Dialect>(dialect: D, text: &str) -> Vec<&str> {
    let mut comments = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = dialect.trivia(text, at);
        if end > at {
            split_comments(&text[at..end], &mut comments);
            at = end;
            continue;
        }
        at = match text.as_bytes()[at] {
            b'"' | b'\'' => dialect.value(text, at).max(at + 1),
            _ => text.ceil_char_boundary(at + 1),
        };
    }
    comments
}

fn split_comments<'a>(trivia: &'a str, out: &mut Vec<&'a str>) {
    let mut rest = trivia.trim_matches(SPACE);
    while !rest.is_empty() {
        // A comment ends at its line's end, or where a block comment is closed.
        let end = match rest.strip_prefix("/*") {
            Some(inner) => inner.find("*/").map_or(rest.len(), |end| end + 4),
            None => rest.find(BREAK).unwrap_or(rest.len()),
        };
        out.push(rest[..end].trim_end_matches(SPACE));
        rest = rest[end..].trim_matches(SPACE);
    }
}

/// Whether a line comment is still open at the end of this.
pub(super) fn ends_open<D: Dialect>(dialect: D, trivia: &str) -> bool {
    comments_of(dialect, trivia).last().is_some_and(|last| !last.starts_with("/*") && trivia.ends_with(last))
}
