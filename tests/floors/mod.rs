//! The house stands as ARCHITECTURE.md draws it: imports go down only, and there is one door to the outside.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repo;

/// What the product may use of the operating system only below `src/system`.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
];

/// Uses of those that touch nothing outside.
const HARMLESS: &[&str] = &["std::process::ExitCode", "std::process::ExitStatus", "std::process::Stdio"];

/// Libraries that do what the standard library's modules do.
const DOORS: &[&str] = &["rustix", "libc", "windows_sys", "xattr"];

/// What tokio offers of the operating system, and the rooms that wait for other programs and machines with it.
const ASYNC_DOORS: &[&str] =
    &["tokio::fs", "tokio::net", "tokio::process", "tokio::signal", "tokio::io::std"];
const ASYNC_ROOMS: &[&str] =
    &["src/bridge/", "src/notice/", "src/upstream/", "src/supervise/", "src/gateway/", "src/daemon/"];

/// Libraries that reach other machines or write files by themselves, and the rooms that need them.
const FAR_DOORS: &[(&str, &[&str])] = &[
    ("git2", &["src/source/", "src/system/"]),
    ("reqwest", &["src/bridge/", "src/notice/", "src/source/", "src/cli/cmd/conformance_client/"]),
    // A client with a network of its own, for the client suites alone.
    ("rmcp", &["src/cli/cmd/conformance_client/"]),
    ("rusqlite", &["src/store/"]),
];

/// Who prints and asks: `system` reads what is asked of it, and the bridge's client is a program.
const SPEAKERS: &[&str] = &["src/cli", "src/main.rs", "src/system", "src/bridge/mod.rs"];

#[test]
fn modules_import_only_from_those_listed_above_them() {
    let order = modules();
    let mut wrong = Vec::new();
    for source in sources() {
        // src/lib.rs names them all; src/main.rs stands above them.
        let Some(floor) = source.floor(&order) else { continue };
        for (line, path) in source.paths("crate::").into_iter().chain(source.climbing_paths()) {
            let first = path.split("::").next().unwrap_or_default();
            let Some(other) = order.iter().position(|module| module == first) else { continue };
            if other > floor {
                wrong.push(format!(
                    "{}:{line}: {} imports {}, which stands above it",
                    source.name, order[floor], path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "the order of src/lib.rs is {}\n{}", order.join(" "), wrong.join("\n"));
}

#[test]
fn only_the_system_floor_talks_to_the_operating_system() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.name.starts_with("src/system") {
            continue;
        }
        let product = source.without_tests();
        let uses = product.paths("std::").into_iter().map(|(line, path)| (line, format!("std::{path}")));
        for (line, path) in uses {
            let is_door = OUTSIDE.iter().any(|outside| is_or_below(&path, outside));
            if is_door && !HARMLESS.iter().any(|harmless| is_or_below(&path, harmless)) {
                wrong.push(format!("{}:{line}: {path}", source.name));
            }
        }
        for (number, line) in product.lines() {
            let calls =
                ["SystemTime::now", "Instant::now", "thread::sleep"].iter().find(|call| line.contains(*call));
            let door = DOORS.iter().find(|door| word_in(line, &format!("{door}::")));
            if let Some(found) = calls.or(door) {
                wrong.push(format!("{}:{number}: {found}", source.name));
            }
        }
    }
    for source in sources() {
        if ASYNC_ROOMS.iter().chain(&["src/system"]).any(|room| source.name.starts_with(room)) {
            continue;
        }
        for (number, line) in source.without_tests().lines() {
            if let Some(door) = ASYNC_DOORS.iter().find(|door| line.contains(*door)) {
                wrong.push(format!("{}:{number}: {door}", source.name));
            }
        }
    }
    for source in sources() {
        for (library, rooms) in FAR_DOORS {
            if rooms.iter().any(|room| source.name.starts_with(room)) {
                continue;
            }
            let product = source.without_tests();
            let uses = product.lines().filter(|(_, line)| word_in(line, &format!("{library}::")));
            wrong.extend(uses.map(|(number, _)| format!("{}:{number}: {library}", source.name)));
        }
    }
    assert!(wrong.is_empty(), "use crate::system instead:\n{}", wrong.join("\n"));
}

#[test]
fn the_library_does_not_talk_to_the_user() {
    let mut wrong = Vec::new();
    for source in sources() {
        if SPEAKERS.iter().any(|speaker| source.name.starts_with(speaker)) {
            continue;
        }
        for (number, line) in source.without_tests().lines() {
            let words =
                ["println!", "eprintln!", "print!", "eprint!", "io::stdout", "io::stderr", "io::stdin"];
            if let Some(word) = words.iter().find(|word| word_in(line, word)) {
                wrong.push(format!("{}:{number}: {word}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "only src/cli prints and asks:\n{}", wrong.join("\n"));
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let source = |text: &str| Source { name: "src/plan/diff.rs".to_owned(), text: text.to_owned() };
    let paths =
        |text: &str| source(text).paths("std::").into_iter().map(|(_, path)| path).collect::<Vec<_>>();
    assert_eq!(paths("use std::fs;"), ["fs"]);
    assert_eq!(
        paths("use std::{fs::File, collections::{BTreeMap, BTreeSet},\n env};"),
        ["fs::File", "collections::BTreeMap", "collections::BTreeSet", "env"]
    );
    assert_eq!(paths("use std::env::{self, Args};"), ["env", "env::Args"]);
    assert_eq!(paths("let a = std::env::var(\"A\"); // std::fs"), ["env::var"]);
    assert_eq!(paths("/// See std::fs.\nlet text = \"x\";"), [""; 0]);
    assert_eq!(source("super::super::cli::x()").climbing_paths(), [(1, "cli::x".to_owned())]);
    assert_eq!(source("super::decide::x()").climbing_paths(), []);
    let order = ["base", "plan"].map(str::to_owned);
    assert_eq!(source("").floor(&order), Some(1));
}

/// The modules of src/lib.rs, from the ground up.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(repo().join("src/lib.rs")).expect("src/lib.rs");
    let name = |line: &str| Some(line.trim().strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    let modules: Vec<String> = text.lines().filter_map(name).collect();
    assert!(modules.len() > 5, "src/lib.rs lists {modules:?}");
    modules
}

struct Source {
    /// Relative to the repository, with `/`.
    name: String,
    text: String,
}

impl Source {
    /// The place of its module in the order.
    fn floor(&self, order: &[String]) -> Option<usize> {
        let module = self.name.strip_prefix("src/")?.split(['/', '.']).next()?;
        order.iter().position(|name| name == module)
    }

    /// Lines with their numbers, without comments.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, code_of(line)))
    }

    /// The same up to its unit tests, which may use what they like.
    fn without_tests(&self) -> Source {
        if self.name.ends_with("/tests.rs") || self.name.contains("/tests/") {
            return Source { name: self.name.clone(), text: String::new() };
        }
        let end = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        Source { name: self.name.clone(), text: self.text[..end].to_owned() }
    }

    /// What follows a prefix such as `std::`, groups in braces taken apart.
    fn paths(&self, prefix: &str) -> Vec<(usize, String)> {
        let code: String = self.lines().map(|(_, line)| format!("{line}\n")).collect();
        let mut found = Vec::new();
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            found.extend(expand(&code[at + prefix.len()..]).into_iter().map(|path| (line, path)));
        }
        found
    }

    /// Paths that reach the crate's root by `super::super::`.
    fn climbing_paths(&self) -> Vec<(usize, String)> {
        let inside = self.name.strip_prefix("src/").unwrap_or(&self.name);
        let depth = inside.matches('/').count() + usize::from(!inside.ends_with("/mod.rs"));
        let prefix = "super::".repeat(depth);
        self.paths(&prefix)
            .into_iter()
            .filter(|(_, path)| !path.is_empty() && !path.starts_with("super"))
            .collect()
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&repo().join("src"), &mut found);
    found.sort();
    assert!(found.len() > 10);
    let source = |path: PathBuf| Source {
        name: path.strip_prefix(repo()).expect("below the repository").to_string_lossy().replace('\\', "/"),
        text: fs::read_to_string(&path).expect("a source file").replace("\r\n", "\n"),
    };
    found.into_iter().map(source).collect()
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn code_of(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split(" // ").next().unwrap_or_default()
}

/// `{a, b::{c, d}}` as `a`, `b::c`, `b::d`; a path without braces as itself.
fn expand(rest: &str) -> Vec<String> {
    let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
    let Some(group) = rest[path.len()..].strip_prefix('{') else {
        let path = path.trim_end_matches(':').to_owned();
        return if path.is_empty() { Vec::new() } else { vec![path] };
    };
    let (mut depth, mut start, mut found) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || c == ',' && depth == 1 {
            let member = group[start..at].trim();
            // `self` stands for the path in front of the braces.
            let paths = if member == "self" { vec![String::new()] } else { expand(member) };
            found.extend(
                paths.into_iter().map(|member| format!("{path}{member}").trim_end_matches(':').to_owned()),
            );
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found
}

fn is_or_below(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn word_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}
