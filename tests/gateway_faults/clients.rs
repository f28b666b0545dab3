//! Real servers behind the gateway, real clients in front of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Up;
use super::http::Caller;
use crate::bridge::real;

/// A tool of each server, by which it is known, and a call that it answers.
const TOOLS: [(&str, &str, &str, &str); 5] = [
    ("everything", "echo", r#"{"message":"from afar"}"#, "from afar"),
    ("files", "list_allowed_directories", "{}", "home"),
    ("memory", "read_graph", "{}", "entities"),
    ("time", "get_current_time", r#"{"timezone":"Europe/Berlin"}"#, "Europe/Berlin"),
    ("git", "git_status", r#"{"repo_path":"REPO"}"#, "On branch"),
];

/// A gateway in front of the servers that people use most, and two clients that are to speak to it. None, having said so,
/// if one of them is not installed.
fn popular() -> Option<Up> {
    let script = |name: &str| real::installed(name, &format!("@modelcontextprotocol/{name}/dist/index.js"));
    let (everything, files, memory) =
        (script("server-everything")?, script("server-filesystem")?, script("server-memory")?);
    let (time, git) = (python("server-time", "mcp-server-time")?, python("server-git", "mcp-server-git")?);
    let node = real::node();
    let up = Up::of(&format!(
        "servers:\n  everything: {{ command: {node:?}, args: [{everything:?}] }}\n  files: {{ command: {node:?}, args: [{files:?}, \"${{home}}\"] }}\n  \
         memory: {{ command: {node:?}, args: [{memory:?}], env: {{ MEMORY_FILE_PATH: \"${{home}}/memory.json\" }} }}\n  \
         time: {{ command: {time:?}, args: [--local-timezone, UTC] }}\n  git: {{ command: {git:?} }}\n\
         clients:\n  claude-code: {{ servers: ['*'], delivery: gateway }}\n  codex: {{ servers: [time, memory], delivery: gateway }}\n"
    ));
    let repository = up.home.path("repository");
    let made = Command::new("git")
        .args(["init", "-q", "-b", "main"])
        .arg(&repository)
        .env("HOME", up.home.home())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "git init");
    for (server, tool, arguments, _) in TOOLS {
        let arguments = arguments_of(&up, arguments);
        up.wait_for(&format!("{server} answers"), || {
            std::net::TcpStream::connect(("127.0.0.1", up.port)).is_ok()
                && up.caller(server).text(tool, &arguments).is_ok()
        });
    }
    Some(up)
}

fn arguments_of(up: &Up, text: &str) -> Value {
    let repository = up.home.path("repository");
    serde_json::from_str(&text.replace("REPO", repository.to_str().expect("UTF-8"))).expect("JSON")
}

/// A program that pip installed.
fn python(server: &str, program: &str) -> Option<PathBuf> {
    real::installed_as(server, &format!("bin/{program}"))
}

/// A client's program, if it is installed.
fn client(name: &str) -> Option<PathBuf> {
    real::installed_as("bin", name)
}

#[test]
fn popular_servers_answer_through_the_gateway_in_both_eras() {
    let Some(up) = popular() else { return };
    let all = Caller::new(up.port, &up.token, "/mcp");
    for caller in [all.clone(), all.greeted()] {
        for (server, tool, arguments, wanted) in TOOLS {
            let said = caller.text(&format!("{server}__{tool}"), &arguments_of(&up, arguments));
            assert!(said.as_ref().is_ok_and(|text| text.contains(wanted)), "{server}: {said:?}");
        }
    }
}

#[test]
fn the_inspector_calls_a_tool_through_the_gateway() {
    let Some(inspector) = real::installed("inspector", ".bin/mcp-inspector") else { return };
    let Some(up) = popular() else { return };
    let ask = |question: &[&str]| {
        let url = format!("http://127.0.0.1:{}/mcp", up.port);
        let header = format!("Authorization: Bearer {}", up.token);
        let mut command = Command::new(real::node());
        command.arg(&inspector).args([
            "--cli",
            &url,
            "--transport",
            "http",
            "--header",
            &header,
            "--format",
            "json",
        ]);
        let output = command.args(question).env("HOME", up.home.home()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str::<Value>(&said)
            .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)))
    };
    let tools = ask(&["--method", "tools/list"]).to_string();
    for (server, tool, ..) in TOOLS {
        assert!(tools.contains(&format!("\"{server}__{tool}\"")), "{tools}");
    }
    let called = ask(&[
        "--method",
        "tools/call",
        "--tool-name",
        "time__get_current_time",
        "--tool-arg",
        "timezone=Europe/Berlin",
    ]);
    assert!(called.to_string().contains("Europe/Berlin"), "{called}");
}

#[test]
fn claude_code_sees_the_tools_through_connect() {
    let Some(program) = client("claude-code") else { return };
    let Some(up) = popular() else { return };
    up.home.run(&["apply", "--yes"]).exits(0);
    // What it would offer to a model, which is not there.
    let output = Command::new(program)
        .args(["-p", "hi", "--output-format", "stream-json", "--verbose"])
        .current_dir(up.home.home())
        .env_clear()
        .env("HOME", up.home.home())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9"),
            ("ANTHROPIC_API_KEY", "none"),
            ("CLAUDE_CODE_MAX_RETRIES", "0"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("MCP_TIMEOUT", "20000"),
        ])
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for (server, tool, ..) in TOOLS {
        let wanted = format!("mcp__mcpkeel__{server}__{tool}");
        assert!(
            said.contains(&wanted),
            "{wanted} is not in {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn codex_sees_the_tools_of_its_own_servers_through_connect() {
    let Some(program) = client("codex") else { return };
    let Some(up) = popular() else { return };
    up.home.run(&["apply", "--yes"]).exits(0);
    let mut child = Command::new(program)
        .arg("app-server")
        .current_dir(up.home.home())
        .env_clear()
        .env("HOME", up.home.home())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut ask = |id: u64, method: &str, params: Value| {
        writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .expect("said");
        loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("UTF-8") > 0, "it ended");
            if let Ok(message) = serde_json::from_str::<Value>(&line)
                && message["id"] == id
                && message.get("method").is_none()
            {
                return message;
            }
        }
    };
    ask(1, "initialize", json!({ "clientInfo": { "name": "test", "title": "test", "version": "1" } }));
    let said = ask(2, "mcpServerStatus/list", json!({})).to_string();
    child.kill().ok();
    child.wait().ok();
    for (server, tool, ..) in TOOLS {
        let is_its = ["time", "memory"].contains(&server);
        assert_eq!(said.contains(&format!("{server}__{tool}")), is_its, "{server}__{tool}: {said}");
    }
}
