//! How a server reaches a client: directly, through `mcpkeel exec`, or with a secret written out.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{applied, apply, home, json_file, json_of, says, steps};
use crate::support::{Ran, Sandbox};

/// A value that no rule would take for a secret by its look.
const VALUE: &str = "plain words 77";

const PROGRAM: &str = env!("CARGO_BIN_EXE_mcpkeel");

const CURSOR: &str = ".cursor/mcp.json";

/// A home with a secret in a file of its own.
fn with_secret(manifest: &str) -> Sandbox {
    let home = home(manifest);
    let file = home.write("secret.txt", format!("{VALUE}\n"));
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("closed");
    home
}

fn args(home: &Sandbox, file: &str, container: &str, server: &str) -> Vec<String> {
    let entry = &json_file(home, file)[container][server];
    let args = entry["args"].as_array().unwrap_or_else(|| panic!("no arguments in {entry}"));
    args.iter().map(|arg| arg.as_str().expect("a text").to_owned()).collect()
}

/// Starts an entry of a client's file as the client would, and returns what it printed.
fn start(home: &Sandbox, entry: &Value, vars: &[(&str, &str)]) -> Ran {
    let command = entry["command"].as_str().expect("a command");
    assert_eq!(command, PROGRAM);
    let args: Vec<&str> =
        entry["args"].as_array().expect("arguments").iter().filter_map(Value::as_str).collect();
    let mut started = home.command(&args);
    started.envs(vars.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Clients start servers wherever they happen to be.
    started.current_dir("/");
    let mut child = started.spawn().expect("it starts");
    // A server that never started reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(b"hello\n");
    Ran::from(child.wait_with_output().expect("it ends"))
}

const SHOW: &str =
    "command: sh, args: [-c, 'echo \"$T/$1\"; pwd; cat', x, 'arg=${secret:s}'], env: { T: '${secret:s}' }";

#[test]
fn exec_looks_references_up_and_becomes_the_server() {
    let home = with_secret(&format!(
        "version: 1\nsecrets: {{ s: {{ file: secret.txt }} }}\nservers:\n  a: {{ {SHOW}, cwd: '${{home}}' }}\nclients:\n  cursor: {{ servers: [a] }}\n"
    ));
    apply(&home).exits(0);
    assert!(!home.read(CURSOR).contains(VALUE));
    let entry = &json_file(&home, CURSOR)["mcpServers"]["a"];
    let ran = start(&home, entry, &[]).exits(0);
    let dir = home.home();
    assert_eq!(ran.out, format!("{VALUE}/arg={VALUE}\n{}\nhello\n", dir.display()));
    assert_eq!(ran.err, "");
}

#[test]
fn after_the_start_nothing_of_mcpkeel_is_left() {
    let home = with_secret(
        "version: 1\nsecrets: { s: { file: secret.txt } }\nservers:\n  a: { command: sh, args: [-c, 'echo $$; readlink /proc/$$/exe; read line'], env: { T: '${secret:s}' } }\n",
    );
    let mut child =
        home.command(&["exec", "a"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let pid = child.id().to_string();
    drop(child.stdin.take());
    let out = String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("text");
    assert_eq!(out.lines().next(), Some(pid.as_str()), "the server has our process id");
    if cfg!(target_os = "linux") {
        assert!(!out.contains("mcpkeel"), "{out}");
    }
}

#[test]
fn a_manifest_that_changed_after_apply_starts_nothing() {
    let text = format!(
        "version: 1\nvars: {{ word: one }}\nsecrets: {{ s: {{ file: secret.txt }} }}\nservers:\n  a: {{ {SHOW} }}\n  b: {{ command: 'echo', args: ['${{var:word}}'] }}\nclients:\n  cursor: {{ servers: [a, b], delivery: exec }}\n"
    );
    let home = with_secret(&text);
    apply(&home).exits(0);
    let file = json_file(&home, CURSOR);
    for (server, from, to) in [
        ("a", "command: sh", "command: bash"),
        ("a", "arg=", "other="),
        ("a", "file: secret.txt", "command: [cat, secret.txt]"),
        ("b", "word: one", "word: two"),
    ] {
        home.write("mcp.yaml", text.replace(from, to));
        let ran = start(&home, &file["mcpServers"][server], &[]).exits(6);
        says(&ran, "not what was applied");
        assert_eq!(ran.out, "");
        assert!(steps(&home, &[]).contains(&format!("cursor {server} update")), "{from}");
    }
    home.write("mcp.yaml", text.replace("version: 1\n", "version: 1\n# a remark\n"));
    start(&home, &file["mcpServers"]["b"], &[]).exits(0);
}

#[test]
fn plan_says_how_and_why_and_what_is_started() {
    let home = with_secret(
        "version: 1\nsecrets: { s: { file: secret.txt } }\nservers:\n  plain: { command: a }\n  secret: { command: a, args: ['--token', 'ghp_0123456789abcdefABCDEF0123'], env: { T: '${secret:s}' } }\n  \
         remote: { url: 'https://example.com/mcp' }\n  filtered: { command: a, tools: { deny: [rm] } }\nclients:\n  claude-desktop: { servers: ['*'] }\n",
    );
    let ran = home.run(&["plan"]).exits(0);
    for said in [
        "plain     create  new in the manifest; direct",
        "exec: needs `s` at launch",
        "exec: Claude Desktop does not speak streamable HTTP",
        "exec: Claude Desktop cannot hide the tools",
        "`remote` for claude-desktop opens: https://example.com/mcp",
        "`secret` for claude-desktop starts: a --token •••••• (with T); secrets: s from the file secret.txt",
    ] {
        says(&ran, said);
    }
    let plan = json_of(&home, &["plan"]);
    let step =
        plan["files"][0]["steps"].as_array().expect("steps").iter().find(|step| step["server"] == "remote");
    assert_eq!(step.expect("a step")["starts"], "https://example.com/mcp");
}

#[test]
fn variables_that_a_launch_needs_are_passed_on_by_the_client() {
    let text = "version: 1\nsecrets: { e: { env: MY_TOKEN } }\nservers:\n  a: { command: sh, args: [-c, 'echo $T'], env: { T: 'x-${secret:e}' } }\nclients:\n  codex: { servers: [a], delivery: exec }\n  cursor: { servers: [a], delivery: exec }\n";
    let home = applied(text);
    assert!(home.read(".codex/config.toml").contains("env_vars = [\"MY_TOKEN\"]"));
    let entry = &json_file(&home, CURSOR)["mcpServers"]["a"];
    assert_eq!(entry["env"], json!({ "MY_TOKEN": "${env:MY_TOKEN}" }));
    assert_eq!(start(&home, entry, &[("MY_TOKEN", "five")]).exits(0).out, "x-five\n");
    says(&start(&home, entry, &[]).exits(1), "MY_TOKEN is not set");
}

#[test]
fn a_client_without_a_syntax_for_variables_goes_through_exec() {
    let home = applied(
        "version: 1\nservers:\n  a: { command: a, env: { T: '${env:OTHER}' } }\nclients:\n  zed: { servers: [a] }\n  warp: { servers: [a] }\n",
    );
    assert_eq!(args(&home, ".warp/.mcp.json", "mcpServers", "a")[..2], ["exec", "a"]);
    assert!(!home.read(".config/zed/settings.json").contains("OTHER"));
}

#[test]
fn a_filter_that_the_client_cannot_express_names_the_client_block() {
    let text = "version: 1\nservers:\n  a: { command: a, tools: { deny: [rm] } }\nclients:\n  cursor: { servers: [a] }\n  codex: { servers: [a], delivery: exec }\n";
    let home = applied(text);
    assert_eq!(args(&home, CURSOR, "mcpServers", "a")[..4], ["exec", "a", "--client", "cursor"]);
    // Codex hides the tool itself, so nothing stands between it and the server.
    let codex = home.read(".codex/config.toml");
    assert!(codex.contains("disabled_tools = [\"rm\"]") && !codex.contains("--client"), "{codex}");
    home.write("mcp.yaml", text.replace("deny: [rm]", "deny: [rm, mv]"));
    assert_eq!(steps(&home, &[]), ["cursor a update", "codex a update"]);
}

#[test]
fn a_projects_file_holds_no_path_of_this_machine() {
    let home = Sandbox::new();
    home.write(
        "src/work/mcp.yaml",
        "version: 1\nservers:\n  a: { command: a }\nclients:\n  work: { client: cursor, root: ., servers: [a], delivery: exec }\n",
    );
    home.run(&["apply", "--yes", "-f", "src/work/mcp.yaml"]).exits(0);
    let entry = &json_file(&home, "src/work/.cursor/mcp.json")["mcpServers"]["a"];
    assert_eq!(entry["command"], "mcpkeel");
    assert_eq!(entry["args"][3], "mcp.yaml");
}

#[test]
fn the_program_can_be_named() {
    let home = applied(
        "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a], delivery: exec }\nsettings: { program: keel }\n",
    );
    assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"]["command"], "keel");
}

#[test]
fn a_secret_is_written_where_the_block_says_so_and_the_file_is_closed() {
    let text = "version: 1\nsecrets: { s: { file: secret.txt } }\nservers:\n  a: { command: a, env: { T: '${secret:s}' } }\nclients:\n  cursor: { servers: [a], secrets: write }\n  kiro: { servers: [a] }\n";
    let home = with_secret(text);
    home.write(CURSOR, "{\"mcpServers\": {}}\n");
    let ran = home.run(&["plan"]).exits(0);
    says(&ran, "WRITES the value of `s` into the file");
    assert!(!format!("{}{}", ran.out, ran.err).contains(VALUE), "{}", ran.out);
    let applied = apply(&home).exits(0);
    assert!(!format!("{}{}", applied.out, applied.err).contains(VALUE));
    let mode = || fs::metadata(home.path(CURSOR)).expect("there").permissions().mode() & 0o777;
    assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"]["env"]["T"], VALUE);
    assert_eq!(mode(), 0o600);
    home.run(&["verify"]).exits(0);
    assert!(!home.read(".kiro/settings/mcp.json").contains(VALUE));

    // Opened by somebody, it is closed again; a new value is written.
    fs::set_permissions(home.path(CURSOR), fs::Permissions::from_mode(0o644)).expect("opened");
    says(&home.run(&["plan"]), "exposed:");
    home.run(&["verify"]).exits(2);
    apply(&home).exits(0);
    assert_eq!(mode(), 0o600);
    home.write("secret.txt", "another value");
    assert_eq!(steps(&home, &[])[0], "cursor a update");
    apply(&home).exits(0);
    assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"]["env"]["T"], "another value");
}

#[test]
fn a_value_that_a_client_would_expand_again_is_warned_of() {
    let home = home(
        "version: 1\nservers:\n  a: { command: a, env: { T: '${env:MY_TOKEN}' } }\nclients:\n  gemini-cli: { servers: [a] }\n  claude-code: { servers: [a] }\n",
    );
    let plan = |value: &str| {
        let output = home.command(&["plan"]).env("MY_TOKEN", value).output().expect("it starts");
        let ran = Ran::from(output).exits(0);
        assert!(!ran.err.contains(value) && !ran.out.contains(value));
        ran.err
    };
    let said = plan("pa$sword-x");
    assert!(
        said.contains("Gemini CLI expands what it put in once more") && !said.contains("Claude Code expands"),
        "{said}"
    );
    assert!(!plan("password-x").contains("once more"));
}

#[test]
fn the_lines_of_a_long_secret_are_hidden_as_well() {
    let text = "version: 1\nsecrets: { s: { file: secret.txt } }\nservers:\n  a: { command: a, env: { T: '${secret:s}' } }\nclients:\n";
    for client in ["goose", "codex", "cursor", "continue", "zed"] {
        let home = with_secret(&format!("{text}  {client}: {{ servers: [a], secrets: write }}\n"));
        home.write("secret.txt", "-----BEGIN-----\nplain line one\n  plain line two\n-----END-----\n");
        for args in [
            &["plan"][..],
            &["plan", "--format", "json"],
            &["plan", "--format", "markdown"],
            &["apply", "--yes"],
        ] {
            let ran = home.run(args).exits(0);
            assert!(
                !ran.out.contains("plain line") && !ran.err.contains("plain line"),
                "{client}: {}",
                ran.out
            );
        }
    }
}

#[test]
fn looking_at_a_manifest_runs_no_program_of_it() {
    let home = home(
        "version: 1\nsecrets: { s: { command: [touch, ran] }, t: { command: [sh, -c, 'touch ran; echo x'] } }\nservers:\n  a: { command: a, env: { T: '${secret:s}', U: '${secret:t}' } }\n\
         clients:\n  cursor: { servers: [a], secrets: write }\n  kiro: { servers: [a] }\n  codex: { servers: [a], secrets: write, delivery: direct }\n",
    );
    for args in [
        &["validate"][..],
        &["plan"],
        &["verify"],
        &["status"],
        &["diff"],
        &["doctor"],
        &["apply", "--yes"],
        &["secret", "list"],
        &["secret", "scan"],
    ] {
        home.run(args);
        assert!(!home.exists("ran"), "{args:?}");
    }
    assert_eq!(args(&home, CURSOR, "mcpServers", "a")[..2], ["exec", "a"]);
    says(&home.run(&["plan", "-v"]), "which is not run to look at a manifest");
    assert!(steps(&home, &[]).contains(&"codex a blocked".to_owned()));
}

#[test]
fn a_secret_that_cannot_be_had_blocks_only_where_it_is_written() {
    let home = home(
        "version: 1\nsecrets: { s: { file: secret.txt } }\nservers:\n  a: { command: a, env: { T: '${secret:s}' } }\n  b: { command: b }\nclients:\n  cursor: { servers: ['*'], secrets: write }\n  kiro: { servers: ['*'] }\n",
    );
    assert_eq!(steps(&home, &[]), ["cursor a blocked", "cursor b create", "kiro a create", "kiro b create"]);
    says(&apply(&home).exits(6), "secret.txt");
}

#[test]
fn exec_says_what_is_wrong() {
    let home = home(
        "version: 1\nsecrets: { s: { file: secret.txt }, odd: { env: NOT_SET } }\nservers:\n  a: { command: a, env: { T: '${secret:s}' } }\n  none: { command: /no/such/program }\n  \
         e: { command: a, env: { T: '${secret:odd}' } }\n  away: { command: a, when: { os: windows } }\nclients:\n  cursor: { servers: [a] }\n",
    );
    for (args, code, said) in [
        (&["exec", "a"][..], 1, "secret.txt"),
        (&["exec", "e"], 1, "NOT_SET is not set"),
        (&["exec", "none"], 1, "cannot be started"),
        (&["exec", "nine"], 64, "did you mean `none`?"),
        (&["exec", "away"], 64, "not for this machine"),
        (&["exec", "a", "--client", "kiro"], 64, "no client block `kiro`"),
        (&["exec", "none", "--client", "cursor"], 64, "not for this machine or this client"),
    ] {
        let ran = home.run(args).exits(code);
        says(&ran, said);
        assert_eq!(ran.out, "", "standard output is the client's");
    }
    home.write("mcp.yaml", "version: 1\nservers: [");
    home.run(&["exec", "a"]).exits(3);
}

#[test]
fn entries_of_ours_are_not_imported() {
    let home = applied(
        "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a], delivery: exec }\n",
    );
    fs::remove_file(home.path("mcp.yaml")).expect("removed");
    home.run(&["init"]).exits(0);
    assert!(!home.read("mcp.yaml").contains("exec"), "{}", home.read("mcp.yaml"));
}
