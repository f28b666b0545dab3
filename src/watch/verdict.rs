//! How each client block stands after a pass, and why: decided from what the pass found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::{Action, FilePlan, Step};
use crate::store::{Condition, Stand, Suspension};

/// How a client block stands, before it is known since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub stand: Stand,
    /// Why, in one word in CamelCase.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

/// What a pass found about a file, besides its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It was brought in step, or was already.
    Settled,
    /// It is left alone until somebody resumes it.
    Suspended(Suspension),
    /// It cannot be read yet; it may be in the middle of being written.
    HalfWritten,
    /// It is gone, or shorter than it was, and stays so.
    Truncated,
    /// Another program writes over our entries: who, and for how long we wait.
    Contended {
        /// Programs that were seen writing.
        writers: Vec<String>,
        /// How often we repaired it.
        repairs: u32,
        /// How long we wait from now on.
        wait: Duration,
    },
    /// It could not be written.
    Failed(String),
    /// It is left alone until another run ends.
    Busy(String),
}

/// The verdict on one client block, from a file that it has entries in.
pub fn verdict(file: &FilePlan, target: &str, finding: &Finding) -> Verdict {
    let verdict = |stand, reason, message: String| Verdict { stand, reason, message };
    let name = file.wishes.path.display();
    match finding {
        Finding::Suspended(suspension) => {
            let until = suspension.until.as_ref().map_or("it is resumed".to_owned(), Clone::clone);
            let why = suspension.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            return verdict(Stand::Ready, "Suspended", format!("left alone until {until}{why}"));
        }
        Finding::HalfWritten => {
            return verdict(
                Stand::Reconciling,
                "HalfWritten",
                format!("{name} is being written; it is read again"),
            );
        }
        Finding::Truncated => {
            let message = format!(
                "{name} lost its end and was not mended; put it right, or `mcpkeel apply` takes it as it is"
            );
            return verdict(Stand::Stalled, "Truncated", message);
        }
        Finding::Contended { writers, repairs, wait } => {
            let who = match writers.as_slice() {
                [] => "another program".to_owned(),
                names => names.join(", "),
            };
            let seconds = wait.as_secs().max(1);
            let message = format!(
                "{who} keeps writing over our entries in {name}: repaired {repairs} times, next look in {seconds} s; \
                 close it, or `mcpkeel suspend {target}`"
            );
            return verdict(Stand::Contended, "Rewritten", message);
        }
        Finding::Failed(why) => return verdict(Stand::Stalled, "WriteFailed", why.clone()),
        Finding::Busy(why) => return verdict(Stand::Reconciling, "Locked", why.clone()),
        Finding::Settled => {}
    }
    if file.wishes.frozen.iter().any(|frozen| frozen == target) {
        let message = "its block cannot be resolved; `mcpkeel plan` says why".to_owned();
        return verdict(Stand::Stalled, "Unresolved", message);
    }
    if let Some(problem) = &file.refused {
        let place = problem.place.as_ref().filter(|place| place.line > 0);
        let place = place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
        let reason = if problem.code == "malformed-file" { "Malformed" } else { "Unreadable" };
        return verdict(Stand::Stalled, reason, format!("{name}{place}: {}", problem.message));
    }
    if let Some(guard) = file.guards.iter().find(|guard| guard.target == target) {
        let message = format!(
            "this takes {} of {} entries out; `mcpkeel apply --allow-prune` agrees to it",
            guard.removes, guard.owned
        );
        return verdict(Stand::Stalled, "PruneGuard", message);
    }
    let having = |action: Action| -> Vec<&Step> {
        file.steps.iter().filter(|step| step.target == target && step.action == action).collect()
    };
    let names = |steps: &[&Step]| -> String {
        steps.iter().map(|step| format!("`{}`", step.server)).collect::<Vec<_>>().join(", ")
    };
    let conflicts = having(Action::Conflict);
    if !conflicts.is_empty() {
        let message = format!("{} is there and not ours; `mcpkeel diff` shows both sides", names(&conflicts));
        return verdict(Stand::Stalled, "Conflict", message);
    }
    if let Some(step) = having(Action::Blocked).first() {
        return verdict(Stand::Stalled, "Blocked", format!("`{}`: {}", step.server, step.why));
    }
    let held = having(Action::Held);
    if !held.is_empty() {
        let message = format!(
            "{} would change what is run; look with `mcpkeel plan`, then `mcpkeel apply` or `mcpkeel approve`",
            names(&held)
        );
        return verdict(Stand::Stalled, "AwaitingApproval", message);
    }
    let reported: Vec<&Step> = having(Action::Report).into_iter().chain(having(Action::Adopt)).collect();
    if !reported.is_empty() {
        let message = format!("{} was changed by hand, and is left so (`drift: report`)", names(&reported));
        return verdict(Stand::Ready, "DriftReported", message);
    }
    verdict(Stand::Ready, "InSync", "as the manifest says".to_owned())
}

/// The client blocks that a file is about.
pub fn targets(file: &FilePlan) -> BTreeSet<&str> {
    let wished = file.wishes.wishes.iter().map(|wish| wish.target.as_str());
    wished.chain(file.steps.iter().map(|step| step.target.as_str())).collect()
}

/// The worse of two: a client block may have entries in several files.
pub fn worse(one: Verdict, other: Verdict) -> Verdict {
    let rank = |verdict: &Verdict| match (verdict.stand, verdict.reason) {
        (Stand::Ready, "InSync") => 0,
        (Stand::Ready, _) => 1,
        (Stand::Reconciling, _) => 2,
        (Stand::Contended, _) => 3,
        (Stand::Stalled, _) => 4,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// The condition that follows from a verdict: the same one while stand and reason stay.
pub fn condition(
    verdict: Verdict,
    before: Option<&Condition>,
    now: &str,
    revision: Option<&str>,
) -> Condition {
    let stays = before.filter(|before| before.condition == verdict.stand && before.reason == verdict.reason);
    let is_applied = verdict.stand == Stand::Ready && verdict.reason != "Suspended";
    let revision = match is_applied {
        true => revision.map(str::to_owned),
        false => before.and_then(|before| before.revision.clone()),
    };
    Condition {
        condition: verdict.stand,
        reason: verdict.reason.to_owned(),
        message: verdict.message,
        since: stays.map_or_else(|| now.to_owned(), |before| before.since.clone()),
        revision,
    }
}

/// What a pass found, by the file's real path.
pub type Findings = BTreeMap<PathBuf, Finding>;
