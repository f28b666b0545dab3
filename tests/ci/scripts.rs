//! The scripts around the program, with fakes of `gh` and `curl` that write down what they are asked for.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::clone;
use crate::secrets::tools;
use crate::support::{Ran, Sandbox, repo};

/// Lists the comments of a file, as the filter wants them; keeps the body of what is written.
const GH: &str = r#"#!/usr/bin/env bash
echo "$*" >> "$HOME/asked"
while [ $# -gt 0 ]; do
  case $1 in
    --jq) jq -r "$2" "$HOME/comments.json" ;;
    body=@*) cp "${1#body=@}" "$HOME/body" ;;
  esac
  shift
done
"#;

/// The same for GitLab; a token that does not come in a header is none.
const CURL: &str = r#"#!/usr/bin/env bash
echo "$*" >> "$HOME/asked"
listing=yes
while [ $# -gt 0 ]; do
  case $1 in
    --config) grep -q '^header = "PRIVATE-TOKEN: hush"$' "$2" || exit 22 ;;
    --request) listing= ;;
    body=\<*) cp "${1#body=<}" "$HOME/body" ;;
    *page=2) echo '[]'; exit ;;
  esac
  shift
done
[ -z "$listing" ] || cat "$HOME/comments.json"
"#;

fn install(home: &Sandbox, name: &str, text: &str) {
    let path = home.write(&format!("bin/{name}"), text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// A script of the repository, in the team's directory, with the program and the fakes on its PATH.
fn bash(home: &Sandbox, dir: &Path, script: &str, env: &[(&str, &str)]) -> Ran {
    if !home.exists("bin/mcpkeel") {
        std::fs::create_dir_all(home.path("bin")).expect("a directory");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mcpkeel"), home.path("bin/mcpkeel")).expect("a link");
    }
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").expect("PATH"));
    let mut command = Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(dir).env_clear();
    command.env("HOME", home.home()).env("PATH", path).env("RUNNER_TEMP", home.home());
    command.envs(env.iter().copied());
    Ran::from(command.output().expect("bash starts"))
}

/// The last thing that was asked for.
fn last(home: &Sandbox) -> String {
    home.read("asked").lines().last().expect("something was asked").to_owned()
}

fn comments(home: &Sandbox, bodies: &[&str]) {
    let list: Vec<Value> =
        bodies.iter().zip(7..).map(|(body, id)| json!({ "id": id, "body": body, "system": false })).collect();
    home.write("comments.json", json!(list).to_string());
}

#[test]
fn a_pull_request_gets_one_comment_that_is_changed_later() {
    if !tools::are_there(&["bash", "jq"]) {
        return;
    }
    let home = Sandbox::new();
    install(&home, "gh", GH);
    home.write("plan.md", "<!-- mcpkeel plan: mcp.yaml -->\n### mcpkeel plan\nnew\n");
    let script = repo().join(".github/action/comment");
    let script = format!("'{}'", script.display());
    let plan = home.path("plan.md");
    let env = [("REPOSITORY", "o/r"), ("NUMBER", "3"), ("PLAN", plan.to_str().expect("Unicode"))];

    comments(&home, &["hello", "<!-- mcpkeel plan: other.yaml -->\n"]);
    bash(&home, &home.home(), &script, &env).exits(0);
    assert!(last(&home).contains("--method POST repos/o/r/issues/3/comments"), "{}", last(&home));
    assert_eq!(home.read("body"), home.read("plan.md"));

    comments(
        &home,
        &["hello", "<!-- mcpkeel plan: other.yaml -->\n", "<!-- mcpkeel plan: mcp.yaml -->\nold"],
    );
    bash(&home, &home.home(), &script, &env).exits(0);
    assert!(last(&home).contains("--method PATCH repos/o/r/issues/comments/9"), "{}", last(&home));

    // Somebody who quotes the comment is not the comment.
    comments(&home, &["> <!-- mcpkeel plan: mcp.yaml -->\nlook"]);
    bash(&home, &home.home(), &script, &env).exits(0);
    assert!(last(&home).contains("--method POST"), "{}", last(&home));

    // A token that may not write is no reason to fail the job.
    install(&home, "gh", "#!/bin/sh\nexit 1\n");
    assert!(bash(&home, &home.home(), &script, &env).exits(0).out.starts_with("::warning::"));
}

#[test]
fn a_merge_request_gets_one_note_that_is_changed_later() {
    if !tools::are_there(&["bash", "jq"]) {
        return;
    }
    let (home, team) = clone();
    install(&home, "curl", CURL);
    std::fs::write(team.join("plan.md"), "<!-- mcpkeel plan: mcp.yaml -->\nnew\n").expect("written");
    let env = [
        ("CI_API_V4_URL", "https://gitlab.test/api/v4"),
        ("CI_PROJECT_ID", "5"),
        ("CI_MERGE_REQUEST_IID", "6"),
        ("MCPKEEL_TOKEN", "hush"),
    ];
    let notes = "https://gitlab.test/api/v4/projects/5/merge_requests/6/notes";

    comments(&home, &["hello"]);
    bash(&home, &team, ".gitlab/note plan.md", &env).exits(0);
    assert!(
        last(&home).ends_with(&format!("--request POST --form body=<plan.md {notes}")),
        "{}",
        last(&home)
    );
    assert_eq!(home.read("body"), "<!-- mcpkeel plan: mcp.yaml -->\nnew\n");

    comments(&home, &["hello", "<!-- mcpkeel plan: mcp.yaml -->\nold"]);
    bash(&home, &team, ".gitlab/note plan.md", &env).exits(0);
    assert!(
        last(&home).ends_with(&format!("--request PUT --form body=<plan.md {notes}/8")),
        "{}",
        last(&home)
    );

    // A full page is followed by the next one.
    comments(&home, &["hello"; 100]);
    bash(&home, &team, ".gitlab/note plan.md", &env).exits(0);
    assert!(home.read("asked").contains("page=2"));
    assert!(!home.read("asked").contains("hush"), "the token is an argument");
}

/// The lines of .gitlab-ci.yml themselves, but for what installs.
#[test]
fn the_job_for_gitlab_runs() {
    if !tools::are_there(&["bash", "jq"]) {
        return;
    }
    let (home, team) = clone();
    let text = std::fs::read_to_string(team.join(".gitlab-ci.yml")).expect("readable");
    let job: Value = serde_yaml::from_str(&text).expect("YAML");
    let lines: Vec<&str> = job["mcp"]["script"]
        .as_array()
        .expect("a script")
        .iter()
        .map(|line| line.as_str().expect("a line"))
        .collect();
    let script = lines.join("\n");
    bash(&home, &team, &script, &[]).exits(0);
    let report = std::fs::read_to_string(team.join("gl-code-quality-report.json")).expect("a report");
    assert_eq!(report.trim(), "[]");
    assert!(
        std::fs::read_to_string(team.join("plan.md"))
            .expect("a plan")
            .starts_with("<!-- mcpkeel plan: mcp.yaml -->")
    );
    std::fs::write(team.join(".mcp.json"), "{}\n").expect("written");
    bash(&home, &team, &script, &[]).exits(2);
}

/// The steps of the action that are scripts, as GitHub would run them.
#[test]
fn the_action_passes_fails_and_reports() {
    if !tools::are_there(&["bash", "jq"]) {
        return;
    }
    let action = std::fs::read_to_string(repo().join(".github/action/action.yml")).expect("readable");
    let action: Value = serde_yaml::from_str(&action).expect("YAML");
    let step = |name: &str| -> String {
        let steps = action["runs"]["steps"].as_array().expect("steps");
        let step = steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step {name}"));
        step["run"].as_str().expect("a script").to_owned()
    };
    let (home, team) = clone();
    install(&home, "gh", GH);
    comments(&home, &[]);
    let (output, summary) = (home.path("output"), home.path("summary"));
    let env = [
        ("MANIFEST", "mcp.yaml"),
        ("GITHUB_OUTPUT", output.to_str().expect("Unicode")),
        ("GITHUB_STEP_SUMMARY", summary.to_str().expect("Unicode")),
    ];
    bash(&home, &team, &step("Validate"), &env).exits(0);
    serde_json::from_str::<Value>(&home.read("mcpkeel.sarif")).expect("a report");
    bash(&home, &team, &step("Plan"), &env).exits(0);
    assert!(home.read("output").contains("pending=false\n"), "{}", home.read("output"));
    std::fs::write(team.join(".mcp.json"), "{}\n").expect("written");
    bash(&home, &team, &step("Plan"), &env).exits(0);
    assert!(home.read("output").contains("pending=true\n"), "{}", home.read("output"));
    assert!(home.read("summary").contains("### mcpkeel plan"));
    bash(&home, &team, &step("Drift"), &env).exits(2);
    std::fs::write(team.join("mcp.yaml"), "version: 1\nserverz: 1\n").expect("written");
    bash(&home, &team, &step("Validate"), &env).exits(3);
    assert!(home.read("mcpkeel.sarif").contains("serverz"));
}
