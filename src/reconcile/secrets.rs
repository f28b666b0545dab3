//! Changes to where secrets are kept: values into stores, names into and out of the manifest.
//!
//! Age files and the manifest change in one transaction; `undo` takes that back. The keyring and plain
//! files are changed before the manifest is, and by no transaction: the state directory keeps what a
//! transaction replaced, and a secret has no business there.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::apply::Site;
use super::edits::{ManifestEdit, Refuse, refuse_sourced};
use super::transaction::{self, Access, After, Change, RunMeta};
use crate::base::{Diagnostic, Fingerprint, Place, Pointer, Secret};
use crate::desired::{self, Unit};
use crate::document::{Document, Format, Op};
use crate::manifest;
use crate::secrets::age::{self, Recipients};
use crate::secrets::{Source, bytes_of, keyring_trouble, text_of, uses, with_machine};
use crate::store::write_file;
use crate::system::{At, FileError, Kind, System, follow, found, made};

/// Why a secret could not be stored or removed.
#[derive(Debug)]
pub enum KeepError {
    /// The store or the manifest said no.
    Problem(Box<Diagnostic>),
    /// A plain file.
    File(FileError),
    /// The manifest or an age file could not be replaced.
    Run(Box<transaction::Failure>),
}

impl From<Box<Diagnostic>> for KeepError {
    fn from(problem: Box<Diagnostic>) -> Self {
        Self::Problem(problem)
    }
}

impl From<FileError> for KeepError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<Box<transaction::Failure>> for KeepError {
    fn from(failure: Box<transaction::Failure>) -> Self {
        Self::Run(failure)
    }
}

/// A server that needs a secret, and who gets that server.
pub struct UsedBy {
    /// The secret.
    pub secret: String,
    /// The server.
    pub server: String,
    /// Where the manifest says so.
    pub place: Place,
    /// The client blocks, on this machine.
    pub clients: Vec<String>,
}

/// Every use of a secret.
pub fn secret_uses(system: &dyn System, units: &[Unit]) -> Vec<UsedBy> {
    let desired = with_machine(system, units, |machine| desired::resolve(units, machine));
    let clients = |server: &str| {
        let gets = |target: &&desired::Target| target.servers.iter().any(|chosen| chosen.name == server);
        desired.targets.iter().filter(gets).map(|target| target.key.clone()).collect()
    };
    let used = uses(units).into_iter();
    used.map(|found| UsedBy {
        clients: clients(&found.server),
        secret: found.secret,
        server: found.server,
        place: found.place,
    })
    .collect()
}

/// The edit by which a manifest says where it keeps a new secret: `store` is the word, `place` what
/// stands behind it.
///
/// # Errors
/// When the manifest cannot be edited in place, or would no longer be valid.
pub fn declare_secret(
    unit: &Unit,
    name: &str,
    store: &str,
    place: &str,
) -> Result<ManifestEdit, Box<Diagnostic>> {
    let put = Op::Put { at: Pointer::of(["secrets", name]), value: json!({ store: place }) };
    let edit = edited(unit, put)?;
    let wrong = manifest::parse(&unit.file.name, edit.after.clone()).diagnostics;
    match wrong.into_iter().find(Diagnostic::is_error) {
        Some(problem) => Err(Box::new(problem)),
        None => Ok(edit),
    }
}

/// The edit by which a manifest no longer names a secret.
///
/// # Errors
/// When the manifest cannot be edited in place.
pub fn forget_secret(unit: &Unit, name: &str) -> Result<ManifestEdit, Box<Diagnostic>> {
    edited(unit, Op::Drop { at: Pointer::of(["secrets", name]) })
}

fn edited(unit: &Unit, op: Op) -> Result<ManifestEdit, Box<Diagnostic>> {
    let before = unit.file.text.clone().into_bytes();
    let edited = Document::parse(Format::Yaml, before.clone())
        .and_then(|document| document.edit(&[op]))
        .map_err(|fault| {
            let place = Place { line: fault.line, column: fault.column, ..Place::file(&unit.file.name) };
            Box::new(Diagnostic::error("cannot-edit", fault.message).at(place))
        })?;
    Ok(ManifestEdit { path: unit.path.clone(), before: Some(before), after: edited.bytes })
}

/// Whether a value could be stored there, before anybody is asked for one.
///
/// # Errors
/// When there is no keyring, nobody to encrypt for, or values are not stored there by us.
pub fn can_keep(system: &dyn System, source: &Source, recipients: &[String]) -> Result<(), Box<Diagnostic>> {
    match source {
        Source::Keyring(_) => system.keyring().map(drop).map_err(|error| keyring_trouble(&error)),
        Source::Age(_) => Recipients::parse(recipients).map(drop),
        Source::File(_) => Ok(()),
        Source::Env(variable) => {
            let message = format!("the manifest reads it from the variable {variable}");
            let hint =
                format!("set {variable} where the clients are started, in your shell's profile for example");
            Err(Box::new(Diagnostic::error("not-ours", message).hint(hint)))
        }
        Source::Command { argv, .. } => {
            let program = argv.first().map_or("", String::as_str);
            let message = format!("the manifest has it printed by the command `{program}`");
            let hint = format!("store the value with the program behind `{program}`");
            Err(Box::new(Diagnostic::error("not-ours", message).hint(hint)))
        }
    }
}

/// Puts a value where the manifest says, then edits the manifest if it did not say so yet.
///
/// # Errors
/// What the store, the file system or another writer of the manifest has against it.
pub fn keep_secret(
    site: &Site<'_>,
    source: &Source,
    value: &Secret<String>,
    recipients: &[String],
    edit: Option<ManifestEdit>,
) -> Result<(), KeepError> {
    keep_secrets(site, "secret set", &[(source, value)], recipients, edit.into_iter().collect())
}

/// Puts values into their stores, then edits manifests. Until all values are stored no manifest
/// changes.
///
/// # Errors
/// What a store, the file system or another writer of a manifest has against it.
pub fn keep_secrets(
    site: &Site<'_>,
    command: &str,
    values: &[(&Source, &Secret<String>)],
    recipients: &[String],
    edits: Vec<ManifestEdit>,
) -> Result<(), KeepError> {
    let system = site.system;
    let kept = values.iter().filter_map(|(source, _)| source.file());
    refuse_sourced(site, kept.chain(edits.iter().map(|edit| edit.path.as_path())))?;
    for (source, _) in values {
        can_keep(system, source, recipients)?;
    }
    let mut changes = Vec::new();
    for (source, value) in values {
        match source {
            Source::Keyring(entry) => system
                .keyring()
                .and_then(|keyring| keyring.set(entry, value))
                .map_err(|error| keyring_trouble(&error))?,
            Source::Age(path) => {
                let bytes = age::seal(&Recipients::parse(recipients)?, &bytes_of(value))?;
                changes.push(replace(system, path, After::Write { bytes, access: Access::Keep })?);
            }
            Source::File(path) => {
                let real = follow(system, path)?;
                refuse_others(system, &real)?;
                create_parents(system, &real)?;
                write_file(system, &real, bytes_of(value).expose())?;
            }
            Source::Env(_) | Source::Command { .. } => {}
        }
    }
    changes.extend(edits.into_iter().map(of_manifest));
    Ok(run(site, command, changes)?)
}

/// Whether something else than this value is kept there already, which must not be written over.
///
/// # Errors
/// When the store cannot be asked.
pub fn keeps_another(
    system: &dyn System,
    keys: &age::Keys<'_>,
    source: &Source,
    value: &Secret<String>,
) -> Result<bool, KeepError> {
    let there = match source {
        Source::Keyring(entry) => system
            .keyring()
            .and_then(|keyring| keyring.get(entry))
            .map_err(|error| keyring_trouble(&error))?,
        Source::File(path) => match found(system.read(path)).at(path, "read")? {
            Some(bytes) => Some(text_of(&Secret::new(bytes), "the file")?),
            None => None,
        },
        Source::Age(path) => {
            if found(system.meta(path)).at(path, "look at")?.is_none() {
                return Ok(false);
            }
            let opened = age::load(system, path).and_then(|(sealed, _)| keys.open(&sealed, "the age file"));
            // What we cannot open is somebody's.
            match opened.and_then(|bytes| text_of(&bytes, "the age file")) {
                Ok(text) => Some(text),
                Err(_) => return Ok(true),
            }
        }
        Source::Env(_) | Source::Command { .. } => None,
    };
    Ok(there.is_some_and(|there| there.expose() != value.expose()))
}

/// Takes a value out of its store, then edits the manifest. Says whether there was a value.
///
/// # Errors
/// What the store, the file system or another writer of the manifest has against it.
pub fn drop_secret(site: &Site<'_>, source: Option<&Source>, edit: ManifestEdit) -> Result<bool, KeepError> {
    let system = site.system;
    refuse_sourced(site, source.and_then(Source::file).into_iter().chain([edit.path.as_path()]))?;
    let mut changes = Vec::new();
    let was_there = match source {
        Some(Source::Keyring(entry)) => system
            .keyring()
            .and_then(|keyring| keyring.remove(entry))
            .map_err(|error| keyring_trouble(&error))?,
        Some(Source::Age(path)) => {
            let change = replace(system, path, After::Remove)?;
            let is_there = change.before.is_some();
            changes.extend(is_there.then_some(change));
            is_there
        }
        Some(Source::File(path)) => {
            let real = follow(system, path)?;
            let was_there = found(system.remove_file(&real)).at(&real, "remove")?.is_some();
            // A link that led there leads nowhere now.
            found(system.remove_file(path)).at(path, "remove")?;
            was_there
        }
        Some(Source::Env(_) | Source::Command { .. }) | None => false,
    };
    changes.push(of_manifest(edit));
    run(site, "secret remove", changes)?;
    Ok(was_there)
}

/// Replaces age files, as one.
///
/// # Errors
/// When one of them changed since it was read, or could not be written; then all are as they were.
pub fn replace_age_files(
    site: &Site<'_>,
    files: Vec<(PathBuf, Fingerprint, Vec<u8>)>,
) -> Result<(), Box<transaction::Failure>> {
    refuse_sourced(site, files.iter().map(|(path, ..)| path.as_path()))?;
    let changes = files.into_iter().map(|(path, before, bytes)| Change {
        path,
        before: Some(before),
        after: After::Write { bytes, access: Access::Keep },
        client_lock: None,
        create_dirs: false,
    });
    run(site, "secret rekey", changes.collect())
}

fn run(site: &Site<'_>, command: &str, changes: Vec<Change>) -> Result<(), Box<transaction::Failure>> {
    if changes.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = changes.iter().map(|change| super::tilde(site.system, &change.path)).collect();
    let meta =
        RunMeta { command: command.to_owned(), summary: names.join(", "), revision: None, keep_going: false };
    let mut nothing = |_: &transaction::Outcome| Ok(Vec::new());
    transaction::run(site.system, site.store, site.lock, &meta, changes, &mut Refuse, &mut nothing)
        .map(|_| ())
}

/// Whatever stands there now gives way.
fn replace(system: &dyn System, path: &Path, after: After) -> Result<Change, FileError> {
    let before = found(system.read(path)).at(path, "read")?;
    let before = before.as_deref().map(Fingerprint::of);
    Ok(Change { path: path.to_owned(), before, after, client_lock: None, create_dirs: true })
}

fn of_manifest(edit: ManifestEdit) -> Change {
    Change {
        path: edit.path,
        before: edit.before.as_deref().map(Fingerprint::of),
        after: After::Write { bytes: edit.after, access: Access::Keep },
        client_lock: None,
        create_dirs: false,
    }
}

/// Refuses to put a secret in the place of anything but a file.
fn refuse_others(system: &dyn System, real: &Path) -> Result<(), FileError> {
    match found(system.meta(real)).at(real, "look at")? {
        Some(meta) if meta.kind != Kind::File => {
            Err(FileError::new(real, "replace", std::io::ErrorKind::InvalidInput, "it is not a regular file"))
        }
        _ => Ok(()),
    }
}

/// Makes missing directories, closed to others.
fn create_parents(system: &dyn System, path: &Path) -> Result<(), FileError> {
    let mut missing = Vec::new();
    for parent in path.ancestors().skip(1) {
        if found(system.meta(parent)).at(parent, "look at")?.is_some() {
            break;
        }
        missing.push(parent);
    }
    for parent in missing.into_iter().rev() {
        made(system.create_dir(parent, 0o700)).at(parent, "create")?;
    }
    Ok(())
}
