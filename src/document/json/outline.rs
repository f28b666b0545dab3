//! The independent reader: serde_json for strict files, jsonc-parser for those with comments.
//!
//! Invariant: shares no code with the scanner; values at the given places are read, everything else
//! is kept as its raw text, so that equal outlines mean an untouched rest and a big file stays cheap.

use std::fmt;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Fault, Step};

/// The document with real values at `places` only; none when there is no value in it.
pub(in crate::document) fn outline(
    text: &str,
    strict: bool,
    places: &[&[Step]],
) -> Result<Option<Value>, Fault> {
    let text = mask(text);
    if !strict {
        return with_comments(&text, places);
    }
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let mut reader = serde_json::Deserializer::from_str(&text);
    let value = Outline { places: places.to_vec() }.deserialize(&mut reader).map_err(refused)?;
    reader.end().map_err(refused)?;
    Ok(Some(value))
}

fn refused(error: serde_json::Error) -> Fault {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let message = format!("a second JSON parser refuses it: {error}");
    Fault { message, line: narrow(error.line()), column: narrow(error.column()) }
}

/// Lone surrogate escapes, which these parsers refuse, as private-use characters of the same length:
/// distinct strings stay distinct.
fn mask(text: &str) -> std::borrow::Cow<'_, str> {
    if !["\\ud", "\\uD"].iter().any(|escape| text.contains(escape)) {
        return text.into();
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at + 3 < bytes.len() {
        at += match (surrogate(&bytes, at), surrogate(&bytes, at + 6)) {
            (Some(b'8'..=b'b'), Some(b'c'..=b'f')) => 12,
            (Some(digit), _) => {
                // d8..df becomes e0..e7.
                bytes[at + 2] = b'e';
                bytes[at + 3] = if digit < b'a' { digit - 8 } else { digit - b'a' + b'2' };
                6
            }
            // The second character of an escape is skipped, so `\\ud800` is not taken for one.
            (None, _) => 1 + usize::from(bytes[at] == b'\\'),
        };
    }
    // Only ASCII was exchanged for ASCII.
    String::from_utf8(bytes).map_or_else(|_| text.into(), Into::into)
}

/// The second digit of a surrogate escape (`\ud8..` to `\udf..`), in lower case.
fn surrogate(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'\\', b'u', b'd' | b'D', digit, ..] = bytes.get(at..)? else { return None };
    let digit = digit.to_ascii_lowercase();
    matches!(digit, b'8' | b'9' | b'a'..=b'f').then_some(digit)
}

/// The value of a piece of text, or the text itself where serde_json has no number for it.
fn real(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::String(raw.get().to_owned()))
}

struct Outline<'p> {
    places: Vec<&'p [Step]>,
}

impl<'de> DeserializeSeed<'de> for Outline<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.places.iter().any(|place| place.is_empty()) {
            return <&RawValue as serde::Deserialize>::deserialize(deserializer).map(real);
        }
        if self.places.is_empty() {
            let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
            return Ok(Value::String(raw.get().to_owned()));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Outline<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let inner = Outline { places: below(&self.places, &key) };
            map.insert(key, access.next_value_seed(inner)?);
        }
        Ok(Value::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(raw) = access.next_element::<&RawValue>()? {
            items.push(real(raw));
        }
        Ok(Value::Array(items))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// The places behind this key, from there on.
fn below<'p>(places: &[&'p [Step]], key: &str) -> Vec<&'p [Step]> {
    let rest = |place: &&'p [Step]| match place.split_first() {
        Some((Step::Key(name), rest)) if name == key => Some(rest),
        _ => None,
    };
    places.iter().filter_map(rest).collect()
}

fn with_comments(text: &str, places: &[&[Step]]) -> Result<Option<Value>, Fault> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options);
    let parsed = parsed.map_err(|error| Fault {
        message: format!("a second JSON parser refuses it: {}", error.kind()),
        line: u32::try_from(error.line_display()).unwrap_or(u32::MAX),
        column: u32::try_from(error.column_display()).unwrap_or(u32::MAX),
    })?;
    Ok(parsed.value.map(|value| sketch(text, value, places)))
}

fn sketch(text: &str, node: ast::Value<'_>, places: &[&[Step]]) -> Value {
    if places.iter().any(|place| place.is_empty()) {
        return node.into();
    }
    match node {
        ast::Value::Object(object) if !places.is_empty() => {
            let member = |member: ast::ObjectProp<'_>| {
                let key = member.name.into_string();
                let value = sketch(text, member.value, &below(places, &key));
                (key, value)
            };
            object.properties.into_iter().map(member).collect()
        }
        ast::Value::Array(list) if !places.is_empty() => list.elements.into_iter().map(Value::from).collect(),
        other => text.get(other.range().start..other.range().end).unwrap_or_default().into(),
    }
}
