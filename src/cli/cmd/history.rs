use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::source::short;
use crate::store::{Entry, Event, EventKind, Stand, from_rfc3339};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Rows without an ID are events: conditions that a client came into, suspensions, approvals\n\
and new revisions. `mcpkeel events` shows all of them."
)]
pub struct Args {
    /// How many of the newest rows to show; in JSON, of runs and of events each
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// Runs only
    #[arg(long)]
    runs: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Which column the revision is; left out where no run has one.
const REVISION: usize = 4;

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let mut lines = session.store().history(session.system)?;
    let mut events = match args.runs {
        true => Vec::new(),
        false => session.store().events(session.system)?,
    };
    events.retain(matters);
    lines.reverse();
    events.reverse();
    if args.format == Format::Json {
        lines.truncate(args.limit);
        events.truncate(args.limit);
        let mut document = json!({"format_version": 1, "history": lines});
        if !args.runs {
            document["events"] = json!(events);
        }
        session.out.data(document.to_string());
        return Ok(0);
    }
    let has_revisions = lines.iter().any(|line| line.revision.is_some());
    let mut header = vec!["ID", "WHEN", "COMMAND", "OUTCOME", "REVISION", "SUMMARY"];
    let runs = lines.iter().map(|line| (from_rfc3339(&line.at), run_row(line)));
    let mut rows: Vec<_> =
        runs.chain(events.iter().map(|event| (from_rfc3339(&event.at), row(event)))).collect();
    // Newest first; of one second, as they were written.
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut rows: Vec<Vec<String>> = rows.into_iter().take(args.limit).map(|(_, row)| row).collect();
    if !has_revisions {
        header.remove(REVISION);
        rows.iter_mut().for_each(|row| drop(row.remove(REVISION)));
    }
    match args.format {
        _ if rows.is_empty() => session.out.say("nothing was done yet"),
        Format::Markdown => {
            table::markdown(&header, &rows).into_iter().for_each(|line| session.out.data(line))
        }
        Format::Text | Format::Json => {
            table::table(&header, &rows).into_iter().for_each(|line| session.out.data(line))
        }
    }
    Ok(0)
}

/// What a person looks for between two runs. What is only on the way will have come somewhere.
fn matters(event: &Event) -> bool {
    match event.event {
        EventKind::Condition => event.condition != Some(Stand::Reconciling),
        EventKind::Revision | EventKind::Suspended | EventKind::Resumed | EventKind::Approved => true,
        EventKind::Started
        | EventKind::Stopped
        | EventKind::Applied
        | EventKind::ApprovalNew
        | EventKind::ApprovalUpdated
        | EventKind::Note => false,
    }
}

fn run_row(line: &Entry) -> Vec<String> {
    vec![
        line.id.clone(),
        line.at.clone(),
        line.command.clone(),
        line.outcome.word().to_owned(),
        line.revision.as_deref().map(short).unwrap_or_default().to_owned(),
        line.summary.clone(),
    ]
}

fn row(event: &Event) -> Vec<String> {
    // To the second, as the runs have it.
    let when = event.at.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let summary = match &event.client {
        Some(client) => format!("{client}: {}", event.message),
        None => event.message.clone(),
    };
    vec![
        String::new(),
        format!("{when}Z"),
        event.event.word().to_owned(),
        event.condition.map_or("", Stand::word).to_owned(),
        // Runs have one where the manifest has a source; what stands beside them needs none.
        String::new(),
        summary.replace(char::is_control, " "),
    ]
}
