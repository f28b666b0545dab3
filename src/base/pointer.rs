use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One step from a container into a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The member of a map with this key.
    Key(String),
    /// The item of a list of maps whose member `key` is the string `is` (`[[mcp_servers]] name = ..`).
    Item {
        /// The identifying member, usually `name`.
        key: String,
        /// Its value.
        is: String,
    },
    /// The element of a list of strings that equals this (`"disabledServers": ["a", "b"]`).
    Element(String),
}

/// A place in a document, from its root.
///
/// As text it is a JSON Pointer (RFC 6901); an item step is written `[name=x]` and an element step
/// `[=x]`, with `]` inside written `~2`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(pub Vec<Step>);

impl Pointer {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// From keys alone.
    pub fn of<const N: usize>(keys: [&str; N]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    /// One step further.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// One key further.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// All the steps of `rest` further.
    #[must_use]
    pub fn join(&self, rest: &Pointer) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The container of this place; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parents) = self.0.split_last()?;
        Some(Self(parents.to_vec()))
    }

    /// Whether this place is `other` or lies inside it.
    pub fn is_within(&self, other: &Pointer) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The value there, following map keys, items and elements. An element step yields the element.
    pub fn get<'v>(&self, value: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        Self::follow(&self.0, value)
    }

    /// The value at the end of these steps.
    pub fn follow<'v>(steps: &[Step], value: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        steps.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.as_object()?.get(key),
            Step::Item { key, is } => value
                .as_array()?
                .iter()
                .find(|item| item.get(key).and_then(serde_json::Value::as_str) == Some(is)),
            Step::Element(text) => value.as_array()?.iter().find(|item| item.as_str() == Some(text)),
        })
    }
}

fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['~', '/', ']']) {
        return text.replace('~', "~0").replace('/', "~1").replace(']', "~2").into();
    }
    text.into()
}

fn unescape(text: &str) -> String {
    if text.contains('~') {
        return text.replace("~2", "]").replace("~1", "/").replace("~0", "~");
    }
    text.to_owned()
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            // A key that looks like an item step is told apart by an escaped bracket.
            Step::Key(key) => write!(f, "/{}", escape(key)),
            Step::Item { key, is } => write!(f, "/[{}={}]", escape(key), escape(is)),
            Step::Element(text) => write!(f, "/[={}]", escape(text)),
        })
    }
}

impl std::str::FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("`{text}` is not a JSON pointer: it must start with `/`"));
        };
        let step = |part: &str| {
            let inner = part.strip_prefix('[').and_then(|part| part.strip_suffix(']'));
            match inner.and_then(|inner| inner.split_once('=')) {
                Some(("", text)) => Step::Element(unescape(text)),
                Some((key, is)) => Step::Item { key: unescape(key), is: unescape(is) },
                None => Step::Key(unescape(part)),
            }
        };
        // There are many of them, so none is larger than it has to be.
        let mut steps = Vec::with_capacity(rest.split('/').count());
        steps.extend(rest.split('/').map(step));
        Ok(Self(steps))
    }
}

impl Serialize for Pointer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::parsed::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        for steps in [
            vec![],
            vec![Step::Key("a/b~c".into()), Step::Key("[x=y]".into()), Step::Key(String::new())],
            vec![
                Step::Key("mcpServers".into()),
                Step::Item { key: "name".into(), is: "x]/~".into() },
                Step::Element("=]".into()),
            ],
        ] {
            let pointer = Pointer(steps);
            assert_eq!(pointer.to_string().parse(), Ok(pointer));
        }
        assert!("mcp".parse::<Pointer>().is_err());
    }

    #[test]
    fn follows_keys_items_and_elements() {
        let value = serde_json::json!({"a.b": [{"name": "x", "v": 1}], "off": ["p", "q"]});
        let item = Pointer::of(["a.b"]).then(Step::Item { key: "name".into(), is: "x".into() });
        assert_eq!(item.key("v").get(&value), Some(&serde_json::json!(1)));
        assert!(Pointer::of(["off"]).then(Step::Element("q".into())).get(&value).is_some());
        assert!(Pointer::of(["off"]).then(Step::Element("r".into())).get(&value).is_none());
    }
}
