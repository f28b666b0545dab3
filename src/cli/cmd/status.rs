use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::daemon;
use crate::plan::{Action, FilePlan, Options, Plan, Step};
use crate::reconcile::{self, Care, Loaded, Which};
use crate::source::Trouble;
use crate::store::{Condition, Conditions, Suspensions, Watching};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "STATE compares the files with the manifest now. CONDITION is what `mcpkeel watch` says, or said\n\
last: Ready, Reconciling, Stalled (it waits for you) or Contended (another program writes over\n\
our entries)."
)]
pub struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print the metrics of the running `mcpkeel watch` instead, in the text format of Prometheus
    #[arg(long, conflicts_with = "format")]
    metrics: bool,
}

/// What `watch` says, or said last.
#[derive(Default)]
struct Watched {
    by: Option<Watching>,
    conditions: Conditions,
    suspensions: Suspensions,
}

/// One client block in one file.
struct Row {
    client: String,
    state: &'static str,
    in_sync: usize,
    entries: usize,
    path: std::path::PathBuf,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    if args.metrics {
        return metrics(session);
    }
    let watched = watched(session)?;
    // As it was fetched last: looking asks no repository.
    let loaded = session.read(Which::Newest, Care::Quick);
    if !loaded.is_valid() {
        return without_manifest(session, args.format, &watched, loaded);
    }
    let plan = session.plan(&loaded, Options::default(), None)?;
    let last = session.store().history(session.system)?.into_iter().next_back();
    let rows = rows(&plan);
    let problem = loaded.source.as_ref().and_then(|source| source.problem.as_ref());
    if args.format == Format::Json {
        let records: Vec<Value> = rows.iter().map(|row| record(row, &watched)).collect();
        let mut whole = document(records, &watched);
        whole["last"] = json!(last);
        super::plan::add_revision(&mut whole, &loaded);
        if let Some(problem) = problem {
            whole["source_problem"] = json!(problem);
        }
        session.out.data(whole.to_string());
        return Ok(0);
    }
    if args.format == Format::Text {
        super::plan::say_revision(session, &loaded);
        if let Some(Trouble { reason, message, since, .. }) = problem {
            session.out.data(format!("source: {reason} since {since}: {message}"));
        }
    }
    print(session, args.format, &rows, &watched);
    if args.format == Format::Text {
        explain(session, &watched);
        match last {
            Some(last) => {
                session.out.data(format!("last run: {} {} {}", last.at, last.command, last.outcome.word()));
            }
            None => session.out.data("nothing was applied yet"),
        }
    }
    Ok(0)
}

/// The table.
fn print(session: &mut Session<'_>, format: Format, rows: &[Row], watched: &Watched) {
    let is_watched = watched.conditions.manifest.is_some();
    let header = match is_watched {
        true => vec!["CLIENT", "STATE", "CONDITION", "SINCE", "IN SYNC", "ENTRIES", "FILE"],
        false => vec!["CLIENT", "STATE", "IN SYNC", "ENTRIES", "FILE"],
    };
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let mut cells = vec![row.client.clone(), row.state.to_owned()];
            if is_watched {
                let condition = watched.conditions.clients.get(&row.client);
                // Said by a command that `watch` may not have heard of yet.
                let is_suspended = watched.suspensions.of(&row.client, session.system.now()).is_some();
                cells.push(match condition {
                    Some(condition) if is_suspended => format!("{} (Suspended)", condition.condition.word()),
                    Some(condition) => word(condition),
                    None => String::new(),
                });
                cells.push(condition.map_or_else(String::new, |condition| condition.since.clone()));
            }
            let path = reconcile::tilde(session.system, &row.path);
            cells.extend([row.in_sync.to_string(), row.entries.to_string(), path]);
            cells
        })
        .collect();
    let lines = match format {
        Format::Markdown => table::markdown(&header, &cells),
        _ => table::table(&header, &cells),
    };
    lines.into_iter().for_each(|line| session.out.data(line));
}

/// What is known while the manifest cannot be used: how things stood when it could.
fn without_manifest(
    session: &mut Session<'_>,
    format: Format,
    watched: &Watched,
    loaded: Loaded,
) -> Result<u8, Failure> {
    let is_watched = watched.conditions.manifest.is_some();
    if format == Format::Json && is_watched {
        let clients = watched.conditions.clients.iter().map(|(client, condition)| {
            // A condition is made of texts, which always serialise.
            let mut record = json!(condition);
            record["client"] = json!(client);
            record
        });
        session.out.data(document(clients.collect(), watched).to_string());
    } else if is_watched {
        explain(session, watched);
    }
    Err(Failure::Invalid(loaded.diagnostics))
}

fn document(clients: Vec<Value>, watched: &Watched) -> Value {
    json!({
        "format_version": 1,
        "clients": clients,
        "manifest": watched.conditions.manifest,
        "watching": watched.by,
        "suspended": watched.suspensions,
    })
}

/// What a person should read about the conditions.
fn explain(session: &mut Session<'_>, watched: &Watched) {
    let all = watched.conditions.manifest.iter().map(|condition| ("manifest", condition));
    let clients = watched.conditions.clients.iter().map(|(client, condition)| (client.as_str(), condition));
    for (name, condition) in all.chain(clients).filter(|(_, condition)| condition.reason != "InSync") {
        session.out.data(format!("{name}: {}: {}", word(condition), condition.message));
    }
    if watched.suspensions.all.is_some() {
        session.out.data("all clients are suspended; `mcpkeel resume` goes on");
    }
    match &watched.by {
        Some(by) => session.out.data(format!("watching: process {} since {}", by.pid, by.since)),
        None if watched.conditions.manifest.is_some() => {
            session.out.data("watching: nobody now; conditions are those of the last time");
        }
        None => {}
    }
}

fn word(condition: &Condition) -> String {
    match condition.reason.as_str() {
        "InSync" => condition.condition.word().to_owned(),
        reason => format!("{} ({reason})", condition.condition.word()),
    }
}

fn record(row: &Row, watched: &Watched) -> Value {
    let mut record = json!({
        "client": row.client,
        "state": row.state,
        "in_sync": row.in_sync,
        "entries": row.entries,
        "path": row.path,
    });
    // A condition is made of texts, which always serialise.
    let condition = watched.conditions.clients.get(&row.client).map(|condition| json!(condition));
    if let (Some(record), Some(Value::Object(condition))) = (record.as_object_mut(), condition) {
        record.extend(condition);
    }
    record
}

/// Every client block of every file.
fn rows(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in &plan.files {
        let wished = file.wishes.wishes.iter().map(|wish| wish.target.as_str());
        let targets = wished.chain(file.steps.iter().map(|step| step.target.as_str()));
        let mut seen = BTreeSet::new();
        for target in targets.filter(|target| seen.insert(*target)) {
            let steps: Vec<&Step> = file.steps.iter().filter(|step| step.target == target).collect();
            let is_ours = |step: &&&Step| matches!(step.action, Action::Keep | Action::Protected);
            rows.push(Row {
                client: target.to_owned(),
                state: state(file, &steps),
                in_sync: steps.iter().filter(is_ours).count(),
                entries: steps.len(),
                path: file.wishes.path.clone(),
            });
        }
    }
    rows
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

/// From the process that watches, else from what it left.
fn watched(session: &mut Session<'_>) -> Result<Watched, Failure> {
    let (store, system) = (session.store(), session.system);
    let kept = Watched {
        by: store.watching(system)?,
        conditions: store.conditions(system)?,
        suspensions: store.suspensions(system)?,
    };
    let Some(by) = &kept.by else { return Ok(kept) };
    let answer = daemon::ask(&by.socket, daemon::Method::GET, "/v1/status");
    let told = answer.map_err(|error| error.to_string()).and_then(|body| {
        let whole: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        serde_json::from_value(whole["conditions"].clone()).map_err(|error| error.to_string())
    });
    match told {
        Ok(conditions) => Ok(Watched { conditions, ..kept }),
        Err(why) => {
            session.out.say(format!("note: {why}; conditions are those of the last time"));
            Ok(kept)
        }
    }
}

fn metrics(session: &mut Session<'_>) -> Result<u8, Failure> {
    let Some(by) = session.store().watching(session.system)? else {
        return Err(Failure::Failed {
            message: "nothing watches now, so there are no metrics".to_owned(),
            hint: Some("start `mcpkeel watch`, or install it with `mcpkeel service install`".to_owned()),
        });
    };
    let body = daemon::ask(&by.socket, daemon::Method::GET, "/metrics")
        .map_err(|error| Failure::failed(error.to_string()))?;
    session.out.raw(&String::from_utf8_lossy(&body));
    Ok(0)
}
