use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, post};

use super::super::failure::Failure;
use super::super::session::Session;
use super::events::Format;
use super::watch::{print, summary};
use crate::daemon::{self, Control, Guest, Invite};
use crate::desired::{self, Unit};
use crate::gateway::{self, Gateway, Guards, Setup};
use crate::manifest::values;
use crate::reconcile::{self, Care, Loaded, Which};
use crate::secrets::Vault;
use crate::store::{Store, Watching, rfc3339};
use crate::supervise::{Launched, Rules, Spec};
use crate::system::{Real, System, service_manager};
use crate::upstream::Ways;
use crate::watch::{self, Inbox, Snapshot, Stop, Watch};

/// Where the gateway listens unless the manifest says otherwise.
const LISTEN: &str = "127.0.0.1:3847";

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
    let up = Up {
        system: Arc::clone(&system),
        store: store.clone(),
        manifest: manifest.clone(),
        gateway: Arc::default(),
        units: Arc::new(Mutex::new(Arc::new(loaded.units))),
    };
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
                let conditions = snapshot.now().conditions;
                service_manager::status(&summary(&conditions));
                service_manager::ready();
                let mut all = conditions.manifest.iter().chain(conditions.clients.values());
                // What a person has not agreed to yet is not run either.
                if !all.any(|condition| condition.reason == "AwaitingApproval") {
                    up.look();
                }
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

/// The gateway, and the manifest that it follows.
#[derive(Clone)]
struct Up {
    system: Arc<dyn System>,
    store: Store,
    manifest: PathBuf,
    gateway: Arc<Mutex<Option<(Gateway, tokio::runtime::Handle)>>>,
    units: Arc<Mutex<Arc<Vec<Unit>>>>,
}

impl Up {
    fn invite(self) -> Invite {
        Box::new(move || Box::pin(self.open()))
    }

    /// Starts the gateway, inside of a runtime.
    async fn open(self) -> io::Result<Guest> {
        let units = self.units();
        let setup = setup(&*self.system, &units);
        let guards = Guards::open(&self.system, &self.store, &self.manifest, &setup)?;
        let address = address(&units);
        let gateway = Gateway::start(Arc::clone(&self.system), self.store.clone(), setup, guards)?;
        if let Some(address) = address {
            gateway.listen(address).await?;
        }
        gateway.run(self.specs(&units));
        let handle = tokio::runtime::Handle::current();
        *self.gateway.lock().unwrap_or_else(PoisonError::into_inner) = Some((gateway.clone(), handle));
        let answering = gateway.clone();
        let answer = any(move |request: axum::extract::Request| {
            let gateway = answering.clone();
            async move { gateway.answer(request).await.map(axum::body::Body::new) }
        });
        let looking = gateway.clone();
        let look = post(move || {
            looking.look();
            async { StatusCode::NO_CONTENT }
        });
        let routes = Router::new()
            .route("/mcp", answer.clone())
            .route("/mcp/{server}", answer)
            .route("/v1/approvals/changed", look.clone())
            .route("/v1/tokens/changed", look.clone())
            .route("/v1/lock/changed", look);
        let routes = match gateway.supervisor() {
            Some(supervisor) => routes.merge(daemon::servers(supervisor)),
            None => routes,
        };
        Ok(Guest { routes, end: Box::pin(async move { gateway.stop().await }) })
    }

    /// Takes the manifest if it says something else than before.
    fn look(&self) {
        let loaded: Loaded =
            reconcile::load(&*self.system, &self.manifest, self.store.dir(), Which::Applied, Care::Quick);
        if !loaded.is_valid() {
            return;
        }
        let units = Arc::new(loaded.units);
        let same = {
            let mut known = self.units.lock().unwrap_or_else(PoisonError::into_inner);
            let same = says(&known) == says(&units);
            *known = Arc::clone(&units);
            same
        };
        let gateway = self.gateway.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((gateway, handle)) = gateway.clone().filter(|_| same) {
            // A pass may come from a changed lock.
            handle.spawn(async move { gateway.look() });
        }
        if let Some((gateway, handle)) = gateway.filter(|_| !same) {
            let (setup, specs) = (setup(&*self.system, &units), self.specs(&units));
            handle.spawn(async move { gateway.set(setup, specs) });
        }
    }

    fn units(&self) -> Arc<Vec<Unit>> {
        Arc::clone(&self.units.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How every server is started.
    fn specs(&self, units: &Arc<Vec<Unit>>) -> Vec<Spec> {
        let global = units.first().and_then(|unit| unit.manifest.supervisor.clone()).unwrap_or_default();
        let names = units.iter().flat_map(|unit| unit.manifest.servers.keys());
        crate::secrets::with_machine(&*self.system, units, |machine| {
            let chosen = names.filter_map(|name| desired::server(units, machine, name));
            let runs = chosen.filter(|chosen| {
                chosen.enabled && (chosen.server.command.is_some() || chosen.server.url.is_some())
            });
            runs.flat_map(|chosen| {
                let own = chosen.server.supervisor.clone().unwrap_or_default();
                let (system, units, name) =
                    (Arc::clone(&self.system), Arc::clone(units), chosen.name.clone());
                let is_program = chosen.server.command.is_some();
                let spec = Spec {
                    pin: desired::pin(&chosen, false, &units),
                    rules: Rules::of(&global, &own),
                    ways: Ways::Any,
                    launch: Arc::new(move || {
                        crate::secrets::with_machine(&*system, &units, |machine| {
                            let chosen = desired::server(&units, machine, &name)
                                .ok_or_else(|| format!("`{name}` is not in the manifest any more"))?;
                            let vault = Vault::new(&*system, &units);
                            let upstream = crate::bridge::upstream(&chosen, &units, machine, &vault)
                                .map_err(|problem| problem.message)?;
                            Ok(Launched { upstream, hidden: vault.looked_up() })
                        })
                    }),
                    name: chosen.name,
                };
                // Started only for callers of 2026, where a program can speak only one era at a time.
                let twin = is_program.then(|| Spec {
                    name: gateway::twin(&spec.name),
                    rules: spec.rules.clone().lazy(),
                    ways: Ways::Newest,
                    ..spec.clone()
                });
                [Some(spec), twin].into_iter().flatten()
            })
            .collect()
        })
    }
}

fn setup(system: &dyn System, units: &[Unit]) -> Setup {
    crate::secrets::with_machine(system, units, |machine| Setup::of(units, machine))
}

/// Where the gateway listens; nowhere without a `gateway` in the manifest.
fn address(units: &[Unit]) -> Option<SocketAddr> {
    let gateway = units.first()?.manifest.gateway.as_ref()?;
    values::listen(gateway.listen.as_deref().unwrap_or(LISTEN))
}

/// What tells one manifest from another: the texts of its files.
fn says(units: &[Unit]) -> Vec<String> {
    units.iter().map(|unit| unit.file.text.clone()).collect()
}
