use std::time::Duration;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::manifest::model::ClientRef;
use crate::manifest::values;
use crate::plan::Ledger;
use crate::reconcile::{Care, Which};
use crate::store::{Event, EventKind, Suspension};

#[derive(Debug, clap::Args)]
#[command(after_help = "`watch` then leaves the client's file alone; `plan` and `apply` work as ever.")]
pub struct Args {
    /// The client or client block; left out: all of them
    #[arg(value_name = "CLIENT")]
    client: Option<String>,
    /// For how long (`2h`, `30m`); left out: until `mcpkeel resume`
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    lasting: Option<Duration>,
    /// Why, for `status` and for others
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "`watch` brings the client's file in step again at once.")]
pub struct ResumeArgs {
    /// The client or client block; left out: all of them
    #[arg(value_name = "CLIENT")]
    client: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    values::duration(text).ok_or_else(|| "write it like `2h`; the units are ms, s, m, h and d".to_owned())
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let (store, system) = (session.store(), session.system);
    let mut suspensions = store.suspensions(system)?;
    suspensions.tidy(system.now());
    let suspension = Suspension::new(system, args.lasting, args.why.clone());
    let until = suspension.until.clone().map_or("it is resumed".to_owned(), |until| until);
    let names = match &args.client {
        Some(client) => blocks(session, client)?,
        None => {
            suspensions.all = Some(suspension.clone());
            vec![]
        }
    };
    for name in &names {
        suspensions.clients.insert(name.clone(), suspension.clone());
    }
    store.save_suspensions(system, &suspensions)?;
    for (client, shown) in told(&names) {
        let why = args.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let message = format!("left alone until {until}{why}");
        session.out.data(format!("{shown}: {message}"));
        let event = Event { client, ..Event::new(system, EventKind::Suspended, message) };
        store.add_event(system, &event)?;
    }
    Ok(0)
}

pub fn resume(session: &mut Session<'_>, args: &ResumeArgs) -> Result<u8, Failure> {
    let (store, system) = (session.store(), session.system);
    let mut suspensions = store.suspensions(system)?;
    suspensions.tidy(system.now());
    let before = suspensions.clone();
    let names = match &args.client {
        Some(client) => {
            // A suspension of a block that is gone can be lifted as well.
            let names = match suspensions.clients.contains_key(client) {
                true => vec![client.clone()],
                false => blocks(session, client)?,
            };
            if suspensions.all.is_some() {
                return Err(Failure::Usage {
                    message: "all clients are suspended, so one of them alone cannot be resumed".to_owned(),
                    hint: "`mcpkeel resume` resumes all of them".to_owned(),
                });
            }
            names.into_iter().filter(|name| suspensions.clients.remove(name).is_some()).collect()
        }
        None => {
            suspensions = Default::default();
            vec![]
        }
    };
    if suspensions == before {
        session.out.say("nothing is suspended");
        return Ok(0);
    }
    store.save_suspensions(system, &suspensions)?;
    for (client, shown) in told(&names) {
        session.out.data(format!("{shown}: resumed"));
        let event = Event { client, ..Event::new(system, EventKind::Resumed, "watched again") };
        store.add_event(system, &event)?;
    }
    Ok(0)
}

/// For each name, or once for all of them: how it stands in an event, and how it is shown.
fn told(names: &[String]) -> Vec<(Option<String>, String)> {
    match names {
        [] => vec![(None, "all clients".to_owned())],
        names => names.iter().map(|name| (Some(name.clone()), name.clone())).collect(),
    }
}

/// The client blocks that a name means: its own, or those of the client with this id.
fn blocks(session: &Session<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let loaded = session.read(Which::Newest, Care::Quick);
    let ledger: Ledger = session.ledger()?;
    let manifest = loaded.units.iter().flat_map(|unit| &unit.manifest.clients).map(|(key, block)| {
        let id = match &block.client {
            Some(ClientRef::Id(id)) => id.as_str(),
            _ => key.as_str(),
        };
        (key.as_str(), id)
    });
    let books = ledger.files.values().flat_map(|record| &record.targets);
    let known: Vec<(&str, &str)> =
        manifest.chain(books.map(|(key, target)| (key.as_str(), target.client.as_str()))).collect();
    let mut found: Vec<String> = known
        .iter()
        .filter(|(key, id)| *key == name || *id == name)
        .map(|(key, _)| (*key).to_owned())
        .collect();
    found.sort();
    found.dedup();
    if !found.is_empty() {
        return Ok(found);
    }
    let names: Vec<&str> = known.iter().map(|(key, _)| *key).collect();
    let hint = match crate::base::closest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the manifest names {}", names.join(", ")),
    };
    Err(Failure::Usage { message: format!("the manifest has no client `{name}`"), hint })
}
