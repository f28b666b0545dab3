//! Plans that are agreed to now and carried out later.

use super::{apply, home, says};
use crate::support::Sandbox;

const MANIFEST: &str = "version: 1\nservers:\n  a: { command: a, env: { PLAIN: 'kept-out-of-plans' } }\nclients:\n  cursor: { servers: [a] }\n  kiro: { servers: [a] }\n";
const CURSOR: &str = ".cursor/mcp.json";

fn planned() -> Sandbox {
    let home = home(MANIFEST);
    home.write(CURSOR, "{}\n");
    home.run(&["plan", "--out", "agreed.plan"]).exits(0);
    home
}

#[test]
fn a_saved_plan_is_applied_as_it_was_shown() {
    let home = planned();
    home.run(&["apply", "agreed.plan"]).exits(0);
    home.run(&["verify"]).exits(0);
    // Once is enough.
    home.run(&["apply", "agreed.plan"]).exits(5);
}

#[test]
fn a_saved_plan_is_private_and_holds_no_values() {
    let home = planned();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(home.path("agreed.plan")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(!home.read("agreed.plan").contains("kept-out-of-plans"));
}

#[test]
fn saving_a_plan_writes_nothing_else_but_the_key_that_seals_it() {
    let home = planned();
    assert!(home.exists(".local/state/mcpkeel/key"));
    for book in ["ledger.json", "history.jsonl"] {
        assert!(!home.exists(&format!(".local/state/mcpkeel/{book}")), "{book}");
    }
    assert_eq!(home.read(CURSOR), "{}\n");
}

#[test]
fn a_saved_plan_tells_nobody_else_which_contents_it_is_about() {
    let (one, other) = (planned(), planned());
    let print = |home: &Sandbox| {
        let plan: serde_json::Value = serde_json::from_str(&home.read("agreed.plan")).expect("JSON");
        plan["files"][0]["before"].as_str().expect("a fingerprint").to_owned()
    };
    assert_ne!(print(&one), print(&other), "the same bytes, on machines with different keys");
    assert_ne!(print(&one), mcpkeel::base::Fingerprint::of(b"{}\n").to_string());
}

#[test]
fn a_plan_is_stale_when_a_file_changed() {
    let home = planned();
    home.write(CURSOR, "{ }\n");
    says(&home.run(&["apply", "agreed.plan", "--yes"]).exits(5), "changed since the plan was made");
    assert_eq!(home.read(CURSOR), "{ }\n");
    assert!(!home.exists(".kiro/settings/mcp.json"));
}

#[test]
fn a_plan_is_stale_when_the_manifest_asks_for_something_else() {
    for (from, to) in
        [("command: a", "command: b"), ("  kiro: { servers: [a] }\n", ""), ("kept-out-of-plans", "other")]
    {
        let home = planned();
        home.write("mcp.yaml", MANIFEST.replace(from, to));
        home.run(&["apply", "agreed.plan"]).exits(5);
        assert_eq!(home.read(CURSOR), "{}\n");
    }
}

#[test]
fn a_comment_in_the_manifest_does_not_make_a_plan_stale() {
    let home = planned();
    home.write("mcp.yaml", format!("# note\n{MANIFEST}"));
    home.run(&["apply", "agreed.plan"]).exits(0);
}

#[test]
fn a_plan_is_stale_when_another_apply_ran() {
    let home = planned();
    apply(&home).exits(0);
    home.run(&["undo", "--yes"]).exits(0);
    home.run(&["plan", "--out", "two.plan"]).exits(0);
    home.write(
        "other.yaml",
        "version: 1\nservers:\n  z: { command: z }\nclients:\n  zed: { servers: [z] }\n",
    );
    home.run(&["-f", "other.yaml", "apply", "--yes"]).exits(0);
    home.run(&["apply", "two.plan"]).exits(5);
}

#[test]
fn a_plan_remembers_its_manifest_and_its_client() {
    let home = Sandbox::new();
    home.write("else/where.yaml", MANIFEST);
    home.run(&["-f", "else/where.yaml", "plan", "--client", "cursor", "--out", "p"]).exits(0);
    home.run(&["apply", "p"]).exits(0);
    assert!(home.exists(CURSOR) && !home.exists(".kiro/settings/mcp.json"));
}

#[test]
fn a_plan_with_a_guard_still_asks() {
    let home = planned();
    apply(&home).exits(0);
    home.write("mcp.yaml", "version: 1\nclients:\n  cursor: { servers: [] }\n  kiro: { servers: [] }\n");
    home.run(&["plan", "--out", "p"]).exits(0);
    home.run(&["apply", "p"]).exits(6);
    assert!(home.read(CURSOR).contains("\"a\""));
    home.run(&["apply", "p", "--allow-prune"]).exits(0);
    assert_eq!(home.read(CURSOR), "{}\n");
}

#[test]
fn something_that_is_no_plan_is_refused() {
    let home = planned();
    home.write("odd", "{}");
    home.run(&["apply", "odd"]).exits(5);
    says(&home.run(&["apply", "missing"]).exits(1), "cannot be read");
}
