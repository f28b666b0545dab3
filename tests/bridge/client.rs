//! A client of the bridge, speaking lines to it in this process.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcpkeel::base::Secret;
use mcpkeel::bridge::{self, Bridge, Remote, Upstream};
use mcpkeel::clients::Filter;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test; it fails rather than hang.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(3 * PATIENCE, test).await.expect("the test ends") })
}

/// Patterns, separated by blanks, of tools to allow and to deny.
pub fn tools(allow: &str, deny: &str) -> Filter {
    let names = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Filter { allow: names(allow), deny: names(deny) }
}

/// A server at an address, with headers.
pub fn remote(url: &str, headers: &[(&str, &str)]) -> Remote {
    let secret = |text: &str| Secret::new(text.to_owned());
    Remote {
        url: secret(url),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), secret(value))).collect(),
    }
}

/// The client, and what was said to it besides answers.
pub struct Client {
    to: Option<DuplexStream>,
    from: Lines<BufReader<DuplexStream>>,
    bridge: JoinHandle<std::io::Result<u8>>,
    stop: Option<oneshot::Sender<()>>,
    notes: Arc<Mutex<Vec<String>>>,
    next: u64,
    early: BTreeMap<String, Value>,
    /// Messages that were no answers, in order.
    pub heard: Vec<Value>,
}

impl Client {
    /// A bridge to this server, which starts at once.
    pub fn of(upstream: Upstream, tools: Filter) -> Self {
        let (to, input) = tokio::io::duplex(1 << 16);
        let (output, from) = tokio::io::duplex(1 << 16);
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let bridge = Bridge { name: "srv".to_owned(), upstream, tools };
        let note: bridge::Note = {
            let notes = Arc::clone(&notes);
            Arc::new(move |text: &str| notes.lock().expect("not poisoned").push(text.to_owned()))
        };
        let stopped = async move {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let bridge = tokio::spawn(bridge::bridge(bridge, input, output, note, stopped));
        Self {
            to: Some(to),
            from: BufReader::new(from).lines(),
            bridge,
            stop: Some(stop),
            notes,
            next: 0,
            early: BTreeMap::new(),
            heard: Vec::new(),
        }
    }

    /// A bridge to a server at an address.
    pub fn http(url: &str, headers: &[(&str, &str)]) -> Self {
        Self::of(Upstream::Http(remote(url, headers)), Filter::default())
    }

    /// What was remarked so far.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("not poisoned").clone()
    }

    /// Sends a line as it is.
    pub async fn send_line(&mut self, line: &str) {
        let to = self.to.as_mut().expect("open");
        to.write_all(format!("{line}\n").as_bytes()).await.expect("the bridge reads");
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string()).await;
    }

    /// Sends a request and returns its id.
    pub async fn request(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})).await;
        self.next
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    /// The next line; none at the end.
    pub async fn line(&mut self) -> Option<String> {
        match tokio::time::timeout(PATIENCE, self.from.next_line()).await {
            Ok(line) => line.expect("UTF-8"),
            Err(_) => panic!("nothing came; heard {:?}; notes {:?}", self.heard, self.notes()),
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Value {
        let Some(line) = self.line().await else { panic!("the bridge ended; notes {:?}", self.notes()) };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The whole answer to a request; what comes before it is kept in `heard`.
    pub async fn answer(&mut self, id: u64) -> Value {
        if let Some(answer) = self.early.remove(&id.to_string()) {
            return answer;
        }
        loop {
            let message = self.message().await;
            if message.get("method").is_some() {
                self.heard.push(message);
            } else if message["id"] == id {
                return message;
            } else {
                self.early.insert(message["id"].to_string(), message);
            }
        }
    }

    /// Asks, and returns the whole answer.
    pub async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        self.answer(id).await
    }

    /// Calls a tool and returns its first text.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await;
        first_text(&answer)
    }

    /// Waits for a message with a method.
    pub async fn hear(&mut self, method: &str) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(|message| message["method"] == method) {
                return self.heard.remove(at);
            }
            let message = self.message().await;
            if message.get("method").is_some() {
                self.heard.push(message);
            } else {
                self.early.insert(message["id"].to_string(), message);
            }
        }
    }

    /// The handshake of the 2025 era; returns the result.
    pub async fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"sampling": {}, "elicitation": {}, "roots": {"listChanged": true}},
            "clientInfo": {"name": "test", "version": "1"},
        });
        let answer = self.ask("initialize", params).await;
        assert!(answer["result"].is_object(), "{answer}; notes {:?}", self.notes());
        self.notify("notifications/initialized", json!({})).await;
        answer["result"].clone()
    }

    /// Asks as a client of the 2026 era does.
    pub async fn ask_modern(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, modern(params)).await;
        self.answer(id).await
    }

    /// Closes the client's side, and waits for the bridge to end; returns its exit code.
    pub async fn close(mut self) -> u8 {
        self.to = None;
        while self.line().await.is_some() {}
        self.bridge.await.expect("no panic").expect("no error")
    }

    /// Closes the client's side; returns what still came, and the exit code.
    pub async fn leave(mut self) -> (Vec<String>, u8) {
        self.to = None;
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        (lines, self.bridge.await.expect("no panic").expect("no error"))
    }

    /// Asks the bridge to end at once, and waits for it.
    pub async fn stop(mut self) -> u8 {
        self.stop.take().expect("not stopped").send(()).expect("it listens");
        while self.line().await.is_some() {}
        self.bridge.await.expect("no panic").expect("no error")
    }

    /// Waits for the bridge to end by itself.
    pub async fn ended(mut self) -> std::io::Result<u8> {
        while self.line().await.is_some() {}
        self.bridge.await.expect("no panic")
    }
}

/// Parameters with what every request of the 2026 era carries.
pub fn modern(mut params: Value) -> Value {
    let meta = params.as_object_mut().expect("an object").entry("_meta").or_insert_with(|| json!({}));
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "1"});
    meta["io.modelcontextprotocol/clientCapabilities"] =
        json!({"elicitation": {}, "sampling": {}, "roots": {}});
    params
}

/// The first text of a tool's answer.
pub fn first_text(answer: &Value) -> String {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The names of the tools in an answer.
pub fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect()
}
