use std::collections::BTreeSet;
use std::path::PathBuf;

use super::apply::{Site, client_lock, ledger_before, ledger_file};
use super::edits::Refuse;
use super::transaction::{self, Outcome, RunMeta};
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
    let now: Ledger = load_json(system, &store.path("ledger.json"), 1)?.unwrap_or_default();
    let then: Option<Ledger> = load_json(system, &store.path(&format!("backups/{}.ledger", backup.id)), 1)?;
    let concerned = |file: &BackedUp| {
        only.is_none_or(|only| {
            let ledgers = [Some(&now), then.as_ref()].into_iter().flatten();
            let records = ledgers.filter_map(|ledger| ledger.files.get(&file.path.display().to_string()));
            records
                .flat_map(|record| &record.targets)
                .any(|(key, target)| key == only || target.client == only)
        })
    };
    let files: Vec<BackedUp> = backup.files.iter().filter(|file| concerned(file)).cloned().collect();
    // A copy made by hand says `after = before`: it is there to be put back over anything.
    let is_copy = files.iter().all(|file| file.before.map(|before| before.fingerprint) == file.after);
    let wanted = Backup { files, ..backup.clone() };
    let mut found = transaction::restore(system, store, &wanted, force || is_copy)?;
    for change in &mut found.changes {
        let record = now.files.get(&change.path.display().to_string());
        let clients = record.into_iter().flat_map(|record| record.targets.values());
        change.client_lock = clients.into_iter().find_map(|target| client_lock(&target.client, &change.path));
    }
    let mut restored = Restored {
        put_back: found.changes.iter().map(|change| change.path.clone()).chain(found.unchanged).collect(),
        left: found.changed_since,
    };
    restored.left.retain(|path| !restored.put_back.contains(path));

    let mut ledger = now.clone();
    for path in &restored.put_back {
        let key = path.display().to_string();
        let Some(then) = &then else { continue };
        match then.files.get(&key) {
            Some(record) => ledger.files.insert(key, record.clone()),
            None => ledger.files.remove(&key),
        };
    }
    let meta = RunMeta {
        command: command.to_owned(),
        summary: format!("{} of {} put back", found.changes.len(), backup.id),
        revision: None,
        keep_going: false,
    };
    let mut commit = |outcome: &Outcome| Ok(vec![ledger_file(&ledger)?, ledger_before(&now, &outcome.id)?]);
    transaction::run(system, store, site.lock, &meta, found.changes, &mut Refuse, &mut commit)
        .map_err(RestoreError::Run)?;
    super::recover::remove_empty_dirs(system, backup.dirs.iter())?;
    Ok(restored)
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
    let kept = ledger_before(ledger, &id)?;
    crate::store::write_file(system, &store.path(&kept.name), kept.text.as_bytes())?;
    Ok(id)
}
