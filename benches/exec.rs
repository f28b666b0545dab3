//! What `mcpkeel exec` costs over starting the server itself: `cargo bench --bench exec`.
//!
//! The server is a program that ends at once, started in turn directly and through `exec` with its
//! secret in each of the stores; the aim is less than 5 ms of wall time on top. The keyring takes part
//! where a session has one that is open:
//!
//! ```text
//! dbus-run-session -- bash -c 'printf ci | gnome-keyring-daemon --unlock --components=secrets >/dev/null; cargo bench --bench exec'
//! ```
//!
//! The second table is what is left once a server runs: the process is the server's own, so its
//! memory must be what it is without us.

#![allow(clippy::disallowed_methods, reason = "a bench starts programs and reads the clock")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mcpkeel");
const ROUNDS: usize = 60;
const VALUE: &str = "bench-value-0123456789";

fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path();
    let stores = prepare(home);
    say("| start | median ms | over direct ms |");
    say("| --- | --- | --- |");
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); stores.len() + 1];
    for round in 0..=ROUNDS {
        // In turn, so that all of them meet the same neighbours; the first round only warms up.
        for (at, figures) in figures.iter_mut().enumerate() {
            let mut command = match at.checked_sub(1) {
                None => Command::new("true"),
                Some(store) => exec(home, stores[store]),
            };
            let started = Instant::now();
            let status = command.stdin(Stdio::null()).status().expect("it starts");
            let took = started.elapsed().as_secs_f64() * 1000.0;
            assert!(status.success(), "{:?}", command.get_args());
            figures.extend((round > 0).then_some(took));
        }
    }
    let medians: Vec<f64> = figures.into_iter().map(median).collect();
    for (at, middle) in medians.iter().enumerate() {
        let name =
            at.checked_sub(1).map_or("directly".to_owned(), |store| format!("exec, {}", stores[store]));
        say(&format!("| {name} | {middle:.2} | {:.2} |", middle - medians[0]));
    }
    if cfg!(target_os = "linux") {
        let direct = resident(Command::new("cat"));
        let through = resident(exec(home, "cat"));
        say(&format!(
            "\nResident memory of the running server: {direct} KiB directly, {through} KiB through exec"
        ));
    }
}

/// A manifest with a server for each store that works here.
fn prepare(home: &Path) -> Vec<&'static str> {
    let file = home.join("secret.txt");
    fs::write(&file, VALUE).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("closed");
    let mut stores = vec!["none", "env", "file", "command"];
    let keygen = Command::new("age-keygen").arg("-o").arg(home.join("key.txt")).output();
    let mut settings = String::new();
    if let Ok(keygen) = keygen {
        let said = String::from_utf8_lossy(&keygen.stderr).into_owned();
        let public = said.split_whitespace().last().unwrap_or_default().to_owned();
        settings = format!("settings: {{ age: {{ recipients: [{public}], identity: key.txt }} }}\n");
        stores.push("age");
    }
    let manifest = format!(
        "version: 1\nsecrets:\n  env: {{ env: BENCH_TOKEN }}\n  file: {{ file: secret.txt }}\n  command: {{ command: [cat, secret.txt] }}\n  \
         age: {{ age: secret.age }}\n  keyring: {{ keyring: mcpkeel-bench }}\nservers:\n  none: {{ command: 'true' }}\n  \
         cat: {{ command: cat, env: {{ T: '${{secret:file}}' }} }}\n{}{settings}",
        ["env", "file", "command", "age", "keyring"]
            .map(|store| format!("  {store}: {{ command: 'true', env: {{ T: '${{secret:{store}}}' }} }}\n"))
            .concat()
    );
    fs::write(home.join("mcp.yaml"), manifest).expect("written");
    if stores.contains(&"age") && !set(home, "age") {
        stores.retain(|store| *store != "age");
    }
    if set(home, "keyring") {
        stores.push("keyring");
    } else {
        say("(no open keyring in this session)\n");
    }
    stores
}

fn set(home: &Path, name: &str) -> bool {
    let mut command = Command::new(PROGRAM);
    command.current_dir(home).args(["secret", "set", name, "-f", "mcp.yaml"]).env("HOME", home);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = spawned.expect("it starts");
    child.stdin.take().expect("a pipe").write_all(VALUE.as_bytes()).expect("written");
    child.wait().expect("it ends").success()
}

fn exec(home: &Path, server: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["exec", server, "-f"])
        .arg(home.join("mcp.yaml"))
        .env("HOME", home)
        .env("BENCH_TOKEN", VALUE);
    command
}

/// Resident memory of a server that runs and has answered, in KiB.
fn resident(mut command: Command) -> u64 {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut to = child.stdin.take().expect("a pipe");
    to.write_all(b"x\n").expect("written");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("an answer");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    drop(to);
    child.wait().expect("it ends");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away needs no more lines.
    let _ = writeln!(out, "{line}");
}
