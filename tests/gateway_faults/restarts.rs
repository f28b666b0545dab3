//! The gateway itself is ended, in every way, and comes again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::{DEADLINE, Up, is_alive};

const CLIENTS: &str = "clients: { cursor: { servers: ['*'], delivery: gateway } }\n";

/// What a client with `delivery: gateway` starts.
struct Connected {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last: u64,
}

impl Connected {
    #[track_caller]
    fn to(up: &Up) -> Self {
        let mut command = up.home.command(&["connect", "--client", "cursor"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut connected = Self { child, input, output: BufReader::new(output), last: 0 };
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        connected.ask("initialize", &params);
        connected.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        connected
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.input, "{message}").expect("said");
    }

    /// Asks, and waits for the answer to just that.
    #[track_caller]
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("UTF-8") > 0, "it ended");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    #[track_caller]
    fn call(&mut self, tool: &str) -> Result<String, String> {
        let answer = self.ask("tools/call", &json!({ "name": tool, "arguments": { "text": "there" } }));
        let text = answer.pointer("/result/content/0/text").and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| answer.to_string())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_client_goes_on_through_a_gateway_that_was_killed() {
    let Some(mut up) = Up::faulty(CLIENTS) else { return };
    let mut client = Connected::to(&up);
    let before = client.call("a__pid").expect("an answer");
    up.kill();
    up.wait_for("the server ends with the gateway", || !is_alive(&before));
    up.start();
    let mut after = Err(String::new());
    up.wait_for("the client's next call is answered", || {
        after = client.call("a__pid");
        after.is_ok()
    });
    assert_ne!(Ok(before), after);
}

#[test]
fn a_client_goes_on_through_a_gateway_that_was_stopped() {
    let Some(mut up) = Up::faulty(CLIENTS) else { return };
    let mut client = Connected::to(&up);
    client.call("a__echo").expect("an answer");
    assert_eq!(up.stop(), Some(0));
    up.start();
    up.wait_for("the client's next call is answered", || client.call("a__echo").is_ok());
}

#[test]
fn nothing_is_left_of_the_servers_when_the_gateway_ends() {
    for kill in [false, true] {
        let Some(mut up) = Up::faulty("") else { return };
        let servers = ["a", "b"].map(|server| up.caller(server).text("pid", &json!({})).expect("it runs"));
        if kill {
            up.kill();
        } else {
            assert_eq!(up.stop(), Some(0));
        }
        up.wait_for("every server has ended", || !servers.iter().any(|pid| is_alive(pid)));
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_is_started() {
    let Some(up) = Up::faulty("") else { return };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let other = crate::support::Sandbox::new();
    other.write("mcp.yaml", format!("version: 1\ngateway: {{ listen: \"127.0.0.1:{port}\" }}\nservers: {{ a: {{ command: sleep, args: ['988'] }} }}\n"));
    let mut child = other
        .command(&["up", "--no-watch"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let begun = std::time::Instant::now();
    let ended = loop {
        match child.try_wait().expect("a status") {
            Some(status) => break Some(status),
            None if begun.elapsed() > DEADLINE => break None,
            None => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    };
    child.kill().ok();
    let said = child.wait_with_output().expect("it ended");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(ended.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains(&port.to_string()) && said.contains("in use"), "{said}");
    drop(up);
}
