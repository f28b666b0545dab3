//! How fast, how idle and how large `mcpkeel watch` is: `cargo bench --bench watch`, or with
//! `-- latency`, `-- idle` or `-- memory` for one of the three (Linux only).
//!
//! - latency: from the moment a client has written over our entry (its close or rename) until the file
//!   is as it should be, over 500 drifts, in place and by rename in turn. The 30 ms for which files must
//!   be quiet are in it. Beside it, in turn, `mcpkeel apply --yes --quiet` mends the same drift in another
//!   home; quote the ratio, since the clock on the wall depends on the neighbours. The aim is p99 under
//!   150 ms.
//! - idle: processor ticks and wakeups of all threads in `MCPKEEL_BENCH_IDLE` seconds (60 if unset) in
//!   which nothing happens to ten clients. The aim is none.
//! - memory: resident memory before and after 100,000 file events: touches that change nothing, foreign
//!   changes, and drifts. The aim is less than a tenth more.

#![allow(clippy::disallowed_methods, reason = "a bench starts programs and reads the clock")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mcpkeel");
const DRIFTS: usize = 500;
/// So many files, and so long between two drifts: a file that drifts more often than once in twenty
/// seconds for long is taken for a fight.
const FILES: usize = 60;
const PACE: Duration = Duration::from_millis(250);
/// One apply for so many drifts.
const APPLY: usize = 5;
const TEN: [&str; 10] = [
    "claude-code",
    "codex",
    "copilot-cli",
    "cursor",
    "gemini-cli",
    "goose",
    "opencode",
    "vscode",
    "windsurf",
    "zed",
];
const EVENTS: u64 = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    if !cfg!(target_os = "linux") {
        return say("skipped: only Linux tells of another process what is asked for here");
    }
    let wants = |part: &str| arguments.is_empty() || arguments.iter().any(|asked| asked == part);
    if wants("latency") {
        latency();
    }
    if wants("idle") {
        idle();
    }
    if wants("memory") {
        memory();
    }
}

fn latency() {
    let (watched, applied) = (Home::of_files(FILES), Home::of_files(FILES));
    let watch = watched.watch();
    applied.apply();
    let right = watched.files();
    let before: Vec<Vec<u8>> = right.iter().map(|file| fs::read(file).expect("readable")).collect();
    let (mut repairs, mut applies) = (Vec::new(), Vec::new());
    for drift in 0..DRIFTS {
        let began = Instant::now();
        let at = drift % FILES;
        let style = if (drift / FILES).is_multiple_of(2) { Style::InPlace } else { Style::Rename };
        let start = spoil(&right[at], &before[at], style);
        while fs::read(&right[at]).ok().as_ref() != Some(&before[at]) {
            assert!(start.elapsed() < Duration::from_secs(10), "drift {drift} was not repaired");
            std::thread::sleep(Duration::from_micros(200));
        }
        repairs.push(start.elapsed().as_secs_f64() * 1e3);
        if drift % APPLY == 0 {
            let file = &applied.files()[at];
            let right = fs::read(file).expect("readable");
            let start = spoil(file, &right, style);
            applied.apply();
            applies.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(fs::read(file).expect("readable"), right);
        }
        std::thread::sleep(PACE.saturating_sub(began.elapsed()));
    }
    drop(watch);
    repairs.sort_by(f64::total_cmp);
    applies.sort_by(f64::total_cmp);
    say(&format!("| {DRIFTS} drifts in {FILES} files | p50 ms | p90 ms | p99 ms | max ms |"));
    say("| --- | --- | --- | --- | --- |");
    for (name, figures) in
        [("watch, from the write to the repair", &repairs), ("apply, run by hand", &applies)]
    {
        let at = |part| percentile(figures, part);
        say(&format!("| {name} | {:.1} | {:.1} | {:.1} | {:.1} |", at(0.5), at(0.9), at(0.99), at(1.0)));
    }
    let ratio = |part| percentile(&repairs, part) / percentile(&applies, part);
    say(&format!(
        "| watch / apply | {:.2} | {:.2} | {:.2} | {:.2} |\n",
        ratio(0.5),
        ratio(0.9),
        ratio(0.99),
        ratio(1.0)
    ));
}

fn idle() {
    let seconds = std::env::var("MCPKEEL_BENCH_IDLE").map_or(60, |text| text.parse().expect("a number"));
    let home = Home::of_clients();
    let watch = home.watch();
    // The last events of the start.
    std::thread::sleep(Duration::from_secs(2));
    let before = watch.used();
    std::thread::sleep(Duration::from_secs(seconds));
    let after = watch.used();
    say(&format!(
        "Idle for {seconds} s beside {} clients: {} ticks of processor time, {} wakeups, {} KiB resident\n",
        TEN.len(),
        after.ticks - before.ticks,
        after.wakeups - before.wakeups,
        after.resident
    ));
}

fn memory() {
    let home = Home::of_files(FILES);
    let watch = home.watch();
    let files = home.files();
    let mut drifts = 0;
    // Each file drifts once per call, so that none is taken for a fight.
    let mut noise = |events: u64| {
        let goal = watch.noticed() + events;
        let (mut round, mut drifted) = (0_usize, 0);
        while watch.noticed() < goal {
            for turn in 0..40 {
                let file = &files[(round + turn) % FILES];
                // Opened for writing and closed, with a new time: nothing is different.
                let touched = fs::File::options().append(true).open(file).expect("there");
                touched.set_modified(std::time::SystemTime::now()).expect("touched");
            }
            let is_drift = round % 2 == 0 && drifted < FILES;
            let file = &files[if is_drift { drifted } else { (round + FILES / 2) % FILES }];
            let text = fs::read_to_string(file).expect("readable");
            if is_drift {
                spoil(file, text.as_bytes(), Style::Rename);
                drifted += 1;
            } else {
                let (head, tail) = text.split_once(':').expect("the first member");
                let tail = tail.split_once(',').expect("the next one").1;
                replace(file, format!("{head}: {round},{tail}").as_bytes(), Style::InPlace);
            }
            round += 1;
            // Not faster than the queue is read, so that each event counts.
            std::thread::sleep(Duration::from_millis(5));
        }
        let is_right = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|text| text.contains("\"right\""));
        let start = Instant::now();
        while !files.iter().all(is_right) {
            assert!(start.elapsed() < Duration::from_secs(30), "not repaired");
            std::thread::sleep(Duration::from_millis(20));
        }
        drifts += drifted;
    };
    noise(EVENTS / 10);
    let (warm, began) = (watch.used().resident, watch.noticed());
    let quarters: Vec<u64> = (0..4)
        .map(|_| {
            noise(EVENTS / 4);
            watch.used().resident
        })
        .collect();
    let events = watch.noticed() - began;
    say(&format!(
        "Memory: {warm} KiB resident after a warm-up, {quarters:?} KiB after each quarter of {events} more file events, \
         {:+.1} % ({drifts} drifts in all)",
        (quarters[3] as f64 / warm as f64 - 1.0) * 100.0
    ));
}

#[derive(Clone, Copy)]
enum Style {
    InPlace,
    Rename,
}

/// Writes another program's idea of our entry over it. Returns when that was done.
fn spoil(file: &Path, right: &[u8], style: Style) -> Instant {
    let text = std::str::from_utf8(right).expect("text").replace("\"right\"", "\"wrong\"");
    assert_ne!(text.as_bytes(), right);
    replace(file, text.as_bytes(), style)
}

fn replace(file: &Path, bytes: &[u8], style: Style) -> Instant {
    match style {
        Style::InPlace => fs::write(file, bytes).expect("written"),
        Style::Rename => {
            let temp = file.with_extension("tmp");
            fs::write(&temp, bytes).expect("written");
            fs::rename(&temp, file).expect("renamed");
        }
    }
    Instant::now()
}

struct Home(tempfile::TempDir);

impl Home {
    /// Clients that nobody knows, each with a file of its own.
    fn of_files(count: usize) -> Self {
        let mut clients = String::new();
        for number in 0..count {
            clients += &format!(
                "  c{number:02}:\n    client: {{ format: json, path: {{ all: ~/.c{number:02}/mcp.json }}, root: /mcpServers, \
                 stdio: {{ command: '{{command}}', args: '{{args}}' }} }}\n    servers: [ours]\n"
            );
        }
        let home = Self::new(&clients);
        for file in home.files() {
            fs::create_dir_all(file.parent().expect("a directory")).expect("made");
            let text =
                "{\n  \"theirs\": 0,\n  \"mcpServers\": {\n    \"mine\": { \"command\": \"mine\" }\n  }\n}\n";
            fs::write(file, text).expect("written");
        }
        home
    }

    /// Ten of those that many people have.
    fn of_clients() -> Self {
        Self::new(&TEN.map(|client| format!("  {client}: {{ servers: [ours] }}\n")).concat())
    }

    fn new(clients: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        let servers = "version: 1\nservers:\n  ours: { command: ours, args: [right] }\nclients:\n";
        fs::write(home.0.path().join("mcp.yaml"), format!("{servers}{clients}")).expect("written");
        home
    }

    fn files(&self) -> Vec<PathBuf> {
        (0..FILES).map(|number| self.0.path().join(format!(".c{number:02}/mcp.json"))).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let home = self.0.path();
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(home)
            .env_clear()
            .env("HOME", home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn apply(&self) {
        let status = self.command(&["apply", "--yes", "--quiet"]).status().expect("it starts");
        assert!(status.success(), "{status}");
    }

    /// A process that watches, with everything in step.
    fn watch(&self) -> Watch<'_> {
        self.apply();
        let log = fs::File::create(self.0.path().join("watch.log")).expect("made");
        let child = self.command(&["watch"]).stderr(log).spawn().expect("it starts");
        let watch = Watch { home: self, child };
        let start = Instant::now();
        while !watch.metrics().is_some_and(|text| text.contains("mcpkeel_manifest_ready 1")) {
            assert!(start.elapsed() < Duration::from_secs(10), "it does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let metrics = watch.metrics().expect("metrics");
        assert!(
            metrics.contains("mcpkeel_polling 0"),
            "files cannot be watched here: fs.inotify.max_user_watches"
        );
        watch
    }
}

/// A process that watches.
struct Watch<'h> {
    home: &'h Home,
    child: Child,
}

/// What a process used.
struct Used {
    ticks: u64,
    wakeups: u64,
    /// In KiB.
    resident: u64,
}

impl Watch<'_> {
    fn metrics(&self) -> Option<String> {
        let mut command = self.home.command(&["status", "--metrics"]);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::null()).output().expect("it starts");
        output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
    }

    /// How many file events came so far.
    fn noticed(&self) -> u64 {
        let text = self.metrics().expect("metrics");
        let line = text.lines().find_map(|line| line.strip_prefix("mcpkeel_file_events_total "));
        line.expect("a count").parse().expect("a number")
    }

    fn used(&self) -> Used {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = fs::read_to_string(process.join("stat")).expect("it runs");
        // Behind the name, which may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let number = |at: usize| fields[at].parse::<u64>().expect("a number");
        let tasks = fs::read_dir(process.join("task")).expect("it runs");
        let wakeups = tasks
            .map(|task| figure(&task.expect("a thread").path().join("status"), "voluntary_ctxt_switches:"))
            .sum();
        Used { ticks: number(11) + number(12), wakeups, resident: figure(&process.join("status"), "VmRSS:") }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn figure(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away needs no more lines.
    let _ = writeln!(out, "{line}");
}
