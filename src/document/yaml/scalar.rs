//! Scalars: what plain text means (YAML 1.2 core schema), and how to write a value so that every
//! reader agrees.
//!
//! Invariant: what [`write`] leaves plain is a string to every YAML 1.1 and 1.2 reader.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Read plain text.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

/// Read text under a core tag.
pub(super) fn resolve_as(tag: &str, text: &str) -> Value {
    match tag {
        "null" | "bool" | "int" => resolve(text),
        "float" => text.parse().ok().and_then(Number::from_f64).map_or_else(|| resolve(text), Value::Number),
        _ => Value::String(text.to_owned()),
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) {
        return None;
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if bare.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole =
            unsigned.parse::<u64>().map(Number::from).or_else(|_| unsigned.parse::<i64>().map(Number::from));
        return whole.ok().or_else(|| Number::from_f64(unsigned.parse().ok()?));
    }
    if !bare.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    Number::from_f64(unsigned.parse().ok()?)
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(Number::from)
}

/// A scalar as text; `flow` inside brackets, `quoted` when a string may not stay plain.
pub(super) fn write(value: &Value, flow: bool, quoted: bool) -> String {
    match value {
        Value::String(text) => write_string(text, flow, quoted),
        Value::Number(number) => write_number(number),
        other => other.to_string(),
    }
}

/// A string or a key as text.
pub(super) fn write_string(text: &str, flow: bool, quoted: bool) -> String {
    if !quoted && is_plain(text, flow) { text.to_owned() } else { quote(text) }
}

/// YAML 1.1 wants a point and a sign in `1.0e+21`.
fn write_number(number: &Number) -> String {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return text;
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// Words that some reader takes for something else than text.
const TYPED: [&str; 14] = [
    "y",
    "n",
    "yes",
    "no",
    "on",
    "off",
    "true",
    "false",
    "null",
    "none",
    "nan",
    "inf",
    "infinity",
    "undefined",
];

/// Whether every reader takes this text, unquoted, for this very string.
pub(super) fn is_plain(text: &str, flow: bool) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let opens = first.is_alphabetic()
        || "/$_".contains(first)
        || ["./", "../", "~/"].iter().any(|p| text.starts_with(p));
    let calm = |c: char| c.is_alphanumeric() || "_-./@+=~$%^ \\;()".contains(c) || (!flow && c == ':');
    opens
        && text.chars().all(calm)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains("  ")
        && !TYPED.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Double quotes with JSON's escapes, and those of the characters that YAML would fold or refuse.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_printable(c) => out.push(c),
            // Writing to a string does not fail.
            _ if u32::from(c) <= 0xFFFF => _ = write!(out, "\\u{:04x}", u32::from(c)),
            _ => _ = write!(out, "\\U{:08x}", u32::from(c)),
        }
    }
    out.push('"');
    out
}

fn is_printable(c: char) -> bool {
    let code = u32::from(c);
    !(c.is_control()
        || ('\u{200B}'..='\u{200F}').contains(&c)
        || ('\u{2028}'..='\u{202E}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
        || ['\u{A0}', '\u{FEFF}'].contains(&c)
        || code & 0xFFFE == 0xFFFE
        || ('\u{FDD0}'..='\u{FDEF}').contains(&c))
}
