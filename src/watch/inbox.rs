use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::places::Places;
use crate::system::{Noticed, writers_in};

/// How often it is looked who writes into a directory, at most.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// For how many times as long as a look took that found nobody there is no other one.
const REST: u32 = 5;

/// What wakes the reconciler: however much happens, this stays as small as what is watched.
///
/// Times are those of [`crate::system::System::ticks`].
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    places: Places,
    /// Directories of files over which there is a fight.
    suspects: BTreeSet<PathBuf>,
    /// Who was seen writing there last.
    writers: BTreeMap<PathBuf, Vec<String>>,
    /// Not before this is it looked again.
    look_again: Duration,
    waiting: Waiting,
    /// How many events came, those that do not matter among them.
    noticed: u64,
}

#[derive(Default)]
struct Waiting {
    touched: BTreeSet<PathBuf>,
    first: Option<Duration>,
    last: Duration,
    everything: bool,
    asked: bool,
    now: bool,
    stop: Option<Stop>,
}

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Asked,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// Why the reconciler wakes.
#[derive(Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something happened to these, and they have been quiet since.
    Touched(BTreeSet<PathBuf>),
    /// Anything may have happened.
    Everything,
    /// Somebody asks for a look at everything.
    Asked,
    /// It is time.
    Time,
    /// It ends.
    Stop(Stop),
}

/// How long files must be quiet before they are looked at, and how long that may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debounce {
    /// Without an event.
    pub quiet: Duration,
    /// Since the first event.
    pub most: Duration,
}

impl Debounce {
    /// When to look, after events from `first` to `last`.
    fn due(self, first: Duration, last: Duration) -> Duration {
        (last + self.quiet).min(first + self.most)
    }
}

impl Inbox {
    /// What the watcher noticed.
    pub fn notice(&self, now: Duration, noticed: Noticed) {
        let suspect = self.take(now, noticed);
        let Some(dir) = suspect else { return };
        // Takes a while, and nobody is to wait for it.
        let writers = writers_in(&dir);
        let mut state = self.state();
        state.look_again =
            now + if writers.names.is_empty() { writers.took * (REST + 1) } else { BETWEEN_LOOKS };
        if !writers.names.is_empty() {
            state.writers.insert(dir, writers.names);
        }
    }

    /// Takes in what was noticed. Returns the directory of which is to be known who writes there.
    fn take(&self, now: Duration, noticed: Noticed) -> Option<PathBuf> {
        let mut state = self.state();
        state.noticed += 1;
        let path = match noticed {
            Noticed::Anything => {
                state.waiting.everything = true;
                self.bell.notify_one();
                return None;
            }
            Noticed::Path(path) => path,
        };
        let suspect = state.suspect(now, &path);
        if !state.places.matter(&path) {
            return suspect;
        }
        let waiting = &mut state.waiting;
        waiting.touched.insert(path);
        waiting.last = now;
        // Whoever waits wakes up at the first event and then by itself.
        if waiting.first.is_none() {
            waiting.first = Some(now);
            self.bell.notify_one();
        }
        suspect
    }

    /// Asks for a look at everything, at once.
    pub fn ask(&self) {
        let mut state = self.state();
        (state.waiting.asked, state.waiting.now) = (true, true);
        self.bell.notify_one();
    }

    /// Has everything looked at, at once.
    pub fn wake(&self) {
        let mut state = self.state();
        (state.waiting.everything, state.waiting.now) = (true, true);
        self.bell.notify_one();
    }

    /// Asks for the end.
    pub fn stop(&self, stop: Stop) {
        self.state().waiting.stop.get_or_insert(stop);
        self.bell.notify_one();
    }

    /// Whether somebody asked for the end.
    pub fn stopped(&self) -> Option<Stop> {
        self.state().waiting.stop
    }

    /// Waits for the end, whatever else happens.
    pub fn until_stopped(&self) -> Stop {
        let mut state = self.state();
        loop {
            if let Some(stop) = state.waiting.stop {
                return stop;
            }
            state = self.bell.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// From now on these names matter.
    pub fn set_places(&self, places: Places) {
        self.state().places = places;
    }

    /// From now on it is looked who writes into these directories.
    pub fn set_suspects(&self, dirs: BTreeSet<PathBuf>) {
        let mut state = self.state();
        state.writers.retain(|dir, _| dirs.contains(dir));
        state.suspects = dirs;
    }

    /// Who was seen writing into a directory last.
    pub fn writers(&self, dir: &Path) -> Vec<String> {
        self.state().writers.get(dir).cloned().unwrap_or_default()
    }

    /// How many events came so far.
    pub fn noticed(&self) -> u64 {
        self.state().noticed
    }

    /// Waits until something happened and is over, or until a time.
    pub fn wait(&self, clock: &dyn Fn() -> Duration, debounce: Debounce, until: Duration) -> Woken {
        let mut state = self.state();
        loop {
            let now = clock();
            let waiting = &mut state.waiting;
            if let Some(stop) = waiting.stop {
                return Woken::Stop(stop);
            }
            let due = match waiting.first {
                // Events that were lost were many: they are not over yet.
                None if waiting.everything && !waiting.now => {
                    waiting.first = Some(now);
                    waiting.last = now;
                    now + debounce.quiet
                }
                Some(first) if !waiting.now => debounce.due(first, waiting.last),
                _ if waiting.now => now,
                _ => until,
            };
            if due <= now && (waiting.first.is_some() || waiting.now) {
                let taken = std::mem::take(waiting);
                return match (taken.asked, taken.everything) {
                    (true, _) => Woken::Asked,
                    (false, true) => Woken::Everything,
                    (false, false) => Woken::Touched(taken.touched),
                };
            }
            if until <= now {
                return Woken::Time;
            }
            let rest = due.min(until).saturating_sub(now);
            state = self.bell.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The directory of a name, if it is to be looked now who writes there.
    fn suspect(&self, now: Duration, path: &Path) -> Option<PathBuf> {
        let dir = path.parent().filter(|dir| self.suspects.contains(*dir))?;
        let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".mcpkeel-"));
        (!is_ours && now >= self.look_again).then(|| dir.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::system::Memory;

    const DEBOUNCE: Debounce =
        Debounce { quiet: Duration::from_millis(30), most: Duration::from_millis(100) };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn inbox() -> Inbox {
        let memory = Memory::default();
        memory.write(Path::new("/home/me/a.json"), b"{}");
        let files = BTreeSet::from([PathBuf::from("/home/me/a.json")]);
        let inbox = Inbox::default();
        inbox.set_places(Places::of(&memory, &files, &BTreeSet::new()));
        inbox
    }

    /// Waits with a clock that moves on by a millisecond whenever it is asked.
    fn wait(inbox: &Inbox, clock: &Cell<Duration>) -> Woken {
        let tick = || {
            clock.set(clock.get() + ms(1));
            clock.get()
        };
        inbox.wait(&tick, DEBOUNCE, ms(100_000))
    }

    #[test]
    fn files_are_looked_at_once_they_are_quiet() {
        let (inbox, clock) = (inbox(), Cell::new(ms(0)));
        let path = PathBuf::from("/home/me/a.json");
        inbox.notice(ms(0), Noticed::Path(path.clone()));
        inbox.notice(ms(20), Noticed::Path(path.clone()));
        assert_eq!(wait(&inbox, &clock), Woken::Touched(BTreeSet::from([path])));
        assert!(clock.get() >= ms(50), "{:?}", clock.get());
    }

    #[test]
    fn files_that_are_never_quiet_are_looked_at_all_the_same() {
        assert_eq!(DEBOUNCE.due(ms(0), ms(99)), ms(100));
        assert_eq!(DEBOUNCE.due(ms(0), ms(5)), ms(35));
    }

    #[test]
    fn what_does_not_matter_wakes_nobody() {
        let inbox = inbox();
        inbox.notice(ms(0), Noticed::Path("/home/me/.bash_history".into()));
        let clock = || ms(10);
        assert_eq!(inbox.wait(&clock, DEBOUNCE, ms(10)), Woken::Time);
        assert_eq!(inbox.noticed(), 1);
    }

    #[test]
    fn an_end_comes_before_everything() {
        let inbox = inbox();
        inbox.ask();
        inbox.stop(Stop::Asked);
        inbox.stop(Stop::Interrupted);
        assert_eq!(inbox.wait(&|| ms(0), DEBOUNCE, ms(10)), Woken::Stop(Stop::Asked));
    }

    #[test]
    fn whoever_asks_does_not_wait_for_quiet() {
        let inbox = inbox();
        inbox.notice(ms(5), Noticed::Path("/home/me/a.json".into()));
        inbox.ask();
        assert_eq!(inbox.wait(&|| ms(5), DEBOUNCE, ms(1000)), Woken::Asked);
        inbox.wake();
        assert_eq!(inbox.wait(&|| ms(5), DEBOUNCE, ms(1000)), Woken::Everything);
    }
}
