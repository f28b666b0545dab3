//! Secrets where they really are: in age files that the `age` program reads and writes, in a real
//! gnome-keyring, behind programs, in files; and the commands that look after them.
//!
//! `.ci/run` installs the programs. On Linux one that is missing is a failure when `CI` or `MCPKEEL_NO_SKIP` is
//! set; else the test says that it skips.
//!
//! Invariant: [`run`] sees everything that a command prints, and the value is never in it.

mod commands;
mod rekey;

#[cfg(unix)]
mod age;
#[cfg(target_os = "linux")]
mod everywhere;
#[cfg(target_os = "linux")]
mod keyring;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(unix)]
pub mod tools;

use std::io::Write as _;
use std::process::{Command, Stdio};

use ::age::secrecy::ExposeSecret as _;

use crate::support::{Ran, Sandbox};

/// What is kept everywhere in these tests.
const VALUE: &str = "hush-hush-value-7";

/// Runs the program with this on its standard input.
#[track_caller]
fn run_with(home: &Sandbox, args: &[&str], input: &str) -> Ran {
    finish(home.command(args), input)
}

/// Runs the program without any input.
#[track_caller]
fn run(home: &Sandbox, args: &[&str]) -> Ran {
    run_with(home, args, "")
}

/// Runs a command to its end. Nothing it prints may hold the value.
#[track_caller]
fn finish(mut command: Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that has seen enough closes its end.
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).ok();
    let mut ran = Ran::from(child.wait_with_output().expect("it ends"));
    if cfg!(windows) {
        // Paths as the tests write them.
        (ran.out, ran.err) = (ran.out.replace('\\', "/"), ran.err.replace('\\', "/"));
    }
    assert!(!ran.out.contains(VALUE) && !ran.err.contains(VALUE), "the value shows: {ran:?}");
    ran
}

/// An age identity and its public key.
fn identity() -> (String, String) {
    let identity = ::age::x25519::Identity::generate();
    (identity.to_string().expose_secret().to_owned(), identity.to_public().to_string())
}

/// A home with a manifest whose secrets are these, and an age identity in key.txt for which it encrypts.
fn home(secrets: &str) -> Sandbox {
    let (private, public) = identity();
    let home = Sandbox::new();
    home.write("key.txt", private + "\n");
    home.write("mcp.yaml", manifest(secrets, &[&public]));
    home
}

fn manifest(secrets: &str, recipients: &[&str]) -> String {
    let recipients: Vec<String> = recipients.iter().map(|key| format!("\n      - {key}")).collect();
    format!(
        "version: 1\n# Kept elsewhere.\nsecrets: {{{secrets}}} # references only\nservers:\n  a: {{ command: a, env: {{ T: \"${{env:T}}\" }} }}\n\
         clients:\n  cursor: {{ servers: [a] }}\nsettings:\n  age:\n    identity: key.txt\n    recipients:{}\n",
        recipients.concat()
    )
}

/// Fails with everything that was printed unless one of the streams holds the text.
#[track_caller]
fn says(ran: &Ran, text: &str) {
    assert!(ran.out.contains(text) || ran.err.contains(text), "no `{text}` in:\n{}\n{}", ran.out, ran.err);
}
