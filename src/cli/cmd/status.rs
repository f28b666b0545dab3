use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::plan::{Action, FilePlan, Options, Step};
use crate::reconcile;
use crate::source::Trouble;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let plan = session.plan(&loaded, Options::default(), None)?;
    let last = session.store().history(session.system)?.into_iter().next_back();
    let mut rows = Vec::new();
    let mut records = Vec::new();
    for file in &plan.files {
        let mut targets: Vec<&str> = file.wishes.wishes.iter().map(|wish| wish.target.as_str()).collect();
        targets.extend(file.steps.iter().map(|step| step.target.as_str()));
        targets.dedup();
        let mut seen = std::collections::BTreeSet::new();
        for target in targets.into_iter().filter(|target| seen.insert(*target)) {
            let steps: Vec<&Step> = file.steps.iter().filter(|step| step.target == target).collect();
            let state = state(file, &steps);
            let ours =
                steps.iter().filter(|step| matches!(step.action, Action::Keep | Action::Protected)).count();
            let path = reconcile::tilde(session.system, &file.wishes.path);
            rows.push(vec![
                target.to_owned(),
                state.to_owned(),
                ours.to_string(),
                steps.len().to_string(),
                path,
            ]);
            records.push(json!({"client": target, "state": state, "in_sync": ours, "entries": steps.len(), "path": file.wishes.path}));
        }
    }
    let problem = loaded.source.as_ref().and_then(|source| source.problem.as_ref());
    let header = ["CLIENT", "STATE", "IN SYNC", "ENTRIES", "FILE"];
    match args.format {
        Format::Json => {
            let mut status = json!({"format_version": 1, "clients": records, "last": last});
            super::plan::add_revision(&mut status, &loaded);
            if let Some(problem) = problem {
                status["source_problem"] = json!(problem);
            }
            session.out.data(status.to_string());
        }
        Format::Markdown => {
            for line in table::markdown(&header, &rows) {
                session.out.data(line);
            }
        }
        Format::Text => {
            super::plan::say_revision(session, &loaded);
            if let Some(Trouble { reason, message, since, .. }) = problem {
                session.out.data(format!("source: {reason} since {since}: {message}"));
            }
            for line in table::table(&header, &rows) {
                session.out.data(line);
            }
            match last {
                Some(last) => session.out.data(format!(
                    "last run: {} {} {}",
                    last.at,
                    last.command,
                    last.outcome.word()
                )),
                None => session.out.data("nothing was applied yet"),
            }
        }
    }
    Ok(0)
}

/// One word on how a client block stands.
fn state(file: &FilePlan, steps: &[&Step]) -> &'static str {
    if file.refused.is_some() {
        "unreadable"
    } else if steps.iter().any(|step| step.action.is_refused()) {
        "conflict"
    } else if steps.iter().any(|step| step.action.is_drift()) {
        "drifted"
    } else if steps.iter().any(|step| step.action.is_change()) {
        "pending"
    } else {
        "in sync"
    }
}
