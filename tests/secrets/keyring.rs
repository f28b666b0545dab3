//! A real gnome-keyring on a session bus of its own.
//!
//! Both daemons are children of the test and are waited for; the bus starts nothing by itself, so that no prompt
//! and no second daemon comes up behind them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{VALUE, finish, says, tools};
use crate::support::{Ran, Sandbox};

const MANIFEST: &str = "version: 1\nsecrets:\n  token: { keyring: the-entry }\n  gone: { env: GONE }\nservers: {}\nclients: {}\n";

/// A session with a keyring in it.
pub struct Session<'h> {
    home: &'h Sandbox,
    bus: Child,
    daemon: Child,
}

/// Whether the keyring is opened with the password of these tests.
#[derive(Clone, Copy, PartialEq)]
pub enum Start {
    Unlocked,
    Locked,
}

impl<'h> Session<'h> {
    /// None, having said so, where the programs are not installed.
    pub fn start(home: &'h Sandbox, start: Start) -> Option<Self> {
        if !tools::are_there(&["dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool"]) {
            return None;
        }
        let bus = start_bus(home);
        let mut daemon = within(home, "gnome-keyring-daemon");
        daemon.args(["--foreground", "--components=secrets"]);
        daemon.args((start == Start::Unlocked).then_some("--unlock"));
        daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = daemon.spawn().expect("a keyring");
        daemon.stdin.take().expect("a pipe").write_all(b"ci-password").ok();
        let session = Self { home, bus, daemon };
        session.wait_for_the_keyring();
        Some(session)
    }

    /// The daemon takes its name on the bus when it is ready.
    fn wait_for_the_keyring(&self) {
        for _ in 0..300 {
            let mut ask = within(self.home, "dbus-send");
            ask.args([
                "--session",
                "--print-reply",
                "--reply-timeout=2000",
                "--dest=org.freedesktop.DBus",
                "/org/freedesktop/DBus",
            ]);
            ask.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
            if finish(ask, "").out.contains("boolean true") {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the keyring does not come up");
    }

    fn run(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.home.command(args);
        dress(&mut command, self.home);
        finish(command, input)
    }

    /// What `secret-tool` finds under our service.
    fn looked_up(&self, entry: &str) -> String {
        let mut tool = within(self.home, "secret-tool");
        tool.args(["lookup", "service", "mcpkeel", "username", entry]);
        let output = tool.output().expect("secret-tool starts");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.bus] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A session bus at a place of the home, which starts nothing by itself. To be ended by the caller.
pub fn start_bus(home: &Sandbox) -> Child {
    let config = format!(
        "<busconfig><type>session</type><listen>unix:path={}</listen>\
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
         <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
        home.path("bus").display()
    );
    let config = home.write("bus.conf", config);
    std::fs::create_dir_all(home.path("run")).expect("a directory");
    let mut bus = Command::new("dbus-daemon");
    bus.arg("--nofork").arg("--print-address").arg(format!("--config-file={}", config.display()));
    let mut bus = bus.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a bus");
    // It says its address once it listens.
    let mut line = String::new();
    BufReader::new(bus.stdout.take().expect("a pipe")).read_line(&mut line).expect("an address");
    bus
}

/// A program of this session.
fn within(home: &Sandbox, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home.home());
    dress(&mut command, home);
    command
}

pub fn dress(command: &mut Command, home: &Sandbox) {
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", home.path("bus").display()));
    command.env("XDG_RUNTIME_DIR", home.path("run"));
}

fn home() -> Sandbox {
    let home = Sandbox::new();
    home.write("mcp.yaml", MANIFEST);
    home
}

#[test]
fn a_secret_is_set_verified_and_removed() {
    let home = home();
    let Some(session) = Session::start(&home, Start::Unlocked) else { return };
    says(&session.run(&["secret", "verify", "token"], "").exits(1), "the keyring has no entry `the-entry`");
    session.run(&["secret", "set", "token"], &format!("{VALUE}\n")).exits(0);
    assert_eq!(session.looked_up("the-entry"), VALUE);
    session.run(&["secret", "verify", "token"], "").exits(0);
    session.run(&["secret", "set", "token"], "hush-hush-another").exits(0);
    assert_eq!(session.looked_up("the-entry"), "hush-hush-another");
    says(
        &session.run(&["secret", "remove", "token", "--yes"], "").exits(0),
        "the keyring's entry `the-entry`",
    );
    assert_eq!(session.looked_up("the-entry"), "");
    assert!(!home.read("mcp.yaml").contains("the-entry"));
}

#[test]
fn a_new_secret_takes_its_own_name_or_another() {
    let home = home();
    let Some(session) = Session::start(&home, Start::Unlocked) else { return };
    session.run(&["secret", "set", "one", "--keyring"], VALUE).exits(0);
    session.run(&["secret", "set", "two", "--keyring", "other"], VALUE).exits(0);
    assert_eq!((session.looked_up("one"), session.looked_up("other")), (VALUE.to_owned(), VALUE.to_owned()));
    session.run(&["validate"], "").exits(0);
    session.run(&["secret", "verify", "one", "two"], "").exits(0);
}

#[test]
fn a_scan_moves_literals_into_the_keyring() {
    let home = home();
    let Some(session) = Session::start(&home, Start::Unlocked) else { return };
    let manifest = format!(
        "version: 1\nservers:\n  gh: {{ command: gh, env: {{ API_TOKEN: {VALUE} }} }}\nclients: {{ cursor: {{ servers: [gh] }} }}\n"
    );
    home.write("mcp.yaml", &manifest);
    home.write(
        ".cursor/mcp.json",
        format!(
            "{{\"mcpServers\": {{\"own\": {{\"command\": \"own\", \"args\": [\"--api-key={VALUE}\"]}}}}}}"
        ),
    );
    // What is there under the name is somebody's, until it is the same.
    session.run(&["secret", "scan", "--move", "keyring"], "").exits(6);
    assert_eq!((home.read("mcp.yaml"), session.looked_up("api-token")), (manifest, String::new()));
    says(&session.run(&["secret", "scan", "--move", "keyring", "--yes"], "").exits(0), "the keyring's entry");
    assert_eq!(session.looked_up("api-token"), VALUE);
    let manifest = home.read("mcp.yaml");
    assert!(!manifest.contains(VALUE) && manifest.contains("keyring: api-token"), "{manifest}");
    assert_eq!(manifest.matches("${secret:api-token}").count(), 2, "one value, one secret: {manifest}");
    session.run(&["secret", "verify"], "").exits(0);

    session.run(&["undo", "--yes"], "").exits(0);
    session.run(&["secret", "scan", "--move", "keyring", "--yes"], "").exits(0);
    session.run(&["undo", "--yes"], "").exits(0);
    home.write("mcp.yaml", home.read("mcp.yaml").replace(VALUE, "hush-hush-other-8"));
    home.write(".cursor/mcp.json", "{}");
    let ran = session.run(&["secret", "scan", "--move", "keyring", "--yes"], "").exits(6);
    says(&ran, "holds another value already");
    assert_eq!(session.looked_up("api-token"), VALUE);
}

#[test]
fn large_and_odd_values_survive() {
    let home = home();
    let Some(session) = Session::start(&home, Start::Unlocked) else { return };
    for value in
        ["ü 日本 \"quoted\" $x\\n".to_owned(), "-----BEGIN\nkey\n-----END\n".repeat(2), "x".repeat(60_000)]
    {
        session.run(&["secret", "set", "token"], &format!("{value}\n")).exits(0);
        assert_eq!(session.looked_up("the-entry"), value);
        session.run(&["secret", "verify", "token"], "").exits(0);
    }
}

#[test]
fn a_keyring_without_a_collection_says_that_it_is_locked() {
    let home = home();
    let Some(session) = Session::start(&home, Start::Locked) else { return };
    let ran = session.run(&["secret", "set", "token"], VALUE).exits(1);
    says(&ran, "the keyring is locked (or has no default collection yet)");
    says(&ran, "`age:`");
}

#[test]
fn a_locked_keyring_says_so() {
    let home = home();
    let Some(session) = Session::start(&home, Start::Unlocked) else { return };
    session.run(&["secret", "set", "token"], VALUE).exits(0);
    drop(session);
    let session = Session::start(&home, Start::Locked).expect("as before");
    says(&session.run(&["secret", "verify", "token"], "").exits(1), "the keyring is locked (");
    says(&session.run(&["secret", "set", "token"], VALUE).exits(1), "the keyring is locked (");
    drop(session);
    let session = Session::start(&home, Start::Unlocked).expect("as before");
    session.run(&["secret", "verify", "token"], "").exits(0);
}

#[test]
fn a_session_without_a_bus_is_told_what_else_there_is() {
    let home = home();
    let mut command = home.command(&["secret", "verify", "token"]);
    command.env("XDG_RUNTIME_DIR", home.path("run"));
    let ran = finish(command, "").exits(1);
    says(&ran, "there is no keyring in this session");
    for store in ["`age:`", "`env:`", "`command:`", "`file:`"] {
        says(&ran, store);
    }
    let mut command = home.command(&["secret", "set", "token"]);
    command.env("XDG_RUNTIME_DIR", home.path("run"));
    let ran = finish(command, VALUE).exits(1);
    assert!(!ran.err.contains("Took"), "the value was asked for in vain: {}", ran.err);
}

#[test]
fn a_bus_without_a_keyring_is_told_what_else_there_is() {
    let home = home();
    let Some(mut session) = Session::start(&home, Start::Unlocked) else { return };
    session.daemon.kill().expect("killed");
    session.daemon.wait().expect("gone");
    let ran = session.run(&["secret", "verify", "token"], "").exits(1);
    says(&ran, "there is no keyring in this session");
    says(&ran, "`age:`");
}
