//! How it stands: one process at a time, its socket, what it leaves behind, and a single look.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use super::{CODEX, CURSOR, MANIFEST, Watching};
use crate::support::Sandbox;

#[test]
fn one_process_watches_at_a_time() {
    let watching = Watching::manifest(MANIFEST);
    let ran = watching.run(&["watch"]).exits(4);
    assert!(ran.err.contains(&format!("process {}", watching.pid())), "{}", ran.err);
    watching.run(&["watch", "--once"]).exits(4);
}

#[test]
fn it_ends_when_asked_and_leaves_how_things_stood() {
    let mut watching = Watching::manifest(MANIFEST);
    let socket = watching.path("run/mcpkeel/control.sock");
    let meta = socket.metadata().expect("a socket");
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    let dir = watching.path("run/mcpkeel").metadata().expect("its directory");
    assert_eq!(dir.permissions().mode() & 0o777, 0o700);
    let status = watching.json(&["status"]);
    assert_eq!(status["watching"]["pid"], watching.pid());
    assert_eq!(status["manifest"]["condition"], "Ready");
    watching.until_stands("cursor", "Ready", "InSync");
    let said = watching.run(&["status"]).exits(0).out;
    assert!(
        said.contains("CONDITION") && said.contains(&format!("watching: process {}", watching.pid())),
        "{said}"
    );

    assert_eq!(watching.stop(), 0);
    assert!(!socket.exists() && !watching.home.exists(".local/state/mcpkeel/watch.json"));
    let status = watching.json(&["status"]);
    assert!(status["watching"].is_null());
    let cursor = &status["clients"][0];
    assert_eq!((&cursor["client"], &cursor["condition"]), (&"cursor".into(), &"Ready".into()));
    let said = watching.run(&["status"]).exits(0).out;
    assert!(said.contains("watching: nobody now"), "{said}");
    let ran = watching.run(&["status", "--metrics"]).exits(1);
    assert!(ran.err.contains("nothing watches now"), "{}", ran.err);
}

#[test]
fn ctrl_c_ends_it_as_interrupted() {
    let mut watching = Watching::manifest(MANIFEST);
    watching.signal("INT");
    let mut child = watching.child.take().expect("it runs");
    watching.until("it ends", || child.try_wait().expect("asked").is_some());
    assert_eq!(child.wait().expect("it ended").code(), Some(130));
}

#[test]
fn killed_it_starts_again_and_mends_what_happened_meanwhile() {
    let mut watching = Watching::manifest(MANIFEST);
    watching.kill();
    // What it left says nothing any more.
    assert!(watching.json(&["status"])["watching"].is_null());
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.start();
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    assert_eq!(watching.stop(), 0);
}

#[test]
fn a_state_directory_that_is_removed_is_made_again() {
    let watching = Watching::manifest(MANIFEST);
    fs::remove_dir_all(watching.path(".local/state/mcpkeel")).expect("removed");
    watching.edit("mcp.yaml", "args: [mcp-server-git]", "args: [mcp-server-git, -v]");
    // Without the books nobody knows whose the entries are: one that differs is somebody's.
    watching.until("it says so", || {
        watching.told(|event| event["client"] == "cursor" && event["reason"] == "Conflict")
    });
    watching.edit("mcp.yaml", "args: [mcp-server-git, -v]", "args: [mcp-server-git]");
    watching.until("it is in step", || {
        watching.told(|event| event["client"] == "cursor" && event["reason"] == "InSync")
    });
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
}

#[test]
fn metrics_are_to_be_had_at_the_socket() {
    let watching = Watching::manifest(MANIFEST);
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until("it counts", || {
        let text = watching.run(&["status", "--metrics"]).exits(0).out;
        text.contains("mcpkeel_drift_repaired_total{client=\"cursor\"} 1")
            && text.contains("mcpkeel_condition{client=\"cursor\",condition=\"Ready\"} 1")
            && text.contains("mcpkeel_entries_written_total{client=\"codex\"} 1")
            && text.contains("mcpkeel_manifest_ready 1")
    });
    let text = watching.run(&["status", "--metrics"]).out;
    // Every line is a comment or a sample, and every family is introduced.
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let family = name.split('{').next().expect("a name");
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end)).unwrap_or(family);
        assert!(text.contains(&format!("# TYPE {family} ")), "{line}");
    }
}

#[test]
fn the_lock_of_another_run_is_waited_for() {
    let watching = Watching::manifest(MANIFEST);
    let lock =
        fs::File::options().write(true).open(watching.path(".local/state/mcpkeel/lock")).expect("the lock");
    lock.lock().expect("free");
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until_stands("cursor", "Reconciling", "Locked");
    assert!(watching.home.read(CURSOR).contains("evil"));
    drop(lock);
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.until_stands("cursor", "Ready", "InSync");
}

fn once(home: &Sandbox, code: i32) -> crate::support::Ran {
    home.run(&["watch", "--once"]).exits(code)
}

#[test]
fn a_single_look_says_how_it_ended() {
    let home = Sandbox::new();
    once(&home, 3);
    home.write("mcp.yaml", MANIFEST);
    let ran = once(&home, 0);
    assert!(ran.out.contains("cursor: Ready (InSync)"), "{}", ran.out);
    assert!(home.read(CURSOR).contains("mcp-server-git") && home.read(CODEX).contains("mcp-server-time"));
    once(&home, 0);
    home.write(CURSOR, "{ oops");
    let ran = once(&home, 1);
    assert!(ran.out.contains("Stalled (Malformed)"), "{}", ran.out);
    home.write(CURSOR, "{\"mcpServers\": {\"git\": {\"command\": \"mine\"}}}");
    home.write(
        "mcp.yaml",
        format!("{MANIFEST}settings: {{ approve: manual }}\n").replace("server-time]", "server-time, -v]"),
    );
    let ran = once(&home, 6);
    assert!(ran.out.contains("codex: Stalled (AwaitingApproval)"), "{}", ran.out);
    let last = home.run(&["status", "--format", "json"]).exits(0).out;
    assert!(last.contains("AwaitingApproval"), "{last}");
}

#[test]
fn a_repair_stands_in_the_history_with_its_revision() {
    let watching = Watching::manifest(MANIFEST);
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    let history = watching.json(&["history"]);
    let newest = &history["history"][0];
    assert_eq!((&newest["command"], &newest["outcome"]), (&"watch".into(), &"done".into()), "{history}");
    let backups = watching.json(&["backup", "--list"]);
    assert!(backups.to_string().contains("watch"), "{backups}");
    let kept = watching.home.read(".local/state/mcpkeel/events.jsonl");
    let revision = watching.json(&["status"])["revision"]["id"].as_str().expect("a revision").to_owned();
    assert!(kept.contains(&revision), "{kept}");
}
