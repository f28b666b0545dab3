//! A gateway that follows the manifest: what changes in it changes there, and nothing else does.
//!
//! Invariant: what waits for a person's approval is not run, and reaches nobody.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, post};
use tokio::runtime::Handle;

use crate::daemon::{self, Guest, Invite};
use crate::desired::{self, Machine, Unit};
use crate::gateway::{self, Gateway, Guards, Setup};
use crate::manifest::model::Approve;
use crate::manifest::values;
use crate::plan::Ledger;
use crate::reconcile::{self, Care, Loaded, Which};
use crate::secrets::Vault;
use crate::store::{Store, load_json};
use crate::supervise::{Launched, Rules, Spec};
use crate::system::System;
use crate::upstream::Ways;

/// Where the gateway listens unless the manifest says otherwise.
const LISTEN: &str = "127.0.0.1:3847";

/// The gateway, and the manifest that it follows.
#[derive(Clone)]
pub struct Up {
    system: Arc<dyn System>,
    store: Store,
    manifest: PathBuf,
    gateway: Arc<Mutex<Option<(Gateway, Handle)>>>,
    followed: Arc<Mutex<Arc<Followed>>>,
}

/// A manifest as it is followed.
struct Followed {
    units: Arc<Vec<Unit>>,
    agreed: Agreed,
    /// Whether nothing of it waits for a person.
    is_whole: bool,
}

/// What a person has agreed to, as far as that is needed.
#[derive(PartialEq, Eq)]
enum Agreed {
    /// Nobody is asked.
    Everything,
    /// These servers of these client blocks.
    These(BTreeSet<(String, String)>),
}

impl Agreed {
    fn has(&self, client: &str, server: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::These(these) => these.contains(&(client.to_owned(), server.to_owned())),
        }
    }

    /// Whether it may be run at all.
    fn runs(&self, server: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::These(these) => these.iter().any(|(_, agreed)| agreed == server),
        }
    }
}

impl Up {
    /// Follows this manifest, which is valid.
    pub fn new(system: Arc<dyn System>, store: Store, manifest: PathBuf, loaded: Loaded) -> Self {
        let followed = Arc::new(Mutex::new(Arc::new(followed(&*system, &store, loaded))));
        Self { system, store, manifest, gateway: Arc::default(), followed }
    }

    /// What starts the gateway in the thread of the control socket.
    pub fn invite(self) -> Invite {
        Box::new(move || Box::pin(self.open()))
    }

    /// Starts the gateway, inside of a runtime.
    async fn open(self) -> io::Result<Guest> {
        let followed = Arc::clone(&lock(&self.followed));
        let setup = self.setup(&followed);
        let guards = Guards::open(&self.system, &self.store, &self.manifest, &setup)?;
        let gateway = Gateway::start(Arc::clone(&self.system), self.store.clone(), setup, guards)?;
        gateway.listen(address(&followed.units)).await?;
        gateway.run(self.specs(&followed));
        *lock(&self.gateway) = Some((gateway.clone(), Handle::current()));
        Ok(Guest { routes: routes(&gateway), end: Box::pin(async move { gateway.stop().await }) })
    }

    /// Takes the manifest if it says something else than before, and the lock whatever it says.
    pub fn look(&self) {
        let Some((gateway, handle)) = lock(&self.gateway).clone() else { return };
        let loaded: Loaded =
            reconcile::load(&*self.system, &self.manifest, self.store.dir(), Which::Applied, Care::Quick);
        if !loaded.is_valid() {
            return;
        }
        let now = Arc::new(followed(&*self.system, &self.store, loaded));
        let mut followed = lock(&self.followed);
        if followed.is_whole && !now.is_whole {
            // What was agreed to goes on as it was.
            return;
        }
        let before = std::mem::replace(&mut *followed, Arc::clone(&now));
        drop(followed);
        if says(&before.units) == says(&now.units) && before.agreed == now.agreed {
            handle.spawn(async move { gateway.look() });
        } else {
            let (setup, specs) = (self.setup(&now), self.specs(&now));
            let address = address(&now.units);
            handle.spawn(async move {
                gateway.set(setup, specs);
                if let Err(error) = gateway.listen(address).await {
                    gateway.note(format!("the gateway still listens where it did: {error}"));
                }
            });
        }
    }

    fn setup(&self, followed: &Followed) -> Setup {
        let agreed = |client: Option<&str>, server: &str| match client {
            Some(client) => followed.agreed.has(client, server),
            None => followed.agreed.runs(server),
        };
        crate::secrets::with_machine(&*self.system, &followed.units, |machine| {
            Setup::of(&followed.units, machine, &agreed)
        })
    }

    /// How every server is started.
    fn specs(&self, followed: &Followed) -> Vec<Spec> {
        let units = &followed.units;
        let global = units.first().and_then(|unit| unit.manifest.supervisor.clone()).unwrap_or_default();
        let names = units.iter().flat_map(|unit| unit.manifest.servers.keys());
        crate::secrets::with_machine(&*self.system, units, |machine| {
            let chosen = names.filter_map(|name| desired::server(units, machine, name));
            let runs = chosen.filter(|chosen| {
                let can_run = chosen.server.command.is_some() || chosen.server.url.is_some();
                chosen.enabled && can_run && followed.agreed.runs(&chosen.name)
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

fn routes(gateway: &Gateway) -> Router {
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
    let writing = gateway.clone();
    let write = post(move || {
        let gateway = writing.clone();
        async move {
            gateway.write_down().await;
            StatusCode::NO_CONTENT
        }
    });
    let routes = Router::new()
        .route("/mcp", answer.clone())
        .route("/mcp/{server}", answer)
        .route("/v1/approvals/changed", look.clone())
        .route("/v1/tokens/changed", look.clone())
        .route("/v1/lock/changed", look)
        .route("/v1/usage/write", write);
    match gateway.supervisor() {
        Some(supervisor) => routes.merge(daemon::servers(supervisor)),
        None => routes,
    }
}

fn followed(system: &dyn System, store: &Store, loaded: Loaded) -> Followed {
    let (agreed, is_whole) = agreed(system, store, &loaded);
    Followed { units: Arc::new(loaded.units), agreed, is_whole }
}

/// What a person has agreed to: what the books say was applied, or everything of an approved revision; and whether
/// that is all that client blocks name.
fn agreed(system: &dyn System, store: &Store, loaded: &Loaded) -> (Agreed, bool) {
    let is_approved = || {
        let approval = store.approval(system).ok().flatten();
        approval.is_some_and(|approval| approval.revision == loaded.revision().id)
    };
    if loaded.approve() == Approve::Auto || is_approved() {
        return (Agreed::Everything, true);
    }
    // Books that cannot be read agree to nothing; the reconciler says what is wrong with them.
    let ledger: Ledger = load_json(system, &store.path("ledger.json"), 1).ok().flatten().unwrap_or_default();
    crate::secrets::with_machine(system, &loaded.units, |machine| {
        let named = named(&loaded.units, machine);
        let applied = |(client, server, pins): &(String, String, [String; 2])| {
            pins.iter().any(|pin| ledger.agrees(client, server, pin))
        };
        let is_whole = named.iter().all(applied);
        let these = named.into_iter().filter(applied).map(|(client, server, _)| (client, server));
        (Agreed::These(these.collect()), is_whole)
    })
}

/// Every server of every client block, with what a person agrees to: with its tool filter and, where the client's
/// entry says that itself, without.
fn named(units: &[Unit], machine: &Machine<'_>) -> Vec<(String, String, [String; 2])> {
    let mut named = Vec::new();
    for target in desired::resolve(units, machine).targets {
        for chosen in target.servers.iter().filter(|chosen| chosen.enabled) {
            let pins = [true, false].map(|filters| desired::pin(chosen, filters, units));
            named.push((target.key.clone(), chosen.name.clone(), pins));
        }
    }
    named
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
