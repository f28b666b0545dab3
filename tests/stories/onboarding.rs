//! From what clients have to a manifest: init, import, adopt, fmt.

use super::{applied, apply, home, json_file, says, steps};
use crate::support::Sandbox;

/// A home of somebody who has several clients already.
fn lived_in() -> Sandbox {
    let home = Sandbox::new();
    home.write(
        ".claude.json",
        r#"{"numStartups": 3, "mcpServers": {
  "time": {"type": "stdio", "command": "uvx", "args": ["mcp-server-time"], "env": {}},
  "github": {"type": "stdio", "command": "npx", "args": ["-y", "gh"], "env": {"GITHUB_TOKEN": "ghp_Abcdefgh0123456789abcdefgh"}},
  "web": {"type": "http", "url": "https://example.com/mcp", "headers": {"Authorization": "Bearer plainlooking1"}}
}}"#,
    );
    home.write(".cursor/mcp.json", r#"{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}, "files": {"command": "files", "autoApprove": ["read"]}}}"#);
    home.write(
        ".gemini/settings.json",
        "{\n  // mine\n  \"mcpServers\": {\"time\": {\"command\": \"other-time\"}},\n}\n"
            .replace(",\n}", "\n}"),
    );
    home.write(".codex/config.toml", "[mcp_servers.time] # t\ncommand = \"uvx\"\nargs = [\"mcp-server-time\"]\n\n[mcp_servers.off]\ncommand = \"off\"\nenabled = false\n");
    home.write(".config/goose/config.yaml", "extensions:\n  time:\n    enabled: true\n    type: stdio\n    name: time\n    cmd: uvx\n    args: [mcp-server-time]\n  developer:\n    type: builtin\n    enabled: true\n    name: developer\n");
    home
}

const FILES: [&str; 5] = [
    ".claude.json",
    ".cursor/mcp.json",
    ".gemini/settings.json",
    ".codex/config.toml",
    ".config/goose/config.yaml",
];

#[test]
fn init_takes_over_what_several_clients_have() {
    let home = lived_in();
    let before: Vec<String> = FILES.iter().map(|file| home.read(file)).collect();
    let ran = home.run(&["init"]).exits(0);
    let manifest = home.read("mcp.yaml");
    for secret in ["ghp_Abcdefgh", "plainlooking1"] {
        assert!(
            !manifest.contains(secret) && !ran.out.contains(secret) && !ran.err.contains(secret),
            "{manifest}"
        );
    }
    says(&ran, "conflict: `time` of Gemini CLI");
    says(&ran, "secret:");
    assert_eq!(manifest.matches("\n  time:").count(), 1, "{manifest}");
    home.run(&["validate", "--strict"]).exits(0);
    assert_eq!(before, FILES.map(|file| home.read(file)), "no client's file was touched");

    // All but the servers with secrets are in step, and become ours; what a client's row adds to an
    // entry is no conflict.
    let steps = steps(&home, &[]);
    let action = |wanted: &str| {
        steps.iter().find(|step| step.starts_with(wanted)).unwrap_or_else(|| panic!("{wanted}: {steps:?}"))
    };
    for step in [
        "claude-code time record",
        "cursor time record",
        "cursor files record",
        "codex time record",
        "codex off record",
        "goose time update",
    ] {
        assert!(steps.contains(&step.to_owned()), "{step} is not among {steps:?}");
    }
    assert!(action("claude-code github").ends_with("conflict"));
    assert!(action("claude-code web").ends_with("conflict"));
    says(&home.run(&["plan"]), "already there but for");
    apply(&home).exits(6);
    for (file, before) in FILES.iter().zip(&before).filter(|(file, _)| !file.contains("goose")) {
        assert_eq!(home.read(file), *before);
    }

    // Adopted, the values give way to references.
    home.run(&["apply", "--yes", "--adopt"]).exits(0);
    let live = home.read(".claude.json");
    assert!(!live.contains("ghp_Abcdefgh") && !live.contains("plainlooking1"), "{live}");
    home.run(&["verify"]).exits(0);
    assert!(home.read(".cursor/mcp.json").contains("autoApprove"));
}

#[test]
fn init_refuses_to_overwrite_and_can_start_empty() {
    let home = lived_in();
    home.run(&["init", "--empty"]).exits(0);
    let manifest = home.read("mcp.yaml");
    home.run(&["validate"]).exits(0);
    assert!(manifest.contains("servers: {}"));
    says(&home.run(&["init"]).exits(6), "already there");
    assert_eq!(home.read("mcp.yaml"), manifest);
}

#[test]
fn init_on_a_fresh_machine_writes_a_manifest_that_is_valid() {
    let home = Sandbox::new();
    home.run(&["init"]).exits(0);
    home.run(&["validate", "--strict"]).exits(0);
    home.run(&["apply", "--yes"]).exits(0);
}

#[test]
fn importing_twice_adds_nothing_the_second_time() {
    let home = lived_in();
    home.run(&["init"]).exits(0);
    let manifest = home.read("mcp.yaml");
    let ran = home.run(&["import"]).exits(0);
    assert_eq!(home.read("mcp.yaml"), manifest);
    says(&ran, "Nothing new");
    assert!(!ran.out.contains("-2"), "{}", ran.out);
}

const HAND_WRITTEN: &str = "# my servers
version: 1

servers:
  # the clock
  time: { command: uvx, args: [mcp-server-time] } # pinned? no

clients:
  # daily driver
  cursor: { servers: [time] } # that is all
";

#[test]
fn import_extends_a_commented_manifest_and_keeps_every_line() {
    let home = lived_in();
    home.write("mcp.yaml", HAND_WRITTEN);
    let dry = home.run(&["import", "--dry-run"]).exits(0);
    assert!(dry.out.contains("files:"), "{}", dry.out);
    assert_eq!(home.read("mcp.yaml"), HAND_WRITTEN);
    home.run(&["import", "--client", "cursor"]).exits(0);
    let manifest = home.read("mcp.yaml");
    for line in HAND_WRITTEN.lines().filter(|line| line.contains('#') && !line.contains("cursor:")) {
        assert!(manifest.contains(line), "`{line}` is gone:\n{manifest}");
    }
    assert!(manifest.contains("cursor: { servers: [time, files] } # that is all"), "{manifest}");
    assert!(!manifest.contains("codex"));
    home.run(&["validate", "--strict"]).exits(0);
}

#[test]
fn import_keeps_a_server_that_is_switched_off_switched_off() {
    let home = lived_in();
    home.write("mcp.yaml", "version: 1\nservers:\n  time: { command: uvx, args: [mcp-server-time] }\nclients:\n  codex: { servers: [time] }\n");
    home.run(&["import", "--client", "codex"]).exits(0);
    assert!(steps(&home, &[]).contains(&"codex off record".to_owned()), "{}", home.read("mcp.yaml"));
    apply(&home).exits(0);
    assert!(home.read(".codex/config.toml").contains("enabled = false"));
}

#[test]
fn import_knows_what_the_included_files_say() {
    let home = lived_in();
    home.write("mcp.yaml", "version: 1\ninclude: [team.yaml]\nclients:\n  codex: { servers: [time] }\n");
    home.write("team.yaml", "version: 1\nservers:\n  time: { command: uvx, args: [mcp-server-time] }\nclients:\n  cursor: { servers: [time] }\n");
    let team = home.read("team.yaml");
    home.run(&["import"]).exits(0);
    home.run(&["validate"]).exits(0);
    assert_eq!(home.read("team.yaml"), team);
}

#[test]
fn secrets_are_found_wherever_they_hide() {
    let home = Sandbox::new();
    home.write(
        ".cursor/mcp.json",
        r#"{"mcpServers": {
  "a": {"command": "x", "args": ["--api-key=hushhush-one", "--token", "hushhush-two"]},
  "b": {"url": "https://example.com/mcp?api_key=hushhush3&mode=ro"},
  "c": {"command": "npx", "args": ["mcp-remote", "https://example.com", "--header", "Authorization: Bearer hushhush4"]},
  "d": {"command": "pg", "args": ["postgres://me:hushhush5@db/x"], "env": {"DATABASE_URL": "postgres://me:hushhush6@db/x"}},
  "e": {"command": "docker", "args": ["run", "-e", "SERVICE_TOKEN=hushhush7", "image"]}
}}"#,
    );
    let ran = home.run(&["init"]).exits(0);
    let manifest = home.read("mcp.yaml");
    for text in [&manifest, &ran.out, &ran.err] {
        assert!(!text.contains("hushhush"), "{text}");
    }
    assert!(manifest.contains("&mode=ro"), "{manifest}");
    assert!(manifest.contains("postgres://me:${secret:"), "{manifest}");
    home.run(&["validate", "--strict"]).exits(0);
}

#[test]
fn texts_that_only_one_client_can_expand_stay_in_its_file() {
    let home = Sandbox::new();
    let live = r#"{"servers": {"a": {"type": "stdio", "command": "a", "args": ["${workspaceFolder}/x"], "env": {"KEY": "${input:key}"}}}}"#;
    home.write(".config/Code/User/mcp.json", live);
    home.run(&["init"]).exits(0);
    let ran = apply(&home);
    assert!(matches!(ran.code, 0 | 6), "{}", ran.err);
    assert_eq!(home.read(".config/Code/User/mcp.json"), live);
    home.run(&["verify"]).exits(0);
}

/// How an item is quoted is the codec's business.
fn plain(text: &str) -> String {
    text.replace(['"', '\''], "")
}

const COMMENTED: &str = "# mine
version: 1
vars: { src: '${home}/src' }
secrets: { token: { env: MY_TOKEN } }
servers:
  a: # the one
    command: uvx # runner
    args: [first, '${var:src}/notes', last]
    env:
      TOKEN: ${secret:token} # from the shell
      LEVEL: info # quiet
clients:
  cursor: { servers: [a] } # editor
";

#[test]
fn adopt_writes_live_values_and_keeps_comments_and_references() {
    let home = applied(COMMENTED);
    let live =
        home.read(".cursor/mcp.json").replace("\"first\"", "\"second\"").replace("\"info\"", "\"debug\"");
    home.write(".cursor/mcp.json", &live);
    let dry = home.run(&["adopt", "--dry-run"]).exits(0);
    assert!(dry.out.contains("`a`"), "{}", dry.out);
    assert_eq!(home.read("mcp.yaml"), COMMENTED);
    home.run(&["adopt"]).exits(0);
    assert_eq!(
        plain(&home.read("mcp.yaml")),
        plain(&COMMENTED.replace("first", "second").replace("LEVEL: info", "LEVEL: debug"))
    );
    home.run(&["verify"]).exits(0);
    assert_eq!(home.read(".cursor/mcp.json"), live);
}

#[test]
fn adopt_takes_a_rotated_token_as_a_reference() {
    let text = "version: 1\nservers:\n  a: { command: a, env: { API_TOKEN: 'oldvalue-111' } }\nclients:\n  cursor: { servers: [a] }\n";
    let home = applied(text);
    home.write(".cursor/mcp.json", home.read(".cursor/mcp.json").replace("oldvalue-111", "newvalue-222"));
    let ran = home.run(&["adopt"]).exits(0);
    let manifest = home.read("mcp.yaml");
    assert!(
        !manifest.contains("oldvalue") && !manifest.contains("newvalue") && manifest.contains("${secret:"),
        "{manifest}"
    );
    says(&ran, "environment variable");
    assert!(!ran.out.contains("newvalue") && !ran.err.contains("newvalue"));
}

#[test]
fn adopt_of_one_field_leaves_a_literal_next_to_it_alone() {
    let text = "version: 1\nservers:\n  a: { command: a, args: [x], env: { API_TOKEN: 'oldvalue-111' } }\nclients:\n  cursor: { servers: [a] }\n";
    let home = applied(text);
    home.write(".cursor/mcp.json", home.read(".cursor/mcp.json").replace("\"x\"", "\"y\""));
    home.run(&["adopt"]).exits(0);
    assert_eq!(plain(&home.read("mcp.yaml")), plain(&text.replace("[x]", "[y]")));
}

#[test]
fn adopt_takes_a_strangers_entry_into_the_manifest() {
    let home = home(
        "version: 1\nservers:\n  a: { command: a, args: [x] } # keep\nclients:\n  cursor: { servers: [a] }\n",
    );
    let live = r#"{"mcpServers": {"a": {"url": "https://example.com/mcp", "headers": {"X": "1"}}}}"#;
    home.write(".cursor/mcp.json", live);
    home.run(&["adopt"]).exits(0);
    let manifest = home.read("mcp.yaml");
    assert!(
        manifest.contains("https://example.com/mcp")
            && !manifest.contains("command")
            && manifest.contains("# keep"),
        "{manifest}"
    );
    apply(&home).exits(0);
    home.run(&["verify"]).exits(0);
}

#[test]
fn a_deletion_by_hand_is_adopted_as_an_exception() {
    let text = "version: 1\nservers:\n  a: { command: a }\n  b: { command: b }\nclients:\n  cursor: # editor\n    servers: ['*']\n  kiro: { servers: ['*'] }\n";
    let home = applied(text);
    let live = json_file(&home, ".cursor/mcp.json")["mcpServers"]["b"].to_string();
    home.write(".cursor/mcp.json", format!("{{\"mcpServers\": {{\"b\": {live}}}}}"));
    home.run(&["adopt"]).exits(0);
    assert!(home.read("mcp.yaml").contains("cursor: # editor"), "{}", home.read("mcp.yaml"));
    assert!(home.read("mcp.yaml").contains("except"), "{}", home.read("mcp.yaml"));
    home.run(&["verify"]).exits(0);
    apply(&home).exits(0);
    assert_eq!(
        json_file(&home, ".kiro/settings/mcp.json")["mcpServers"].as_object().map(|map| map.len()),
        Some(2)
    );
}

#[test]
fn an_entry_that_cannot_be_understood_is_not_taken_for_a_deleted_one() {
    let text = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n";
    let home = applied(text);
    let live = r#"{"mcpServers": {"a": {"type": "carrier-pigeon", "loft": "north"}}}"#;
    home.write(".cursor/mcp.json", live);
    let ran = home.run(&["adopt"]).exits(0);
    assert_eq!(home.read("mcp.yaml"), text, "{}", ran.out);
    says(&ran, "cannot be said in the manifest");
}

#[test]
fn what_adopting_changes_in_other_clients_is_planned() {
    let text = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a], drift: adopt }\n  kiro: { servers: [a] }\n";
    let home = applied(text);
    home.write(
        ".cursor/mcp.json",
        home.read(".cursor/mcp.json").replace("\"command\": \"a\"", "\"command\": \"b\""),
    );
    apply(&home).exits(0);
    assert_eq!(json_file(&home, ".kiro/settings/mcp.json")["mcpServers"]["a"]["command"], "b");
    home.run(&["verify"]).exits(0);
}

#[test]
fn fmt_brings_order_and_keeps_comments() {
    let home = home("version: 1\nservers:\n      a:   {command: a} # one\n");
    home.run(&["fmt", "--check"]).exits(2);
    home.run(&["fmt"]).exits(0);
    let tidy = home.read("mcp.yaml");
    assert!(tidy.contains("# one"));
    home.run(&["fmt", "--check"]).exits(0);
    home.run(&["fmt"]).exits(0);
    assert_eq!(home.read("mcp.yaml"), tidy);
    home.write("mcp.yaml", "a: [\n");
    home.run(&["fmt"]).exits(3);
}
