//! The JSON schema of the manifest, generated from [`super::model`].
//!
//! Invariant: `schema/manifest.schema.json` is exactly [`text`]; a test fails when it is stale. No
//! field takes nothing (`null`), so no field needs an `anyOf` to say so; choices are plain enums.
//!
//! [`at`] finds the schema that governs a place, for messages and for `mcpkeel explain`.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::model::Manifest;

/// Where the committed schema can be had.
const ID: &str = "urn:mcpkeel:manifest:1";

/// The schema (draft 2020-12).
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(generate)
}

/// The schema as the committed file holds it.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

fn generate() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<Manifest>().to_value();
    plain(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("$id".into(), ID.into());
        root.insert(
            "patternProperties".into(),
            json!({ r"^(x-.*|\$schema)$": { "description": "Left alone: for editors, and for anchors of your own." } }),
        );
        for section in ["vars", "secrets", "servers", "groups", "clients"] {
            if let Some(Value::Object(map)) = root.get_mut("properties").and_then(|all| all.get_mut(section))
            {
                map.insert(
                    "propertyNames".into(),
                    json!({ "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$", "maxLength": 64 }),
                );
            }
        }
    }
    for (name, fields) in POINTERS {
        for field in *fields {
            let place = schema.pointer_mut(&format!("/$defs/{name}/properties/{field}"));
            if let Some(Value::Object(field)) = place {
                field.insert("pattern".into(), "^(/.*)?$".into());
            }
        }
    }
    schema
}

/// Fields of client rows that hold JSON pointers.
const POINTERS: &[(&str, &[&str])] = &[
    ("Row", &["root"]),
    ("Project", &["root"]),
    ("Disable", &["field", "list"]),
    ("Tools", &["allow", "deny"]),
    ("Variables", &["pass_names", "header_names", "bearer_name"]),
];

/// Makes generated schemas plain: no null, enums instead of `oneOf`, whole sentences on one line.
fn plain(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(members) => {
            without_null(members);
            as_enum(members);
            limits(members);
            let is_empty = |value: &Value| match value {
                Value::Null => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(_) => true,
                _ => false,
            };
            if members.get("default").is_some_and(is_empty) {
                members.shift_remove("default");
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text =
                    text.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
            }
            for (key, value) in members.iter_mut() {
                if !matches!(key.as_str(), "examples" | "default" | "enum" | "const") {
                    plain(value);
                }
            }
        }
        _ => {}
    }
}

fn without_null(members: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            members.insert("type".into(), only);
        }
    }
    let Some(Value::Array(branches)) = members.get_mut("anyOf") else { return };
    branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = &branches[..] {
        let only = only.clone();
        members.shift_remove("anyOf");
        for (key, value) in only {
            members.entry(key).or_insert(value);
        }
    }
}

/// `oneOf` constants, or several `enum`s side by side, become one enum with its descriptions.
fn as_enum(members: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = members.get("oneOf") else { return };
    let mut names = Vec::new();
    let mut meanings = Vec::new();
    for branch in branches {
        let meaning = branch.get("description").cloned().unwrap_or_else(|| "".into());
        match (branch.get("const"), branch.get("enum")) {
            (Some(name), _) => {
                names.push(name.clone());
                meanings.push(one_line(&meaning));
            }
            (None, Some(Value::Array(several))) => {
                meanings.extend(several.iter().map(|_| one_line(&meaning)));
                names.extend(several.iter().cloned());
            }
            _ => return,
        }
    }
    members.shift_remove("oneOf");
    members.insert("type".into(), "string".into());
    members.insert("enum".into(), names.into());
    members.insert("enumDescriptions".into(), meanings.into());
}

fn one_line(text: &Value) -> Value {
    text.as_str().unwrap_or_default().replace('\n', " ").into()
}

/// The range of Rust's integers, which their `format` alone does not enforce.
fn limits(members: &mut Map<String, Value>) {
    let (min, max) = match members.get("format").and_then(Value::as_str) {
        Some("uint8") => (json!(0), json!(u8::MAX)),
        Some("uint16") => (json!(0), json!(u16::MAX)),
        Some("uint32") => (json!(0), json!(u32::MAX)),
        Some("uint64" | "uint") => (json!(0), json!(u64::MAX)),
        Some("int64") => (json!(i64::MIN), json!(i64::MAX)),
        _ => return,
    };
    members.shift_remove("format");
    members.entry("minimum").or_insert(min);
    members.entry("maximum").or_insert(max);
}

/// A schema with its reference followed; what stands beside the reference wins.
pub fn resolved(schema: &Value) -> Map<String, Value> {
    let members = schema.as_object().into_iter().flatten().filter(|(key, _)| *key != "$defs");
    let mut all: Map<String, Value> = members.map(|(key, value)| (key.clone(), value.clone())).collect();
    while let Some(Value::String(reference)) = all.shift_remove("$ref") {
        let target = reference.strip_prefix('#').and_then(|pointer| self::schema().pointer(pointer));
        for (key, value) in target.and_then(Value::as_object).cloned().unwrap_or_default() {
            all.entry(key).or_insert(value);
        }
    }
    all
}

/// The schema that governs the place a value's steps lead to. Names of users' own and numbers of items
/// are steps like any other; where several shapes are possible the one that knows the step is taken.
pub fn at<'s>(steps: impl IntoIterator<Item = &'s str>) -> Option<Map<String, Value>> {
    steps.into_iter().try_fold(resolved(schema()), |schema, step| below(&schema, step))
}

/// One step further.
pub fn below(schema: &Map<String, Value>, step: &str) -> Option<Map<String, Value>> {
    if let Some(property) = schema.get("properties").and_then(|all| all.get(step)) {
        return Some(resolved(property));
    }
    if let Some(values) =
        schema.get("additionalProperties").filter(|values| values.is_object() || **values == true)
    {
        return Some(resolved(values));
    }
    if let Some(items) = schema.get("items")
        && (step == "*" || step.bytes().all(|b| b.is_ascii_digit()))
    {
        return Some(resolved(items));
    }
    let branches = schema.get("anyOf").and_then(Value::as_array)?;
    branches.iter().find_map(|branch| below(&resolved(branch), step))
}

/// The keys that may stand in a map with this schema.
pub fn keys(schema: &Map<String, Value>) -> Vec<&str> {
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    own.map(String::as_str).collect()
}

/// A schema's type in a person's words, for "must be ..".
pub fn wording(schema: &Map<String, Value>) -> String {
    if schema.contains_key("enum") {
        return "one of the words below".into();
    }
    if let Some(Value::Array(branches)) = schema.get("anyOf") {
        let words: Vec<String> = branches.iter().map(|branch| wording(&resolved(branch))).collect();
        return words.join(" or ");
    }
    match schema.get("type") {
        Some(Value::String(name)) => match name.as_str() {
            "array" => match schema.get("items").map(resolved) {
                Some(items) if items.contains_key("enum") => "a list of such words".into(),
                Some(items) => format!("a list of {}", plural(&wording(&items))),
                None => "a list".into(),
            },
            "object" => "a map".into(),
            name => type_name(name).into(),
        },
        Some(Value::Array(names)) if names.iter().any(|name| name == "string") => "a text".into(),
        _ => "any value".into(),
    }
}

fn plural(word: &str) -> String {
    let word = word.strip_prefix("a ").unwrap_or(word);
    match word.split_once(" of ") {
        Some((first, rest)) => format!("{first}s of {rest}"),
        None => format!("{word}s"),
    }
}

/// A JSON type in a person's words.
pub fn type_name(name: &str) -> &'static str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a map",
        _ => "nothing",
    }
}
