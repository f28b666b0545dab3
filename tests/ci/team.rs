//! What examples/team-ci promises: a machine that never applied finds the committed files right, or not.

use std::path::Path;

use super::clone;
use crate::support::{Ran, Sandbox};

const FILES: [&str; 4] = [".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json", ".gemini/settings.json"];

#[track_caller]
fn verify(home: &Sandbox, team: &Path, code: i32) -> Ran {
    let ran = Ran::from(home.command(&["verify"]).current_dir(team).output().expect("it starts")).exits(code);
    assert!(!home.exists(".local"), "verify wrote state");
    ran
}

#[test]
fn the_committed_files_are_what_the_manifest_says() {
    let (home, team) = clone();
    verify(&home, &team, 0);
}

#[test]
fn an_edit_of_any_committed_file_is_noticed() {
    for file in FILES {
        let (home, team) = clone();
        let path = team.join(file);
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::write(&path, text.replace("mcp-server-git==", "mcp-server-git==9")).expect("written");
        assert!(verify(&home, &team, 2).out.contains("git"), "{file}");
        std::fs::remove_file(&path).expect("removed");
        verify(&home, &team, 2);
    }
}

#[test]
fn an_edit_of_the_manifest_alone_is_noticed() {
    let (home, team) = clone();
    let manifest = std::fs::read_to_string(team.join("mcp.yaml")).expect("readable");
    std::fs::write(team.join("mcp.yaml"), manifest.replace("git==", "git==9")).expect("written");
    verify(&home, &team, 2);
    let dropped = "  linear:\n    description: Issues; the client signs in by itself\n    url: https://mcp.linear.app/mcp\n";
    assert!(manifest.contains(dropped));
    std::fs::write(team.join("mcp.yaml"), manifest.replace(dropped, "")).expect("written");
    assert!(verify(&home, &team, 2).out.contains("remove"));
}

#[test]
fn apply_writes_the_committed_files() {
    let (home, team) = clone();
    let committed = FILES.map(|file| std::fs::read_to_string(team.join(file)).expect("readable"));
    FILES.iter().for_each(|file| std::fs::remove_file(team.join(file)).expect("removed"));
    let mut apply = home.command(&["apply", "--yes"]);
    Ran::from(apply.current_dir(&team).output().expect("it starts")).exits(0);
    assert_eq!(FILES.map(|file| std::fs::read_to_string(team.join(file)).expect("readable")), committed);
}
