use serde_json::{Map, Value};

use super::super::super::failure::Failure;
use super::super::super::session::Session;

/// The arguments that are given as a whole: JSON, a file with it, or standard input.
pub fn whole(session: &Session<'_>, given: Option<&str>) -> Result<Map<String, Value>, Failure> {
    let Some(given) = given else { return Ok(Map::new()) };
    let text = match given.strip_prefix('@') {
        Some(file) => {
            let path = session.system.cwd().unwrap_or_default().join(file);
            let bytes = session.system.read(&path);
            bytes.map_err(|error| Failure::failed(format!("`{file}` cannot be read: {error}")))?
        }
        None if given == "-" => {
            let input = session.system.read_input();
            let input = input.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
            input.expose().clone()
        }
        None => given.as_bytes().to_vec(),
    };
    match serde_json::from_slice(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(usage("the arguments are JSON, but no object", "write them like `{\"name\": 1}`")),
        Err(error) => Err(usage(
            &format!("the arguments are not JSON: {error}"),
            "write them like `{\"name\": 1}`, or each with `--arg name=value`",
        )),
    }
}

/// Each argument's name and text.
pub fn given(args: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let pair = |arg: &String| match arg.split_once('=') {
        Some((name, text)) if !name.is_empty() => Ok((name.to_owned(), text.to_owned())),
        _ => Err(usage(&format!("`{arg}` is no argument"), "write it like `--arg name=value`")),
    };
    args.iter().map(pair).collect()
}

/// A text as the value that the tool's schema wants; a text where it does not say.
pub fn typed(schema: Option<&Value>, name: &str, text: &str) -> Result<Value, Failure> {
    let property = schema.map(|schema| &schema["properties"][name]);
    let mut types = Vec::new();
    if let Some(property) = property {
        collect(property, &mut types);
    }
    let takes_text = types.is_empty() || types.contains(&"string");
    let wanted: Vec<&str> = types.into_iter().filter(|kind| *kind != "string").collect();
    let value = serde_json::from_str::<Value>(text).ok();
    match value.filter(|value| wanted.iter().any(|kind| is_of(value, kind))) {
        Some(value) => Ok(value),
        None if takes_text => Ok(Value::from(text)),
        None => Err(usage(
            &format!("`{name}` is to be {}, not `{text}`", wanted.join(" or ")),
            "lists and objects are written as JSON",
        )),
    }
}

/// The types that a schema names for a value.
fn collect<'s>(schema: &'s Value, types: &mut Vec<&'s str>) {
    match &schema["type"] {
        Value::String(kind) => types.push(kind),
        Value::Array(kinds) => types.extend(kinds.iter().filter_map(Value::as_str)),
        _ => {}
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        schema[word].as_array().into_iter().flatten().for_each(|one| collect(one, types));
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|it| it.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn usage(message: &str, hint: &str) -> Failure {
    Failure::Usage { message: message.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_become_what_the_schema_says() {
        let schema = json!({ "properties": {
            "count": { "type": "integer" }, "ratio": { "type": "number" }, "on": { "type": "boolean" },
            "tags": { "type": "array" }, "more": { "type": "object" }, "name": { "type": "string" },
            "either": { "type": ["string", "number"] }, "maybe": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
            "free": {},
        } });
        let typed = |name: &str, text: &str| typed(Some(&schema), name, text).ok();
        for (name, text, expected) in [
            ("count", "3", Some(json!(3))),
            ("count", "x", None),
            ("count", "1.5", None),
            ("ratio", "1.5", Some(json!(1.5))),
            ("on", "true", Some(json!(true))),
            ("on", "yes", None),
            ("tags", "[\"a\"]", Some(json!(["a"]))),
            ("tags", "a", None),
            ("more", "{\"a\": 1}", Some(json!({ "a": 1 }))),
            ("name", "3", Some(json!("3"))),
            ("either", "3", Some(json!(3))),
            ("either", "three", Some(json!("three"))),
            ("maybe", "null", Some(json!(null))),
            ("maybe", "", None),
            ("free", "3", Some(json!("3"))),
            ("other", "true", Some(json!("true"))),
        ] {
            assert_eq!(typed(name, text), expected, "{name}={text}");
        }
    }
}
