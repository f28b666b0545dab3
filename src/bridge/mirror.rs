//! The headers in which a request of the 2026 era says again what its body says, so that others on the way
//! need not read it: the method, the name, and the parameters that a tool's schema marks with `x-mcp-header`.
//!
//! Source: specification 2026-07-28, basic/transports/streamable-http, "Request Metadata".

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::json::{self, Members};
use super::message::{Kind, Message};

/// The member of `_meta` that makes a request one of the 2026 era.
pub const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The largest whole number that survives a double, and so may stand in a header.
const SAFE: i64 = (1 << 53) - 1;

/// The version of the protocol that a request of the 2026 era names.
pub fn version(message: &Message) -> Option<String> {
    message.params()?.object("_meta")?.text(VERSION)
}

/// The tools whose parameters are said again, by name.
#[derive(Default)]
pub struct Mirrors(BTreeMap<String, Vec<Mirror>>);

/// A parameter that is said again.
#[derive(Debug)]
struct Mirror {
    header: HeaderName,
    path: Vec<String>,
}

impl Mirrors {
    /// Learns from a list of tools, and takes out of it those whose marks are wrong, as the specification
    /// asks; returns the message and why each was taken out.
    pub fn learn(&mut self, message: Message) -> (Message, Vec<String>) {
        let Some(list) = tools(&message) else { return (message, Vec::new()) };
        let Some(definitions) = json::elements(list) else { return (message, Vec::new()) };
        let mut faults = Vec::new();
        let mut kept = Vec::new();
        for definition in &definitions {
            match self.learn_one(definition) {
                Ok(()) => kept.push(*definition),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            return (message, faults);
        }
        let text = json::splice(&message.text, list, &format!("[{}]", kept.join(",")));
        (Message { text, kind: message.kind }, faults)
    }

    fn learn_one(&mut self, definition: &str) -> Result<(), String> {
        let Some(members) = Members::of(definition) else { return Ok(()) };
        let Some(name) = members.text("name") else { return Ok(()) };
        let schema = members.get("inputSchema").unwrap_or("{}");
        if !schema.contains("x-mcp-header") {
            self.0.remove(&name);
            return Ok(());
        }
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        let mut scan = Scan::default();
        scan.visit(&schema, &mut Vec::new(), true)
            .map_err(|why| format!("the tool `{name}` is left out: {why}"))?;
        self.0.insert(name, scan.found);
        Ok(())
    }

    /// The headers of a request of the 2026 era.
    pub fn headers(&self, message: &Message, version: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        put(&mut headers, HeaderName::from_static("mcp-protocol-version"), version);
        let Kind::Request(_, method) = &message.kind else { return headers };
        put(&mut headers, HeaderName::from_static("mcp-method"), method);
        let source = match method.as_str() {
            "tools/call" | "prompts/get" => "name",
            "resources/read" => "uri",
            "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
            _ => return headers,
        };
        let Some(params) = message.params() else { return headers };
        let Some(name) = params.text(source) else { return headers };
        put(&mut headers, HeaderName::from_static("mcp-name"), &name);
        if method == "tools/call"
            && let Some(mirrors) = self.0.get(&name)
        {
            for mirror in mirrors {
                if let Some(value) = value_at(params.get("arguments"), &mirror.path) {
                    put(&mut headers, mirror.header.clone(), &value);
                }
            }
        }
        headers
    }
}

/// The parameters of one tool that are said again.
#[derive(Clone, Debug)]
pub struct Said(std::sync::Arc<Vec<Mirror>>);

impl Said {
    /// Of a tool's definition; none when none are, or their marks are wrong.
    pub fn of(definition: &str) -> Option<Self> {
        if !definition.contains("x-mcp-header") {
            return None;
        }
        let mut mirrors = Mirrors::default();
        mirrors.learn_one(definition).ok()?;
        let found = mirrors.0.into_values().next()?;
        (!found.is_empty()).then(|| Self(std::sync::Arc::new(found)))
    }

    /// Each header, and what the arguments of a call say it holds; nothing where they leave it out.
    pub fn said(&self, arguments: Option<&str>) -> Vec<(HeaderName, Option<String>)> {
        let said = |mirror: &Mirror| (mirror.header.clone(), value_at(arguments, &mirror.path));
        self.0.iter().map(said).collect()
    }
}

/// The array of tools in an answer.
fn tools(message: &Message) -> Option<&str> {
    Members::of(Members::of(&message.text)?.get("result")?)?.get("tools")
}

fn value_at(arguments: Option<&str>, path: &[String]) -> Option<String> {
    let mut value = arguments?;
    for step in path {
        value = Members::of(value)?.get(step)?;
    }
    match value.as_bytes().first()? {
        b'"' => json::text(value),
        b't' | b'f' => Some(value.to_owned()),
        b'n' | b'{' | b'[' => None,
        _ => {
            let number: serde_json::Number = serde_json::from_str(value).ok()?;
            match number.as_i64() {
                Some(whole) if (-SAFE..=SAFE).contains(&whole) => Some(whole.to_string()),
                Some(_) => None,
                None => number.as_f64().filter(|number| number.is_finite()).map(|number| number.to_string()),
            }
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(encode(value)) {
        headers.insert(name, value);
    }
}

/// A value as it may stand in a header.
fn encode(value: &str) -> String {
    let is_plain = !value.is_empty()
        && value.trim() == value
        && value.bytes().all(|byte| byte == b'\t' || (0x20..=0x7e).contains(&byte))
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if is_plain { value.to_owned() } else { format!("=?base64?{}?=", BASE64.encode(value)) }
}

/// A walk through a schema.
#[derive(Default)]
struct Scan {
    found: Vec<Mirror>,
    seen: BTreeSet<String>,
}

impl Scan {
    fn visit(&mut self, node: &Value, path: &mut Vec<String>, reachable: bool) -> Result<(), String> {
        let Some(schema) = node.as_object() else { return Ok(()) };
        let at = || if path.is_empty() { "its schema".to_owned() } else { path.join(".") };
        if let Some(mark) = schema.get("x-mcp-header") {
            if !reachable || path.is_empty() {
                return Err(format!("{}: x-mcp-header stands where no parameter is", at()));
            }
            let name = mark.as_str().filter(|name| !name.is_empty());
            let header = name.and_then(|name| HeaderName::try_from(format!("mcp-param-{name}")).ok());
            let Some(header) = header else { return Err(format!("{}: x-mcp-header is no name", at())) };
            if !matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
                return Err(format!("{}: x-mcp-header is for a string, integer or boolean", at()));
            }
            if !self.seen.insert(header.as_str().to_owned()) {
                return Err(format!("{}: the same x-mcp-header stands twice", at()));
            }
            self.found.push(Mirror { header, path: path.clone() });
        }
        for (key, child) in schema {
            match (key.as_str(), child) {
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        path.push(name.clone());
                        self.visit(property, path, reachable)?;
                        path.pop();
                    }
                }
                (
                    "patternProperties" | "dependentSchemas" | "$defs" | "definitions",
                    Value::Object(schemas),
                ) => {
                    self.visit_all(schemas.values(), path)?;
                }
                (
                    "items" | "prefixItems" | "contains" | "additionalProperties" | "unevaluatedProperties",
                    _,
                )
                | ("unevaluatedItems" | "propertyNames" | "oneOf" | "anyOf" | "allOf", _)
                | ("not" | "if" | "then" | "else", _) => match child {
                    Value::Array(schemas) => self.visit_all(schemas.iter(), path)?,
                    schema => self.visit(schema, path, false)?,
                },
                _ => {}
            }
        }
        Ok(())
    }

    fn visit_all<'a>(
        &mut self,
        schemas: impl Iterator<Item = &'a Value>,
        path: &mut Vec<String>,
    ) -> Result<(), String> {
        schemas.into_iter().try_for_each(|schema| self.visit(schema, path, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Message {
        Message::read(text).remove(0).expect("a message")
    }

    /// The table of the specification.
    #[test]
    fn encodes_values_as_the_specification_shows() {
        for (value, encoded) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(encode(value), encoded);
        }
    }

    #[test]
    fn says_again_what_a_schema_marks() {
        let mut mirrors = Mirrors::default();
        let list = r#"{"id":1,"result":{"tools":[
            {"name":"q","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"},
              "deep":{"properties":{"n":{"type":"integer","x-mcp-header":"N"},"b":{"type":"boolean","x-mcp-header":"B"}}}}}},
            {"name":"bad","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}},
            {"name":"worse","inputSchema":{"properties":{"l":{"items":{"type":"string","x-mcp-header":"A"}}}}},
            {"name":"plain","inputSchema":{}}]}}"#;
        let (list, faults) = mirrors.learn(read(list));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(!list.text.contains("\"bad\"") && list.text.contains("\"plain\""));

        let call = read(
            r#"{"id":1,"method":"tools/call","params":{"name":"q","arguments":{"region":"é","deep":{"n":42,"b":null}}}}"#,
        );
        let headers = mirrors.headers(&call, "2026-07-28");
        let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
        assert_eq!(get("mcp-protocol-version"), "2026-07-28");
        assert_eq!(get("mcp-method"), "tools/call");
        assert_eq!(get("mcp-name"), "q");
        assert_eq!(get("mcp-param-region"), "=?base64?w6k=?=");
        assert_eq!(get("mcp-param-n"), "42");
        assert_eq!(get("mcp-param-b"), "none");
    }
}
