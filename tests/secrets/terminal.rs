//! A person at a real terminal, played on the pseudo terminal of `script`.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use super::{VALUE, home, says, tools};
use crate::support::{Ran, Sandbox};

/// Runs a shell line at a terminal: waits for each question and gives the answer to it. None, having said so, where
/// that cannot be played.
pub fn converse(home: &Sandbox, line: &str, env: &[(&str, &str)], talk: &[(&str, &str)]) -> Option<Ran> {
    if !tools::are_there(&["script", "timeout"]) {
        return None;
    }
    let mut command = Command::new("timeout");
    command.args([
        "--kill-after=5",
        "60",
        "script",
        "--quiet",
        "--flush",
        "--return",
        "--command",
        line,
        "/dev/null",
    ]);
    command.env_clear().current_dir(home.home());
    let as_us = home.command(&[]);
    command.envs(as_us.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("SHELL", "/bin/sh").envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("script starts");
    let mut keyboard = child.stdin.take().expect("a keyboard");
    let mut screen = child.stdout.take().expect("a screen");
    let (mut shown, mut seen) = (Vec::new(), 0);
    for (question, answer) in talk {
        // What is typed before the question stands there would be echoed.
        while !String::from_utf8_lossy(&shown[seen..]).contains(question) {
            let mut some = [0; 256];
            let read = screen.read(&mut some).expect("a screen");
            assert!(read > 0, "it ended before `{question}`:\n{}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&some[..read]);
        }
        seen = shown.len();
        writeln!(keyboard, "{answer}").expect("typed");
    }
    screen.read_to_end(&mut shown).expect("a screen");
    drop(keyboard);
    let status = child.wait().expect("it ends");
    let out = String::from_utf8_lossy(&shown).into_owned();
    Some(Ran { code: status.code().unwrap_or(-1), out, err: String::new() })
}

/// The program under test as a shell would have it typed.
pub fn mcpkeel(args: &str) -> String {
    format!("'{}' {args}", env!("CARGO_BIN_EXE_mcpkeel"))
}

#[test]
fn a_value_is_asked_for_and_not_echoed() {
    let home = home(" db: { env: DB } ");
    let line = mcpkeel("secret set token --file token");
    let Some(ran) = converse(&home, &line, &[], &[("Value of `token` (not shown): ", VALUE)]) else { return };
    let ran = ran.exits(0);
    assert!(!ran.out.contains(VALUE), "{}", ran.out);
    says(&ran, "Took 17 characters.");
    assert_eq!(home.read("token"), VALUE);
}

#[test]
fn nothing_typed_is_nothing_stored() {
    let home = home(" db: { env: DB } ");
    let line = mcpkeel("secret set token --file token");
    let Some(ran) = converse(&home, &line, &[], &[("(not shown): ", "")]) else { return };
    says(&ran.exits(1), "the value is empty");
    assert!(!home.exists("token"));
}

#[test]
fn removing_asks_and_no_means_no() {
    let home = home(" f: { file: f } ");
    super::run_with(&home, &["secret", "set", "f"], VALUE).exits(0);
    let line = mcpkeel("secret remove f");
    let Some(ran) = converse(&home, &line, &[], &[("Remove `f` and the file ~/f? [y/N] ", "n")]) else {
        return;
    };
    ran.exits(6);
    assert!(home.exists("f"));
    converse(&home, &line, &[], &[("[y/N] ", "y")]).expect("as before").exits(0);
    assert!(!home.exists("f"));
}

#[test]
fn ctrl_c_ends_it_and_leaves_the_terminal_as_it_was() {
    let home = home(" db: { env: DB } ");
    let line =
        format!("trap : INT; {}; echo ended with $?; stty -a", mcpkeel("secret set token --file token"));
    let Some(ran) = converse(&home, &line, &[], &[("(not shown): ", "\u{3}")]) else { return };
    says(&ran, "ended with 130");
    for mode in [" echo ", " icanon ", "isig "] {
        says(&ran, mode);
    }
    assert!(!home.exists("token"));
}
