//! Files that are caught in the middle of being written: read again, never repaired.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use super::{CODEX, CURSOR, MANIFEST, Watching};

/// Writes a file as some clients do: emptied first, then in pieces.
fn slowly(path: &std::path::Path, text: &str, pause: Duration) {
    let mut file = fs::File::create(path).expect("emptied");
    for piece in text.as_bytes().chunks(text.len() / 4 + 1) {
        std::thread::sleep(pause);
        file.write_all(piece).expect("written");
    }
}

#[test]
fn a_file_that_is_written_in_pieces_is_read_again() {
    let watching = Watching::manifest(MANIFEST);
    let text = watching.home.read(CURSOR).replace("\"mine\"", "\"yours\"");
    slowly(&watching.path(CURSOR), &text, Duration::from_millis(150));
    watching.settle();
    assert_eq!(watching.home.read(CURSOR), text);
    assert_eq!(watching.count(|event| event["event"] == "applied" && event["client"] == "cursor"), 1);
}

#[test]
fn drift_that_is_written_in_pieces_is_repaired_when_it_is_whole() {
    let watching = Watching::manifest(MANIFEST);
    let text = watching.home.read(CURSOR).replace("mcp-server-git", "evil").replace("\"mine\"", "\"yours\"");
    slowly(&watching.path(CURSOR), &text, Duration::from_millis(150));
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    assert!(watching.home.read(CURSOR).contains("\"yours\""));
}

/// The beginning of a TOML file is a TOML file.
#[test]
fn a_file_that_lost_its_end_waits_for_a_person() {
    let watching = Watching::manifest(MANIFEST);
    watching
        .home
        .write(CODEX, format!("{}\n[mcp_servers.mine]\ncommand = \"my own\"\n", watching.home.read(CODEX)));
    watching.settle();
    let whole = watching.home.read(CODEX);
    let cut = &whole[..whole.find("server-time").expect("ours")];
    watching.home.write(CODEX, cut);
    watching.until_stands("codex", "Stalled", "Malformed");
    watching.home.write(CODEX, "");
    watching.until_stands("codex", "Stalled", "Truncated");
    assert_eq!(watching.home.read(CODEX), "");
    // Cursor is served all the same.
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.home.write(CODEX, &whole);
    watching.until_stands("codex", "Ready", "InSync");
    assert_eq!(watching.home.read(CODEX), whole);
}

#[test]
fn a_person_may_take_an_emptied_file_as_it_is() {
    let watching = Watching::manifest(MANIFEST);
    watching.home.write(CODEX, "");
    watching.until_stands("codex", "Stalled", "Truncated");
    watching.run(&["apply", "--yes"]).exits(0);
    watching.until_stands("codex", "Ready", "InSync");
    assert!(watching.home.read(CODEX).contains("mcp-server-time"));
}

#[test]
fn a_last_entry_that_is_taken_out_is_drift() {
    let watching = Watching::manifest(MANIFEST);
    watching.home.write(CODEX, format!("model = \"x\"\n\n{}", watching.home.read(CODEX)));
    watching.settle();
    watching.home.write(CODEX, "model = \"x\"\n");
    watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
}

#[test]
fn a_malformed_file_is_left_alone_and_said() {
    let watching = Watching::manifest(MANIFEST);
    watching.home.write(CURSOR, "{ \"mcpServers\": { oops }\n");
    watching.until_stands("cursor", "Stalled", "Malformed");
    assert_eq!(watching.home.read(CURSOR), "{ \"mcpServers\": { oops }\n");
    let message = watching.condition("cursor")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("mcp.json:1:"), "{message}");
    watching.home.write(CURSOR, "{}\n");
    watching.until_stands("cursor", "Ready", "InSync");
}

#[test]
fn a_manifest_in_the_middle_of_an_edit_leaves_the_last_good_one_in_force() {
    let watching = Watching::manifest(MANIFEST);
    let good = watching.home.read("mcp.yaml");
    watching.home.write("mcp.yaml", "version: 1\nservers:\n  time: { command: [\n");
    watching.until("it says so", || watching.told(|event| event["reason"] == "InvalidManifest"));
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.home.write("mcp.yaml", "");
    watching.settle();
    assert!(watching.home.read(CURSOR).contains("mcp-server-git"), "an empty manifest prunes nothing");
    watching.home.write("mcp.yaml", good.replace("[time, git]", "[time]"));
    watching.until_file(CURSOR, |text| !text.contains("mcp-server-git"));
}
