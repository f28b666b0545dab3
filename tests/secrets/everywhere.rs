//! A manifest with each kind of secret, ten clients, and a search for the values: they are in the stores and
//! in the environment of the servers that were started, and nowhere else.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::keyring::{Session, Start, dress};
use super::{finish, identity};
use crate::support::Sandbox;

/// One for each kind of store; none looks like a secret.
const VALUES: [&str; 5] = ["alder-1-word", "birch-2-word", "cedar-3-word", "dogwood-4-word", "elder-5-word"];
const STORES: [&str; 5] = ["keyring", "age", "env", "command", "file"];
const CLIENTS: [&str; 10] = [
    "claude-code",
    "claude-desktop",
    "codex",
    "cursor",
    "vscode",
    "gemini-cli",
    "zed",
    "goose",
    "opencode",
    "continue",
];

fn manifest(public: &str) -> String {
    let servers = STORES.map(|store| {
        format!(
            "  local-{store}: {{ command: sh, args: [-c, 'echo ready; exec cat', sh, '--key=${{secret:{store}}}'], env: {{ T: '${{secret:{store}}}' }} }}\n  \
             remote-{store}: {{ url: 'https://example.com/{store}', headers: {{ Authorization: 'Bearer ${{secret:{store}}}' }} }}\n"
        )
    });
    let clients = CLIENTS.map(|client| format!("  {client}: {{ servers: ['*'] }}\n"));
    format!(
        "version: 1\nsecrets:\n  keyring: {{ keyring: everywhere }}\n  age: {{ age: in.age }}\n  env: {{ env: FROM_OUTSIDE }}\n  \
         command: {{ command: [cat, shown.txt] }}\n  file: {{ file: kept.txt }}\nservers:\n{}clients:\n{}settings:\n  age: {{ identity: key.txt, recipients: [{public}] }}\n",
        servers.concat(),
        clients.concat()
    )
}

#[test]
fn values_are_in_the_stores_and_in_the_servers_and_nowhere_else() {
    let home = Sandbox::new();
    let Some(session) = Session::start(&home, Start::Unlocked) else { return };
    let (private, public) = identity();
    home.write("key.txt", private);
    home.write("mcp.yaml", manifest(&public));
    let kept = home.write("kept.txt", VALUES[4]);
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).expect("closed");
    let shown = home.write("shown.txt", VALUES[3]);
    for (store, value) in [("keyring", VALUES[0]), ("age", VALUES[1])] {
        run(&home, &["secret", "set", store], value, 0);
    }
    run(&home, &["secret", "verify"], "", 0);
    for args in [
        &["validate"][..],
        &["plan", "-v"],
        &["plan", "--out", "saved.plan"],
        &["apply", "--yes"],
        &["verify"],
        &["plan", "--format", "json"],
        &["plan", "-v", "--format", "markdown"],
        &["status"],
        &["history"],
        &["doctor"],
        &["backup"],
        &["secret", "list"],
        &["secret", "where", "age"],
        &["secret", "rekey"],
        &["secret", "scan"],
    ] {
        run(&home, args, "", 0);
        search(&home, &[&kept, &shown]);
    }
    let file: Value = serde_json::from_str(&home.read(".claude.json")).expect("JSON");
    for (store, value) in STORES.iter().zip(VALUES) {
        starts_with(&home, &file["mcpServers"][format!("local-{store}")], value);
    }
    search(&home, &[&kept, &shown]);
    drop(session);
}

#[track_caller]
fn run(home: &Sandbox, args: &[&str], input: &str, code: i32) {
    let mut command = home.command(args);
    dress(&mut command, home);
    command.env("FROM_OUTSIDE", VALUES[2]);
    let ran = finish(command, input).exits(code);
    for value in VALUES {
        assert!(!ran.out.contains(value) && !ran.err.contains(value), "{args:?} shows {value}: {ran:?}");
    }
}

/// Starts an entry as a client does, and looks at what the running server was given. An entry that
/// is delivered directly is what the client itself would fill in.
fn starts_with(home: &Sandbox, entry: &Value, value: &str) {
    let args: Vec<&str> =
        entry["args"].as_array().expect("arguments").iter().filter_map(Value::as_str).collect();
    if args.first() != Some(&"exec") {
        assert_eq!(entry["env"]["T"], "${FROM_OUTSIDE}");
        return;
    }
    let mut command = home.command(&args);
    dress(&mut command, home);
    command.env("FROM_OUTSIDE", VALUES[2]).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    // Once it answers, the shell has given way to the program that is asked.
    let mut to = child.stdin.take().expect("a pipe");
    to.write_all(b"and it answers\n").expect("written");
    assert_eq!(lines.next().expect("a line").expect("text"), "and it answers");
    let environ = fs::read(format!("/proc/{}/environ", child.id())).expect("it runs");
    let wanted = format!("T={value}");
    assert!(environ.split(|byte| *byte == 0).any(|var| var == wanted.as_bytes()), "no {wanted}");
    drop(to);
    assert!(child.wait().expect("it ends").success());
}

/// The values stand in these files and in no other; what the keyring keeps is encrypted.
#[track_caller]
fn search(home: &Sandbox, allowed: &[&PathBuf]) {
    for file in files(&home.home()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let found =
            VALUES.iter().find(|value| bytes.windows(value.len()).any(|part| part == value.as_bytes()));
        assert!(found.is_none() || allowed.contains(&&file), "{found:?} stands in {}", file.display());
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry"));
    entries
        .flat_map(|entry| match entry.file_type().expect("a kind") {
            kind if kind.is_dir() => files(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}
