mod follow;

use std::sync::Arc;

use self::follow::Up;
use super::super::failure::Failure;
use super::super::session::Session;
use super::events::Format;
use super::watch::{print, summary};
use crate::daemon::{self, Control};
use crate::reconcile::{Care, Which};
use crate::store::{Watching, rfc3339};
use crate::system::{Real, System, service_manager};
use crate::watch::{self, Inbox, Snapshot, Stop, Watch};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Does what `mcpkeel watch` does, runs the manifest's servers, and puts one endpoint in front of\n\
them: at `gateway.listen` for whoever has a token, and at the control socket for clients that\n\
start `mcpkeel connect`. Only servers whose entry changes are started anew.\n\
SIGHUP asks for a look at everything, SIGTERM ends it and every server (0), Ctrl-C too (130)."
)]
pub struct Args {
    /// Run the servers and the gateway, and leave clients' files alone
    #[arg(long)]
    no_watch: bool,
    /// How to print what happens
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let store = session.store();
    let manifest = session.manifest_path();
    // Of its own, since threads look at it as well.
    let system: Arc<dyn System> = Arc::new(Real);
    store.prepare(&*system)?;
    let Some(_right) = store.lock_watch(&*system)? else {
        let by = store.watching(&*system)?;
        let by = by.map(|by| format!(" (process {}, since {})", by.pid, by.since)).unwrap_or_default();
        return Err(Failure::Locked(format!("another `mcpkeel up` or `watch` is at work here{by}")));
    };
    let loaded = session.read(Which::Applied, Care::Quick);
    if !loaded.is_valid() {
        return Err(Failure::Invalid(loaded.diagnostics));
    }
    let (inbox, snapshot) = (Arc::new(Inbox::default()), Snapshot::default());
    let watching = Watching {
        pid: system.pid(),
        boot_id: system.boot_id(),
        since: rfc3339(system.now()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        manifest: manifest.clone(),
        socket: daemon::socket_path(&*system, &store),
    };
    let up = Up::new(Arc::clone(&system), store.clone(), manifest.clone(), loaded);
    let control = Control::start(
        Arc::clone(&system),
        watching.clone(),
        Arc::clone(&inbox),
        snapshot.clone(),
        Some(up.clone().invite()),
    )
    .map_err(|error| Failure::failed(format!("it cannot start: {error}")))?;
    store.save_watching(&*system, &watching)?;
    let format = args.format;
    let stopped = if args.no_watch {
        service_manager::ready();
        inbox.until_stopped()
    } else {
        let watch = Watch {
            system: Arc::clone(&system),
            store: store.clone(),
            manifest,
            inbox,
            snapshot: snapshot.clone(),
            alive: service_manager::watchdog()
                .map(|most| (most / 2, Box::new(service_manager::keep_alive) as _)),
            passed: Box::new(move || {
                service_manager::status(&summary(&snapshot.now().conditions));
                service_manager::ready();
                up.look();
            }),
        };
        watch::run(watch, &mut |event| print(session, format, event))?
    };
    service_manager::stopping();
    drop(control);
    store.drop_watching(&*system)?;
    Ok(match stopped {
        Stop::Asked => 0,
        Stop::Interrupted => 130,
    })
}
