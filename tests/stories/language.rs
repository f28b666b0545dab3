//! The manifest's language, seen from the files that come out.

use serde_json::json;

use super::{applied, apply, home, json_file, names, says, steps};
use crate::support::Sandbox;

const CURSOR: &str = ".cursor/mcp.json";

#[test]
fn includes_add_servers_groups_and_clients() {
    let home = Sandbox::new();
    home.write("mcp.yaml", "version: 1\ninclude: [team/*.yaml]\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [everyday] }\n");
    home.write(
        "team/one.yaml",
        "version: 1\nservers:\n  b: { command: '${manifest_dir}/run' }\ngroups:\n  everyday: [a, b]\n",
    );
    home.write("team/two.yaml", "version: 1\nclients:\n  kiro: { servers: [b] }\n");
    apply(&home).exits(0);
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["a", "b"]);
    let run = home.path("team/run").display().to_string();
    assert_eq!(json_file(&home, ".kiro/settings/mcp.json")["mcpServers"]["b"]["command"], run.as_str());
}

#[test]
fn a_name_in_two_files_is_an_error_with_both_places() {
    let home = Sandbox::new();
    home.write("mcp.yaml", "version: 1\ninclude: [more.yaml]\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n");
    home.write("more.yaml", "version: 1\nservers:\n  a: { command: b }\n");
    let ran = apply(&home).exits(3);
    says(&ran, "mcp.yaml");
    says(&ran, "more.yaml");
    assert!(!home.exists(CURSOR));
}

#[test]
fn variables_and_built_in_words_are_filled_in() {
    let home = applied(
        "version: 1\nvars: { src: '${home}/src', deep: '${var:src}/x' }\nservers:\n  a:\n    command: a\n    args: ['${var:deep}', '${os}', '${user}', '$${}', '${manifest_dir}']\nclients:\n  claude-code: { servers: [a] }\n",
    );
    let dir = home.home().display().to_string();
    let args = json_file(&home, ".claude.json")["mcpServers"]["a"]["args"].clone();
    assert_eq!(args[0], format!("{dir}/src/x"));
    assert_eq!((&args[2], &args[4]), (&json!("tester"), &json!(dir)));
}

#[test]
fn a_literal_that_the_client_would_expand_is_refused_or_escaped() {
    let home = home(
        "version: 1\nservers:\n  a: { command: a, args: ['$${HOME}'] }\nclients:\n  claude-code: { servers: [a] }\n",
    );
    let ran = apply(&home);
    if ran.code == 0 {
        assert_ne!(json_file(&home, ".claude.json")["mcpServers"]["a"]["args"][0], "${HOME}");
    } else {
        says(&ran.exits(6), "would replace");
    }
}

#[test]
fn variables_work_in_paths() {
    let home = applied(
        "version: 1\nvars: { src: '${home}/src' }\nservers:\n  a: { command: a, cwd: '${var:src}/a' }\nclients:\n  gemini-cli: { servers: [a], path: '${var:src}/gemini.json' }\n",
    );
    let cwd = json_file(&home, "src/gemini.json")["mcpServers"]["a"]["cwd"].clone();
    assert_eq!(cwd, home.path("src/a").display().to_string());
}

#[test]
fn conditions_decide_per_machine() {
    let os = if cfg!(target_os = "macos") {
        "macos"
    } else if cfg!(windows) {
        "windows"
    } else {
        "linux"
    };
    let other = if os == "linux" { "macos" } else { "linux" };
    let servers: String = [
        ("here", format!("os: {os}")),
        ("there", format!("os: [{other}]")),
        ("host", "host: ['*']".to_owned()),
        ("nohost", "host: no-such-host-*".to_owned()),
        ("user", "user: test*".to_owned()),
        ("nouser", "user: nobody-else".to_owned()),
        ("set", "env: { WORK: true }".to_owned()),
        ("unset", "env: { WORK: false }".to_owned()),
        ("value", "env: { WORK: 'y*' }".to_owned()),
    ]
    .into_iter()
    .map(|(name, when)| format!("  {name}: {{ command: x, when: {{ {when} }} }}\n"))
    .collect();
    let home = home(&format!(
        "version: 1\nservers:\n{servers}clients:\n  cursor: {{ servers: ['*'] }}\n  kiro: {{ servers: ['*'], when: {{ os: {other} }} }}\n"
    ));
    let mut command = home.command(&["apply", "--yes"]);
    assert!(command.env("WORK", "yes").output().expect("runs").status.success());
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["here", "host", "user", "set", "value"]);
    assert!(!home.exists(".kiro"));
}

#[test]
fn groups_except_and_star_choose_in_the_manifests_order() {
    let home = applied(
        "version: 1\nservers:\n  c: { command: c }\n  a: { command: a }\n  b: { command: b }\n  d: { command: d }\n\
         groups: { inner: [a], outer: [inner, c] }\nclients:\n  cursor: { servers: [outer, b], except: [a] }\n  kiro: { servers: ['*'], except: [outer] }\n",
    );
    assert_eq!(names(&home, CURSOR, "mcpServers"), ["c", "b"]);
    assert_eq!(names(&home, ".kiro/settings/mcp.json", "mcpServers"), ["b", "d"]);
}

#[test]
fn projects_and_the_local_scope_have_places_of_their_own() {
    let home = applied(
        "version: 1\nservers:\n  a: { command: a }\n  b: { command: b }\n  c: { command: c }\nclients:\n  claude-code: { servers: [a] }\n  \
         shared: { client: claude-code, scope: project, root: ~/work, servers: [b] }\n  mine: { client: claude-code, scope: local, root: ~/work, servers: [c] }\n",
    );
    assert_eq!(names(&home, "work/.mcp.json", "mcpServers"), ["b"]);
    let file = json_file(&home, ".claude.json");
    assert_eq!(file["mcpServers"].as_object().map(|servers| servers.len()), Some(1));
    let work = home.path("work").display().to_string();
    assert_eq!(file["projects"][&work]["mcpServers"]["c"]["command"], "c");
    home.run(&["verify"]).exits(0);
}

#[test]
fn a_client_that_nobody_knows_is_described_in_the_manifest() {
    let home = applied(
        "version: 1\nservers:\n  a: { command: a, args: [x] }\nclients:\n  my-editor:\n    client: { format: toml, path: { all: ~/.my/mcp.toml }, root: /tools/mcp, stdio: { run: '{argv}' } }\n    servers: [a]\n",
    );
    assert!(home.read(".my/mcp.toml").contains("run = [\"a\", \"x\"]"), "{}", home.read(".my/mcp.toml"));
    home.run(&["verify"]).exits(0);
    // Its entries can be pruned even when its description is gone.
    home.write("mcp.yaml", "version: 1\nclients:\n  cursor: { servers: [] }\n");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert!(!home.exists(".my/mcp.toml"));
}

#[test]
fn an_invalid_manifest_says_everything_at_once_and_writes_nothing() {
    let home = home(
        "version: 1\nserverz: {}\nservers:\n  a: { comand: x }\n  b: { command: b, env: { T: '${secret:nope}' } }\nclients:\n  cursr: { servers: [a] }\n  kiro: { servers: [missing] }\n",
    );
    for args in [
        &["apply", "--yes"][..],
        &["plan"],
        &["verify"],
        &["status"],
        &["validate"],
        &["adopt"],
        &["import"],
        &["diff"],
        &["backup"],
    ] {
        let ran = home.run(args).exits(3);
        for word in ["serverz", "comand", "nope", "cursr", "missing"] {
            assert!(ran.err.contains(word), "{args:?} does not name {word}:\n{}", ran.err);
        }
        assert_eq!(ran.out, "", "{args:?}");
    }
    for path in [CURSOR, ".kiro", ".local"] {
        assert!(!home.exists(path), "{path}");
    }
}

#[test]
fn findings_are_there_for_programs_too() {
    let home = home("version: 1\nservers:\n  a: { comand: x }\n");
    let parse = |format: &str| -> serde_json::Value {
        let ran = home.run(&["validate", "--format", format]).exits(3);
        serde_json::from_str(&ran.out).expect("one document")
    };
    let json = parse("json");
    assert_eq!((&json["format_version"], &json["valid"]), (&json!(1), &json!(false)));
    assert_eq!(json["diagnostics"][0]["place"]["line"], 3);
    let sarif = parse("sarif");
    assert_eq!(sarif["version"], "2.1.0");
    assert!(!sarif["runs"][0]["results"].as_array().expect("results").is_empty());
    says(&home.run(&["validate", "--format", "markdown"]).exits(3), "comand");
}

#[test]
fn what_cannot_be_honoured_yet_is_refused_and_not_narrowed() {
    for server in ["package: { npm: x }", "source: { git: o/r, run: [x] }"] {
        let home = home(&format!(
            "version: 1\nsecrets: {{ s: {{ keyring: s }} }}\nservers:\n  a: {{ {server} }}\nclients:\n  cursor: {{ servers: [a] }}\n"
        ));
        says(&apply(&home).exits(6), "yet");
        assert!(!home.exists(CURSOR));
        assert_eq!(steps(&home, &[]), ["cursor a blocked"]);
    }
}

#[test]
fn secrets_in_the_environment_become_the_clients_own_references() {
    let home = applied(
        "version: 1\nsecrets: { t: { env: MY_TOKEN } }\nservers:\n  a: { command: a, env: { T: '${secret:t}' } }\nclients:\n  claude-code: { servers: [a] }\n  cursor: { servers: [a] }\n  codex: { servers: [] }\n",
    );
    assert_eq!(json_file(&home, ".claude.json")["mcpServers"]["a"]["env"]["T"], "${MY_TOKEN}");
    assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"]["env"]["T"], "${env:MY_TOKEN}");
}
