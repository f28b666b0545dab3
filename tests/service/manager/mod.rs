//! With a service manager: a fake one that takes down what it is asked, and a real one.

mod real;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{UNIT, home};
use crate::support::{Ran, Sandbox};

/// A `systemctl` that says what a healthy manager says, and writes down what it was asked to do.
const SYSTEMCTL: &str = r#"#!/bin/sh
shift
echo "$*" >> "$HOME/asked"
case "$*" in
  is-system-running) echo running ;;
  *show*) printf 'MainPID=4711\nResult=success\nUnitFileState=enabled\nActiveState=active\nSubState=running\nActiveEnterTimestamp=Thu 2026-11-26 14:53:56 UTC\n' ;;
  start*|restart*) ! [ -e "$HOME/broken" ] ;;
esac
"#;

/// A home with that program in front of all others.
fn with_a_fake() -> Sandbox {
    let home = home();
    let fake = home.write("bin/systemctl", SYSTEMCTL);
    std::fs::set_permissions(fake, std::fs::Permissions::from_mode(0o755)).expect("executable");
    home
}

fn run(home: &Sandbox, args: &[&str]) -> Ran {
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").expect("PATH"));
    let mut command = home.command(&[&["service"], args].concat());
    Ran::from(command.env("PATH", path).output().expect("it starts"))
}

/// What the manager was asked to do since the last time, questions left out.
fn asked(home: &Sandbox) -> Vec<String> {
    let said = home.read("asked");
    std::fs::remove_file(home.path("asked")).expect("removed");
    let is_deed = |line: &&str| !line.contains("is-") && !line.contains("show");
    said.lines().filter(is_deed).map(|line| line.replace(" mcpkeel.service", "")).collect()
}

#[test]
fn the_manager_is_asked_for_what_is_needed_and_no_more() {
    let home = with_a_fake();
    let ran = run(&home, &["install"]).exits(0);
    assert_eq!(ran.out, "It runs and watches ~/mcp.yaml.\n");
    assert_eq!(asked(&home), ["daemon-reload", "enable", "reset-failed", "restart"]);
    run(&home, &["install"]).exits(0);
    assert_eq!(asked(&home), ["daemon-reload", "enable", "reset-failed", "start"]);
    run(&home, &["install", "--state-dir", "books", "--no-start"]).exits(0);
    assert_eq!(asked(&home), ["daemon-reload", "enable"]);
    run(&home, &["uninstall"]).exits(0);
    assert_eq!(asked(&home), ["disable --now", "daemon-reload", "reset-failed"]);
    assert!(!home.exists(UNIT));
}

#[test]
fn the_status_is_what_the_manager_says() {
    let home = with_a_fake();
    run(&home, &["install"]).exits(0);
    let out = run(&home, &["status"]).exits(0).out;
    assert!(out.contains("running since 2026-11-26T14:53:56Z, pid 4711; starts when you log in"), "{out}");
    assert!(out.contains("journalctl --user -u mcpkeel"), "{out}");
    let out = run(&home, &["status", "--format", "json"]).exits(0).out;
    let status: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(status["pid"], 4711);
    assert_eq!(status["running"], true);
    assert_eq!(status["enabled"], true);
    assert_eq!(status["unit"], home.path(UNIT).to_str().expect("Unicode"));
    assert_eq!(status["manifest"], home.path("mcp.yaml").to_str().expect("Unicode"));
    assert!(run(&home, &["status", "--format", "markdown"]).exits(0).out.starts_with('|'));
}

#[test]
fn a_service_that_does_not_come_up_is_a_failure_with_a_place_to_look() {
    let home = with_a_fake();
    home.write("broken", "");
    let ran = run(&home, &["install"]).exits(1);
    assert!(ran.err.contains("restart mcpkeel.service` failed with exit code 1"), "{}", ran.err);
    assert!(ran.err.contains("journalctl --user -u mcpkeel"), "{}", ran.err);
    assert!(home.exists(UNIT));
}
