//! What stands in a client's file, in the manifest's language: the way back, for import and adopt.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::base::{Pointer, mask};
use crate::clients::{Launch, Part, Text};
use crate::document::Op;

/// Literal secrets that were met, and the references that take their place.
#[derive(Default)]
pub struct Secrets {
    /// By the value, so that one secret gets one name. Never printed, never written.
    names: BTreeMap<String, String>,
    /// The environment variable of each new name.
    sources: BTreeMap<String, String>,
    /// Names that the manifest has already.
    taken: Vec<String>,
    /// What was done, for the user.
    pub report: Vec<String>,
}

impl Secrets {
    /// Knowing the names that the manifest uses already.
    pub fn beside(taken: impl IntoIterator<Item = String>) -> Self {
        Self { taken: taken.into_iter().collect(), ..Self::default() }
    }

    /// The edits that declare the new secrets.
    pub fn ops(&self) -> Vec<Op> {
        let put = |(name, variable): (&String, &String)| Op::Put {
            at: Pointer::of(["secrets", name]),
            value: json!({"env": variable}),
        };
        self.sources.iter().map(put).collect()
    }

    /// The text with a literal secret in it replaced by a reference.
    fn shield(&mut self, server: &str, key: &str, text: &Text) -> String {
        let plain = manifest_text(text);
        let Some(literal) = text.literal() else { return plain };
        if !mask::looks_secret(key, literal) {
            return plain;
        }
        let secret = mask::strip_scheme(literal);
        let name = match self.names.get(secret) {
            Some(name) => name.clone(),
            None => self.name(server, key, secret),
        };
        let Some(at) = literal.rfind(secret) else { return plain };
        format!("{}${{secret:{name}}}{}", escape(&literal[..at]), escape(&literal[at + secret.len()..]))
    }

    fn name(&mut self, server: &str, key: &str, secret: &str) -> String {
        let is_header =
            key.eq_ignore_ascii_case("authorization") || key.contains(['-']) && !key.starts_with('-');
        let key = key.trim_start_matches('-');
        let (base, variable) = match is_header {
            true => (format!("{server}-token"), format!("{server}_token")),
            false if key.len() < 9 => (format!("{server}-{key}"), format!("{server}_{key}")),
            false => (key.to_owned(), key.to_owned()),
        };
        let base = tidy(&base, '-').to_ascii_lowercase();
        let mut name = base.clone();
        let mut number = 2;
        while self.taken.contains(&name) || self.sources.contains_key(&name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        let mut variable = tidy(&variable, '_').to_ascii_uppercase();
        if self.sources.values().any(|used| *used == variable) {
            variable = tidy(&name, '_').to_ascii_uppercase();
        }
        self.report.push(format!(
            "a literal value in `{server}` ({key}) became ${{secret:{name}}}, read from the environment variable {variable}; \
             set that variable before you apply"
        ));
        self.sources.insert(name.clone(), variable);
        self.names.insert(secret.to_owned(), name.clone());
        name
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
            members.insert("url".into(), manifest_text(url).into());
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
            let literal = manifest_text(arg);
            flag = if literal.starts_with('-') && !literal.contains('=') { literal } else { String::new() };
            Value::from(text)
        })
        .collect()
}

fn pairs(server: &str, pairs: &[(String, Text)], secrets: &mut Secrets) -> Value {
    let shielded =
        pairs.iter().map(|(key, text)| (key.clone(), Value::from(secrets.shield(server, key, text))));
    Value::Object(shielded.collect())
}

/// The edits that make a server of the manifest say what `live` says, leaving alone what it already
/// says in its own way (`desired` is the manifest's launch with its references resolved).
pub fn changes(name: &str, desired: &Launch, live: &Launch, secrets: &mut Secrets) -> Vec<Op> {
    let at = Pointer::of(["servers", name]);
    let (was, now) = (server(name, desired, &mut Secrets::default()), server(name, live, secrets));
    let mut ops = Vec::new();
    for (key, value) in &now {
        match (was.get(key), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                let at = at.key(key);
                ops.extend(
                    old.keys()
                        .filter(|name| !new.contains_key(*name))
                        .map(|name| Op::Drop { at: at.key(name) }),
                );
                let changed = new.iter().filter(|(name, value)| old.get(*name) != Some(*value));
                ops.extend(changed.map(|(name, value)| Op::Put { at: at.key(name), value: value.clone() }));
            }
            (_, value) => ops.push(Op::Put { at: at.key(key), value: value.clone() }),
        }
    }
    ops.extend(was.keys().filter(|key| !now.contains_key(*key)).map(|key| Op::Drop { at: at.key(key) }));
    ops
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
        let ops = changes(
            "x",
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
