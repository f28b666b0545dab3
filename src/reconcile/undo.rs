use std::collections::BTreeSet;
use std::path::PathBuf;

use super::apply::{Site, ledger_file};
use super::edits::Refuse;
use super::observe::follow;
use super::transaction::{self, Access, After, Change, Outcome, RunMeta};
use crate::base::Fingerprint;
use crate::plan::{Ledger, Plan};
use crate::store::{BackedUp, Backup, Before, Store, load_json, rfc3339};
use crate::system::{FileError, System};

/// What was put back.
#[derive(Debug, Default)]
pub struct Restored {
    /// Files that are as they were before.
    pub put_back: Vec<PathBuf>,
    /// Files that somebody changed since; they were left alone.
    pub left: Vec<PathBuf>,
}

/// Why nothing was put back.
#[derive(Debug)]
pub enum RestoreError {
    /// A backup could not be read.
    File(FileError),
    /// The run was taken back.
    Run(Box<transaction::Failure>),
}

impl From<FileError> for RestoreError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// The clients and client blocks that the files of a backup were about, before or after.
///
/// # Errors
/// When the books cannot be read.
pub fn clients_of(
    store: &Store,
    system: &dyn System,
    backup: &Backup,
) -> Result<BTreeSet<String>, FileError> {
    let mut found = BTreeSet::new();
    for name in ["ledger.json".to_owned(), format!("backups/{}.ledger", backup.id)] {
        let ledger: Ledger = load_json(system, &store.path(&name), 1)?.unwrap_or_default();
        let records =
            backup.files.iter().filter_map(|file| ledger.files.get(&file.path.display().to_string()));
        let targets = records.flat_map(|record| &record.targets);
        found.extend(targets.flat_map(|(key, target)| [key.clone(), target.client.clone()]));
    }
    Ok(found)
}

/// Puts the files of a backup back as they were before that run, and the books with them.
///
/// `only` names a client or client block; `force` also takes files that somebody changed since.
pub fn restore(
    site: &Site<'_>,
    backup: &Backup,
    only: Option<&str>,
    force: bool,
    command: &str,
) -> Result<Restored, RestoreError> {
    let (system, store) = (site.system, site.store);
    let mut ledger: Ledger = load_json(system, &store.path("ledger.json"), 1)?.unwrap_or_default();
    let then: Option<Ledger> = load_json(system, &store.path(&format!("backups/{}.ledger", backup.id)), 1)?;
    let mut restored = Restored::default();
    let mut changes = Vec::new();
    for file in &backup.files {
        let key = file.path.display().to_string();
        let concerned = |ledger: &Ledger, only: &str| {
            ledger.files.get(&key).is_some_and(|record| {
                record.targets.iter().any(|(name, target)| name == only || target.client == only)
            })
        };
        if only.is_some_and(|only| {
            !concerned(&ledger, only) && !then.as_ref().is_some_and(|then| concerned(then, only))
        }) {
            continue;
        }
        let now = live(system, file)?;
        let before = file.before.map(|before| before.fingerprint);
        // A backup made by hand says `after = before`: it is there to be put back over anything.
        let is_copy = before == file.after;
        if now == before {
            restored.put_back.push(file.path.clone());
        } else if now == file.after || is_copy || force {
            changes.push(change(site, file, now)?);
            restored.put_back.push(file.path.clone());
        } else {
            restored.left.push(file.path.clone());
            continue;
        }
        if let Some(then) = &then {
            match then.files.get(&key) {
                Some(record) => ledger.files.insert(key, record.clone()),
                None => ledger.files.remove(&key),
            };
        }
    }
    let meta = RunMeta {
        command: command.to_owned(),
        summary: format!("{} of {} put back", changes.len(), backup.id),
        revision: None,
        keep_going: false,
    };
    let earlier: Ledger = load_json(system, &store.path("ledger.json"), 1)?.unwrap_or_default();
    let mut commit = |outcome: &Outcome| {
        let mut kept = ledger_file(&earlier)?;
        kept.name = format!("backups/{}.ledger", outcome.id);
        Ok(vec![ledger_file(&ledger)?, kept])
    };
    transaction::run(system, store, site.lock, &meta, changes, &mut Refuse, &mut commit)
        .map_err(RestoreError::Run)?;
    super::recover::remove_empty_dirs(system, backup.dirs.iter())?;
    Ok(restored)
}

fn change(site: &Site<'_>, file: &BackedUp, now: Option<Fingerprint>) -> Result<Change, FileError> {
    let after = match file.before {
        Some(Before { fingerprint, mode }) => After::Write {
            bytes: site.store.load_object(site.system, fingerprint)?,
            access: Access::Mode(mode),
        },
        None => After::Remove,
    };
    Ok(Change { path: file.path.clone(), before: now, after, client_lock: None, create_dirs: true })
}

fn live(system: &dyn System, file: &BackedUp) -> Result<Option<Fingerprint>, FileError> {
    let wrap = |source| FileError { path: file.path.clone(), doing: "read", source };
    let real = follow(system, &file.path).map_err(wrap)?;
    match system.read(&real) {
        Ok(bytes) => Ok(Some(Fingerprint::of(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrap(error)),
    }
}

/// Copies every file of a plan into the backups. Returns the backup's name.
///
/// # Errors
/// When a copy cannot be written.
pub fn backup(site: &Site<'_>, plan: &Plan, ledger: &Ledger) -> Result<String, FileError> {
    let (system, store) = (site.system, site.store);
    let id = store.new_id(system, site.lock)?;
    let mut files = Vec::new();
    for file in &plan.files {
        // A file that cannot be parsed is worth a copy all the same.
        let Ok(bytes) = system.read(&file.real) else { continue };
        let mode = system.meta(&file.real).map_or(0o600, |meta| meta.mode);
        let fingerprint = store.keep_object(system, &bytes)?;
        let before = Some(Before { fingerprint, mode });
        files.push(BackedUp { path: file.wishes.path.clone(), before, after: Some(fingerprint) });
    }
    let at = rfc3339(system.now());
    let made =
        Backup { id: id.clone(), at, command: "backup".to_owned(), revision: None, files, dirs: Vec::new() };
    store.add_backup(system, site.lock, &made)?;
    let kept = ledger_file(ledger)?;
    crate::store::write_file(system, &store.path(&format!("backups/{id}.ledger")), kept.text.as_bytes())?;
    Ok(id)
}
