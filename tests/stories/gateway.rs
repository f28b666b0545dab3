//! `delivery: gateway`: one entry in place of many, and what shows of what is behind it.

use std::fs;

use serde_json::{Value, json};

use super::{applied, apply, home, json_file, json_of, names, says, steps};
use crate::support::Sandbox;

const CURSOR: &str = ".cursor/mcp.json";

const SERVERS: &str = "version: 1\ngateway: {}\nservers:\n  a: { command: a }\n  b: { command: b, protect: true }\n  c: { url: 'https://c.example.com/mcp' }\n  d: { command: d }\n";

fn with_clients(clients: &str) -> String {
    format!("{SERVERS}clients:\n{clients}")
}

fn entry(home: &Sandbox) -> Value {
    json_file(home, CURSOR)["mcpServers"]["mcpkeel"].clone()
}

#[test]
fn a_client_has_one_entry_whatever_is_behind_it() {
    let home = applied(&with_clients("  cursor: { servers: ['*'], delivery: gateway }\n"));
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["mcpkeel"]);
    let manifest = home.path("mcp.yaml").display().to_string();
    assert_eq!(entry(&home)["args"], json!(["connect", "--client", "cursor", "--manifest", manifest]));
    assert_eq!(entry(&home).get("env").unwrap_or(&json!({})), &json!({}));
    home.run(&["verify"]).exits(0);
    says(&home.run(&["plan", "-v"]), "gateway, as asked: a, b, c, d");
    // What it may see is no business of the file.
    home.write(
        "mcp.yaml",
        with_clients("  cursor: { servers: ['*'], delivery: gateway, except: [a], disabled: [b], tools: { d: { deny: [x] } } }\n"),
    );
    let before = home.read(CURSOR);
    says(&home.run(&["plan"]), "what is behind it (d; no longer a, b)");
    says(&apply(&home).exits(0), "no file had to change");
    assert_eq!(home.read(CURSOR), before);
    home.run(&["verify"]).exits(0);
}

#[test]
fn the_switch_to_the_gateway_and_back_prunes_nothing() {
    let direct = with_clients("  cursor: { servers: ['*'], disabled: [d] }\n");
    let gateway = with_clients("  cursor: { servers: ['*'], disabled: [d], delivery: gateway }\n");
    let home = applied(&direct);
    let before = home.read(CURSOR);
    home.write("mcp.yaml", &gateway);
    let ran = home.run(&["plan"]).exits(0);
    says(&ran, "reached through the gateway from now on");
    assert!(!ran.out.contains("guard:"), "{}", ran.out);
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["mcpkeel"]);
    home.write("mcp.yaml", &direct);
    let ran = apply(&home).exits(0);
    says(&ran, "its servers have entries of their own from now on");
    assert_eq!(home.read(CURSOR), before, "no trace is left of the gateway");
}

#[test]
fn servers_that_go_with_the_switch_are_pruned_as_ever() {
    let home = applied(&with_clients("  cursor: { servers: [a, c, d] }\n"));
    home.write("mcp.yaml", with_clients("  cursor: { servers: [a], delivery: gateway }\n"));
    says(&apply(&home).exits(6), "2 of 3 from `cursor`");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    home.write("mcp.yaml", with_clients("  cursor: { servers: [] , delivery: gateway }\n"));
    says(&apply(&home).exits(6), "1 of 1 from `cursor`");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert!(!home.exists(CURSOR), "the file was ours alone");
}

#[test]
fn what_is_run_behind_the_entry_waits_for_a_person() {
    let manual = |text: &str| format!("{text}settings: {{ approve: manual }}\n");
    let text = manual(&with_clients("  cursor: { servers: [a, b], delivery: gateway }\n"));
    let home = applied(&text);
    let watch = |home: &Sandbox| home.run(&["watch", "--once"]);
    watch(&home).exits(0);
    home.write("mcp.yaml", text.replace("command: a", "command: other"));
    watch(&home);
    says(&home.run(&["status"]), "`mcpkeel` would change what is run");
    let plan = json_of(&home, &["plan"]);
    let step = &plan["files"][0]["steps"][0];
    assert_eq!((&step["action"], &step["unapproved"]), (&json!("update"), &json!(true)), "{step}");
    assert_eq!(step["behind"], json!({ "a": "other" }));
    apply(&home).exits(0);
    assert_eq!(steps(&home, &[]), ["cursor mcpkeel keep"]);
    watch(&home).exits(0);
    says(&home.run(&["status"]), "Ready");
}

#[test]
fn a_switch_that_waits_leaves_the_client_what_it_has() {
    let text = |delivery: &str| {
        format!(
            "{}settings: {{ approve: manual }}\n",
            with_clients(&format!("  cursor: {{ servers: [a, b]{delivery} }}\n"))
        )
    };
    let home = applied(&text(""));
    home.write("mcp.yaml", text(", delivery: gateway"));
    home.run(&["watch", "--once"]);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["a", "b"]);
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["mcpkeel"]);
    home.write("mcp.yaml", text(""));
    home.run(&["watch", "--once"]);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["mcpkeel"]);
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["a", "b"]);
}

#[test]
fn somebody_elses_entry_of_that_name_keeps_the_others_in_place() {
    let home = applied(&with_clients("  cursor: { servers: [a, b] }\n"));
    let mut file = json_file(&home, CURSOR);
    file["mcpServers"]["mcpkeel"] = json!({ "command": "mine" });
    home.write(CURSOR, file.to_string());
    home.write("mcp.yaml", with_clients("  cursor: { servers: [a, b], delivery: gateway }\n"));
    assert_eq!(steps(&home, &[]), ["cursor mcpkeel conflict"]);
    apply(&home).exits(6);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["a", "b", "mcpkeel"]);
    home.run(&["apply", "--yes", "--adopt"]).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["mcpkeel"]);
}

#[test]
fn where_everything_is_switched_off_so_is_the_entry() {
    let home = applied(&with_clients(
        "  codex: { servers: ['*'], disabled: ['*'], delivery: gateway }\n  cursor: { servers: ['*'], delivery: gateway }\n",
    ));
    assert!(home.read(".codex/config.toml").contains("enabled = false"));
    home.write(
        "mcp.yaml",
        with_clients(
            "  codex: { servers: ['*'], disabled: ['*'], delivery: gateway }\n  cursor: { servers: ['*'], disabled: ['*'], delivery: gateway }\n",
        ),
    );
    // Cursor has no switch in its file; switching off is asked for by name, so it is no pruning.
    apply(&home).exits(0);
    assert!(!home.exists(CURSOR));
}

#[test]
fn what_cannot_be_run_yet_is_named_and_the_rest_is_delivered() {
    let home = home(
        "version: 1\ngateway: {}\nservers:\n  a: { command: a }\n  p: { package: { npm: x } }\nclients:\n  cursor: { servers: ['*'], delivery: gateway }\n  kiro: { servers: [p], delivery: gateway }\n",
    );
    assert_eq!(
        steps(&home, &[]),
        ["cursor mcpkeel create", "cursor p blocked", "kiro mcpkeel blocked", "kiro p blocked"]
    );
    says(&apply(&home).exits(6), "comes from a `package`");
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["mcpkeel"]);
    assert!(!home.exists(".kiro/settings/mcp.json"));
}

#[test]
fn a_client_that_starts_no_programs_is_told_another_way() {
    let home = home(&with_clients(
        "  mine:\n    client: { format: json, path: { all: ~/.mine.json }, root: /mcpServers, http: { url: \"{url}\" } }\n    servers: [c]\n    delivery: gateway\n",
    ));
    let ran = home.run(&["plan"]).exits(0);
    says(&ran, "starts no programs, so not `mcpkeel connect` either");
    says(&ran, "mcpkeel token create");
    assert_eq!(steps(&home, &[]), ["mine mcpkeel blocked"]);
}

#[test]
fn the_entry_names_a_state_directory_of_its_own() {
    let home = home(&with_clients("  cursor: { servers: [a], delivery: gateway }\n"));
    home.run(&["apply", "--yes", "--state-dir", "other"]).exits(0);
    let args = entry(&home)["args"].clone();
    let args: Vec<&str> = args.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let dir = home.path("other").display().to_string();
    assert_eq!(args[5..], ["--state-dir", &dir]);
}

#[test]
fn entries_of_the_gateway_are_not_imported() {
    let home = applied(&with_clients("  cursor: { servers: [a], delivery: gateway }\n"));
    fs::remove_file(home.path("mcp.yaml")).expect("removed");
    home.run(&["init"]).exits(0);
    assert!(!home.read("mcp.yaml").contains("connect"), "{}", home.read("mcp.yaml"));
}

#[test]
fn no_secret_comes_near_the_file() {
    let home = home(
        "version: 1\ngateway: {}\nsecrets: { s: { env: MY_TOKEN } }\nservers:\n  a: { command: a, env: { T: '${secret:s}' } }\nclients:\n  cursor: { servers: [a], delivery: gateway, secrets: write }\n",
    );
    let ran =
        home.command(&["apply", "--yes"]).env("MY_TOKEN", "plain words 77").output().expect("it starts");
    assert!(ran.status.success());
    let file = home.read(CURSOR);
    assert!(!file.contains("plain words") && !file.contains("MY_TOKEN"), "{file}");
}
