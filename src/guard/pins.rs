//! Tools are used as a person has seen them: `mcp.lock` holds a digest of each one's definition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::canonical::{members, string, write};
use super::poison::{Neighbours, reasons};
use super::{Oddity, canonical};
use crate::base::{Diagnostic, Place};
use crate::manifest::model::Trust;

/// What the lock is called; it lies beside the manifest.
pub const FILE: &str = "mcp.lock";

/// What a model is told of a tool. Everything else in a definition is no part of its digest.
pub(super) const PINNED: [&str; 6] =
    ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

/// The identity of a tool's definition: `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a definition as its server gives it: its members in order, numbers as written, white space left out.
    ///
    /// # Errors
    /// When readers could take the definition for different ones.
    pub fn of(definition: &str) -> Result<Self, Oddity> {
        let mut text = String::with_capacity(definition.len());
        text.push('{');
        for (name, value) in members(definition)? {
            if PINNED.contains(&name.as_str()) {
                let comma = if text.len() > 1 { "," } else { "" };
                text.push_str(&format!("{comma}\"{name}\":"));
                write(value, 99, &mut text)?;
            }
        }
        text.push('}');
        // The rest is not pinned, but must be readable in one way only, too.
        canonical(definition)?;
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// 64 hex digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first 12 digits, enough to tell two definitions apart on a screen.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no digest; it is `sha256:` and 64 hex digits", super::visible(text));
        let hex =
            text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or_else(wrong)?;
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A tool's name, if the definition has one that can be relied on.
pub fn name_of(definition: &str) -> Option<String> {
    let members = members(definition).ok()?;
    let (_, name) = members.into_iter().find(|(member, _)| member == "name")?;
    string(name.get()).ok()
}

/// What was accepted: `mcp.lock`. Members that are not known here stay as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    servers: BTreeMap<String, BTreeMap<String, Digest>>,
    whole: Map<String, Value>,
}

impl Lock {
    /// Reads it; an empty file is a lock that knows nothing.
    ///
    /// # Errors
    /// What is wrong with it and where. `file` is what a person calls it.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Box<Diagnostic>> {
        let unusable = |line: usize, column: usize, message: String| {
            let place = Place { line: line as u32, column: column as u32, ..Place::file(file) };
            let hint = "mend it by hand, or take it from your repository; until then every tool is held";
            Box::new(Diagnostic::error("bad-lock", message).at(place).hint(hint))
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let wrong = |error: serde_json::Error| {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            unusable(error.line(), error.column(), format!("The lock cannot be read: {what}."))
        };
        let shape: Shape = serde_json::from_slice(bytes).map_err(wrong)?;
        if shape.version != Some(1) {
            let said = shape.version.map_or("no version".to_owned(), |version| format!("version {version}"));
            let message = format!("The lock has {said}, and this program knows version 1.");
            return Err(unusable(0, 0, message));
        }
        let whole = serde_json::from_slice(bytes).map_err(wrong)?;
        let servers = shape.servers.0.into_iter();
        let servers = servers.filter_map(|(name, server)| Some((name, server.0?.0))).collect();
        Ok(Self { servers, whole })
    }

    /// Whether any of the server's tools were ever accepted.
    pub fn knows(&self, server: &str) -> bool {
        self.servers.contains_key(server)
    }

    /// What was accepted of a tool.
    pub fn pinned(&self, server: &str, tool: &str) -> Option<&Digest> {
        self.servers.get(server)?.get(tool)
    }

    /// Everything that was accepted, by server and tool.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Digest)> {
        self.servers.iter().flat_map(|(server, tools)| {
            tools.iter().map(move |(tool, digest)| (server.as_str(), tool.as_str(), digest))
        })
    }

    /// Accepts a tool as it is.
    pub fn accept(&mut self, server: &str, tool: &str, digest: Digest) {
        self.servers.entry(server.to_owned()).or_default().insert(tool.to_owned(), digest);
    }

    /// Forgets a tool: it is new when it comes back.
    pub fn forget(&mut self, server: &str, tool: &str) {
        if let Some(tools) = self.servers.get_mut(server) {
            tools.remove(tool);
        }
    }

    /// As it is written: servers and tools sorted, a line each, so that it merges well.
    pub fn text(&self) -> String {
        let mut whole = self.whole.clone();
        whole.entry("version").or_insert(1.into());
        let mut servers = match whole.get_mut("servers").map(Value::take) {
            Some(Value::Object(servers)) => servers,
            _ => Map::new(),
        };
        for (name, tools) in &self.servers {
            let tools =
                tools.iter().map(|(tool, digest)| (tool.clone(), digest.to_string().into())).collect();
            let entry = servers.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(entry) = entry {
                entry.insert("tools".to_owned(), Value::Object(tools));
            }
        }
        servers.sort_keys();
        whole.insert("servers".to_owned(), Value::Object(servers));
        format!("{:#}\n", Value::Object(whole))
    }
}

/// What must be right about a lock, read for its places.
#[derive(serde::Deserialize)]
struct Shape {
    version: Option<u64>,
    #[serde(default)]
    servers: Unique<Server>,
}

/// A server's tools, if it has any.
struct Server(Option<Unique<Digest>>);

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Known {
            tools: Option<Unique<Digest>>,
        }
        Known::deserialize(deserializer).map(|known| Self(known.tools))
    }
}

/// Members of which none stands twice: a merge that kept both sides must not pass.
struct Unique<T>(BTreeMap<String, T>);

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique<T>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(name) = access.next_key::<String>()? {
                    if members.contains_key(&name) {
                        access.next_value::<IgnoredAny>()?;
                        return Err(A::Error::custom(format!(
                            "`{}` stands in it twice",
                            super::visible(&name)
                        )));
                    }
                    members.insert(name, access.next_value()?);
                }
                Ok(Unique(members))
            }
        }
        deserializer.deserialize_map(Reader(std::marker::PhantomData))
    }
}

/// What became of one definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The tool's name; empty when it has none that can be relied on.
    pub tool: String,
    /// What the definition is known by; none when it cannot be relied on.
    pub digest: Option<Digest>,
    /// Whether it may be used.
    pub state: State,
    /// What looks wrong about it, a sentence each. Also of a tool that was accepted all the same.
    pub reasons: Vec<String>,
}

/// Whether a tool may be used, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in the lock as it is.
    Accepted,
    /// Its server was never seen, and such are trusted: it may be used, and is to be taken into the lock.
    First,
    /// Held: it was never accepted.
    New,
    /// Held: it is not as it was accepted.
    Changed {
        /// What was.
        pinned: Digest,
    },
    /// Held: it was not accepted as it is, and looks wrong.
    Suspicious {
        /// What was accepted under its name, if anything.
        pinned: Option<Digest>,
    },
}

impl Examined {
    /// Whether it is neither listed nor called until a person has looked at it.
    pub fn is_held(&self) -> bool {
        !matches!(self.state, State::Accepted | State::First)
    }
}

impl State {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::First => "first-use",
            Self::New => "new",
            Self::Changed { .. } => "changed",
            Self::Suspicious { .. } => "suspicious",
        }
    }
}

/// Which of a server's tools may be used: one answer for each definition, in their order.
///
/// A name that is listed twice is good for its first definition only.
pub fn examine(
    lock: &Lock,
    server: &str,
    definitions: &[&str],
    trust: Trust,
    neighbours: Neighbours<'_>,
) -> Vec<Examined> {
    let names: Vec<Option<String>> = definitions.iter().map(|definition| name_of(definition)).collect();
    let own: BTreeSet<&str> = names.iter().flatten().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    let mut examined = Vec::with_capacity(definitions.len());
    for (definition, name) in definitions.iter().zip(&names) {
        let digest = Digest::of(definition).ok();
        let tool = name.clone().unwrap_or_default();
        let pinned = lock.pinned(server, &tool).copied();
        let is_again = !seen.insert(tool.clone());
        let is_pinned = digest.is_some() && pinned == digest && !is_again;
        let mut reasons = reasons(definition, server, &own, neighbours);
        if tool.is_empty() {
            reasons.push("it has no name".to_owned());
        }
        if is_again {
            reasons.push("its server lists another tool of the same name".to_owned());
        }
        let state = match pinned {
            _ if is_pinned => State::Accepted,
            pinned if !reasons.is_empty() => State::Suspicious { pinned },
            Some(pinned) => State::Changed { pinned },
            None if trust == Trust::FirstUse && !lock.knows(server) => State::First,
            None => State::New,
        };
        examined.push(Examined { tool, digest, state, reasons });
    }
    examined
}

#[cfg(test)]
mod tests;
