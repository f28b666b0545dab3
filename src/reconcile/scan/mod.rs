//! Literal secrets on this machine: in the manifest, in clients' files, in backups.
//!
//! Invariant: writes nothing, and no sentence holds a value or says how long it is.
//!
//! Start at [`scan`]; [`moving`] works out how they get into a store.

mod moving;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

pub use moving::{Move, Moving, moving};
pub use text::{Containers, Held, Spot, search};

use super::import::ImportError;
use super::load::Loaded;
use super::observe::{follow, observe};
use super::survey::{place_of, places};
use crate::base::{Fingerprint, Pointer};
use crate::desired;
use crate::document::{Document, Format};
use crate::manifest;
use crate::plan::State;
use crate::secrets::with_machine;
use crate::store::Store;
use crate::system::System;

/// Everything that was found.
#[derive(Default)]
pub struct Scan {
    /// In the manifests first, then in clients' files.
    pub findings: Vec<Finding>,
    /// Backups, the newest first.
    pub backups: Vec<KeptCopy>,
    /// What could not be looked at, or in part only.
    pub notes: Vec<String>,
    /// How many files were looked at.
    pub files: usize,
}

/// One literal secret.
pub struct Finding {
    /// The file, links not followed.
    pub path: PathBuf,
    /// Whose file it is.
    pub owner: Owner,
    /// The file's permission bits, where there are such.
    pub mode: Option<u32>,
    /// Where in it, and what.
    pub spot: Spot,
    /// What takes it out of there.
    pub next: Next,
}

impl Finding {
    /// Whether others than the owner can read the file.
    pub fn is_open(&self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o077 != 0)
    }
}

/// Whose file holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Ours: the manifest with this index among the files that belong together.
    Manifest(usize),
    /// Clients', by id.
    Clients(Vec<String>),
}

/// What takes a secret out of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// `secret scan --move`.
    Move,
    /// The next apply: the manifest has a reference there.
    Apply,
    /// The user.
    Hand,
}

impl Next {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Apply => "next apply",
            Self::Hand => "by hand",
        }
    }
}

/// A backup that holds a literal secret.
pub struct KeptCopy {
    /// The backup.
    pub id: String,
    /// RFC 3339.
    pub at: String,
    /// What made it.
    pub command: String,
    /// The files whose old content holds one.
    pub files: Vec<PathBuf>,
    /// Whether somebody else can read it.
    pub is_open: bool,
}

/// Looks for literal secrets. `only` is a client's id or the key of a client's block: then only its
/// files and their backups are looked at.
///
/// # Errors
/// When nobody knows a client `only`.
pub fn scan(
    system: &dyn System,
    loaded: &Loaded,
    store: &Store,
    only: Option<&str>,
) -> Result<Scan, ImportError> {
    let mut scan = Scan::default();
    let files = client_files(system, loaded, only);
    if let (Some(only), true) = (only, files.is_empty()) {
        return Err(ImportError::UnknownClient(only.to_owned()));
    }
    if only.is_none() {
        scan.manifests(system, loaded);
    }
    let told: BTreeSet<String> =
        scan.findings.iter().filter_map(|finding| finding.spot.server.clone()).collect();
    for file in files.values() {
        scan.client_file(system, loaded, file, &told);
    }
    scan.backups(system, store, &files, only.is_some());
    Ok(scan)
}

/// A client's file, with every client that reads it.
struct ClientFile {
    path: PathBuf,
    format: Format,
    clients: BTreeSet<String>,
    containers: Vec<(Pointer, Option<String>)>,
    /// Servers that the manifest puts into it.
    managed: BTreeSet<String>,
    /// Whether `import` looks at it.
    is_user: bool,
}

/// By the real path.
fn client_files(system: &dyn System, loaded: &Loaded, only: Option<&str>) -> IndexMap<PathBuf, ClientFile> {
    let mut files: IndexMap<PathBuf, ClientFile> = IndexMap::new();
    // Says under which path it is kept.
    let mut add = |client: &crate::clients::Client, place: &crate::clients::Place| {
        let real = follow(system, &place.file).unwrap_or_else(|_| place.file.clone());
        let file = files.entry(real.clone()).or_insert_with(|| ClientFile {
            path: place.file.clone(),
            format: place.format,
            clients: BTreeSet::new(),
            containers: Vec::new(),
            managed: BTreeSet::new(),
            is_user: false,
        });
        file.clients.insert(client.id().to_owned());
        let fresh = client.containers(place).into_iter().filter(|at| !file.containers.contains(at));
        let fresh: Vec<_> = fresh.collect();
        file.containers.extend(fresh);
        real
    };
    let mut user = Vec::new();
    for (client, place) in places(system) {
        let Some(place) = place.filter(|_| only.is_none_or(|only| client.id() == only)) else { continue };
        user.push(add(client, &place));
    }
    let targets =
        with_machine(system, &loaded.units, |machine| desired::resolve(&loaded.units, machine).targets);
    let mut managed = Vec::new();
    for target in &targets {
        if only.is_some_and(|only| target.key != only && target.client.id() != only) {
            continue;
        }
        let Ok(place) = place_of(system, target) else { continue };
        managed.push((add(&target.client, &place), target.servers.iter().map(|server| server.name.clone())));
    }
    for (real, servers) in managed {
        if let Some(file) = files.get_mut(&real) {
            file.managed.extend(servers);
        }
    }
    for real in user {
        if let Some(file) = files.get_mut(&real) {
            file.is_user = true;
        }
    }
    files
}

impl Scan {
    fn manifests(&mut self, system: &dyn System, loaded: &Loaded) {
        if !loaded.is_valid() && system.meta(&loaded.path).is_ok() {
            self.notes.push(format!(
                "{} has errors (`mcpkeel validate` lists them): only known tokens are looked for in it",
                super::shown(system, &loaded.path)
            ));
            if loaded.units.iter().all(|unit| unit.path != loaded.path)
                && let Ok(text) =
                    system.read(&loaded.path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            {
                self.files += 1;
                let spots = search(&text, None, &Containers::Manifest);
                self.add(system, &loaded.path, &Owner::Manifest(0), spots, |_| Next::Hand);
            }
        }
        for (index, unit) in loaded.units.iter().enumerate() {
            self.files += 1;
            let text = &unit.file.text;
            let document = Document::parse(Format::Yaml, text.clone().into_bytes()).ok();
            let spots = search(text, document.as_ref(), &Containers::Manifest);
            let is_valid = loaded.is_valid();
            self.add(system, &unit.path, &Owner::Manifest(index), spots, |spot| {
                if spot.held.is_some() && is_valid { Next::Move } else { Next::Hand }
            });
        }
    }

    fn client_file(
        &mut self,
        system: &dyn System,
        loaded: &Loaded,
        file: &ClientFile,
        told: &BTreeSet<String>,
    ) {
        let owner = Owner::Clients(file.clients.iter().cloned().collect());
        let name = super::tilde(system, &file.path);
        let can_move = loaded.is_valid();
        let known =
            |server: &String| loaded.units.iter().any(|unit| unit.manifest.servers.contains_key(server));
        match observe(system, &file.path, file.format).state {
            State::Absent => {}
            State::Present(document, _) => {
                self.files += 1;
                let text = String::from_utf8_lossy(document.bytes()).into_owned();
                let spots = search(&text, Some(&document), &Containers::At(&file.containers));
                self.add(system, &file.path, &owner, spots, |spot| match &spot.server {
                    None => Next::Hand,
                    Some(_) if !can_move || spot.held.is_none() => Next::Hand,
                    Some(server) if known(server) => {
                        let is_clean = !told.contains(server);
                        let waits = awaited(system, loaded, server, spot).is_some();
                        if is_clean && !waits && file.managed.contains(server) {
                            Next::Apply
                        } else {
                            Next::Move
                        }
                    }
                    Some(_) if file.is_user && can_move => Next::Move,
                    Some(_) => Next::Hand,
                });
            }
            State::Refused(problem) => {
                let read = follow(system, &file.path).and_then(|real| system.read(&real));
                let Ok(bytes) = read else {
                    self.notes.push(format!("{name} cannot be looked at: {}", problem.message));
                    return;
                };
                self.files += 1;
                let at = problem.place.as_ref().filter(|place| place.line > 0);
                let at = at.map_or(String::new(), |place| format!(":{}:{}", place.line, place.column));
                self.notes.push(format!(
                    "{name}{at} cannot be understood ({}): only known tokens are looked for in it",
                    problem.message
                ));
                let spots = search(&String::from_utf8_lossy(&bytes), None, &Containers::Anywhere);
                self.add(system, &file.path, &owner, spots, |_| Next::Hand);
            }
        }
    }

    fn add(
        &mut self,
        system: &dyn System,
        path: &Path,
        owner: &Owner,
        spots: Vec<Spot>,
        next: impl Fn(&Spot) -> Next,
    ) {
        let meta = follow(system, path).and_then(|real| system.meta(&real)).ok();
        let mode = meta.filter(|meta| meta.owner.is_some()).map(|meta| meta.mode & 0o7777);
        self.findings.extend(spots.into_iter().map(|spot| Finding {
            path: path.to_owned(),
            owner: owner.clone(),
            mode,
            next: next(&spot),
            spot,
        }));
    }

    fn backups(
        &mut self,
        system: &dyn System,
        store: &Store,
        files: &IndexMap<PathBuf, ClientFile>,
        only_these: bool,
    ) {
        let ids = match store.backup_ids(system) {
            Ok(ids) => ids,
            Err(error) => return self.notes.push(format!("the backups cannot be listed: {error}")),
        };
        let mut known: BTreeMap<Fingerprint, bool> = BTreeMap::new();
        for id in ids.iter().rev() {
            let backup = match store.load_backup(system, id) {
                Ok(Some(backup)) => backup,
                Ok(None) => continue,
                Err(error) => {
                    self.notes.push(format!("the backup {id} cannot be read: {error}"));
                    continue;
                }
            };
            let mut copy = KeptCopy {
                id: backup.id,
                at: backup.at,
                command: backup.command,
                files: Vec::new(),
                is_open: false,
            };
            for file in backup.files {
                let Some(before) = file.before else { continue };
                let ours = files.values().find(|known| known.path == file.path);
                if only_these && ours.is_none() {
                    continue;
                }
                let holds = *known.entry(before.fingerprint).or_insert_with(|| {
                    store
                        .load_object(system, before.fingerprint)
                        .is_ok_and(|bytes| holds_secret(&file.path, bytes, ours))
                });
                if holds {
                    let object = store.path("backups/objects").join(before.fingerprint.to_string());
                    let meta = system.meta(&object).ok().filter(|meta| meta.owner.is_some());
                    copy.is_open |= meta.is_some_and(|meta| meta.mode & 0o077 != 0);
                    copy.files.push(file.path);
                }
            }
            if !copy.files.is_empty() {
                self.backups.push(copy);
            }
        }
    }
}

/// The secret of the manifest whose place a literal takes, if it is to come from a variable that is not
/// set here: once the literal is gone, nobody would know the value any more.
fn awaited<'l>(system: &dyn System, loaded: &'l Loaded, server: &str, spot: &Spot) -> Option<&'l str> {
    let held = spot.held.as_ref()?;
    let known = loaded.units.iter().find_map(|unit| unit.manifest.servers.get(server))?;
    let text = known.env.get(&held.name).or_else(|| known.headers.get(&held.name))?;
    let parts = manifest::text::parse(&text.0).ok()?;
    // A file that is included is somebody else's to change.
    let main = &loaded.units.first()?.manifest.secrets;
    let mut named = parts.iter().filter_map(|part| match part {
        manifest::text::Part::Secret(name) => main.get_key_value(name),
        _ => None,
    });
    let (name, source) = named.next()?;
    let variable = source.env.as_deref()?;
    (named.next().is_none() && system.env(variable).is_none()).then_some(name.as_str())
}

/// Whether the old content of a file holds a literal secret.
fn holds_secret(path: &Path, bytes: Vec<u8>, file: Option<&ClientFile>) -> bool {
    let format = match (file, path.extension().and_then(|end| end.to_str())) {
        (Some(file), _) => file.format,
        (None, Some("toml")) => Format::Toml,
        (None, Some("yaml" | "yml")) => Format::Yaml,
        _ => Format::Jsonc,
    };
    // Sealed by others' keys: what is in there is nobody's literal.
    if path.extension().is_some_and(|end| end == "age") {
        return false;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let document = Document::parse(format, bytes).ok();
    let containers = match file {
        Some(file) => Containers::At(&file.containers),
        None => Containers::Anywhere,
    };
    !search(&text, document.as_ref(), &containers).is_empty()
}
