//! New TOML: tables as blocks, everything in them on one line each.
//!
//! Invariant: TOML 1.0 reads it too: inline tables stay on one line, without a trailing comma.

use serde_json::{Map, Value};

use super::scan::Seg;
use super::{Slip, Style};

/// A key, quoted when it must be.
pub(super) fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { string(name) }
}

/// A basic string.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

/// A dotted key.
pub(super) fn dotted(path: &[Seg]) -> String {
    let names = path.iter().filter_map(|seg| match seg {
        Seg::Key(name) => Some(key(name)),
        Seg::Nth(_) => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// A value on one line.
pub(super) fn inline(value: &Value, style: &Style) -> Result<String, Slip> {
    let gap = format!(",{}", style.gap());
    Ok(match value {
        Value::Null => return Err(Slip::new(0, "TOML has no way to write null")),
        Value::Number(number)
            if number.as_f64().is_none() || (number.is_u64() && number.as_i64().is_none()) =>
        {
            return Err(Slip::new(0, format!("TOML has no way to write the number {number}")));
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| inline(item, style)).collect();
            format!("[{}]", items?.join(&gap))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let member = |(name, member): (&String, &Value)| {
                Ok(format!("{}{}{}", key(name), style.mark, inline(member, style)?))
            };
            let members: Result<Vec<_>, _> = map.iter().map(member).collect();
            format!("{{{}{}{}}}", style.pad, members?.join(&gap), style.pad)
        }
    })
}

/// The lines of a table: its header and its pairs, without the last line end.
pub(super) fn block(header: &str, members: &Map<String, Value>, style: &Style) -> Result<String, Slip> {
    let mut lines = vec![header.to_owned()];
    for (name, member) in members {
        lines.push(format!("{} = {}", key(name), inline(member, style)?));
    }
    Ok(lines.join(style.newline))
}
