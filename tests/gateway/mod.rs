//! `mcpkeel up` as whoever speaks to it sees it: over HTTP, with a token.

mod entrance;
mod guarded;
mod servers;
mod sessions;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Sandbox, repo};

const PATIENCE: Duration = Duration::from_secs(20);

/// A definition of a tool with one text.
fn tool(name: &str, description: &str) -> String {
    json!({
        "name": name,
        "description": description,
        "inputSchema": { "type": "object", "properties": { "message": { "type": "string" } } },
    })
    .to_string()
}

/// The program, running in a home of its own.
struct Up {
    home: Sandbox,
    child: Child,
    port: u16,
}

impl Up {
    /// With these servers, each with these tools, and more of a manifest.
    fn start(servers: &[(&str, &[String])], more: &str) -> Self {
        let home = Sandbox::new();
        let port = free_port();
        for (name, tools) in servers {
            home.write(&format!("{name}.tools"), tools.join("\n") + "\n");
        }
        let names: Vec<&str> = servers.iter().map(|(name, _)| *name).collect();
        home.write("mcp.yaml", manifest(&home, port, &names, more));
        let child = launch(&home);
        let up = Self { home, child, port };
        up.until("it listens", || TcpStream::connect(("127.0.0.1", up.port)).is_ok());
        up
    }

    /// Writes the manifest anew.
    fn rewrite(&self, servers: &[&str], more: &str) {
        self.home.write("mcp.yaml", manifest(&self.home, self.port, servers, more));
    }

    /// A new token.
    fn token(&self, args: &[&str]) -> String {
        let args = [&["token", "create"], args].concat();
        self.home.run(&args).exits(0).out.trim().to_owned()
    }

    /// Posts a request of 2026 to an address; the status, and the answer.
    fn ask(&self, token: &str, path: &str, method: &str, params: Value) -> Answer {
        self.ask_with(token, path, method, params, "")
    }

    /// The same with further lines of the head.
    fn ask_with(&self, token: &str, path: &str, method: &str, mut params: Value, head: &str) -> Answer {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
        let head = format!(
            "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{name}{head}"
        );
        self.send("POST", path, &head, &body)
    }

    /// Calls a tool.
    fn call(&self, token: &str, tool: &str, message: &str) -> Answer {
        self.ask(token, "/mcp", "tools/call", json!({ "name": tool, "arguments": { "message": message } }))
    }

    /// The names of the tools at an address.
    fn tools(&self, token: &str, path: &str) -> Vec<String> {
        let answer = self.ask(token, path, "tools/list", json!({}));
        let tools = answer.json["result"]["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until these tools are there.
    fn until_tools(&self, token: &str, names: &[&str]) {
        self.until(&format!("{names:?} are listed"), || self.tools(token, "/mcp") == names);
    }

    fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end, "{what}, but not within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One request on a connection of its own.
    fn send(&self, method: &str, path: &str, head: &str, body: &str) -> Answer {
        let has_host = head.lines().any(|line| line.starts_with("Host:"));
        let host = if has_host { String::new() } else { format!("Host: 127.0.0.1:{}\r\n", self.port) };
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nAccept: application/json, text/event-stream\r\n\
             Content-Length: {length}\r\n{head}\r\n{body}"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // A request that is refused by its head alone may be answered before it is read.
        let _ = stream.write_all(text.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::of(&String::from_utf8_lossy(&answer))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn launch(home: &Sandbox) -> Child {
    let log = std::fs::File::create(home.path("up.log")).expect("a log");
    let mut command = home.command(&["up"]);
    command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts")
}

/// Asks the program to end, and waits for it.
fn end(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    // It may have ended already.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    let _ = child.wait();
}

fn manifest(home: &Sandbox, port: u16, servers: &[&str], more: &str) -> String {
    let script = repo().join("tests/gateway/server.sh");
    let entry = |name: &&str| {
        let tools = home.path(&format!("{name}.tools"));
        format!("  {name}: {{ command: {script:?}, args: [{tools:?}] }}\n")
    };
    let servers: String = servers.iter().map(entry).collect();
    let has_gateway = more.contains("gateway:");
    let gateway = match has_gateway {
        true => String::new(),
        false => format!("gateway: {{ listen: 127.0.0.1:{port} }}\n"),
    };
    format!("version: 1\nservers:\n{servers}{gateway}{}", more.replace("PORT", &port.to_string()))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    json: Value,
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        // Of a stream the last event counts.
        let last =
            body.lines().rev().find_map(|line| line.strip_prefix("data: {")).map(|rest| format!("{{{rest}"));
        let json = serde_json::from_str(body).ok().or_else(|| serde_json::from_str(&last?).ok());
        Self { status, head: head.to_ascii_lowercase(), json: json.unwrap_or_default() }
    }

    /// The text that a tool answered with.
    #[track_caller]
    fn text(&self) -> &str {
        self.json["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {self:?}"))
    }

    /// Our word for why not.
    fn refusal(&self) -> &str {
        let error = &self.json["error"];
        error["data"]["code"].as_str().or(error["code"].as_str()).unwrap_or_default()
    }
}
