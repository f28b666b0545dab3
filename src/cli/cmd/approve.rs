use super::super::failure::Failure;
use super::super::session::Session;
use super::super::show;
use crate::plan::Options;
use crate::store::{Approval, Event, EventKind, rfc3339};

/// How much of a revision must be given at least.
const SHORTEST: usize = 7;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "With `settings.approve: manual`, and for a `source` without `verify`, `watch` leaves alone\n\
what changes how a server is started or reached, what it is given, or which of its tools are\n\
seen, until you approve the revision or run `mcpkeel apply`. `mcpkeel plan` shows it. Given the\n\
revision it does not ask."
)]
pub struct Args {
    /// The revision as `plan` and `status` show it, or its first 7 characters or more; left out: the one
    /// that is there now, after a question
    #[arg(value_name = "REV")]
    revision: Option<String>,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let revision = loaded.revision().id;
    if let Some(given) = &args.revision {
        let bare = revision.strip_prefix("local-").unwrap_or(&revision);
        let fits = given.len() >= SHORTEST
            && (revision.starts_with(given.as_str()) || bare.starts_with(given.as_str()));
        if !fits {
            return Err(Failure::Refused {
                message: format!("the manifest is not at revision `{given}`, but at `{revision}`"),
                hint: "look at it with `mcpkeel plan`; nothing was approved".to_owned(),
            });
        }
    }
    let plan = session.plan(&loaded, Options { hold: true, ..Options::default() }, None)?;
    for line in show::summary(&session.out, &plan) {
        session.out.data(line);
    }
    let held = plan.counts().held;
    if args.revision.is_none() {
        session.agree(
            &format!("Approve revision {revision} with {held} changes of what is run?"),
            "not approved",
            &format!("`mcpkeel approve {revision}` approves without asking"),
        )?;
    }
    let (store, system) = (session.store(), session.system);
    let approval = Approval { revision: revision.clone(), at: rfc3339(system.now()), by: system.user() };
    store.save_approval(system, &approval)?;
    let message = format!("{held} changes of what is run, by {}", approval.by);
    let event =
        Event { revision: Some(revision.clone()), ..Event::new(system, EventKind::Approved, message) };
    store.add_event(system, &event)?;
    session.out.data(format!("approved {revision}"));
    if store.watching(system)?.is_none() {
        session.out.say("nothing watches now; `mcpkeel watch` or `mcpkeel apply` applies it");
    }
    Ok(0)
}
