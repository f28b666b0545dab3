//! One file's text, searched for literal secrets.
//!
//! Invariant: pure; a value is kept as a [`Secret`] and stands in no other member.

use std::ops::Range;

use serde_json::Value;

use crate::base::suspect::{self, Suspect};
use crate::base::{Pointer, Secret, Step, mask, tokens};
use crate::document::Document;

/// A place in a text that holds a literal secret.
pub struct Spot {
    /// The server whose entry it is part of.
    pub server: Option<String>,
    /// What holds it, in words: `env GITHUB_TOKEN`, `argument 3`.
    pub field: String,
    /// What it looks like.
    pub looks: &'static str,
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// The text that it is part of; none when it was found in the file's text alone.
    pub held: Option<Held>,
    /// The secret alone.
    pub value: Secret<String>,
}

/// A text of an entry, and which part of it is the secret.
pub struct Held {
    /// Where in the document, as a JSON pointer with numbers for items.
    pub at: String,
    /// The whole text.
    pub text: Secret<String>,
    /// The secret's part of it.
    pub range: Range<usize>,
    /// The name that the part goes by.
    pub name: String,
}

/// Where servers stand in a document.
pub enum Containers<'a> {
    /// At these places, and wherever else a map has the name of such a place.
    At(&'a [(Pointer, Option<String>)]),
    /// Wherever a map has a name that any client uses.
    Anywhere,
    /// As in a manifest.
    Manifest,
}

/// Names under which clients keep their servers.
const NAMES: &[&str] = &[
    "mcpServers",
    "mcp_servers",
    "servers",
    "context_servers",
    "extensions",
    "mcp",
    "amp.mcpServers",
    "openctx.providers",
    "vars",
];

/// Searches a file: entries of servers by names and looks, the rest of its text for known tokens.
/// Without a document only the latter.
pub fn search(text: &str, document: Option<&Document>, containers: &Containers<'_>) -> Vec<Spot> {
    let mut search = Search { text, document, claimed: Vec::new(), spots: Vec::new() };
    let whole = document.and_then(|document| document.get(&Pointer::root()).ok().flatten());
    if let Some(whole) = &whole {
        for (at, list) in places(whole, containers) {
            search.container(&at, list.as_deref(), Pointer::follow(&at.0, whole));
        }
    }
    search.rest();
    search.spots.sort_by_key(|spot| (spot.line, spot.column));
    search.spots
}

fn places(whole: &Value, containers: &Containers<'_>) -> Vec<(Pointer, Option<String>)> {
    let (mut found, names): (Vec<(Pointer, Option<String>)>, Vec<&str>) = match containers {
        Containers::Manifest => {
            return [Pointer::of(["vars"]), Pointer::of(["servers"])].map(|at| (at, None)).into();
        }
        Containers::At(places) => {
            let last = places.iter().filter_map(|(at, _)| match at.0.last() {
                // `servers` alone may be anybody's.
                Some(Step::Key(key)) if key.to_ascii_lowercase().contains("mcp") => Some(key.as_str()),
                _ => None,
            });
            (places.to_vec(), last.collect())
        }
        Containers::Anywhere => (Vec::new(), NAMES.to_vec()),
    };
    let mut open = vec![(Pointer::root(), whole)];
    while let Some((at, value)) = open.pop() {
        if found.iter().any(|(known, _)| *known == at) {
            continue;
        }
        let Some(members) = value.as_object() else { continue };
        if matches!(at.0.last(), Some(Step::Key(key)) if names.contains(&key.as_str())) {
            found.push((at, None));
            continue;
        }
        open.extend(members.iter().map(|(key, value)| (at.key(key), value)));
    }
    found
}

struct Search<'a> {
    text: &'a str,
    document: Option<&'a Document>,
    /// Parts of the text that are accounted for.
    claimed: Vec<Range<usize>>,
    spots: Vec<Spot>,
}

/// Where in an entry a text stands.
#[derive(Clone)]
struct Trail {
    server: Option<String>,
    /// Keys and numbers from the document's root.
    steps: Vec<String>,
    /// How many of them lead to the entry.
    entry: usize,
    /// As far as a pointer can say it.
    at: Pointer,
}

impl Trail {
    fn key(&self, key: &str) -> Self {
        let mut next = self.clone();
        if next.at.0.len() == next.steps.len() {
            next.at = next.at.key(key);
        }
        next.steps.push(key.to_owned());
        next
    }

    /// An item has no pointer of its own, so that the list's is kept.
    fn item(&self, index: usize) -> Self {
        let mut next = self.clone();
        next.steps.push(index.to_string());
        next
    }

    fn pointer(&self) -> String {
        let escaped = self.steps.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
        escaped.map(|step| format!("/{step}")).collect()
    }

    /// Whether values here are drawn at random only if they are secret: variables, headers, arguments.
    fn is_variable(&self) -> bool {
        let inner = &self.steps[self.entry..];
        inner.iter().any(|step| is_env(step) || is_headers(step) || is_args(step))
    }

    fn field(&self, suspect: &Suspect) -> String {
        let inner = &self.steps[self.entry..];
        let Some((last, before)) = inner.split_last() else {
            // A text in the place of an entry: a variable of the manifest.
            let (name, section) = self.steps.split_last().map_or((String::new(), ""), |(name, before)| {
                (shown(std::slice::from_ref(name)), before.last().map_or("", String::as_str))
            });
            return if section == "vars" { format!("var {name}") } else { format!("`{name}`") };
        };
        let holder = before.last().map_or("", String::as_str);
        let field = if is_env(holder) {
            format!("env {last}")
        } else if is_headers(holder) {
            format!("header {last}")
        } else if let (true, Ok(index)) = (is_args(holder), last.parse::<usize>()) {
            format!("argument {}", index + 1)
        } else {
            match suspect.name.as_str() {
                "password" | "path" | "user" if last != &suspect.name => {
                    format!("{} in {last}", suspect.name)
                }
                name if last.to_ascii_lowercase().contains("url") && !name.is_empty() && name != last => {
                    format!("{last} query `{name}`")
                }
                _ => format!("`{}`", shown(inner)),
            }
        };
        mask::hide_tokens(&field)
    }
}

fn shown(steps: &[String]) -> String {
    mask::hide_tokens(&steps.join("."))
}

fn is_env(step: &str) -> bool {
    matches!(step, "env" | "envs" | "environment" | "env_vars" | "vars")
}

fn is_headers(step: &str) -> bool {
    step.to_ascii_lowercase().ends_with("headers")
}

fn is_args(step: &str) -> bool {
    matches!(step, "args" | "arguments" | "command" | "cmd" | "argv" | "run")
}

impl Search<'_> {
    fn container(&mut self, at: &Pointer, list: Option<&str>, value: Option<&Value>) {
        let steps: Vec<String> =
            at.0.iter()
                .map(|step| match step {
                    Step::Key(key) | Step::Element(key) | Step::Item { is: key, .. } => key.clone(),
                })
                .collect();
        let trail = Trail { server: None, entry: steps.len() + 1, steps, at: at.clone() };
        match (value, list) {
            (Some(Value::Object(entries)), _) => {
                for (name, entry) in entries {
                    let mut trail = trail.key(name);
                    if !entry.is_string() {
                        trail.server = Some(mask::hide_tokens(name));
                    }
                    self.walk(&trail, name, entry);
                }
            }
            (Some(Value::Array(entries)), Some(key)) => {
                for (index, entry) in entries.iter().enumerate() {
                    let mut trail = trail.item(index);
                    if let Some(name) = entry.get(key).and_then(Value::as_str) {
                        trail.server = Some(mask::hide_tokens(name));
                    }
                    self.walk(&trail, "", entry);
                }
            }
            _ => {}
        }
    }

    fn walk(&mut self, trail: &Trail, key: &str, value: &Value) {
        match value {
            Value::String(text) => self.text(trail, key, text),
            // A number or truth value is nobody's secret, but for digits under the name of one.
            Value::Array(items) => {
                let mut flag = "";
                for (index, item) in items.iter().enumerate() {
                    let name = if flag.is_empty() && !is_args(key) { key } else { flag };
                    self.walk(&trail.item(index), name, item);
                    let text = item.as_str().unwrap_or_default();
                    flag = if text.starts_with('-') && !text.contains('=') { text } else { "" };
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    self.walk(&trail.key(key), key, value);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, trail: &Trail, key: &str, text: &str) {
        for suspect in suspect::suspects(key, text) {
            if suspect.looks == suspect::RANDOM && !trail.is_variable() {
                continue;
            }
            let value = &text[suspect.range.clone()];
            let start = self.claim(trail, value);
            let (line, column) = place(self.text, start);
            self.spots.push(Spot {
                server: trail.server.clone(),
                field: trail.field(&suspect),
                looks: suspect.looks,
                line,
                column,
                held: Some(Held {
                    at: trail.pointer(),
                    text: Secret::new(text.to_owned()),
                    range: suspect.range.clone(),
                    name: suspect.name,
                }),
                value: Secret::new(value.to_owned()),
            });
        }
    }

    /// Finds where a value of an entry is written: behind its key, and not counted yet.
    fn claim(&mut self, trail: &Trail, value: &str) -> usize {
        let from = self
            .document
            .and_then(|document| document.place(&trail.at))
            .map_or(0, |at| offset(self.text, at));
        let quoted = Value::from(value).to_string();
        let escaped = &quoted[1..quoted.len() - 1];
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for form in [value, escaped] {
            let found =
                self.text[from..].match_indices(form).map(|(at, _)| from + at..from + at + form.len());
            let mut free = found.filter(|range| {
                let is_whole = !self.text[..range.start].ends_with(is_part)
                    && !self.text[range.end..].starts_with(is_part);
                is_whole && !self.claimed.iter().any(|claimed| overlap(claimed, range))
            });
            if let Some(range) = free.next() {
                let start = range.start;
                self.claimed.push(range);
                return start;
            }
        }
        from
    }

    /// Known tokens that no entry accounts for: comments, other parts of the file.
    fn rest(&mut self) {
        for (range, looks) in tokens::kinds_in(self.text) {
            let value = &self.text[range.clone()];
            if self.claimed.iter().any(|claimed| overlap(claimed, &range)) || suspect::is_placeholder(value) {
                continue;
            }
            let (line, column) = place(self.text, range.start);
            self.spots.push(Spot {
                server: None,
                field: self.beside(range.start),
                looks,
                line,
                column,
                held: None,
                value: Secret::new(value.to_owned()),
            });
        }
    }

    /// What holds a token that was found in the text: the line's comment, or the name in front of it.
    fn beside(&self, start: usize) -> String {
        let line = self.text[..start].rsplit('\n').next().unwrap_or_default();
        let before = line.trim_start();
        let is_comment =
            before.starts_with(['#', '*']) || before.starts_with("//") || before.starts_with("/*");
        if is_comment || line.contains(" // ") || line.contains(" # ") {
            return "comment".to_owned();
        }
        let name = before.trim_end_matches(['"', '\'', ' ']).strip_suffix([':', '=']).unwrap_or_default();
        let name = name.trim_end_matches(['"', '\'', ' ']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name = name.rsplit(|c| !is_part(c)).next().unwrap_or_default();
        match name {
            "" => "text".to_owned(),
            name => mask::hide_tokens(&format!("`{name}`")),
        }
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Line and column, 1-based, in characters.
fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line as u32, column as u32)
}

/// The byte at a line and column.
fn offset(text: &str, (line, column): (u32, u32)) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1) as usize).map(str::len).sum();
    let within = text[start..].char_indices().nth(column.saturating_sub(1) as usize);
    within.map_or(start, |(at, _)| start + at)
}
