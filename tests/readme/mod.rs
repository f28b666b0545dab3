//! What README.md says about clients is what their rows say.
//!
//! `MCPKEEL_BLESS=1 cargo test readme` writes the table anew.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::repo;

const BEGIN: &str = "<!-- clients: generated, see tests/readme -->\n";
const END: &str = "<!-- /clients -->";

#[test]
fn the_generated_client_table_is_in_step_with_the_rows() {
    let path = repo().join("README.md");
    let readme = fs::read_to_string(&path).expect("README.md").replace("\r\n", "\n");
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the marker");
    let (_, after) = rest.split_once(END).expect("README.md has the end marker");
    let table = table();
    let wanted = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("MCPKEEL_BLESS").is_some() {
        fs::write(&path, wanted).expect("README.md is written");
    } else {
        let hint = "`MCPKEEL_BLESS=1 cargo test` writes it anew";
        assert!(readme == wanted, "the client table in README.md is stale; {hint}\n{table}");
    }
}

/// Links and commands of README.md lead somewhere.
#[test]
fn the_readme_names_files_that_exist() {
    let readme = fs::read_to_string(repo().join("README.md")).expect("README.md");
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let file = link.split('#').next().unwrap_or_default();
        if !file.is_empty() && !file.contains("://") {
            assert!(repo().join(file).exists(), "README.md links to {file}");
        }
    }
    for script in ["./examples/try", "./.ci/test"] {
        assert!(readme.contains(script) && repo().join(script).is_file(), "{script}");
    }
}

fn table() -> String {
    let mut rows: Vec<(String, Value)> = files()
        .into_iter()
        .map(|path| {
            let id = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("readable");
            (id, serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    // Those in use first, by name.
    rows.sort_by_key(|(_, row)| (!word(row, "status").is_empty(), word(row, "name").to_lowercase()));
    let mut text = "| client | id | file | format | remote | switch off | tool filter | facts |\n".to_owned();
    text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (id, row) in rows {
        let cells =
            [name(&row), format!("`{id}`"), places(&row), word(&row, "format").to_uppercase(), remote(&row)]
                .into_iter()
                .chain([switch(&row), filter(&row), facts(&row)]);
        text.push_str(&format!(
            "| {} |\n",
            cells.map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | ")
        ));
    }
    text
}

fn files() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(repo().join("manifests/clients")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

fn name(row: &Value) -> String {
    match word(row, "status") {
        "" | "active" => word(row, "name").to_owned(),
        status => format!("{} ({status})", word(row, "name")),
    }
}

/// The place on each system, said once where it is the same.
fn places(row: &Value) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for (os, name) in [("all", ""), ("linux", "Linux"), ("macos", "macOS"), ("windows", "Windows")] {
        let Some(place) = candidates(&row["path"][os]).pop() else { continue };
        match lines.iter_mut().find(|(_, other)| *other == place) {
            Some((names, _)) => *names = format!("{names}, {name}"),
            None => lines.push((name.to_owned(), place)),
        }
    }
    // A project's new file is the first of several.
    if let Some(place) = candidates(&row["project"]["path"]).into_iter().next() {
        lines.push(("project".to_owned(), place));
    }
    let line = |(names, place): (String, String)| {
        if names.is_empty() { code(&place) } else { format!("{names}: {}", code(&place)) }
    };
    lines.into_iter().map(line).collect::<Vec<_>>().join("<br>")
}

/// Places where a new file may go, as people write them. The last is the usual one of a user.
fn candidates(one_or_many: &Value) -> Vec<String> {
    let all = match one_or_many {
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        one => Vec::from_iter(one.as_str()),
    };
    let known = |path: &str| {
        path.replace("${XDG_CONFIG_HOME:-~/.config}", "~/.config")
            .replace("${APPDATA}", "%APPDATA%")
            .replace("${LOCALAPPDATA}", "%LOCALAPPDATA%")
    };
    all.into_iter().filter(|path| !path.starts_with('?')).map(known).collect()
}

fn remote(row: &Value) -> String {
    match (row["http"].is_object(), row["sse"].is_object()) {
        (true, true) => "HTTP, SSE",
        (true, false) => "HTTP",
        (false, true) => "SSE",
        (false, false) => "no",
    }
    .to_owned()
}

fn switch(row: &Value) -> String {
    let disable = &row["disable"];
    ["field", "list", "set"]
        .iter()
        .find_map(|kind| disable[kind].as_str())
        .map_or("entry left out".to_owned(), code)
}

fn filter(row: &Value) -> String {
    let has = |field: &str| row["tools"][field].is_string();
    match (has("allow"), has("deny") || has("deny_member")) {
        (true, true) => "allow, deny",
        (true, false) => "allow",
        (false, true) => "deny",
        (false, false) => "no",
    }
    .to_owned()
}

fn facts(row: &Value) -> String {
    match word(row, "confidence") {
        "seen" => "client run",
        "high" => "its source or docs",
        "medium" => "several sources",
        _ => "one source",
    }
    .to_owned()
}

fn word<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn code(text: impl AsRef<str>) -> String {
    format!("`{}`", text.as_ref())
}
