//! Clients rewrite their files, each in its own way and all at once, while `mcpkeel watch` runs, is
//! killed and is started again.
//!
//! The ways are those that real clients were seen to use ([`writers`]). Each writer is this test binary,
//! started again with [`writers::ROLE`] set, and owns one file; besides mcpkeel nobody else writes it.
//! So what can be asked is sharp, and it is what the table in `reconcile/transaction.rs` says of Linux on
//! a local disk: whatever a writer put on the disk is there when it looks again. It may be out of sight
//! for a moment, since no system can compare and exchange in one step; who takes the client's lock does
//! not even see that. What is fair game is our entry: a writer may write an older one over it.
//!
//! Randomness comes from a seed that is printed; `MCPKEEL_CHAOS_SEED` sets it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use self::writers::{Kind, Random};
use crate::support::Sandbox;

mod chaos;
mod interrupted;
mod kills;
mod writers;

/// How long a process that was started may take to say so, or a run to end.
const START: Duration = Duration::from_secs(30);

/// A home with five clients, and the programs that write their files.
struct Scene {
    sandbox: Sandbox,
    writers: Vec<Writer>,
    /// How often the manifest was changed.
    version: u32,
    /// With which of these changes Claude Code gets another entry, too: every so many.
    seldom: u32,
}

/// A client: the other program.
struct Writer {
    kind: Kind,
    child: Child,
    /// Where it is told and tells.
    desk: PathBuf,
}

/// What a writer did.
struct Work {
    turns: u64,
    moments: u64,
}

impl Scene {
    /// Five files with what their users keep in them, a manifest for them, and their writers at work.
    /// Each may miss what it wrote for a moment of its own.
    fn new(random: &mut Random, seldom: u32, moment: impl Fn(Kind) -> Duration) -> Self {
        let sandbox = Sandbox::new();
        for kind in Kind::ALL {
            kind.prepare(&sandbox);
        }
        let mut scene = Self { sandbox, writers: Vec::new(), version: 0, seldom };
        scene.change_manifest();
        scene.sandbox.run(&["apply", "--yes", "--quiet"]).exits(0);
        let start = |kind| Writer::start(kind, &scene.sandbox, random.next(), moment(kind));
        scene.writers = Kind::ALL.into_iter().map(start).collect();
        scene
    }

    /// Wants another entry in all clients but the fighter's, which has enough to do.
    fn change_manifest(&mut self) {
        self.version += 1;
        let (often, seldom) = (self.version, self.version / self.seldom);
        let text = format!(
            "version: 1\n\
             servers:\n  \
               ours: {{ command: ours, args: [v{often}], extra: {{ codex: {{ startup_timeout_sec: 20 }} }} }}\n  \
               seldom: {{ command: seldom, args: [v{seldom}] }}\n  \
               steady: {{ command: steady, args: [right] }}\n\
             clients:\n  \
               claude-code: {{ servers: [seldom] }}\n  \
               gemini-cli: {{ servers: [ours] }}\n  \
               copilot-cli: {{ servers: [ours] }}\n  \
               codex: {{ servers: [ours] }}\n  \
               augment: {{ servers: [steady] }}\n"
        );
        self.sandbox.write("mcp.yaml", text);
    }

    /// From now on nobody changes our entries.
    fn make_peace(&self) {
        self.writers.iter().for_each(|writer| writer.tell("peace"));
    }

    /// Fails with the words of a writer that missed something.
    fn check_writers(&mut self, at: &str) {
        for writer in &mut self.writers {
            if let Some(status) = writer.child.try_wait().expect("it is ours") {
                panic!(
                    "{at}: the writer of {} gave up ({status}); its words are above",
                    writer.kind.client()
                );
            }
        }
    }

    /// Lets the writers finish, and looks whether what they wrote is there.
    fn stop_writers(&mut self) -> Vec<(Kind, Work)> {
        self.writers.iter().for_each(|writer| writer.tell("stop"));
        std::mem::take(&mut self.writers).into_iter().map(|writer| (writer.kind, writer.stop())).collect()
    }

    /// Waits until every client block is in step and said to be so.
    fn converges(&self, within: Duration) -> Duration {
        let start = Instant::now();
        loop {
            let status = self.status();
            let clients = status["clients"].as_array().expect("a list");
            let is_right = |client: &Value| {
                client["condition"] == "Ready" && client["reason"] == "InSync" && client["in_sync"] == 1
            };
            if clients.len() == Kind::ALL.len() && clients.iter().all(is_right) {
                return start.elapsed();
            }
            assert!(start.elapsed() < within, "not in step after {within:?}: {status:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn status(&self) -> Value {
        let ran = self.sandbox.run(&["status", "--format", "json"]).exits(0);
        serde_json::from_str(&ran.out).expect("json")
    }

    /// Whether every file holds all that its writer wrote, our entry as it is wanted, and what the user
    /// had in it.
    fn check_files(&self, works: &[(Kind, Work)]) {
        for (kind, work) in works {
            let text = fs::read_to_string(kind.file(&self.sandbox.home())).expect("readable");
            let root = kind.parse(&text).unwrap_or_else(|error| panic!("{kind:?}: {error}\n{text}"));
            assert_eq!(writers::missing(*kind, &root, work.turns), None, "{kind:?}\n{text}");
            let (server, version) = match kind {
                Kind::Claude => ("seldom", format!("v{}", self.version / self.seldom)),
                Kind::Auggie => ("steady", "right".to_owned()),
                _ => ("ours", format!("v{}", self.version)),
            };
            assert_eq!(root[kind.root()][server]["args"][0], version.as_str(), "{kind:?}\n{text}");
            assert!(!kind.keeps_comments() || text.contains("// by hand\n"), "{kind:?}\n{text}");
        }
        // A run may still be about to write its books.
        let start = Instant::now();
        while let left = litter(&self.sandbox.home())
            && !left.is_empty()
        {
            assert!(start.elapsed() < START, "this was left: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn journals(&self) -> BTreeSet<PathBuf> {
        let dir = self.sandbox.path(".local/state/mcpkeel/journal");
        fs::read_dir(dir).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
    }
}

impl Writer {
    fn start(kind: Kind, sandbox: &Sandbox, seed: u64, moment: Duration) -> Self {
        let desk = sandbox.home().parent().expect("the sandbox").join(format!("desk-{kind:?}"));
        fs::create_dir(&desk).expect("made");
        let role = writers::Role { kind, home: sandbox.home(), desk: desk.clone(), seed, moment };
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "watch_chaos::writers::the_writer", "--nocapture", "--test-threads=1"])
            .env(writers::ROLE, role.to_text())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the writer starts");
        let writer = Self { kind, child, desk };
        wait_for("the first turn of a writer", START, || writer.desk.join("started").exists());
        writer
    }

    fn tell(&self, word: &str) {
        fs::write(self.desk.join(word), "").expect("written");
    }

    fn stop(mut self) -> Work {
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the writer of {} failed; its words are above", self.kind.client());
        let text = fs::read_to_string(self.desk.join("work")).expect("what it did");
        let (turns, moments) = text.split_once(' ').expect("two numbers");
        Work { turns: turns.parse().expect("a number"), moments: moments.parse().expect("a number") }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `mcpkeel watch`.
struct Watch {
    child: Child,
    events: Arc<Mutex<Vec<(Instant, Value)>>>,
}

impl Watch {
    fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command(&["watch", "--format", "json"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the program starts");
        let events = Arc::<Mutex<Vec<_>>>::default();
        let (out, heard) = (child.stdout.take().expect("a pipe"), events.clone());
        // It ends with the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // A line that was cut off by a kill tells nothing.
                let Ok(event) = serde_json::from_str(&line) else { continue };
                heard.lock().expect("free").push((Instant::now(), event));
            }
        });
        Self { child, events }
    }

    fn events(&self) -> Vec<(Instant, Value)> {
        self.events.lock().expect("free").clone()
    }

    /// When something was written for a client.
    fn applied(&self, client: &str) -> Vec<Instant> {
        let of_client = |event: &Value| event["event"] == "applied" && event["client"] == client;
        self.events().into_iter().filter(|(_, event)| of_client(event)).map(|(at, _)| at).collect()
    }

    fn check(&mut self, at: &str) {
        if let Some(status) = self.child.try_wait().expect("it is ours") {
            panic!("{at}: watch ended by itself ({status})");
        }
    }

    /// The hard way: it notices nothing.
    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait_for(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < within, "{what} did not come within {within:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a run that is over must not leave: temporary names, locks of clients, journals.
fn litter(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let is_journal = path.parent().is_some_and(|dir| dir.ends_with("mcpkeel/journal"));
        if name.starts_with(".mcpkeel") || name.ends_with(".json.lock") || is_journal {
            found.insert(path);
        } else if path.is_dir() {
            found.extend(litter(&path));
        }
    }
    found
}

fn seed() -> u64 {
    let given = std::env::var("MCPKEEL_CHAOS_SEED").ok();
    let seed = given.map_or_else(
        || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.expect("after 1970").as_nanos() as u64
        },
        |text| text.parse().expect("MCPKEEL_CHAOS_SEED is a number"),
    );
    println!("MCPKEEL_CHAOS_SEED={seed}");
    seed
}
