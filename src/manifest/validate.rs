//! The schema's complaints in a person's words, all of them, each at its place.
//!
//! Invariant: no sentence quotes a value of the file, only keys; values may be secrets.

use std::sync::OnceLock;

use jsonschema::Validator;
use jsonschema::error::{ValidationError, ValidationErrorKind as Kind};
use serde_json::{Map, Value};

use super::tree::shown;
use super::{File, MAX_PROBLEMS, On, schema};
use crate::base::{Diagnostic, closest, mask};

/// What the schema found.
#[derive(Default)]
pub struct Found {
    /// As problems at their places.
    pub diagnostics: Vec<Diagnostic>,
    /// JSON pointers of the values that are wrong, or that lack something.
    pub broken: Vec<String>,
}

/// Everything that is wrong with a value by the schema.
pub fn problems(file: &File, value: &Value) -> Found {
    let mut all = All { file, value, found: Found::default() };
    for error in validator().iter_errors(value) {
        if all.found.diagnostics.len() > MAX_PROBLEMS {
            break;
        }
        all.take(&error);
    }
    all.found
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        // The schema is our own and a test compiles it; one that accepts everything keeps the promise
        // not to panic.
        jsonschema::draft202012::new(schema::schema())
            .or_else(|_| jsonschema::draft202012::new(&Value::Bool(true)))
            .expect("`true` is a schema")
    })
}

struct All<'a> {
    file: &'a File,
    value: &'a Value,
    found: Found,
}

impl All<'_> {
    fn take(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                unexpected.iter().take(MAX_PROBLEMS).for_each(|key| self.unknown_key(pointer, key));
            }
            Kind::Required { property } => self.missing(pointer, property.as_str().unwrap_or_default()),
            Kind::PropertyNames { error } => self.bad_name(pointer, error),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.branches(pointer, context),
            Kind::Type { .. } => self.not_of_type(pointer),
            Kind::Enum { options } => self.not_among(pointer, options),
            Kind::MinProperties { .. } | Kind::MaxProperties { .. } => {
                self.not_exactly_one(pointer, error.kind())
            }
            Kind::MinItems { .. } | Kind::MinLength { .. } => {
                self.add("empty", pointer, On::Key, format!("{} must not be empty.", named(pointer)), None);
            }
            Kind::Pattern { .. } => {
                let message = format!("{} must be a JSON pointer.", named(pointer));
                let hint = "start it with `/`, as in `/mcpServers`".to_owned();
                self.add("bad-pointer", pointer, On::Value, message, Some(hint));
            }
            Kind::Minimum { limit } => self.range(pointer, "at least", limit),
            Kind::Maximum { limit } => self.range(pointer, "at most", limit),
            _ => {
                let message = format!("{} has a value that does not fit.", named(pointer));
                self.add("invalid", pointer, On::Value, message, None);
            }
        }
    }

    fn add(&mut self, code: &'static str, pointer: &str, on: On, message: String, hint: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, message).at(self.file.place(pointer, on));
        diagnostic.hint = hint;
        self.found.diagnostics.push(diagnostic);
        self.found.broken.push(pointer.to_owned());
    }

    fn unknown_key(&mut self, pointer: &str, key: &str) {
        let steps = steps(pointer);
        let schema = schema::at(steps.iter().map(String::as_str)).unwrap_or_default();
        let known = schema::keys(&schema);
        let hint = suggest(key, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
        let elsewhere = || match pointer {
            "" => owner(key).map(|path| format!("it belongs into `{path}`")),
            _ => None,
        };
        let list = || format!("known here: {}", known.join(", "));
        let hint = hint.or_else(elsewhere).unwrap_or_else(list);
        let message = format!("`{}` is no key of {}.", shown(key), container(&steps));
        let at = format!("{pointer}/{}", escaped(key));
        self.add("unknown-key", &at, On::Key, message, Some(hint));
    }

    fn missing(&mut self, pointer: &str, property: &str) {
        let (message, hint) = if pointer.is_empty() && property == "version" {
            (
                "The manifest does not say its `version`.".to_owned(),
                "write `version: 1` as the first line".to_owned(),
            )
        } else {
            let what = schema::at(steps(pointer).iter().map(String::as_str).chain([property]))
                .and_then(|schema| schema.get("description")?.as_str().map(str::to_owned))
                .unwrap_or_default();
            let sentence = what.split(". ").next().unwrap_or_default().trim_end_matches('.');
            (
                format!("{} lacks `{property}`.", upper(&container(&steps(pointer)))),
                format!("add `{property}:` ({})", lower(sentence)),
            )
        };
        let on = if pointer.rsplit('/').next().is_some_and(is_index) { On::Value } else { On::Key };
        self.add("missing-key", pointer, on, message, Some(hint));
    }

    fn bad_name(&mut self, pointer: &str, error: &ValidationError<'_>) {
        let name = error.instance().as_str().unwrap_or_default().to_owned();
        let (message, hint) = match error.kind() {
            Kind::MaxLength { .. } => (
                format!("The name `{}` has more than 64 characters.", shown(&name)),
                "choose a shorter name; clients show it with every tool".to_owned(),
            ),
            _ => {
                let fixed = legal_name(&name);
                let hint = if fixed.is_empty() {
                    "start with a letter or digit; letters, digits, `_` and `-` may follow".to_owned()
                } else {
                    format!("write `{fixed}`: letters and digits, then also `_` and `-`")
                };
                (format!("`{}` cannot be a name.", shown(&name)), hint)
            }
        };
        let at = format!("{pointer}/{}", escaped(&name));
        if !self.found.broken.contains(&at) {
            self.add("bad-name", &at, On::Key, message, Some(hint));
        }
    }

    /// Of several shapes the one with the value's type was meant; its own problems are told.
    fn branches(&mut self, pointer: &str, context: &[Vec<ValidationError<'static>>]) {
        let is_type = |error: &ValidationError<'_>| {
            matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == pointer
        };
        let meant = context.iter().find(|errors| !errors.iter().any(is_type) && !errors.is_empty());
        match meant {
            Some(errors) => errors.iter().for_each(|error| self.take(error)),
            None => self.not_of_type(pointer),
        }
    }

    fn not_of_type(&mut self, pointer: &str) {
        let schema = schema::at(steps(pointer).iter().map(String::as_str)).unwrap_or_default();
        let value = self.value.pointer(pointer).unwrap_or(&Value::Null);
        let name = named(pointer);
        if value.is_null() {
            return self.nothing(pointer, &schema);
        }
        let options = options(&schema);
        let wanted = if options.is_empty() {
            schema::wording(&schema)
        } else {
            format!("one of {}", options.join(", "))
        };
        let message = format!("{name} must be {wanted}, not {}.", type_of(value));
        let hint = self.type_hint(pointer, &schema, value);
        self.add("wrong-type", pointer, On::Value, message, hint);
    }

    fn nothing(&mut self, pointer: &str, schema: &Map<String, Value>) {
        let empty = match schema.get("type").and_then(Value::as_str) {
            Some("object") => "`{}`, or delete the line",
            Some("array") => "`[]`, or delete the line",
            _ if schema.get("type").is_some_and(Value::is_array) => {
                "`\"\"` for an empty text, or delete the line"
            }
            Some("string") => "a text, or delete the line",
            _ => "a value, or delete the line",
        };
        let message = format!("{} has no value.", named(pointer));
        self.add("no-value", pointer, On::Key, message, Some(format!("write {empty}")));
    }

    fn type_hint(&self, pointer: &str, schema: &Map<String, Value>, value: &Value) -> Option<String> {
        let wants = |name: &str| match schema.get("type") {
            Some(Value::String(wanted)) => wanted == name,
            Some(Value::Array(wanted)) => wanted.iter().any(|wanted| wanted == name),
            _ => false,
        };
        let key = steps(pointer).pop().unwrap_or_default();
        let written = self.file.source(pointer).filter(|text| {
            text.len() <= 40 && !mask::looks_secret(&key, text) && !mask::is_secret_name(&key)
        });
        match value {
            Value::Number(_) | Value::Bool(_) if wants("string") => Some(match written {
                Some(text) => format!("put it in quotes: `\"{text}\"`"),
                None => "put it in quotes".into(),
            }),
            Value::String(text) if wants("boolean") => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => Some("write `true`".into()),
                "no" | "off" | "n" => Some("write `false`".into()),
                "true" | "false" => Some("remove the quotes".into()),
                _ => None,
            },
            Value::String(text) if wants("integer") && text.parse::<i64>().is_ok() => {
                Some("remove the quotes".into())
            }
            Value::String(_) | Value::Number(_) if wants("array") => Some(match written {
                Some(text) if !text.contains(' ') => format!("write a list: `[{text}]`"),
                Some(text) if key == "args" || key == "run" || key == "command" => {
                    format!("write a list: `[{}]`", text.split_whitespace().collect::<Vec<_>>().join(", "))
                }
                _ => "write a list: `[a, b]`".into(),
            }),
            Value::Array(_) if wants("string") && key == "command" => {
                Some("put the program here and the rest into `args`".into())
            }
            Value::String(text) if pointer.starts_with("/secrets/") && wants("object") => Some(format!(
                "{}`mcpkeel secret set {key}`, then write `{{ keyring: {key} }}`",
                if text.is_empty() { "" } else { "take the value out of the manifest: " }
            )),
            Value::String(text) if wants("object") && text.contains(':') => {
                Some("write a space after the `:`".into())
            }
            Value::Array(_) if wants("object") => Some("write `name: value` lines without the dashes".into()),
            _ => None,
        }
    }

    fn not_among(&mut self, pointer: &str, options: &Value) {
        let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let Some(word) = self.value.pointer(pointer).and_then(Value::as_str) else {
            return self.not_of_type(pointer);
        };
        let lower = word.to_ascii_lowercase();
        let hint = suggest(&lower, options.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
        let list = options.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>();
        let message = format!("{} must be {}.", named(pointer), or(&list));
        self.add("unknown-value", pointer, On::Value, message, hint);
    }

    fn not_exactly_one(&mut self, pointer: &str, kind: &Kind) {
        let schema = schema::at(steps(pointer).iter().map(String::as_str)).unwrap_or_default();
        let keys: Vec<String> = schema::keys(&schema).iter().map(|key| format!("`{key}`")).collect();
        let (message, hint) = match kind {
            Kind::MinProperties { .. } => (
                format!("{} says nowhere where it is kept.", named(pointer)),
                format!("add one of {}", or(&keys)),
            ),
            _ => (
                format!("{} is kept in more than one place.", named(pointer)),
                format!("leave exactly one of {}", or(&keys)),
            ),
        };
        self.add("not-exactly-one", pointer, On::Key, message, Some(hint));
    }

    fn range(&mut self, pointer: &str, side: &str, limit: &Value) {
        if pointer == "/version" {
            let message = "This version of the manifest language is not known.".to_owned();
            let hint = "write `version: 1`, or install a newer mcpkeel".to_owned();
            return self.add("version", pointer, On::Value, message, Some(hint));
        }
        let message = format!("{} must be {side} {limit}.", named(pointer));
        self.add("out-of-range", pointer, On::Value, message, None);
    }
}

/// The candidate that was probably meant; long words and long lists are not worth the time.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let candidates: Vec<&str> = candidates.into_iter().filter(|name| name.len() <= 64).take(1000).collect();
    let longer =
        |name: &&&str| word.len() >= 3 && name.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'));
    closest(word, candidates.iter().copied()).or_else(|| candidates.iter().find(longer).copied())
}

/// `a`, `b` or `c`.
pub fn or(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// `a`, `b` and `c`.
pub fn and(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// The section in which a key that stands at the top is known.
fn owner(key: &str) -> Option<String> {
    ["servers.*", "clients.*", "gateway", "supervisor", "settings"].into_iter().find_map(|path| {
        let schema = schema::at(path.split('.'))?;
        schema::keys(&schema).contains(&key).then(|| format!("{}.{key}", path.replace('*', "NAME")))
    })
}

/// A place in words: `servers.github.args`.
fn named(pointer: &str) -> String {
    let steps = steps(pointer);
    match &steps[..] {
        [] => "The manifest".into(),
        steps => format!("`{}`", shown(&dotted(steps))),
    }
}

fn dotted(steps: &[String]) -> String {
    let mut out = String::new();
    for step in steps {
        match is_index(step) && !out.is_empty() {
            true => out += &format!("[{step}]"),
            false if out.is_empty() => out.push_str(step),
            false => {
                out.push('.');
                out.push_str(step);
            }
        }
    }
    out
}

/// What sort of map the steps lead to.
fn container(steps: &[String]) -> String {
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    match &steps[..] {
        [] => "the manifest".into(),
        ["servers", name] => format!("the server `{}`", shown(name)),
        ["clients", name] => format!("the client `{}`", shown(name)),
        ["secrets", name] => format!("the secret `{}`", shown(name)),
        ["policies", at] => format!("policy {}", at.parse::<usize>().map_or(0, |at| at + 1)),
        steps => format!("`{}`", shown(&dotted(&steps.iter().map(ToString::to_string).collect::<Vec<_>>()))),
    }
}

fn options(schema: &Map<String, Value>) -> Vec<String> {
    let words = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    words.filter_map(Value::as_str).map(|word| format!("`{word}`")).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn legal_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' })
        .take(64)
        .collect();
    name.trim_matches(['-', '_']).to_owned()
}

fn is_index(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit())
}

fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// A key as a step of a JSON pointer.
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match text.chars().nth(1) {
        Some(second) if second.is_uppercase() => text.to_owned(),
        _ => chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect()),
    }
}
