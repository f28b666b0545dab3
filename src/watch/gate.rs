use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::contention::{Contention, Standoff};
use super::luck;
use super::torn::{Torn, Wholeness};
use super::verdict::{Finding, Findings, targets};
use crate::plan::{FilePlan, Plan};
use crate::store::Suspensions;
use crate::system::System;

/// What a plan leaves out until something changes, and when to look again.
pub struct Gated {
    /// Files of the plan that may be written.
    pub allowed: BTreeSet<PathBuf>,
    /// Why the others may not, and what else is known.
    pub findings: Findings,
    /// When to look again, in [`System::ticks`].
    pub again: Option<Duration>,
}

/// What is known about the files from earlier passes.
pub struct Memory<'a> {
    /// Fights.
    pub contention: &'a mut Contention,
    /// Files that looked half-written.
    pub torn: &'a mut Torn,
    /// Who is left alone.
    pub suspensions: &'a Suspensions,
}

/// Decides which files of a plan are written now.
pub fn gate(
    system: &dyn System,
    plan: &Plan,
    memory: Memory<'_>,
    writers: &dyn Fn(&FilePlan) -> Vec<String>,
) -> Gated {
    let now = system.ticks();
    let mut gated = Gated { allowed: BTreeSet::new(), findings: Findings::new(), again: None };
    for file in &plan.files {
        let suspended =
            targets(file).into_iter().find_map(|target| memory.suspensions.of(target, system.now()));
        let mut later = |at| gated.again = Some(gated.again.map_or(at, |earlier: Duration| earlier.min(at)));
        let contended = |standoff| contended(standoff, now, writers(file));
        let finding = match memory.torn.judge(file, age_of(system, &file.real), now) {
            _ if suspended.is_some() => suspended.cloned().map(Finding::Suspended),
            Wholeness::Again(wait) => {
                later(now + wait);
                Some(Finding::HalfWritten)
            }
            Wholeness::Broken if file.refused.is_none() => Some(Finding::Truncated),
            // The plan's own words are better.
            Wholeness::Broken => Some(Finding::Settled),
            Wholeness::Whole if needs_repair(file) => {
                let standoff = memory.contention.needs_repair(&file.real, now, luck(system));
                standoff.map(|standoff| {
                    later(standoff.until);
                    contended(standoff)
                })
            }
            // What the manifest changed is not what the fight is about.
            Wholeness::Whole if file.writes() => None,
            Wholeness::Whole => {
                let standoff = memory.contention.is_right(&file.real, now);
                standoff.map(|standoff| {
                    later(standoff.until);
                    contended(standoff)
                })
            }
        };
        match finding {
            None if file.guards.is_empty() && file.refused.is_none() => {
                gated.allowed.insert(file.real.clone());
            }
            None => {}
            Some(finding) => drop(gated.findings.insert(file.real.clone(), finding)),
        }
    }
    gated
}

/// What is known about a fight.
pub fn contended(standoff: Standoff, now: Duration, writers: Vec<String>) -> Finding {
    Finding::Contended { writers, repairs: standoff.repairs, wait: standoff.until.saturating_sub(now) }
}

/// Whether somebody else changed what is ours.
pub fn needs_repair(file: &FilePlan) -> bool {
    file.writes() && file.steps.iter().any(|step| step.action.is_drift() && step.action.writes())
}

/// How long ago a file was written last; none where nobody knows.
pub fn age_of(system: &dyn System, file: &std::path::Path) -> Option<std::time::Duration> {
    system.now().duration_since(system.meta(file).ok()?.modified).ok()
}
