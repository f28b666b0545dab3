//! What stands in a client's file, in the manifest's language: the way back, for import and adopt.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::base::{Pointer, Secret, mask};
use crate::clients::{Launch, Part, Text};
use crate::desired::Unit;
use crate::document::Op;
use crate::manifest::model;

/// Where literal secrets go that are taken out of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stash {
    /// Nowhere: the user sets an environment variable.
    #[default]
    Env,
    /// The operating system's keyring, under the secret's name.
    Keyring,
    /// An age file beside the manifest.
    Age,
    /// A file of its own in the user's configuration directory, away from the manifest's repository.
    File,
}

impl Stash {
    /// The manifest's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Keyring => "keyring",
            Self::Age => "age",
            Self::File => "file",
        }
    }

    /// What stands behind the word for a secret of this name.
    fn place(self, name: &str) -> String {
        match self {
            Self::Env | Self::Keyring => name.to_owned(),
            Self::Age => format!("secrets/{name}.age"),
            Self::File => format!("~/.config/mcpkeel/secrets/{name}"),
        }
    }
}

/// A literal that became a secret of the manifest.
pub struct Kept {
    /// Its name there.
    pub name: String,
    /// Where the manifest says it is kept.
    pub source: model::SecretSource,
    /// What has to be stored there.
    pub value: Secret<String>,
}

/// Literal secrets that were met, and the references that take their place.
#[derive(Default)]
pub struct Secrets {
    /// By the value, so that one secret gets one name. Never printed, never written.
    names: BTreeMap<String, String>,
    /// What the manifest will say of each new name: the variable, the entry, the file.
    sources: BTreeMap<String, String>,
    /// Where they go.
    into: Stash,
    /// Names that the manifest has already.
    taken: Vec<String>,
    /// Environment variables that the manifest has already.
    variables: Vec<String>,
    /// Whether texts stay as they are: for comparing, never for writing.
    plain: bool,
    /// What was done, for the user.
    pub report: Vec<String>,
}

impl Secrets {
    /// Knowing the names and variables that the manifests use already.
    pub fn beside(units: &[Unit]) -> Self {
        let known = || units.iter().flat_map(|unit| &unit.manifest.secrets);
        Self {
            taken: known().map(|(name, _)| name.clone()).collect(),
            variables: known().filter_map(|(_, source)| source.env.clone()).collect(),
            ..Self::default()
        }
    }

    /// With the values going there.
    #[must_use]
    pub fn going(self, into: Stash) -> Self {
        Self { into, ..self }
    }

    /// Leaves every text as it is.
    pub fn plain() -> Self {
        Self { plain: true, ..Self::default() }
    }

    /// Whether a text of the manifest (or of this import) stands for this literal, as far as can be
    /// told: where it has a reference and the literal a secret, only a secret met before is known.
    fn stands_for(&self, known: &str, key: &str, literal: &str) -> bool {
        let (mut rest, mut done) = (known, 0);
        for (_, part) in mask::secret_parts(key, literal) {
            let Some(after) = rest.strip_prefix(escape(&literal[done..part.start]).as_str()) else {
                return false;
            };
            let Some((reference, after)) = after.split_once('}').filter(|(start, _)| start.starts_with("${"))
            else {
                return false;
            };
            let name = reference.strip_prefix("${secret:").filter(|name| self.sources.contains_key(*name));
            if name.is_some_and(|name| self.names.get(&literal[part.clone()]).is_none_or(|met| met != name)) {
                return false;
            }
            (rest, done) = (after, part.end);
        }
        done > 0 && rest == escape(&literal[done..])
    }

    /// The edits that declare the new secrets.
    pub fn ops(&self) -> Vec<Op> {
        let put = |(name, place): (&String, &String)| Op::Put {
            at: Pointer::of(["secrets", name]),
            value: json!({ self.into.word(): place }),
        };
        self.sources.iter().map(put).collect()
    }

    /// The new secrets with their values, by name.
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = self
            .names
            .iter()
            .filter_map(|(value, name)| {
                let place = Some(self.sources.get(name)?.clone());
                let mut source = model::SecretSource::default();
                match self.into {
                    Stash::Env => source.env = place,
                    Stash::Keyring => source.keyring = place,
                    Stash::Age => source.age = place,
                    Stash::File => source.file = place,
                }
                Some(Kept { name: name.clone(), source, value: Secret::new(value.clone()) })
            })
            .collect();
        kept.sort_by(|a, b| a.name.cmp(&b.name));
        kept
    }

    /// The name of a secret: the one that its value has already, or a new one. `server` is empty where
    /// it is no server's.
    pub fn named(&mut self, server: &str, key: &str, secret: &str) -> String {
        match self.names.get(secret) {
            Some(name) => name.clone(),
            None => self.name(server, key, secret),
        }
    }

    /// A secret that the manifest has under this name and that is kept nowhere yet: it gets this value, and
    /// a place in the store. `false` when it has another value already.
    pub fn settle(&mut self, name: &str, server: &str, value: &str) -> bool {
        if let Some(known) = self.names.iter().find_map(|(known, named)| (named == name).then_some(known)) {
            return known == value;
        }
        if self.names.contains_key(value) {
            return false;
        }
        self.report
            .push(format!("the literal value in `{server}` became what ${{secret:{name}}} stands for"));
        self.sources.insert(name.to_owned(), self.into.place(name));
        self.names.insert(value.to_owned(), name.to_owned());
        true
    }

    /// The text with a literal secret in it replaced by a reference.
    fn shield(&mut self, server: &str, key: &str, text: &Text) -> String {
        let plain = manifest_text(text);
        let Some(literal) = text.literal() else { return plain };
        if self.plain {
            return plain;
        }
        let (mut shielded, mut done) = (String::new(), 0);
        for (key, part) in mask::secret_parts(key, literal) {
            let secret = &literal[part.clone()];
            let name = self.named(server, &key, secret);
            shielded.push_str(&escape(&literal[done..part.start]));
            shielded.push_str(&format!("${{secret:{name}}}"));
            done = part.end;
        }
        shielded + &escape(&literal[done..])
    }

    fn name(&mut self, server: &str, key: &str, secret: &str) -> String {
        let is_header =
            key.eq_ignore_ascii_case("authorization") || key.contains(['-']) && !key.starts_with('-');
        let key = match key.trim_start_matches('-') {
            "" => "token",
            key => key,
        };
        let (base, variable) = match is_header && !server.is_empty() {
            true => (format!("{server}-token"), format!("{server}_token")),
            false if key.len() < 9 && !server.is_empty() => {
                (format!("{server}-{key}"), format!("{server}_{key}"))
            }
            false => (key.to_owned(), key.to_owned()),
        };
        let base = tidy(&base, '-').to_ascii_lowercase();
        let mut name = base.clone();
        let mut number = 2;
        while self.taken.contains(&name) || self.sources.contains_key(&name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        let what = match server.is_empty() {
            true => format!("a literal value ({key})"),
            false => format!("a literal value in `{server}` ({key})"),
        };
        if self.into == Stash::Env {
            let variable = self.variable(&variable, &name);
            self.report.push(format!(
                "{what} became ${{secret:{name}}}, read from the environment variable {variable}; \
                 set that variable before you apply"
            ));
            self.sources.insert(name.clone(), variable);
        } else {
            self.report.push(format!("{what} became ${{secret:{name}}}"));
            self.sources.insert(name.clone(), self.into.place(&name));
        }
        self.names.insert(secret.to_owned(), name.clone());
        name
    }

    /// An environment variable that no other secret is read from.
    fn variable(&self, wish: &str, name: &str) -> String {
        let is_used = |variable: &String| {
            self.variables.contains(variable) || self.sources.values().any(|used| used == variable)
        };
        let mut variable = tidy(wish, '_').to_ascii_uppercase();
        if is_used(&variable) {
            variable = tidy(name, '_').to_ascii_uppercase();
        }
        while is_used(&variable) {
            variable.push_str("_2");
        }
        variable
    }
}

fn tidy(text: &str, glue: char) -> String {
    let tidy: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { glue }).collect();
    tidy.trim_matches(glue).to_owned()
}

fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

fn manifest_text(text: &Text) -> String {
    text.parts()
        .iter()
        .map(|part| match part {
            Part::Literal(literal) => escape(literal),
            Part::Env(name) => format!("${{env:{name}}}"),
            Part::Secret(name) => format!("${{secret:{name}}}"),
        })
        .collect()
}

/// A launch as a server's members in the manifest.
pub fn server(name: &str, launch: &Launch, secrets: &mut Secrets) -> Map<String, Value> {
    let mut members = Map::new();
    match launch {
        Launch::Stdio { command, args, env, cwd } => {
            members.insert("command".into(), manifest_text(command).into());
            if !args.is_empty() {
                members.insert("args".into(), arguments(name, args, secrets));
            }
            if !env.is_empty() {
                members.insert("env".into(), pairs(name, env, secrets));
            }
            if let Some(cwd) = cwd {
                members.insert("cwd".into(), manifest_text(cwd).into());
            }
        }
        Launch::Http { url, headers } | Launch::Sse { url, headers } => {
            members.insert("url".into(), secrets.shield(name, "", url).into());
            if matches!(launch, Launch::Sse { .. }) {
                members.insert("transport".into(), "sse".into());
            }
            if !headers.is_empty() {
                members.insert("headers".into(), pairs(name, headers, secrets));
            }
        }
    }
    members
}

fn arguments(server: &str, args: &[Text], secrets: &mut Secrets) -> Value {
    let mut flag = String::new();
    args.iter()
        .map(|arg| {
            let text = secrets.shield(server, &flag, arg);
            flag = flag_of(&manifest_text(arg));
            Value::from(text)
        })
        .collect()
}

/// The name that an argument gives to the one after it.
fn flag_of(text: &str) -> String {
    if text.starts_with('-') && !text.contains('=') { text.to_owned() } else { String::new() }
}

fn pairs(server: &str, pairs: &[(String, Text)], secrets: &mut Secrets) -> Value {
    let shielded =
        pairs.iter().map(|(key, text)| (key.clone(), Value::from(secrets.shield(server, key, text))));
    Value::Object(shielded.collect())
}

/// The edits that make a server of the manifest say what `live` says, leaving alone what it already
/// says in its own way (`desired` is the manifest's launch with its references resolved, `written` as
/// it stands there).
pub fn changes(
    name: &str,
    written: &model::Server,
    desired: &Launch,
    live: &Launch,
    secrets: &mut Secrets,
) -> Vec<Op> {
    let at = Pointer::of(["servers", name]);
    // Compared as they are: two secrets must not look alike because both would be hidden.
    let (was, now) =
        (server(name, desired, &mut Secrets::plain()), server(name, live, &mut Secrets::plain()));
    let mut ops = Vec::new();
    for key in now.keys().filter(|key| was.get(*key) != now.get(*key)) {
        let at = at.key(key);
        match (was.get(key), live) {
            (Some(Value::Object(old)), Launch::Stdio { env: texts, .. })
            | (
                Some(Value::Object(old)),
                Launch::Http { headers: texts, .. } | Launch::Sse { headers: texts, .. },
            ) => {
                let gone = old.keys().filter(|name| !texts.iter().any(|(other, _)| other == *name));
                ops.extend(gone.map(|name| Op::Drop { at: at.key(name) }));
                for (member, text) in texts {
                    if old.get(member).and_then(Value::as_str) != Some(&manifest_text(text)) {
                        let value = secrets.shield(name, member, text).into();
                        ops.push(Op::Put { at: at.key(member), value });
                    }
                }
            }
            (Some(Value::Array(old)), Launch::Stdio { args, .. }) => {
                let value = rewritten(name, &written.args, old, args, secrets);
                ops.push(Op::Put { at, value });
            }
            _ => {
                let mut shielded = server(name, live, secrets);
                ops.extend(shielded.remove(key).map(|value| Op::Put { at, value }));
            }
        }
    }
    ops.extend(was.keys().filter(|key| !now.contains_key(*key)).map(|key| Op::Drop { at: at.key(key) }));
    ops
}

/// Arguments as they are live; one that is as before stays as the manifest writes it.
fn rewritten(server: &str, written: &[String], old: &[Value], live: &[Text], secrets: &mut Secrets) -> Value {
    let mut flag = String::new();
    live.iter()
        .enumerate()
        .map(|(at, arg)| {
            let text = manifest_text(arg);
            let same = |index: &usize| old.get(*index).and_then(Value::as_str) == Some(&text);
            let index = Some(at).filter(same).or_else(|| (0..old.len()).find(same));
            let kept = index.and_then(|index| written.get(index)).cloned();
            let value = kept.unwrap_or_else(|| secrets.shield(server, &flag, arg));
            flag = flag_of(&text);
            Value::from(value)
        })
        .collect()
}

/// Whether a server of the manifest (or one that this import adds) is started or reached like a live
/// one. `live` has its texts as they are, `known` may have references for secrets.
pub fn is_alike(known: &Map<String, Value>, live: &Map<String, Value>, secrets: &Secrets) -> bool {
    let of =
        |members: &Map<String, Value>, key: &str| members.get(key).cloned().filter(|value| !is_hollow(value));
    ["command", "args", "env", "cwd", "url", "headers", "transport", "extra"]
        .iter()
        .all(|key| is_value_alike("", of(known, key).as_ref(), of(live, key).as_ref(), secrets))
}

fn is_value_alike(key: &str, known: Option<&Value>, live: Option<&Value>, secrets: &Secrets) -> bool {
    match (known, live) {
        (Some(Value::String(known)), Some(Value::String(live))) => {
            known == live || secrets.stands_for(known, key, &unescape(live))
        }
        (Some(Value::Array(known)), Some(Value::Array(live))) => {
            let mut flag = String::new();
            known.len() == live.len()
                && known.iter().zip(live).all(|(known, live)| {
                    let alike = is_value_alike(&flag, Some(known), Some(live), secrets);
                    flag = flag_of(live.as_str().unwrap_or_default());
                    alike
                })
        }
        (Some(Value::Object(known)), Some(Value::Object(live))) => {
            known.len() == live.len()
                && known.iter().all(|(key, value)| is_value_alike(key, Some(value), live.get(key), secrets))
        }
        (known, live) => known == live,
    }
}

fn is_hollow(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

fn unescape(text: &str) -> String {
    text.replace("$${", "${")
}

/// Whether anything in it looks like a secret.
pub fn holds_secret(key: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => !mask::secret_parts(key, text).is_empty(),
        Value::Array(items) => {
            let mut flag = String::new();
            items.iter().any(|item| {
                let found = holds_secret(&flag, item);
                flag = flag_of(item.as_str().unwrap_or_default());
                found
            })
        }
        Value::Object(members) => members.iter().any(|(key, value)| holds_secret(key, value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdio(args: &[&str], env: &[(&str, &str)]) -> Launch {
        Launch::Stdio {
            command: Text::from("npx"),
            args: args.iter().map(|arg| Text::from(*arg)).collect(),
            env: env.iter().map(|(key, text)| ((*key).to_owned(), Text::from(*text))).collect(),
            cwd: None,
        }
    }

    #[test]
    fn secrets_become_references_with_one_name_each() {
        let mut secrets = Secrets::default();
        let live = stdio(
            &["--api-key", "s3cr3tvalue-1", "${x}"],
            &[("GITHUB_TOKEN", "ghp_abcdefABCDEF0123456789"), ("LOG", "1")],
        );
        let members = server("gh", &live, &mut secrets);
        assert_eq!(
            Value::Object(members),
            json!({
                "command": "npx",
                "args": ["--api-key", "${secret:gh-api-key}", "$${x}"],
                "env": {"GITHUB_TOKEN": "${secret:github-token}", "LOG": "1"},
            })
        );
        let said = format!("{:?}", secrets.report);
        assert!(!said.contains("s3cr3t") && !said.contains("ghp_"), "{said}");
        assert_eq!(secrets.ops().len(), 2);
    }

    #[test]
    fn only_what_differs_is_edited() {
        let written = serde_yaml::from_str("{command: npx, args: [a]}").expect("a server");
        let ops = changes(
            "x",
            &written,
            &stdio(&["a"], &[("A", "1"), ("B", "2")]),
            &stdio(&["a", "b"], &[("A", "1"), ("C", "3")]),
            &mut Secrets::default(),
        );
        let at = Pointer::of(["servers", "x"]);
        assert_eq!(
            ops,
            [
                Op::Put { at: at.key("args"), value: json!(["a", "b"]) },
                Op::Drop { at: at.key("env").key("B") },
                Op::Put { at: at.key("env").key("C"), value: json!("3") },
            ]
        );
    }
}
