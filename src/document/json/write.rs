//! New values as text, in the file's own style.
//!
//! Invariant: what is written reads back as the same value, by any JSON reader.

use serde_json::Value;

use super::{Spread, Style};

/// A list of scalars longer than this goes on several lines.
const SHORT: usize = 100;

/// A string as text.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A value as text; continuation lines are indented by `indent`.
pub(super) fn value(value: &Value, style: &Style, indent: &str, spread: Spread) -> String {
    let inner = format!("{indent}{}", style.unit);
    let parts: Vec<String> = match value {
        Value::Object(map) if !map.is_empty() => map
            .iter()
            .map(|(key, member)| {
                let text = self::value(member, style, &inner, spread);
                format!("{}{}{text}", quoted(key), style.mark)
            })
            .collect(),
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| self::value(item, style, &inner, spread)).collect()
        }
        scalar => return scalar.to_string(),
    };
    let is_map = value.is_object();
    let (open, close) = if is_map { ("{", "}") } else { ("[", "]") };
    let flat = match spread {
        Spread::Line => true,
        Spread::Lines => is_short(value, &parts),
        Spread::Everything => false,
    };
    if flat {
        let pad = if is_map { style.pad.as_str() } else { "" };
        return [open, pad, &parts.join(&format!(",{}", style.gap())), pad, close].concat();
    }
    let line = format!("{}{inner}", style.newline);
    let body = parts.join(&format!(",{line}"));
    [open, &line, &body, style.newline, indent, close].concat()
}

fn is_short(value: &Value, parts: &[String]) -> bool {
    let Some(items) = value.as_array() else { return false };
    items.iter().all(|item| !item.is_object() && !item.is_array())
        && parts.iter().map(|part| part.len() + 2).sum::<usize>() <= SHORT
}
