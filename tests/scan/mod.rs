//! `secret scan`: what it finds, what it leaves alone, and how it moves values into a store.
//!
//! Invariant: fake tokens stand in this file in pieces only; after every run all that was printed and
//! every file but the expected ones is searched for them. `corpus` says what is no finding.

mod corpus;
mod moves;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Ran, Sandbox};

/// With the look of a token, and without one.
fn token() -> String {
    ["ghp", "_Planted0123456789abcdefABCDE"].concat()
}

fn plain(number: u32) -> String {
    ["planted", "-value-", &number.to_string()].concat()
}

/// Every value that a test plants.
fn planted() -> Vec<String> {
    (1..9).map(plain).chain([token()]).collect()
}

/// Runs the program, with the variable that the manifests here read a secret from; nothing that it prints may
/// show a value.
#[track_caller]
fn run(home: &Sandbox, args: &[&str]) -> Ran {
    run_with(home, args, &[("KEPT", "set elsewhere")])
}

#[track_caller]
fn run_with(home: &Sandbox, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let output = home.command(args).envs(env.iter().copied()).output().expect("the program starts");
    let ran = Ran::from(output);
    for value in planted() {
        assert!(
            !ran.out.contains(&value) && !ran.err.contains(&value),
            "{args:?} shows a secret:\n{}",
            ran.out
        );
    }
    ran
}

fn files(dir: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(path) } else { vec![path] }).collect()
}

/// The files, relative to the home, that hold a value.
fn holders(home: &Sandbox, value: &str) -> Vec<String> {
    let mut found: Vec<String> = files(home.home())
        .into_iter()
        .filter(|path| {
            let bytes = fs::read(path).expect("a file");
            bytes.windows(value.len()).any(|window| window == value.as_bytes())
        })
        .map(|path| path.strip_prefix(home.home()).expect("inside").display().to_string().replace('\\', "/"))
        .collect();
    found.sort();
    found
}

/// Server, field, look and way out of every finding in a file.
fn found(scan: &Value, file: &str) -> Vec<String> {
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or("-").to_owned();
    let findings = scan["findings"].as_array().expect("findings").iter();
    findings
        .filter(|finding| word(finding, "file").replace('\\', "/").ends_with(file))
        .map(|finding| {
            let place = format!("{}:{}", finding["line"], finding["column"]);
            let words = ["server", "field", "looks", "next"].map(|key| word(finding, key));
            format!("{place} {}", words.join(" | "))
        })
        .collect()
}

#[track_caller]
fn scan(home: &Sandbox) -> Value {
    let ran = run(home, &["secret", "scan", "--format", "json"]).exits(0);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}\n{}", ran.out))
}

const MANIFEST: &str = r#"version: 1
# before: TOKEN
vars: { api-key: PLAIN1 }
secrets:
  kept: { env: KEPT } # stays
servers:
  gh:
    command: gh-mcp
    args:
      - --api-key=PLAIN2 # a comment
      - "--token"
      - 'PLAIN3'
    env: { GITHUB_TOKEN: TOKEN, LEVEL: debug }
  web:
    url: https://example.com/mcp
    headers: { Authorization: "Bearer ${secret:kept}" }
  lin:
    url: https://lin.example.com/mcp?api_key=PLAIN4&mode=ro
    headers:
      Authorization: Bearer PLAIN5 # mine
clients:
  cursor: { servers: [gh, web] }
"#;

const CURSOR: &str = r#"{"mcpServers": {
  "web": {"url": "https://example.com/mcp", "headers": {"Authorization": "Bearer PLAIN6"}},
  "own": {"command": "own", "env": {"DB_URL": "postgres://me:PLAIN7@db/x", "SAME": "TOKEN", "LEVEL": "debug"}}
}}
"#;

fn fill(text: &str) -> String {
    let filled =
        (1..9).fold(text.to_owned(), |text, number| text.replace(&format!("PLAIN{number}"), &plain(number)));
    filled
        .replace("TOKEN\n", &format!("{}\n", token()))
        .replace("GITHUB_TOKEN: TOKEN", &format!("GITHUB_TOKEN: {}", token()))
        .replace("\"TOKEN\"", &format!("\"{}\"", token()))
}

/// A home with literals in the manifest and in a client's file.
fn leaky() -> Sandbox {
    let home = Sandbox::new();
    home.write("mcp.yaml", fill(MANIFEST));
    home.write(".cursor/mcp.json", fill(CURSOR));
    home
}

#[test]
fn finds_them_where_they_stand_and_says_what_takes_them_out() {
    let home = leaky();
    let scan = scan(&home);
    assert_eq!(
        found(&scan, "mcp.yaml"),
        [
            "2:11 - | comment | GitHub token | hand",
            "3:18 - | var api-key | text in a member named like a secret | move",
            "10:19 gh | argument 1 | text in a member named like a secret | move",
            "12:10 gh | argument 3 | text in a member named like a secret | move",
            "13:26 gh | env GITHUB_TOKEN | GitHub token | move",
            "18:46 lin | url query `api_key` | text in a member named like a secret | move",
            "20:29 lin | header Authorization | text in a member named like a secret | move",
        ]
    );
    assert_eq!(
        found(&scan, ".cursor/mcp.json"),
        [
            "2:82 web | header Authorization | text in a member named like a secret | apply",
            "3:62 own | env DB_URL | password in an address | move",
            "3:94 own | env SAME | GitHub token | move",
        ]
    );
    run(&home, &["secret", "scan", "--exit-code"]).exits(2);
    let ran = run(&home, &["secret", "scan"]).exits(0);
    assert!(ran.out.contains(".cursor/mcp.json:3:62"), "{}", ran.out);
    assert!(ran.err.contains("10 literal secrets in 2 files."), "{}", ran.err);
    let ran = run(&home, &["secret", "scan", "--format", "markdown", "--client", "cursor"]).exits(0);
    assert!(!ran.out.contains("mcp.yaml") && ran.out.starts_with("| WHERE | "), "{}", ran.out);
    run(&home, &["secret", "scan", "--client", "nobody"]).exits(64);
}

#[test]
fn a_machine_without_a_manifest_can_be_scanned() {
    let home = Sandbox::new();
    home.write(".cursor/mcp.json", fill(CURSOR));
    let scan = scan(&home);
    assert_eq!(found(&scan, ".cursor/mcp.json").len(), 3);
    assert!(found(&scan, ".cursor/mcp.json").iter().all(|line| line.ends_with("hand")));
    run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(3);
}

#[test]
fn references_and_stand_ins_are_no_findings() {
    let home = Sandbox::new();
    home.write(
        "mcp.yaml",
        "version: 1\nsecrets: { t: { env: T } }\nservers:\n  a: { command: a, args: [--api-key, '${secret:t}'], env: { API_KEY: '${env:X}', B_TOKEN: YOUR_TOKEN } }\nclients: { cursor: { servers: [a] } }\n",
    );
    home.write(
        ".cursor/mcp.json",
        r#"{"mcpServers": {"x": {"command": "x", "env": {"A_KEY": "${env:A_KEY}", "B_KEY": "<key>", "C_TOKEN": "${input:c}", "D_TOKEN": "{{D}}"}}}}"#,
    );
    let ran = run(&home, &["secret", "scan", "--exit-code"]).exits(0);
    assert!(ran.err.contains("No literal secrets in 2 files."), "{}", ran.err);
}

#[test]
fn a_malformed_file_is_searched_for_known_tokens() {
    let home = Sandbox::new();
    home.write("mcp.yaml", "version: 1\n");
    home.write(
        ".cursor/mcp.json",
        format!("{{\"mcpServers\": {{\"x\": {{\"env\": {{\"T\": \"{}\" \"y\"", token()),
    );
    home.write(".codex/config.toml", format!("# old {}\n[mcp_servers.x\n", token()));
    let scan = scan(&home);
    assert_eq!(found(&scan, ".cursor/mcp.json"), ["1:37 - | `T` | GitHub token | hand"]);
    assert_eq!(found(&scan, ".codex/config.toml"), ["1:7 - | comment | GitHub token | hand"]);
    let notes = scan["notes"].to_string();
    assert!(notes.contains("cannot be understood") && notes.contains(".codex/config.toml"), "{notes}");
    // So is a manifest with errors.
    home.write(
        "mcp.yaml",
        format!("version: 1\nservers:\n  a: {{ comand: a, env: {{ T: {} }} }}\n", token()),
    );
    let ran = run(&home, &["secret", "scan"]).exits(0);
    assert!(ran.out.contains("mcp.yaml:3:29"), "{}", ran.out);
    assert!(ran.err.contains("mcp.yaml has errors"), "{}", ran.err);
}

#[test]
fn a_project_file_that_the_manifest_names_is_scanned() {
    let home = Sandbox::new();
    home.write("mcp.yaml", "version: 1\nclients:\n  work: { client: cursor, root: ~/work, servers: [] }\n");
    home.write("work/.cursor/mcp.json", fill(CURSOR));
    assert_eq!(found(&scan(&home), "work/.cursor/mcp.json").len(), 3);
    let ran = run(&home, &["secret", "scan", "--client", "work"]).exits(0);
    assert!(ran.out.contains("work/.cursor/mcp.json:3:62"), "{}", ran.out);
}

#[cfg(unix)]
#[test]
fn says_whose_files_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = leaky();
    fs::set_permissions(home.path(".cursor/mcp.json"), fs::Permissions::from_mode(0o600)).expect("set");
    fs::set_permissions(home.path("mcp.yaml"), fs::Permissions::from_mode(0o644)).expect("set");
    let scan = scan(&home);
    for finding in scan["findings"].as_array().expect("findings") {
        let is_manifest = finding["kind"] == "manifest";
        assert_eq!(finding["readable_by_others"], is_manifest);
        assert_eq!(finding["mode"], if is_manifest { "0644" } else { "0600" });
    }
    let ran = run(&home, &["secret", "scan"]).exits(0);
    assert!(ran.out.contains("0644, others can read it"), "{}", ran.out);
}

#[test]
fn backups_that_hold_one_are_listed() {
    let home = Sandbox::new();
    home.write(
        "mcp.yaml",
        "version: 1\nservers: { a: { command: a } }\nclients: { cursor: { servers: [a] } }\n",
    );
    home.write(".cursor/mcp.json", fill(CURSOR));
    run(&home, &["apply", "--yes"]).exits(0);
    home.write(".cursor/mcp.json", "{}");
    let scan = scan(&home);
    assert_eq!(scan["findings"], serde_json::json!([]));
    let backups = scan["backups"].as_array().expect("backups");
    assert_eq!(
        (backups.len(), &backups[0]["command"], &backups[0]["readable_by_others"]),
        (1, &"apply".into(), &false.into())
    );
    let ran = run(&home, &["secret", "scan", "--exit-code"]).exits(2);
    assert!(ran.out.contains("0600  ~/.cursor/mcp.json"), "{}", ran.out);
    assert!(ran.err.contains("settings.backups.keep"), "{}", ran.err);
    #[cfg(unix)]
    for object in files(home.path(".local/state/mcpkeel/backups/objects")) {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&object).expect("there").permissions().mode() & 0o777, 0o600);
    }
    // A backup of nothing secret is none of these.
    home.write(
        "mcp.yaml",
        "version: 1\nservers: { a: { command: a, args: [b] } }\nclients: { cursor: { servers: [a] } }\n",
    );
    run(&home, &["apply", "--yes"]).exits(0);
    assert_eq!(self::scan(&home)["backups"].as_array().expect("backups").len(), 1);
}
