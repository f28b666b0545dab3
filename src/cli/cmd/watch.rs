use std::sync::Arc;

use super::super::failure::Failure;
use super::super::session::Session;
use super::events::Format;
use crate::daemon::{self, Control};
use crate::store::{Condition, Conditions, Event, EventKind, Stand, Watching, rfc3339};
use crate::system::{Real, System, service_manager};
use crate::watch::{self, Inbox, Snapshot, Stop, Watch};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Looks at the manifest and at every client's file whenever one of them changes, and brings\n\
them in step as `apply` would. What a person must decide waits, and `mcpkeel status` says so.\n\
SIGHUP asks for a look at everything, SIGTERM ends it (0), Ctrl-C too (130).\n\
With --once it looks once and ends: 0 when everything is in step, 1 when a file could not be\n\
read or written, 3 for an invalid manifest, 4 when another run is under way, 6 when something\n\
waits for you."
)]
pub struct Args {
    /// Look once, bring in step what may be, and end: for cron and CI
    #[arg(long)]
    once: bool,
    /// How to print what happens
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let store = session.store();
    let manifest = session.manifest_path();
    // Of its own, since threads look at it as well.
    let system: Arc<dyn System> = Arc::new(Real);
    let Some(_right) = store.lock_watch(&*system)? else {
        let by = store.watching(&*system)?;
        let by = by.map(|by| format!(" (process {}, since {})", by.pid, by.since)).unwrap_or_default();
        return Err(Failure::Locked(format!("another `mcpkeel watch` is at work here{by}")));
    };
    let (inbox, snapshot) = (Arc::new(Inbox::default()), Snapshot::default());
    let watch = Watch {
        system: system.clone(),
        store: store.clone(),
        manifest: manifest.clone(),
        inbox: inbox.clone(),
        snapshot: snapshot.clone(),
        alive: service_manager::watchdog().map(|most| (most / 2, Box::new(service_manager::keep_alive) as _)),
        passed: Box::new({
            let snapshot = snapshot.clone();
            move || {
                service_manager::status(&summary(&snapshot.now().conditions));
                service_manager::ready();
            }
        }),
    };
    let format = args.format;
    if args.once {
        watch::once(watch, &mut |event| print(session, format, event))?;
        let conditions = snapshot.now().conditions;
        report(session, format, &conditions);
        return Ok(exit_code(&conditions));
    }
    let watching = Watching {
        pid: system.pid(),
        boot_id: system.boot_id(),
        since: rfc3339(system.now()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        manifest,
        socket: daemon::socket_path(&*system, &store),
    };
    let control = Control::start(system.clone(), watching.clone(), inbox, snapshot, None)
        .map_err(|error| Failure::failed(format!("the control socket cannot be opened: {error}")))?;
    store.save_watching(&*system, &watching)?;
    let stopped = watch::run(watch, &mut |event| print(session, format, event));
    service_manager::stopping();
    drop(control);
    store.drop_watching(&*system)?;
    Ok(match stopped? {
        Stop::Asked => 0,
        Stop::Interrupted => 130,
    })
}

/// An event, as it happens.
pub(super) fn print(session: &mut Session<'_>, format: Format, event: &Event) {
    match format {
        Format::Json => session.out.data(serde_json::json!(event).to_string()),
        Format::Text => session.out.say(line(event)),
    }
}

/// An event in a line.
fn line(event: &Event) -> String {
    let client = event.client.as_ref().map(|client| format!("{client}: ")).unwrap_or_default();
    let what = match (event.event, event.condition) {
        (EventKind::Condition, Some(stand)) => {
            format!("{} ({})", stand.word(), event.reason.as_deref().unwrap_or_default())
        }
        (kind, _) => kind.word().to_owned(),
    };
    format!("{} {client}{what}: {}", event.at, event.message)
}

/// How many stand how, in one line.
pub(super) fn summary(conditions: &Conditions) -> String {
    let all: Vec<&Condition> = conditions.manifest.iter().chain(conditions.clients.values()).collect();
    let count = |stand: Stand| all.iter().filter(|condition| condition.condition == stand).count();
    let stands = [Stand::Ready, Stand::Reconciling, Stand::Stalled, Stand::Contended];
    let parts = stands.into_iter().filter(|stand| count(*stand) > 0);
    parts.map(|stand| format!("{} {}", count(stand), stand.word())).collect::<Vec<_>>().join(", ")
}

/// How everything stands after a single pass.
fn report(session: &mut Session<'_>, format: Format, conditions: &Conditions) {
    if format == Format::Json {
        return;
    }
    let all = conditions.manifest.iter().map(|condition| ("manifest", condition));
    let clients = conditions.clients.iter().map(|(client, condition)| (client.as_str(), condition));
    for (name, condition) in all.chain(clients) {
        session.out.data(format!(
            "{name}: {} ({}): {}",
            condition.condition.word(),
            condition.reason,
            condition.message
        ));
    }
}

fn exit_code(conditions: &Conditions) -> u8 {
    let code = |condition: &Condition| match (condition.condition, condition.reason.as_str()) {
        (Stand::Ready, _) => 0,
        (_, "InvalidManifest") => 3,
        (_, "Locked") => 4,
        (_, "Conflict" | "Blocked" | "AwaitingApproval" | "PruneGuard" | "Unresolved") => 6,
        _ => 1,
    };
    let codes: Vec<u8> = conditions.manifest.iter().chain(conditions.clients.values()).map(code).collect();
    // What failed is worse than what waits.
    [3, 1, 4, 6].into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}
