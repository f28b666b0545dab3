use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::about;
use super::fetching::{Fetching, fetch};
use super::inbox::{Debounce, Inbox, Stop, Woken};
use super::notices::Notices;
use super::pass::{Passed, Reconciler};
use super::places::Places;
use super::polling::Polling;
use super::reporting::{Reporter, Snapshot, Tell};
use super::verdict::Verdict;
use crate::manifest::model::Settings;
use crate::manifest::values;
use crate::source::{Fetched, Problem};
use crate::store::{Event, EventKind, Stand, Store};
use crate::system::{FileError, System, WatchError, Watcher};

/// How often files are looked at where they cannot be watched.
const POLL: Duration = Duration::from_millis(500);

/// How soon is tried again after the state directory could not be used.
const FAILED: Duration = Duration::from_secs(5);

/// How long files that look half-written are waited for by a run that does not stay.
const ONCE: Duration = Duration::from_secs(4);

/// A reconciler with everything around it.
pub struct Watch {
    /// The machine.
    pub system: Arc<dyn System>,
    /// The state directory.
    pub store: Store,
    /// The manifest.
    pub manifest: PathBuf,
    /// What wakes it.
    pub inbox: Arc<Inbox>,
    /// How everything stands, for others.
    pub snapshot: Snapshot,
    /// Called at least this often while all is well, for a watchdog.
    pub alive: Option<(Duration, Box<dyn Fn()>)>,
    /// Called after each pass.
    pub passed: Box<dyn Fn()>,
}

/// When the reconciler does what.
struct Timing {
    debounce: Debounce,
    interval: Duration,
}

impl Timing {
    fn of(settings: &Settings) -> Self {
        let watch = settings.watch.clone().unwrap_or_default();
        let given = |text: &Option<String>, usual: Duration| {
            text.as_deref().and_then(values::duration).unwrap_or(usual)
        };
        let quiet = given(&watch.debounce, Duration::from_millis(30));
        Self {
            debounce: Debounce { quiet, most: given(&watch.max_wait, Duration::from_millis(500)).max(quiet) },
            interval: given(&watch.interval, Duration::from_secs(600)),
        }
    }
}

/// Runs until somebody asks for the end.
///
/// # Errors
/// When the log of events cannot be written at the start or at the end.
pub fn run(watch: Watch, tell: &mut Tell<'_>) -> Result<Stop, FileError> {
    let system = watch.system.clone();
    let mut running = Running::new(watch);
    running.say(EventKind::Started, "watching", tell)?;
    let mut next_full = running.round(tell);
    let stop = loop {
        let until = running.until(next_full);
        let timing = Timing::of(&running.reconciler.settings());
        let clock = || system.ticks();
        match running.watch.inbox.wait(&clock, timing.debounce, until) {
            Woken::Stop(stop) => break stop,
            Woken::Touched(touched) if running.reconciler.knows(&touched) => running.keep_alive(),
            Woken::Asked => {
                running.fetching.ask(running.reconciler.source(), true);
                next_full = running.round(tell);
            }
            Woken::Touched(_) | Woken::Everything => next_full = running.round(tell),
            Woken::Time if running.is_due(next_full) => next_full = running.round(tell),
            Woken::Time => running.keep_alive(),
        }
    };
    running.notices.finish();
    running.say(EventKind::Stopped, "no longer watching", tell)?;
    Ok(stop)
}

/// One pass, with what it takes until files that look half-written are whole.
///
/// # Errors
/// When the state directory cannot be used.
pub fn once(watch: Watch, tell: &mut Tell<'_>) -> Result<(), FileError> {
    let system = watch.system.clone();
    let mut reconciler = reconciler(&watch);
    let mut notices = Notices::new(system.clone(), watch.store.clone());
    if reconciler.find_source() {
        take_fetched(
            &mut reconciler,
            &*system,
            &watch.store,
            fetch(&*system, &watch.store, &watch.manifest),
            tell,
        )?;
    }
    let end = system.ticks() + ONCE;
    while let Some(again) = reconciler.pass(tell)?.again.filter(|again| *again < end) {
        system.sleep(again.saturating_sub(system.ticks()));
    }
    // What stands after the last look is news, not what was on the way there.
    notices.hear(&reconciler.reporter.take_fresh(), reconciler.loaded(), tell);
    notices.finish();
    Ok(())
}

fn reconciler(watch: &Watch) -> Reconciler {
    let reporter = Reporter::new(&*watch.system, &watch.store, watch.snapshot.clone());
    Reconciler::new(
        watch.system.clone(),
        watch.store.clone(),
        watch.manifest.clone(),
        reporter,
        watch.inbox.clone(),
    )
}

/// Takes in what a fetch brought.
fn take_fetched(
    reconciler: &mut Reconciler,
    system: &dyn System,
    store: &Store,
    outcome: Result<Fetched, Problem>,
    tell: &mut Tell<'_>,
) -> Result<(), FileError> {
    let word = match &outcome {
        Ok(fetched) if fetched.is_new => "new",
        Ok(_) => "unchanged",
        Err(_) => "failed",
    };
    reconciler.reporter.snapshot.change(|now| now.metrics.fetched(word));
    reconciler.unfetched = None;
    match outcome {
        Ok(fetched) if fetched.is_new => {
            let revision = fetched.revision;
            let message = format!("revision {revision} was fetched");
            let event =
                Event { revision: Some(revision.id), ..Event::new(system, EventKind::Revision, message) };
            reconciler.reporter.event(system, store, &event, tell)?;
            for note in fetched.notes {
                reconciler.reporter.event(system, store, &Event::new(system, EventKind::Note, note), tell)?;
            }
        }
        Ok(_) => {}
        Err(problem) => reconciler.unfetched = Some(problem),
    }
    Ok(())
}

struct Running {
    watch: Watch,
    reconciler: Reconciler,
    notices: Notices,
    fetching: Fetching,
    watcher: Option<Watcher>,
    polling: Option<Polling>,
    /// When a pass wants another one.
    again: Option<Duration>,
    places: Places,
    /// When the watchdog was told last.
    told: Duration,
}

impl Running {
    fn new(watch: Watch) -> Self {
        Self {
            reconciler: reconciler(&watch),
            notices: Notices::new(watch.system.clone(), watch.store.clone()),
            fetching: Fetching::new(
                watch.system.clone(),
                watch.store.clone(),
                watch.manifest.clone(),
                watch.inbox.clone(),
            ),
            watcher: None,
            polling: None,
            again: None,
            places: Places::default(),
            told: watch.system.ticks(),
            watch,
        }
    }

    /// A pass, and then whatever is to be watched from now on. Returns when the next full one is due.
    fn round(&mut self, tell: &mut Tell<'_>) -> Duration {
        let system = self.watch.system.clone();
        if let Some(outcome) = self.fetching.take(self.reconciler.source()) {
            // A log that cannot be written shows in the pass that follows.
            let _ = take_fetched(&mut self.reconciler, &*system, &self.watch.store, outcome, tell);
        }
        match self.reconciler.pass(tell) {
            Ok(passed) => {
                self.again = passed.again;
                self.attend(passed, tell);
            }
            Err(error) => {
                let verdict =
                    Verdict { stand: Stand::Stalled, reason: "StateUnusable", message: error.to_string() };
                if let Some(event) = self.reconciler.reporter.manifest_stands(&*system, verdict) {
                    // The log lies in the same directory.
                    tell(&event);
                }
                self.again = Some(system.ticks() + FAILED);
            }
        }
        (self.watch.passed)();
        self.fetching.ask(self.reconciler.source(), false);
        let fresh = self.reconciler.reporter.take_fresh();
        self.notices.hear(&fresh, self.reconciler.loaded(), tell);
        self.keep_alive();
        let interval = Timing::of(&self.reconciler.settings()).interval;
        system.ticks() + about(&*system, interval)
    }

    /// Watches what the pass looked at. What changed before it was watched is found by another pass.
    fn attend(&mut self, passed: Passed, tell: &mut Tell<'_>) {
        let system = self.watch.system.clone();
        self.watch.inbox.set_suspects(passed.suspects);
        if let Some(polling) = &mut self.polling {
            polling.set(&*system, &passed.files);
        }
        let places = Places::of(&*system, &passed.files, &passed.dirs);
        if places == self.places {
            return;
        }
        self.watch.inbox.set_places(places.clone());
        if let Err(error) = self.set_watches(&places) {
            self.poll(&error, &passed.files, tell);
        }
        self.places = places;
        self.again = Some(system.ticks());
    }

    fn set_watches(&mut self, places: &Places) -> Result<(), WatchError> {
        if self.polling.is_some() {
            return Ok(());
        }
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            None => {
                let (inbox, system) = (self.watch.inbox.clone(), self.watch.system.clone());
                let notice = move |noticed| inbox.notice(system.ticks(), noticed);
                self.watcher.insert(Watcher::new(notice)?)
            }
        };
        // A directory that went away meanwhile is no reason to poll: its parent tells.
        let failed = watcher.watch(&places.dirs());
        failed.into_iter().find(|error| matches!(error, WatchError::Exhausted(_))).map_or(Ok(()), Err)
    }

    fn poll(&mut self, why: &WatchError, files: &std::collections::BTreeSet<PathBuf>, tell: &mut Tell<'_>) {
        let system = self.watch.system.clone();
        self.watcher = None;
        let mut polling = Polling::default();
        polling.set(&*system, files);
        self.polling = Some(polling);
        self.reconciler.reporter.snapshot.change(|now| now.metrics.is_polling = true);
        let message = format!(
            "{why}; files are looked at twice a second instead (on Linux: fs.inotify.max_user_watches, max_user_instances)"
        );
        let event = Event::new(&*system, EventKind::Note, message);
        // What cannot be logged was at least said.
        let _ = self.reconciler.reporter.event(&*system, &self.watch.store, &event, tell);
    }

    /// How long to sleep at most.
    fn until(&self, next_full: Duration) -> Duration {
        let now = self.watch.system.ticks();
        let polling = self.polling.as_ref().map(|_| now + POLL);
        let alive = self.watch.alive.as_ref().map(|(every, _)| self.told + *every);
        [self.again, polling, alive, self.fetching.next()]
            .into_iter()
            .flatten()
            .fold(next_full, Duration::min)
    }

    /// Whether it is time for a pass.
    fn is_due(&mut self, next_full: Duration) -> bool {
        let system = self.watch.system.clone();
        let now = system.ticks();
        let has_changed = self.polling.as_mut().is_some_and(|polling| polling.has_changed(&*system));
        let is_past = |time: Option<Duration>| time.is_some_and(|time| time <= now);
        has_changed || next_full <= now || is_past(self.again) || is_past(self.fetching.next())
    }

    fn keep_alive(&mut self) {
        self.reconciler.reporter.snapshot.change(|now| now.metrics.noticed = self.watch.inbox.noticed());
        let now = self.watch.system.ticks();
        if let Some((every, alive)) = &self.watch.alive
            && now >= self.told + *every
        {
            alive();
            self.told = now;
        }
    }

    fn say(&self, kind: EventKind, message: &str, tell: &mut Tell<'_>) -> Result<(), FileError> {
        let system = &*self.watch.system;
        self.reconciler.reporter.event(system, &self.watch.store, &Event::new(system, kind, message), tell)
    }
}
