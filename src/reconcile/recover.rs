//! Brings a run in order that was cut off, or undoes one that failed: both from the journal alone.
//!
//! Invariant: nothing is thrown away but what the journal proves to be ours or to be in the object
//! store; each step leaves a state that this table covers, so recovery can be cut off as well.
//!
//! A run whose journal has a `commit` line counts: its own files are written, temporary files are
//! dropped. Any other run is undone, file by file, last one first. *Ours* is a content that a round
//! of the journal put in place (`to`); nothing is ours where the run removed the file. *Temp* is a
//! file beside the real one whose name a round announced; names that no round announced hold a part
//! of our own content and are dropped.
//!
//! | real file | temp | how it came | what is done |
//! | --- | --- | --- | --- |
//! | not ours | ours, or none | before the exchange, or after it was taken back | drop the temp |
//! | ours | what was planned on | after the exchange | exchange back |
//! | ours | another content | another writer won; cut off before it was examined | exchange back: theirs is the newest |
//! | ours | none | no exchange on this file system; or the file is new | write from the object store; or remove |
//! | none, and that is ours | any content | after a removal | move back |
//! | none, and that is not ours | what was planned on | someone removed the file after us | drop the temp, kept as an object |
//! | not ours | what was planned on | another program wrote over our content | leave theirs, drop the temp |
//! | not ours | an unknown content | another writer came between the two exchanges | the newer one is live, the older one is kept as an object and reported |
//!
//! Putting back is itself examined like any exchange, so a writer that comes meanwhile loses nothing.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::transaction::{
    Access, ClientLocks, Problem, Seen, Swapped, follow, look, put, remove_small_tree, take, temp_path,
    temp_prefix, write_temp,
};
use crate::base::Fingerprint;
use crate::store::{
    BackedUp, Backup, Before, Entry, Header, Journal, Line, Round, RunResult, StateLock, Store,
};
use crate::system::{At, FileError, Kind, System, found};

/// How often other writers may get in between while a file is put back.
const ROUNDS: u32 = 50;

/// What had to be brought in order.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Runs that counted and are complete now.
    pub finished: Vec<String>,
    /// Runs that were cut off and are undone now.
    pub undone: Vec<(String, Undone)>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

impl Recovered {
    /// What happened, for people.
    pub fn sentences(&self) -> Vec<String> {
        let finished = self.finished.iter().map(|id| format!("the interrupted run {id} was finished"));
        let undone = self.undone.iter().map(|(id, _)| format!("the interrupted run {id} was undone"));
        finished.chain(undone).chain(self.warnings.iter().cloned()).collect()
    }
}

/// What was put back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Files that are as they were before the run.
    pub put_back: Vec<PathBuf>,
    /// Files that another program changed after the run did, and that were left so.
    pub left: Vec<PathBuf>,
    /// Contents of unclear age that are in the object store now, with the file they belong to.
    pub strays: Vec<(PathBuf, Fingerprint)>,
}

/// Finishes or undoes every run that was cut off.
pub fn recover(system: &dyn System, store: &Store, lock: &StateLock) -> Result<Recovered, FileError> {
    let mut recovered = Recovered::default();
    for id in store.journal_ids(system)? {
        let Some(journal) = store.load_journal(system, &id)? else {
            store.drop_journal(system, lock, &id)?;
            continue;
        };
        // The run may have left the clients' locks behind: taking them removes them in the end.
        let mut locks = ClientLocks::new(system, &id);
        for (dir, stale) in journal.header.files.iter().filter_map(|file| file.lock.as_ref()) {
            match locks.take(dir, Duration::from_secs((*stale).into())) {
                Err(Problem::File(error)) => return Err(error),
                // A client that never lets go must not keep us from putting its file right.
                Err(problem) => recovered.warnings.push(problem.to_string()),
                Ok(()) => {}
            }
        }
        if journal.commit().is_some() {
            locks.release();
            recovered.warnings.extend(finish(system, store, lock, &id)?);
            recovered.finished.push(id.clone());
        } else {
            let undone = undo(system, store, lock, &journal, None)?;
            recovered.warnings.extend(undone.strays.iter().map(|(path, print)| kept(path, *print)));
            let entry = Entry {
                format_version: 1,
                id: id.clone(),
                at: journal.header.at.clone(),
                command: journal.header.command.clone(),
                summary: "cut off, and undone by the next run".to_owned(),
                files: journal.header.files.iter().map(|file| file.path.clone()).collect(),
                outcome: RunResult::Undone,
                revision: None,
            };
            store.add_history(system, lock, &entry)?;
            keep_strays(system, store, lock, &journal.header, &undone.strays)?;
            locks.release();
            store.drop_journal(system, lock, &id)?;
            recovered.undone.push((id.clone(), undone));
        }
    }
    Ok(recovered)
}

/// Completes a run that counts: drops what it left beside the files, writes its own files. Returns
/// what the user should know.
pub(super) fn finish(
    system: &dyn System,
    store: &Store,
    lock: &StateLock,
    id: &str,
) -> Result<Vec<String>, FileError> {
    let Some(journal) = store.load_journal(system, id)? else { return Ok(Vec::new()) };
    let Some(commit) = journal.commit() else { return Ok(Vec::new()) };
    let mut strays = Vec::new();
    for file in 0..journal.header.files.len() {
        let case = Case::new(system, store, lock, &journal, file);
        for temp in case.temps()? {
            strays.extend(case.discard(&temp)?);
        }
        case.sync_dirs()?;
    }
    for file in &commit.state {
        crate::store::write_file(system, &store.path(&file.name), file.text.as_bytes())?;
    }
    if let Some(backup) = &commit.backup {
        store.add_backup(system, lock, backup)?;
    }
    if let Some(entry) = &commit.history {
        store.add_history(system, lock, entry)?;
    }
    keep_strays(system, store, lock, &journal.header, &strays)?;
    store.drop_journal(system, lock, id)?;
    Ok(strays.iter().map(|(path, print)| kept(path, *print)).collect())
}

/// Refers to contents that were found in nobody's place, so that they outlive pruning like any backup.
pub(super) fn keep_strays(
    system: &dyn System,
    store: &Store,
    lock: &StateLock,
    run: &Header,
    strays: &[(PathBuf, Fingerprint)],
) -> Result<(), FileError> {
    if strays.is_empty() {
        return Ok(());
    }
    let kept = |(path, print): &(PathBuf, Fingerprint)| BackedUp {
        path: path.clone(),
        before: Some(Before { fingerprint: *print, mode: 0o600 }),
        after: None,
    };
    let backup = Backup {
        id: format!("{}-kept", run.id),
        at: run.at.clone(),
        command: format!("{} (contents of others, kept aside)", run.command),
        revision: None,
        files: strays.iter().map(kept).collect(),
        dirs: Vec::new(),
    };
    store.add_backup(system, lock, &backup)
}

/// Puts back what the run replaced: in all its files, or in one of them.
pub(super) fn undo(
    system: &dyn System,
    store: &Store,
    lock: &StateLock,
    journal: &Journal,
    only: Option<usize>,
) -> Result<Undone, FileError> {
    let mut undone = Undone::default();
    for file in (0..journal.header.files.len()).rev() {
        if only.is_some_and(|only| only != file) {
            continue;
        }
        let mut case = Case::new(system, store, lock, journal, file);
        let back = case.put_back()?;
        for temp in case.temps()? {
            undone.strays.extend(case.discard(&temp)?);
        }
        case.sync_dirs()?;
        match back {
            Back::Untouched => {}
            Back::Done => undone.put_back.push(case.path().to_owned()),
            Back::Left => undone.left.push(case.path().to_owned()),
        }
    }
    if only.is_none() {
        remove_made_dirs(system, journal)?;
    }
    Ok(undone)
}

/// Removes the directories that the run made, unless someone has put something into them.
fn remove_made_dirs(system: &dyn System, journal: &Journal) -> Result<(), FileError> {
    remove_empty_dirs(system, journal.made_dirs())
}

/// Removes directories, given outermost first, unless someone has put something into them.
pub(super) fn remove_empty_dirs<'d>(
    system: &dyn System,
    dirs: impl DoubleEndedIterator<Item = &'d PathBuf>,
) -> Result<(), FileError> {
    for dir in dirs.rev() {
        match found(system.remove_dir(dir)) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => continue,
            other => drop(other.at(dir, "remove")?),
        }
        if let Some(parent) = dir.parent() {
            // A parent of ours may be gone in the next round already.
            found(system.sync(parent)).at(parent, "flush")?;
        }
    }
    Ok(())
}

enum Back {
    /// The run had not touched it.
    Untouched,
    /// It is as it was.
    Done,
    /// Someone else changed it since.
    Left,
}

/// One file of a run that is to be brought in order.
struct Case<'c> {
    system: &'c dyn System,
    store: &'c Store,
    lock: &'c StateLock,
    journal: &'c Journal,
    file: usize,
    rounds: Vec<&'c Round>,
    /// Names that this recovery announced itself.
    announced: Vec<PathBuf>,
    /// What the run put in place, nothing included.
    ours: BTreeSet<Option<Fingerprint>>,
}

/// A file beside the real one.
struct Temp {
    path: PathBuf,
    print: Option<Fingerprint>,
    is_announced: bool,
}

impl<'c> Case<'c> {
    fn new(
        system: &'c dyn System,
        store: &'c Store,
        lock: &'c StateLock,
        journal: &'c Journal,
        file: usize,
    ) -> Self {
        let rounds: Vec<&Round> = journal.rounds().filter(|round| round.file == file).collect();
        // A round that only narrowed permission bits left the content as it was: nobody's in particular.
        let ours = rounds.iter().filter(|round| !round.back && round.from != round.to).map(|round| round.to);
        let ours = ours.collect();
        Self { system, store, lock, journal, file, rounds, announced: Vec::new(), ours }
    }

    fn path(&self) -> &'c Path {
        &self.journal.header.files[self.file].path
    }

    /// The directories in which this run may have left names.
    fn dirs(&self) -> BTreeSet<PathBuf> {
        let parent = |path: &Path| path.parent().map(Path::to_owned);
        let mut dirs: BTreeSet<PathBuf> =
            self.rounds.iter().filter_map(|round| parent(&round.real)).collect();
        if let Ok(real) = follow(self.system, self.path()) {
            dirs.extend(parent(&real));
        }
        let file = &self.journal.header.files[self.file];
        dirs.extend(file.dir.clone());
        dirs.extend(file.lock.as_ref().and_then(|(lock, _)| parent(lock)));
        dirs
    }

    fn sync_dirs(&self) -> Result<(), FileError> {
        for dir in self.dirs() {
            found(self.system.sync(&dir)).at(&dir, "flush")?;
        }
        Ok(())
    }

    /// What the run left beside the file. Lock directories that it had moved away are removed here.
    fn temps(&self) -> Result<Vec<Temp>, FileError> {
        let (id, mut temps) = (&self.journal.header.id, Vec::new());
        let (prefix, stale) = (temp_prefix(id, self.file), format!(".mcpkeel-{id}-stale-"));
        for dir in self.dirs() {
            for name in found(self.system.list(&dir)).at(&dir, "list")?.unwrap_or_default() {
                let path = dir.join(&name);
                if name.starts_with(&stale) {
                    remove_small_tree(self.system, &path)?;
                } else if name.starts_with(&prefix) {
                    let bytes = found(self.system.read(&path)).at(&path, "read")?;
                    // On Windows an exchange that was cut off leaves the old file at `<temp>.old`.
                    let announced = name.strip_suffix(".old").unwrap_or(&name);
                    let announced = dir.join(announced);
                    let is_announced = self.announced.contains(&announced)
                        || self.rounds.iter().any(|round| round.temp == announced);
                    temps.push(Temp { path, print: bytes.as_deref().map(Fingerprint::of), is_announced });
                }
            }
        }
        Ok(temps)
    }

    /// Drops a file beside the real one, keeping its content unless it is ours. Returns it if its age
    /// is unclear.
    fn discard(&self, temp: &Temp) -> Result<Option<(PathBuf, Fingerprint)>, FileError> {
        let mut stray = None;
        if temp.is_announced {
            let seen = look(self.system, &temp.path)?;
            if let (Some(bytes), false) = (&seen.bytes, self.ours.contains(&seen.print)) {
                let print = self.store.keep_object(self.system, bytes)?;
                let is_planned =
                    self.rounds.iter().any(|round| round.from == Some(print) || round.to == Some(print));
                stray = (!is_planned && !self.is_live(print)?).then(|| (self.path().to_owned(), print));
            }
        }
        found(self.system.remove_file(&temp.path)).at(&temp.path, "remove")?;
        Ok(stray)
    }

    fn is_live(&self, print: Fingerprint) -> Result<bool, FileError> {
        let bytes = found(self.system.read(self.path())).at(self.path(), "read")?;
        Ok(bytes.is_some_and(|bytes| Fingerprint::of(&bytes) == print))
    }

    fn put_back(&mut self) -> Result<Back, FileError> {
        let Some(&last) = self.rounds.last() else { return Ok(Back::Untouched) };
        for _ in 0..ROUNDS {
            let seen = look(self.system, &last.real)?;
            let theirs = self.theirs()?;
            if !self.ours.contains(&seen.print) {
                let known = |print| self.rounds.iter().any(|round| round.from == print);
                let unknown = theirs.filter(|temp| !known(temp.print));
                let Some(temp) = unknown.filter(|temp| self.is_newer(temp, &seen)) else {
                    let is_before = self.rounds.first().is_some_and(|first| first.from == seen.print);
                    return Ok(if is_before { Back::Untouched } else { Back::Left });
                };
                if let Some(bytes) = &seen.bytes {
                    self.store.keep_object(self.system, bytes)?;
                }
                if !self.swap(put(self.system, &seen, &temp.path, true)?, &last.real)? {
                    continue;
                }
                return Ok(Back::Left);
            }
            let before = if theirs.is_none() { self.before(seen.print) } else { None };
            let swapped = match (theirs, before) {
                (Some(temp), _) => put(self.system, &seen, &temp.path, true)?,
                (None, None) if seen.meta.is_none() => return Ok(Back::Done),
                (None, None) => {
                    let temp = self.fresh_name(&seen)?;
                    self.announce(&temp, &seen, None)?;
                    take(self.system, &seen, &temp)?
                }
                (None, Some((print, mode))) => {
                    let bytes = self.store.load_object(self.system, print)?;
                    let temp = self.fresh_name(&seen)?;
                    let access = if seen.meta.is_some() { Access::Keep } else { Access::Mode(mode) };
                    if !write_temp(self.system, &seen, &temp, &bytes, access)? {
                        continue;
                    }
                    // Only now: a name that is announced holds a whole content.
                    self.announce(&temp, &seen, Some(print))?;
                    put(self.system, &seen, &temp, true)?
                }
            };
            drop(seen);
            if self.swap(swapped, &last.real)? {
                return Ok(Back::Done);
            }
        }
        let why = "another program keeps rewriting it while it is put back";
        Err(FileError::new(&last.real, "put back", ErrorKind::ResourceBusy, why))
    }

    /// Whether the exchange held; if so, it is on the disk.
    fn swap(&self, swapped: Swapped, real: &Path) -> Result<bool, FileError> {
        if !matches!(swapped, Swapped::Done | Swapped::Plain) {
            return Ok(false);
        }
        let dir = real.parent().unwrap_or(real);
        self.system.sync(dir).at(dir, "flush")?;
        Ok(true)
    }

    /// The newest content beside the file that is not ours.
    fn theirs(&self) -> Result<Option<Temp>, FileError> {
        let mut theirs = Vec::new();
        for temp in self.temps()? {
            let is_file = found(self.system.meta(&temp.path)).at(&temp.path, "look at")?;
            let Some(meta) = is_file.filter(|meta| meta.kind == Kind::File) else { continue };
            if temp.is_announced && temp.print.is_some() && !self.ours.contains(&temp.print) {
                theirs.push((meta.modified, temp));
            }
        }
        theirs.sort_by_key(|(modified, _)| *modified);
        Ok(theirs.pop().map(|(_, temp)| temp))
    }

    /// Newer than what is live; where nothing is live, anything is.
    fn is_newer(&self, temp: &Temp, seen: &Seen) -> bool {
        let Some(live) = &seen.meta else { return true };
        self.system.meta(&temp.path).is_ok_and(|meta| meta.modified > live.modified)
    }

    /// What was there before our content came, where it is not beside the file any more.
    fn before(&self, mut print: Option<Fingerprint>) -> Option<(Fingerprint, u32)> {
        for _ in 0..=self.rounds.len() {
            let round = self.rounds.iter().rev().find(|round| !round.back && round.to == print)?;
            if !self.ours.contains(&round.from) {
                return Some((round.from?, round.mode));
            }
            print = round.from;
        }
        None
    }

    /// A name beside the file that nothing has, after the names of all rounds.
    fn fresh_name(&self, seen: &Seen) -> Result<PathBuf, FileError> {
        let mut number = 1000;
        loop {
            let temp = temp_path(&seen.real, &self.journal.header.id, self.file, number);
            if found(self.system.meta(&temp)).at(&temp, "look at")?.is_none() {
                return Ok(temp);
            }
            number += 1;
        }
    }

    fn announce(&mut self, temp: &Path, seen: &Seen, to: Option<Fingerprint>) -> Result<(), FileError> {
        let round = Round {
            file: self.file,
            real: seen.real.clone(),
            temp: temp.to_owned(),
            from: seen.print,
            to,
            mode: seen.mode(),
            back: true,
        };
        self.announced.push(temp.to_owned());
        self.store.add_journal(self.system, self.lock, &self.journal.header.id, &Line::Round(round))
    }
}

fn kept(path: &Path, print: Fingerprint) -> String {
    format!("a content of {} that lay beside it is kept as backup object {print}", path.display())
}
