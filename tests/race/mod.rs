//! Another program rewrites a client's file as fast as it can while we apply: none of its keys is lost.
//!
//! The writer is this test binary, started again with [`ROLE`] set, so that [`the_writer`] plays it.
//! Each of its turns reads the file, checks that every key it ever wrote is still there, adds one
//! more and writes. A key may be out of sight for a moment, since no system can compare and rename in
//! one step: the writer looks again, as a program does that knows its own keys, and the key must come
//! back. Its copy may be older than our entries and takes them out again: that is drift, and fair. An
//! apply may give up on a file that never rests: that is counted, and fair as well.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::support::Sandbox;

/// `place` or `rename`; what follows is the file.
const ROLE: &str = "MCPKEEL_TEST_WRITER";
const APPLIES: usize = 200;
/// No apply starts after this: a slow machine makes fewer of them.
const TIME: Duration = Duration::from_secs(50);
/// The writer takes a breath of [`BREATH`] after so many turns: an apply that finds no gap at all
/// gives way after some fifty tries, and then nothing more can be learnt from it.
const SPRINT: u64 = 20;
const BREATH: Duration = Duration::from_millis(10);
/// How long a key may be out of sight: longer than an apply takes.
const MOMENT: Duration = Duration::from_secs(5);
/// The writer begins anew with fewer keys before its file becomes slow to read.
const MOST_KEYS: u64 = 400;

#[test]
fn a_writer_in_place_loses_no_key() {
    race("place");
}

#[test]
fn a_writer_by_rename_loses_no_key() {
    race("rename");
}

fn race(mode: &str) {
    let sandbox = Sandbox::new();
    let file = sandbox.write(".cursor/mcp.json", "{\"mcpServers\": {}}\n");
    let mut writer = Writer::start(mode, &file);
    let start = Instant::now();
    let (mut applies, mut gave_up) = (0, 0);
    let mut said = String::new();
    while applies < APPLIES && start.elapsed() < TIME {
        let version = applies % 2;
        sandbox.write(
            "mcp.yaml",
            format!("version: 1\nservers:\n  ours:\n    command: ours-{version}\nclients:\n  cursor: {{ servers: [ours] }}\n"),
        );
        let ran = sandbox.run(&["apply", "--yes", "--quiet"]);
        applies += 1;
        gave_up += usize::from(ran.code != 0);
        if ran.code != 0 {
            said = format!("exit {}: {}", ran.code, ran.err.lines().next().unwrap_or_default());
        }
        writer.check(applies);
    }
    let (turns, moments) = writer.stop();
    let took = start.elapsed();
    println!(
        "{mode}: {applies} applies in {took:?}, {gave_up} gave up ({said}); the writer had {turns} turns and missed a key for a moment in {moments}"
    );
    assert!(turns > applies as u64, "the writer was too slow to be in the way: {turns} turns");
    assert!(gave_up < applies, "not one apply came through: {said}");
    // With the writer gone, one more apply brings everything in order.
    sandbox.run(&["apply", "--yes", "--quiet"]).exits(0);
    let text = sandbox.read(".cursor/mcp.json");
    assert!(text.contains("ours-") && text.contains("\"turn\""), "{text}");
}

/// The other program.
struct Writer {
    child: Child,
    home: std::path::PathBuf,
}

impl Writer {
    fn start(mode: &str, file: &Path) -> Self {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "race::the_writer", "--nocapture", "--test-threads=1"])
            .env(ROLE, format!("{mode} {}", file.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the writer starts");
        let home = file.with_extension("d");
        let writer = Self { child, home };
        let start = Instant::now();
        while !writer.home.join("started").exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "the writer does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        writer
    }

    fn check(&mut self, applies: usize) {
        if let Some(status) = self.child.try_wait().expect("it is ours") {
            panic!(
                "the writer missed a key of its own after {applies} applies ({status}); its words are above"
            );
        }
    }

    /// How many turns it had, and how often a key was out of sight.
    fn stop(mut self) -> (u64, u64) {
        fs::write(self.home.join("stop"), "").expect("written");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the writer missed a key of its own ({status}); its words are above");
        let counts = fs::read_to_string(self.home.join("turns")).expect("the writer's count");
        let (turns, moments) = counts.split_once(' ').expect("two numbers");
        (turns.parse().expect("a number"), moments.parse().expect("a number"))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_writer() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (mode, file) = role.split_once(' ').expect("mode and file");
    let file = Path::new(file);
    let home = file.with_extension("d");
    fs::create_dir(&home).expect("made");
    let (mut turn, mut first) = (0_u64, 0_u64);
    let (mut missing_since, mut moments) = (None::<Instant>, 0_u64);
    while missing_since.is_some() || !home.join("stop").exists() {
        let text = fs::read_to_string(file).expect("readable");
        let mut root: Map<String, Value> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("turn {turn}: the file is torn: {error}\n{text}"));
        let missing = (first..turn).find(|number| !root.contains_key(&format!("k{number}")));
        missing_since = missing.map(|number| {
            let since = missing_since.unwrap_or_else(|| {
                moments += 1;
                Instant::now()
            });
            assert!(since.elapsed() < MOMENT, "turn {turn}: k{number} is lost\n{text}");
            since
        });
        // A program knows its own keys: it does not write a copy without them, it looks again.
        if missing.is_some() {
            continue;
        }
        if turn - first >= MOST_KEYS {
            (first..turn).for_each(|number| drop(root.shift_remove(&format!("k{number}"))));
            first = turn;
        }
        root.insert(format!("k{turn}"), turn.into());
        root.insert("turn".to_owned(), turn.into());
        let text = serde_json::to_string_pretty(&root).expect("text");
        if mode == "place" {
            fs::write(file, text).expect("written");
        } else {
            let temp = file.with_extension("json.tmp");
            fs::write(&temp, text).expect("written");
            fs::rename(&temp, file).expect("renamed");
        }
        turn += 1;
        if turn.is_multiple_of(SPRINT) {
            std::thread::sleep(BREATH);
        }
        if turn == 1 {
            fs::write(home.join("started"), "").expect("written");
        }
    }
    assert!(missing_since.is_none(), "keys are lost");
    fs::write(home.join("turns"), format!("{turn} {moments}")).expect("written");
}
