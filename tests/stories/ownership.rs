//! What is ours and what is not: fields, entries, whole files.

use serde_json::json;

use super::{applied, apply, home, json_file, names, says, steps};
use crate::support::Sandbox;

const CURSOR: &str = ".cursor/mcp.json";

/// Servers `a`, `b` .. for cursor.
fn manifest(servers: &[&str], block: &str) -> String {
    let servers: String = servers.iter().map(|name| format!("  {name}: {{ command: {name} }}\n")).collect();
    format!("version: 1\nservers:\n{servers}clients:\n  cursor: {{ {block} }}\n")
}

fn edit(home: &Sandbox, file: &str, from: &str, to: &str) {
    let text = home.read(file);
    assert!(text.contains(from), "no `{from}` in {text}");
    home.write(file, text.replace(from, to));
}

#[test]
fn a_foreign_field_inside_our_entry_is_no_drift_and_survives_an_update() {
    let home = applied(&manifest(&["a"], "servers: [a]"));
    let oauth =
        r#""command": "a", "autoApprove": ["x"], "timeout": 5, "oauth": {"clientId": "c", "scopes": ["s"]}"#;
    edit(&home, CURSOR, r#""command": "a""#, oauth);
    let live = home.read(CURSOR);
    home.run(&["verify"]).exits(0);
    apply(&home).exits(0);
    assert_eq!(home.read(CURSOR), live);

    edit(&home, "mcp.yaml", "command: a", "command: other");
    apply(&home).exits(0);
    assert_eq!(home.read(CURSOR), live.replace(r#""command": "a""#, r#""command": "other""#));
}

#[test]
fn a_foreign_field_survives_in_toml_and_yaml_as_well() {
    let text = "version: 1\nservers:\n  a: { command: uvx, args: [first] }\nclients:\n  codex: { servers: [a] }\n  goose: { servers: [a] }\n";
    let home = applied(text);
    edit(&home, ".codex/config.toml", "command =", "startup_timeout_sec = 20 # slow\ncommand =");
    edit(&home, ".config/goose/config.yaml", "    cmd:", "    timeout: 300 # slow\n    cmd:");
    home.run(&["verify"]).exits(0);
    home.write("mcp.yaml", text.replace("first", "second"));
    apply(&home).exits(0);
    assert!(home.read(".codex/config.toml").contains("startup_timeout_sec = 20 # slow"));
    assert!(home.read(".config/goose/config.yaml").contains("timeout: 300 # slow"));
    home.run(&["verify"]).exits(0);
}

#[test]
fn a_field_that_the_manifest_gives_up_goes_and_others_stay() {
    let text = "version: 1\nservers:\n  a: { command: a, env: { ONE: '1', TWO: '2' } }\nclients:\n  cursor: { servers: [a] }\n";
    let home = applied(text);
    home.write("mcp.yaml", text.replace(", env: { ONE: '1', TWO: '2' }", ""));
    apply(&home).exits(0);
    assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"].get("env"), None);
}

#[test]
fn how_a_server_is_started_is_ours_even_where_the_manifest_says_nothing() {
    let home = applied(&manifest(&["a"], "servers: [a]"));
    let ours = home.read(CURSOR);
    for (field, harmless) in [
        (r#""env": {"NODE_OPTIONS": "x"}"#, false),
        (r#""args": ["--evil"]"#, false),
        (r#""args": []"#, true),
    ] {
        home.write(CURSOR, ours.replace(r#""command": "a""#, &format!(r#""command": "a", {field}"#)));
        home.run(&["verify"]).exits(if harmless { 0 } else { 2 });
        apply(&home).exits(0);
        assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"].get("env"), None);
        assert!(!home.read(CURSOR).contains("evil"));
    }
    // Nor does a stranger with more to say pass for ours.
    let stranger = Sandbox::new();
    stranger.write("mcp.yaml", manifest(&["a"], "servers: [a]"));
    let live = r#"{"mcpServers": {"a": {"type": "stdio", "command": "a", "env": {"X": "1"}}}}"#;
    stranger.write(CURSOR, live);
    says(&apply(&stranger).exits(6), "differs in env");
    assert_eq!(stranger.read(CURSOR), live);
}

#[test]
fn one_conflict_does_not_keep_the_others_from_being_written() {
    let home = home(&manifest(&["a", "b"], "servers: [a, b]"));
    home.write(CURSOR, r#"{"mcpServers": {"a": {"command": "theirs"}}}"#);
    apply(&home).exits(6);
    let file = json_file(&home, CURSOR);
    assert_eq!(file["mcpServers"]["a"], json!({"command": "theirs"}));
    assert_eq!(file["mcpServers"]["b"]["command"], "b");
}

#[test]
fn a_conflict_with_nothing_else_to_do_writes_nothing_at_all() {
    let home = home(&manifest(&["a"], "servers: [a]"));
    home.write(CURSOR, r#"{"mcpServers": {"a": {"command": "theirs"}}}"#);
    apply(&home).exits(6);
    assert!(!home.exists(".local/state/mcpkeel"));
}

#[test]
fn adopted_conflicts_keep_the_strangers_other_fields() {
    let home = home(&manifest(&["a"], "servers: [a], unmanaged: adopt"));
    home.write(CURSOR, r#"{"mcpServers": {"a": {"command": "theirs", "autoApprove": ["x"]}}}"#);
    says(&home.run(&["plan"]), "somebody else's");
    apply(&home).exits(0);
    let entry = json_file(&home, CURSOR)["mcpServers"]["a"].clone();
    assert_eq!((&entry["command"], &entry["autoApprove"]), (&json!("a"), &json!(["x"])));
    home.run(&["undo", "--yes"]).exits(0);
    assert_eq!(home.read(CURSOR), r#"{"mcpServers": {"a": {"command": "theirs", "autoApprove": ["x"]}}}"#);
}

#[test]
fn adopting_a_stranger_who_lacks_one_of_our_fields_says_so() {
    let home =
        home("version: 1\nservers:\n  a: { command: a, args: [x] }\nclients:\n  cursor: { servers: [a] }\n");
    home.write(CURSOR, r#"{"mcpServers": {"a": {"type": "stdio", "command": "a"}}}"#);
    says(&home.run(&["plan", "--adopt"]), "was somebody else's");
}

#[test]
fn strangers_go_only_from_clients_declared_exclusive() {
    let live = r#"{"mcpServers": {"mine": {"command": "m"}, "note": {"text": "no server"}}}"#;
    let keeps = home(&manifest(&["a"], "servers: [a], unmanaged: remove"));
    keeps.write(CURSOR, live);
    apply(&keeps);
    assert!(names(&keeps, CURSOR, "mcpServers").contains(&"mine".to_owned()));

    let exclusive = home(&manifest(&["a"], "servers: [a], unmanaged: remove, exclusive: true"));
    exclusive.write(CURSOR, live);
    assert!(steps(&exclusive, &[]).contains(&"cursor mine remove-foreign".to_owned()));
    apply(&exclusive).exits(0);
    assert_eq!(names(&exclusive, CURSOR, "mcpServers"), ["note", "a"]);
    exclusive.run(&["undo", "--yes"]).exits(0);
    assert_eq!(exclusive.read(CURSOR), live);
}

#[test]
fn an_exclusive_client_keeps_the_live_entry_of_a_blocked_server() {
    let text = "version: 1\nsecrets: { s: { keyring: s } }\nservers:\n  a: { command: a, env: { T: '${secret:s}' } }\n\
                clients:\n  cursor: { servers: [a], unmanaged: remove, exclusive: true }\n";
    let home = home(text);
    let live = r#"{"mcpServers": {"a": {"command": "theirs"}}}"#;
    home.write(CURSOR, live);
    apply(&home).exits(6);
    assert_eq!(home.read(CURSOR), live);
}

#[test]
fn protection_outlives_the_block_and_ends_when_the_manifest_says_so() {
    let plain = manifest(&["a", "b", "c"], "servers: ['*']");
    let protected = plain.replace("a: { command: a }", "a: { command: a, protect: true }");
    let without = manifest(&["b", "c"], "servers: ['*']");
    let home = applied(&protected);
    home.write("mcp.yaml", &without);
    says(&home.run(&["plan"]), "protect: true");
    apply(&home).exits(0);
    assert!(names(&home, CURSOR, "mcpServers").contains(&"a".to_owned()));

    home.write("mcp.yaml", &plain);
    apply(&home).exits(0);
    home.write("mcp.yaml", &without);
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["b", "c"]);
}

#[test]
fn protection_asked_for_later_counts_from_the_next_apply() {
    let plain = manifest(&["a", "b", "c"], "servers: ['*']");
    let home = applied(&plain);
    home.write("mcp.yaml", plain.replace("a: { command: a }", "a: { command: a, protect: true }"));
    apply(&home).exits(0);
    home.write("mcp.yaml", manifest(&["b", "c"], "servers: ['*']"));
    apply(&home).exits(0);
    assert!(names(&home, CURSOR, "mcpServers").contains(&"a".to_owned()));
}

#[test]
fn pruning_more_than_half_needs_a_word() {
    let home = applied(&manifest(&["a", "b", "c"], "servers: ['*']"));
    let live = home.read(CURSOR);
    home.write("mcp.yaml", manifest(&["a"], "servers: ['*']"));
    says(&home.run(&["plan"]).exits(0), "2 of the 3");
    says(&apply(&home).exits(6), "--allow-prune");
    assert_eq!(home.read(CURSOR), live);
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["a"]);
}

#[test]
fn pruning_half_needs_no_word() {
    let home = applied(&manifest(&["a", "b"], "servers: ['*']"));
    home.write("mcp.yaml", manifest(&["a"], "servers: ['*']"));
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["a"]);
}

#[test]
fn an_empty_manifest_prunes_nothing() {
    let home = applied(&manifest(&["a", "b"], "servers: ['*']"));
    let live = home.read(CURSOR);
    for text in ["version: 1\n", "version: 1\nclients: {}\n", "version: 1\nservers:\n  a: { command: a }\n"] {
        home.write("mcp.yaml", text);
        let ran = home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
        says(&ran, "nothing is pruned");
        assert_eq!(home.read(CURSOR), live);
    }
    home.write("mcp.yaml", "");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(3);
    assert_eq!(home.read(CURSOR), live);
    // The books are as they were, so that a manifest with a client prunes as before.
    home.write("mcp.yaml", "version: 1\nclients:\n  cursor: { servers: [] }\n");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert!(!home.exists(CURSOR));
}

#[test]
fn a_missing_manifest_or_include_prunes_nothing() {
    let home = Sandbox::new();
    home.write("team/a.yaml", "version: 1\nservers:\n  a: { command: a }\n");
    home.write("mcp.yaml", "version: 1\ninclude: [team/*.yaml]\nclients:\n  cursor: { servers: ['*'] }\n");
    apply(&home).exits(0);
    let live = home.read(CURSOR);
    std::fs::remove_file(home.path("team/a.yaml")).expect("removed");
    says(&home.run(&["apply", "--yes", "--allow-prune"]).exits(3), "team/*.yaml");
    std::fs::remove_file(home.path("mcp.yaml")).expect("removed");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(3);
    assert_eq!(home.read(CURSOR), live);
}

#[test]
fn a_renamed_client_block_hands_its_entries_over() {
    let home = applied(&manifest(&["a", "b"], "servers: ['*']"));
    let live = home.read(CURSOR);
    home.write(
        "mcp.yaml",
        manifest(&["a", "b"], "client: cursor, servers: ['*']").replace("  cursor:", "  work:"),
    );
    home.run(&["verify"]).exits(0);
    apply(&home).exits(0);
    assert_eq!(home.read(CURSOR), live);
    assert_eq!(steps(&home, &[]), ["work a keep", "work b keep"]);
    // They are the new block's now.
    home.write(
        "mcp.yaml",
        manifest(&["a"], "client: cursor, servers: ['*']").replace("  cursor:", "  work:"),
    );
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["a"]);
}

#[test]
fn a_client_whose_file_moves_takes_its_entries_along_after_a_word() {
    let home = applied(&manifest(&["a"], "servers: [a]"));
    home.write("mcp.yaml", manifest(&["a"], "servers: [a], path: ~/elsewhere.json"));
    apply(&home).exits(6);
    assert!(home.exists(CURSOR) && !home.exists("elsewhere.json"));
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert!(!home.exists(CURSOR));
    assert_eq!(names(&home, "elsewhere.json", "mcpServers"), ["a"]);
    home.run(&["verify"]).exits(0);
}

#[test]
fn only_one_client_is_touched_when_asked() {
    let text = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n  kiro: { servers: [a] }\n";
    let home = applied(text);
    let kiro = home.read(".kiro/settings/mcp.json");
    home.write(
        "mcp.yaml",
        "version: 1\nservers:\n  a: { command: b }\nclients:\n  cursor: { servers: [a] }\n",
    );
    home.run(&["apply", "--yes", "--client", "cursor"]).exits(0);
    assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"]["command"], "b");
    assert_eq!(home.read(".kiro/settings/mcp.json"), kiro);
    assert!(steps(&home, &[]).contains(&"kiro a remove".to_owned()));
    says(&home.run(&["plan", "--client", "cursr"]).exits(64), "did you mean `cursor`");
}

#[test]
fn a_blocked_server_leaves_its_live_entry_untouched() {
    let home = applied(&manifest(&["a", "b"], "servers: ['*']"));
    let live = home.read(CURSOR);
    let blocked = manifest(&["a", "b"], "servers: ['*'], delivery: direct")
        .replace("a: { command: a }", "a: { command: a, env: { T: '${secret:s}' } }")
        .replace("servers:\n", "secrets: { s: { keyring: s } }\nservers:\n");
    home.write("mcp.yaml", blocked);
    says(&apply(&home).exits(6), "secret `s`");
    assert_eq!(home.read(CURSOR), live);
    home.run(&["verify"]).exits(2);
    // It is still ours.
    home.write("mcp.yaml", manifest(&["b"], "servers: ['*']"));
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["b"]);
}

#[test]
fn a_blocked_remote_server_with_a_container_of_its_own_stays() {
    let text = "version: 1\nservers:\n  web: { url: 'https://example.com/mcp' }\n  other: { url: 'https://example.com/o' }\n\
                clients:\n  openhands-app: { servers: ['*'], path: ~/o.json, delivery: direct }\n";
    let home = applied(text);
    let live = home.read("o.json");
    home.write(
        "mcp.yaml",
        text.replace("servers:\n", "secrets: { s: { keyring: s } }\nservers:\n")
            .replace("com/mcp' }", "com/mcp', headers: { X: '${secret:s}' } }"),
    );
    apply(&home).exits(6);
    assert_eq!(home.read("o.json"), live);
}

#[test]
fn a_client_block_that_cannot_be_resolved_is_refused_and_keeps_its_entries() {
    let text = "version: 1\nservers:\n  a: { command: a, tools: { allow: ['get_*'] } }\nclients:\n  codex: { servers: [] }\n";
    let home =
        applied(&text.replace("servers: []", "servers: [a]").replace(", tools: { allow: ['get_*'] }", ""));
    let live = home.read(".codex/config.toml");
    home.write("mcp.yaml", text.replace("servers: []", "servers: [a], tools: { a: { allow: ['*_x'] } }"));
    home.run(&["verify"]).exits(2);
    says(&home.run(&["apply", "--yes", "--quiet"]).exits(6), "cannot be combined");
    assert_eq!(home.read(".codex/config.toml"), live);
}
