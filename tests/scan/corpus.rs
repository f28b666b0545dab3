//! The whole corpus of clients' files, manifests and examples, in which nothing is a secret but what is
//! listed here; and the same files with a token planted, which must be found in every one of them.

use std::fs;
use std::path::{Path, PathBuf};

use mcpkeel::base::Pointer;
use mcpkeel::clients::catalog;
use mcpkeel::document::{Document, Format};
use mcpkeel::reconcile::scan::{Containers, Spot, search};

use super::token;
use crate::support::repo;

/// Everything in the corpus that is rightly taken for a secret.
const TRUE: &[&str] = &[];

fn corpus() -> Vec<PathBuf> {
    fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    ["tests/golden/cases", "manifests", "examples"]
        .iter()
        .for_each(|dir| collect(&repo().join(dir), &mut found));
    found.sort();
    assert!(found.len() > 400, "{}", found.len());
    found
}

/// Searches a file as the scan would: by the client's own containers, or as a manifest.
fn look(path: &Path, text: &str) -> Vec<Spot> {
    let name = path.file_name().expect("a name").to_string_lossy();
    let format = match path.extension().and_then(|end| end.to_str()) {
        Some("yaml" | "yml") => Format::Yaml,
        Some("toml") => Format::Toml,
        _ => Format::Jsonc,
    };
    let document = Document::parse(format, text.as_bytes().to_vec()).ok();
    let case = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let client = case.and_then(|id| catalog::find(&id)).filter(|_| !name.starts_with("mcp"));
    let containers: Vec<(Pointer, Option<String>)> =
        client.map(|client| client.containers(&client.at(path.to_owned()))).unwrap_or_default();
    let places = match (client.is_some(), name.starts_with("mcp") && format == Format::Yaml) {
        (true, _) => Containers::At(&containers),
        (false, true) => Containers::Manifest,
        (false, false) => Containers::Anywhere,
    };
    search(text, document.as_ref(), &places)
}

fn named(path: &Path, spot: &Spot) -> String {
    let file = path.strip_prefix(repo()).expect("inside").display().to_string().replace('\\', "/");
    let server = spot.server.as_deref().unwrap_or("-");
    format!("{file}:{}:{} {server} {} {}", spot.line, spot.column, spot.field, spot.looks)
}

#[test]
fn nothing_in_the_corpus_is_taken_for_a_secret() {
    let mut found = Vec::new();
    for path in corpus() {
        let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
        found.extend(look(&path, &text).iter().map(|spot| named(&path, spot)));
    }
    assert_eq!(found, TRUE);
}

#[test]
fn a_token_planted_in_any_clients_file_is_found() {
    let mut seen = 0;
    for path in corpus() {
        let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
        let is_client = path
            .file_stem()
            .is_some_and(|stem| ["foreign", "create", "update"].iter().any(|name| stem == *name));
        if !is_client || !text.contains("/srv/files") {
            continue;
        }
        seen += 1;
        let planted = text.replacen("/srv/files", &token(), 1);
        let found = look(&path, &planted);
        let file = path.display();
        assert_eq!(found.len(), 1, "{file}");
        assert_eq!(found[0].looks, "GitHub token", "{file}");
        assert!(
            found[0].server.is_some() && found[0].field.starts_with("argument"),
            "{file}: {}",
            found[0].field
        );
        let line = planted.lines().nth(found[0].line as usize - 1).expect("a line");
        let column = line.chars().skip(found[0].column as usize - 1).collect::<String>();
        assert!(column.starts_with(&token()), "{file}: {}:{}", found[0].line, found[0].column);
    }
    assert!(seen > 90, "{seen}");
}
