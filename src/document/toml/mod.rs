//! TOML, edited by lines: a table is a set of expressions (headers and `key = value` pairs) that may
//! be scattered over the file.
//!
//! Invariant: toml_edit checks and reads, our own scanner edits; toml_edit never prints a file.
//!
//! `scan` finds the expressions, `edit` changes them, `write` lays out new ones.

use serde_json::{Map, Number, Value};
use toml_edit::{Item, TableLike};

use super::tree::{Dialect, Node, Place, SPACE, Spread, Style, comments_of, newline, remember};
use super::{Fault, Op, Seam, Slip, model};
use crate::base::{Pointer, Step};

mod edit;
mod locate;
mod scan;
mod write;

pub(super) use edit::edit;

/// The lossless tree's view of inline tables and arrays.
#[derive(Clone, Copy)]
struct Toml;

impl Dialect for Toml {
    const MARK: u8 = b'=';

    fn trivia(self, text: &str, at: usize) -> usize {
        scan::skip_trivia(text.as_bytes(), at)
    }

    fn key(self, text: &str, at: usize) -> usize {
        scan::skip_key(text.as_bytes(), at, b'=')
    }

    fn value(self, text: &str, at: usize) -> usize {
        scan::skip_value(text.as_bytes(), at)
    }

    fn names(self, key: &str) -> Vec<String> {
        scan::names(key)
    }

    fn read(self, text: &str) -> Result<Value, Slip> {
        let value: toml_edit::Value = text.parse().map_err(|_| Slip::new(0, "this is not a TOML value"))?;
        Ok(plain(&value))
    }

    fn quote(self, name: &str) -> String {
        write::key(name)
    }

    fn write(self, value: &Value, style: &Style, _: &str, _: Spread) -> Result<String, Slip> {
        write::inline(value, style)
    }
}

pub(super) fn place(text: &str, at: &Pointer) -> Option<usize> {
    locate::place(text, at)
}

/// The whole document as a value. Dates become strings.
pub(super) fn reparse(text: &str) -> Result<Value, Fault> {
    Ok(table(parsed(text)?.as_table()))
}

fn parsed(text: &str) -> Result<toml_edit::Document<&str>, Fault> {
    toml_edit::Document::parse(text).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        match error.span() {
            Some(span) => Slip::new(span.start, message).fault(text),
            None => Fault { message, line: 0, column: 0 },
        }
    })
}

/// Two items of one name, and nobody knows which of them counts.
pub(super) fn refuse_twins(text: &str, whole: &Value, at: &Pointer) -> Result<(), Fault> {
    for (depth, step) in at.0.iter().enumerate() {
        let list = Pointer(at.0[..depth].to_vec());
        if let (Step::Item { is, .. }, Some(Value::Array(items))) = (step, list.get(whole))
            && items.iter().filter(|item| model::matches(step, item)).count() > 1
        {
            let message = format!("the name `{is}` is given twice");
            let place = place(text, &list).unwrap_or(0);
            return Err(Slip::new(place, message).fault(text));
        }
    }
    Ok(())
}

fn table(table: &dyn TableLike) -> Value {
    table.iter().map(|(key, item)| (key.to_owned(), item_value(item))).collect::<Map<_, _>>().into()
}

fn item_value(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => plain(value),
        Item::Table(inner) => table(inner),
        Item::ArrayOfTables(tables) => tables.iter().map(|inner| table(inner)).collect(),
    }
}

fn plain(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => text.value().as_str().into(),
        Toml::Integer(number) => (*number.value()).into(),
        // Infinity and "not a number" have no counterpart: kept as text.
        Toml::Float(number) => {
            let number = *number.value();
            Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
        }
        Toml::Boolean(value) => (*value.value()).into(),
        Toml::Datetime(date) => date.value().to_string().into(),
        Toml::Array(items) => items.iter().map(plain).collect(),
        Toml::InlineTable(inner) => table(inner),
    }
}

#[cfg(test)]
mod tests;
