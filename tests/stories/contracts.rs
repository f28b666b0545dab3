//! What scripts rely on: streams, formats, exit codes.

use std::process::Stdio;

use serde_json::Value;

use super::{applied, apply, home, says};
use crate::support::{Ran, Sandbox};

const TEXT: &str = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n";

/// Every command that prints data, with arguments that let it succeed.
const LOOKS: &[&[&str]] = &[
    &["plan"],
    &["verify"],
    &["status"],
    &["history"],
    &["backup", "--list"],
    &["client", "list"],
    &["doctor"],
    &["validate"],
    &["service", "status"],
    &["token", "list"],
    &["policy", "list"],
    &["approval", "list"],
    &["usage"],
];

#[test]
fn every_json_document_says_its_version_and_stands_alone() {
    for home in [home(TEXT), applied(TEXT)] {
        for args in LOOKS {
            let ran = home.run(&[args, &["--format", "json"][..]].concat());
            let document: Value = serde_json::from_str(&ran.out)
                .unwrap_or_else(|error| panic!("{args:?}: {error}: {}{}", ran.out, ran.err));
            assert_eq!(document["format_version"], 1, "{args:?}");
        }
        let ran = home.run(&["apply", "--yes", "--format", "json"]).exits(0);
        let document: Value = serde_json::from_str(&ran.out).expect("one document");
        assert_eq!(document["format_version"], 1);
    }
}

#[test]
fn every_markdown_starts_like_markdown() {
    let home = applied(TEXT);
    for args in LOOKS.iter().filter(|args| args[0] != "doctor") {
        let out = home.run(&[args, &["--format", "markdown"][..]].concat()).out;
        assert!(out.starts_with(['#', '|', '*']) || out.starts_with("<!-- "), "{args:?}: {out}");
    }
}

#[test]
fn an_apply_that_is_refused_still_reports_in_the_format_asked_for() {
    let home = home(TEXT);
    home.write(".cursor/mcp.json", r#"{"mcpServers": {"a": {"command": "theirs"}}}"#);
    let ran = home.run(&["apply", "--yes", "--format", "json"]).exits(6);
    let document: Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!(document["refused"], true);
}

#[test]
fn failures_leave_standard_output_alone() {
    let home = home("version: 1\nserverz: 1\n");
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["status", "--format", "json"],
        &["undo", "--yes"],
        &["restore", "x", "--yes"],
    ] {
        let ran = home.run(args);
        assert!(
            ran.code != 0 && ran.out.is_empty() && !ran.err.is_empty(),
            "{args:?}: {} {}",
            ran.code,
            ran.out
        );
    }
}

#[test]
fn quiet_prints_results_and_errors_only() {
    let home = home(TEXT);
    let ran = home.run(&["apply", "--yes", "--quiet"]).exits(0);
    assert_eq!(ran.err, "");
    assert!(ran.out.contains("created"), "{}", ran.out);
    let ran = home.run(&["apply", "--yes", "-q"]).exits(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    home.write("mcp.yaml", "version: 2\n");
    assert_ne!(home.run(&["plan", "-q"]).exits(3).err, "");
}

#[test]
fn there_is_no_colour_outside_a_terminal() {
    let home = home(TEXT);
    for args in [&["plan"][..], &["plan", "-v"], &["validate"]] {
        let ran = home.run(args);
        assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{args:?}");
        let ran = Ran::from(home.command(args).env("NO_COLOR", "1").output().expect("runs"));
        assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{args:?}");
    }
}

#[test]
fn wrong_usage_exits_with_64() {
    let home = home(TEXT);
    for args in [
        &["frobnicate"][..],
        &["plan", "--frob"],
        &[],
        &["apply", "p", "--client", "x"],
        &["plan", "--format", "xml"],
    ] {
        let ran = home.run(args).exits(64);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}");
    }
    home.run(&["--help"]).exits(0);
    home.run(&["--version"]).exits(0);
}

#[test]
fn pending_changes_are_told_by_the_exit_code_when_asked() {
    let home = home(TEXT);
    home.run(&["plan"]).exits(0);
    home.run(&["plan", "--exit-code"]).exits(2);
    home.run(&["verify"]).exits(2);
    apply(&home).exits(0);
    home.run(&["plan", "--exit-code"]).exits(0);
    home.run(&["verify"]).exits(0);
}

#[test]
fn looking_writes_nothing() {
    let home = home(TEXT);
    for args in LOOKS {
        home.run(args);
    }
    for args in [&["diff"][..], &["adopt", "--dry-run"], &["import", "--dry-run"], &["fmt", "--check"]] {
        home.run(args);
    }
    let left: Vec<_> = std::fs::read_dir(home.home()).expect("the home").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn without_a_terminal_apply_needs_a_word() {
    let home = home(TEXT);
    says(&home.run(&["apply"]).exits(6), "--yes");
    assert!(!home.exists(".cursor"));
}

#[cfg(unix)]
#[test]
fn a_second_run_is_told_who_holds_the_lock() {
    let home = applied(TEXT);
    home.write("mcp.yaml", TEXT.replace("command: a", "command: b"));
    let path = home.path(".local/state/mcpkeel/lock");
    let file = std::fs::File::options().read(true).write(true).open(path).expect("the lock");
    file.lock().expect("free");
    for args in [&["apply", "--yes"][..], &["undo", "--yes"], &["backup"], &["fmt"]] {
        if args == ["fmt"] {
            home.write("mcp.yaml", TEXT.replace("  a: {", "      a:   {"));
        }
        says(&home.run(args).exits(4), "locked");
    }
    // Looking needs no lock.
    home.run(&["plan"]).exits(0);
    drop(file);
    apply(&home).exits(0);
}

#[cfg(unix)]
#[test]
fn a_reader_that_had_enough_is_no_failure() {
    let home = home(TEXT);
    for args in [&["schema"][..], &["client", "list"], &["man"], &["plan"], &["--help"]] {
        let mut child =
            home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().expect("ends"));
        assert!(ran.code == 0 || ran.code == -1, "{args:?}: {}", ran.code);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
}

#[test]
fn the_manifest_is_found_by_flag_environment_directory_and_config() {
    let home = Sandbox::new();
    let named = |command: &str| TEXT.replace("command: a", &format!("command: {command}"));
    home.write(".config/mcpkeel/mcp.yaml", named("from-config"));
    let shown = |ran: &Ran, word: &str| assert!(ran.out.contains(word), "{word}: {}{}", ran.out, ran.err);
    shown(&home.run(&["plan"]), "from-config");
    home.write("mcp.yaml", named("from-here"));
    shown(&home.run(&["plan"]), "from-here");
    home.write("env.yaml", named("from-env"));
    let output = home.command(&["plan"]).env("MCPKEEL_MANIFEST", "env.yaml").output().expect("runs");
    shown(&Ran::from(output), "from-env");
    home.write("flag.yaml", named("from-flag"));
    shown(&home.run(&["plan", "-f", "flag.yaml"]), "from-flag");
}

#[test]
fn the_state_can_live_elsewhere() {
    let home = home(TEXT);
    home.run(&["apply", "--yes", "--state-dir", "books"]).exits(0);
    assert!(home.exists("books/ledger.json") && !home.exists(".local"));
    let output =
        home.command(&["verify"]).env("MCPKEEL_STATE_DIR", home.path("books")).output().expect("runs");
    Ran::from(output).exits(0);
}
