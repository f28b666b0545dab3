use super::super::failure::Failure;
use super::super::session::Session;
use crate::reconcile;
use crate::store::{Backup, Event, EventKind, Suspension};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "IDs are listed by `mcpkeel backup --list`. Every file of that run is put back as it was before it."
)]
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
    let record = find(session, id)?;
    if let Some(client) = client {
        check_client(session, &record, client)?;
    }
    let names: Vec<String> =
        record.files.iter().map(|file| reconcile::tilde(session.system, &file.path)).collect();
    session.out.say(format!("{command}: {} of {} ({})", record.command, record.at, names.join(", ")));
    if !yes {
        session.agree(
            "Put these files back?",
            "not done",
            &format!("`mcpkeel {command} --yes` goes ahead"),
        )?;
    }
    let (store, lock) = session.lock(command)?;
    leave_alone(session, &record, client, command)?;
    let site = reconcile::Site { system: session.system, store: &store, lock: &lock };
    let restored = reconcile::restore(&site, &record, client, force, command)?;
    for path in &restored.put_back {
        session.out.data(format!("put back {}", reconcile::tilde(session.system, path)));
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

/// Suspends the clients concerned where `watch` is in use: it would bring back at once what is taken back.
fn leave_alone(
    session: &mut Session<'_>,
    record: &Backup,
    client: Option<&str>,
    command: &str,
) -> Result<(), Failure> {
    let (store, system) = (session.store(), session.system);
    let watched = store.conditions(system)?.clients;
    let concerned = reconcile::clients_of(&store, system, record)?;
    let is_meant = |block: &&String| match client {
        Some(client) => *block == client,
        None => concerned.contains(*block),
    };
    let blocks: Vec<String> = watched.keys().filter(is_meant).cloned().collect();
    if blocks.is_empty() {
        return Ok(());
    }
    let mut suspensions = store.suspensions(system)?;
    suspensions.tidy(system.now());
    let why = format!("`{command}` of {}", record.id);
    for block in &blocks {
        let suspension = Suspension::new(system, None, Some(why.clone()));
        suspensions.clients.entry(block.clone()).or_insert(suspension);
        let event =
            Event { client: Some(block.clone()), ..Event::new(system, EventKind::Suspended, why.clone()) };
        store.add_event(system, &event)?;
    }
    store.save_suspensions(system, &suspensions)?;
    session.out.say(format!(
        "note: `watch` leaves {} alone from now on, so that this stays; `mcpkeel resume` goes on",
        blocks.join(", ")
    ));
    Ok(())
}

/// The backup of this name, or the newest.
fn find(session: &Session<'_>, id: Option<&str>) -> Result<Backup, Failure> {
    let (store, system) = (session.store(), session.system);
    let ids = store.backup_ids(system)?;
    let wanted = match id {
        Some(id) => Some(id.to_owned()),
        // A copy made by hand, or a run that changed no file, is nothing that could be taken back.
        None => ids
            .iter()
            .rev()
            .find(|id| {
                store.load_backup(system, id).is_ok_and(|backup| {
                    backup.is_some_and(|backup| backup.command != "backup" && !backup.files.is_empty())
                })
            })
            .cloned(),
    };
    let Some(wanted) = wanted else {
        return Err(Failure::Failed {
            message: "there is nothing to undo yet".to_owned(),
            hint: Some("`mcpkeel history` lists what was done".to_owned()),
        });
    };
    if let Some(backup) = store.load_backup(system, &wanted)? {
        return Ok(backup);
    }
    let hint = match crate::base::closest(&wanted, ids.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`mcpkeel backup --list` shows them".to_owned(),
    };
    Err(Failure::Usage { message: format!("there is no backup `{wanted}`"), hint })
}

/// Refuses a client that none of the files is about.
fn check_client(session: &Session<'_>, record: &Backup, client: &str) -> Result<(), Failure> {
    let known = reconcile::clients_of(&session.store(), session.system, record)?;
    if known.contains(client) {
        return Ok(());
    }
    let hint = match known.is_empty() {
        true => "leave `--client` out".to_owned(),
        false => format!("it is about {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::Usage { message: format!("the backup `{}` has no file of `{client}`", record.id), hint })
}
