use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::source::short;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many of the newest to show
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let mut lines = session.store().history(session.system)?;
    lines.reverse();
    lines.truncate(args.limit);
    let has_revisions = lines.iter().any(|line| line.revision.is_some());
    let mut header = vec!["ID", "WHEN", "COMMAND", "OUTCOME", "SUMMARY"];
    if has_revisions {
        header.insert(4, "REVISION");
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let mut row = vec![
                line.id.clone(),
                line.at.clone(),
                line.command.clone(),
                line.outcome.word().to_owned(),
                line.summary.clone(),
            ];
            if has_revisions {
                row.insert(4, line.revision.as_deref().map(short).unwrap_or_default().to_owned());
            }
            row
        })
        .collect();
    match args.format {
        Format::Json => session.out.data(json!({"format_version": 1, "history": lines}).to_string()),
        _ if rows.is_empty() => session.out.say("nothing was done yet"),
        Format::Markdown => {
            table::markdown(&header, &rows).into_iter().for_each(|line| session.out.data(line))
        }
        Format::Text => table::table(&header, &rows).into_iter().for_each(|line| session.out.data(line)),
    }
    Ok(0)
}
