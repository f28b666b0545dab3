//! The second opinion: another parser reads the text, to confirm what an edit did.
//!
//! Invariant: nothing here looks at the span tree.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::Fault;

/// What aliases may blow a document up to: values, and bytes of text.
const BUDGET: usize = 64 << 20;

/// Where `serde_yaml` gives up on depth, it has already spent time on the square of it.
const BRACKETS: i64 = 2000;

/// Read the whole document with `serde_yaml`; merge keys are applied.
pub(in super::super) fn reparse(text: &str) -> Result<Value, Fault> {
    if brackets(text) > BRACKETS {
        return Err(Fault { message: "nested too deep".to_owned(), line: 0, column: 0 });
    }
    let budget = Cell::new(BUDGET.saturating_add(text.len().saturating_mul(64)));
    Any(&budget).deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let place = error.location();
        let whole = error.to_string();
        // The place is not part of the message.
        let message = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Fault {
            message,
            line: place.as_ref().map_or(0, |at| number(at.line())),
            column: place.as_ref().map_or(0, |at| number(at.column())),
        }
    })
}

/// The most brackets that can be open at once.
fn brackets(text: &str) -> i64 {
    let depths = text.bytes().scan(0_i64, |depth, byte| {
        *depth += i64::from(matches!(byte, b'{' | b'[')) - i64::from(matches!(byte, b'}' | b']'));
        Some(*depth)
    });
    depths.max().unwrap_or(0)
}

#[derive(Clone, Copy)]
struct Any<'b>(&'b Cell<usize>);

impl Any<'_> {
    fn spend<E: Error>(self, cost: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(cost + 64);
        self.0.set(left.ok_or_else(|| E::custom("aliases make this document far larger than its text"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.spend(0)?;
        // JSON has no infinity: its YAML name stands for it.
        let name = if value.is_nan() { ".nan" } else { [".inf", "-.inf"][usize::from(value < 0.0)] };
        Ok(Number::from_f64(value).map_or_else(|| name.into(), Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len()).map(|()| value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut data: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut items = Vec::new();
        while let Some(item) = data.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut data: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = data.next_key::<String>()? {
            self.spend(key.len())?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` stands there twice")));
            }
            let value = data.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(merged(map)))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (_, value) = data.variant::<String>()?;
        value.newtype_variant_seed(self)
    }
}

/// Apply `<<`: own members win, then the first map that has one.
pub(super) fn merged(mut map: Map<String, Value>) -> Map<String, Value> {
    let mergeable = match map.get("<<") {
        Some(Value::Object(_)) => true,
        Some(Value::Array(items)) => items.iter().all(Value::is_object),
        _ => false,
    };
    if !mergeable {
        return map;
    }
    let sources = match map.shift_remove("<<") {
        Some(Value::Array(items)) => items,
        Some(other) => vec![other],
        None => Vec::new(),
    };
    for source in sources {
        let Value::Object(source) = source else { continue };
        for (key, value) in source {
            if !map.contains_key(&key) {
                map.insert(key, value);
            }
        }
    }
    map
}
