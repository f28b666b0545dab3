use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::sourced;
use crate::base::{Diagnostic, Fingerprint, Glob, Place};
use crate::clients::catalog;
use crate::desired::{Sourced, Unit};
use crate::manifest::model::ManifestSource;
use crate::manifest::{self, On, Parsed};
use crate::source::{self, Checkout, Good, Revision, Trouble};
use crate::store::Store;
use crate::system::System;

/// A manifest with everything it includes.
pub struct Loaded {
    /// The main file.
    pub path: PathBuf,
    /// The main file first, then its includes in order, then the files of its source. Files with errors are
    /// missing here.
    pub units: Vec<Unit>,
    /// What is wrong with them.
    pub diagnostics: Vec<Diagnostic>,
    /// Its source, as far as it was fetched.
    pub source: Option<Sourcing>,
}

/// What a manifest's source brought.
pub struct Sourcing {
    /// The revision that was read; none when there is none yet.
    pub revision: Option<Revision>,
    /// Other revisions whose files are kept.
    pub others: Vec<Revision>,
    /// Whether it is what the manifest names now.
    pub is_current: bool,
    /// What was wrong when the repository was asked last, if anything.
    pub problem: Option<Trouble>,
}

impl Loaded {
    fn empty(path: &Path) -> Self {
        Self { path: path.to_owned(), units: Vec::new(), diagnostics: Vec::new(), source: None }
    }

    /// A manifest that is about to be written.
    pub fn of_text(system: &dyn System, path: &Path, text: &str) -> Self {
        let parsed = manifest::parse(&super::shown(system, path), text.as_bytes().to_vec());
        let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        let unit = parsed.file.zip(parsed.manifest).map(|(file, manifest)| Unit {
            file,
            manifest,
            path: path.to_owned(),
            dir,
            sourced: None,
            state_dir: None,
        });
        Self { units: unit.into_iter().collect(), diagnostics: parsed.diagnostics, ..Self::empty(path) }
    }

    /// Choices for everything: the main file's.
    pub fn settings(&self) -> manifest::model::Settings {
        self.units.first().map(|unit| unit.manifest.settings.clone()).unwrap_or_default()
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

    /// The revision of its source that was read, if it has a source.
    pub fn sourced(&self) -> Option<&Revision> {
        self.source.as_ref()?.revision.as_ref()
    }

    /// Which state of the manifest this is: the source's revision, else a digest of all texts.
    pub fn revision(&self) -> Revision {
        if let Some(revision) = self.sourced() {
            return revision.clone();
        }
        let mut texts = String::new();
        for unit in &self.units {
            let (path, text) = (unit.path.display(), &unit.file.text);
            texts.push_str(&format!("{path}\0{}\0{text}", text.len()));
        }
        let id = format!("local-{}", Fingerprint::of(texts.as_bytes()).short());
        Revision { id, branch: None, signer: None }
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

/// Which revision of a manifest's source is read.
#[derive(Clone, Copy)]
pub enum Which<'r> {
    /// The newest good one.
    Newest,
    /// The one that was applied last, else the newest.
    Applied,
    /// This one.
    Exactly(&'r Revision),
}

/// Reads a manifest, everything it includes and what its source brought, and checks them together.
pub fn load(system: &dyn System, path: &Path, state_dir: &Path, which: Which<'_>, care: Care) -> Loaded {
    let mut loaded = Loaded::empty(path);
    let mut reading =
        Reading { system, care, seen: BTreeSet::new(), files: Vec::new(), problems: Vec::new() };
    reading.read(path, None);
    let main = reading.files.first().and_then(|file| file.parsed.manifest.as_ref());
    if let Some(source) = main.and_then(|manifest| manifest.source.clone()) {
        loaded.source = reading.add_source(path, state_dir, &source, which);
    }
    let Reading { files, mut problems, .. } = reading;
    let (places, mut parsed): (Vec<_>, Vec<Parsed>) =
        files.into_iter().map(|Read { path, sourced, parsed }| ((path, sourced), parsed)).unzip();
    let found = manifest::check(&parsed, catalog::ids());
    let is_usual = Store::usual_dir(system).is_some_and(|usual| usual == state_dir);
    let told = (!is_usual).then(|| state_dir.to_owned());
    for ((path, sourced), parsed) in places.into_iter().zip(&mut parsed) {
        loaded.diagnostics.append(&mut parsed.diagnostics);
        if let (Some(file), Some(manifest)) = (parsed.file.clone(), parsed.manifest.take()) {
            let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
            loaded.units.push(Unit { file, manifest, path, dir, sourced, state_dir: told.clone() });
        }
    }
    loaded.diagnostics.append(&mut problems);
    loaded.diagnostics.extend(found);
    loaded
}

/// Files as they are read, the main one first.
struct Reading<'a> {
    system: &'a dyn System,
    care: Care,
    seen: BTreeSet<PathBuf>,
    files: Vec<Read>,
    problems: Vec<Diagnostic>,
}

struct Read {
    path: PathBuf,
    sourced: Option<Sourced>,
    parsed: Parsed,
}

impl Reading<'_> {
    fn read(&mut self, path: &Path, sourced: Option<&Sourced>) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let system = self.system;
        let name = name(system, path, sourced);
        let bytes = match read_bounded(system, path, &name) {
            Ok(bytes) => bytes,
            Err(problem) => return self.problems.push(problem),
        };
        let mut parsed = match self.care {
            Care::Quick => manifest::parse(&name, bytes),
            Care::Full => manifest::validate_fully(&name, bytes),
        };
        if sourced.is_some() {
            parsed = parsed.sourced();
            self.problems.extend(sourced::strays(&parsed));
        }
        let file = parsed.file.clone();
        let includes = parsed.manifest.as_ref().map(|manifest| manifest.include.clone()).unwrap_or_default();
        self.files.push(Read { path: path.to_owned(), sourced: sourced.cloned(), parsed });
        let dir = path.parent().unwrap_or(Path::new("/"));
        for (index, pattern) in includes.iter().enumerate() {
            if sourced.is_some() && !sourced::is_inside(pattern) {
                // Said by `strays`.
                continue;
            }
            let found = matching(system, dir, pattern);
            if let (true, Some(file)) = (found.is_empty(), &file) {
                let place = file.place(&format!("/include/{index}"), On::Value);
                self.problems.push(
                    Diagnostic::error("include-nothing", format!("no file matches `{pattern}`"))
                        .at(place)
                        .hint("a missing include would prune its servers, so it is an error; create the file or remove the line"),
                );
            }
            found.iter().for_each(|path| self.read(path, sourced));
        }
    }

    /// Reads the manifest of a source. Where there is none to read that is a problem: without it everything that it
    /// named would be pruned.
    fn add_source(
        &mut self,
        main: &Path,
        state_dir: &Path,
        source: &ManifestSource,
        which: Which<'_>,
    ) -> Option<Sourcing> {
        let system = self.system;
        let checkout = Checkout::new(system, state_dir, main.parent().unwrap_or(Path::new("/")), source)?;
        let head = match checkout.head() {
            Ok(head) => head,
            Err(error) => {
                let hint = "remove this file; the next `mcpkeel plan` fetches anew";
                self.problems.push(Diagnostic::error("damaged-state", error.to_string()).hint(hint));
                return None;
            }
        };
        let newest = checkout.newest(&head).map(Good::revision);
        let mut others: Vec<Revision> = checkout.kept(&head).iter().map(Good::revision).collect();
        let revision = match which {
            Which::Newest => newest,
            Which::Applied => others.first().cloned().or(newest),
            Which::Exactly(revision) => Some(revision.clone()),
        };
        others.retain(|other| revision.as_ref().is_none_or(|revision| revision.id != other.id));
        match &revision {
            Some(revision) => {
                let sourced = Sourced { tree: checkout.tree(&revision.id) };
                self.read(&sourced.tree.join(checkout.path()), Some(&sourced));
            }
            None => {
                self.problems.push(sourced::not_fetched(&checkout, &head));
                // Whatever is missing may be in there.
                let missing = Read { path: PathBuf::new(), sourced: None, parsed: Parsed::default() };
                self.files.push(missing);
            }
        }
        Some(Sourcing { is_current: checkout.is_current(&head), revision, others, problem: head.problem })
    }
}

/// What a file is called: one of a source by its revision and its place in there.
fn name(system: &dyn System, path: &Path, sourced: Option<&Sourced>) -> String {
    let inside = sourced.and_then(|sourced| Some((&sourced.tree, path.strip_prefix(&sourced.tree).ok()?)));
    match inside {
        Some((tree, inside)) => {
            let id = tree.file_name().unwrap_or_default().to_string_lossy();
            format!("{}:{}", source::short(&id), inside.display())
        }
        None => super::shown(system, path),
    }
}

fn read_bounded(system: &dyn System, path: &Path, name: &str) -> Result<Vec<u8>, Diagnostic> {
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
            .at(Place::file(name))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Memory;

    #[test]
    fn a_local_manifest_is_known_by_all_of_its_texts() {
        let memory = Memory::default();
        let revision = |included: &str| {
            memory.write(Path::new("/home/me/mcp.yaml"), b"version: 1\ninclude: [more.yaml]\n");
            memory.write(Path::new("/home/me/more.yaml"), included.as_bytes());
            let state = Path::new("/home/me/state");
            let loaded = load(&memory, Path::new("/home/me/mcp.yaml"), state, Which::Newest, Care::Quick);
            assert!(loaded.is_valid() && loaded.sourced().is_none(), "{:?}", loaded.diagnostics);
            loaded.revision()
        };
        let first = revision("version: 1\n");
        assert_eq!(first, revision("version: 1\n"));
        assert_ne!(first, revision("version: 1\nservers: {}\n"));
        assert!(first.id.starts_with("local-") && first.id.len() == 18, "{}", first.id);
        assert_eq!(first.short(), first.id);
    }
}
