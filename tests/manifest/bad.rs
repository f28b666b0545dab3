//! Bad manifests and what is said about them.
//!
//! `bad/*.txt` holds cases: a line `=== name`, the manifest, a line `---`, the rendered text.
//! `MCPKEEL_BLESS=1 cargo test` writes what is said now; read the diff.

use std::fs;
use std::path::PathBuf;

use mcpkeel::cli::diagnostics;
use mcpkeel::manifest;

use crate::support::repo;

/// Known clients for these cases.
pub const CLIENTS: &[&str] = &["claude-code", "cursor", "vscode", "zed", "codex"];

fn said(yaml: &str) -> String {
    // `<<< name` starts a further file of the same set.
    let mut files = Vec::new();
    for (index, part) in format!("mcp.yaml\n{yaml}").split("<<< ").enumerate() {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        let bytes = text
            .replace("<TAB>", "\t")
            .replace("<CR>", "\r")
            .replace("<BOM>", "\u{feff}")
            .replace("<NUL>", "\0");
        files.push(manifest::validate_fully(if index == 0 { "mcp.yaml" } else { name }, bytes.into_bytes()));
    }
    let found = manifest::check(&files, CLIENTS);
    let own = files.iter().flat_map(|parsed| parsed.diagnostics.clone());
    diagnostics::text(&own.chain(found).collect::<Vec<_>>(), false)
}

#[test]
fn says_what_is_wrong_with_bad_manifests() {
    let bless = std::env::var_os("MCPKEEL_BLESS").is_some();
    let mut cases = 0;
    let mut failures = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(repo().join("tests/manifest/bad"))
        .expect("the directory of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a readable file");
        let mut blessed = String::new();
        for case in text.split("=== ").skip(1) {
            let (name, rest) = case.split_once('\n').expect("a name");
            let (yaml, expected) = rest.split_once("\n----\n").unwrap_or((rest.trim_end_matches('\n'), ""));
            let said = said(&format!("{yaml}\n"));
            cases += 1;
            blessed += &format!("=== {name}\n{yaml}\n----\n{}\n\n", said.trim_end());
            if said.trim_end() != expected.trim_end() {
                failures.push(format!("{name}\nexpected:\n{}\n\nsaid:\n{said}", expected.trim_end()));
            }
        }
        if bless {
            fs::write(&path, blessed).expect("written");
        }
    }
    assert!(cases >= 40, "only {cases} cases");
    assert!(bless || failures.is_empty(), "{}", failures.join("\n\n"));
}
