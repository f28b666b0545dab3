//! The client-facing ends of the gateway: `connect` and `call`, as processes, with `up` behind them.
//!
//! `server.py` is what the gateway runs; without Python these tests skip, and say so.
//!
//! Invariant: every process that a test starts, or has started for it, is gone when the test is.

#![cfg(unix)]

mod call;
mod connect;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::secrets::tools::are_there;
use crate::support::{Ran, Sandbox, repo};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home with a manifest for a gateway, whose `up` ends with it.
pub struct House {
    pub home: Sandbox,
}

impl House {
    /// None where a program is missing, having said so.
    pub fn new(gateway: &str) -> Option<Self> {
        are_there(&["python3"]).then(|| {
            let home = Sandbox::new();
            home.write("mcp.yaml", manifest(gateway));
            Self { home }
        })
    }

    /// The process that stays, once there is one.
    pub fn up(&self) -> u32 {
        wait_for("`up` runs", || self.running())
    }

    /// The process that stays, if there is one.
    pub fn running(&self) -> Option<u32> {
        let text = std::fs::read(self.home.path(".local/state/mcpkeel/watch.json")).ok()?;
        let watching: Value = serde_json::from_slice(&text).ok()?;
        let pid = u32::try_from(watching["pid"].as_u64()?).ok()?;
        is_running(pid).then_some(pid)
    }

    pub fn kill(&self, signal: Signal) -> u32 {
        let pid = self.up();
        send(pid, signal);
        wait_for("`up` ends", || (!is_running(pid)).then_some(()));
        pid
    }

    /// Starts `up` as a person does.
    pub fn start(&self) -> Child {
        let mut command = self.home.command(&["up", "--no-watch"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        self.up();
        child
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.home.run(args)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(pid) = self.running() {
            send(pid, Signal::TERM);
            let until = Instant::now() + Duration::from_secs(5);
            while is_running(pid) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            send(pid, Signal::KILL);
        }
    }
}

/// A manifest with two servers, and clients that see one or both.
pub fn manifest(gateway: &str) -> String {
    let server = repo().join("tests/front/server.py");
    let command = format!("{{ command: python3, args: [-u, {:?}] }}", server.display().to_string());
    format!(
        "version: 1\n{gateway}servers:\n  small: {command}\n  other: {command}\nclients:\n  \
         cursor: {{ servers: [small], delivery: gateway, tools: {{ small: {{ deny: [image] }} }} }}\n  kiro: {{ servers: ['*'], delivery: gateway }}\n"
    )
}

/// With any free port.
pub const GATEWAY: &str = "gateway: { listen: \"127.0.0.1:0\" }\n";

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process(pid, signal);
    }
}

/// Dead ones that nobody has reaped yet do not count.
fn is_running(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        let is_linux = std::path::Path::new("/proc/self/stat").exists();
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        return !is_linux && pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
    };
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
}

#[track_caller]
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A client that started `mcpkeel connect`.
pub struct Client {
    pub child: Child,
    to: Option<ChildStdin>,
    from: Receiver<String>,
    errors: Receiver<String>,
    next: u64,
}

impl Client {
    pub fn start(house: &House, key: &str) -> Self {
        let mut command = house.home.command(&["connect", "--client", key]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let (to, out) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let errors = child.stderr.take().expect("piped");
        Self {
            child,
            to,
            from: drain(BufReader::new(out).lines()),
            errors: drain(BufReader::new(errors).lines()),
            next: 0,
        }
    }

    pub fn say(&mut self, message: &Value) {
        let to = self.to.as_mut().expect("open");
        writeln!(to, "{message}").expect("it reads");
    }

    pub fn request(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.say(&json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }));
        self.next
    }

    /// The answer to a request; what comes in between is left out.
    #[track_caller]
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let Ok(line) = self.from.recv_timeout(PATIENCE) else {
                panic!("no answer came; it says {:?}", self.remarks())
            };
            let message: Value =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.answer(id)
    }

    #[track_caller]
    pub fn greet(&mut self) {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let answer = self.ask("initialize", params);
        assert!(answer["result"].is_object(), "{answer}");
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }

    /// Names of the tools, once as many as that are there.
    #[track_caller]
    pub fn tools(&mut self, count: usize) -> Vec<String> {
        wait_for("the tools are listed", || {
            let answer = self.ask("tools/list", json!({}));
            let tools = answer["result"]["tools"].as_array().cloned().unwrap_or_default();
            let names = tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned));
            Some(names.collect::<Vec<_>>()).filter(|names| names.len() == count)
        })
    }

    pub fn remarks(&self) -> Vec<String> {
        self.errors.try_iter().collect()
    }

    /// Closes its side; the exit code.
    pub fn close(&mut self) -> Option<i32> {
        drop(self.to.take());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(lines: Lines<impl std::io::BufRead + Send + 'static>) -> Receiver<String> {
    let (send, lines_of) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
    lines_of
}
