//! Looking at JSON without reading it: members and elements as they are written, and small cuts that leave
//! the rest as it was.
//!
//! Invariant: what is not asked for stays as it is written, so 1e400 and forty digits survive.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in order, repeated ones too.
pub struct Members<'a>(Vec<(Name<'a>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    /// None when the text is not an object.
    pub fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The first member with this name, as it is written.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The first member with this name, if it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        text(self.get(name)?)
    }

    /// The first member with this name, if it is an object.
    pub fn object(&self, name: &str) -> Option<Members<'a>> {
        Members::of(self.get(name)?)
    }

    /// Names and values as they are written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.0.as_ref(), value.get()))
    }

    /// A name that is there twice.
    pub fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// A name that differs from one of the known ones in case alone, and that one. Some servers see no difference.
    pub fn misspelt<'k>(&self, known: &[&'k str]) -> Option<(&str, &'k str)> {
        self.iter().map(|(name, _)| name).find_map(|name| {
            let meant = known.iter().find(|known| name != **known && folded(name).eq(folded(known)))?;
            Some((name, *meant))
        })
    }

    /// Written anew without some of them.
    pub fn without(&self, names: &[&str]) -> String {
        object(self.iter().filter(|(name, _)| !names.contains(name)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(Name<'de>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Collect).map(Members)
    }
}

/// As the most generous readers of names see it: Go folds the long s and the Kelvin sign, too.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_lowercase).map(|c| if c == 'ſ' { 's' } else { c })
}

/// The elements of an array as they are written; none when it is no array.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// The text that a JSON string stands for.
pub fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// A text as a JSON string.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An object of members that are JSON already.
pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, impl AsRef<str>)>) -> String {
    let mut written = String::from("{");
    for (name, value) in members {
        if written.len() > 1 {
            written.push(',');
        }
        written.push_str(&quote(name));
        written.push(':');
        written.push_str(value.as_ref());
    }
    written.push('}');
    written
}

/// The text with one part of it replaced. The part must have been cut from this very text.
pub fn splice(text: &str, part: &str, new: &str) -> String {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    let end = start.saturating_add(part.len());
    match (text.get(..start), text.get(end..)) {
        (Some(before), Some(after)) => [before, new, after].concat(),
        // Not a part of it: better unchanged than torn.
        _ => text.to_owned(),
    }
}

/// An object with a member set; the other members stay as they are written. Anything else becomes an object.
pub fn set(text: &str, name: &str, value: &str) -> String {
    let Some(members) = Members::of(text) else { return object([(name, value)]) };
    if let Some(old) = members.get(name) {
        return splice(text, old, value);
    }
    let member = format!("{}:{value}", quote(name));
    let end = text.rfind('}').unwrap_or(text.len());
    let comma = if members.iter().next().is_none() { "" } else { "," };
    [&text[..end], comma, &member, &text[end..]].concat()
}

/// The same JSON on one line: in valid JSON a line break is never inside a string.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let text = text.trim_start_matches('\u{feff}').trim_matches([' ', '\t', '\r', '\n']);
    if memchr2(b'\r', b'\n', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(['\r', '\n'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_members_as_they_are_written() {
        let members = Members::of(r#"{"a": 1e400, "b":[ 1 ], "n\u0061me":"x", "a":2}"#).expect("an object");
        assert_eq!(members.get("a"), Some("1e400"));
        assert_eq!(members.get("b"), Some("[ 1 ]"));
        assert_eq!(members.text("name").as_deref(), Some("x"));
        assert_eq!(members.repeated(), Some("a"));
        assert_eq!(members.without(&["a"]), r#"{"b":[ 1 ],"name":"x"}"#);
        assert!(Members::of("[]").is_none());
        assert!(Members::of(r#"{"a":01}"#).is_none());
    }

    #[test]
    fn sees_names_that_some_servers_read_as_others() {
        let misspelt = |text: &str| {
            let members = Members::of(text).expect("an object");
            members.misspelt(&["name", "params", "taskId"]).map(|(name, _)| name.to_owned())
        };
        assert_eq!(misspelt(r#"{"name":1,"param":2}"#), None);
        for name in ["Name", "paramſ", "tas\\u212aid"] {
            let read = name.replace("\\u212a", "\u{212a}");
            assert_eq!(misspelt(&format!(r#"{{"name":1,"{name}":2}}"#)), Some(read));
        }
    }

    #[test]
    fn sets_a_member_and_leaves_the_others() {
        for (text, outcome) in [
            ("{ }", r#"{ "x":1}"#),
            (r#"{ "a" : 1e400 }"#, r#"{ "a" : 1e400 ,"x":1}"#),
            (r#"{"x": {"y":2}, "a":1}"#, r#"{"x": 1, "a":1}"#),
            ("null", r#"{"x":1}"#),
        ] {
            assert_eq!(set(text, "x", "1"), outcome);
        }
    }

    #[test]
    fn makes_one_line_without_touching_values() {
        assert_eq!(one_line("{\r\n  \"a\": \"b\\n\"\n}\n"), r#"{    "a": "b\n" }"#);
        assert!(matches!(one_line("{}"), Cow::Borrowed("{}")));
    }

    #[test]
    fn reads_deep_nesting_without_recursion() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(Members::of(&deep).is_some());
    }
}
