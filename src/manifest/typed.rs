//! From tree to [`Manifest`]: typed at once, and against the schema only when that fails.
//!
//! Invariant: what this accepts is what the schema accepts (`tests/manifest/agreement.rs`).

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::model::{Manifest, SecretSource};
use super::tree::{Id, Kind, Tree};
use super::{File, MAX_PROBLEMS, On, Parsed, scalar, validate};
use crate::base::Diagnostic;

/// Members whose values are texts: numbers and truth values there are taken as they are written.
pub const TEXTS: &[&[&str]] = &[
    &["vars", "*"],
    &["secrets", "*", "command", "*"],
    &["settings", "notify", "*", "command", "*"],
    &["servers", "*", "args", "*"],
    &["servers", "*", "env", "*"],
    &["servers", "*", "headers", "*"],
    &["servers", "*", "when", "env", "*"],
    &["servers", "*", "package", "version"],
    &["servers", "*", "package", "args", "*"],
    &["servers", "*", "source", "version"],
    &["servers", "*", "source", "run", "*"],
    &["servers", "*", "source", "build", "*", "*"],
    &["clients", "*", "when", "env", "*"],
];

/// The manifest in a file whose tree is complete. With `fully`, the schema is asked in any case.
pub fn read(file: &File, root: Id, fully: bool) -> Parsed {
    let mut values = Values { tree: &file.tree, path: Vec::new(), has_null: false };
    let mut value = values.of(root);
    let quick = if values.has_null { None } else { Manifest::deserialize(&value).ok().filter(fits) };
    if let Some(manifest) = quick {
        let diagnostics = if fully { validate::problems(file, &value).diagnostics } else { Vec::new() };
        return Parsed { manifest: Some(manifest), diagnostics, ..Parsed::default() };
    }
    let mut parsed = Parsed::default();
    let found = validate::problems(file, &value);
    parsed.diagnostics = found.diagnostics;
    if parsed.diagnostics.is_empty() {
        match Manifest::deserialize(&value) {
            Ok(manifest) => parsed.manifest = Some(manifest),
            Err(_) => parsed.diagnostics.push(
                Diagnostic::error("invalid", "The manifest does not fit this version's language.")
                    .at(file.place("", On::Value)),
            ),
        }
        return parsed;
    }
    // Cut out what is wrong, so that the rest can still be checked for problems of its own.
    for pointer in found.broken.iter().take(MAX_PROBLEMS) {
        remove(&mut value, pointer);
    }
    if let Value::Object(members) = &mut value {
        members.insert("version".into(), 1.into());
    }
    parsed.partial = Manifest::deserialize(&value).ok();
    parsed.broken = found.broken;
    parsed
}

/// The schema's rules that types alone do not tell.
fn fits(manifest: &Manifest) -> bool {
    let members = |secret: &SecretSource| {
        [
            secret.keyring.is_some(),
            secret.age.is_some(),
            secret.env.is_some(),
            secret.command.is_some(),
            secret.file.is_some(),
        ]
        .iter()
        .filter(|given| **given)
        .count()
    };
    manifest.version == 1
        && manifest.vars.keys().all(|name| is_name(name))
        && manifest.groups.keys().all(|name| is_name(name))
        && manifest.clients.keys().all(|name| is_name(name))
        && manifest.secrets.iter().all(|(name, secret)| {
            is_name(name)
                && members(secret) == 1
                && secret.command.as_ref().is_none_or(|command| !command.is_empty())
        })
        && manifest.servers.iter().all(|(name, server)| {
            is_name(name) && server.source.as_ref().is_none_or(|source| !source.run.is_empty())
        })
        && manifest
            .source
            .as_ref()
            .and_then(|source| source.verify.as_ref())
            .is_none_or(|verify| verify.ssh.is_some() != verify.pgp.is_some())
        && manifest
            .settings
            .notify
            .iter()
            .all(|notify| notify.command.as_ref().is_none_or(|command| !command.is_empty()))
}

/// `^[A-Za-z0-9][A-Za-z0-9_-]*$`, at most 64 characters.
pub fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    name.len() <= 64 && name.bytes().all(inner) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.shift_remove(&last);
        }
        Some(Value::Array(items)) => {
            // Items keep their numbers: a text is emptied, a list of maps goes as a whole.
            let Some(item) = last.parse::<usize>().ok().and_then(|at| items.get_mut(at)) else { return };
            if item.is_object() || parent == "/policies" {
                return remove(value, parent);
            }
            *item = Value::from("");
        }
        _ => {}
    }
}

struct Values<'t> {
    tree: &'t Tree,
    path: Vec<&'t str>,
    has_null: bool,
}

impl<'t> Values<'t> {
    fn of(&mut self, id: Id) -> Value {
        match self.tree.kind(self.tree.resolved(id)) {
            Kind::Scalar { text, typing } => self.scalar(text, *typing),
            Kind::Alias(_) => Value::Null,
            Kind::List(items) => Value::Array(items.iter().map(|item| self.below("*", *item)).collect()),
            Kind::Map(_) => {
                let mut members = Map::new();
                for (key, _, value) in self.tree.members(id) {
                    // For editors and for anchors; no part of the language.
                    if !(self.path.is_empty() && is_extension(key)) {
                        members.insert(key.to_owned(), self.below(key, value));
                    }
                }
                Value::Object(members)
            }
        }
    }

    fn below(&mut self, step: &'t str, id: Id) -> Value {
        self.path.push(step);
        let value = self.of(id);
        self.path.pop();
        value
    }

    fn scalar(&mut self, text: &str, typing: scalar::Typing) -> Value {
        match scalar::value(text, typing) {
            Value::Bool(_) | Value::Number(_) if self.is_text() => Value::from(text),
            Value::Number(number) if !self.is_foreign() => Value::Number(whole(number)),
            Value::Null => {
                self.has_null = true;
                Value::Null
            }
            value => value,
        }
    }

    fn is_text(&self) -> bool {
        let fits = |pattern: &&[&str]| {
            pattern.len() == self.path.len()
                && pattern.iter().zip(&self.path).all(|(want, have)| *want == "*" || want == have)
        };
        TEXTS.iter().any(fits)
    }

    /// Values that go to a client as they are.
    fn is_foreign(&self) -> bool {
        matches!(
            self.path[..],
            ["servers", _, "extra", ..]
                | ["clients", _, "client", "stdio" | "http" | "sse" | "new_file", ..]
                | ["clients", _, "client", "disable", "value", ..]
        )
    }
}

/// Top-level keys that are left alone.
pub fn is_extension(key: &str) -> bool {
    key == "$schema" || key.starts_with("x-")
}

/// `1.0` is the whole number 1, as for JSON schemas.
fn whole(number: Number) -> Number {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            Number::from(float as i64)
        }
        _ => number,
    }
}
