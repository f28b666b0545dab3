//! The program killed at random moments of an apply.
//!
//! Two manifests take turns; between them five client files change, one appears and one goes. Each
//! round starts an apply, kills it after a random part of the time that an apply takes, looks at
//! every file, and has the next apply bring all of it in order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use crate::support::Sandbox;

const ROUNDS: u32 = 60;
/// No round starts after this: a slow machine makes fewer of them.
const TIME: Duration = Duration::from_secs(35);

/// Client files by path; none for one that is not there.
type Files = BTreeMap<&'static str, Option<String>>;

/// Each with what its user keeps in it.
const LIVE: [(&str, Option<&str>); 7] = [
    (
        ".claude.json",
        Some(
            "{\n  \"numStartups\": 412,\n  \"mcpServers\": {\"mine\": {\"command\": \"mine\"}},\n  \"userID\": \"x\"\n}",
        ),
    ),
    (".cursor/mcp.json", Some("{\"mcpServers\":{\"mine\":{\"command\":\"mine\",\"args\":[]}}}\n")),
    (
        ".config/Code/User/mcp.json",
        Some("{\r\n\t// by hand\r\n\t\"inputs\": [],\r\n\t\"servers\": {},\r\n}\r\n"),
    ),
    (".codex/config.toml", Some("model = \"x\" # the good one\n\n[mcp_servers.mine]\ncommand = \"mine\"\n")),
    (
        ".config/goose/config.yaml",
        Some(
            "# by hand\nGOOSE_MODE: auto\nextensions:\n  developer: {enabled: true, type: builtin, name: developer}\n",
        ),
    ),
    // These two are there under one of the manifests only.
    (".gemini/settings.json", None),
    (".qwen/settings.json", None),
];

fn manifest(version: &str, here: &str, gone: &str) -> String {
    format!(
        "version: 1\nservers:\n  files:\n    command: npx\n    args: [-y, server-files@{version}]\n    env: {{ LEVEL: debug }}\n  \
         docs:\n    url: https://{version}.example.com/mcp\n  {version}-only:\n    command: uvx\n    args: [server-{version}]\n\
         clients:\n  claude-code: {{ servers: [\"*\"] }}\n  cursor: {{ servers: [\"*\"] }}\n  vscode: {{ servers: [\"*\"] }}\n  \
         codex: {{ servers: [\"*\"] }}\n  goose: {{ servers: [\"*\"] }}\n  {here}: {{ servers: [\"*\"] }}\n  {gone}: {{ servers: [] }}\n"
    )
}

const APPLY: [&str; 4] = ["apply", "--yes", "--allow-prune", "--quiet"];

#[test]
fn killed_at_any_moment_every_file_is_old_or_new_and_the_next_run_finishes() {
    let sandbox = Sandbox::new();
    for (path, text) in LIVE {
        text.into_iter().for_each(|text| drop(sandbox.write(path, text)));
    }
    let manifests = [manifest("one", "gemini-cli", "qwen-code"), manifest("two", "qwen-code", "gemini-cli")];
    let apply = |which: usize| {
        sandbox.write("mcp.yaml", &manifests[which]);
        let start = Instant::now();
        sandbox.run(&APPLY).exits(0);
        start.elapsed()
    };
    apply(0);
    let one = look(&sandbox);
    let took = apply(1);
    let two = look(&sandbox);
    let took = took.min(apply(0));
    assert_eq!(look(&sandbox), one, "taking a change back restores the bytes");
    assert!(one.iter().zip(&two).all(|(one, two)| one != two), "every file takes part");
    for (path, text) in LIVE {
        let marks = ["userID", "mine", "// by hand\r\n", "# the good one", "# by hand\n"];
        let marks = marks.iter().filter(|mark| text.is_some_and(|text| text.contains(*mark)));
        marks.for_each(|mark| {
            assert!(one[path].as_ref().is_some_and(|now| now.contains(mark)), "{path}: {mark}")
        });
    }

    let states = [one, two];
    let (mut random, start) = (0x9e37_79b9_7f4a_7c15_u64, Instant::now());
    let (mut rounds, mut killed, mut mixed) = (0, 0, 0);
    while rounds < ROUNDS && start.elapsed() < TIME {
        let (old, new) = (&states[rounds as usize % 2], &states[(rounds as usize + 1) % 2]);
        rounds += 1;
        sandbox.write("mcp.yaml", &manifests[rounds as usize % 2]);
        let delay = took.mul_f64((next(&mut random) % 1000) as f64 / 1000.0);
        let mut child =
            sandbox.command(&APPLY).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(delay);
        // It may have ended by itself.
        let _ = child.kill();
        let ended = child.wait().expect("it ends");
        killed += u32::from(!ended.success());

        let at = format!("round {rounds}, killed after {delay:?}");
        let found = look(&sandbox);
        for (path, text) in &found {
            assert!(*text == old[path] || *text == new[path], "{at}: {path} is torn: {text:?}");
        }
        mixed += u32::from(found != *old && found != *new);

        age_lock(&sandbox);
        let ran = sandbox.run(&APPLY);
        assert_eq!(ran.code, 0, "{at}: {}{}", ran.out, ran.err);
        assert_eq!(look(&sandbox), *new, "{at}: the next run finishes");
        assert_eq!(litter(&sandbox.home()), Vec::<PathBuf>::new(), "{at}");
        let ran = sandbox.run(&["verify"]);
        assert_eq!(ran.code, 0, "{at}: {}{}", ran.out, ran.err);
    }
    println!(
        "{rounds} rounds, {killed} killed in time, {mixed} with some files old and some new; an apply took {took:?}"
    );
    assert!(killed >= 5, "too few of the kills came in time to mean anything: {killed} of {rounds}");
}

/// The lock that Claude Code takes around its writes, and we with it, can be taken over after ten
/// seconds: lets them pass.
fn age_lock(sandbox: &Sandbox) {
    if let Ok(lock) = fs::File::open(sandbox.path(".claude.json.lock")) {
        lock.set_modified(SystemTime::now() - Duration::from_secs(11)).expect("ours");
    }
}

fn look(sandbox: &Sandbox) -> Files {
    let text =
        |path: &str| fs::read(sandbox.path(path)).ok().map(|bytes| String::from_utf8(bytes).expect("text"));
    LIVE.iter().map(|(path, _)| (*path, text(path))).collect()
}

/// What a run that is over must not leave: temporary names, locks of clients, journals.
fn litter(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let is_journal = path.parent().is_some_and(|dir| dir.ends_with("mcpkeel/journal"));
        if name.starts_with(".mcpkeel")
            || name.ends_with(".json.lock")
            || name.ends_with(".new")
            || is_journal
        {
            found.push(path);
        } else if path.is_dir() {
            found.extend(litter(&path));
        }
    }
    found
}

/// The same numbers in every run (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}
