//! Real servers, started from a client's file by `mcpkeel exec`, asked for their tools by a real client: the
//! protocol's own inspector.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::bridge::real;
use crate::support::Sandbox;

/// What the server of tests/bridge wants to see; nobody would take it for a secret by its look.
const TOKEN: &str = "open-sesame";

/// A server on the loopback address that wants a bearer token, and its port.
struct Guarded(Child, u16);

impl Guarded {
    fn start(eras: &str) -> Option<Self> {
        let sdk = real::sdk()?;
        let mut command = Command::new(real::node());
        command.arg(crate::support::repo().join("tests/bridge/modern_server.mjs")).arg("http");
        command.env("SDK", sdk).env("ERAS", eras).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a port");
        Some(Self(child, line.trim().parse().expect("a port")))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

struct Served {
    home: Sandbox,
    inspector: PathBuf,
    _guarded: [Guarded; 2],
}

impl Served {
    /// A home with the servers in Claude Desktop's file, which starts programs and can nothing else.
    fn new() -> Option<Self> {
        let (everything, filesystem) = (real::everything()?, real::filesystem()?);
        let inspector = real::installed("inspector", ".bin/mcp-inspector")?;
        let guarded = [Guarded::start("both")?, Guarded::start("modern")?];
        let home = Sandbox::new();
        let secret = home.write("token.txt", TOKEN);
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).expect("closed");
        let node = real::node();
        let remote = |guarded: &Guarded| {
            format!(
                "{{ url: 'http://127.0.0.1:{}/mcp', headers: {{ Authorization: 'Bearer ${{secret:token}}' }}, tools: {{ deny: ['delete_*'] }} }}",
                guarded.1
            )
        };
        home.write(
            "mcp.yaml",
            format!(
                "version: 1\nsecrets: {{ token: {{ file: token.txt }} }}\nservers:\n  everything: {{ command: {node:?}, args: [{everything:?}], env: {{ TOKEN: '${{secret:token}}' }} }}\n  \
                 hidden: {{ command: {node:?}, args: [{everything:?}], env: {{ TOKEN: '${{secret:token}}' }}, tools: {{ allow: ['get-*'] }} }}\n  \
                 files: {{ command: {node:?}, args: [{filesystem:?}, '${{home}}'], env: {{ TOKEN: '${{secret:token}}' }} }}\n  \
                 both: {}\n  modern: {}\nclients:\n  claude-desktop: {{ servers: ['*'] }}\n",
                remote(&guarded[0]),
                remote(&guarded[1]),
            ),
        );
        home.run(&["apply", "--yes"]).exits(0);
        Some(Self { home, inspector, _guarded: guarded })
    }

    /// What the inspector is answered by a server of the file.
    #[track_caller]
    fn ask(&self, server: &str, question: &[&str]) -> Value {
        let file = self.home.read(".config/Claude/claude_desktop_config.json");
        assert!(!file.contains(TOKEN));
        let file: Value = serde_json::from_str(&file).expect("JSON");
        let entry = &file["mcpServers"][server];
        let args = entry["args"].as_array().expect("arguments").iter().filter_map(Value::as_str);
        let mut command = Command::new(real::node());
        command
            .arg(&self.inspector)
            .arg("--cli")
            .args(question)
            .arg("--")
            .arg(entry["command"].as_str().expect("a command"));
        command.args(args).env("HOME", self.home.home()).stdin(Stdio::null());
        let output = command.output().expect("the inspector starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains(TOKEN) || question.contains(&"get-env"), "{said}");
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)))
    }

    #[track_caller]
    fn tools(&self, server: &str) -> Vec<String> {
        let answer = self.ask(server, &["--method", "tools/list"]);
        let tools = answer["tools"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
        tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    }
}

#[test]
fn a_real_client_lists_the_tools_of_real_servers_through_exec() {
    let Some(served) = Served::new() else { return };
    let everything = served.tools("everything");
    assert!(
        everything.contains(&"echo".to_owned()) && everything.contains(&"get-env".to_owned()),
        "{everything:?}"
    );
    assert!(served.tools("files").contains(&"read_text_file".to_owned()));
    let hidden = served.tools("hidden");
    assert!(hidden.contains(&"get-env".to_owned()), "{hidden:?}");
    assert!(hidden.iter().all(|tool| tool.starts_with("get-")), "{hidden:?}");
    let both = served.tools("both");
    assert!(both.contains(&"echo".to_owned()) && !both.contains(&"delete_all".to_owned()), "{both:?}");
}

#[test]
fn a_real_client_reaches_a_server_of_the_new_era_only() {
    let Some(served) = Served::new() else { return };
    let modern = served.tools("modern");
    assert!(modern.contains(&"echo".to_owned()) && !modern.contains(&"delete_all".to_owned()), "{modern:?}");
}

#[test]
fn the_secret_is_in_the_environment_of_the_server() {
    let Some(served) = Served::new() else { return };
    let answer = served.ask("everything", &["--method", "tools/call", "--tool-name", "get-env"]);
    assert!(answer.to_string().contains(TOKEN), "get-env shows what the server was given");
}
