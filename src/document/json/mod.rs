//! JSON and JSON with comments.
//!
//! Invariant: a text that passed [`check`] can be read and edited without another syntax error; the
//! functions here take it as such and refuse, rather than panic, when it is not.
//!
//! `scan` knows the grammar, `write` the layout of new values, `outline` is the independent reader.

use serde_json::Value;

use super::tree::{Dialect, Node, Place, SPACE, Spread, Style, comments_of, newline, remember};
use super::{Fault, Op, Seam, Slip, model};
use crate::base::{Pointer, Step};

mod outline;
mod scan;
mod write;

pub(super) use outline::outline;

/// The lossless tree's view of JSON; comments are passed over in strict files too, where the check
/// has already refused them.
#[derive(Clone, Copy)]
struct Json;

impl Dialect for Json {
    const MARK: u8 = b':';

    fn trivia(self, text: &str, at: usize) -> usize {
        scan::skip_trivia(text.as_bytes(), at)
    }

    fn key(self, text: &str, at: usize) -> usize {
        scan::skip_value(text.as_bytes(), at)
    }

    fn value(self, text: &str, at: usize) -> usize {
        scan::skip_value(text.as_bytes(), at)
    }

    fn names(self, key: &str) -> Vec<String> {
        vec![scan::unquote(key).into_owned()]
    }

    fn read(self, text: &str) -> Result<Value, Slip> {
        scan::value(text)
    }

    fn quote(self, name: &str) -> String {
        write::quoted(name)
    }

    fn write(self, value: &Value, style: &Style, indent: &str, spread: Spread) -> Result<String, Slip> {
        Ok(write::value(value, style, indent, spread))
    }
}

/// A whole file: a value with white space and comments around it.
struct Sheet<'t> {
    lead: &'t str,
    root: Option<Node<'t>>,
    trail: &'t str,
}

impl<'t> Sheet<'t> {
    fn new(text: &'t str) -> Self {
        let start = scan::skip_trivia(text.as_bytes(), 0);
        let end = scan::skip_value(text.as_bytes(), start);
        let root = (start < end).then(|| Node::new(&text[start..end], start));
        Self { lead: &text[..start], root, trail: &text[end.max(start)..] }
    }

    fn print(&self, capacity: usize) -> String {
        let mut out = String::with_capacity(capacity);
        out.push_str(self.lead);
        if let Some(root) = &self.root {
            root.print(&mut out);
        }
        out.push_str(self.trail);
        out
    }
}

/// Checks the whole text, so that a fault can name line and column.
pub(super) fn check(text: &str, strict: bool) -> Result<(), Fault> {
    scan::check(text, strict).map_err(|slip| slip.fault(text))
}

pub(super) fn get(text: &str, at: &Pointer) -> Result<Option<Value>, Fault> {
    let Some(mut root) = Sheet::new(text).root else { return Ok(None) };
    let found = root.seek(Json, &at.0).map_err(|slip| slip.fault(text))?;
    found.map(|(node, _)| node.read(Json)).transpose().map_err(|slip| slip.fault(text))
}

pub(super) fn keys(text: &str, at: &Pointer) -> Result<Vec<String>, Fault> {
    let Some(mut root) = Sheet::new(text).root else { return Ok(Vec::new()) };
    let names = root.seek(Json, &at.0).and_then(|found| match found {
        Some((node, _)) => node.names(Json),
        None => Ok(Vec::new()),
    });
    names.map_err(|slip| slip.fault(text))
}

pub(super) fn place(text: &str, at: &Pointer) -> Option<usize> {
    let mut root = Sheet::new(text).root?;
    root.seek(Json, &at.0).ok()?.map(|(_, start)| start)
}

pub(super) fn edit(text: &str, ops: &[Op]) -> Result<(String, Vec<Seam>), Fault> {
    let mut seams = Vec::new();
    // A root that is made or put back is new text, which the rest of the edit then starts from.
    let mut current = text.to_owned();
    let mut rest = ops;
    while !rest.is_empty() {
        let (next, taken) = run(&current, rest, &mut seams).map_err(|slip| slip.fault(&current))?;
        current = next;
        rest = &rest[taken..];
    }
    Ok((current, seams))
}

/// Applies operations until one changes the text around the root: the new text, and how many.
fn run(text: &str, ops: &[Op], seams: &mut Vec<Seam>) -> Result<(String, usize), Slip> {
    let mut sheet = Sheet::new(text);
    let capacity = text.len() + 4096;
    for (index, op) in ops.iter().enumerate() {
        match op {
            Op::Put { at, value } => {
                let Some(root) = sheet.root.as_mut() else {
                    let made = open_blank(&sheet.print(capacity), at, value, seams);
                    return Ok((made, index + usize::from(at.0.is_empty())));
                };
                if !at.0.is_empty() && root.opened_empty(Json)? {
                    remember(seams, Seam { at: Pointer::root(), was: Some(sheet.print(capacity)) });
                }
                if let Some(root) = sheet.root.as_mut() {
                    root.put(Json, at, 0, value, &outside(text), seams)?;
                }
            }
            Op::Drop { at } if at.0.is_empty() => sheet.root = None,
            Op::Drop { at } => {
                if let Some(root) = sheet.root.as_mut() {
                    root.drop(Json, &at.0)?;
                }
            }
            Op::Close { seam } if seam.at.0.is_empty() => {
                let restored = restore(&mut sheet, seam, capacity)?;
                return Ok((restored, index + 1));
            }
            Op::Close { seam } => {
                if let Some(root) = sheet.root.as_mut() {
                    root.close(Json, &seam.at.0, seam.was.as_deref())?;
                }
            }
        }
    }
    Ok((sheet.print(capacity), ops.len()))
}

/// A file of nothing but white space and comments gets an empty root container, or its whole value.
fn open_blank(text: &str, at: &Pointer, value: &Value, seams: &mut Vec<Seam>) -> String {
    let newline = newline(text);
    let comments = text.trim_matches(SPACE);
    let root = match at.0.first() {
        Some(step) => {
            remember(seams, Seam { at: Pointer::root(), was: Some(text.to_owned()) });
            model::container(step).to_string()
        }
        None => write::value(value, &outside(text).style, "", Spread::Lines),
    };
    let between = if comments.is_empty() { "" } else { newline };
    format!("{comments}{between}{root}{newline}")
}

/// Puts the whole text back if the root is empty and no comment was added since.
fn restore(sheet: &mut Sheet<'_>, seam: &Seam, capacity: usize) -> Result<String, Slip> {
    let now = sheet.print(capacity);
    let Some(was) = seam.was.as_deref() else { return Ok(now) };
    let is_empty = match sheet.root.as_mut() {
        Some(root) => root.opened_empty(Json)?,
        None => true,
    };
    let same = is_empty && comments_of(Json, &now) == comments_of(Json, was);
    Ok(if same { was.to_owned() } else { now })
}

/// What holds before anything of the file is known.
fn outside(text: &str) -> Place {
    let style = Style {
        newline: newline(text),
        unit: "  ".to_owned(),
        mark: ": ".to_owned(),
        gap: None,
        pad: String::new(),
    };
    Place { style, indent: String::new(), lines: true }
}

#[cfg(test)]
mod tests;
