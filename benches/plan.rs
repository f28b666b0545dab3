//! The whole program with nothing to do, beside one that only reads the same files:
//! `cargo bench --bench plan`, or `cargo bench --bench plan -- 5` for every fifth round only.
//!
//! The aim for 20 servers in 5 clients is 3 ms of processor time and 4 MB, and for both sizes three
//! times the reader; nothing may be written. Figures are the system's own accounting of each finished
//! process (`wait4`); quote the processor time, since the clock on the wall depends on the neighbours.
//!
//! This binary plays three parts: `home` makes a home directory, `read` is the reader, and without
//! a part it measures. The last does little by itself, because a child's peak memory cannot be less
//! than that of the process which started it.

#![allow(clippy::disallowed_methods, reason = "a bench starts programs and reads the clock")]

use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4 as _;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mcpkeel");
const FIVE: &[&str] = &["claude-code", "cursor", "vscode", "codex", "goose"];
const STATE: &str = ".local/state/mcpkeel";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|text| *text != "--bench").collect();
    match arguments[..] {
        ["home", dir, servers, clients] => home(Path::new(dir), servers.parse().expect("a number"), clients),
        ["read", ..] => read(&arguments[1..]),
        [every] => measure(every.parse().expect("a number")),
        _ => measure(1),
    }
}

fn measure(every: usize) {
    say(&row(["case", "runs", "CPU ms", "wall ms", "peak MB", "CPU x reader", "files written"]));
    for (title, servers, clients, rounds) in [
        ("20 servers x 5 clients", "20", "five", 40),
        ("500 servers x all clients", "500", "all", 10),
        ("20 servers, 5 MB ~/.claude.json", "20", "big", 10),
    ] {
        let rounds = (rounds / every).max(1);
        let case = Case::new(servers, clients);
        let first = (0..rounds.min(5)).map(|_| Case::new(servers, clients).run(&["apply", "--yes"]));
        report(&format!("{title}: apply from nothing"), first.collect(), None, None);
        case.run(&["apply", "--yes"]);
        for (warmth, rounds) in [("warm", rounds), ("cold", rounds.min(5))] {
            let is_cold = warmth == "cold";
            if is_cold && !cfg!(target_os = "linux") {
                say("cold: skipped, since this system cannot be asked to forget a file's pages");
                continue;
            }
            let mut figures = [Vec::new(), Vec::new(), Vec::new()];
            let before = case.look();
            for round in 0..=rounds {
                // In turn, so that all of them meet the same neighbours.
                for (figures, arguments) in figures.iter_mut().zip([&[][..], &["plan"], &["apply", "--yes"]])
                {
                    if is_cold {
                        case.forget();
                    }
                    let figure = if arguments.is_empty() { case.reader() } else { case.run(arguments) };
                    // The first round only warms up.
                    figures.extend((round > 0).then_some(figure));
                }
            }
            let written = before.iter().zip(case.look()).filter(|(before, after)| *before != after).count();
            let [reader, plan, apply] = figures;
            let yardstick = median(&reader, |figure| figure.cpu);
            report(&format!("{title}: the reader, {warmth}"), reader, None, None);
            report(&format!("{title}: plan, {warmth}"), plan, Some(yardstick), Some(written));
            report(
                &format!("{title}: apply, nothing to do, {warmth}"),
                apply,
                Some(yardstick),
                Some(written),
            );
            assert_eq!(written, 0, "nothing may be written when there is nothing to do");
        }
    }
    let floor = finish(&mut Command::new("true"));
    say(&format!("(A peak below {:.1} MB cannot be seen from here.)", floor.peak));
}

/// What one finished process used.
struct Figure {
    /// User and system, in milliseconds.
    cpu: f64,
    /// In milliseconds.
    wall: f64,
    /// In MB.
    peak: f64,
}

fn finish(command: &mut Command) -> Figure {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    let used = child.wait4().expect("it ends");
    let wall = start.elapsed().as_secs_f64() * 1e3;
    assert!(used.status.success(), "{command:?}: {}", used.status);
    let cpu = (used.rusage.utime + used.rusage.stime).as_secs_f64() * 1e3;
    Figure { cpu, wall, peak: used.rusage.maxrss as f64 / f64::from(1 << 20) }
}

fn median(figures: &[Figure], of: impl Fn(&Figure) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(title: &str, figures: Vec<Figure>, yardstick: Option<f64>, written: Option<usize>) {
    let cpu = median(&figures, |figure| figure.cpu);
    let dash = || "-".to_owned();
    say(&row([
        title,
        &figures.len().to_string(),
        &format!("{cpu:.2}"),
        &format!("{:.2}", median(&figures, |figure| figure.wall)),
        &format!("{:.1}", median(&figures, |figure| figure.peak)),
        &yardstick.map_or_else(dash, |yardstick| format!("{:.1}", cpu / yardstick)),
        &written.map_or_else(dash, |written| written.to_string()),
    ]));
}

fn row(cells: [&str; 7]) -> String {
    let [title, rest @ ..] = cells;
    rest.iter().fold(format!("{title:<56}"), |line, cell| format!("{line}{cell:>14}"))
}

fn say(line: &str) {
    // As the figures come: the whole takes a while.
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// A home directory with its manifest.
struct Case(tempfile::TempDir);

impl Case {
    fn new(servers: &str, clients: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let this = std::env::current_exe().expect("this program");
        finish(Command::new(this).arg("home").arg(dir.path()).args([servers, clients]));
        Self(dir)
    }

    fn run(&self, arguments: &[&str]) -> Figure {
        let home = self.0.path();
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(home).stderr(Stdio::null());
        command.env_clear().env("HOME", home).env("USER", "tester").env("LANG", "C.UTF-8");
        finish(&mut command)
    }

    fn reader(&self) -> Figure {
        let this = std::env::current_exe().expect("this program");
        finish(Command::new(this).arg("read").args(self.read_by_plan()))
    }

    /// The files that a plan has to read: manifest, ledger, key and every client's.
    fn read_by_plan(&self) -> Vec<PathBuf> {
        let state = self.0.path().join(STATE);
        let is_read = |path: &PathBuf| {
            path.is_file()
                && (!path.starts_with(&state) || path.ends_with("ledger.json") || path.ends_with("key"))
        };
        tree(self.0.path()).into_iter().filter(is_read).collect()
    }

    /// Everything by which a write would show.
    fn look(&self) -> Vec<impl PartialEq + use<>> {
        let about = |path: PathBuf| {
            let meta = fs::symlink_metadata(&path).expect("it is there");
            #[cfg(unix)]
            let id = std::os::unix::fs::MetadataExt::ino(&meta);
            #[cfg(not(unix))]
            let id = meta.created().ok();
            (path, id, meta.modified().ok(), meta.len())
        };
        tree(self.0.path()).into_iter().map(about).collect()
    }

    /// Has the system drop what it remembers of the files and of both programs.
    fn forget(&self) {
        #[cfg(target_os = "linux")]
        for path in self
            .read_by_plan()
            .into_iter()
            .chain([PROGRAM.into(), std::env::current_exe().expect("this program")])
        {
            let file = fs::File::open(path).expect("it is there");
            file.sync_all().expect("on the disk");
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("forgotten");
        }
    }
}

/// Everything in a directory, sorted.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    let below: Vec<PathBuf> = found.iter().filter(|path| path.is_dir()).flat_map(|dir| tree(dir)).collect();
    found.into_iter().chain(below).collect()
}

/// The part of the reader.
fn read(paths: &[&str]) {
    for path in paths {
        black_box(fs::read(path).expect("readable"));
    }
}

/// The part that makes a home: servers of both kinds for five clients, local ones for all.
fn home(dir: &Path, servers: usize, clients: &str) {
    let mut text = String::from("version: 1\nservers:\n");
    for number in 0..servers {
        let name = format!("server-{number:03}");
        text += &match number % 4 {
            0 if clients != "all" => format!("  {name}:\n    url: https://{name}.example.com/mcp\n"),
            _ => format!(
                "  {name}:\n    command: npx\n    args: [-y, \"@scope/{name}\"]\n    env: {{ LEVEL: debug, REGION: eu-{number} }}\n"
            ),
        };
    }
    text += "clients:\n";
    let clients = if clients == "all" { placed(dir) } else { FIVE.to_vec() };
    for client in clients {
        text += &format!("  {client}: {{ servers: [\"*\"] }}\n");
    }
    fs::write(dir.join("mcp.yaml"), text).expect("written");
    if std::env::args().any(|part| part == "big") {
        fs::write(dir.join(".claude.json"), claude(5 << 20)).expect("written");
    }
}

/// The clients that keep a file of their user on this system.
fn placed(home: &Path) -> Vec<&'static str> {
    let home = home.display().to_string();
    let exists = |_: &str| false;
    let env =
        mcpkeel::clients::Env { os: std::env::consts::OS, home: &home, var: &|_| None, exists: &exists };
    let known = mcpkeel::clients::catalog::all();
    known
        .filter(|client| client.locate(&env, mcpkeel::clients::Scope::User, None).is_ok())
        .map(|client| client.id())
        .collect()
}

/// Projects with histories, as Claude Code keeps them.
fn claude(size: usize) -> String {
    let line = r#"{"display":"fix the \"parser\" in src/main.rs\nthen run the tests and tell me what changed","pastedContents":{}}"#;
    let history = vec![line; 50].join(",\n        ");
    let mut text = String::from("{\n  \"numStartups\": 412,\n  \"projects\": {");
    for number in 0.. {
        text += &format!(
            "\n    \"/home/me/src/project-{number}\": {{\n      \"allowedTools\": [],\n      \"history\": [\n        {history}\n      ],\n      \"mcpServers\": {{}}\n    }}"
        );
        if text.len() > size {
            break;
        }
        text.push(',');
    }
    text + "\n  },\n  \"mcpServers\": {},\n  \"userID\": \"0123456789abcdef\"\n}\n"
}
