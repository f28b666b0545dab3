//! The real clients as oracles: each is run and must list what mcpkeel wrote for it.
//!
//! `.ci/install-clients` installs them. A client that is not there is skipped with a line that says so; with
//! `MCPKEEL_REQUIRE_CLIENTS=1`, as in CI, a missing client of the CI set is a failure.
//!
//! Start with [`clients`], which knows how to ask each client. `homes/<client>` holds what the tests put into its
//! home directory: `good` and `malformed` files, with the expected answers in `good.txt` and `malformed.txt`, and
//! `hand-made`, the file of a user who has not met mcpkeel. In them `{{spy}}` is the path of `spy.mjs` and `{{url}}`
//! a remote server that answers, since some clients show only what they could start.
//!
//! Invariant: what a file holds is never the proof, only what the client prints is.

#![cfg(unix)]

mod clients;
mod local_server;
mod served;
mod visit;
mod watched;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clients::{CLIENTS, Client, Listing};
use local_server::LocalServer;
use visit::Visit;

use crate::support::{Sandbox, repo};

macro_rules! for_each_client {
    ($($client:ident = $id:literal,)*) => {
        $(mod $client {
            #[test]
            fn lists_what_a_hand_written_file_says() {
                super::lists_what_a_hand_written_file_says($id);
            }

            #[test]
            fn lists_what_apply_prune_and_undo_leave() {
                super::lists_what_apply_prune_and_undo_leave($id);
            }

            #[test]
            fn causes_no_drift_by_running() {
                super::causes_no_drift_by_running($id);
            }

            #[test]
            fn lists_what_is_delivered_through_exec() {
                super::lists_what_is_delivered_through_exec($id);
            }
        })*

        const TESTED: &[&str] = &[$($id),*];
    };
}

for_each_client! {
    claude_code = "claude-code",
    codex = "codex",
    gemini_cli = "gemini-cli",
    qwen_code = "qwen-code",
    opencode = "opencode",
    kilo_code = "kilo-code",
    copilot_cli = "copilot-cli",
    cline = "cline",
    continue_dev = "continue",
    augment = "augment",
    droid = "droid",
    amp = "amp",
    grok = "grok",
    goose = "goose",
    kimi_code = "kimi-code",
    mistral_vibe = "mistral-vibe",
    cursor_by_grok = "cursor",
}

#[test]
fn every_client_of_the_table_is_tested() {
    let in_table: Vec<_> = CLIENTS.iter().map(|client| client.id).collect();
    assert_eq!(in_table, TESTED);
}

#[test]
fn the_install_script_knows_the_clients_of_the_table() {
    let script = fs::read_to_string(repo().join(".ci/install-clients")).expect("the script");
    let listed = |variable: &str| -> BTreeSet<String> {
        let line = script.lines().find_map(|line| line.strip_prefix(variable)).expect("the variable");
        line.trim_matches(['=', '(', ')']).split_whitespace().map(str::to_owned).collect()
    };
    let in_table = |in_ci: bool| -> BTreeSet<String> {
        CLIENTS
            .iter()
            .filter(|client| client.in_ci == in_ci)
            .map(|client| client.program.to_owned())
            .collect()
    };
    assert_eq!(listed("ci_clients"), in_table(true));
    assert_eq!(listed("other_clients"), in_table(false));
}

fn lists_what_a_hand_written_file_says(id: &str) {
    let Some(oracle) = Oracle::of(id) else { return };
    let server = LocalServer::start();
    assert_eq!(answer(&oracle.list(&Sandbox::new())), "nothing\n", "{id} in an empty home");
    for kind in ["good", "malformed"] {
        let home = Sandbox::new();
        put_files(&home, id, kind, &server);
        let expected =
            fs::read_to_string(homes(id).join(format!("{kind}.txt"))).expect("the expected answer");
        let listing = oracle.list(&home);
        assert_eq!(answer(&listing), expected, "{id} with a {kind} file said {listing:?}");
    }
}

fn lists_what_apply_prune_and_undo_leave(id: &str) {
    let Some(oracle) = Oracle::of(id) else { return };
    let server = LocalServer::start();
    let home = Sandbox::new();
    put_files(&home, id, "hand-made", &server);

    home.write("mcp.yaml", manifest(id, &[ALPHA, &beta(&server), GAMMA]));
    home.run(&["apply", "--yes", "-f", "mcp.yaml"]).exits(0);
    check(&oracle, &home, &["alpha-srv", "beta-srv", "hand-made"]);

    home.write("mcp.yaml", manifest(id, &[ALPHA, GAMMA]));
    home.run(&["apply", "--yes", "--allow-prune", "-f", "mcp.yaml"]).exits(0);
    check(&oracle, &home, &["alpha-srv", "hand-made"]);

    home.run(&["undo", "--yes"]).exits(0);
    check(&oracle, &home, &["alpha-srv", "beta-srv", "hand-made"]);
}

fn causes_no_drift_by_running(id: &str) {
    let Some(oracle) = Oracle::of(id) else { return };
    let server = LocalServer::start();
    let home = Sandbox::new();
    put_files(&home, id, "hand-made", &server);
    home.write("mcp.yaml", manifest(id, &[ALPHA, &beta(&server), GAMMA]));
    home.run(&["apply", "--yes", "-f", "mcp.yaml"]).exits(0);

    oracle.list_in_place(&home).expect("the client lists");

    home.run(&["verify", "-f", "mcp.yaml"]).exits(0);
}

/// A local and a remote server, both with a secret; a client that starts what it lists gets both through us.
fn lists_what_is_delivered_through_exec(id: &str) {
    let Some(oracle) = Oracle::of(id) else { return };
    let server = LocalServer::start();
    let home = Sandbox::new();
    put_files(&home, id, "hand-made", &server);
    let secret = home.write("secret.txt", SECRET);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("closed");
    let alpha = ALPHA.replace("blue", "\"${secret:s}\"");
    let beta = beta(&server).replace("blue", "\"${secret:s}\"");
    let manifest = manifest(id, &[&alpha, &beta]);
    home.write(
        "mcp.yaml",
        manifest.replace("servers:\n  alpha", "secrets: { s: { file: secret.txt } }\nservers:\n  alpha"),
    );
    home.run(&["apply", "--yes", "-f", "mcp.yaml"]).exits(0);
    for file in files_below(&home.home()) {
        let holds = fs::read(&file).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(SECRET));
        assert!(!holds || file == secret, "{} holds the secret", file.display());
    }
    check(&oracle, &home, &["alpha-srv", "beta-srv", "hand-made"]);
}

/// A value that no rule would take for a secret by its look.
const SECRET: &str = "plain-word-77";

#[test]
fn a_secret_that_gemini_writes_back_is_named_and_taken_out() {
    writes_a_secret_back("gemini-cli", ".gemini/settings.json");
}

#[test]
fn a_secret_that_qwen_writes_back_is_named_and_taken_out() {
    writes_a_secret_back("qwen-code", ".qwen/settings.json");
}

fn writes_a_secret_back(id: &str, file: &str) {
    let Some(oracle) = Oracle::of(id) else { return };
    let home = Sandbox::new();
    let text = manifest(id, &["a: { command: a, env: { T: \"${env:MY_TOKEN}\" } }"]);
    home.write("mcp.yaml", text.replace("[\"*\"]", "[\"*\"], drift: adopt"));
    let run = |args: &[&str]| {
        let ran = home.command(args).env("MY_TOKEN", SECRET).output().expect("it starts");
        let said =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(!said.contains(SECRET), "{args:?}: {said}");
        said
    };
    run(&["apply", "--yes"]);
    let visit = Visit::in_place(&home.home(), &oracle.installed_in, &oracle.program);
    let added = visit.run(&["mcp", "add", "--scope", "user", "other", "echo", "hi"], &[("MY_TOKEN", SECRET)]);
    added.and_then(visit::Ran::success).expect("the client adds a server");
    assert!(home.read(file).contains(SECRET), "{id} no longer does that: say so in its row");
    assert!(run(&["plan"]).contains("LEAK"));
    run(&["apply", "--yes"]);
    let text = home.read(file);
    assert!(!text.contains(SECRET) && text.contains("other"), "{text}");
}

/// The client uses exactly these servers. It may list `gamma-off` as well, if it can show a server that is off.
#[track_caller]
fn check(oracle: &Oracle, home: &Sandbox, expected: &[&str]) {
    let listing = oracle.list(home).unwrap_or_else(|said| panic!("{} refused: {said}", oracle.client.id));
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    let mut listed = listing.names.clone();
    listed.remove("gamma-off");
    assert_eq!(listed, expected, "{} listed", oracle.client.id);
    assert_eq!(listing.enabled, expected, "{} would use", oracle.client.id);
}

/// An installed client.
struct Oracle {
    client: &'static Client,
    program: PathBuf,
    installed_in: PathBuf,
}

impl Oracle {
    /// The client with this id. None if it is not installed, having said so.
    fn of(id: &str) -> Option<Self> {
        let client = CLIENTS.iter().find(|client| client.id == id).expect("a client of the table");
        let installed_in = clients_dir();
        if let Some(program) = client.installed_in(&installed_in) {
            return Some(Self { client, program, installed_in });
        }
        let required = client.in_ci && env::var("MCPKEEL_REQUIRE_CLIENTS").is_ok_and(|value| value == "1");
        let reason = format!("{} is not installed (run .ci/install-clients)", client.program);
        assert!(!required, "{reason}");
        skip(&reason);
        None
    }

    /// What the client lists in a private copy of this home.
    fn list(&self, home: &Sandbox) -> Result<Listing, String> {
        (self.client.list)(&Visit::to_copy_of(&home.home(), &self.installed_in, &self.program))
    }

    /// What the client lists in this home, where it may write.
    fn list_in_place(&self, home: &Sandbox) -> Result<Listing, String> {
        (self.client.list)(&Visit::in_place(&home.home(), &self.installed_in, &self.program))
    }
}

/// Says what was not tested; straight to standard error, since the test runner hides what `eprintln!` prints.
fn skip(reason: &str) {
    writeln!(io::stderr(), "skipped: {reason}").ok();
}

/// As `.ci/install-clients` chooses it.
fn clients_dir() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default());
    env::var_os("MCPKEEL_CLIENTS_DIR").map_or_else(|| home().join(".cache/mcpkeel-clients"), PathBuf::from)
}

const ALPHA: &str = "alpha-srv: { command: node, args: [{{spy}}], env: { TEAM: blue } }";
const GAMMA: &str = "gamma-off: { command: node, args: [{{spy}}], enabled: false }";

fn beta(server: &LocalServer) -> String {
    format!("beta-srv: {{ url: \"{}\", headers: {{ X-Team: blue }} }}", server.mcp_url())
}

fn manifest(client: &str, servers: &[&str]) -> String {
    let servers = servers.join("\n  ").replace("{{spy}}", &format!("{:?}", spy()));
    format!("version: 1\nservers:\n  {servers}\nclients:\n  {client}: {{ servers: [\"*\"] }}\n")
}

fn spy() -> PathBuf {
    repo().join("tests/external/spy.mjs")
}

fn homes(id: &str) -> PathBuf {
    repo().join("tests/external/homes").join(id)
}

/// Puts the files of one of the client's example homes into this one.
fn put_files(home: &Sandbox, id: &str, kind: &str, server: &LocalServer) {
    let example = homes(id).join(kind);
    let (spy, url) = (spy(), server.mcp_url());
    for file in files_below(&example) {
        let text = fs::read_to_string(&file).expect("an example");
        let text = text.replace("{{spy}}", spy.to_str().expect("UTF-8")).replace("{{url}}", &url);
        home.write(file.strip_prefix(&example).expect("below it").to_str().expect("UTF-8"), text);
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A listing as a line for each server: `name on` or `name off`.
fn answer(listing: &Result<Listing, String>) -> String {
    let Ok(Listing { names, enabled }) = listing else { return "refused\n".to_owned() };
    if names.is_empty() {
        return "nothing\n".to_owned();
    }
    let state = |name| if enabled.contains(name) { "on" } else { "off" };
    names.iter().map(|name| format!("{name} {}\n", state(name))).collect()
}
