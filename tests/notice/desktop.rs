//! The desktop: a real notification daemon, dunst, on a session bus and an X server of its own.
//!
//! Which bus there is stands in the process's variables, so the telling is done by this same test program, started
//! once more: [`tells_the_desktop_of_this_session`].

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mcpkeel::store::Stand;
use serde_json::Value;

use super::{LONG, Told, all_targets, event, machine};
use crate::secrets::keyring::{dress, start_bus};
use crate::secrets::tools;
use crate::support::Sandbox;

/// Set for the second start.
const INNER: &str = "MCPKEEL_TEST_DESKTOP";

/// Ends its process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn tells_the_desktop_of_this_session() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let memory = machine("    - { desktop: true }\n");
    let told = Told::start();
    for (stand, message) in [(Stand::Stalled, "It is malformed."), (Stand::Ready, "In step again.")] {
        told.tell(&event(stand, message), all_targets(&memory, Path::new("/home/me/mcp.yaml")));
    }
    for problem in told.finish(LONG) {
        println!("problem: {problem}");
    }
}

fn inner(dress: impl FnOnce(&mut Command)) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "notice::desktop::tells_the_desktop_of_this_session", "--nocapture"]);
    command.env(INNER, "1");
    dress(&mut command);
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let out = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success() && out.contains("1 passed"), "{out}{}", String::from_utf8_lossy(&stderr));
    out
}

#[test]
fn a_notification_daemon_shows_it() {
    if !tools::are_there(&["dbus-daemon", "Xvfb", "dunst", "dunstctl"]) {
        return;
    }
    let home = Sandbox::new();
    let _bus = Running(start_bus(&home));
    let (_x, display) = start_x(&home);
    let within = |command: &mut Command| {
        command.env("HOME", home.home()).env("DISPLAY", &display);
        dress(command, &home);
    };
    let mut dunst = Command::new("dunst");
    within(&mut dunst);
    let _dunst = Running(dunst.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dunst starts"));
    let ask = |args: &[&str]| {
        let mut dunstctl = Command::new("dunstctl");
        within(&mut dunstctl);
        let asked = dunstctl.args(args).output().expect("dunstctl starts");
        (asked.status.success(), String::from_utf8_lossy(&asked.stdout).into_owned())
    };
    wait_until("dunst comes up", || ask(&["is-paused"]).0);
    let out = inner(within);
    assert!(!out.contains("problem:"), "{out}");
    assert!(ask(&["close-all"]).0);
    let shown = || -> Vec<[String; 3]> {
        let history: Value = serde_json::from_str(&ask(&["history"]).1).expect("JSON");
        let shown = history["data"][0].as_array().cloned().unwrap_or_default();
        let text = |one: &Value, name: &str| one[name]["data"].as_str().unwrap_or_default().to_owned();
        shown.iter().map(|one| ["appname", "summary", "body"].map(|name| text(one, name))).collect()
    };
    wait_until("both are in the history", || shown().len() == 2);
    let mut shown = shown();
    shown.sort();
    assert_eq!(
        shown,
        [
            ["mcpkeel", "mcpkeel: cursor is ready", "In step again."],
            ["mcpkeel", "mcpkeel: cursor is stalled", "It is malformed."],
        ]
    );
}

#[test]
fn without_a_session_it_is_said_once() {
    let home = Sandbox::new();
    let out = inner(|command| dress(command, &home));
    let problems: Vec<&str> = out.lines().filter(|line| line.contains("problem:")).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains(
            "the desktop of settings.notify[0] was not told that cursor is stalled: the session bus"
        ),
        "{problems:?}"
    );
}

/// An X server without a screen, on a display that it chooses.
fn start_x(home: &Sandbox) -> (Running, String) {
    let mut x = Command::new("Xvfb");
    x.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "640x480x24"]).current_dir(home.home());
    let mut x = Running(x.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Xvfb starts"));
    let mut number = String::new();
    BufReader::new(x.0.stdout.take().expect("a pipe")).read_line(&mut number).expect("a display");
    (x, format!(":{}", number.trim()))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never happens that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
