//! Several client blocks with one file.

use serde_json::json;

use super::{applied, apply, home, json_file, names, says, steps};

const SHARED: &str = "version: 1
servers:
  a: { command: a }
  b: { command: b }
clients:
  claude-project: { client: claude-code, scope: project, root: ~/work, servers: [a] }
  copilot-project: { client: copilot-cli, scope: project, root: ~/work, servers: [b] }
";

#[test]
fn two_clients_keep_their_servers_in_one_project_file() {
    let home = home(SHARED);
    home.write("work/.keep", "");
    let plan = home.run(&["plan"]).exits(0);
    says(&plan, "also read by");
    apply(&home).exits(0);
    let file = json_file(&home, "work/.mcp.json");
    assert_eq!(file["mcpServers"]["a"]["type"], "stdio");
    assert_eq!(file["mcpServers"]["b"]["type"], "local");
    home.run(&["verify"]).exits(0);
    assert_eq!(steps(&home, &[]), ["claude-project a keep", "copilot-project b keep"]);

    // One of them goes, the other stays.
    home.write("mcp.yaml", SHARED.split("  copilot-project").next().expect("a part"));
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert_eq!(names(&home, "work/.mcp.json", "mcpServers"), ["a"]);
}

#[test]
fn wanting_different_things_of_one_entry_is_refused_and_leaves_it_alone() {
    let home = home(&SHARED.replace("servers: [b]", "servers: [a, b]"));
    says(&apply(&home).exits(6), "want different things of `a`");
    assert_eq!(names(&home, "work/.mcp.json", "mcpServers"), ["b"]);
    home.run(&["verify"]).exits(2);
}

#[test]
fn wanting_the_same_of_one_entry_is_fine_and_the_last_to_leave_takes_it_out() {
    let both = "version: 1\nservers:\n  a: { command: a }\n  b: { command: b }\nclients:\n  one: { client: cursor, servers: [a, b] }\n  \
                two: { client: cursor, path: ~/.cursor/mcp.json, servers: [a, b] }\n";
    let home = applied(both);
    let live = home.read(".cursor/mcp.json");
    home.write("mcp.yaml", both.replacen("[a, b]", "[b]", 1));
    apply(&home).exits(0);
    assert_eq!(home.read(".cursor/mcp.json"), live);
    home.write("mcp.yaml", both.replace("[a, b]", "[b]"));
    apply(&home).exits(0);
    assert_eq!(names(&home, ".cursor/mcp.json", "mcpServers"), ["b"]);
}

#[test]
fn a_server_switched_off_in_one_block_stays_for_the_other() {
    let text = "version: 1\nservers:\n  a: { command: a }\n  b: { command: b }\nclients:\n  one: { client: cursor, servers: [a, b] }\n  \
                two: { client: cursor, path: ~/.cursor/mcp.json, servers: [a, b] }\n";
    let home = applied(text);
    let live = home.read(".cursor/mcp.json");
    home.write("mcp.yaml", text.replacen("servers: [a, b] }", "servers: [a, b], disabled: [a] }", 1));
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert_eq!(home.read(".cursor/mcp.json"), live);
    home.run(&["verify"]).exits(0);
}

#[test]
fn an_editors_settings_hold_several_clients_and_keep_their_comments() {
    let settings = ".config/Code/User/settings.json";
    let text = "version: 1\nservers:\n  a: { command: a }\nclients:\n  zencoder: { servers: [a] }\n  \
                other: { client: { format: jsonc, path: { all: ~/.config/Code/User/settings.json }, root: /other.servers, \
                stdio: { command: '{command}' } }, servers: [a] }\n";
    let home = home(text);
    let before = "{\n  // how I like it\n  \"editor.fontSize\": 14,\n}\n";
    home.write(settings, before);
    apply(&home).exits(0);
    let after = home.read(settings);
    assert!(
        after.contains("// how I like it")
            && after.contains("zencoder.mcpServers")
            && after.contains("other.servers"),
        "{after}"
    );
    home.run(&["verify"]).exits(0);
    home.write("mcp.yaml", "version: 1\nclients:\n  zencoder: { servers: [] }\n");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert_eq!(home.read(settings), before);
}

#[test]
fn strangers_in_a_shared_file_are_counted_once() {
    let home = applied(SHARED);
    let file = home.read("work/.mcp.json");
    home.write("work/.mcp.json", file.replacen("\"a\":", "\"mine\": {\"command\": \"m\"},\n    \"a\":", 1));
    says(&home.run(&["plan"]), "1 not ours");
}

#[test]
fn the_order_of_the_blocks_does_not_decide_whose_file_it_is() {
    // Two paths, one file: the second is a link to the first.
    if !cfg!(unix) {
        return;
    }
    let text = |first: &str, second: &str| {
        let block =
            |name: &str| format!("  {name}: {{ client: cursor, path: ~/{name}.json, servers: [{name}] }}\n");
        format!(
            "version: 1\nservers:\n  a: {{ command: a }}\n  b: {{ command: b }}\nclients:\n{}{}",
            block(first),
            block(second)
        )
    };
    let home = home(&text("a", "b"));
    home.write("a.json", "{}\n");
    #[cfg(unix)]
    std::os::unix::fs::symlink("a.json", home.path("b.json")).expect("a link");
    apply(&home).exits(0);
    home.write("mcp.yaml", text("b", "a"));
    apply(&home).exits(0);
    assert_eq!(steps(&home, &[]), ["b b keep", "a a keep"]);
    // Both blocks still answer for their entries, so they go when they are no longer wanted.
    home.write("mcp.yaml", "version: 1\nclients:\n  cursor: { servers: [] }\n");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert_eq!(json_file(&home, "a.json"), json!({}));
}
