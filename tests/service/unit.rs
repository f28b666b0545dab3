//! The unit of systemd, where no manager can be reached: written, linted, refused, removed.

use std::process::Command;

use serde_json::Value;

use super::offline::run;
use super::{UNIT, home};
use crate::support::Ran;

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

/// What `systemctl --user mask` leaves: a link to /dev/null, which must stay what it is.
#[test]
fn a_masked_unit_is_refused_even_by_force() {
    use std::os::unix::fs::FileTypeExt as _;
    let home = home();
    let unit = home.write(UNIT, "");
    std::fs::remove_file(&unit).expect("removed");
    std::os::unix::fs::symlink("/dev/null", &unit).expect("a link");
    run(&home, &["install"]).exits(6);
    let ran = run(&home, &["install", "--force"]).exits(1);
    assert!(ran.err.contains("no regular file"), "{}", ran.err);
    assert!(std::fs::metadata("/dev/null").expect("there").file_type().is_char_device());
}

/// A unit that is kept with the dotfiles and linked to its place.
#[test]
fn a_linked_unit_stays_a_link() {
    let home = home();
    run(&home, &["install"]).exits(1);
    let unit = home.path(UNIT);
    let kept = home.path("dotfiles.service");
    std::fs::rename(&unit, &kept).expect("moved");
    std::os::unix::fs::symlink(&kept, &unit).expect("a link");
    run(&home, &["install", "--state-dir", "books"]).exits(1);
    assert_eq!(std::fs::read_link(&unit).expect("a link"), kept);
    assert!(home.read("dotfiles.service").contains("--state-dir"));
}

#[test]
fn a_machine_without_systemd_is_told_what_else_there_is() {
    let home = home();
    let without = |args: &[&str]| {
        let mut command = home.command(&[&["service"], args].concat());
        Ran::from(command.env("PATH", home.path("nowhere")).output().expect("it starts"))
    };
    for args in [&["install"][..], &["install", "--no-start"]] {
        let ran = without(args).exits(1);
        assert!(
            ran.err.contains("there is no systemd here") && ran.err.contains("mcpkeel watch"),
            "{}",
            ran.err
        );
    }
    assert!(without(&["status"]).exits(0).out.contains("nothing here can tell"));
    without(&["uninstall"]).exits(0);
    assert!(!home.exists(UNIT));
}

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
