//! Where events come from: whatever changes a file, it is noticed.

use std::fs;
use std::os::unix::fs::symlink;

use super::{CODEX, CURSOR, MANIFEST, Watching};
use crate::support::Sandbox;

/// Our entry in Cursor's file says something else.
fn drift(watching: &Watching) -> String {
    watching.home.read(CURSOR).replace("mcp-server-git", "evil")
}

#[track_caller]
fn is_repaired(watching: &Watching) {
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git") && !text.contains("evil"));
    assert!(watching.home.read(CURSOR).contains("\"mine\""), "{}", watching.home.read(CURSOR));
}

#[test]
fn a_file_that_is_written_in_place() {
    let watching = Watching::manifest(MANIFEST);
    watching.home.write(CURSOR, drift(&watching));
    is_repaired(&watching);
}

#[test]
fn a_file_that_is_replaced_again_and_again() {
    let watching = Watching::manifest(MANIFEST);
    for round in 0..3 {
        watching.replace(CURSOR, &drift(&watching));
        is_repaired(&watching);
        watching.until("it says so", || watching.applied() >= 3 + round);
    }
}

#[test]
fn a_file_that_is_deleted_and_made_again() {
    let watching = Watching::manifest(MANIFEST);
    let text = drift(&watching);
    fs::remove_file(watching.path(CURSOR)).expect("removed");
    watching.home.write(CURSOR, text);
    is_repaired(&watching);
}

#[test]
fn a_file_that_is_gone_for_good_and_its_directory_with_it() {
    let watching = Watching::manifest(MANIFEST);
    fs::remove_dir_all(watching.path(".codex")).expect("removed");
    watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
    // The new directory is watched like the old one.
    watching.settle();
    watching.edit(CODEX, "mcp-server-time", "evil");
    watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
}

#[test]
fn a_directory_that_another_one_takes_the_place_of() {
    let watching = Watching::manifest(MANIFEST);
    let text = drift(&watching);
    fs::rename(watching.path(".cursor"), watching.path(".cursor.old")).expect("moved away");
    watching.home.write(CURSOR, text);
    is_repaired(&watching);
    watching.settle();
    watching.replace(CURSOR, &drift(&watching));
    is_repaired(&watching);
}

#[test]
fn a_link_whose_target_changes_and_a_link_that_changes() {
    let home = Sandbox::new();
    home.write("mcp.yaml", MANIFEST);
    home.write("dotfiles/one.json", "{\"mcpServers\": {\"mine\": {\"command\": \"mine\"}}}\n");
    home.write("dotfiles/two.json", "{\"mcpServers\": {\"mine\": {\"command\": \"mine\"}}}\n");
    fs::create_dir(home.path(".cursor")).expect("a directory");
    symlink("../dotfiles/one.json", home.path(CURSOR)).expect("linked");
    let watching = Watching::of(home);
    watching.replace("dotfiles/one.json", &drift(&watching));
    is_repaired(&watching);
    symlink("../dotfiles/two.json", watching.path(".cursor/new")).expect("linked");
    fs::rename(watching.path(".cursor/new"), watching.path(CURSOR)).expect("retargeted");
    watching.until_file("dotfiles/two.json", |text| text.contains("mcp-server-git"));
    assert!(watching.path(CURSOR).symlink_metadata().expect("there").is_symlink());
    // A client that breaks the link: the file in its place is watched.
    watching.settle();
    watching.replace(CURSOR, &drift(&watching));
    is_repaired(&watching);
}

#[test]
fn a_directory_that_is_a_link_to_somewhere_else() {
    let home = Sandbox::new();
    home.write("mcp.yaml", MANIFEST);
    home.write("dotfiles/cursor/mcp.json", "{\"mcpServers\": {\"mine\": {\"command\": \"mine\"}}}\n");
    home.write("other/mcp.json", "{\"mcpServers\": {\"mine\": {\"command\": \"mine\"}}}\n");
    symlink("dotfiles/cursor", home.path(".cursor")).expect("linked");
    let watching = Watching::of(home);
    watching.edit("dotfiles/cursor/mcp.json", "mcp-server-git", "evil");
    is_repaired(&watching);
    fs::remove_file(watching.path(".cursor")).expect("removed");
    symlink("other", watching.path(".cursor")).expect("linked");
    watching.until_file("other/mcp.json", |text| text.contains("mcp-server-git"));
}

#[test]
fn the_manifest_its_includes_and_files_that_an_include_comes_to_mean() {
    let home = Sandbox::new();
    home.write(
        "dots/mcp.yaml",
        "version: 1\ninclude: [team/*.yaml]\nclients:\n  cursor: { servers: [\"*\"] }\n",
    );
    home.write("dots/team/one.yaml", "version: 1\nservers:\n  one: { command: first }\n");
    home.write(".config/mcpkeel/mcp.yaml", "version: 1\ninclude: [~/dots/mcp.yaml]\n");
    let watching = Watching::of(home);
    watching.until_file(CURSOR, |text| text.contains("first"));
    watching.edit("dots/team/one.yaml", "first", "second");
    watching.until_file(CURSOR, |text| text.contains("second"));
    watching.home.write("dots/team/two.yaml", "version: 1\nservers:\n  two: { command: third }\n");
    watching.until_file(CURSOR, |text| text.contains("third"));
    watching.replace(
        "dots/mcp.yaml",
        "version: 1\ninclude: [team/*.yaml]\nclients:\n  cursor: { servers: [two, one], disabled: [one] }\n",
    );
    watching.until_file(CURSOR, |text| !text.contains("second"));
}

#[test]
fn a_manifest_that_is_not_there_yet() {
    let watching = Watching::of(Sandbox::new());
    watching.until("it says so", || watching.told(|event| event["reason"] == "InvalidManifest"));
    watching.home.write("mcp.yaml", MANIFEST);
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
}

#[test]
fn a_file_that_holds_a_secret_which_is_written_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Sandbox::new();
    home.write(
        "mcp.yaml",
        "version: 1\nsecrets: { key: { file: secrets/key } }\nservers:\n  time: { command: uvx, env: { K: \"${secret:key}\" } }\n\
         clients:\n  cursor: { servers: [time], secrets: write }\n",
    );
    let key = home.write("secrets/key", "first-value\n");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("closed");
    let watching = Watching::of(home);
    watching.until_file(CURSOR, |text| text.contains("first-value"));
    watching.home.write("secrets/key", "second-value\n");
    watching.until_file(CURSOR, |text| text.contains("second-value"));
    let kept = fs::read_to_string(watching.path(".local/state/mcpkeel/events.jsonl")).expect("events");
    assert!(!kept.contains("-value"), "{kept}");
}

#[test]
fn a_signal_and_time() {
    let watching = Watching::manifest(&format!("{MANIFEST}settings: {{ watch: {{ interval: 1h }} }}\n"));
    let before = watching.passes();
    watching.signal("HUP");
    watching.until("it looks at everything", || watching.passes() > before);
    watching.edit("mcp.yaml", "1h", "200ms");
    watching.goes_on();
    let before = watching.passes();
    watching.until("it looks again and again", || watching.passes() > before + 3);
}

impl Watching {
    /// Where passes come by the clock, there is no settling: one more pass is enough.
    fn goes_on(&self) {
        let before = self.passes();
        self.until("it goes on", || self.passes() > before);
    }
}

#[test]
fn its_own_writes_and_files_nearby_wake_nobody() {
    let watching = Watching::manifest(MANIFEST);
    watching.edit(CURSOR, "mcp-server-git", "evil");
    is_repaired(&watching);
    watching.settle();
    let (passes, events) = (watching.passes(), watching.noticed());
    for number in 0..200 {
        watching.home.write(&format!(".cursor/log-{number}.txt"), "nothing of ours");
        watching.home.write(".bash_history", format!("{number}"));
        // The same bytes once more: an event that changes nothing.
        let text = watching.home.read(CURSOR);
        watching.home.write(CURSOR, text);
    }
    watching.until("it noticed", || watching.noticed() > events + 200);
    watching.settle();
    assert_eq!(watching.passes(), passes);
    assert_eq!(watching.count(|event| event["client"] == "cursor" && event["event"] == "applied"), 2);
}

impl Watching {
    fn noticed(&self) -> u64 {
        let text = self.run(&["status", "--metrics"]).out;
        let line = text.lines().find(|line| line.starts_with("mcpkeel_file_events_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a count")
    }
}

#[cfg(target_os = "linux")]
#[test]
fn without_watches_to_be_had_files_are_polled() {
    polls_under("max_inotify_watches", 2);
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_watcher_to_be_had_files_are_polled() {
    polls_under("max_inotify_instances", 0);
}

/// The kernel counts both per user namespace: one of its own has few of them, and the machine as many as ever.
#[cfg(target_os = "linux")]
fn polls_under(limit: &str, most: u32) {
    use std::process::{Command, Stdio};
    let limited = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-Ur", "sh", "-c", &format!("echo {most} > /proc/sys/user/{limit} && {script}")]);
        command
    };
    let mut trying = limited("true");
    let can = trying.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        use std::io::Write as _;
        let said = "skipped: no user namespace with a limit of its own is to be had here";
        writeln!(std::io::stderr(), "{said}").ok();
        return;
    }
    let home = Sandbox::new();
    home.write("mcp.yaml", MANIFEST);
    let usual = home.command(&[]);
    let mut command =
        limited(&format!("exec '{}' watch --format json", usual.get_program().to_string_lossy()));
    command.env_clear().current_dir(home.home());
    command.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let watching = Watching::spawned(home, command);
    watching.until("it says so", || {
        let is_it = |text: &str| text.contains("no more file watches");
        watching.told(|event| event["message"].as_str().is_some_and(is_it))
    });
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.edit("mcp.yaml", "[time, git]", "[time]");
    watching.until_file(CURSOR, |text| !text.contains("mcp-server-git"));
}
