//! Programs that are told.

use std::process::Command;
use std::time::{Duration, Instant};

use mcpkeel::store::{Stand, Store};
use mcpkeel::system::Real;

use super::{LONG, Told, all_targets, event};
use crate::support::Sandbox;

/// A home with a manifest that tells this command.
fn home(argv: &str) -> Sandbox {
    let home = Sandbox::new();
    let notify =
        format!("version: 1\nvars: {{ word: world }}\nsettings:\n  notify: [{{ command: {argv} }}]\n");
    home.write("dotfiles/mcp.yaml", notify);
    home
}

fn script(home: &Sandbox, path: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = home.write(path, format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("made a program");
}

/// Tells that cursor is stalled; what could not be told.
fn tell(home: &Sandbox, patience: Duration) -> Vec<String> {
    let told = Told::start();
    let stalled = event(Stand::Stalled, "It is malformed; \"$(touch pwned)\".");
    told.tell(&stalled, all_targets(&Real, &home.path("dotfiles/mcp.yaml")));
    told.finish(patience)
}

#[test]
fn a_program_beside_the_manifest_gets_the_event() {
    let home = home(r#"[./bin/tell, "hello ${var:word}", "$(touch pwned)"]"#);
    script(
        &home,
        "dotfiles/bin/tell",
        "cat > stdin; printf '%s\\n' \"$@\" > args\n\
         printf '%s|' \"$MCPKEEL_CONDITION\" \"$MCPKEEL_CLIENT\" \"$MCPKEEL_REASON\" \"$MCPKEEL_MESSAGE\" > env",
    );
    assert_eq!(tell(&home, LONG), [""; 0]);
    let told: serde_json::Value = serde_json::from_str(&home.read("dotfiles/stdin")).expect("JSON");
    assert_eq!((&told["client"], &told["type"]), (&"cursor".into(), &"mcpkeel.condition".into()));
    assert_eq!(home.read("dotfiles/args"), "hello world\n$(touch pwned)\n");
    assert_eq!(home.read("dotfiles/env"), "Stalled|cursor|Malformed|It is malformed; \"$(touch pwned)\".|");
    assert!(!home.exists("dotfiles/pwned"));
}

#[test]
fn a_program_on_the_path_needs_no_directory_and_need_not_read() {
    assert_eq!(tell(&home("['true']"), LONG), [""; 0]);
}

#[test]
fn a_program_that_fails_or_is_missing_is_said() {
    let said = |argv: &str| tell(&home(argv), LONG);
    let start = "the command of settings.notify[0] was not told that cursor is stalled: ";
    assert_eq!(said("[sh, -c, exit 3]"), [format!("{start}it ended with exit status: 3")]);
    let missing = [format!("{start}its program or its directory was not found")];
    assert_eq!(said("[no-such-program-here]"), missing);
    assert_eq!(said("[./no-such-program-here]"), missing);
}

#[test]
fn a_program_that_hangs_is_ended_when_there_is_no_time_left() {
    let home = home("[sh, -c, 'echo $$ > pid.new; mv pid.new pid; sleep 600']");
    let told = Told::start();
    told.tell(&event(Stand::Stalled, "x"), all_targets(&Real, &home.path("dotfiles/mcp.yaml")));
    let deadline = Instant::now() + LONG;
    while !home.exists("dotfiles/pid") {
        assert!(Instant::now() < deadline, "it does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let problems = told.finish(Duration::from_millis(1));
    assert!(problems.len() == 1 && problems[0].ends_with("there was no time left"), "{problems:?}");
    let pid: i32 = home.read("dotfiles/pid").trim().parse().expect("a number");
    let pid = rustix::process::Pid::from_raw(pid).expect("one");
    assert!(rustix::process::test_kill_process(pid).is_err(), "it was neither ended nor waited for");
}

/// Runs itself once more with the variables set, since a process cannot well set its own.
#[test]
fn the_keys_of_our_own_stores_are_withheld() {
    if std::env::var_os("MCPKEEL_AGE_PASSPHRASE").is_none() {
        let name = "notice::command::the_keys_of_our_own_stores_are_withheld";
        let again = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", name])
            .env("MCPKEEL_AGE_PASSPHRASE", "withheld")
            .env("MCPKEEL_AGE_IDENTITY", "withheld")
            .output()
            .expect("it starts");
        let out = String::from_utf8_lossy(&again.stdout);
        assert!(again.status.success() && out.contains("1 passed"), "{out}");
        return;
    }
    let home = home("[sh, -c, env > env]");
    assert_eq!(tell(&home, LONG), [""; 0]);
    let env = home.read("dotfiles/env");
    assert!(env.contains("MCPKEEL_CLIENT=cursor") && !env.contains("withheld"));
}

#[test]
fn what_was_told_is_kept_without_saying_to_whom() {
    let home = home("['true']");
    let store = Store::at(home.path("state"));
    drop(store.lock(&Real, "watch").expect("free"));
    let mut told = mcpkeel::notice::Told::load(&Real, &store).expect("none yet");
    assert!(told.is_news(&event(Stand::Stalled, "x")));
    told.save(&Real, &store).expect("saved");
    let kept: serde_json::Value = serde_json::from_str(&home.read("state/notices.json")).expect("JSON");
    let cursor = serde_json::json!({"condition": "Stalled", "reason": "Malformed"});
    assert_eq!(kept, serde_json::json!({"format_version": 1, "clients": {"cursor": cursor}}));
    let mut again = mcpkeel::notice::Told::load(&Real, &store).expect("read");
    assert!(!again.is_news(&event(Stand::Stalled, "x")));
}
