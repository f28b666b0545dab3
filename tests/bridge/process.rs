//! The bridge as the process that a client starts: what is left when the client ends it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::Sandbox;

/// `mcpkeel exec` of a server that does not look at its input, with a tool hidden so that there is a bridge.
struct Started {
    _home: Sandbox,
    bridge: Child,
    from: BufReader<ChildStdout>,
    server: i64,
}

impl Started {
    fn new() -> Self {
        let home = Sandbox::new();
        let say = r#"echo '{"method":"pid","params":{"pid":'$$'}}'; exec sleep 600"#;
        let script = home.write("server.sh", say);
        home.write(
            "mcp.yaml",
            format!(
                "version: 1\nservers:\n  a: {{ command: sh, args: ['{}'], tools: {{ deny: [rm] }} }}\nclients:\n  cursor: {{ servers: [a] }}\n",
                script.display()
            ),
        );
        let mut command: Command = home.command(&["exec", "a", "--client", "cursor"]);
        let mut bridge = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut from = BufReader::new(bridge.stdout.take().expect("piped"));
        let mut line = String::new();
        from.read_line(&mut line).expect("UTF-8");
        let server: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { _home: home, bridge, from, server: server["params"]["pid"].as_i64().expect("a number") }
    }

    fn signal(&mut self, signal: Signal) -> std::process::ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.bridge.id()).expect("small")).expect("not 0");
        kill_process(pid, signal).expect("sent");
        self.bridge.wait().expect("it ends")
    }

    /// Waits until the server is gone, or only waits to be noticed.
    #[track_caller]
    fn server_is_gone(&self) {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            let state = fs::read_to_string(format!("/proc/{}/stat", self.server)).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{} still runs", self.server);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.bridge.kill();
        let _ = self.bridge.wait();
    }
}

#[test]
fn a_signal_ends_the_server_too() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut started = Started::new();
        assert_eq!(started.signal(signal).code(), Some(143), "{signal:?}");
        started.server_is_gone();
    }
}

/// Nothing of ours runs any more by then: the kernel does it.
#[test]
fn a_bridge_that_is_killed_leaves_no_server() {
    let mut started = Started::new();
    assert_eq!(started.signal(Signal::KILL).code(), None);
    started.server_is_gone();
}

#[test]
fn a_hidden_tool_is_refused_through_exec() {
    let mut started = Started::new();
    let mut to = started.bridge.stdin.take().expect("piped");
    writeln!(to, r#"{{"id":1,"method":"tools/call","params":{{"name":"rm"}}}}"#).expect("it reads");
    let mut line = String::new();
    started.from.read_line(&mut line).expect("UTF-8");
    assert!(line.contains("Unknown tool: rm"), "{line}");
    // It does not look at its input, so its end says nothing to it: it is asked to end.
    drop(to);
    assert_eq!(started.bridge.wait().expect("it ends").code(), Some(143));
    started.server_is_gone();
}

/// A server that is bridged, as one that is become, has no key to our stores, and no line to who manages us.
#[test]
fn what_is_meant_for_us_alone_reaches_no_server() {
    for client in [&["--client", "cursor"][..], &[]] {
        let home = Sandbox::new();
        home.write(
            "mcp.yaml",
            "version: 1\nservers:\n  a: { command: sh, args: [-c, 'env > seen.txt'], tools: { deny: [rm] } }\nclients:\n  cursor: { servers: [a] }\n",
        );
        let mut command = home.command(&[&["exec", "a"], client].concat());
        let names = mcpkeel::system::Program::WITHHELD;
        command.envs(names.map(|name| (name, "withheld"))).env("OTHER", "passed on");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.status().expect("it starts");
        let seen = home.read("seen.txt");
        assert!(seen.contains("OTHER=passed on"), "{client:?}: {seen}");
        assert!(!seen.contains("withheld"), "{client:?}: {seen}");
    }
}
