//! The typed path, the schema and the committed schema file say the same.

use std::fs;

use mcpkeel::manifest::{self, schema};
use serde_json::{Value, json};

use crate::support::repo;

/// One manifest that uses everything.
const FULL: &str = r##"
version: 1
include: [team/*.yaml]
source: { git: "https://x.dev/me/dotfiles", branch: main, path: ai/mcp.yaml, interval: 5m, verify: { ssh: allowed_signers } }
vars: { projects: "${home}/src", port: 8080 }
secrets:
  a: { keyring: a }
  b: { age: secrets/b.age }
  c: { env: C }
  d: { command: [op, read, "op://Work/mcp/token"] }
  e: { file: ~/.token }
servers:
  github:
    description: Repositories
    category: development
    package: { npm: "@x/y", version: 2025.4.8, args: [--port, 8080] }
    env: { TOKEN: "${secret:a}", N: 1.10 }
    tools: { allow: [x], deny: [delete_*] }
    enabled: false
    protect: true
    extra: { cursor: { timeout: 5, nested: [null, { a: 1.0 }] } }
  time: { command: uvx, args: [a, 1, true], cwd: /tmp }
  linear: { url: "https://x.dev/mcp", headers: { A: b }, transport: sse }
  notes:
    source: { git: o/r, version: v1, build: [[npm, ci]], run: [node, x] }
    when: { os: [linux, macos], host: work-*, user: [me], env: { CI: true } }
groups: { everyday: [github, time] }
clients:
  cursor: { servers: ["*"], except: [notes], disabled: [time], delivery: gateway, tools: { github: { deny: [a] } }, drift: report, unmanaged: keep, exclusive: false, secrets: write, when: { os: linux } }
  work: { client: zed, scope: project, root: ~/src, path: ~/x.json }
  mine:
    client:
      name: Mine
      format: jsonc
      path: { linux: ~/.my/mcp.json, macos: [a, b] }
      project: { path: .my/mcp.json, root: /servers }
      root: /mcpServers
      stdio: { command: "{command}", fixed: null }
      always: [args]
      disable: { field: /disabled, value: true }
      tools: { allow: /tools, patterns: true }
      variables: { env: "${NAME}", fields: [env], expands: ["$NAME"] }
      names: { lowercase: true, max: 20 }
      lock: { dir: "{file}.lock", stale_seconds: 10 }
      symlink: keeps
      reload: { mode: hot }
      new_file: { version: 1 }
    servers: [time]
policies:
  - { name: no deletes, scope: global, resourceType: tool, pattern: "*delete*", action: deny, priority: 100, enabled: true }
gateway: { listen: "127.0.0.1:3847", names: prefix, rate_limit: 100/min, autostart: true }
supervisor: { health_check: { enabled: true, interval: 30s, timeout: 5s }, restart: { backoff: 1s..60s, give_up_after: 10 } }
settings: { drift: repair, unmanaged: keep, delivery: auto, backups: { keep: 50 }, age: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p], identity: ~/.age }, program: mcpkeel, approve: manual, watch: { debounce: 30ms, max_wait: 1s, interval: 10m }, notify: [{ webhook: "https://x.dev/hook", key: "${secret:a}", on: [stalled] }, { command: [tell, 1], desktop: false }] }
"##;

/// Both verdicts on a manifest in JSON: accepted by the typed path, accepted by the schema.
fn verdicts(value: &Value) -> (bool, bool) {
    let bytes = value.to_string().into_bytes();
    let typed = manifest::parse("mcp.yaml", bytes.clone());
    if !typed.diagnostics.is_empty() {
        // The schema was asked as well; only it can have accepted when nothing better is said than this.
        return (false, typed.diagnostics.iter().any(|d| d.code == "invalid"));
    }
    (true, manifest::validate_fully("mcp.yaml", bytes).diagnostics.is_empty())
}

#[test]
fn the_full_example_passes_both_ways() {
    let parsed = manifest::validate_fully("mcp.yaml", FULL.into());
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
    let manifest = parsed.manifest.expect("a manifest");
    assert_eq!(manifest.vars["port"], "8080");
    assert_eq!(manifest.servers["github"].env["N"].0, "1.10");
    assert_eq!(manifest.servers["time"].args, ["a", "1", "true"]);
    assert_eq!(manifest.servers["github"].package.as_ref().unwrap().args, ["--port", "8080"]);
    assert_eq!(manifest.servers["github"].extra["cursor"]["nested"], json!([null, {"a": 1.0}]));
}

/// Replaces, removes and adds at every place of the full example.
#[test]
fn typed_path_and_schema_agree_on_every_mutation() {
    let whole: Value = serde_yaml::from_str(FULL).expect("the full example");
    let others = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!(3.0),
        json!(1e300),
        json!(99_999_999_999_u64),
        json!("x"),
        json!(""),
        json!([]),
        json!(["x"]),
        json!([1]),
        json!([null]),
        json!([[]]),
        json!({}),
        json!({"x": 1}),
        json!({"x": "y"}),
    ];
    let mut disagreements = Vec::new();
    let mut check = |what: String, value: &Value| {
        let (typed, schema) = verdicts(value);
        if typed != schema {
            disagreements.push(format!("{what}: typed {typed}, schema {schema}"));
        }
    };
    for pointer in pointers(&whole, String::new()) {
        for other in &others {
            let mut changed = whole.clone();
            *changed.pointer_mut(&pointer).expect("there") = other.clone();
            check(format!("{pointer} = {other}"), &changed);
        }
        let mut changed = whole.clone();
        let (parent, last) = pointer.rsplit_once('/').unwrap_or_default();
        if let Some(Value::Object(members)) = changed.pointer_mut(parent) {
            let value = members.shift_remove(&last.replace("~1", "/"));
            check(format!("without {pointer}"), &changed);
            if let Some(Value::Object(members)) = changed.pointer_mut(parent) {
                members.insert(format!("{last}x y"), value.unwrap_or_default());
            }
            check(format!("{pointer} renamed"), &changed);
        }
    }
    assert!(disagreements.is_empty(), "{} disagreements:\n{}", disagreements.len(), disagreements.join("\n"));
}

fn pointers(value: &Value, at: String) -> Vec<String> {
    let inner: Vec<String> = match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| pointers(value, format!("{at}/{}", key.replace('/', "~1"))))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, value)| pointers(value, format!("{at}/{index}")))
            .collect(),
        _ => Vec::new(),
    };
    std::iter::once(at).filter(|at| !at.is_empty()).chain(inner).collect()
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = repo().join("schema/manifest.schema.json");
    if std::env::var_os("MCPKEEL_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(&path, schema::text()).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema::text(),
        "schema/manifest.schema.json is stale; run MCPKEEL_BLESS=1 cargo test"
    );
}

#[test]
fn the_schema_is_one_that_editors_can_use() {
    assert!(jsonschema::meta::is_valid(schema::schema()));
    let text = schema::text();
    for word in ["\"null\"", "oneOf", "\"format\": \"uint"] {
        assert!(!text.contains(word), "{word} in the schema");
    }
    let mut bare = Vec::new();
    for (name, definition) in schema::schema()["$defs"].as_object().expect("definitions") {
        for (field, value) in definition["properties"].as_object().into_iter().flatten() {
            if value.get("description").is_none() {
                bare.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(bare.is_empty(), "without description: {bare:?}");
}

/// Where the schema takes numbers for texts, the reader keeps them as they are written.
#[test]
fn texts_are_taken_as_written_wherever_the_schema_says_so() {
    fn walk(
        schema: &serde_json::Map<String, Value>,
        path: &mut Vec<String>,
        found: &mut Vec<String>,
        depth: usize,
    ) {
        if depth > 7 || path.iter().any(|step| step == "client" || step == "extra") {
            return;
        }
        if schema.get("type").is_some_and(|types| types.as_array().is_some_and(|all| all.len() == 3)) {
            found.push(path.join("."));
        }
        let mut into = |step: &str| {
            if let Some(inner) = schema::below(schema, step) {
                path.push(step.into());
                walk(&inner, path, found, depth + 1);
                path.pop();
            }
        };
        schema::keys(schema).iter().for_each(|key| into(key));
        if schema::keys(schema).is_empty() {
            into("*");
        }
    }
    let mut found = Vec::new();
    walk(&schema::resolved(schema::schema()), &mut Vec::new(), &mut found, 0);
    let mut expected: Vec<String> = manifest::TEXTS.iter().map(|path| path.join(".")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
