//! A client that writes the value of a secret back into its file.

use super::{home, json_file, json_of, says, steps};
use crate::support::{Ran, Sandbox};

/// A value that no rule would take for a secret by its look.
const VALUE: &str = "plain-word";

const CURSOR: &str = ".cursor/mcp.json";

fn run(home: &Sandbox, args: &[&str]) -> Ran {
    let output = home.command(args).env("MY_TOKEN", VALUE).output().expect("it starts");
    let ran = Ran::from(output);
    assert!(
        !ran.out.contains(VALUE) && !ran.err.contains(VALUE),
        "{args:?} shows it:\n{}{}",
        ran.out,
        ran.err
    );
    ran
}

fn manifest(block: &str) -> String {
    format!(
        "version: 1\nsecrets: {{ t: {{ env: MY_TOKEN }} }}\nservers:\n  a: {{ command: a, args: ['--key', '${{secret:t}}'], env: {{ T: '${{secret:t}}' }} }}\n  \
         b: {{ url: 'https://example.com/mcp', headers: {{ Authorization: 'Bearer ${{env:MY_TOKEN}}' }} }}\nclients:\n  {block}\n"
    )
}

#[test]
fn a_value_in_place_of_a_reference_is_a_leak_and_repaired_under_every_policy() {
    for policy in ["repair", "report", "adopt"] {
        let home = home(&manifest(&format!("cursor: {{ servers: ['*'], drift: {policy} }}")));
        run(&home, &["apply", "--yes"]).exits(0);
        let live = home.read(CURSOR);
        home.write(CURSOR, live.replace("${env:MY_TOKEN}", VALUE));
        let manifest = home.read("mcp.yaml");

        let ran = run(&home, &["plan"]).exits(0);
        for said in [
            "LEAK: the value of a secret stands in args, env.T",
            "LEAK: the value of a secret stands in headers.Authorization",
        ] {
            says(&ran, said);
        }
        run(&home, &["verify"]).exits(2);
        says(&run(&home, &["adopt"]).exits(0), "never goes into a manifest");
        run(&home, &["apply", "--yes"]).exits(0);
        assert_eq!(home.read(CURSOR), live, "{policy}");
        assert_eq!(home.read("mcp.yaml"), manifest, "{policy}");
        run(&home, &["diff"]);
        run(&home, &["history"]).exits(0);
    }
}

#[test]
fn what_looks_like_a_secret_in_place_of_a_reference_is_a_leak_too() {
    let home = home(&manifest("cursor: { servers: [a], drift: report }"));
    run(&home, &["apply", "--yes"]).exits(0);
    let token = ["ghp", "_0123456789abcdefABCDEF0123"].concat();
    let live = home.read(CURSOR);
    home.write(CURSOR, live.replace("\"T\": \"${env:MY_TOKEN}\"", &format!("\"T\": \"{token}\"")));
    says(&run(&home, &["plan"]), "LEAK");
    // Other drift is not.
    home.write(CURSOR, live.replace("\"--key\"", "\"--other\""));
    assert_eq!(steps(&home, &[]), ["cursor a report"]);
}

#[test]
fn names_of_variables_in_place_of_values_leak_as_well() {
    let home = home(&manifest("codex: { servers: ['*'] }"));
    run(&home, &["apply", "--yes"]).exits(0);
    let live = home.read(".codex/config.toml");
    home.write(
        ".codex/config.toml",
        live.replace(
            "bearer_token_env_var = \"MY_TOKEN\"",
            &format!("http_headers = {{ Authorization = \"Bearer {VALUE}\" }}"),
        ),
    );
    says(&run(&home, &["plan"]), "LEAK");
    run(&home, &["apply", "--yes"]).exits(0);
    assert_eq!(home.read(".codex/config.toml"), live);
}

#[test]
fn a_leak_is_told_to_programs() {
    let home = home(&manifest("cursor: { servers: [a] }"));
    run(&home, &["apply", "--yes"]).exits(0);
    home.write(CURSOR, home.read(CURSOR).replace("${env:MY_TOKEN}", VALUE));
    let ran = run(&home, &["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(plan["files"][0]["steps"][0]["leak"], true);
    // Without the variable it is still drift, and shown without the value.
    assert_eq!(json_of(&home, &["plan"])["files"][0]["steps"][0]["action"], "repair");
    assert_eq!(json_file(&home, CURSOR)["mcpServers"]["a"]["command"], "a");
}
