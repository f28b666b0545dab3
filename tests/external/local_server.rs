//! A server on this machine for clients that will not list what they cannot reach.
//!
//! `/mcp` is a remote MCP server with the same two tools as `spy.mjs`. `/v1` is a language model that answers
//! "ok" to everything and remembers what it was asked.
//!
//! Invariant: listens on the loopback address only, and stops when dropped.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// A running server; see the module's text.
pub struct LocalServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
    stopping: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl LocalServer {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let listening = thread::spawn({
            let (asked, stopping) = (Arc::clone(&asked), Arc::clone(&stopping));
            move || {
                for stream in listener.incoming().flatten() {
                    if stopping.load(Ordering::Relaxed) {
                        return;
                    }
                    let asked = Arc::clone(&asked);
                    // A client that hangs up early is its own affair.
                    thread::spawn(move || serve(&stream, &asked).ok());
                }
            }
        });
        Self { address, asked, stopping, listening: Some(listening) }
    }

    /// Where it speaks to clients of language models, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it speaks MCP.
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.url())
    }

    /// The names of all tools that a client has offered to the model so far.
    pub fn offered_tools(&self) -> BTreeSet<String> {
        self.asked.lock().expect("not poisoned").iter().flat_map(tool_names).collect()
    }

    /// Whether a client has mentioned this to the model, anywhere.
    pub fn was_told(&self, text: &str) -> bool {
        self.asked.lock().expect("not poisoned").iter().any(|request| request.to_string().contains(text))
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it should stop.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = self.listening.take() {
            listening.join().ok();
        }
    }
}

/// Reads one request, answers it and hangs up.
fn serve(stream: &TcpStream, asked: &Mutex<Vec<Value>>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let request = Request::read(BufReader::new(stream))?;
    let (status, kind, body) = answer(&request, asked);
    write!(
        &mut &*stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

struct Request {
    method: String,
    path: String,
    body: Value,
}

impl Request {
    fn read(mut from: impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut length = 0;
        loop {
            let mut header = String::new();
            from.read_line(&mut header)?;
            let Some((name, value)) = header.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        Ok(Self { method, path, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}

/// Status line, content type and body.
fn answer(request: &Request, asked: &Mutex<Vec<Value>>) -> (&'static str, &'static str, String) {
    const JSON: &str = "application/json";
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/mcp") => match mcp_answer(&request.body) {
            Some(answer) => ("200 OK", JSON, answer.to_string()),
            None => ("202 Accepted", JSON, String::new()),
        },
        ("POST", "/v1/chat/completions") => {
            asked.lock().expect("not poisoned").push(request.body.clone());
            if request.body["stream"] == true {
                ("200 OK", "text/event-stream", streamed_completion())
            } else {
                ("200 OK", JSON, completion("message", "stop").to_string())
            }
        }
        (_, "/mcp") => ("405 Method Not Allowed", JSON, String::new()),
        _ => ("404 Not Found", JSON, String::new()),
    }
}

/// The answer to a JSON-RPC message; a notification has none.
fn mcp_answer(message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let tool = |name| json!({"name": name, "inputSchema": {"type": "object", "properties": {}}});
    let result = match message["method"].as_str()? {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "local server", "version": "1.0.0"},
        }),
        "tools/list" => json!({"tools": [tool("alpha"), tool("beta")]}),
        "ping" => json!({}),
        other => {
            let error = json!({"code": -32601, "message": format!("{other} is not known here")});
            return Some(json!({"jsonrpc": "2.0", "id": id, "error": error}));
        }
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

/// The tools that a chat completion request offers to the model.
fn tool_names(request: &Value) -> Vec<String> {
    let tools = request["tools"].as_array().map_or(&[][..], Vec::as_slice);
    tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).map(str::to_owned).collect()
}

fn streamed_completion() -> String {
    format!("data: {}\n\ndata: [DONE]\n\n", completion("delta", "stop"))
}

fn completion(member: &str, finish_reason: &str) -> Value {
    let choice = json!({
        "index": 0,
        member: {"role": "assistant", "content": "ok"},
        "finish_reason": finish_reason,
    });
    json!({
        "id": "completion",
        "object": if member == "delta" { "chat.completion.chunk" } else { "chat.completion" },
        "created": 0,
        "model": "fake",
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
}
