use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::{Diagnostic, Glob, Place};
use crate::clients::catalog;
use crate::desired::Unit;
use crate::manifest::{self, On, Parsed};
use crate::system::System;

/// A manifest with everything it includes.
pub struct Loaded {
    /// The main file.
    pub path: PathBuf,
    /// The main file first, then its includes in order. Files with errors are missing here.
    pub units: Vec<Unit>,
    /// What is wrong with them.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// A manifest that is about to be written.
    pub fn of_text(system: &dyn System, path: &Path, text: &str) -> Self {
        let parsed = manifest::parse(&super::shown(system, path), text.as_bytes().to_vec());
        let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        let unit = parsed.file.zip(parsed.manifest).map(|(file, manifest)| Unit {
            file,
            manifest,
            path: path.to_owned(),
            dir,
        });
        Self { path: path.to_owned(), units: unit.into_iter().collect(), diagnostics: parsed.diagnostics }
    }

    /// Choices for everything: the main file's.
    pub fn settings(&self) -> manifest::model::Settings {
        self.units.first().map(|unit| unit.manifest.settings.clone()).unwrap_or_default()
    }

    /// Which one it is: a digest of all its texts.
    pub fn revision(&self) -> String {
        // Not their names: those depend on where one stands.
        let texts: Vec<&str> = self.units.iter().map(|unit| unit.file.text.as_str()).collect();
        let sum = crate::base::Fingerprint::of(texts.join("\0").as_bytes()).to_string();
        format!("local-{}", &sum[..12])
    }

    /// Whether what changes what is run waits for a person.
    pub fn approve(&self) -> manifest::model::Approve {
        use manifest::model::Approve;
        let source = self.units.first().and_then(|unit| unit.manifest.source.as_ref());
        let unsigned = source.is_some_and(|source| source.verify.is_none());
        let usual = if unsigned { Approve::Manual } else { Approve::Auto };
        self.settings().approve.unwrap_or(usual)
    }

    /// Whether nothing keeps it from being used.
    pub fn is_valid(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// How thoroughly a manifest is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// By its types; the schema only to explain errors.
    Quick,
    /// By its types and the whole schema.
    Full,
}

/// Reads a manifest and everything it includes, and checks them together.
pub fn load(system: &dyn System, path: &Path, care: Care) -> Loaded {
    let mut loaded = Loaded { path: path.to_owned(), units: Vec::new(), diagnostics: Vec::new() };
    let mut reading =
        Reading { system, care, seen: BTreeSet::new(), files: Vec::new(), problems: Vec::new() };
    reading.read(path);
    let (paths, mut parsed): (Vec<PathBuf>, Vec<Parsed>) = reading.files.into_iter().unzip();
    let found = manifest::check(&parsed, catalog::ids());
    for (path, parsed) in paths.into_iter().zip(&mut parsed) {
        loaded.diagnostics.append(&mut parsed.diagnostics);
        if let (Some(file), Some(manifest)) = (parsed.file.clone(), parsed.manifest.take()) {
            let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
            loaded.units.push(Unit { file, manifest, path, dir });
        }
    }
    loaded.diagnostics.append(&mut reading.problems);
    loaded.diagnostics.extend(found);
    loaded
}

/// Files as they are read, the main one first.
struct Reading<'a> {
    system: &'a dyn System,
    care: Care,
    seen: BTreeSet<PathBuf>,
    files: Vec<(PathBuf, Parsed)>,
    problems: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn read(&mut self, path: &Path) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let system = self.system;
        let name = super::shown(system, path);
        let bytes = match read_bounded(system, path) {
            Ok(bytes) => bytes,
            Err(problem) => return self.problems.push(problem),
        };
        let parsed = match self.care {
            Care::Quick => manifest::parse(&name, bytes),
            Care::Full => manifest::validate_fully(&name, bytes),
        };
        let file = parsed.file.clone();
        let includes = parsed.manifest.as_ref().map(|manifest| manifest.include.clone()).unwrap_or_default();
        self.files.push((path.to_owned(), parsed));
        let dir = path.parent().unwrap_or(Path::new("/"));
        for (index, pattern) in includes.iter().enumerate() {
            let found = matching(system, dir, pattern);
            if let (true, Some(file)) = (found.is_empty(), &file) {
                let place = file.place(&format!("/include/{index}"), On::Value);
                self.problems.push(
                    Diagnostic::error("include-nothing", format!("no file matches `{pattern}`"))
                        .at(place)
                        .hint("a missing include would prune its servers, so it is an error; create the file or remove the line"),
                );
            }
            found.iter().for_each(|path| self.read(path));
        }
    }
}

fn read_bounded(system: &dyn System, path: &Path) -> Result<Vec<u8>, Diagnostic> {
    let name = super::shown(system, path);
    let unreadable = |error: std::io::Error| {
        let problem = Diagnostic::error("unreadable-manifest", format!("`{name}` cannot be read: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                problem.hint("`mcpkeel init` writes one from what your clients have; `-f FILE` names another")
            }
            _ => problem,
        }
    };
    let real = super::observe::follow(system, path).map_err(unreadable)?;
    let meta = system.meta(&real).map_err(unreadable)?;
    if meta.kind != crate::system::Kind::File {
        return Err(Diagnostic::error("unreadable-manifest", format!("`{name}` is not a file")));
    }
    if meta.len > manifest::tree::MAX_BYTES as u64 {
        let message = format!("`{name}` is {} MB large; a manifest has at most 4 MB", meta.len >> 20);
        return Err(Diagnostic::error("too-big", message)
            .at(Place::file(&name))
            .hint("split it with `include`"));
    }
    system.read(&real).map_err(unreadable)
}

/// Files that a pattern of `include` stands for, sorted. Wildcards match within a directory.
fn matching(system: &dyn System, dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = match pattern.strip_prefix("~/") {
        Some(_) => vec![system.home().unwrap_or_default()],
        None => vec![dir.to_owned()],
    };
    let pattern = pattern.strip_prefix("~/").unwrap_or(pattern);
    if pattern.starts_with('/') {
        found = vec![PathBuf::from("/")];
    }
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let glob = Glob::new(part);
        found = found
            .into_iter()
            .flat_map(|base| match part {
                ".." => vec![base.parent().unwrap_or(&base).to_owned()],
                _ if glob.is_literal() => vec![base.join(part)],
                _ => {
                    let names = system.list(&base).unwrap_or_default();
                    let hidden = part.starts_with('.');
                    names
                        .into_iter()
                        .filter(|name| (hidden || !name.starts_with('.')) && glob.matches(name))
                        .map(|name| base.join(name))
                        .collect()
                }
            })
            .collect();
    }
    found.retain(|path| super::observe::follow(system, path).and_then(|real| system.meta(&real)).is_ok());
    found
}
