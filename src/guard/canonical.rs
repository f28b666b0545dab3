//! One text for every way to write the same JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Deeper than anything that a tool needs, and shallow enough for every stack.
const DEEPEST: usize = 100;

/// Why a text has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It is no JSON, or holds text that is no Unicode.
    NotJson,
    /// A member stands twice in one object: readers do not agree on which one counts.
    Twice,
    /// It is nested too deeply.
    TooDeep,
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "it is no JSON",
            Self::Twice => "a member stands in it twice, and readers do not agree on which one counts",
            Self::TooDeep => "it is nested too deeply",
        })
    }
}

/// The same value with its members sorted, without white space, its strings escaped one way. Numbers stay as they
/// are written: `1` and `1.0` are not the same to every reader.
///
/// # Errors
/// When readers could take the text for different values.
pub fn canonical(json: &str) -> Result<String, Oddity> {
    let raw: &RawValue = serde_json::from_str(json).map_err(|_| Oddity::NotJson)?;
    let mut out = String::with_capacity(json.len());
    write(raw, DEEPEST, &mut out)?;
    Ok(out)
}

/// The members of an object, sorted by their names.
pub(super) fn members(json: &str) -> Result<Vec<(String, &RawValue)>, Oddity> {
    let Members(mut members) = serde_json::from_str(json).map_err(|_| Oddity::NotJson)?;
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    match members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        true => Err(Oddity::Twice),
        false => Ok(members),
    }
}

pub(super) fn write(raw: &RawValue, deeper: usize, out: &mut String) -> Result<(), Oddity> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') if deeper == 0 => return Err(Oddity::TooDeep),
        Some(b'{') => {
            out.push('{');
            for (index, (name, value)) in members(text)?.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(&name, out);
                out.push(':');
                write(value, deeper - 1, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            out.push('[');
            let Elements(elements) = serde_json::from_str(text).map_err(|_| Oddity::NotJson)?;
            for (index, value) in elements.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(value, deeper - 1, out)?;
            }
            out.push(']');
        }
        Some(b'"') => quote(&string(text)?, out),
        _ => out.push_str(text),
    }
    Ok(())
}

/// Every string in it, the members' names among them, with the JSON pointer of where it stands.
pub(super) fn strings(
    raw: &RawValue,
    at: &str,
    deeper: usize,
    each: &mut dyn FnMut(&str, &str),
) -> Result<(), Oddity> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') if deeper == 0 => return Err(Oddity::TooDeep),
        Some(b'{') => {
            for (name, value) in members(text)? {
                let at = format!("{at}/{name}");
                each(&at, &name);
                strings(value, &at, deeper - 1, each)?;
            }
        }
        Some(b'[') => {
            let Elements(elements) = serde_json::from_str(text).map_err(|_| Oddity::NotJson)?;
            for (index, value) in elements.into_iter().enumerate() {
                strings(value, &format!("{at}/{index}"), deeper - 1, each)?;
            }
        }
        Some(b'"') => each(at, &string(text)?),
        _ => {}
    }
    Ok(())
}

/// The same for a whole text.
pub(super) fn strings_of(json: &str, each: &mut dyn FnMut(&str, &str)) -> Result<(), Oddity> {
    let raw: &RawValue = serde_json::from_str(json).map_err(|_| Oddity::NotJson)?;
    strings(raw, "", DEEPEST, each)
}

pub(super) fn string(text: &str) -> Result<String, Oddity> {
    serde_json::from_str(text).map_err(|_| Oddity::NotJson)
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

struct Members<'a>(Vec<(String, &'a RawValue)>);
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = access.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Elements<'de>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = access.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_members_and_keeps_numbers() {
        let text = "{ \"b\": [1.0, 1, 1e2],\n \"a\": \"\\u0041\\/\", \"c\": {\"y\": null, \"x\": true} }";
        let wanted = r#"{"a":"A/","b":[1.0,1,1e2],"c":{"x":true,"y":null}}"#;
        assert_eq!(canonical(text).as_deref(), Ok(wanted));
        assert_eq!(canonical(wanted).as_deref(), Ok(wanted));
    }

    #[test]
    fn refuses_what_readers_could_take_for_different_values() {
        assert_eq!(canonical(r#"{"a":1,"\u0061":2}"#), Err(Oddity::Twice));
        assert_eq!(canonical(r#"{"a":"\ud800"}"#), Err(Oddity::NotJson));
        assert_eq!(canonical("{"), Err(Oddity::NotJson));
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(matches!(canonical(&deep), Err(Oddity::TooDeep | Oddity::NotJson)));
    }
}
