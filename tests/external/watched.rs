//! Real clients that change their own files while `mcpkeel watch` runs.

use super::visit::{Ran, Visit};
use super::{ALPHA, Oracle, manifest};
use crate::support::Sandbox;
use crate::watch::Watching;

#[test]
fn what_claude_code_adds_stays_and_what_it_removes_of_ours_returns() {
    changes_its_own_file(
        "claude-code",
        &["mcp", "add", "--scope", "user", "other", "--", "echo", "hi"],
        &["mcp", "remove", "--scope", "user", "alpha-srv"],
    );
}

#[test]
fn what_codex_adds_stays_and_what_it_removes_of_ours_returns() {
    changes_its_own_file(
        "codex",
        &["mcp", "add", "other", "--", "echo", "hi"],
        &["mcp", "remove", "alpha-srv"],
    );
}

#[test]
fn what_gemini_adds_stays_and_what_it_removes_of_ours_returns() {
    changes_its_own_file(
        "gemini-cli",
        &["mcp", "add", "--scope", "user", "other", "echo", "hi"],
        &["mcp", "remove", "--scope", "user", "alpha-srv"],
    );
}

fn changes_its_own_file(id: &str, add: &[&str], remove: &[&str]) {
    let Some(oracle) = Oracle::of(id) else { return };
    let home = Sandbox::new();
    home.write("mcp.yaml", manifest(id, &[ALPHA]));
    let watching = Watching::of(home);
    let visit = || Visit::in_place(&watching.home.home(), &oracle.installed_in, &oracle.program);
    let names = || oracle.list_in_place(&watching.home).map(|listing| listing.names).unwrap_or_default();
    let does = |args: &[&str]| {
        let ran = visit().run(args, &[]).and_then(Ran::success);
        ran.unwrap_or_else(|said| panic!("{id} {args:?}: {said}"));
    };
    let restored = || {
        watching.count(|event| {
            event["event"] == "applied"
                && event["message"].as_str().is_some_and(|text| text.contains("restore `alpha-srv`"))
        })
    };
    assert!(names().contains("alpha-srv"));
    does(add);
    for round in 1..3 {
        does(remove);
        watching.until("what was removed returns", || restored() >= round);
        let names = names();
        assert!(names.contains("alpha-srv") && names.contains("other"), "{id} lists {names:?}");
    }
    watching.until_stands(id, "Ready", "InSync");
}
