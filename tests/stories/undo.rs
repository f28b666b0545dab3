//! The way back: undo, restore, backup, history; and what looks without touching.

use serde_json::Value;

use super::{applied, apply, home, json_of, says, steps};
use crate::support::Sandbox;

const CURSOR: &str = ".cursor/mcp.json";
const KIRO: &str = ".kiro/settings/mcp.json";
const TEXT: &str = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n  kiro: { servers: [a] }\n";

/// A cursor file of the user's own, then our apply over it.
fn after_apply() -> (Sandbox, String, String) {
    let home = home(TEXT);
    let before = "{ \"theme\": \"dark\" }".to_owned();
    home.write(CURSOR, &before);
    apply(&home).exits(0);
    let after = home.read(CURSOR);
    (home, before, after)
}

fn undo(home: &Sandbox) -> crate::support::Ran {
    home.run(&["undo", "--yes"])
}

/// The newest backup's name.
fn newest(home: &Sandbox) -> String {
    let list = json_of(home, &["backup", "--list"]);
    let last = list["backups"].as_array().and_then(|all| all.last()).expect("a backup");
    last["id"].as_str().expect("a name").to_owned()
}

#[test]
fn undo_puts_files_back_and_removes_those_that_apply_made() {
    let (home, before, _) = after_apply();
    undo(&home).exits(0);
    assert_eq!(home.read(CURSOR), before);
    assert!(!home.exists(KIRO));
    // The books follow: everything is new again.
    assert_eq!(steps(&home, &[]), ["cursor a create", "kiro a create"]);
}

#[test]
fn undoing_twice_brings_the_run_back() {
    let (home, before, after) = after_apply();
    for _ in 0..2 {
        undo(&home).exits(0);
        assert_eq!(home.read(CURSOR), before);
        undo(&home).exits(0);
        assert_eq!(home.read(CURSOR), after);
        assert!(home.exists(KIRO));
        home.run(&["verify"]).exits(0);
        assert_eq!(steps(&home, &[]), ["cursor a keep", "kiro a keep"]);
    }
}

#[test]
fn undo_without_a_terminal_needs_a_word() {
    let (home, _, after) = after_apply();
    says(&home.run(&["undo"]).exits(6), "--yes");
    assert_eq!(home.read(CURSOR), after);
}

#[test]
fn there_is_nothing_to_undo_at_first() {
    says(&undo(&home(TEXT)).exits(1), "nothing to undo");
}

#[test]
fn a_file_changed_since_is_left_unless_forced() {
    let (home, before, after) = after_apply();
    home.write(CURSOR, format!("{after}\n"));
    says(&undo(&home).exits(1), "changed since");
    assert_eq!(home.read(CURSOR), format!("{after}\n"));
    assert!(!home.exists(KIRO), "the others go back all the same");
    assert!(steps(&home, &[]).contains(&"cursor a keep".to_owned()), "still ours");

    let (home, _, after) = after_apply();
    home.write(CURSOR, format!("{after}\n"));
    home.run(&["undo", "--yes", "--force"]).exits(0);
    assert_eq!(home.read(CURSOR), before);
}

#[test]
fn restore_takes_one_client_back_to_before_an_earlier_run() {
    let (home, before, after) = after_apply();
    let first = newest(&home);
    home.write("mcp.yaml", TEXT.replace("command: a", "command: b"));
    apply(&home).exits(0);
    let kiro = home.read(KIRO);
    // The first run's result is no longer there.
    says(&home.run(&["restore", &first, "--yes"]).exits(1), "changed since");
    home.run(&["restore", &first, "--client", "cursor", "--yes", "--force"]).exits(0);
    assert_eq!(home.read(CURSOR), before);
    assert_eq!(home.read(KIRO), kiro);
    // And the second run's backup has what the first one wrote.
    let ids = json_of(&home, &["backup", "--list"]);
    let second = ids["backups"][1]["id"].as_str().expect("a name").to_owned();
    home.run(&["restore", &second, "--client", "cursor", "--yes", "--force"]).exits(0);
    assert_eq!(home.read(CURSOR), after);
}

#[test]
fn restore_of_something_unknown_is_a_wrong_use() {
    let (home, _, _) = after_apply();
    let id = newest(&home);
    says(&home.run(&["restore", "20000101", "--yes"]).exits(64), "no backup");
    home.run(&["restore", "../ledger", "--yes"]).exits(64);
    says(&home.run(&["restore", &id, "--client", "nobody", "--yes"]).exits(64), "nobody");
}

#[test]
fn a_backup_made_by_hand_can_be_put_back_over_anything() {
    let (home, _, after) = after_apply();
    let said = home.run(&["backup"]).exits(0).out;
    let id = newest(&home);
    assert!(said.contains(&id), "{said}");
    home.write(CURSOR, "{}");
    home.run(&["restore", &id, "--yes"]).exits(0);
    assert_eq!(home.read(CURSOR), after);
    home.run(&["verify"]).exits(0);
}

#[test]
fn undo_skips_runs_that_changed_no_file() {
    let (home, before, after) = after_apply();
    // Only the books change: the entry is there already.
    std::fs::remove_file(home.path(".local/state/mcpkeel/ledger.json")).expect("the ledger");
    apply(&home).exits(0);
    assert_eq!(home.read(CURSOR), after);
    undo(&home).exits(0);
    assert_eq!(home.read(CURSOR), before);
}

#[test]
fn undo_takes_back_a_change_of_the_manifest_too() {
    let home = Sandbox::new();
    home.write(CURSOR, r#"{"mcpServers": {"a": {"command": "a"}}}"#);
    home.run(&["init"]).exits(0);
    undo(&home).exits(0);
    assert!(!home.exists("mcp.yaml"));
}

#[test]
fn history_lists_runs_newest_first() {
    let (home, _, _) = after_apply();
    undo(&home).exits(0);
    let lines = json_of(&home, &["history"]);
    let commands: Vec<&str> = lines["history"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| line["command"].as_str().expect("a word"))
        .collect();
    assert_eq!(commands, ["undo", "apply"]);
    assert!(home.run(&["history", "-n", "1"]).exits(0).out.contains("undo"));
    assert!(home.run(&["history", "--format", "markdown"]).exits(0).out.starts_with("| ID"));
}

#[test]
fn only_as_many_backups_are_kept_as_asked() {
    let home = applied(&format!("{TEXT}settings: {{ backups: {{ keep: 2 }} }}\n"));
    for round in 0..4 {
        home.write(
            "mcp.yaml",
            format!(
                "{}settings: {{ backups: {{ keep: 2 }} }}\n",
                TEXT.replace("command: a", &format!("command: c{round}"))
            ),
        );
        apply(&home).exits(0);
    }
    let list = json_of(&home, &["backup", "--list"]);
    assert_eq!(list["backups"].as_array().map(Vec::len), Some(2));
    let files = std::fs::read_dir(home.path(".local/state/mcpkeel/backups")).expect("there");
    let names: Vec<String> =
        files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".ledger")).count(), 2, "{names:?}");
}

#[test]
fn status_says_in_a_word_how_each_client_stands() {
    let home = home(TEXT);
    let state = |home: &Sandbox, client: &str| -> String {
        let status = json_of(home, &["status"]);
        let clients = status["clients"].as_array().expect("clients").clone();
        let found = clients.iter().find(|entry| entry["client"] == client).expect("the client").clone();
        found["state"].as_str().expect("a word").to_owned()
    };
    assert_eq!(state(&home, "cursor"), "pending");
    apply(&home).exits(0);
    assert_eq!(state(&home, "cursor"), "in sync");
    home.write(
        CURSOR,
        home.read(CURSOR).replace("\"a\",", "\"b\",").replace("\"command\": \"a\"", "\"command\": \"b\""),
    );
    assert_eq!(state(&home, "cursor"), "drifted");
    home.write(KIRO, "{ nonsense");
    assert_eq!(state(&home, "kiro"), "unreadable");
    home.run(&["status"]).exits(0);
}

#[test]
fn verify_fails_when_a_file_cannot_be_read_and_apply_goes_on_with_the_others() {
    let home = home(TEXT);
    home.write(KIRO, "{ nonsense");
    home.run(&["verify"]).exits(2);
    let ran = apply(&home).exits(1);
    says(&ran, "refused: ~/.kiro/settings/mcp.json:1:3");
    assert_eq!(home.read(KIRO), "{ nonsense");
    assert!(home.exists(CURSOR));
    let said = home.run(&["doctor"]).exits(1).out;
    assert!(said.contains("Kiro"), "{said}");
}

#[test]
fn the_doctor_finds_nothing_where_all_is_well_and_trouble_where_not() {
    let home = applied(TEXT);
    let findings = |home: &Sandbox| -> Value { json_of(home, &["doctor"])["findings"].clone() };
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(findings(&home).as_array().is_some_and(|all| all.len() > 2));
    home.write(".local/state/mcpkeel/ledger.json", "garbage");
    says(&home.run(&["doctor"]).exits(1), "ledger");
}

#[test]
fn the_client_list_says_what_is_detected_and_in_step() {
    let home = applied(TEXT);
    let list = json_of(&home, &["client", "list"]);
    let clients = list["clients"].as_array().expect("clients");
    let cursor = clients.iter().find(|client| client["id"] == "cursor").expect("cursor");
    assert_eq!((cursor["detected"].as_bool(), cursor["state"].as_str()), (Some(true), Some("in sync")));
    let few = json_of(&home, &["client", "list", "--detected"]);
    assert!(few["clients"].as_array().expect("clients").len() < clients.len());
    assert!(home.run(&["client", "show", "cursor"]).exits(0).out.contains("mcpServers"));
    says(&home.run(&["client", "show", "cursr"]).exits(64), "did you mean");
}

#[test]
fn help_is_printed_and_parses() {
    let home = Sandbox::new();
    let schema = home.run(&["schema"]).exits(0).out;
    serde_json::from_str::<Value>(&schema).expect("the schema");
    assert!(home.run(&["explain"]).exits(0).out.contains("servers"));
    assert!(home.run(&["explain", "servers.tools.deny"]).exits(0).out.contains("Not these"));
    says(&home.run(&["explain", "servers.a.tols"]).exits(64), "tools");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(home.run(&["completions", shell]).exits(0).out.contains("mcpkeel"));
    }
    assert!(home.run(&["man"]).exits(0).out.contains(".TH"));
    assert!(!home.exists(".local"));
}
