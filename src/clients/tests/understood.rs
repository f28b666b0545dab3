//! Reading is the inverse of rendering, and understands what people wrote by hand.

use proptest::prelude::*;

use super::*;
use crate::clients::shape::Token;

/// What `client` should read back after `asked` was rendered for it.
fn expected(client: &Client, asked: &Wanted, rendered: &Rendered, found: &Found) -> Wanted {
    let mut asked = asked.clone();
    let kept = match &asked.launch {
        Launch::Stdio { .. } => client.stdio.as_ref(),
        Launch::Http { .. } => client.http.as_ref(),
        Launch::Sse { .. } => client.sse.as_ref(),
    };
    let kept = kept.expect("it was rendered");
    if kept.shape.leaf(Token::Description).is_none() {
        asked.description = None;
    }
    asked.tools = asked.tools.fit(&kept.filters).expect("it was rendered");
    // Where both remote transports look the same, the first is as good as the second.
    let same = client.row.http == client.row.sse;
    if let (Launch::Sse { url, headers }, Launch::Http { .. }, true) = (&asked.launch, &found.launch, same) {
        asked.launch = Launch::Http { url: url.clone(), headers: headers.clone() };
    }
    if let Some(Step::Item { key, is }) = rendered.entry.0.last()
        && key == "url"
    {
        asked.name = is.clone();
    }
    sorted(asked)
}

fn sorted(mut wanted: Wanted) -> Wanted {
    match &mut wanted.launch {
        Launch::Stdio { env, .. } => env.sort_by(|a, b| a.0.cmp(&b.0)),
        Launch::Http { headers, .. } | Launch::Sse { headers, .. } => headers.sort_by(|a, b| a.0.cmp(&b.0)),
    }
    wanted
}

/// Checks one server against one client; whether it could be rendered.
fn round(client: &Client, asked: &Wanted) -> bool {
    let rendered = client.render(asked, &place(client));
    if rendered.is_refused() || rendered.omitted {
        return false;
    }
    let document = written(&rendered);
    let found = client.read(&place(client), &rendered.entry, &document);
    let found = found.unwrap_or_else(|| panic!("{}: {document} is not read", client.id()));
    let expected = expected(client, asked, &rendered, &found);
    assert_eq!(sorted(found.clone().into()), expected, "{}: {document}", client.id());
    assert_eq!(client.servers(&place(client), &document), [found], "{}", client.id());
    true
}

#[test]
fn every_client_reads_back_what_was_rendered() {
    let off = |wanted: Wanted| Wanted { enabled: false, ..wanted };
    let only = |wanted: Wanted| Wanted { tools: Filter { allow: vec!["a".into()], deny: vec![] }, ..wanted };
    let not = |wanted: Wanted| Wanted { tools: Filter { allow: vec![], deny: vec!["a".into()] }, ..wanted };
    let sse = |wanted: Wanted| match wanted.launch {
        Launch::Http { url, headers } => Wanted { launch: Launch::Sse { url, headers }, ..wanted },
        _ => wanted,
    };
    for client in catalog::all() {
        assert!(round(client, &stdio()), "{} takes no programs", client.id());
        for asked in
            [remote(), sse(remote()), off(stdio()), off(remote()), only(stdio()), not(stdio()), not(remote())]
        {
            round(client, &asked);
        }
    }
}

fn texts() -> impl Strategy<Value = Text> {
    let part = prop_oneof![
        9 => "[a-zA-Z0-9 /:.@_-]{0,12}".prop_map(Part::Literal),
        2 => r#"[a-z/{}$"'\\]{0,8}"#.prop_map(Part::Literal),
        1 => "[A-Z][A-Z0-9_]{0,6}".prop_map(Part::Env),
    ];
    proptest::collection::vec(part, 1..3).prop_map(|parts| parts.into_iter().collect())
}

fn pairs() -> impl Strategy<Value = Vec<(String, Text)>> {
    proptest::collection::btree_map("[A-Z][A-Z0-9_]{0,6}", texts(), 0..3)
        .prop_map(|map| map.into_iter().collect())
}

fn filled() -> impl Strategy<Value = Text> {
    texts().prop_filter("not empty", |text| !text.is_empty())
}

fn launches() -> impl Strategy<Value = Launch> {
    let cwd = proptest::option::weighted(0.2, filled());
    let local = (filled(), proptest::collection::vec(texts(), 0..4), pairs(), cwd);
    let remote = || (filled(), pairs());
    prop_oneof![
        local.prop_map(|(command, args, env, cwd)| Launch::Stdio { command, args, env, cwd }),
        remote().prop_map(|(url, headers)| Launch::Http { url, headers }),
        remote().prop_map(|(url, headers)| Launch::Sse { url, headers }),
    ]
}

fn tools() -> impl Strategy<Value = Vec<String>> {
    let some = proptest::collection::btree_set("[a-z_]{1,5}", 1..3);
    prop_oneof![
        5 => Just(Vec::new()),
        1 => some.prop_map(|tools| tools.into_iter().collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn nothing_is_lost_between_rendering_and_reading(
        launch in launches(),
        enabled in proptest::bool::weighted(0.7),
        allow in tools(),
        deny in tools(),
        description in proptest::option::of("[a-z ]{1,9}"),
    ) {
        let asked = Wanted {
            description, enabled, tools: Filter { allow, deny }, ..wanted("name", launch)
        };
        for client in catalog::all() {
            round(client, &asked);
        }
    }
}

/// What the client reads at its usual place under the name `x`.
fn read(id: &str, entry: Value) -> Option<Found> {
    let client = client(id);
    let mut document = json!({});
    set(&mut document, &place(client).root.key("x").0, entry);
    client.servers(&place(client), &document).pop()
}

#[test]
fn understands_entries_written_by_hand() {
    let local =
        |command: &str| Launch::Stdio { command: command.into(), args: vec![], env: vec![], cwd: None };
    let http = |url: &str| Launch::Http { url: url.into(), headers: vec![] };
    let sse = |url: &str| Launch::Sse { url: url.into(), headers: vec![] };
    for (id, entry, launch) in [
        ("claude-code", json!({"command": "c"}), Some(local("c"))),
        ("claude-code", json!({"type": "streamable-http", "url": "u"}), Some(http("u"))),
        ("claude-code", json!({"type": "ws", "url": "u"}), None),
        ("gemini-cli", json!({"url": "u", "type": "http"}), Some(http("u"))),
        ("gemini-cli", json!({"url": "u"}), Some(sse("u"))),
        ("gemini-cli", json!({"httpUrl": "u"}), Some(http("u"))),
        ("cline", json!({"url": "u"}), Some(sse("u"))),
        ("cline", json!({"transport": {"type": "stdio", "command": "c"}}), Some(local("c"))),
        ("copilot-cli", json!({"type": "stdio", "command": "c"}), Some(local("c"))),
        ("devin-desktop", json!({"serverUrl": "u"}), Some(http("u"))),
        ("claude-desktop", json!({"url": "u"}), Some(http("u"))),
        ("goose", json!({"type": "builtin", "name": "developer", "enabled": true}), None),
        ("goose", json!({"type": "inline_python", "name": "x", "code": "1"}), None),
        ("zed", json!({"enabled": true, "settings": {}}), None),
        ("opencode", json!({"enabled": false}), None),
        ("opencode", json!({"type": "local", "command": ["c"]}), Some(local("c"))),
        ("opencode", json!({"type": "local", "command": []}), None),
        ("jan", json!({"type": "http", "command": "", "args": [], "url": "u"}), Some(http("u"))),
        ("kiro", json!("nonsense"), None),
    ] {
        assert_eq!(read(id, entry.clone()).map(|found| found.launch), launch, "{id}: {entry}");
    }
}

#[test]
fn keeps_what_it_does_not_understand() {
    let found = read(
        "cline",
        json!({"command": "c", "args": [1, true], "autoApprove": ["a"], "timeout": 60, "disabled": true}),
    );
    let found = found.unwrap();
    assert_eq!(found.rest.keys().collect::<Vec<_>>(), ["autoApprove", "timeout"]);
    assert!(!found.enabled);
    assert!(matches!(&found.launch, Launch::Stdio { args, .. } if *args == ["1".into(), "true".into()]));

    let client = client("continue");
    let entry = json!({"name": "x", "type": "sse", "url": "u", "requestOptions": {"headers": {"A": "b"}, "timeout": 5}});
    let found = client.servers(&place(client), &json!({"mcpServers": [entry.clone()]})).pop().unwrap();
    assert_eq!(Value::from_iter(found.rest.clone()), json!({"requestOptions": {"timeout": 5}}));
    assert_eq!(client.render(&found.into(), &place(client)).value(), entry);
}

#[test]
fn keeps_texts_that_only_the_client_can_expand() {
    let entry = json!({"type": "stdio", "command": "c", "args": ["${workspaceFolder}", "${env:A}"]});
    let found = read("vscode", entry.clone()).unwrap();
    assert_eq!(found.rest["args"], entry["args"]);
    let again = client("vscode").render(&found.into(), &place(client("vscode")));
    assert_eq!((again.value(), again.is_refused()), (entry, false));

    let entry = json!({"type": "local", "command": ["{file:c}", "x"], "enabled": true});
    let again = client("opencode")
        .render(&read("opencode", entry.clone()).unwrap().into(), &place(client("opencode")));
    assert_eq!((again.value(), again.is_refused()), (entry, false));
}

#[test]
fn tells_tools_of_servers_with_similar_names_apart() {
    let client = client("opencode");
    let local = json!({"type": "local", "command": ["c"]});
    let document = json!({
        "mcp": {"a": local, "a_b": local},
        "tools": {"a_x": false, "a_b_y": false, "a_z": true, "other": false},
    });
    let denied: Vec<_> = client
        .servers(&place(client), &document)
        .into_iter()
        .map(|found| (found.name, found.tools.deny))
        .collect();
    assert_eq!(denied, [("a".to_owned(), vec!["x".to_owned()]), ("a_b".to_owned(), vec!["y".to_owned()])]);
}

#[test]
fn an_empty_list_of_tools_hides_all_where_all_has_a_word() {
    let entry = |tools: Value| json!({"type": "local", "command": "c", "tools": tools});
    assert_eq!(read("copilot-cli", entry(json!(["*"]))).unwrap().tools, Filter::default());
    assert_eq!(read("copilot-cli", entry(json!([]))).unwrap().tools.deny, ["*"]);
    let goose = json!({"type": "stdio", "cmd": "c", "available_tools": []});
    assert_eq!(read("goose", goose).unwrap().tools, Filter::default());
}
