//! `mcpkeel server` and the `mcpkeel up` that it asks.

use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::crew::{DYING, SERVER};
use super::tree::{Pids, STUBBORN, WRAPPED, kill, until};
use crate::support::Sandbox;

/// A running `mcpkeel up`, ended with this.
struct Up<'a> {
    sandbox: &'a Sandbox,
    child: Child,
}

impl<'a> Up<'a> {
    fn start(sandbox: &'a Sandbox, servers: &[(&str, &str)]) -> Self {
        let mut manifest = "version: 1\nsupervisor: { stop_timeout: 300ms, restart: { backoff: 1ms..2ms, \
             give_up_after: 3 } }\nservers:\n"
            .to_owned();
        for (name, script) in servers {
            sandbox.write(&format!("{name}.sh"), script);
            let (script, pids) = (sandbox.path(&format!("{name}.sh")), sandbox.path(name));
            manifest += &format!(
                "  {name}: {{ command: sh, args: ['{}'], env: {{ PIDS: '{}' }} }}\n",
                script.display(),
                pids.display()
            );
        }
        sandbox.write("mcp.yaml", manifest);
        let mut command = sandbox.command(&["up", "--no-watch"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let up = Self { sandbox, child };
        until("mcpkeel up", || sandbox.run(&["server", "status"]).code == 0);
        up
    }

    fn pids(&self, name: &str) -> Pids {
        Pids::at(&self.sandbox.home(), name)
    }

    fn status(&self, name: &str) -> Value {
        let ran = self.sandbox.run(&["server", "status", name, "--format", "json"]).exits(0);
        let whole: Value = serde_json::from_str(&ran.out).expect("JSON");
        whole["servers"][0].clone()
    }

    fn end(&mut self, signal: Signal) {
        kill(self.child.id().cast_signed(), signal);
        self.child.wait().expect("it ended");
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        // It has ended in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_person_sees_stops_and_starts_servers() {
    let sandbox = Sandbox::new();
    let mut up = Up::start(&sandbox, &[("good", SERVER), ("dead", DYING)]);
    until("the good one", || up.status("good")["state"] == "ready");
    until("the dead one", || up.status("dead")["state"] == "failed");
    let status = sandbox.run(&["server", "status"]).exits(0);
    assert!(status.out.lines().nth(1).is_some_and(|line| line.starts_with("good")), "{}", status.out);
    assert!(status.out.contains("shell 1.2.3"), "{}", status.out);
    assert!(
        status.err.contains("ended with code 3") && status.err.contains("server start dead"),
        "{}",
        status.err
    );
    let health = sandbox.run(&["server", "health"]).exits(1);
    assert!(health.out.contains("unhealthy") && health.out.contains("healthy"), "{}", health.out);
    sandbox.run(&["server", "health", "good"]).exits(0);

    sandbox.run(&["server", "stop", "good"]).exits(0);
    assert!(up.pids("good").living().is_empty());
    let tools = sandbox.run(&["server", "tools", "good"]).exits(1);
    assert!(tools.err.contains("it was stopped") && tools.err.contains("server start good"), "{}", tools.err);
    let started = sandbox.run(&["server", "start", "good"]).exits(0);
    assert!(started.err.contains("`good` is running (process "), "{}", started.err);
    sandbox.run(&["server", "restart", "good"]).exits(0);
    assert_eq!(up.pids("good").all().len(), 3);
    let tools = sandbox.run(&["server", "tools", "good"]).exits(0);
    assert!(tools.out.contains("look") && tools.out.contains("Looks"), "{}", tools.out);
    let tools = sandbox.run(&["server", "tools", "good", "--format", "json"]).exits(0);
    let tools: Value = serde_json::from_str(&tools.out).expect("JSON");
    assert_eq!(tools["tools"][0]["name"], "look");
    let failed = sandbox.run(&["server", "start", "dead", "good"]).exits(1);
    assert!(
        failed.err.contains("no such database") && failed.err.contains("`good` is running"),
        "{}",
        failed.err
    );
    let unknown = sandbox.run(&["server", "stop", "goof"]).exits(1);
    assert!(unknown.err.contains("did you mean `good`?"), "{}", unknown.err);
    up.end(Signal::TERM);
    assert!(up.pids("good").living().is_empty());
}

#[test]
fn the_logs_can_be_read_whether_it_runs_or_not() {
    let sandbox = Sandbox::new();
    let none = sandbox.run(&["server", "logs", "dead"]).exits(0);
    assert!(none.err.contains("`dead` has no log"), "{}", none.err);
    let mut up = Up::start(&sandbox, &[("dead", DYING)]);
    until("the dead one", || up.status("dead")["state"] == "failed");
    let logs = sandbox.run(&["server", "logs", "dead"]).exits(0);
    assert!(logs.out.contains("error  stderr    Error: no such database"), "{}", logs.out);
    assert!(logs.out.contains("given up after 3 failures in a row"), "{}", logs.out);
    let mut following = sandbox
        .command(&["server", "logs", "dead", "-F", "--tail", "1", "--level", "error"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let out = following.stdout.take().expect("piped");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out)).map_while(Result::ok);
    let last = lines.next().expect("a line");
    assert!(last.contains("given up"), "{last}");
    sandbox.run(&["server", "start", "dead"]).exits(1);
    let fresh = lines.next().expect("a line");
    assert!(fresh.contains("no such database"), "{fresh}");
    following.kill().expect("killed");
    following.wait().expect("ended");
    up.end(Signal::TERM);
    let tail =
        sandbox.run(&["server", "logs", "dead", "--tail", "2", "--since", "1h", "--format", "json"]).exits(0);
    let last: Value = serde_json::from_str(tail.out.lines().last().expect("a line")).expect("JSON");
    assert_eq!((tail.out.lines().count(), &last["source"]), (2, &Value::from("mcpkeel")));
    let wrong = sandbox.run(&["server", "logs", "dead", "--since", "soon"]).exits(64);
    assert!(wrong.err.contains("write it like `10m`"), "{}", wrong.err);
}

#[test]
fn without_a_process_that_runs_servers_it_is_said_how_to_have_one() {
    let sandbox = Sandbox::new();
    for args in [["server", "status"].as_slice(), &["server", "stop", "x"], &["server", "tools", "x"]] {
        let ran = sandbox.run(args).exits(1);
        assert!(
            ran.err.contains("no servers are run here now") && ran.err.contains("mcpkeel up"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn nothing_is_left_when_up_is_asked_to_end_or_killed() {
    for signal in [Signal::TERM, Signal::KILL] {
        let sandbox = Sandbox::new();
        let stubborn =
            format!("{}{STUBBORN}", SERVER.replace("done\n", "[ -n \"$over\" ] && break; over=; done\n"));
        let mut up = Up::start(
            &sandbox,
            &[("good", SERVER), ("stubborn", STUBBORN), ("wrapped", WRAPPED), ("greeted", &stubborn)],
        );
        up.pids("stubborn").await_born(2);
        up.pids("wrapped").await_born(2);
        up.pids("good").await_born(1);
        let began = std::time::Instant::now();
        up.end(signal);
        let ended = began.elapsed();
        let mut longest = Duration::ZERO;
        for name in ["good", "stubborn", "wrapped", "greeted"] {
            longest = longest.max(up.pids(name).await_none(Duration::from_secs(5)));
        }
        println!("{signal:?}: it ended after {ended:?}, and the last process {longest:?} later");
    }
}
