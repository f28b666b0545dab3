//! Two updates that other programs made of the same content, as one.
//!
//! Invariant: nothing that either of them added is missing from the result; where both changed the
//! same value, `other` has it.

use serde_json::Value;

use crate::base::Pointer;
use crate::document::{Document, Format, Op};

/// `other` with everything that `one` changed since `base`; none when one of them is no document.
pub(super) fn merge(format: Format, base: &[u8], one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let parse = |bytes: &[u8]| Document::parse(format, bytes.to_vec()).ok();
    let whole = |document: &Document| document.get(&Pointer::root()).ok().flatten();
    let other = parse(other)?;
    let (base, one, now) = (whole(&parse(base)?)?, whole(&parse(one)?)?, whole(&other)?);
    let mut ops = Vec::new();
    changes(&base, &one, &now, &Pointer::root(), &mut ops);
    Some(other.edit(&ops).ok()?.bytes)
}

/// What leads from `base` to `one`, member by member, as far as `now` is still as it was.
fn changes(base: &Value, one: &Value, now: &Value, at: &Pointer, ops: &mut Vec<Op>) {
    let (Value::Object(base), Value::Object(one), Value::Object(now)) = (base, one, now) else {
        return if base != one && base == now {
            ops.push(Op::Put { at: at.clone(), value: one.clone() });
        };
    };
    for (key, value) in one {
        let at = at.key(key);
        match (base.get(key), now.get(key)) {
            (Some(base), Some(now)) => changes(base, value, now, &at, ops),
            (None, None) => ops.push(Op::Put { at, value: value.clone() }),
            _ => {}
        }
    }
    let gone = base.iter().filter(|(key, value)| !one.contains_key(*key) && now.get(*key) == Some(*value));
    ops.extend(gone.map(|(key, _)| Op::Drop { at: at.key(key) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, one: &str, other: &str, expected: &str) {
        let merged = merge(Format::Jsonc, base.as_bytes(), one.as_bytes(), other.as_bytes());
        assert_eq!(merged.map(|bytes| String::from_utf8(bytes).expect("text")).as_deref(), Some(expected));
    }

    #[test]
    fn keeps_what_both_added() {
        check(
            r#"{"a": 1}"#,
            r#"{"a": 1, "b": 2}"#,
            r#"{"a": 1, "c": 3} // x"#,
            r#"{"a": 1, "c": 3, "b": 2} // x"#,
        );
        check(r#"{"m": {}}"#, r#"{"m": {"b": 2}}"#, r#"{"m": {"c": 3}}"#, r#"{"m": {"c": 3, "b": 2}}"#);
    }

    #[test]
    fn the_other_wins_where_both_changed_the_same() {
        check(r#"{"a": 1}"#, r#"{"a": 2}"#, r#"{"a": 3}"#, r#"{"a": 3}"#);
        check(r#"{"a": 1, "b": 1}"#, r#"{"b": 2}"#, r#"{"a": 3, "b": 1}"#, r#"{"a": 3, "b": 2}"#);
        check("{\n\"a\": 1,\n\"b\": 1}", r#"{"b": 1}"#, "{\n\"a\": 1,\n\"b\": 1}", "{\n\"b\": 1}");
    }

    #[test]
    fn gives_up_on_what_is_no_document() {
        assert_eq!(merge(Format::Json, b"{", b"{}", b"{}"), None);
    }
}
