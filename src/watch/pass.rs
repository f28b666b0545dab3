mod carry_out;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::contention::Contention;
use super::gate::{self, Gated, gate};
use super::inbox::Inbox;
use super::reporting::{Reporter, Tell};
use super::torn::{Torn, Wholeness};
use super::verdict::{Finding, Findings, Verdict, targets, verdict, worse};
use crate::base::{Diagnostic, Fingerprint};
use crate::guard::LOCK_FILE;
use crate::manifest::model::{Approve, ManifestSource, Settings};
use crate::plan::{Action, FilePlan, Ledger, Options, Plan};
use crate::reconcile::{self, Care, Loaded, Scene, Which};
use crate::secrets::{Source, Vault};
use crate::source::Problem;
use crate::store::{Event, EventKind, LockError, Stand, StateLock, Store, load_json};
use crate::system::{FileError, Looked, ReadOnly, System, follow};

/// How long a manifest that cannot be read may be in the middle of being written.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon is looked again while another run holds the state.
const LOCKED: Duration = Duration::from_millis(100);

/// Brings everything in step, pass by pass, and remembers between them what it must.
pub struct Reconciler {
    system: Arc<dyn System>,
    store: Store,
    manifest: PathBuf,
    /// The last manifest that could be used.
    good: Option<Loaded>,
    /// Since when it cannot.
    unusable: Option<Duration>,
    /// The repository that the manifest names.
    source: Option<ManifestSource>,
    /// Why it brought no new revision the last time.
    pub(super) unfetched: Option<Problem>,
    /// What each client's file says as far as we know, by its real path.
    seen: BTreeMap<PathBuf, Option<Fingerprint>>,
    contention: Contention,
    torn: Torn,
    /// Knows who was seen writing into a directory.
    inbox: Arc<Inbox>,
    pub(super) reporter: Reporter,
}

/// What the loop must know after a pass.
#[derive(Debug, Default)]
pub struct Passed {
    /// When to look again at the latest, in [`System::ticks`].
    pub again: Option<Duration>,
    /// Everything that was looked at.
    pub files: BTreeSet<PathBuf>,
    /// Directories of which every name was asked for.
    pub dirs: BTreeSet<PathBuf>,
    /// Directories of files over which there may be a fight.
    pub suspects: BTreeSet<PathBuf>,
    /// Whether something was written.
    pub wrote: bool,
}

/// What a pass knows of the world.
struct View {
    plan: Plan,
    ledger: Ledger,
    gated: Gated,
}

impl Reconciler {
    /// Knows nothing yet but what the state directory says.
    pub fn new(
        system: Arc<dyn System>,
        store: Store,
        manifest: PathBuf,
        reporter: Reporter,
        inbox: Arc<Inbox>,
    ) -> Self {
        Self {
            system,
            store,
            manifest,
            good: None,
            unusable: None,
            source: None,
            unfetched: None,
            seen: BTreeMap::new(),
            contention: Contention::default(),
            torn: Torn::default(),
            inbox,
            reporter,
        }
    }

    /// Choices for everything, of the last manifest that could be used.
    pub fn settings(&self) -> Settings {
        self.good.as_ref().map(Loaded::settings).unwrap_or_default()
    }

    /// The last manifest that could be used.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.good.as_ref()
    }

    /// The repository that the manifest names, whether or not the manifest can be used.
    pub fn source(&self) -> Option<&ManifestSource> {
        self.source.as_ref()
    }

    /// Reads which repository the manifest names; whether it names one.
    pub fn find_source(&mut self) -> bool {
        let (system, dir) = (&*self.system, self.store.dir());
        let loaded = reconcile::load(system, &self.manifest, dir, Which::Newest, Care::Quick);
        self.source = loaded.units.first().and_then(|unit| unit.manifest.source.clone());
        self.source.is_some()
    }

    /// Whether all of these are clients' files that say what they said: our own writes, or somebody
    /// else's that changed nothing.
    pub fn knows(&self, touched: &BTreeSet<PathBuf>) -> bool {
        touched.iter().all(|path| {
            let Ok(real) = follow(&*self.system, path) else { return false };
            let Some(seen) = self.seen.get(&real) else { return false };
            let now = self.system.read(&real).ok().map(|bytes| Fingerprint::of(&bytes));
            now == *seen
        })
    }

    /// Looks at everything and brings in step what may be.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn pass(&mut self, tell: &mut Tell<'_>) -> Result<Passed, FileError> {
        let system = self.system.clone();
        let (began, looked) = (system.ticks(), Looked::default());
        let view = ReadOnly::noting(&*system, &looked);
        let mut passed = Passed::default();
        // Somebody may have removed it: what is lost with it is found out again.
        self.store.prepare(&*system)?;
        let settled = self.settle(&mut passed, tell);
        let stands = self.load(&view, &mut passed);
        // The gateway goes by it, and hears of it through a pass.
        if let Ok(real) = follow(&view, &self.manifest) {
            let _ = view.meta(&real.with_file_name(LOCK_FILE));
        }
        let result = settled.and_then(|()| match self.good.take() {
            Some(good) => {
                let result = self.reconcile(&good, &view, stands, &mut passed, tell);
                self.good = Some(good);
                result
            }
            None => {
                let event = self.reporter.manifest_stands(&*system, stands);
                event.iter().try_for_each(|event| self.reporter.event(&*system, &self.store, event, tell))
            }
        });
        self.note_places(&looked, &mut passed);
        let outcome = match (&result, passed.wrote) {
            (Err(_), _) => "failed",
            (Ok(()), true) => "applied",
            (Ok(()), false) => "unchanged",
        };
        let took = system.ticks().saturating_sub(began);
        self.reporter.snapshot.change(|now| now.metrics.pass(outcome, took));
        result?;
        self.reporter.save(&*system, &self.store)?;
        Ok(passed)
    }

    /// Brings in order what a run left that was cut off: until then another program's update may lie
    /// beside its file, out of sight, and no plan would tell.
    fn settle(&mut self, passed: &mut Passed, tell: &mut Tell<'_>) -> Result<(), FileError> {
        if self.store.journal_ids(&*self.system)?.is_empty() {
            return Ok(());
        }
        match self.store.lock(&*self.system, "watch") {
            Ok(lock) => self.recover(&lock, tell),
            Err(LockError::File(error)) => Err(error),
            Err(LockError::Held(_)) => {
                passed.again_at(self.system.ticks() + LOCKED);
                Ok(())
            }
        }
    }

    fn recover(&self, lock: &StateLock, tell: &mut Tell<'_>) -> Result<(), FileError> {
        let system = &*self.system;
        let recovered = reconcile::recover::recover(system, &self.store, lock)?;
        let mut events = recovered.sentences().into_iter();
        events.try_for_each(|line| {
            self.reporter.event(system, &self.store, &Event::new(system, EventKind::Note, line), tell)
        })
    }

    /// Reads the manifest; one that cannot be used leaves the last good one in its place.
    fn load(&mut self, view: &ReadOnly<'_>, passed: &mut Passed) -> Verdict {
        let loaded = reconcile::load(view, &self.manifest, self.store.dir(), Which::Newest, Care::Quick);
        self.source = loaded.units.first().and_then(|unit| unit.manifest.source.clone());
        let unfetched = self.unfetched.as_ref().filter(|_| self.source.is_some());
        if loaded.is_valid() {
            self.unusable = None;
            self.good = Some(loaded);
            if let Some(problem) = unfetched {
                return unfetched_verdict(problem, "; the last good revision stays in force");
            }
            let message = "it can be had and read".to_owned();
            return Verdict { stand: Stand::Ready, reason: "InSync", message };
        }
        let now = self.system.ticks();
        let since = *self.unusable.get_or_insert(now);
        let problem = loaded.diagnostics.iter().find(|problem| problem.is_error());
        if problem.is_some_and(|problem| problem.code == "not-fetched") {
            return match unfetched {
                Some(problem) => unfetched_verdict(problem, ""),
                None => {
                    let message = problem.map(sentence).unwrap_or_default();
                    Verdict { stand: Stand::Reconciling, reason: "Fetching", message }
                }
            };
        }
        let message = problem.map(sentence).unwrap_or_default();
        let age =
            follow(&*self.system, &self.manifest).ok().and_then(|real| gate::age_of(&*self.system, &real));
        let is_fresh = age.map_or(self.good.is_some(), |age| age < PATIENCE);
        if is_fresh && now.saturating_sub(since) < PATIENCE {
            passed.again_at(now + PATIENCE / 10);
            return Verdict { stand: Stand::Reconciling, reason: "HalfWritten", message };
        }
        let last = match self.good {
            Some(_) => "; the last good one stays in force",
            None => "",
        };
        Verdict { stand: Stand::Stalled, reason: "InvalidManifest", message: format!("{message}{last}") }
    }

    fn reconcile(
        &mut self,
        loaded: &Loaded,
        view: &ReadOnly<'_>,
        stands: Verdict,
        passed: &mut Passed,
        tell: &mut Tell<'_>,
    ) -> Result<(), FileError> {
        let system = self.system.clone();
        let revision = loaded.revision().id;
        let options = Options { hold: self.holds(loaded, &revision)?, ..Options::default() };
        let mut seen = self.look(loaded, view, options)?;
        if has_work(&seen) {
            match self.store.lock(&*system, "watch") {
                Ok(lock) => seen = self.carry_out(loaded, view, options, &lock, passed, tell)?,
                Err(LockError::File(error)) => return Err(error),
                Err(held) => {
                    passed.again_at(system.ticks() + LOCKED);
                    for file in seen.plan.files.iter().filter(|file| file.writes()) {
                        seen.gated
                            .findings
                            .entry(file.real.clone())
                            .or_insert(Finding::Busy(held.to_string()));
                    }
                }
            }
        }
        if let Some(again) = seen.gated.again {
            passed.again_at(again);
        }
        self.remember(&seen);
        let clients = verdicts(&seen.plan, &seen.gated.findings);
        let is_whole =
            clients.iter().all(|(_, verdict)| verdict.stand == Stand::Ready && verdict.reason != "Suspended");
        if is_whole {
            // Marked already, if not as a whole; a fetch that came between is for the next pass.
            reconcile::mark_applied(&*system, loaded, self.store.dir(), true)?;
        }
        for event in self.reporter.stand(&*system, stands, clients, Some(&revision)) {
            self.reporter.event(&*system, &self.store, &event, tell)?;
        }
        self.reporter.snapshot.change(|now| now.revision = Some(revision));
        Ok(())
    }

    /// Whether what changes what is run waits for a person.
    fn holds(&self, loaded: &Loaded, revision: &str) -> Result<bool, FileError> {
        if loaded.approve() == Approve::Auto {
            return Ok(false);
        }
        let approved = self.store.approval(&*self.system)?;
        Ok(approved.is_none_or(|approved| approved.revision != revision))
    }

    /// The plan, and what of it may be carried out. Writes nothing.
    fn look(&mut self, loaded: &Loaded, view: &ReadOnly<'_>, options: Options) -> Result<View, FileError> {
        let ledger: Ledger = load_json(view, &self.store.path("ledger.json"), 1)?.unwrap_or_default();
        let key = self.store.known_machine_key(view)?.unwrap_or_default();
        let plan =
            reconcile::make_plan(&Scene { system: view, loaded, ledger: &ledger, key, options, only: None });
        let mut suspensions = self.store.suspensions(view)?;
        let now = self.system.now();
        suspensions.tidy(now);
        let inbox = self.inbox.clone();
        let of_file = |file: &FilePlan| file.real.parent().map(|dir| inbox.writers(dir)).unwrap_or_default();
        let memory = gate::Memory {
            contention: &mut self.contention,
            torn: &mut self.torn,
            suspensions: &suspensions,
        };
        let mut gated = gate(&*self.system, &plan, memory, &of_file);
        if let Some(rest) = suspensions.next_end(now).and_then(|end| end.duration_since(now).ok()) {
            let end = self.system.ticks() + rest;
            gated.again = Some(gated.again.map_or(end, |again| again.min(end)));
        }
        self.reporter.snapshot.change(|now| now.suspensions = suspensions);
        Ok(View { plan, ledger, gated })
    }

    /// Keeps what the files say that were looked at and not written.
    fn remember(&mut self, view: &View) {
        let wanted: BTreeSet<&PathBuf> = view.plan.files.iter().map(|file| &file.real).collect();
        self.seen.retain(|file, _| wanted.contains(file));
        let now = self.system.ticks();
        for file in &view.plan.files {
            let is_written = file.writes() && view.gated.allowed.contains(&file.real);
            if is_written {
                continue;
            }
            if file.refused.is_none() {
                self.seen.insert(file.real.clone(), file.before);
            } else {
                self.seen.remove(&file.real);
            }
            let age = gate::age_of(&*self.system, &file.real);
            if self.torn.judge(file, age, now) == Wholeness::Whole && file.refused.is_none() {
                self.torn.is_now(&file.real, file.old.as_ref().map(crate::document::Document::bytes));
            }
        }
    }

    /// What must be watched: everything that was looked at, and what the looking depends on.
    fn note_places(&self, looked: &Looked, passed: &mut Passed) {
        let is_state = |path: &PathBuf| path.starts_with(self.store.dir());
        passed.files = looked.paths().into_iter().filter(|path| !is_state(path)).collect();
        passed.dirs = looked.listed().into_iter().filter(|path| !is_state(path)).collect();
        let told = ["suspended.json", "approved.json", "source/head.json"];
        passed.files.extend(told.map(|name| self.store.path(name)));
        if let Some(loaded) = &self.good {
            let vault = Vault::new(&*self.system, &loaded.units);
            let names = loaded.units.iter().flat_map(|unit| unit.manifest.secrets.keys());
            for name in names {
                if let Ok(Source::Age(path) | Source::File(path)) = vault.kept(name) {
                    passed.files.insert(path);
                }
            }
        }
        passed.suspects = self
            .contention
            .suspects()
            .filter_map(|file| file.parent().map(std::path::Path::to_owned))
            .collect();
    }
}

impl Passed {
    /// To look again no later than this.
    fn again_at(&mut self, at: Duration) {
        self.again = Some(self.again.map_or(at, |again| again.min(at)));
    }
}

/// Whether a file may be written, or the books say something else afterwards.
fn has_work(view: &View) -> bool {
    let is_work = |file: &FilePlan| {
        let record = view.ledger.files.get(&file.wishes.path.display().to_string());
        file.writes()
            || record != file.record.as_ref()
            || file.steps.iter().any(|step| step.action == Action::Adopt)
    };
    view.plan.files.iter().any(|file| view.gated.allowed.contains(&file.real) && is_work(file))
}

/// How every client block stands.
fn verdicts(plan: &Plan, findings: &Findings) -> Vec<(String, Verdict)> {
    let mut found: BTreeMap<String, Verdict> = BTreeMap::new();
    for file in &plan.files {
        let finding = findings.get(&file.real).unwrap_or(&Finding::Settled);
        for target in targets(file).into_iter().chain(file.wishes.frozen.iter().map(String::as_str)) {
            let new = verdict(file, target, finding);
            let whole = match found.remove(target) {
                Some(known) => worse(known, new),
                None => new,
            };
            found.insert(target.to_owned(), whole);
        }
    }
    found.into_iter().collect()
}

/// How the manifest stands when its repository brought nothing new. Being out of reach passes by itself.
fn unfetched_verdict(problem: &Problem, rest: &str) -> Verdict {
    let stand = match problem.reason {
        "FetchFailed" | "Busy" => Stand::Reconciling,
        _ => Stand::Stalled,
    };
    Verdict { stand, reason: problem.reason, message: format!("{}{rest}", problem.message) }
}

/// A problem in one line.
fn sentence(problem: &Diagnostic) -> String {
    let place =
        problem.place.as_ref().map(|place| format!("{}:{}:{}: ", place.file, place.line, place.column));
    format!("{}{}", place.unwrap_or_default(), problem.message)
}
