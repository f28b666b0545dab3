//! `mcpkeel exec` and revisions that are not applied yet.
#![cfg(unix)]

use serde_json::Value;

use super::{Team, manifest};
use crate::stories::{json_file, says};
use crate::support::Ran;

/// Starts what a client would start.
fn start(team: &Team) -> Ran {
    let entry = &json_file(&team.home, ".cursor/mcp.json")["mcpServers"]["hello"];
    let args: Vec<&str> =
        entry["args"].as_array().expect("arguments").iter().filter_map(Value::as_str).collect();
    team.home.run(&args)
}

#[test]
fn a_held_revision_breaks_no_running_client() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    assert_eq!(start(&team).exits(0).out, "version 1\n");
    for version in 2..5 {
        team.publish(&manifest(version));
        team.fetch().exits(0);
        assert_eq!(start(&team).exits(0).out, "version 1\n", "{version} is not applied");
    }
    team.home.run(&["apply", "--yes"]).exits(0);
    assert_eq!(start(&team).exits(0).out, "version 4\n");
    // Without a pin it is what was applied.
    team.publish(&manifest(5));
    team.fetch().exits(0);
    assert_eq!(team.home.run(&["exec", "hello"]).exits(0).out, "version 4\n");
}

#[test]
fn a_client_that_was_applied_alone_goes_on_with_its_own_revision() {
    let two = |version| manifest(version) + "  windsurf: { servers: [hello], delivery: exec }\n";
    let team = Team::new(&two(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    team.publish(&two(2));
    team.home.run(&["apply", "--yes", "--fetch", "--client", "cursor"]).exits(0);
    team.publish(&two(3));
    team.fetch().exits(0);
    assert_eq!(start(&team).exits(0).out, "version 2\n");
    assert_eq!(team.trees().len(), 3);
    team.home.run(&["apply", "--yes"]).exits(0);
    team.fetch().exits(0);
    assert_eq!(start(&team).exits(0).out, "version 3\n");
}

#[test]
fn what_is_undone_starts_again() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    for version in 2..5 {
        team.publish(&manifest(version));
        team.home.run(&["apply", "--yes", "--fetch"]).exits(0);
        team.fetch().exits(0);
    }
    assert_eq!(start(&team).exits(0).out, "version 4\n");
    team.home.run(&["undo", "--yes"]).exits(0);
    assert_eq!(start(&team).exits(0).out, "version 3\n");
}

#[test]
fn exec_never_asks_the_remote() {
    let team = Team::new(&manifest(1));
    says(&team.home.run(&["exec", "hello"]).exits(3), "was not fetched yet");
    team.home.run(&["apply", "--yes"]).exits(0);
    std::fs::rename(team.remote(), team.home.path("away")).expect("moved");
    assert_eq!(start(&team).exits(0).out, "version 1\n");
}

#[test]
fn a_wrong_pin_starts_nothing() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    let ran = team.home.run(&["exec", "hello", "--pin", &"0".repeat(32)]).exits(6);
    says(&ran, "is not what was applied");
}

#[test]
fn an_unusual_state_directory_is_told_to_exec() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes", "--state-dir", "elsewhere"]).exits(0);
    let args = json_file(&team.home, ".cursor/mcp.json")["mcpServers"]["hello"]["args"].to_string();
    assert!(args.contains("\"--state-dir\"") && args.contains("/elsewhere\""), "{args}");
    assert_eq!(start(&team).exits(0).out, "version 1\n");
    let usual = Team::new(&manifest(1));
    usual.home.run(&["apply", "--yes"]).exits(0);
    assert!(!usual.home.read(".cursor/mcp.json").contains("--state-dir"));
}
