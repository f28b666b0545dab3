//! Who is told of changes: each once, whatever happens in between.

use super::{CODEX, CURSOR, MANIFEST, Watching};

/// A program that writes down what it is told.
const NOTIFY: &str =
    "settings:\n  notify:\n    - { command: [sh, -c, \"cat >> told.txt; echo >> told.txt\"] }\n";

fn told(watching: &Watching) -> Vec<String> {
    let text = std::fs::read_to_string(watching.path("told.txt")).unwrap_or_default();
    let word = |event: &serde_json::Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let events =
        text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect("JSON"));
    events
        .map(|event: serde_json::Value| {
            [word(&event, "client"), word(&event, "condition"), word(&event, "reason")].join(" ")
        })
        .collect()
}

#[test]
fn each_change_is_told_once_and_a_restart_tells_nothing_again() {
    let mut watching = Watching::manifest(&format!("{MANIFEST}{NOTIFY}"));
    let good = watching.home.read(CURSOR);
    watching.home.write(CURSOR, "{ oops");
    watching.until("it is told", || told(&watching) == ["cursor Stalled Malformed"]);
    // Broken in another way, and in the middle of being written: still the same.
    watching.home.write(CURSOR, "");
    watching.home.write(CURSOR, "[ oops");
    watching.until_stands("cursor", "Stalled", "Malformed");
    // Repairs of others are no news.
    watching.edit(CODEX, "mcp-server-time", "evil");
    watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
    watching.settle();
    assert_eq!(watching.stop(), 0);
    watching.start();
    watching.until_stands("cursor", "Stalled", "Malformed");
    watching.home.write(CURSOR, &good);
    watching.until("it is told", || told(&watching).len() == 2);
    watching.settle();
    assert_eq!(told(&watching), ["cursor Stalled Malformed", "cursor Ready InSync"]);
}

#[test]
fn what_cannot_be_told_is_said_and_holds_nothing_up() {
    let notify = "settings:\n  notify:\n    - { command: [there-is-no-such-program] }\n    - { webhook: \"http://127.0.0.1:1/x\" }\n";
    let watching = Watching::manifest(&format!("{MANIFEST}{notify}"));
    watching.home.write(CURSOR, "{ oops");
    watching.until_stands("cursor", "Stalled", "Malformed");
    watching.edit(CODEX, "mcp-server-time", "evil");
    watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
    watching.until("it says so", || {
        let said = watching.run(&["events"]).out;
        said.contains("the command of settings.notify[0] was not told")
            && said.contains("the webhook of settings.notify[1] (127.0.0.1) was not told")
    });
}
