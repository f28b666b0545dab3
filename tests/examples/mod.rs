//! Every example and every ready server is right: it validates, and what is a manifest of its own can be planned.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Sandbox, repo};

#[test]
fn every_example_validates() {
    for manifest in examples() {
        let home = Sandbox::new();
        let ran = home.run(&["-f", text(&manifest), "validate", "--strict"]);
        assert_eq!(ran.code, 0, "{}\n{}{}", manifest.display(), ran.out, ran.err);
    }
}

#[test]
fn every_example_is_laid_out_as_fmt_does() {
    for manifest in examples().into_iter().chain(ready_servers()) {
        let home = Sandbox::new();
        let ran = home.run(&["-f", text(&manifest), "fmt", "--check"]);
        assert_eq!(ran.code, 0, "{}\n{}{}", manifest.display(), ran.out, ran.err);
    }
}

#[test]
fn every_example_plans_and_writes_nothing() {
    for manifest in complete() {
        let home = Sandbox::new();
        let ran = home.run(&["-f", text(&manifest), "plan", "--format", "json"]);
        assert_eq!(ran.code, 0, "{}\n{}{}", manifest.display(), ran.out, ran.err);
        let plan: Value = serde_json::from_str(&ran.out).expect("JSON");
        // The team's repository carries the files that it describes.
        let changes = !manifest.ends_with("team-ci/mcp.yaml");
        assert_eq!(plan["changes"], json!(changes), "{}: {plan}", manifest.display());
        let made = fs::read_dir(home.home()).expect("the home directory").count();
        assert_eq!(made, 0, "{}: the plan wrote something", manifest.display());
    }
}

/// Nothing that an example says may lead out of the home directory or the example's own.
#[test]
fn every_example_stays_where_it_belongs() {
    for manifest in complete() {
        let home = Sandbox::new();
        let ran = home.run(&["-f", text(&manifest), "plan", "--format", "json"]).exits(0);
        let plan: Value = serde_json::from_str(&ran.out).expect("JSON");
        for file in plan["files"].as_array().expect("files") {
            let path = Path::new(file["path"].as_str().expect("a path"));
            let belongs =
                path.starts_with(home.home()) || path.starts_with(manifest.parent().expect("a directory"));
            assert!(belongs, "{} would write {}", manifest.display(), path.display());
        }
    }
}

#[test]
fn the_laptop_and_the_minimal_example_can_be_applied_whole() {
    for example in ["examples/mcp.yaml", "examples/minimal/mcp.yaml", "examples/dotfiles/mcp.yaml"] {
        let home = Sandbox::new();
        let manifest = repo().join(example);
        let ran = home.run(&["-f", text(&manifest), "apply", "--yes", "--format", "json"]).exits(0);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(report["refused"], json!(false), "{example}: {report}");
        home.run(&["-f", text(&manifest), "verify"]).exits(0);
        assert!(home.read(".claude.json").contains("mcp-server-time"), "{example}");
    }
}

#[test]
fn every_ready_server_can_be_included() {
    let home = Sandbox::new();
    let mut names = Vec::new();
    for file in ready_servers() {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        home.run(&["-f", text(&file), "validate", "--strict"]).exits(0);
        home.write(&format!("servers/{name}.yaml"), fs::read(&file).expect("readable"));
        names.push(name);
    }
    assert!(names.len() >= 10, "{names:?}");
    home.write(
        "mcp.yaml",
        "version: 1\ninclude: [servers/*.yaml]\nclients:\n  claude-code: { servers: ['*'] }\n",
    );
    home.run(&["apply", "--yes"]).exits(0);
    let file: Value = serde_json::from_str(&home.read(".claude.json")).expect("JSON");
    let servers = file["mcpServers"].as_object().expect("servers");
    assert_eq!(
        servers.keys().cloned().collect::<std::collections::BTreeSet<_>>(),
        names.into_iter().collect()
    );
}

#[test]
#[cfg(unix)]
fn the_tour_of_the_readme_runs() {
    let home = Sandbox::new();
    let output = std::process::Command::new(repo().join("examples/try"))
        .env("MCPKEEL", env!("CARGO_BIN_EXE_mcpkeel"))
        .env("TMPDIR", home.home())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("examples/try starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert_eq!(fs::read_dir(home.home()).expect("readable").count(), 0, "it left something behind\n{said}");
}

/// Manifests that stand on their own; the files they include are not among them.
fn examples() -> Vec<PathBuf> {
    let root = repo().join("examples");
    let mut found = vec![root.join("full.yaml"), root.join("mcp.yaml")];
    for entry in fs::read_dir(&root).expect("examples") {
        let manifest = entry.expect("an entry").path().join("mcp.yaml");
        if manifest.is_file() {
            found.push(manifest);
        }
    }
    found.sort();
    assert!(found.len() >= 5);
    found
}

/// Those that need no repository to be fetched; `source::signatures` plans the other one.
fn complete() -> Vec<PathBuf> {
    examples().into_iter().filter(|manifest| !manifest.ends_with("source/mcp.yaml")).collect()
}

fn ready_servers() -> Vec<PathBuf> {
    let entries = fs::read_dir(repo().join("manifests/servers")).expect("manifests/servers");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}
