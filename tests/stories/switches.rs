//! Servers switched off, and tools hidden, where the client has a word for it and where not.

use serde_json::json;

use super::{applied, apply, home, json_file, names, says, steps};

#[test]
fn a_server_switched_off_keeps_its_entry_where_the_client_has_a_switch() {
    let text = "version: 1\nservers:\n  a: { command: a, enabled: false }\n  b: { command: b }\nclients:\n  roo-code: { servers: ['*'], path: ~/r.json }\n";
    let home = applied(text);
    assert_eq!(json_file(&home, "r.json")["mcpServers"]["a"]["disabled"], true);
    home.run(&["verify"]).exits(0);
    home.write("mcp.yaml", text.replace(", enabled: false", ""));
    apply(&home).exits(0);
    assert_ne!(json_file(&home, "r.json")["mcpServers"]["a"]["disabled"], true);
    home.run(&["verify"]).exits(0);
}

#[test]
fn a_server_switched_off_for_one_client_is_on_for_the_others() {
    let home = applied(
        "version: 1\nservers:\n  a: { command: a }\nclients:\n  roo-code: { servers: [a], disabled: [a], path: ~/r.json }\n  cursor: { servers: [a] }\n",
    );
    assert_eq!(json_file(&home, "r.json")["mcpServers"]["a"]["disabled"], true);
    assert_eq!(names(&home, ".cursor/mcp.json", "mcpServers"), ["a"]);
}

#[test]
fn a_server_switched_off_is_taken_out_where_the_client_has_no_switch() {
    let text = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n";
    let home = applied(text);
    home.write("mcp.yaml", text.replace("command: a }", "command: a, enabled: false }"));
    says(&home.run(&["plan"]), "no switch");
    // Asked for by name, so it is no mass pruning.
    apply(&home).exits(0);
    assert!(!home.exists(".cursor/mcp.json"));
    assert_eq!(steps(&home, &[]), Vec::<String>::new());
    home.run(&["verify"]).exits(0);
    home.write("mcp.yaml", text);
    apply(&home).exits(0);
    assert_eq!(names(&home, ".cursor/mcp.json", "mcpServers"), ["a"]);
}

#[test]
fn switching_off_never_takes_out_a_strangers_entry() {
    let home = home(
        "version: 1\nservers:\n  a: { command: a, enabled: false }\nclients:\n  cursor: { servers: [a] }\n",
    );
    let live = r#"{"mcpServers": {"a": {"command": "theirs"}}}"#;
    home.write(".cursor/mcp.json", live);
    apply(&home).exits(0);
    assert_eq!(home.read(".cursor/mcp.json"), live);
    says(&home.run(&["plan"]), "1 not ours");
}

#[test]
fn the_clients_own_switch_is_drift_and_can_be_adopted() {
    let text = "version: 1\nservers:\n  a: { command: a } # mine\nclients:\n  roo-code:\n    servers: [a]\n    path: ~/r.json\n";
    let home = applied(text);
    let off = home.read("r.json").replace("\"command\"", "\"disabled\": true,\n      \"command\"");
    home.write("r.json", &off);
    home.run(&["verify"]).exits(2);
    says(&home.run(&["plan"]), "disabled");
    home.run(&["adopt"]).exits(0);
    let adopted = home.read("mcp.yaml");
    assert!(adopted.contains("disabled: [a]") || adopted.contains("disabled:\n"), "{adopted}");
    assert!(adopted.contains("# mine"));
    home.run(&["verify"]).exits(0);
    apply(&home).exits(0);
    assert_eq!(home.read("r.json"), off);

    // And on again.
    home.write("r.json", off.replace("\"disabled\": true,", "\"disabled\": false,"));
    home.run(&["adopt"]).exits(0);
    apply(&home).exits(0);
    home.run(&["verify"]).exits(0);
    assert_ne!(json_file(&home, "r.json")["mcpServers"]["a"]["disabled"], true);
}

#[test]
fn tools_are_hidden_in_the_clients_own_words() {
    let text = "version: 1\nservers:\n  a: { command: a, tools: { deny: [rm] } }\nclients:\n  codex: { servers: [a], tools: { a: { allow: [get, rm] } } }\n";
    let home = applied(text);
    let file = home.read(".codex/config.toml");
    assert!(
        file.contains("enabled_tools = [\"get\"") && file.contains("disabled_tools = [\"rm\"]"),
        "{file}"
    );
    home.run(&["verify"]).exits(0);
}

#[test]
fn a_filter_that_a_client_cannot_express_blocks_the_entry_and_says_what_would_do_it() {
    for filter in ["deny: ['delete_*']", "deny: [rm]"] {
        let home = home(&format!(
            "version: 1\nservers:\n  a: {{ command: a, tools: {{ {filter} }} }}\n  b: {{ command: b }}\nclients:\n  cursor: {{ servers: ['*'], delivery: direct }}\n"
        ));
        says(&apply(&home).exits(6), "delivery: exec");
        assert_eq!(
            names(&home, ".cursor/mcp.json", "mcpServers"),
            ["b"],
            "never the server without its filter"
        );
    }
}

#[test]
fn two_filters_that_have_nothing_in_common_never_mean_all_tools() {
    let home = home(
        "version: 1\nservers:\n  a: { command: a, tools: { allow: [get] } }\nclients:\n  codex: { servers: [a], delivery: direct, tools: { a: { allow: [put] } } }\n",
    );
    says(&apply(&home).exits(6), "no tool");
    assert!(!home.exists(".codex/config.toml"));
}

#[test]
fn tools_filtered_by_hand_are_adopted() {
    let text = "version: 1\nservers:\n  a: { command: a, tools: { allow: [get] } }\nclients:\n  codex: { servers: [a] }\n";
    let home = applied(text);
    let live = home.read(".codex/config.toml").replace("[\"get\"]", "[\"get\", \"put\"]");
    home.write(".codex/config.toml", &live);
    home.run(&["verify"]).exits(2);
    home.run(&["adopt"]).exits(0);
    home.run(&["verify"]).exits(0);
    assert!(home.read("mcp.yaml").contains("put"), "{}", home.read("mcp.yaml"));
    assert_eq!(home.read(".codex/config.toml"), live);
}

#[test]
fn fields_for_one_client_are_ours_there_and_nowhere_else() {
    let text = "version: 1\nservers:\n  a: { command: a, extra: { cursor: { envFile: .env } } }\nclients:\n  cursor: { servers: [a] }\n  kiro: { servers: [a] }\n";
    let home = applied(text);
    assert_eq!(json_file(&home, ".cursor/mcp.json")["mcpServers"]["a"]["envFile"], ".env");
    assert_eq!(json_file(&home, ".kiro/settings/mcp.json")["mcpServers"]["a"].get("envFile"), None);
    let changed = home.read(".cursor/mcp.json").replace("\".env\"", "\"other\"");
    home.write(".cursor/mcp.json", changed);
    apply(&home).exits(0);
    assert_eq!(json_file(&home, ".cursor/mcp.json")["mcpServers"]["a"]["envFile"], json!(".env"));
}
