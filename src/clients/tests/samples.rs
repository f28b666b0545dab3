//! The samples of CLIENTS-GUI section 3 and CLIENTS-REAL section 5 as one table: a program `files`
//! and a remote server `docs` for every client.

use super::*;

/// `C A V E` are command, args, both in one list, and env; `U H B` address, headers and bearer
/// token; `N` is the name. `!code` is the problem instead.
const SAMPLES: &str = r#"
5ire                   | key=N type="local" command=C args=A env=E isActive=true | key=N type="remote" url=U headers=H isActive=true
amazon-q-cli           | command=C args=A env=E                        | type="http" url=U headers=H
amazon-q-ide           | command=C args=A env=E                        | url=U headers=H
amp                    | command=C args=A env=E                        | url=U headers=H
antigravity            | command=C args=A env=E                        | serverUrl=U headers=H
anythingllm            | command=C args=A env=E                        | type="streamable" url=U headers=H
augment                | type="stdio" command=C args=A env=E           | type="http" url=U headers=H
boltai                 | command=C args=A env=E                        | !no-http
claude-code            | type="stdio" command=C args=A env=E           | type="http" url=U headers=H
claude-desktop         | command=C args=A env=E                        | !no-http
cline                  | command=C args=A env=E disabled=false         | type="streamableHttp" url=U headers=H disabled=false
codex                  | command=C args=A env=E                        | url=U http_headers=H
continue               | name=N type="stdio" command=C args=A env=E    | name=N type="streamable-http" url=U requestOptions/headers=H
copilot-cli            | type="local" command=C args=A env=E tools=["*"] | type="http" url=U headers=H tools=["*"]
copilot-jetbrains      | command=C args=A env=E                        | url=U requestInit/headers=H
copilot-xcode          | type="stdio" command=C args=A env=E           | url=U requestInit/headers=H
crush                  | type="stdio" command=C args=A env=E           | type="http" url=U headers=H
cursor                 | type="stdio" command=C args=A env=E           | url=U headers=H
devin-desktop          | command=C args=A env=E                        | url=U transport="http" headers=H
droid                  | type="stdio" command=C args=A env=E           | type="http" url=U headers=H
gemini-cli             | command=C args=A env=E                        | httpUrl=U headers=H
gemini-code-assist     | command=C args=A env=E                        | httpUrl=U headers=H
goose                  | enabled=true type="stdio" name=N description="" cmd=C args=A envs=E | enabled=true type="streamable_http" name=N description="" uri=U headers=H
grok                   | command=C args=A env=E                        | url=U headers=H
jan                    | command=C args=A env=E active=true            | type="http" command="" args=[] env={} url=U headers=H active=true
jetbrains-ai-assistant | command=C args=A env=E                        | url=U headers=H
jetbrains-air          | command=C args=A env=E                        | url=U headers=H
junie                  | command=C args=A env=E                        | url=U headers=H
kilo-code              | type="local" command=V environment=E enabled=true | type="remote" url=U headers=H enabled=true
kimi-code              | command=C args=A env=E                        | url=U headers=H
kiro                   | command=C args=A env=E disabled=false         | url=U headers=H disabled=false
librechat              | type="stdio" command=C args=A env=E           | type="streamable-http" url=U headers=H
lm-studio              | command=C args=A env=E                        | url=U headers=H
mistral-vibe           | name=N transport="stdio" command=C args=A env=E | name=N transport="streamable-http" url=U auth/type="static" auth/headers=H
opencode               | type="local" command=V environment=E enabled=true | type="remote" url=U headers=H enabled=true
openhands-app          | name=N command=C args=A env=E                 | url=U api_key=B
openhands-cli          | transport="stdio" command=C args=A env=E enabled=true | transport="http" url=U headers=H enabled=true
qoder                  | command=C args=A env=E                        | type="http" url=U headers=H
qwen-code              | command=C args=A env=E                        | httpUrl=U headers=H
roo-code               | command=C args=A env=E                        | type="streamable-http" url=U headers=H
trae                   | command=C args=A env=E                        | url=U headers=H
visual-studio          | type="stdio" command=C args=A env=E           | type="http" url=U headers=H
void                   | command=C args=A env=E                        | !no-headers
vscode                 | type="stdio" command=C args=A env=E           | type="http" url=U headers=H
vscode-insiders        | type="stdio" command=C args=A env=E           | type="http" url=U headers=H
warp                   | command=C args=A env=E                        | url=U headers=H
windsurf               | command=C args=A env=E                        | serverUrl=U headers=H
witsy                  | command=C args=A env=E                        | uuid=N registryId=N state="enabled" type="http" url=U headers=H
zed                    | command=C args=A env=E                        | url=U headers=H
zencoder               | command=C args=A env=E                        | !no-http
zoo-code               | command=C args=A env=E                        | type="streamable-http" url=U headers=H
"#;

fn fields(sample: &str, name: &str) -> IndexMap<Pointer, Value> {
    let value = |text: &str| match text {
        "C" => json!("npx"),
        "A" => json!(["-y", "@modelcontextprotocol/server-filesystem", "/tmp"]),
        "V" => json!(["npx", "-y", "@modelcontextprotocol/server-filesystem", "/tmp"]),
        "E" => json!({"LOG": "1"}),
        "U" => json!("https://mcp.example.com/mcp"),
        "H" => json!({"Authorization": "Bearer abc"}),
        "B" => json!("abc"),
        "N" => json!(name),
        json => serde_json::from_str(json).unwrap(),
    };
    let field = |field: &str| {
        let (at, text) = field.split_once('=').unwrap();
        (format!("/{at}").parse().unwrap(), value(text))
    };
    sample.split_whitespace().map(field).collect()
}

#[test]
fn every_client_gets_its_own_shape() {
    let lines: Vec<Vec<&str>> =
        SAMPLES.trim().lines().map(|line| line.split('|').map(str::trim).collect()).collect();
    assert_eq!(lines.iter().map(|line| line[0]).collect::<Vec<_>>(), catalog::ids());
    for line in lines {
        let client = client(line[0]);
        for (wanted, sample) in [(stdio(), line[1]), (remote(), line[2])] {
            let rendered = client.render(&wanted, &place(client));
            if let Some(code) = sample.strip_prefix('!') {
                assert_eq!(codes(&rendered), [code], "{}", line[0]);
                continue;
            }
            assert_eq!(rendered.problems, [], "{}", line[0]);
            let got: Vec<_> = rendered.fields.iter().collect();
            let expected = fields(sample, &wanted.name);
            assert_eq!(got, expected.iter().collect::<Vec<_>>(), "{}", line[0]);
        }
    }
}

#[test]
fn entries_stand_where_the_client_looks() {
    for (id, files, docs) in [
        ("claude-code", "/mcpServers/files", "/mcpServers/docs"),
        ("vscode", "/servers/files", "/servers/docs"),
        ("zed", "/context_servers/files", "/context_servers/docs"),
        ("amp", "/amp.mcpServers/files", "/amp.mcpServers/docs"),
        ("continue", "/mcpServers/[name=files]", "/mcpServers/[name=docs]"),
        ("mistral-vibe", "/mcp_servers/[name=files]", "/mcp_servers/[name=docs]"),
        ("witsy", "/mcpServers/files", "/mcp/servers/[uuid=docs]"),
        (
            "openhands-app",
            "/mcp/stdio_servers/[name=files]",
            "/mcp/shttp_servers/[url=https:~1~1mcp.example.com~1mcp]",
        ),
    ] {
        let client = client(id);
        let entry = |wanted: &Wanted| client.render(wanted, &place(client)).entry.to_string();
        assert_eq!((entry(&stdio()).as_str(), entry(&remote()).as_str()), (files, docs), "{id}");
    }
}

#[test]
fn a_server_is_switched_off_as_the_client_does_it() {
    for (id, expected) in [
        ("codex", r#"{"mcp_servers": {"x": {"command": "c", "enabled": false}}}"#),
        ("cline", r#"{"mcpServers": {"x": {"command": "c", "disabled": true}}}"#),
        ("opencode", r#"{"mcp": {"x": {"type": "local", "command": ["c"], "enabled": false}}}"#),
        ("gemini-cli", r#"{"mcpServers": {"x": {"command": "c"}}, "mcp": {"excluded": ["x"]}}"#),
        ("anythingllm", r#"{"mcpServers": {"x": {"command": "c", "anythingllm": {"autoStart": false}}}}"#),
        (
            "witsy",
            r#"{"mcpServers": {"x": {"command": "c", "args": []}}, "mcp": {"mcpServersExtra": {"x": {"state": "disabled"}}}}"#,
        ),
        (
            "5ire",
            r#"{"mcpServers": {"x": {"key": "x", "type": "local", "command": "c", "args": [], "env": {}, "isActive": false}}}"#,
        ),
        ("jan", r#"{"mcpServers": {"x": {"command": "c", "args": [], "env": {}, "active": false}}}"#),
        (
            "librechat",
            r#"{"mcpServers": {"x": {"type": "stdio", "command": "c", "args": [], "startup": false}}}"#,
        ),
    ] {
        let client = client(id);
        let rendered = client.render(&Wanted { enabled: false, ..bare("x") }, &place(client));
        assert_eq!(written(&rendered), serde_json::from_str::<Value>(expected).unwrap(), "{id}");
        assert!(rendered.problems.is_empty(), "{id}");
    }
    for id in ["claude-code", "cursor", "vscode", "amp", "claude-desktop", "continue"] {
        let rendered = client(id).render(&Wanted { enabled: false, ..bare("x") }, &place(client(id)));
        assert!(rendered.omitted && !rendered.is_refused(), "{id}");
        assert_eq!(codes(&rendered), ["disabled-omitted"], "{id}");
    }
}

#[test]
fn says_what_would_contradict_a_server_that_is_on() {
    for (id, at, value) in [
        ("gemini-cli", "/mcp/excluded/[=x]", json!("x")),
        ("codex", "/mcp_servers/x/enabled", json!(false)),
        ("witsy", "/mcp/mcpServersExtra/x/state", json!("disabled")),
    ] {
        let against = client(id).render(&bare("x"), &place(client(id))).against;
        assert_eq!(against, [Side { at: at.parse().unwrap(), value }], "{id}");
    }
    assert_eq!(client("cline").render(&bare("x"), &place(client("cline"))).against, []);
}

#[test]
fn tools_are_hidden_as_the_client_does_it() {
    for (id, allow, deny, expected) in [
        (
            "codex",
            &["a"][..],
            &["b"][..],
            r#"{"mcp_servers": {"x": {"command": "c", "enabled_tools": ["a"], "disabled_tools": ["b"]}}}"#,
        ),
        (
            "copilot-cli",
            &["a", "b"],
            &["b"],
            r#"{"mcpServers": {"x": {"type": "local", "command": "c", "args": [], "tools": ["a"]}}}"#,
        ),
        (
            "kiro",
            &[],
            &["b"],
            r#"{"mcpServers": {"x": {"command": "c", "disabled": false, "disabledTools": ["b"]}}}"#,
        ),
        (
            "opencode",
            &[],
            &["b_*"],
            r#"{"mcp": {"x": {"type": "local", "command": ["c"], "enabled": true}}, "tools": {"x_b_*": false}}"#,
        ),
        (
            "grok",
            &[],
            &["b"],
            r#"{"mcp_servers": {"x": {"command": "c"}}, "disabled_mcp_tools": {"x": ["b"]}}"#,
        ),
        (
            "anythingllm",
            &[],
            &["b"],
            r#"{"mcpServers": {"x": {"command": "c", "anythingllm": {"suppressedTools": ["b"]}}}}"#,
        ),
    ] {
        let client = client(id);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let tools = Filter { allow: names(allow), deny: names(deny) };
        let rendered = client.render(&Wanted { tools, ..bare("x") }, &place(client));
        assert_eq!(written(&rendered), serde_json::from_str::<Value>(expected).unwrap(), "{id}");
    }
}

#[test]
fn variables_are_written_in_the_clients_own_words() {
    let token = Text::env("TOKEN");
    let bearer: Text =
        [Part::Literal("Bearer ".to_owned()), Part::Env("TOKEN".to_owned())].into_iter().collect();
    let local = Launch::Stdio {
        command: "c".into(),
        args: vec![],
        env: vec![("TOKEN".into(), token.clone())],
        cwd: None,
    };
    let headers = vec![("Authorization".to_owned(), bearer), ("X-Key".to_owned(), token)];
    let remote = Launch::Http { url: "u".into(), headers };
    for (id, launch, expected) in [
        ("claude-code", &local, r#"{"type": "stdio", "command": "c", "env": {"TOKEN": "${TOKEN}"}}"#),
        ("codex", &local, r#"{"command": "c", "env_vars": ["TOKEN"]}"#),
        (
            "goose",
            &local,
            r#"{"enabled": true, "type": "stdio", "name": "x", "description": "", "cmd": "c", "args": [], "env_keys": ["TOKEN"]}"#,
        ),
        (
            "opencode",
            &local,
            r#"{"type": "local", "command": ["c"], "environment": {"TOKEN": "{env:TOKEN}"}, "enabled": true}"#,
        ),
        (
            "continue",
            &local,
            r#"{"name": "x", "type": "stdio", "command": "c", "env": {"TOKEN": "${{ secrets.TOKEN }}"}}"#,
        ),
        (
            "vscode",
            &remote,
            r#"{"type": "http", "url": "u", "headers": {"Authorization": "Bearer ${env:TOKEN}", "X-Key": "${env:TOKEN}"}}"#,
        ),
        (
            "codex",
            &remote,
            r#"{"url": "u", "bearer_token_env_var": "TOKEN", "env_http_headers": {"X-Key": "TOKEN"}}"#,
        ),
    ] {
        let rendered = client(id).render(&wanted("x", launch.clone()), &place(client(id)));
        assert_eq!(rendered.value(), serde_json::from_str::<Value>(expected).unwrap(), "{id}");
        assert!(!rendered.is_refused(), "{id}: {:?}", rendered.problems);
    }
}

#[test]
fn extra_fields_take_the_place_of_rendered_ones() {
    let extra = |value: Value| serde_json::from_value::<IndexMap<String, Value>>(value).unwrap();
    let vscode = client("vscode");
    let words =
        Wanted { extra: extra(json!({"args": ["${workspaceFolder}"], "dev": {"watch": "x"}})), ..stdio() };
    let rendered = vscode.render(&words, &place(vscode));
    assert_eq!(rendered.value()["args"], json!(["${workspaceFolder}"]));
    assert_eq!(rendered.value()["dev"], json!({"watch": "x"}));
    let continued = client("continue");
    let timeout = Wanted { extra: extra(json!({"requestOptions": {"timeout": 5}})), ..remote() };
    let options = continued.render(&timeout, &place(continued)).value()["requestOptions"].clone();
    assert_eq!(options, json!({"headers": {"Authorization": "Bearer abc"}, "timeout": 5}));
}

fn bare(name: &str) -> Wanted {
    wanted(name, Launch::Stdio { command: "c".into(), args: vec![], env: vec![], cwd: None })
}
