use super::super::failure::Failure;
use super::super::session::Session;
use crate::reconcile;

#[derive(Debug, clap::Args)]
#[command(after_help = "IDs are listed by `mcpkeel backup --list`. Every file of that run is put back as it was before it.")]
pub struct Args {
    /// The run before which things were right
    #[arg(value_name = "ID")]
    id: String,
    /// Only files that concern this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Also put back files that somebody changed since
    #[arg(long)]
    force: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    put_back(session, Some(&args.id), args.client.as_deref(), args.yes, args.force, "restore")
}

/// The common way of `undo` and `restore`.
pub fn put_back(
    session: &mut Session<'_>,
    id: Option<&str>,
    client: Option<&str>,
    yes: bool,
    force: bool,
    command: &str,
) -> Result<u8, Failure> {
    let store = session.store();
    let record = reconcile::backup_record(&store, id)?;
    let names: Vec<String> =
        record.files.iter().map(|file| reconcile::tilde(session.system, &file.path)).collect();
    session.out.say(format!("{command}: {} of {} ({})", record.command, record.at, names.join(", ")));
    if !yes {
        match session.ask("Put these files back?") {
            Some(true) => {}
            Some(false) => return Err(Failure::Refused { message: "not done".into(), hint: "nothing was changed".into() }),
            None => {
                return Err(Failure::Refused {
                    message: "there is no terminal to ask on".into(),
                    hint: format!("`mcpkeel {command} --yes` goes ahead; nothing was changed"),
                });
            }
        }
    }
    let restored = reconcile::restore(session.system, &store, &record, client, force, command)?;
    for line in &restored.lines {
        session.out.data(line);
    }
    if !restored.left.is_empty() {
        for path in &restored.left {
            session.out.complain(format!(
                "left: {} was changed since; --force puts it back all the same",
                reconcile::tilde(session.system, path)
            ));
        }
        return Ok(1);
    }
    Ok(0)
}
