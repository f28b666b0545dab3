//! What goes wrong on either side of the gateway, and that it stays on its side.
//!
//! `server.py` is a server that misbehaves when it is told to; [`Up`] is a gateway in a home of its own. The tests need
//! python3, without which they say that they skip; they look at memory and processes as Linux shows them.
//!
//! Invariant: a test waits for what it expects, with a deadline; every process it starts is ended and waited for.

mod answers;
mod clients;
mod faults;
mod http;
mod load;
mod restarts;

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::bridge::real::free_port;
use crate::secrets::tools;
use crate::support::{Sandbox, repo};
use http::Caller;

/// The longest that anything here may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running `mcpkeel up` with the servers of a manifest behind it.
pub struct Up {
    pub home: Sandbox,
    pub port: u16,
    pub token: String,
    child: Option<Child>,
}

impl Up {
    /// With `a` and `b`, two of the servers that misbehave; `more` is added to the manifest. None, having said so,
    /// where python3 is missing.
    #[track_caller]
    pub fn faulty(more: &str) -> Option<Self> {
        if !tools::are_there(&["python3"]) {
            return None;
        }
        let server = faulty_server();
        let up = Self::of(&format!("servers:\n  a: {server}\n  b: {server}\n{more}"));
        for server in ["a", "b"] {
            up.answers(server);
        }
        Some(up)
    }

    /// With this manifest, which says nothing about the gateway. Started, and not yet waited for. No client starts
    /// another one in its place, which nobody would end.
    #[track_caller]
    pub fn of(manifest: &str) -> Self {
        let home = Sandbox::new();
        let port = free_port();
        home.write(
            "mcp.yaml",
            format!("version: 1\ngateway: {{ listen: \"127.0.0.1:{port}\", autostart: false }}\n{manifest}"),
        );
        let token = home.run(&["-q", "token", "create", "test"]).exits(0).out.trim().to_owned();
        let mut up = Self { home, port, token, child: None };
        up.start();
        up
    }

    pub fn start(&mut self) {
        let log = fs::File::create(self.home.path("up.log")).expect("a log");
        let mut command = self.home.command(&["up", "--no-watch"]);
        command.stdout(log.try_clone().expect("twice")).stderr(log).stdin(Stdio::null());
        self.child = Some(command.spawn().expect("it starts"));
    }

    /// A caller of the newer era, at the address of one server.
    pub fn caller(&self, server: &str) -> Caller {
        Caller::new(self.port, &self.token, &format!("/mcp/{server}"))
    }

    /// Waits until this server answers a call of `echo`.
    #[track_caller]
    pub fn answers(&self, server: &str) {
        let echo = serde_json::json!({ "text": "there" });
        self.wait_for(&format!("{server} answers"), || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.caller(server).text("echo", &echo).is_ok_and(|text| text == "there")
        });
    }

    #[track_caller]
    pub fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + DEADLINE;
        while !is_so() {
            assert!(Instant::now() < until, "never: {what}\n{}", self.home.read("up.log"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process that is `mcpkeel up`.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// The memory of the gateway and of nothing that it started, in MB.
    pub fn megabytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }

    /// Ends it as nobody wants to be ended.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("waited for");
    }

    /// Asks it to end, and how it ended.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        // SIGTERM, by the one program that can send it.
        let asked = std::process::Command::new("kill").arg(child.id().to_string()).status();
        let until = Instant::now() + DEADLINE;
        while asked.is_ok() && Instant::now() < until {
            if let Ok(Some(status)) = child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().ok();
        child.wait().ok().and_then(|status| status.code())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The entry of a server that misbehaves.
pub fn faulty_server() -> String {
    let script = repo().join("tests/gateway_faults/server.py");
    format!("{{ command: python3, args: [{:?}] }}", script.to_str().expect("UTF-8"))
}

/// Whether there is a process with this number that has not ended.
pub fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
