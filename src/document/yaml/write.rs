//! Values as new text: block maps and lists, flow lists of scalars.
//!
//! Invariant: what is written reads back as the value that was asked for, under YAML 1.1 and 1.2.

use serde_json::{Map, Value};

use super::scalar;

/// How the file is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Columns from a key to the keys of its map.
    pub step: usize,
    /// Columns from a key to the dashes of its list.
    pub dash: usize,
    /// Blanks between a dash and its item.
    pub gap: usize,
    /// Every string in quotes, as in JSON.
    pub json: bool,
    /// `{ a: 1 }` rather than `{a: 1}`.
    pub pad: bool,
}

/// One thing to put into a container.
#[derive(Clone, Debug)]
pub(super) enum Member {
    Pair(String, Value),
    Item(Value),
}

/// Whether a value goes onto its key's line.
pub(super) fn is_inline(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.iter().all(is_small),
        _ => true,
    }
}

/// A scalar, or a list of nothing but such: kept on one line inside a list.
fn is_small(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.iter().all(is_small),
        _ => true,
    }
}

impl Style {
    /// A value on one line.
    pub(super) fn inline(self, value: &Value, flow: bool) -> String {
        match value {
            Value::Object(map) if map.is_empty() => "{}".to_owned(),
            Value::Object(map) => {
                let pairs: Vec<_> = map.iter().map(|(key, value)| self.pair(key, value)).collect();
                let pad = if self.pad { " " } else { "" };
                format!("{{{pad}{}{pad}}}", pairs.join(", "))
            }
            Value::Array(items) => {
                // One string that needs quotes has them all quoted: `["-y", "pkg"]`.
                let plain = |item: &Value| item.as_str().is_none_or(|text| scalar::is_plain(text, true));
                let style = Self { json: self.json || !items.iter().all(plain), ..self };
                let items: Vec<_> = items.iter().map(|item| style.nested(item, self)).collect();
                format!("[{}]", items.join(", "))
            }
            scalar => scalar::write(scalar, flow, self.json),
        }
    }

    /// An item of a flow list: only its own strings follow the list's quoting.
    fn nested(self, item: &Value, outer: Self) -> String {
        if item.is_string() { self.inline(item, true) } else { outer.inline(item, true) }
    }

    fn pair(self, key: &str, value: &Value) -> String {
        format!("{}: {}", scalar::write_string(key, true, self.json), self.inline(value, true))
    }

    /// A member inside brackets.
    pub(super) fn flow_member(self, member: &Member) -> String {
        match member {
            Member::Pair(key, value) => self.pair(key, value),
            Member::Item(value) => self.inline(value, true),
        }
    }

    /// A member in block style: its lines, the first one without its indentation.
    pub(super) fn block_member(self, member: &Member, column: usize) -> Vec<String> {
        match member {
            Member::Pair(key, value) => self.entry(key, value, column),
            Member::Item(value) => self.item(value, column),
        }
    }

    /// A non-empty map, or a list, in block style: its lines, the first one without its indentation.
    pub(super) fn block(self, value: &Value, column: usize) -> Vec<String> {
        match value {
            Value::Object(map) if !map.is_empty() => self.map(map, column),
            Value::Array(items) if !items.is_empty() => {
                glue(items.iter().map(|item| self.item(item, column)), column)
            }
            other => vec![self.inline(other, false)],
        }
    }

    fn map(self, map: &Map<String, Value>, column: usize) -> Vec<String> {
        glue(map.iter().map(|(key, value)| self.entry(key, value, column)), column)
    }

    fn entry(self, key: &str, value: &Value, column: usize) -> Vec<String> {
        let key = scalar::write_string(key, false, self.json);
        if is_inline(value) {
            return vec![format!("{key}: {}", self.inline(value, false))];
        }
        let column = column + if value.is_array() { self.dash } else { self.step };
        let mut lines = vec![format!("{key}:")];
        lines.extend(indented(self.block(value, column), column, true));
        lines
    }

    fn item(self, value: &Value, column: usize) -> Vec<String> {
        let inner = column + 1 + self.gap;
        let dash = format!("-{}", " ".repeat(self.gap));
        let mut lines = match value {
            Value::Object(map) if !map.is_empty() => self.map(map, inner),
            other => vec![self.inline(other, !is_inline(other))],
        };
        if let Some(first) = lines.first_mut() {
            first.insert_str(0, &dash);
        }
        lines
    }
}

/// Several members below each other.
fn glue(members: impl Iterator<Item = Vec<String>>, column: usize) -> Vec<String> {
    members.enumerate().flat_map(|(n, lines)| indented(lines, column, n > 0)).collect()
}

/// Indent the first line, if it is to be; the others carry their indentation already.
fn indented(mut lines: Vec<String>, column: usize, indent: bool) -> Vec<String> {
    if indent && let Some(first) = lines.first_mut() {
        first.insert_str(0, &" ".repeat(column));
    }
    lines
}
