//! A run that was cut off, with another program's update beside its file.

use std::fs;
use std::time::Duration;

use mcpkeel::base::Fingerprint;
use mcpkeel::store::{Header, JournalFile, Line, Round};

use super::{Watch, litter, wait_for};
use crate::support::Sandbox;

const MANIFEST: &str =
    "version: 1\nservers:\n  ours: { command: ours }\nclients:\n  cursor: { servers: [ours] }\n";

/// The state in which an apply is killed between its exchange and the look at what came out: our
/// content is live, the books are right, and another program's newer one lies beside it.
fn cut_off() -> Sandbox {
    let sandbox = Sandbox::new();
    let file = sandbox.write(".cursor/mcp.json", "{\"mcpServers\": {}}\n");
    sandbox.write("mcp.yaml", MANIFEST);
    sandbox.run(&["apply", "--yes", "--quiet"]).exits(0);
    let ours = sandbox.read(".cursor/mcp.json");
    let seen = "{\"mcpServers\": {}}\n";
    let id = "20260101T000000Z-0001";
    let temp =
        sandbox.write(&format!(".cursor/.mcpkeel-{id}-0-0.tmp"), "{\"theirs\": 1, \"mcpServers\": {}}\n");
    let header = Header {
        format_version: 1,
        id: id.to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
        command: "watch".to_owned(),
        files: vec![JournalFile { path: file.clone(), lock: None, dir: None }],
    };
    let round = Round {
        file: 0,
        real: file,
        temp,
        from: Some(Fingerprint::of(seen.as_bytes())),
        to: Some(Fingerprint::of(ours.as_bytes())),
        mode: 0o644,
        back: false,
    };
    let lines = [Line::Run(header), Line::Round(round)].map(|line| serde_json::json!(line).to_string());
    sandbox.write(&format!(".local/state/mcpkeel/journal/{id}.jsonl"), lines.join("\n") + "\n");
    sandbox
}

fn is_settled(sandbox: &Sandbox) -> bool {
    let text = fs::read_to_string(sandbox.path(".cursor/mcp.json")).unwrap_or_default();
    text.contains("theirs") && text.contains("ours") && litter(&sandbox.home()).is_empty()
}

#[test]
fn a_run_that_was_cut_off_is_settled_although_nothing_else_is_to_be_done() {
    let sandbox = cut_off();
    sandbox.run(&["watch", "--once"]).exits(0);
    assert!(is_settled(&sandbox), "{}", sandbox.read(".cursor/mcp.json"));
}

#[test]
fn a_run_that_was_cut_off_is_settled_although_the_manifest_cannot_be_read() {
    let sandbox = cut_off();
    sandbox.write("mcp.yaml", "version: 1\nclients: [\n");
    sandbox.run(&["watch", "--once"]).exits(3);
    let text = sandbox.read(".cursor/mcp.json");
    assert!(text.contains("theirs"), "{text}");
}

#[test]
fn a_run_that_was_cut_off_is_settled_by_the_process_that_watches() {
    let sandbox = cut_off();
    let mut watch = Watch::start(&sandbox);
    wait_for("the update of the other program", Duration::from_secs(20), || is_settled(&sandbox));
    watch.check("settled");
}

/// Killed before the name beside the file was announced; then another program made a file of the link.
#[test]
fn what_lies_beside_a_file_that_was_linked_is_found_although_the_link_is_gone() {
    let sandbox = Sandbox::new();
    let file = sandbox.write(".cursor/mcp.json", "{\"mcpServers\": {}}\n");
    sandbox.write("mcp.yaml", MANIFEST);
    let id = "20260101T000000Z-0001";
    let temp = sandbox.write(&format!("dotfiles/.mcpkeel-{id}-0-0.tmp"), "{\"mcpServers\": {}}\n");
    let header = Header {
        format_version: 1,
        id: id.to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
        command: "watch".to_owned(),
        files: vec![JournalFile { path: file, lock: None, dir: temp.parent().map(Into::into) }],
    };
    let line = serde_json::json!(Line::Run(header)).to_string();
    sandbox.write(&format!(".local/state/mcpkeel/journal/{id}.jsonl"), line + "\n");
    sandbox.run(&["watch", "--once"]).exits(0);
    assert!(sandbox.read(".cursor/mcp.json").contains("ours"));
    assert_eq!(litter(&sandbox.home()), std::collections::BTreeSet::new());
}
