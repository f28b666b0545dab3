//! `mcpkeel explain PATH`: what the schema says about one field, in words.
//!
//! Invariant: everything said here comes from the schema, so it cannot be out of date.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::schema;
use super::tree::shown;
use super::validate::{or, suggest};
use crate::base::Diagnostic;

/// The documentation of a field such as `servers.command`, `clients.drift` or
/// `servers.*.tools.deny`; of the whole manifest for an empty path. Names of users' own may be left out.
pub fn explain(path: &str) -> Result<String, Box<Diagnostic>> {
    let steps: Vec<&str> = path.split(['.', '/']).filter(|step| !step.is_empty()).take(64).collect();
    let mut schema = schema::resolved(schema::schema());
    let mut walked: Vec<&str> = Vec::new();
    let mut required = false;
    for step in steps {
        let known = schema::keys(&schema).contains(&step);
        if !known && let Some(values) = own_names(&schema) {
            walked.push("*");
            schema = values;
            // `*` and names stand for what was just entered; anything else is a field of it.
            if step == "*" || !knows(&schema, step) {
                continue;
            }
        }
        required = is_required(&schema, step);
        schema = match schema::below(&schema, step) {
            Some(below) => below,
            None => return Err(Box::new(unknown(&schema, &walked, step))),
        };
        walked.push(step);
    }
    Ok(page(&walked, &schema, required))
}

/// The schema behind names of users' own or items of a list.
fn own_names(schema: &Map<String, Value>) -> Option<Map<String, Value>> {
    let values = schema.get("additionalProperties").filter(|values| values.is_object());
    let items = schema.get("items").filter(|items| resolves_to_map(items));
    values.or(items).map(schema::resolved)
}

fn resolves_to_map(items: &Value) -> bool {
    schema::resolved(items).contains_key("properties")
}

fn knows(schema: &Map<String, Value>, step: &str) -> bool {
    schema::below(schema, step).is_some() && !step.bytes().all(|b| b.is_ascii_digit())
}

fn is_required(schema: &Map<String, Value>, step: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|name| name == step))
}

fn unknown(schema: &Map<String, Value>, walked: &[&str], step: &str) -> Diagnostic {
    let place = match walked {
        [] => "the manifest".to_owned(),
        walked => format!("`{}`", walked.join(".")),
    };
    let keys = every_key(schema);
    let hint = match suggest(step, keys.iter().map(String::as_str)) {
        Some(meant) => {
            let path: Vec<&str> = walked.iter().copied().chain([meant]).collect();
            format!("did you mean `mcpkeel explain {}`?", path.join("."))
        }
        None if keys.is_empty() => format!("{place} has no fields"),
        None => format!("known there: {}", keys.join(", ")),
    };
    Diagnostic::error("unknown-field", format!("There is no `{}` in {place}.", shown(step))).hint(hint)
}

/// Keys of a map, or of the maps among several shapes.
fn every_key(schema: &Map<String, Value>) -> Vec<String> {
    let own = schema::keys(schema).into_iter().map(str::to_owned);
    let branches = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    own.chain(branches.flat_map(|branch| every_key(&schema::resolved(branch)))).collect()
}

fn page(path: &[&str], schema: &Map<String, Value>, required: bool) -> String {
    let mut out = match path {
        [] => "mcp.yaml\n".to_owned(),
        path => format!("{}\n", path.join(".")),
    };
    if let Some(text) = schema.get("description").and_then(Value::as_str) {
        let _ = writeln!(out, "  {}", text.replace("\n\n", "\n  "));
    }
    out.push('\n');
    let _ = writeln!(out, "  type      {}", type_of(schema));
    if required {
        out.push_str("  needed    yes\n");
    }
    if let Some(default) = schema.get("default") {
        let _ = writeln!(out, "  default   {}", written(default));
    }
    if let Some(names) = schema.get("propertyNames").and_then(|names| names.get("maxLength")) {
        let _ = writeln!(out, "  names     letters, digits, `_` and `-`, at most {names}");
    }
    for example in schema.get("examples").and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(out, "  example   {}", written(example));
    }
    let options = schema.get("enum").and_then(Value::as_array);
    if let Some(options) = options {
        list(
            &mut out,
            "allowed",
            options.iter().enumerate().map(|(index, option)| {
                let meaning = schema.get("enumDescriptions").and_then(|all| all.get(index));
                (written(option), meaning.and_then(Value::as_str).unwrap_or_default().to_owned())
            }),
        );
    }
    let inner = if schema.contains_key("properties") {
        schema.clone()
    } else {
        own_names(schema).unwrap_or_default()
    };
    let inner = if inner.is_empty() { branch_with_fields(schema) } else { inner };
    let fields = inner.get("properties").and_then(Value::as_object).into_iter().flatten();
    let title = if schema.contains_key("properties") { "fields" } else { "fields of each" };
    list(
        &mut out,
        title,
        fields.map(|(name, field)| {
            let field = schema::resolved(field);
            let text = field.get("description").and_then(Value::as_str).unwrap_or_default();
            (name.clone(), text.split("\n\n").next().unwrap_or_default().to_owned())
        }),
    );
    out
}

fn branch_with_fields(schema: &Map<String, Value>) -> Map<String, Value> {
    let branches = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    branches.map(schema::resolved).find(|branch| branch.contains_key("properties")).unwrap_or_default()
}

fn list(out: &mut String, title: &str, lines: impl Iterator<Item = (String, String)>) {
    let lines: Vec<(String, String)> = lines.collect();
    let Some(width) = lines.iter().map(|(name, _)| name.chars().count()).max() else { return };
    let _ = writeln!(out, "\n  {title}");
    for (name, text) in lines {
        let _ = writeln!(out, "{}", format!("    {name:width$}  {text}").trim_end());
    }
}

fn type_of(schema: &Map<String, Value>) -> String {
    if schema.contains_key("enum") {
        return "one word of those allowed".into();
    }
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        let words: Vec<String> = branches.iter().map(|branch| type_of(&schema::resolved(branch))).collect();
        return or(&words);
    }
    let names = own_names(schema);
    match (schema.get("type").and_then(Value::as_str), names) {
        (Some("object"), Some(values)) => {
            let inner = schema::wording(&values);
            format!(
                "a map of names to {}",
                if inner.starts_with("one of") {
                    "words"
                } else {
                    inner.strip_prefix("a ").map_or(inner.as_str(), |_| &inner)
                }
            )
        }
        _ if schema.get("type").is_some_and(|types| types.as_array().is_some_and(|all| all.len() > 1)) => {
            "a text, number or truth value, taken as it is written".into()
        }
        _ => schema::wording(schema),
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_with_and_without_names_of_users_own() {
        for path in ["servers.command", "servers.*.command", "servers.github.command", "/servers/x/command"] {
            let page = explain(path).unwrap_or_else(|problem| panic!("{path}: {}", problem.message));
            assert!(page.starts_with("servers.*.command\n  The program to run"), "{page}");
        }
        for path in [
            "",
            "servers",
            "clients.drift",
            "servers.*.tools.deny",
            "policies.action",
            "clients.client.stdio",
        ] {
            assert!(explain(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn asks_back_for_a_typo() {
        let problem = explain("settings.drft").expect_err("unknown");
        assert_eq!(problem.hint.as_deref(), Some("did you mean `mcpkeel explain settings.drift`?"));
        assert!(explain("nonsense").is_err() && explain("version.x").is_err());
    }
}
