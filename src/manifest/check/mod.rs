//! What a schema cannot say: names that exist, choices that go together, texts that parse.
//!
//! Invariant: only reads; one run finds everything; a value that the schema already refused is not
//! complained about again, nor is anything that follows from it.
//!
//! Start at [`check()`]; one file per section of the manifest.

mod clients;
mod gateway;
mod names;
mod references;
mod servers;
mod settings;
mod watching;

use std::collections::HashSet;

pub use references::{texts_of, texts_of_notify};

use super::model::Manifest;
use super::validate::{escaped, suggest};
use super::{File, MAX_PROBLEMS, On, Parsed};
use crate::base::{Diagnostic, Place};
use names::Names;

/// Cross checks on a manifest and the files it includes, the manifest first. `clients` are the ids of
/// the known clients; with none of them given, ids are not checked. The files' own problems
/// ([`Parsed::diagnostics`]) are not repeated.
pub fn check(files: &[Parsed], clients: &[&str]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let names = Names::of(files, &mut found);
    let mut used = references::Used::default();
    for parsed in files {
        let Some(file) = parsed.file.as_deref() else { continue };
        let Some(manifest) = parsed.manifest.as_ref().or(parsed.partial.as_ref()) else { continue };
        let mut section =
            Section { file, manifest, names: &names, clients, broken: &parsed.broken, found: Vec::new() };
        section.version();
        section.names();
        section.servers();
        section.references(&mut used);
        section.clients(&mut used);
        section.policies();
        section.settings();
        section.watching();
        found.append(&mut section.found);
    }
    watching::misplaced(files, &mut found);
    gateway::gateway(files, &names, &mut found);
    if names.complete && files.iter().all(|parsed| parsed.manifest.is_some()) {
        references::unused(files, &used, &mut found);
    }
    sorted(files, found)
}

/// By file in the given order, then by place.
fn sorted(files: &[Parsed], mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let order = |place: &Option<Place>| {
        let place = place.as_ref()?;
        let is_it = |parsed: &Parsed| parsed.file.as_ref().is_some_and(|file| file.name == place.file);
        Some((files.iter().position(is_it), place.line, place.column))
    };
    found.sort_by_cached_key(|diagnostic| order(&diagnostic.place));
    found
}

/// One file's manifest while it is checked.
struct Section<'a> {
    file: &'a File,
    manifest: &'a Manifest,
    names: &'a Names<'a>,
    clients: &'a [&'a str],
    broken: &'a [String],
    found: Vec<Diagnostic>,
}

impl Section<'_> {
    /// Adds a problem at the value or key at a JSON pointer.
    fn say(&mut self, diagnostic: Diagnostic, pointer: &str, on: On) {
        if self.takes(pointer) {
            let place = self.file.place(pointer, on);
            self.found.push(diagnostic.at(place));
        }
    }

    /// Adds a problem at a fragment of the text at a JSON pointer.
    fn say_of(&mut self, diagnostic: Diagnostic, pointer: &str, fragment: &str) {
        if self.takes(pointer) {
            let place = self.file.place_of(pointer, fragment);
            self.found.push(diagnostic.at(place));
        }
    }

    /// Not where the schema has spoken, and not without end.
    fn takes(&self, pointer: &str) -> bool {
        let related = |broken: &String| is_within(pointer, broken) || is_within(broken, pointer);
        self.found.len() < MAX_PROBLEMS && !self.broken.iter().any(related)
    }

    fn version(&mut self) {
        let keys = self.file.keys("");
        let first = keys.iter().find(|key| !super::typed::is_extension(key));
        if first.is_some_and(|first| *first != "version") && keys.contains(&"version") {
            let message = "`version` does not stand first.";
            let hint = "move the line to the top of the file";
            self.say(Diagnostic::warning("version-first", message).hint(hint), "/version", On::Key);
        }
    }
}

fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A JSON pointer from keys.
fn pointer(steps: &[&str]) -> String {
    steps.iter().map(|step| format!("/{}", escaped(step))).collect()
}

/// "did you mean", if one of the candidates is close.
fn meant<'n>(word: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<String> {
    suggest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// Every loop in a graph of names, each once, as the names on it in order.
fn loops<'n>(edges: &indexmap::IndexMap<&'n str, Vec<&'n str>>) -> Vec<Vec<&'n str>> {
    let mut done: HashSet<&str> = HashSet::new();
    let mut found = Vec::new();
    for start in edges.keys() {
        // An own stack: chains may be longer than the thread's.
        let mut path: Vec<(&str, usize)> = Vec::new();
        let mut on_path: HashSet<&str> = HashSet::new();
        if done.insert(start) {
            path.push((start, 0));
            on_path.insert(start);
        }
        while let Some((name, next)) = path.last_mut() {
            let Some(&target) = edges.get(name).and_then(|targets| targets.get(*next)) else {
                on_path.remove(*name);
                path.pop();
                continue;
            };
            *next += 1;
            if on_path.contains(target) {
                let from = path.iter().position(|(name, _)| *name == target).unwrap_or(0);
                found.push(path[from..].iter().map(|(name, _)| *name).collect());
            } else if edges.contains_key(target) && done.insert(target) {
                path.push((target, 0));
                on_path.insert(target);
            }
            if found.len() > MAX_PROBLEMS {
                return found;
            }
        }
    }
    found
}

/// `a -> b -> a`, shortened in the middle.
fn chain(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| super::tree::shown(name)).collect();
    let more = if names.len() > 8 { " -> .." } else { "" };
    format!("{}{more} -> {}", shown.join(" -> "), shown.first().map_or("", String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_loops_of_any_length() {
        let edges = |list: &[(&'static str, &[&'static str])]| {
            list.iter().map(|(name, targets)| (*name, targets.to_vec())).collect()
        };
        assert_eq!(loops(&edges(&[("a", &["b"]), ("b", &["c", "x"]), ("c", &["a"])])), [["a", "b", "c"]]);
        assert_eq!(loops(&edges(&[("a", &["a"])])), [["a"]]);
        assert!(loops(&edges(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])).is_empty());
    }
}
