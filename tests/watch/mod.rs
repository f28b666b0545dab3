//! `mcpkeel watch` as a process: real file events on a real file system.
//!
//! Invariant: a test waits for what it expects, with a deadline, and never for time to pass; every
//! process that it starts is ended and waited for.
//!
//! Start at [`Watching`].

mod decisions;
mod events;
mod notices;
mod sourced;
mod standing;
mod torn;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Ran, Sandbox};

/// The longest that anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A home with a running `mcpkeel watch`.
pub struct Watching {
    pub home: Rc<Sandbox>,
    child: Option<Child>,
    events: Arc<Mutex<Vec<Value>>>,
}

/// Two clients, two servers.
pub const MANIFEST: &str = "version: 1
servers:
  time: { command: uvx, args: [mcp-server-time] }
  git: { command: uvx, args: [mcp-server-git] }
clients:
  cursor: { servers: [time, git] }
  codex: { servers: [time] }
";

pub const CURSOR: &str = ".cursor/mcp.json";
pub const CODEX: &str = ".codex/config.toml";

impl Watching {
    /// Starts to watch a home, and waits until everything that can be is in step.
    #[track_caller]
    pub fn of(home: impl Into<Rc<Sandbox>>) -> Self {
        let mut watching = Self { home: home.into(), child: None, events: Arc::default() };
        watching.start();
        watching
    }

    /// A home with this manifest, and a file of Cursor's with something of its own.
    #[track_caller]
    pub fn manifest(manifest: &str) -> Self {
        let home = Sandbox::new();
        home.write("mcp.yaml", manifest);
        home.write(CURSOR, "{\n  \"mcpServers\": {\n    \"mine\": { \"command\": \"mine\" }\n  }\n}\n");
        Self::of(home)
    }

    /// Starts the process (again).
    #[track_caller]
    pub fn start(&mut self) {
        fs::create_dir_all(self.home.path("run")).expect("a runtime directory");
        let command = self.home.command(&["watch", "--format", "json"]);
        self.spawn(command);
    }

    /// The same with a command of the test's own making.
    #[track_caller]
    pub fn spawned(home: Sandbox, command: Command) -> Self {
        let mut watching = Self { home: home.into(), child: None, events: Arc::default() };
        fs::create_dir_all(watching.home.path("run")).expect("a runtime directory");
        watching.spawn(command);
        watching
    }

    #[track_caller]
    fn spawn(&mut self, mut command: Command) {
        command.env("XDG_RUNTIME_DIR", self.home.path("run"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let events = Arc::new(Mutex::new(Vec::new()));
        self.events = events.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no event: {line}"));
                events.lock().expect("events").push(event);
            }
        });
        self.child = Some(child);
        let pid = self.pid();
        self.until("it stands by", || self.told(|event| event["event"] == "started"));
        self.until("its socket is there", || {
            let text = fs::read_to_string(self.home.path(".local/state/mcpkeel/watch.json"));
            text.is_ok_and(|text| text.contains(&format!("\"pid\": {pid},")))
        });
        self.settle();
    }

    /// Waits until it has nothing more to do for now.
    #[track_caller]
    pub fn settle(&self) {
        let mut last = (self.passes(), Instant::now());
        self.until("it settles", || {
            let now = self.passes();
            if now != last.0 {
                last = (now, Instant::now());
            }
            last.0 > 0 && last.1.elapsed() > Duration::from_millis(250)
        });
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Ends it as a service manager would, and returns its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.signal("TERM");
        let mut child = self.child.take().expect("it runs");
        self.until("it ends", || child.try_wait().expect("asked").is_some());
        child.wait().expect("it ended").code().unwrap_or(-1)
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("ended");
        child.wait().expect("it ended");
    }

    pub fn signal(&self, name: &str) {
        let sent =
            std::process::Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits for something to become true.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !holds() {
            assert!(
                Instant::now() < end,
                "not within {} s: {what}\nevents: {:#?}",
                DEADLINE.as_secs(),
                self.events.lock().expect("events")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a file holds a text.
    #[track_caller]
    pub fn until_file(&self, path: &str, holds: impl Fn(&str) -> bool) {
        let file = self.home.path(path);
        self.until(path, || holds(&fs::read_to_string(&file).unwrap_or_default()));
    }

    /// Waits until a client block stands like this, for this reason.
    #[track_caller]
    pub fn until_stands(&self, client: &str, condition: &str, reason: &str) {
        self.until(&format!("{client} is {condition} ({reason})"), || {
            let now = self.condition(client);
            now["condition"] == condition && now["reason"] == reason
        });
    }

    /// How a client block stands, as the running process says.
    pub fn condition(&self, client: &str) -> Value {
        let status = self.json(&["status"]);
        let clients = status["clients"].as_array().cloned().unwrap_or_default();
        clients.into_iter().find(|found| found["client"] == client).unwrap_or_default()
    }

    /// Whether such an event was told.
    pub fn told(&self, is_it: impl Fn(&Value) -> bool) -> bool {
        self.events.lock().expect("events").iter().any(is_it)
    }

    /// How the manifest stands.
    pub fn manifest_stands(&self) -> Value {
        self.json(&["status"])["manifest"].clone()
    }

    /// Waits until the manifest stands like this, for this reason.
    #[track_caller]
    pub fn until_manifest(&self, condition: &str, reason: &str) {
        self.until(&format!("the manifest is {condition} ({reason})"), || {
            let now = self.manifest_stands();
            now["condition"] == condition && now["reason"] == reason
        });
    }

    /// How many such events were told.
    pub fn count(&self, is_it: impl Fn(&Value) -> bool) -> usize {
        self.events.lock().expect("events").iter().filter(|event| is_it(event)).count()
    }

    /// What it did to clients' files so far.
    pub fn applied(&self) -> usize {
        self.count(|event| event["event"] == "applied")
    }

    /// How often it looked at everything so far.
    pub fn passes(&self) -> u64 {
        let text = self.run(&["status", "--metrics"]).out;
        let count = |line: &str| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        text.lines().filter(|line| line.starts_with("mcpkeel_reconcile_total")).filter_map(count).sum()
    }

    /// Runs another command in the same home.
    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.home.command(args);
        command.env("XDG_RUNTIME_DIR", self.home.path("run"));
        Ran::from(command.output().expect("the program starts"))
    }

    /// What a command prints as JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["--format", "json"]].concat());
        serde_json::from_str(&ran.out)
            .unwrap_or_else(|error| panic!("{args:?}: {error}\n{}\n{}", ran.out, ran.err))
    }

    /// Replaces a file as careful programs do.
    #[track_caller]
    pub fn replace(&self, path: &str, text: &str) {
        let temp = self.home.write(&format!("{path}.tmp"), text);
        fs::rename(temp, self.home.path(path)).expect("renamed");
    }

    /// Changes a file in place.
    #[track_caller]
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.home.read(path);
        assert!(text.contains(from), "no `{from}` in {path}:\n{text}");
        self.home.write(path, text.replace(from, to));
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.home.path(relative)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing left to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
