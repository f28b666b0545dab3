//! Clients of 2025: their sessions, and what they hear in them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Answer, PATIENCE, Up, tool};

fn library() -> Vec<String> {
    ["library", "echo", "begin", "touch"].map(|name| tool(name, name)).to_vec()
}

/// A server with resources, and one without.
fn up(more: &str) -> Up {
    Up::start(&[("a", &library()), ("b", &[tool("echo", "Says it again")])], more)
}

/// A session of a client of 2025.
struct Client<'a> {
    up: &'a Up,
    head: String,
    path: String,
}

impl<'a> Client<'a> {
    fn new(up: &'a Up, token: &str, path: &str) -> Self {
        let mut client = Self { up, head: head(token), path: path.to_owned() };
        let answer = greet(up, token, path);
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        client.head += &format!("Mcp-Session-Id: {}\r\n", id.expect("a session"));
        client
    }

    fn ask(&self, method: &str, params: &Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 3, "method": method, "params": params });
        self.post(&body.to_string())
    }

    fn post(&self, body: &str) -> Answer {
        self.up.send("POST", &self.path, &self.head, body)
    }

    fn call(&self, tool: &str) -> Answer {
        self.ask("tools/call", &json!({ "name": tool, "arguments": { "message": "x" } }))
    }

    /// Opens its stream.
    fn listen(&self) -> Events {
        let mut stream = TcpStream::connect(("127.0.0.1", self.up.port)).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let Self { head, path, .. } = self;
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: text/event-stream\r\n{head}\r\n"
        );
        stream.write_all(text.as_bytes()).expect("written");
        let mut events = Events(BufReader::new(stream));
        assert!(events.line().is_some_and(|line| line.contains("200")), "it is opened");
        while events.line().is_some_and(|line| !line.is_empty()) {}
        events
    }
}

fn head(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n")
}

fn greet(up: &Up, token: &str, path: &str) -> Answer {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    up.send("POST", path, &head(token), &body.to_string())
}

/// What comes on a stream.
struct Events(BufReader<TcpStream>);

impl Events {
    /// The next line; none at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).expect("something, or the end");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next message; none at the end.
    fn message(&mut self) -> Option<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            // A stream that nothing happens on says so now and then.
            assert!(Instant::now() < end, "neither a message nor the end");
            if let Some(text) = self.line()?.strip_prefix("data: {") {
                return Some(serde_json::from_str(&format!("{{{text}")).expect("JSON"));
            }
        }
    }

    /// The method of the next message.
    fn method(&mut self) -> String {
        self.message().expect("a message")["method"].as_str().unwrap_or_default().to_owned()
    }
}

/// What a server has heard.
fn heard(up: &Up, server: &str) -> String {
    up.home.read(&format!("{server}.tools.heard"))
}

#[test]
fn a_call_that_wants_no_answer_is_no_way_around_the_guards() {
    let policy = "policies: [{ name: no, resourceType: tool, pattern: touch, action: deny }]\n";
    let up = up(policy);
    let token = up.token(&["laptop"]);
    up.until("it is there", || up.tools(&token, "/mcp/a").len() == 3);
    let client = Client::new(&up, &token, "/mcp/a");
    client.post(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"touch"}}"#);
    client.post(r#"{"jsonrpc":"2.0","method":"notifications/com.example/hello","params":{}}"#);
    assert_eq!(client.call("echo").text(), "x");
    let heard = heard(&up, "a");
    assert!(!heard.contains("touch") && heard.contains("com.example/hello"), "{heard}");
}

#[test]
fn nothing_is_said_of_a_server_that_a_caller_does_not_reach() {
    let up = up("");
    let token = up.token(&["all"]);
    up.until("both are there", || up.tools(&token, "/mcp").len() == 5);
    let other = up.token(&["other", "--server", "b"]);
    for path in ["/mcp/a", "/mcp/a@2026-07-28", "/mcp/nothing"] {
        let answer = greet(&up, &other, path);
        assert!(answer.json["result"].is_null(), "{path} {answer:?}");
        let answer = up.ask(&other, path, "server/discover", json!({}));
        assert!(answer.json["result"].is_null(), "{path} {answer:?}");
    }
    assert_eq!(greet(&up, &other, "/mcp/b").json["result"]["serverInfo"]["name"], "sh");
}

#[test]
fn who_may_not_read_a_resource_does_not_hear_that_it_changed() {
    let policy =
        "policies: [{ name: no, resourceType: resource, pattern: 'mem:///secret*', action: deny }]\n";
    let up = up(policy);
    let token = up.token(&["laptop"]);
    up.until("both are there", || up.tools(&token, "/mcp").len() == 5);
    let tools = up.token(&["tools", "--scope", "tools:read,tools:execute"]);
    let listed = json!({ "uri": "mem:///listed" });
    let refused = Client::new(&up, &tools, "/mcp").ask("resources/subscribe", &listed);
    assert_eq!(refused.refusal(), "INSUFFICIENT_SCOPE", "{refused:?}");
    let client = Client::new(&up, &token, "/mcp");
    let refused = client.ask("resources/subscribe", &json!({ "uri": "mem:///secret" }));
    assert_eq!(refused.refusal(), "POLICY_DENIED", "{refused:?}");
    let mut events = client.listen();
    assert!(client.ask("resources/subscribe", &listed).json["result"].is_object());
    client.call("a__touch");
    while events.method() != "notifications/resources/updated" {}
    let heard = heard(&up, "a");
    assert!(!heard.contains("secret"), "{heard}");
}

#[test]
fn a_stream_ends_with_its_session_and_with_its_token() {
    let up = up("");
    let token = up.token(&["laptop"]);
    up.until("both are there", || up.tools(&token, "/mcp").len() == 5);
    let client = Client::new(&up, &token, "/mcp");
    let mut events = client.listen();
    assert_eq!(up.send("DELETE", "/mcp", &client.head, "").status, 204);
    assert!(events.message().is_none());
    let client = Client::new(&up, &token, "/mcp");
    let mut events = client.listen();
    up.home.run(&["token", "revoke", "laptop"]).exits(0);
    assert!(events.message().is_none());
    // Another one with its name is somebody else.
    let again = up.token(&["laptop", "--server", "b"]);
    let before = client.head.lines().find(|line| line.starts_with("Mcp-Session-Id")).expect("an id");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let answer = up.send("POST", "/mcp", &format!("{}{before}\r\n", head(&again)), body);
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[test]
fn who_left_while_a_server_was_told_of_its_wishes_is_forgotten() {
    let up = up("");
    let token = up.token(&["laptop"]);
    up.until("both are there", || up.tools(&token, "/mcp").len() == 5);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "_meta": meta, "notifications": { "resourceSubscriptions": ["mem:///hang"] } });
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", up.port)).expect("connected");
    let head = format!(
        "{}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: {}\r\n",
        head(&token),
        body.len(),
    );
    write!(stream, "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{body}").expect("written");
    let hangs = || heard(&up, "a").matches("mem:///hang").count();
    up.until("the server is told", || hangs() == 1);
    drop(stream);
    up.home.write("a.tools", [tool("library", "new"), tool("new", "new")].join("\n") + "\n");
    anew(&up);
    // A server that has come is told what callers want of it.
    let client = Client::new(&up, &token, "/mcp");
    up.until("it has come again", || client.call("a__new").json["result"].is_object());
    assert_eq!(hangs(), 1);
}

/// Starts the first server anew, with another variable.
fn anew(up: &Up) {
    let manifest = up.home.read("mcp.yaml").replacen("server.sh\",", "server.sh\", env: { NEW: '1' },", 1);
    up.home.write("mcp.yaml", manifest);
}

#[test]
fn a_task_is_of_the_one_who_began_it() {
    let up = up("");
    let (mine, other) = (up.token(&["mine"]), up.token(&["other"]));
    up.until("both are there", || up.tools(&mine, "/mcp").len() == 5);
    let (mine, other) = (Client::new(&up, &mine, "/mcp/a"), Client::new(&up, &other, "/mcp/a"));
    let (mut mine_hears, mut other_hears) = (mine.listen(), other.listen());
    assert_eq!(mine.call("begin").json["result"]["task"]["taskId"], "t-1");
    let task = json!({ "taskId": "t-1" });
    for _ in 0..2 {
        assert_eq!(mine.ask("tasks/get", &task).json["result"]["status"], "working");
        let refused = other.ask("tasks/get", &task);
        assert!(refused.json["error"].is_object(), "{refused:?}");
    }
    let list = |client: &Client<'_>| client.ask("tasks/list", &json!({})).json["result"]["tasks"].clone();
    assert_eq!(list(&mine).as_array().map(Vec::len), Some(1));
    assert_eq!(list(&other), json!([]));
    mine.call("touch");
    assert_eq!(mine_hears.method(), "notifications/tasks/status");
    up.home.write("a.tools", tool("new", "new") + "\n");
    anew(&up);
    assert_eq!(other_hears.method(), "notifications/tools/list_changed");
}

#[test]
fn a_caller_sets_the_level_of_the_servers_that_it_sees() {
    let up = up("");
    let (all, other) = (up.token(&["all"]), up.token(&["other", "--server", "b"]));
    up.until("both are there", || up.tools(&all, "/mcp").len() == 5);
    let client = Client::new(&up, &other, "/mcp");
    assert!(client.ask("logging/setLevel", &json!({ "level": "debug" })).json["result"].is_object());
    let client = Client::new(&up, &all, "/mcp");
    assert!(client.ask("logging/setLevel", &json!({ "level": "error" })).json["result"].is_object());
    up.until("it is told", || heard(&up, "a").contains("logging/setLevel"));
    assert_eq!(heard(&up, "a").matches("logging/setLevel").count(), 1);
}
