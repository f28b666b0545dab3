//! A row's parts with every pointer and token understood.
//!
//! Invariant: a value of these types came out of [`super::Client::check`] without an error, so
//! rendering and reading need no further checks.

use indexmap::IndexMap;
use serde_json::Value;

use super::spec::{Disable, Template, Tools};
use crate::base::{Diagnostic, Pointer, Step, closest};

/// The entry of one transport, leaf by leaf.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) leaves: Vec<Leaf>,
}

/// One field of an entry.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// From the entry.
    pub(super) at: Pointer,
    /// Its first key.
    pub(super) top: String,
    pub(super) slot: Slot,
    /// Written even when there is nothing in it.
    pub(super) always: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    Fixed(Value),
    Token(Token),
}

/// What a field of an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Name,
    Description,
    Command,
    Args,
    Argv,
    Env,
    Cwd,
    Url,
    Headers,
    Bearer,
}

const LOCAL: [(&str, Token); 7] = [
    ("{name}", Token::Name),
    ("{command}", Token::Command),
    ("{args}", Token::Args),
    ("{argv}", Token::Argv),
    ("{env}", Token::Env),
    ("{cwd}", Token::Cwd),
    ("{description}", Token::Description),
];
const REMOTE: [(&str, Token); 5] = [
    ("{name}", Token::Name),
    ("{url}", Token::Url),
    ("{headers}", Token::Headers),
    ("{bearer}", Token::Bearer),
    ("{description}", Token::Description),
];

impl Shape {
    /// Takes a template apart; `field` is its name in the row.
    pub(super) fn new(
        field: &str,
        template: &Template,
        always: &[String],
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let tokens: &[(&str, Token)] = if field == "stdio" { &LOCAL } else { &REMOTE };
        let mut shape = Self { leaves: Vec::new() };
        for (key, value) in template {
            let leaf = Leaf {
                at: Pointer::of([key]),
                top: key.clone(),
                slot: Slot::Fixed(Value::Null),
                always: always.contains(key),
            };
            shape.add(leaf, value, field, tokens, problems);
        }
        let has = |token| shape.leaf(token).is_some();
        if field == "stdio" && !has(Token::Command) && !has(Token::Argv) {
            problems.push(wrong(format!("`{field}` names neither `{{command}}` nor `{{argv}}`")));
        }
        if field != "stdio" && !has(Token::Url) {
            problems.push(wrong(format!("`{field}` does not name `{{url}}`")));
        }
        shape
    }

    fn add(
        &mut self,
        leaf: Leaf,
        value: &Value,
        field: &str,
        tokens: &[(&str, Token)],
        problems: &mut Vec<Diagnostic>,
    ) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    let leaf = Leaf { at: leaf.at.key(key), ..leaf.clone() };
                    self.add(leaf, value, field, tokens, problems);
                }
            }
            Value::String(text) if text.starts_with('{') && text.ends_with('}') => {
                let Some((_, token)) = tokens.iter().find(|(word, _)| word == text) else {
                    let known = tokens.iter().map(|(word, _)| *word);
                    let hint = closest(text, known.clone())
                        .map(|near| format!("did you mean `{near}`?"))
                        .unwrap_or_else(|| format!("use one of {}", known.collect::<Vec<_>>().join(" ")));
                    let message = format!("`{field}{}` holds the unknown token `{text}`", leaf.at);
                    return problems.push(Diagnostic::error("unknown-token", message).hint(hint));
                };
                self.leaves.push(Leaf { slot: Slot::Token(*token), ..leaf });
            }
            fixed => self.leaves.push(Leaf { slot: Slot::Fixed(fixed.clone()), ..leaf }),
        }
    }

    pub(super) fn leaf(&self, token: Token) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.slot == Slot::Token(token))
    }

    /// The constant at a place of the entry, if the template has one there.
    pub(super) fn fixed(&self, at: &Pointer) -> Option<&Value> {
        self.leaves.iter().find(|leaf| leaf.at == *at).and_then(|leaf| match &leaf.slot {
            Slot::Fixed(value) => Some(value),
            Slot::Token(_) => None,
        })
    }
}

/// How one server is switched off.
#[derive(Clone, Debug)]
pub(super) enum Switch {
    /// A field of the entry, with the value that means off.
    Field(Pointer, Value),
    /// A list of names elsewhere in the file.
    List(Pointer),
    /// A value elsewhere in the file.
    Set(Pattern, Value),
}

impl Switch {
    pub(super) fn new(field: &str, disable: &Disable, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let ways = [disable.field.is_some(), disable.list.is_some(), disable.set.is_some()];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            let message = format!("`{field}` needs exactly one of `field`, `list` and `set`");
            problems.push(Diagnostic::error("bad-switch", message));
            return None;
        }
        if let Some(list) = &disable.list {
            return Some(Self::List(list.clone()));
        }
        if disable.value.is_null() {
            let message = format!("`{field}` does not say which `value` means off");
            problems.push(Diagnostic::error("bad-switch", message));
            return None;
        }
        if let Some(at) = &disable.field {
            return Some(Self::Field(at.clone(), disable.value.clone()));
        }
        let at = Pattern::new(field, disable.set.as_ref()?, &["{name}"], problems)?;
        Some(Self::Set(at, disable.value.clone()))
    }
}

/// Where tools are hidden.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    pub(super) allow: Option<Spot>,
    pub(super) deny: Option<Spot>,
    /// One member per denied tool.
    pub(super) deny_member: Option<Pattern>,
    pub(super) patterns: bool,
}

/// A list of tools, in the entry or elsewhere in the file.
#[derive(Clone, Debug)]
pub(super) enum Spot {
    Entry(Pointer),
    File(Pattern),
}

impl Filters {
    pub(super) fn new(field: &str, tools: &Tools, problems: &mut Vec<Diagnostic>) -> Self {
        let mut place = |at: &Option<Pointer>, elsewhere: &Option<String>| match (at, elsewhere) {
            (Some(at), _) => Some(Spot::Entry(at.clone())),
            (None, Some(text)) => Pattern::new(field, text, &["{name}"], problems).map(Spot::File),
            (None, None) => None,
        };
        let allow = place(&tools.allow, &tools.allow_at);
        let deny = place(&tools.deny, &tools.deny_at);
        let deny_member = tools.deny_member.as_ref();
        let deny_member =
            deny_member.and_then(|text| Pattern::new(field, text, &["{name}", "{id}", "{tool}"], problems));
        Self { allow, deny, deny_member, patterns: tools.patterns }
    }
}

/// A place in the file whose keys depend on the server.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Pointer);

impl Pattern {
    /// Reads a pointer in which only these tokens may stand.
    pub(super) fn new(
        field: &str,
        text: &str,
        tokens: &[&str],
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let pointer: Pointer = match text.parse() {
            Ok(pointer) => pointer,
            Err(error) => {
                problems.push(Diagnostic::error("bad-pointer", format!("`{field}`: {error}")));
                return None;
            }
        };
        let plain = tokens.iter().fold(text.to_owned(), |text, token| text.replace(token, ""));
        if plain.contains(['{', '}']) {
            let message = format!("`{field}` holds an unknown token in `{text}`");
            problems.push(
                Diagnostic::error("unknown-token", message).hint(format!("use one of {}", tokens.join(" "))),
            );
            return None;
        }
        Some(Self(pointer))
    }

    /// The place for one server (and tool).
    pub(super) fn fill(&self, name: &str, tool: &str) -> Pointer {
        let fill = |key: &str| {
            key.replace("{tool}", tool).replace("{id}", &identifier(name)).replace("{name}", name)
        };
        let step = |step: &Step| match step {
            Step::Key(key) => Step::Key(fill(key)),
            other => other.clone(),
        };
        Pointer(self.0.0.iter().map(step).collect())
    }
}

/// The name with all but letters, digits, `_` and `-` written as `_`.
fn identifier(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'), "_")
}

pub(super) fn wrong(message: String) -> Diagnostic {
    Diagnostic::error("bad-client", message)
}

/// Sets a place inside a value, making maps on the way.
pub(super) fn put(value: &mut Value, at: &Pointer, new: Value) {
    let mut spot = value;
    for step in &at.0 {
        let Step::Key(key) = step else { return };
        if !spot.is_object() {
            *spot = Value::Object(serde_json::Map::new());
        }
        let Some(members) = spot.as_object_mut() else { return };
        spot = members.entry(key).or_insert(Value::Null);
    }
    *spot = new;
}

/// The members of a map value in order; none if it is not a map.
pub(super) fn members(value: Option<Value>) -> IndexMap<String, Value> {
    match value {
        Some(Value::Object(members)) => members.into_iter().collect(),
        _ => IndexMap::new(),
    }
}
