use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;

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
    let header = ["ID", "WHEN", "COMMAND", "OUTCOME", "SUMMARY"];
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                line.id.clone(),
                line.at.clone(),
                line.command.clone(),
                line.outcome.word().to_owned(),
                line.summary.clone(),
            ]
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
