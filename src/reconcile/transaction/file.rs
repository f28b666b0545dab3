use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Access, After, Change, Done, FileOutcome, Problem, Rework, Run, Seen, Swapped, look, put, take, temp_path,
};
use crate::base::Fingerprint;
use crate::store::{Dirs, Line, Round};
use crate::system::{At, FileError, System, found, made};

/// How often other writers may get in between before we give way.
const ROUNDS: u32 = 50;
/// How long a file that lacked an update for a moment is watched: ten times 100 ms.
const WATCHES: u32 = 10;
const WATCH: Duration = Duration::from_millis(100);

/// One file of a run, and what happened to it so far.
pub(super) struct Work {
    pub change: Change,
    pub failed: Option<Problem>,
    /// What stands there, once it is done.
    pub stands: Option<Fingerprint>,
    index: usize,
    real: Option<PathBuf>,
    mode: u32,
    names: u32,
    reworked: u32,
    tries: Vec<Try>,
    asides: Vec<Aside>,
    owed: Vec<Owed>,
    /// Whether only what is owed is still to be done.
    gives_up: bool,
    watched: u32,
}

/// A content that we put, or tried to put, in the file's place.
struct Try {
    to: Option<Fingerprint>,
    /// The others' content that it was made from.
    under: Option<Vec<u8>>,
    /// How many owed updates it holds.
    owed: usize,
}

/// A file that lies beside the real one, with what we know it to hold.
struct Aside {
    temp: PathBuf,
    bytes: Vec<u8>,
}

/// Another writer's update that the live file may lack.
struct Owed {
    base: Vec<u8>,
    theirs: Vec<u8>,
    is_kept: bool,
}

/// A new content, ready to be put in place.
struct Prepared {
    real: PathBuf,
    /// Holds the new content; where the change is a removal, the name for the old one.
    temp: PathBuf,
    from: Option<Fingerprint>,
    to: Option<Fingerprint>,
    bytes: Option<Vec<u8>>,
    under: Option<Vec<u8>>,
    owed: usize,
}

impl Work {
    pub fn new(index: usize, change: Change) -> Self {
        Self {
            change,
            failed: None,
            stands: None,
            index,
            real: None,
            mode: 0o644,
            names: 0,
            reworked: 0,
            tries: Vec::new(),
            asides: Vec::new(),
            owed: Vec::new(),
            gives_up: false,
            watched: 0,
        }
    }

    pub fn placeholder() -> Self {
        let (path, after) = (PathBuf::new(), After::Remove);
        Self::new(0, Change { path, before: None, after, client_lock: None, create_dirs: false })
    }

    /// What our content replaced, if it replaced anything, with its permission bits.
    pub fn replaced(&self) -> Option<(Option<&Vec<u8>>, u32)> {
        let last = self.tries.last().filter(|_| self.failed.is_none())?;
        Some((last.under.as_ref(), self.mode))
    }

    /// Updates by others that were replaced for a moment.
    pub fn owed_contents(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.owed.iter().map(|owed| (self.change.path.as_path(), &owed.theirs[..]))
    }

    pub fn into_outcome(self) -> FileOutcome {
        let before = match self.tries.last() {
            Some(last) => last.under.as_deref().map(Fingerprint::of),
            None => self.stands,
        };
        let done = match self.failed {
            Some(problem) => Done::Failed(problem),
            None if self.tries.is_empty() => Done::Unchanged,
            None if self.stands.is_none() => Done::Removed,
            None => Done::Written,
        };
        let real = self.real.unwrap_or_else(|| self.change.path.clone());
        FileOutcome {
            path: self.change.path,
            real,
            done,
            before,
            after: self.stands,
            reworked: self.reworked,
        }
    }
}

impl Run<'_> {
    /// Brings a file to what it should be, in rounds; then it stands, and all that came out is quiet.
    pub(super) fn bring(&mut self, work: &mut Work, rework: &mut dyn Rework) -> Result<(), Problem> {
        if let Some(lock) = &work.change.client_lock {
            self.locks.take(&lock.dir, Duration::from_secs(lock.stale_seconds.into()))?;
        }
        let mut prepared: Option<Prepared> = None;
        for round in 0..ROUNDS {
            self.locks.touch();
            self.settle(work)?;
            let mut seen = look(self.system, &work.change.path)?;
            work.real = Some(seen.real.clone());
            if let Some(last) = work.tries.last()
                && last.to == seen.print
                && last.owed == work.owed.len()
            {
                if self.watches(work, &mut seen) {
                    continue;
                }
                work.stands = seen.print;
                return Ok(());
            }
            if let Some(ready) = prepared.take() {
                if ready.from == seen.print && ready.real == seen.real && ready.owed == work.owed.len() {
                    self.swap(work, ready, seen)?;
                    continue;
                }
                if ready.bytes.is_some() {
                    found(self.system.remove_file(&ready.temp)).at(&ready.temp, "remove")?;
                }
                work.reworked += 1;
                seen.release();
                // Whoever writes is given time to finish: 0, 1, 2 .. 20 ms.
                self.system.sleep(Duration::from_millis(u64::from(round.min(20))));
                seen = look(self.system, &work.change.path)?;
            }
            seen.release();
            let (under, after) = self.decide(work, &seen, rework)?;
            let wanted = match &after {
                Some(After::Write { bytes, .. }) => Some(Fingerprint::of(bytes)),
                Some(After::Remove) => None,
                None => seen.print,
            };
            // Only the permission bits of an unchanged content may still have to be narrowed.
            if wanted == seen.print && !needs_mode(after.as_ref(), &seen) {
                if self.watches(work, &mut seen) {
                    continue;
                }
                work.stands = seen.print;
                return Ok(());
            }
            prepared = self.prepare(work, &seen, under, after.unwrap_or(After::Remove))?;
        }
        Err(Problem::Contended { path: work.change.path.clone(), rounds: ROUNDS })
    }

    /// Puts others' updates that were out of sight because of us back into a file that we gave up on:
    /// who read it at that moment has written it without them since.
    pub(super) fn give_back(&mut self, work: &mut Work, rework: &mut dyn Rework) -> Result<(), FileError> {
        if work.owed.is_empty() {
            return Ok(());
        }
        work.gives_up = true;
        match self.bring(work, rework) {
            Ok(()) => work.owed.clear(),
            Err(Problem::File(error)) => return Err(error),
            // The file never rests: what is owed is kept aside.
            Err(_) => {}
        }
        for aside in &work.asides {
            found(self.system.remove_file(&aside.temp)).at(&aside.temp, "remove")?;
        }
        Ok(())
    }

    /// Whether a file that lacked an update for a moment is looked at once more: whoever read it at
    /// that moment is about to write it without the update.
    fn watches(&self, work: &mut Work, seen: &mut Seen) -> bool {
        let is_watched = !work.owed.is_empty() && work.watched < WATCHES;
        if is_watched {
            work.watched += 1;
            seen.release();
            self.system.sleep(WATCH);
        }
        is_watched
    }

    /// Reads again what came out, once it is quiet: what was written into it since is owed.
    fn settle(&mut self, work: &mut Work) -> Result<(), Problem> {
        for aside in &mut work.asides {
            let Some(bytes) = look(self.system, &aside.temp)?.bytes else { continue };
            if bytes != aside.bytes {
                let base = std::mem::replace(&mut aside.bytes, bytes.clone());
                work.owed.push(Owed { base, theirs: bytes, is_kept: false });
            }
        }
        Ok(())
    }

    /// What is to be there: the others' content it is made from, and the change to it.
    fn decide(
        &mut self,
        work: &mut Work,
        seen: &Seen,
        rework: &mut dyn Rework,
    ) -> Result<(Option<Vec<u8>>, Option<After>), Problem> {
        let ours = work.tries.iter().rev().find(|ours| ours.to == seen.print);
        let mut under = ours.map_or_else(|| seen.bytes.clone(), |ours| ours.under.clone());
        for owed in &mut work.owed {
            under = match under {
                None => Some(owed.theirs.clone()),
                Some(live) if live == owed.base => Some(owed.theirs.clone()),
                Some(live) if live == owed.theirs => Some(live),
                Some(live) => match rework.merge(work.index, &owed.base, &owed.theirs, &live) {
                    Some(both) => Some(both),
                    None => {
                        if !std::mem::replace(&mut owed.is_kept, true) {
                            let print = self.store.keep_object(self.system, &owed.theirs)?;
                            self.outcome.warnings.push(stray(&work.change.path, print));
                            self.kept.push((work.change.path.clone(), print));
                        }
                        Some(live)
                    }
                },
            };
        }
        if !work.gives_up && under.as_deref().map(Fingerprint::of) == work.change.before {
            return Ok((under, Some(work.change.after.clone())));
        }
        let after = match work.gives_up {
            true => None,
            false => rework.rework(work.index, under.as_deref()).map_err(Problem::Refused)?,
        };
        let after = match (after, &under) {
            (None, Some(bytes)) if under != seen.bytes => {
                Some(After::Write { bytes: bytes.clone(), access: Access::Keep })
            }
            (after, _) => after,
        };
        Ok((under, after))
    }

    /// Writes the new content beside the file and announces it; `None` if the file vanished meanwhile.
    fn prepare(
        &mut self,
        work: &mut Work,
        seen: &Seen,
        under: Option<Vec<u8>>,
        after: After,
    ) -> Result<Option<Prepared>, Problem> {
        let (system, store) = (self.system, self.store);
        // Later rounds are short, to be done before the next writer comes: what they replace stays beside
        // the file, and is kept when the run counts.
        if work.names == 0 || !self.has_exchange {
            if let Some(bytes) = &seen.bytes {
                store.keep_object(system, bytes)?;
            }
            if seen.meta.as_ref().is_some_and(|meta| meta.links > 1) && work.names == 0 {
                self.outcome.warnings.push(format!(
                    "{} has further hard links; they keep the old content",
                    seen.real.display()
                ));
            }
        }
        if seen.meta.is_some() && work.tries.is_empty() {
            work.mode = seen.mode();
        }
        let temp = temp_path(&seen.real, self.id, work.index, work.names);
        work.names += 1;
        let bytes = match after {
            After::Remove => None,
            After::Write { bytes, access } => {
                self.create_dirs(&seen.real, work.change.create_dirs)?;
                if !write_temp(system, seen, &temp, &bytes, access)? {
                    return Ok(None);
                }
                Some(bytes)
            }
        };
        let to = bytes.as_deref().map(Fingerprint::of);
        let round = Round {
            file: work.index,
            real: seen.real.clone(),
            temp: temp.clone(),
            from: seen.print,
            to,
            mode: seen.mode(),
            back: false,
        };
        store.add_journal(system, self.lock, self.id, &Line::Round(round))?;
        let (real, from, owed) = (seen.real.clone(), seen.print, work.owed.len());
        Ok(Some(Prepared { real, temp, from, to, bytes, under, owed }))
    }

    /// Tries to put the prepared content in the place of what was seen.
    fn swap(&mut self, work: &mut Work, ready: Prepared, mut seen: Seen) -> Result<(), Problem> {
        let system = self.system;
        let swapped = match ready.bytes {
            Some(_) => put(system, &seen, &ready.temp, !self.has_exchange)?,
            None => take(system, &seen, &ready.temp)?,
        };
        seen.release();
        let ours = ready.bytes;
        match swapped {
            Swapped::Done | Swapped::Plain => {
                if let (Swapped::Done, Some(bytes)) = (swapped, seen.bytes) {
                    work.asides.push(Aside { temp: ready.temp, bytes });
                }
                work.tries.push(Try { to: ready.to, under: ready.under, owed: ready.owed });
                work.watched = 0;
                let dir = seen.real.parent().unwrap_or(Path::new("/"));
                system.sync(dir).at(dir, "flush")?;
            }
            Swapped::Missed | Swapped::Unsupported => {
                self.has_exchange &= !matches!(swapped, Swapped::Unsupported);
                work.reworked += 1;
                if ours.is_some() {
                    found(system.remove_file(&ready.temp)).at(&ready.temp, "remove")?;
                }
            }
            Swapped::Lost { theirs, stranded } => {
                work.reworked += 1;
                let stranded_is_theirs = stranded.is_some() && stranded == theirs;
                if let Some(theirs) = theirs {
                    let base = seen.bytes.clone().unwrap_or_default();
                    work.owed.push(Owed { base, theirs, is_kept: false });
                }
                // Our content was visible for a moment: whoever opened it then may write into it yet.
                match (stranded, ours) {
                    (Some(bytes), ours) => {
                        if !stranded_is_theirs {
                            let base = ours.unwrap_or_default();
                            work.owed.push(Owed { base, theirs: bytes.clone(), is_kept: false });
                        }
                        work.asides.push(Aside { temp: ready.temp, bytes });
                    }
                    (None, Some(bytes)) => work.asides.push(Aside { temp: ready.temp, bytes }),
                    (None, None) => {}
                }
            }
        }
        Ok(())
    }

    /// Makes missing parents, announced so that they can be removed again.
    fn create_dirs(&self, real: &Path, allowed: bool) -> Result<(), FileError> {
        let mut missing = Vec::new();
        for dir in real.ancestors().skip(1) {
            if found(self.system.meta(dir)).at(dir, "look at")?.is_some() {
                break;
            }
            missing.insert(0, dir.to_owned());
        }
        let Some(first) = missing.first() else { return Ok(()) };
        if !allowed {
            return Err(FileError::new(
                real,
                "create",
                ErrorKind::NotFound,
                format!("there is no {}", first.display()),
            ));
        }
        let line = Line::Dirs(Dirs { made: missing.clone() });
        self.store.add_journal(self.system, self.lock, self.id, &line)?;
        for dir in &missing {
            made(self.system.create_dir(dir, 0o755)).at(dir, "create")?;
            let parent = dir.parent().unwrap_or(dir);
            self.system.sync(parent).at(parent, "flush")?;
        }
        Ok(())
    }
}

/// Whether a file whose content is right has permission bits that are not.
fn needs_mode(after: Option<&After>, seen: &Seen) -> bool {
    let Some(meta) = seen.meta.as_ref().filter(|meta| meta.owner.is_some()) else { return false };
    match after {
        Some(After::Write { access: Access::Private, .. }) => meta.mode & 0o077 != 0,
        Some(After::Write { access: Access::Mode(mode), .. }) => meta.mode != *mode,
        _ => false,
    }
}

/// Writes a new content beside a file, with the file's mode, owner and extended attributes, on the
/// disk when this returns. `false` if the file has vanished.
pub(in crate::reconcile) fn write_temp(
    system: &dyn System,
    seen: &Seen,
    temp: &Path,
    bytes: &[u8],
    access: Access,
) -> Result<bool, FileError> {
    let is_new = seen.meta.is_none();
    // Open to nobody until its attributes are right.
    let mode = if is_new && access == Access::Keep { 0o644 } else { 0o600 };
    system.create_new(temp, bytes, mode).at(temp, "create")?;
    if !is_new
        && found(system.copy_attributes(&seen.real, temp)).at(&seen.real, "keep the attributes of")?.is_none()
    {
        system.remove_file(temp).at(temp, "remove")?;
        return Ok(false);
    }
    match access {
        Access::Keep => {}
        Access::Private => system.set_mode(temp, 0o600).at(temp, "set the mode of")?,
        Access::Mode(mode) => system.set_mode(temp, mode).at(temp, "set the mode of")?,
    }
    system.sync(temp).at(temp, "flush")?;
    Ok(true)
}

fn stray(path: &Path, print: Fingerprint) -> String {
    format!(
        "two programs changed {} at the same moment; the newer content is in place, the other one is kept as backup object {print}",
        path.display()
    )
}
