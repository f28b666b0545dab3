//! The least of an HTTP client: what the tests send must not pass through a library that would set it right.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A caller: an address, a token, and the session if it has one.
#[derive(Clone)]
pub struct Caller {
    port: u16,
    token: String,
    path: String,
    session: Option<String>,
}

/// The messages of an answer that is still coming, one after the other.
pub struct Coming(BufReader<TcpStream>, String);

impl Coming {
    /// Panics if a message of this method has come so far.
    #[track_caller]
    pub fn says_nothing_of(mut self, method: &str) {
        let soon = Some(Duration::from_millis(200));
        self.0.get_ref().set_read_timeout(soon).expect("a time");
        while let Ok(Some(message)) = self.next() {
            assert_ne!(message["method"], method, "{message}");
        }
    }

    /// The next message; none at the end.
    pub fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
                self.1 = rest.to_owned();
                if !data.trim().is_empty() {
                    return serde_json::from_str(&data).map(Some).map_err(|error| format!("{error}: {data}"));
                }
                continue;
            }
            let Some(chunk) = chunk(&mut self.0)? else { return Ok(None) };
            self.1 += &String::from_utf8(chunk).map_err(|error| error.to_string())?.replace('\r', "");
        }
    }
}

/// An answer: the status, the headers in lower case, and the messages of the body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub messages: Vec<Value>,
}

impl Caller {
    pub fn new(port: u16, token: &str, path: &str) -> Self {
        Self { port, token: token.to_owned(), path: path.to_owned(), session: None }
    }

    /// The same with a session of 2025-11-25.
    #[track_caller]
    pub fn greeted(mut self) -> Self {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": { "sampling": {} }, "clientInfo": { "name": "test", "version": "1" },
        });
        let answer =
            self.post(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }));
        let id = answer.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {}", answer.head));
        self.session = Some(id);
        self.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        self
    }

    /// The same, in somebody else's hands.
    pub fn with_token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// Calls a tool under this id, in the era of the caller: the older one if it has a session.
    #[track_caller]
    pub fn call(&self, id: &Value, tool: &str, arguments: &Value, token: Option<&Value>) -> Answer {
        self.post(&self.message(id, tool, arguments, token))
    }

    /// The text that a tool answers with, or the error in words.
    #[track_caller]
    pub fn text(&self, tool: &str, arguments: &Value) -> Result<String, String> {
        let answer = self.call(&json!(1), tool, arguments, None);
        answer.text(&json!(1))
    }

    pub fn message(&self, id: &Value, tool: &str, arguments: &Value, token: Option<&Value>) -> Value {
        let mut meta = json!({});
        if self.session.is_none() {
            meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        if let Some(token) = token {
            meta["progressToken"] = token.clone();
        }
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    }

    #[track_caller]
    pub fn post(&self, message: &Value) -> Answer {
        let stream = self.begin("POST", Some(message));
        read(stream).unwrap_or_else(|error| panic!("{message}: {error}"))
    }

    /// Sends just this text, and reads the answer as text alone.
    #[track_caller]
    pub fn post_as_it_is(&self, text: &str, like: &Value) -> String {
        let stream = self.send("POST", Some(like), text);
        let (_, body) = bytes(stream).unwrap_or_else(|error| panic!("{text}: {error}"));
        body
    }

    /// Sends a request and leaves the answer where it is.
    #[track_caller]
    pub fn begin(&self, method: &str, message: Option<&Value>) -> TcpStream {
        self.send(method, message, &message.map(Value::to_string).unwrap_or_default())
    }

    /// With the headers of `message`, and this body.
    #[track_caller]
    fn send(&self, method: &str, message: Option<&Value>, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the gateway listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let mut head = format!(
            "{method} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
             Accept: application/json, text/event-stream\r\n",
            self.path, self.port, self.token
        );
        match &self.session {
            Some(session) => {
                head += &format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n")
            }
            None => {
                let part =
                    |pointer| message.and_then(|message| message.pointer(pointer)).and_then(Value::as_str);
                if part("/method") != Some("initialize") {
                    head += "MCP-Protocol-Version: 2026-07-28\r\n";
                    part("/method").iter().for_each(|method| head += &format!("Mcp-Method: {method}\r\n"));
                    part("/params/name").iter().for_each(|name| head += &format!("Mcp-Name: {name}\r\n"));
                }
            }
        }
        if message.is_some() {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).expect("sent");
        stream
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<String> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }

    /// The text that a tool answered under this id, or the error in words.
    pub fn text(&self, id: &Value) -> Result<String, String> {
        let answer = self.messages.iter().find(|message| message.get("method").is_none());
        let Some(answer) = answer else { return Err(format!("{} without an answer", self.status)) };
        match answer.pointer("/result/content/0/text").and_then(Value::as_str) {
            Some(text) if answer["id"] == *id => Ok(text.to_owned()),
            _ => Err(answer.to_string()),
        }
    }
}

/// Reads the head of an answer, whose messages are still to come.
pub fn follow(stream: TcpStream) -> Result<Coming, String> {
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    let mut first = String::new();
    if !head.contains("text/event-stream") {
        // A single message, and nothing after it.
        reader.read_to_string(&mut first).map_err(|error| error.to_string())?;
        first = format!("data: {first}\n\n");
    }
    Ok(Coming(reader, first))
}

/// Reads an answer to its end.
pub fn read(stream: TcpStream) -> Result<Answer, String> {
    let (head, body) = bytes(stream)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let parse = |text: &str| serde_json::from_str(text).map_err(|error| format!("{error}: {text:.200}"));
    let messages = match head.contains("text/event-stream") {
        true => {
            let data = body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
            data.filter(|data| !data.is_empty()).map(parse).collect::<Result<_, _>>()?
        }
        false if body.trim().is_empty() => Vec::new(),
        false => vec![parse(&body)?],
    };
    Ok(Answer { status, head, messages })
}

/// The head and the body of an answer, whose end must come in time however much comes before it.
fn bytes(stream: TcpStream) -> Result<(String, String), String> {
    let until = Instant::now() + PATIENCE;
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        while let Some(mut chunk) = chunk(&mut reader)? {
            body.append(&mut chunk);
            if Instant::now() > until {
                return Err("the answer does not end".to_owned());
            }
        }
    } else {
        reader.read_to_end(&mut body).map_err(|error| error.to_string())?;
    }
    Ok((head, String::from_utf8(body).map_err(|error| error.to_string())?))
}

fn head(reader: &mut impl BufRead) -> Result<String, String> {
    let mut head = String::new();
    loop {
        let begin = head.len();
        let read = reader.read_line(&mut head).map_err(|error| error.to_string())?;
        if read == 0 {
            return Err(format!("the answer ends early: {head:?}"));
        }
        if head[begin..].trim().is_empty() {
            return Ok(head.to_ascii_lowercase());
        }
    }
}

fn chunk(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>, String> {
    let mut size = String::new();
    if reader.read_line(&mut size).map_err(|error| error.to_string())? == 0 {
        return Ok(None);
    }
    let size = usize::from_str_radix(size.trim(), 16).map_err(|_| "the answer breaks off".to_owned())?;
    let mut data = vec![0; size + 2];
    reader.read_exact(&mut data).map_err(|error| error.to_string())?;
    data.truncate(size);
    Ok((size > 0).then_some(data))
}
