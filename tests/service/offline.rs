//! Without a service manager: what is written, refused and said.

use std::process::Command;

use serde_json::Value;

#[cfg(target_os = "linux")]
use super::UNIT;
use super::home;
use crate::support::{Ran, Sandbox};

/// Where no manager can be reached: no variable that leads to one is set in a sandbox.
fn run(home: &Sandbox, args: &[&str]) -> Ran {
    home.run(&[&["service"], args].concat())
}

#[test]
fn printing_writes_nothing() {
    let home = home();
    let ran = run(&home, &["install", "--print"]).exits(0);
    let manifest = home.path("mcp.yaml");
    // Each way of writing it has the path in it, if only with its separators doubled.
    let name = manifest.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(ran.out.contains("watch") && ran.out.contains(&name), "{}", ran.out);
    let left: Vec<_> = std::fs::read_dir(home.home()).expect("the home").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_missing_or_broken_manifest_is_not_installed() {
    let empty = Sandbox::new();
    assert!(run(&empty, &["install"]).exits(3).err.contains("mcp.yaml"));
    empty.write("mcp.yaml", "version: 1\nserverz: {}\n");
    assert!(run(&empty, &["install", "--print"]).exits(3).err.contains("serverz"));
    assert!(!empty.exists(".config") && !empty.exists("Library"));
}

#[test]
fn nothing_to_uninstall_is_no_failure() {
    let home = home();
    if cfg!(windows) {
        // A scheduled task belongs to the machine, not to the sandbox.
        return;
    }
    assert!(run(&home, &["uninstall"]).exits(0).out.contains("not installed"));
    assert!(run(&home, &["status"]).exits(0).out.contains("not installed"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_unit_is_written_and_the_exit_code_says_that_nothing_runs() {
    let home = home();
    let ran = run(&home, &["install"]).exits(1);
    assert!(ran.err.contains("written: ~/.config/systemd/user/mcpkeel.service"), "{}", ran.err);
    assert!(ran.err.contains("hint: "), "{}", ran.err);
    let unit = home.read(UNIT);
    assert_eq!(run(&home, &["install", "--print"]).exits(0).out, unit);
    let own = format!(
        "ExecStart=\"{}\" watch --manifest {}",
        env!("CARGO_BIN_EXE_mcpkeel"),
        home.path("mcp.yaml").display()
    );
    assert!(unit.lines().any(|line| line == own), "{own}\n{unit}");
    assert!(unit.contains(&format!("Environment=\"XDG_CONFIG_HOME={}\"\n", home.path(".config").display())));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(home.path(UNIT)).expect("the unit").permissions(),
    );
    assert_eq!(mode & 0o777, 0o644);
    // The second time there is nothing to write.
    assert!(run(&home, &["install"]).exits(1).err.contains("already installed"));
    run(&home, &["uninstall"]).exits(0);
    assert!(!home.exists(UNIT));
    let wants = home.path(".config/systemd/user/default.target.wants");
    assert!(!wants.join("mcpkeel.service").exists(), "still enabled");
}

#[cfg(target_os = "linux")]
#[test]
fn a_unit_of_somebody_else_stays() {
    let home = home();
    home.write(UNIT, "[Service]\nExecStart=/bin/true\n");
    assert!(run(&home, &["install"]).exits(6).err.contains("--force"));
    run(&home, &["uninstall"]).exits(6);
    assert_eq!(home.read(UNIT), "[Service]\nExecStart=/bin/true\n");
    let status: Value =
        serde_json::from_str(&run(&home, &["status", "--format", "json"]).exits(0).out).expect("JSON");
    assert_eq!((&status["installed"], &status["ours"]), (&true.into(), &false.into()));
    assert!(run(&home, &["install", "--force"]).exits(1).err.contains("written anew"));
    run(&home, &["uninstall"]).exits(0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_status_tells_an_old_unit_from_a_new_one() {
    let home = home();
    let stale = |args: &[&str]| {
        let ran = run(&home, &[&["status", "--format", "json"], args].concat()).exits(0);
        let status: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(status["format_version"], 1);
        (status["installed"].clone(), status["stale"].clone())
    };
    assert_eq!(stale(&[]), (false.into(), Value::Null));
    run(&home, &["install"]).exits(1);
    assert_eq!(stale(&[]), (true.into(), false.into()));
    // Neither this shell's PATH nor its directory are what was installed.
    let mut elsewhere = home.command(&["service", "status", "--format", "json"]);
    let path = format!("/nowhere:{}", std::env::var("PATH").expect("PATH"));
    let ran = Ran::from(elsewhere.current_dir("/").env("PATH", path).output().expect("runs")).exits(0);
    assert!(ran.out.contains(r#""stale":false"#), "{}", ran.out);
    home.write("other.yaml", super::MANIFEST);
    assert_eq!(stale(&["-f", "other.yaml"]), (true.into(), true.into()));
    home.write(UNIT, home.read(UNIT).replace("Nice=5", "Nice=1"));
    assert_eq!(stale(&[]), (true.into(), true.into()));
    assert!(run(&home, &["status"]).exits(0).out.contains("stale"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_state_directory_of_its_own_is_the_services_too() {
    let home = home();
    let out = run(&home, &["install", "--print", "--state-dir", "books"]).exits(0).out;
    assert!(out.contains(&format!("--state-dir {}", home.path("books").display())), "{out}");
    let mut command = home.command(&["service", "install", "--print"]);
    // The key itself may stand in this one, so it is never written down.
    command.env("MCPKEEL_AGE_IDENTITY", "AGE-SECRET-KEY-1").env("CODEX_HOME", "/srv/codex");
    let out = Ran::from(command.output().expect("runs")).exits(0).out;
    assert!(out.contains("Environment=\"CODEX_HOME=/srv/codex\"") && !out.contains("AGE-SECRET"), "{out}");
}

/// systemd itself reads the units, with every odd character that a path may have.
#[cfg(target_os = "linux")]
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !crate::secrets::tools::are_there(&["systemd-analyze"]) {
        return;
    }
    for dir in ["plain", "with space", "100%", "$HOME ${x}", "it's \"quoted\"", "back\\slash", "ünï;code #"]
    {
        let home = home();
        let manifest = home.write(&format!("{dir}/mcp.yaml"), super::MANIFEST);
        let manifest = manifest.to_str().expect("Unicode");
        let state = home.path(&format!("{dir}/state"));
        let out = run(
            &home,
            &["install", "--print", "-f", manifest, "--state-dir", state.to_str().expect("Unicode")],
        )
        .exits(0)
        .out;
        let unit = home.write("verify/mcpkeel.service", &out);
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--user", "--man=no"]).arg(&unit).env("HOME", home.home());
        verify.env("XDG_RUNTIME_DIR", home.home()).env_remove("DBUS_SESSION_BUS_ADDRESS");
        let ran = Ran::from(verify.output().expect("systemd-analyze starts"));
        // Whatever it has to say about other units of this machine is not about ours.
        let about_ours: Vec<&str> = ran.err.lines().filter(|line| line.contains("mcpkeel")).collect();
        assert!(ran.code == 0 && about_ours.is_empty(), "{dir}: {}\n{}\n{out}", ran.code, ran.err);
    }
}
