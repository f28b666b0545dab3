use std::path::PathBuf;
use std::time::Duration;

use super::super::gate::{self, needs_repair};
use super::super::luck;
use super::super::reporting::Tell;
use super::super::verdict::{Finding, Findings, targets};
use super::{Passed, Reconciler, View};
use crate::base::Fingerprint;
use crate::plan::{Action, FilePlan, Options, Plan};
use crate::reconcile::{self, Applied, Hindrance, Loaded, Manner, Site};
use crate::store::{Event, EventKind, StateLock};
use crate::system::{FileError, ReadOnly};

/// How soon is tried again what could not be written.
const AGAIN: Duration = Duration::from_secs(5);

/// The same where another program was faster.
const SOON: Duration = Duration::from_millis(50);

impl Reconciler {
    /// Plans once more under the lock, and applies what may be applied.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn carry_out(
        &mut self,
        loaded: &Loaded,
        view: &ReadOnly<'_>,
        options: Options,
        lock: &StateLock,
        passed: &mut Passed,
        tell: &mut Tell<'_>,
    ) -> Result<View, FileError> {
        let system = self.system.clone();
        self.recover(lock, tell)?;
        let key = self.store.machine_key(&*system, lock)?;
        let mut seen = self.look(loaded, view, options)?;
        let store = self.store.clone();
        let site = Site { system: &*system, store: &store, lock };
        self.adopt(loaded, &site, &mut seen, passed, tell)?;
        let mut doing = std::mem::take(&mut seen.plan);
        let (allowed, left): (Vec<_>, Vec<_>) =
            doing.files.drain(..).partition(|file| seen.gated.allowed.contains(&file.real));
        let doing = Plan { files: allowed, notes: doing.notes };
        // From here on its files are kept, so that no client is left without what it is told to start.
        if !reconcile::mark_applied(&*system, loaded, self.store.dir(), false)? {
            passed.again_at(system.ticks());
            seen.plan = Plan { files: doing.files.into_iter().chain(left).collect(), notes: doing.notes };
            seen.gated.allowed.clear();
            return Ok(seen);
        }
        let sourced = loaded.sourced().map(|revision| revision.id.clone());
        let manner = Manner { command: "watch", revision: sourced, keep_going: true };
        match reconcile::apply(&site, &doing, &seen.ledger, &key, options, manner) {
            Ok(applied) => {
                self.applied(&doing, &applied, &loaded.revision().id, &mut seen.gated.findings, passed, tell)?
            }
            Err(failure) => {
                for file in doing.files.iter().filter(|file| file.writes()) {
                    seen.gated.findings.insert(file.real.clone(), Finding::Failed(failure.to_string()));
                }
                passed.again_at(system.ticks() + AGAIN);
            }
        }
        if passed.wrote {
            self.store.prune_backups(&*system, lock, loaded.settings().backups.keep as usize)?;
        }
        seen.plan = Plan { files: doing.files.into_iter().chain(left).collect(), notes: doing.notes };
        Ok(seen)
    }

    /// Takes drift into the manifest where a client's `drift: adopt` says so; the next pass goes on from
    /// there.
    fn adopt(
        &mut self,
        loaded: &Loaded,
        site: &Site<'_>,
        seen: &mut View,
        passed: &mut Passed,
        tell: &mut Tell<'_>,
    ) -> Result<(), FileError> {
        let is_adopted = |file: &FilePlan| file.steps.iter().any(|step| step.action == Action::Adopt);
        let adopting = |file: &&FilePlan| is_adopted(file) && seen.gated.allowed.contains(&file.real);
        let files: Vec<PathBuf> =
            seen.plan.files.iter().filter(adopting).map(|file| file.real.clone()).collect();
        if files.is_empty() {
            return Ok(());
        }
        let adoption = reconcile::adopt(site.system, loaded, &seen.plan, false).and_then(|adoption| {
            match adoption.edits.is_empty() {
                true => Ok(adoption.lines),
                false => reconcile::write_manifests(site, "watch", adoption.edits)
                    .map(|_| adoption.lines)
                    .map_err(|failure| failure.to_string()),
            }
        });
        match adoption {
            Ok(lines) => {
                for line in lines {
                    let event = Event::new(site.system, EventKind::Note, line);
                    self.reporter.event(site.system, &self.store, &event, tell)?;
                }
                passed.again_at(site.system.ticks());
            }
            Err(why) => {
                for file in &files {
                    seen.gated.findings.insert(file.clone(), Finding::Failed(why.clone()));
                }
            }
        }
        // What is live is what the manifest will say.
        seen.gated.allowed.retain(|file| !files.contains(file));
        Ok(())
    }

    /// Takes in what an apply did.
    fn applied(
        &mut self,
        plan: &Plan,
        applied: &Applied,
        revision: &str,
        findings: &mut Findings,
        passed: &mut Passed,
        tell: &mut Tell<'_>,
    ) -> Result<(), FileError> {
        let (system, now) = (self.system.clone(), self.system.ticks());
        for report in &applied.files {
            let Some(file) = plan.files.iter().find(|file| file.wishes.path == report.path) else { continue };
            let inbox = self.inbox.clone();
            let contended = |standoff| {
                let writers = file.real.parent().map(|dir| inbox.writers(dir)).unwrap_or_default();
                gate::contended(standoff, now, writers)
            };
            if let Some(hindrance) = report.hindrance {
                let why = || report.outcome.clone();
                let (finding, wait) = match hindrance {
                    Hindrance::Contended => {
                        self.contention.fought(&file.real, now);
                        let standoff = self.contention.needs_repair(&file.real, now, luck(&*system));
                        (standoff.map(contended), Duration::ZERO)
                    }
                    Hindrance::Overtaken => (Some(Finding::HalfWritten), SOON),
                    Hindrance::Locked => (Some(Finding::Busy(why())), AGAIN),
                    Hindrance::Failed => (Some(Finding::Failed(why())), AGAIN),
                };
                findings.extend(finding.map(|finding| (file.real.clone(), finding)));
                passed.again_at(now + wait);
                continue;
            }
            if report.changed {
                self.wrote(file, report.after, now);
                passed.wrote = true;
                // That it is right for the moment does not end a fight.
                if let Some(standoff) = self.contention.is_right(&file.real, now) {
                    findings.insert(file.real.clone(), contended(standoff));
                    passed.again_at(standoff.until);
                }
            }
        }
        let Some(run) = &applied.id else { return Ok(()) };
        let done = |file: &&FilePlan| {
            applied.files.iter().any(|report| report.path == file.wishes.path && report.changed)
        };
        for file in plan.files.iter().filter(done) {
            for target in targets(file) {
                let steps = file.steps.iter().filter(|step| step.target == target && step.action.is_change());
                let said: Vec<String> = steps
                    .map(|step| format!("{} `{}`: {}", step.action.word(), step.server, step.why))
                    .collect();
                if said.is_empty() {
                    continue;
                }
                let event = Event {
                    client: Some(target.to_owned()),
                    revision: Some(revision.to_owned()),
                    run: Some(run.clone()),
                    files: vec![file.wishes.path.clone()],
                    ..Event::new(&*system, EventKind::Applied, said.join("; "))
                };
                self.reporter.event(&*system, &self.store, &event, tell)?;
            }
        }
        for warning in &applied.warnings {
            let event = Event::new(&*system, EventKind::Note, warning.clone());
            self.reporter.event(&*system, &self.store, &event, tell)?;
        }
        Ok(())
    }

    /// One file says now what it should.
    fn wrote(&mut self, file: &FilePlan, after: Option<Fingerprint>, now: Duration) {
        self.seen.insert(file.real.clone(), after);
        let new = file.new.as_deref().filter(|new| after == Some(Fingerprint::of(new)));
        match new {
            Some(new) => self.torn.is_now(&file.real, Some(new)),
            // Merged with somebody else's update, or gone: the next pass reads it.
            None => self.torn.forget(&file.real),
        }
        if needs_repair(file) {
            self.contention.repaired(&file.real, now);
        }
        self.reporter.snapshot.change(|snapshot| {
            for step in file.steps.iter().filter(|step| step.action.is_change()) {
                snapshot.metrics.wrote(&step.target, step.action.is_drift());
            }
        });
    }
}
