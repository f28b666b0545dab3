use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::plan::Options;
use crate::reconcile;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// List the backups instead of making one
    #[arg(short, long)]
    list: bool,
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    if args.list {
        return list(session, args.format);
    }
    let loaded = session.load()?;
    let plan = session.plan(&loaded, Options::default(), None)?;
    let ledger = session.ledger()?;
    let (store, lock) = session.lock("backup")?;
    let site = reconcile::Site { system: session.system, store: &store, lock: &lock };
    let id = reconcile::backup(&site, &plan, &ledger)?;
    session.out.data(format!("backed up as {id}; `mcpkeel restore {id}` puts the files back"));
    Ok(0)
}

fn list(session: &mut Session<'_>, format: Format) -> Result<u8, Failure> {
    let (store, system) = (session.store(), session.system);
    let mut records = Vec::new();
    for id in store.backup_ids(system)? {
        records.extend(store.load_backup(system, &id)?);
    }
    let header = ["ID", "WHEN", "COMMAND", "FILES"];
    let rows: Vec<Vec<String>> = records
        .iter()
        .rev()
        .map(|record| {
            let files: Vec<String> =
                record.files.iter().map(|file| reconcile::tilde(session.system, &file.path)).collect();
            vec![record.id.clone(), record.at.clone(), record.command.clone(), files.join(" ")]
        })
        .collect();
    match format {
        Format::Json => session.out.data(json!({"format_version": 1, "backups": records}).to_string()),
        _ if rows.is_empty() => session.out.say("there are no backups yet"),
        Format::Markdown => {
            table::markdown(&header, &rows).into_iter().for_each(|line| session.out.data(line))
        }
        Format::Text => table::table(&header, &rows).into_iter().for_each(|line| session.out.data(line)),
    }
    Ok(0)
}
