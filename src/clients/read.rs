//! What stands in a client's file, understood: the inverse of rendering.
//!
//! Invariant: reading what [`Client::render`] made gives back what was asked, as far as the client
//! can express it; a member that is not understood is kept in [`Found::rest`], never dropped.

use indexmap::IndexMap;
use serde_json::Value;

use super::dialect::Field;
use super::shape::{Shape, Slot, Spot, Switch, Token, members};
use super::spec::Remote;
use super::{Client, Filter, Kept, Launch, Part, Place, Text, Wanted};
use crate::base::{Pointer, Step};

/// One server as it stands in a client's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its name, or what identifies it where the client gives servers no names.
    pub name: String,
    /// The place of its entry.
    pub at: Pointer,
    /// What it is for.
    pub description: Option<String>,
    /// How the client reaches it.
    pub launch: Launch,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Which of its tools the model may see.
    pub tools: Filter,
    /// Members that are not understood, and those whose texts only this client can expand.
    pub rest: IndexMap<String, Value>,
}

impl From<Found> for Wanted {
    fn from(found: Found) -> Self {
        let Found { name, description, launch, enabled, tools, rest, .. } = found;
        Self { name, description, launch, enabled, tools, extra: rest }
    }
}

/// Names of the address that clients take besides their own.
const ADDRESSES: [&str; 4] = ["url", "serverUrl", "httpUrl", "uri"];
/// Members that say how a server is reached.
const KINDS: [&str; 3] = ["type", "transport", "transportType"];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Local,
    Remote(Remote),
    /// A word for something that is no MCP server, or none that we can express.
    Other,
}

impl Kind {
    fn of(word: &str) -> Self {
        match word {
            "stdio" | "local" | "command" => Self::Local,
            "http" | "streamable-http" | "streamable_http" | "streamableHttp" | "streamable" | "shttp"
            | "remote" => Self::Remote(Remote::Http),
            "sse" => Self::Remote(Remote::Sse),
            _ => Self::Other,
        }
    }
}

impl Client {
    /// Every server in the file, in order.
    pub fn servers(&self, place: &Place, document: &Value) -> Vec<Found> {
        let entries = self.containers(place).into_iter().flat_map(|(root, list)| {
            let places: Vec<Pointer> = match (root.get(document), list) {
                (Some(Value::Object(entries)), None) => entries.keys().map(|name| root.key(name)).collect(),
                (Some(Value::Array(entries)), Some(key)) => entries
                    .iter()
                    .filter_map(|entry| entry.get(&key)?.as_str())
                    .map(|is| root.then(Step::Item { key: key.clone(), is: is.to_owned() }))
                    .collect(),
                _ => Vec::new(),
            };
            places
        });
        entries.filter_map(|at| self.read(place, &at, document)).collect()
    }

    /// The server at a place of the file; none if what stands there is no MCP server.
    pub fn read(&self, place: &Place, at: &Pointer, document: &Value) -> Option<Found> {
        let name = match at.0.last()? {
            Step::Key(name) | Step::Item { is: name, .. } => name.clone(),
            Step::Element(_) => return None,
        };
        let container = at.parent()?;
        let here = |kept: &&Kept| kept.elsewhere.as_ref().map_or(&place.root, |(root, _)| root) == &container;
        let local = self.stdio.as_ref().filter(here);
        let http = self.http.as_ref().filter(here);
        let sse = self.sse.as_ref().filter(here);
        let entry = unnested(at.get(document)?)?;
        let kind = self.kind(&entry, local, http, sse)?;
        let kept = match kind {
            Kind::Local => local,
            Kind::Remote(Remote::Http) => http.or(sse),
            Kind::Remote(Remote::Sse) => sse.or(http),
            Kind::Other => None,
        };
        let mut reader = Reader { client: self, entry: &entry, kept, understood: Vec::new() };
        let launch = match kind {
            Kind::Local => reader.local()?,
            Kind::Remote(remote) => reader.remote(remote)?,
            Kind::Other => return None,
        };
        let enabled = reader.enabled(&name, document);
        let tools = reader.tools(&name, &container, document);
        let description = reader.take(Token::Description).and_then(Value::as_str);
        let description = description.filter(|text| !text.is_empty()).map(str::to_owned);
        let rest = reader.rest();
        Some(Found { name, at: at.clone(), description, launch, enabled, tools, rest })
    }

    fn kind(
        &self,
        entry: &Value,
        local: Option<&Kept>,
        http: Option<&Kept>,
        sse: Option<&Kept>,
    ) -> Option<Kind> {
        let command = local.and_then(|kept| command(&kept.shape, entry)).is_some();
        let word = KINDS.iter().find_map(|key| entry.get(key)?.as_str()).map(Kind::of);
        let (http, sse) = (address(http), address(sse));
        let (is_http, is_sse) =
            (http.is_some_and(|at| filled(at, entry)), sse.is_some_and(|at| filled(at, entry)));
        let url = is_http || is_sse || ADDRESSES.iter().any(|key| filled(&Pointer::of([key]), entry));
        match word {
            Some(Kind::Other) => None,
            Some(Kind::Local) | None if command => Some(Kind::Local),
            Some(Kind::Remote(remote)) if url => Some(Kind::Remote(remote)),
            Some(Kind::Remote(_)) if command => Some(Kind::Local),
            _ if !url => None,
            _ if http == sse || is_http == is_sse => Some(Kind::Remote(self.row().untyped)),
            _ => Some(Kind::Remote(if is_http { Remote::Http } else { Remote::Sse })),
        }
    }
}

/// An entry without the level that some clients put the transport into (`transport: {type, ..}`).
fn unnested(entry: &Value) -> Option<Value> {
    let mut entry = entry.clone();
    let members = entry.as_object_mut()?;
    if members.get("transport").is_some_and(Value::is_object)
        && let Some(Value::Object(inner)) = members.shift_remove("transport")
    {
        members.extend(inner);
    }
    Some(entry)
}

fn address(kept: Option<&Kept>) -> Option<&Pointer> {
    kept?.shape.leaf(Token::Url).map(|leaf| &leaf.at)
}

fn filled(at: &Pointer, entry: &Value) -> bool {
    at.get(entry).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

/// The program of an entry and the first of its arguments, if they stand in one list.
fn command(shape: &Shape, entry: &Value) -> Option<(String, Vec<Value>)> {
    let leaf = shape.leaf(Token::Command).or_else(|| shape.leaf(Token::Argv))?;
    let (command, args) = match leaf.at.get(entry)? {
        Value::String(command) => (command.as_str(), Vec::new()),
        Value::Array(argv) => (argv.first()?.as_str()?, argv[1..].to_vec()),
        _ => return None,
    };
    (!command.is_empty()).then(|| (command.to_owned(), args))
}

/// An entry in the course of being understood.
struct Reader<'a> {
    client: &'a Client,
    entry: &'a Value,
    kept: Option<&'a Kept>,
    understood: Vec<Pointer>,
}

impl<'a> Reader<'a> {
    fn local(&mut self) -> Option<Launch> {
        let (program, mut values) = command(&self.kept?.shape, self.entry)?;
        if let Some(Value::Array(more)) = self.take(Token::Args) {
            values.extend(more.iter().cloned());
        }
        let mut foreign = Vec::new();
        let mut text = |text: String, field, token| {
            let (text, is_foreign) = self.client.dialect.read(&text, field);
            foreign.extend(is_foreign.then_some(token));
            text
        };
        let command = text(program, Field::Command, Token::Command);
        let args = values.iter().filter_map(scalar).map(|arg| text(arg, Field::Args, Token::Args)).collect();
        let is_argv = self.kept?.shape.leaf(Token::Argv).is_some();
        self.take(if is_argv { Token::Argv } else { Token::Command });
        self.keep(&if is_argv && !foreign.is_empty() { vec![Token::Argv] } else { foreign });
        let mut env = self.texts(Token::Env, Field::Env);
        let passed = self.special(|rules| rules.pass_names.as_ref());
        let passed = passed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        env.extend(passed.map(|name| (name.to_owned(), Text::env(name))));
        let cwd = self.take(Token::Cwd).and_then(Value::as_str).filter(|cwd| !cwd.is_empty());
        let cwd = cwd.map(|cwd| self.text(cwd, Field::Cwd, Token::Cwd));
        Some(Launch::Stdio { command, args, env, cwd })
    }

    fn remote(&mut self, remote: Remote) -> Option<Launch> {
        let own = self.leaf(Token::Url).filter(|at| filled(at, self.entry));
        let at =
            own.or_else(|| ADDRESSES.iter().map(|key| Pointer::of([key])).find(|at| filled(at, self.entry)))?;
        let url = at.get(self.entry)?.as_str()?;
        self.understood.push(at);
        let url = self.text(url, Field::Url, Token::Url);
        let mut headers = self.texts(Token::Headers, Field::Headers);
        let named = members(self.special(|rules| rules.header_names.as_ref()).cloned());
        headers.extend(
            named.iter().filter_map(|(name, variable)| Some((name.clone(), Text::env(variable.as_str()?)))),
        );
        let bearer = self.special(|rules| rules.bearer_name.as_ref()).and_then(Value::as_str).map(Text::env);
        let token = self.take(Token::Bearer).and_then(Value::as_str);
        let token = token.map(|token| self.text(token, Field::Headers, Token::Bearer));
        headers.extend(bearer.or(token).map(|token| {
            let scheme = Part::Literal("Bearer ".to_owned());
            let header = std::iter::once(&scheme).chain(token.parts()).cloned().collect();
            ("Authorization".to_owned(), header)
        }));
        Some(match remote {
            Remote::Http => Launch::Http { url, headers },
            Remote::Sse => Launch::Sse { url, headers },
        })
    }

    fn enabled(&mut self, name: &str, document: &Value) -> bool {
        match self.kept.and_then(|kept| kept.switch.as_ref()) {
            None => true,
            Some(Switch::Field(at, off)) => {
                self.understood.push(at.clone());
                at.get(self.entry) != Some(off)
            }
            Some(Switch::List(list)) => list.then(Step::Element(name.to_owned())).get(document).is_none(),
            Some(Switch::Set(at, off)) => at.fill(name, "").get(document) != Some(off),
        }
    }

    fn tools(&mut self, name: &str, container: &Pointer, document: &Value) -> Filter {
        let Some(kept) = self.kept else { return Filter::default() };
        let mut listed = |spot: &Option<Spot>| -> Option<Vec<String>> {
            let value = match spot.as_ref()? {
                Spot::Entry(at) => {
                    self.understood.push(at.clone());
                    let value = at.get(self.entry)?;
                    if kept.shape.fixed(at) == Some(value) {
                        return None;
                    }
                    value
                }
                Spot::File(at) => at.fill(name, "").get(document)?,
            };
            Some(value.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        };
        let allow = listed(&kept.filters.allow);
        let mut deny = listed(&kept.filters.deny).unwrap_or_default();
        let says_all = |spot: &Option<Spot>| match spot {
            Some(Spot::Entry(at)) => kept.shape.fixed(at).is_some(),
            _ => false,
        };
        if allow.as_ref().is_some_and(Vec::is_empty) && says_all(&kept.filters.allow) {
            // Where "all" is a word of its own (`tools: ["*"]`), an empty list means none.
            deny.push("*".to_owned());
        }
        if let Some(member) = &kept.filters.deny_member {
            let others = members(container.get(document).cloned());
            deny.extend(denied(|server, tool| member.fill(server, tool), name, &others, document));
        }
        Filter { allow: allow.unwrap_or_default(), deny }
    }

    /// Everything that was not understood.
    fn rest(mut self) -> IndexMap<String, Value> {
        if let Some(kept) = self.kept {
            let known = |slot: &Slot| matches!(slot, Slot::Fixed(_) | Slot::Token(Token::Name));
            let leaves = kept.shape.leaves.iter().filter(|leaf| known(&leaf.slot));
            self.understood.extend(leaves.map(|leaf| leaf.at.clone()));
        }
        self.understood.extend(KINDS.iter().map(|key| Pointer::of([key])));
        let mut rest = self.entry.clone();
        self.understood.iter().for_each(|at| remove(&mut rest, &at.0));
        members(Some(rest))
    }

    fn leaf(&self, token: Token) -> Option<Pointer> {
        self.kept?.shape.leaf(token).map(|leaf| leaf.at.clone())
    }

    /// The value of a token's field, which counts as understood from now on.
    fn take(&mut self, token: Token) -> Option<&'a Value> {
        let at = self.leaf(token)?;
        let value = at.get(self.entry);
        self.understood.push(at);
        value
    }

    /// The value of a field that the client's variables name.
    fn special(&mut self, at: impl Fn(&super::spec::Variables) -> Option<&Pointer>) -> Option<&'a Value> {
        let at = at(self.client.row().variables.as_ref()?)?.clone();
        let value = at.get(self.entry);
        self.understood.push(at);
        value
    }

    /// Keeps the fields of these tokens among the rest after all.
    fn keep(&mut self, tokens: &[Token]) {
        let kept: Vec<Pointer> = tokens.iter().filter_map(|token| self.leaf(*token)).collect();
        self.understood.retain(|at| !kept.contains(at));
    }

    fn text(&mut self, text: &str, field: Field, token: Token) -> Text {
        let (text, is_foreign) = self.client.dialect.read(text, field);
        if is_foreign {
            self.keep(&[token]);
        }
        text
    }

    /// A map of texts.
    fn texts(&mut self, token: Token, field: Field) -> Vec<(String, Text)> {
        let values = members(self.take(token).cloned());
        let texts = values.into_iter().filter_map(|(name, value)| Some((name, scalar(&value)?)));
        texts.map(|(name, text)| (name, self.text(&text, field, token))).collect()
    }
}

/// Tools denied by one member each, at places that `fill` makes of server and tool.
fn denied(
    fill: impl Fn(&str, &str) -> Pointer,
    name: &str,
    others: &IndexMap<String, Value>,
    document: &Value,
) -> Vec<String> {
    const TOOL: &str = "\0";
    let prefix = |server: &str| match fill(server, TOOL).0.last() {
        Some(Step::Key(key)) => key.split_once(TOOL).map(|(prefix, _)| prefix.to_owned()),
        _ => None,
    };
    let (Some(own), Some(container)) = (prefix(name), fill(name, TOOL).parent()) else { return Vec::new() };
    // `a_b_c` belongs to the server `a_b` if there is one, else to `a`.
    let longer: Vec<String> = others
        .keys()
        .filter_map(|other| prefix(other))
        .filter(|prefix| prefix.len() > own.len() && prefix.starts_with(&own))
        .collect();
    members(container.get(document).cloned())
        .into_iter()
        .filter(|(key, value)| {
            *value == Value::Bool(false) && !longer.iter().any(|other| key.starts_with(other))
        })
        .filter_map(|(key, _)| key.strip_prefix(&own).map(str::to_owned))
        .filter(|tool| !tool.is_empty())
        .collect()
}

/// A string, number or truth value as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Removes a place, and maps that it leaves empty.
fn remove(value: &mut Value, at: &[Step]) {
    let (Some((Step::Key(key), rest)), Some(members)) = (at.split_first(), value.as_object_mut()) else {
        return;
    };
    if rest.is_empty() {
        members.shift_remove(key);
        return;
    }
    let Some(inner) = members.get_mut(key) else { return };
    remove(inner, rest);
    if inner.as_object().is_some_and(serde_json::Map::is_empty) {
        members.shift_remove(key);
    }
}
