//! One endpoint in front of every server.
//!
//! ```text
//! request - entrance (host, origin, token, size) - exchange (era, session) - forward (view, guards) - Peer - server
//!                                                                               |
//!                                                                     translate (one era into the other)
//! what servers say by themselves - upkeep (lists), news (who is told)
//! ```
//!
//! Invariant: what a caller may not see, it can neither list nor call; what one caller is told, no other hears.
//!
//! Start reading at [`Gateway::start`], then `exchange.rs`.

pub mod approvals;
pub mod ledger;
pub mod limit;
pub mod pinned;
pub mod tokens;

mod caller;
mod entrance;
mod exchange;
mod forward;
mod guards;
mod house;
mod names;
mod news;
mod page;
mod pins;
mod serve;
mod session;
mod setup;
mod shelf;
mod stock;
mod streams;
mod translate;
mod upkeep;
mod view;
mod warm;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::{Body, Bytes};
use hyper::{Request, Response};
use tokio::sync::watch;

use self::house::{House, lock};

pub use self::entrance::{CLIENT, Door};
pub use self::guards::Guards;
pub use self::page::Page;
pub use self::setup::Setup;
use crate::store::Store;
use crate::supervise::{Spec, Standing, Supervisor};
use crate::system::System;
use crate::upstream::Heard;

/// How long after its start it has done what is done only once.
const SETTLED: Duration = Duration::from_secs(2);

/// How often sessions that nobody uses are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// What marks the name of a server's second process.
const TWIN: &str = "@2026-07-28";

/// The name of a server's second process, which speaks 2026's way alone; started when it is needed.
pub fn twin(server: &str) -> String {
    format!("{server}{TWIN}")
}

/// The server that a process belongs to.
fn server_of(name: &str) -> &str {
    name.strip_suffix(TWIN).unwrap_or(name)
}

/// The gateway and the servers behind it.
#[derive(Clone)]
pub struct Gateway {
    house: Arc<House>,
    listening: Arc<Mutex<Option<Listening>>>,
}

/// Where it listens, and what ends that.
struct Listening {
    wanted: SocketAddr,
    end: watch::Sender<bool>,
}

impl Gateway {
    /// Starts what runs the servers. Inside of a runtime.
    ///
    /// # Errors
    /// When the supervisor cannot be started.
    pub fn start(system: Arc<dyn System>, store: Store, setup: Setup, guards: Guards) -> io::Result<Self> {
        let house = House::new(Arc::clone(&system), store.clone(), setup, guards);
        shelf::load(&house);
        let (hears, changes) = (Arc::downgrade(&house), Arc::downgrade(&house));
        let hear = Arc::new(move |server: &str, heard: Heard| {
            if let Some(house) = hears.upgrade() {
                upkeep::heard(&house, server, heard);
            }
        });
        let changed = Arc::new(move |server: &str, standing: &Standing| {
            if let Some(house) = changes.upgrade()
                && standing.is_ready()
                && !server.ends_with(TWIN)
            {
                let server = house.supervisor().and_then(|supervisor| supervisor.server(server));
                if let Some((server, peer)) =
                    server.and_then(|server| Some((Arc::clone(&server), server.peer()?)))
                {
                    upkeep::came(&house, server.name(), peer);
                }
            }
        });
        let supervisor = Supervisor::new(system, &store, hear, changed)?;
        // Set once, here.
        let _ = house.supervisor.set(supervisor);
        house.warm.keep();
        tokio::spawn(async {
            tokio::time::sleep(SETTLED).await;
            crate::system::give_memory_back();
        });
        let sweeping = Arc::downgrade(&house);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(house) = sweeping.upgrade() else { return };
                house.sweep();
                if house.guards.had_a_rush() {
                    crate::system::give_memory_back();
                }
            }
        });
        Ok(Self { house, listening: Arc::default() })
    }

    /// The supervisor.
    pub fn supervisor(&self) -> Option<Supervisor> {
        self.house.supervisor().cloned()
    }

    /// Starts the servers.
    pub fn run(&self, specs: Vec<Spec>) {
        if let Some(supervisor) = self.house.supervisor() {
            supervisor.set(specs);
        }
    }

    /// Takes what the manifest says now: only servers whose entry changed are started anew, and callers whose
    /// lists changed are told.
    pub fn set(&self, setup: Setup, specs: Vec<Spec>) {
        let seen = news::views(&self.house);
        self.house.guards.set(&setup, &self.house.setup());
        self.house.set_setup(setup);
        if let Some(supervisor) = self.house.supervisor() {
            supervisor.set(specs);
        }
        pins::reload(&self.house);
        seen.tell(&self.house);
    }

    /// Another process has answered a question, made a token, or accepted a tool.
    pub fn look(&self) {
        self.house.guards.look();
        self.house.sweep();
        let seen = news::views(&self.house);
        pins::reload(&self.house);
        seen.tell(&self.house);
    }

    /// Listens on this address and serves it, in a task, and nowhere else; none for nowhere.
    ///
    /// # Errors
    /// When it is taken, or may not be used; it listens where it did then.
    pub async fn listen(&self, wanted: Option<SocketAddr>) -> io::Result<()> {
        if lock(&self.listening).as_ref().map(|listening| listening.wanted) == wanted {
            return Ok(());
        }
        let now = match wanted {
            None => None,
            Some(wanted) => {
                let listener = serve::bind(wanted).await?;
                let (end, ended) = watch::channel(false);
                tokio::spawn(serve::serve(Arc::clone(&self.house), listener, wanted, ended));
                Some(Listening { wanted, end })
            }
        };
        if let Some(before) = std::mem::replace(&mut *lock(&self.listening), now) {
            before.end.send_replace(true);
        }
        Ok(())
    }

    /// Writes down every call that was answered so far.
    pub async fn write_down(&self) {
        let guards = Arc::clone(&self.house.guards);
        // It only fails when the runtime ends, which writes everything as well.
        let _ = tokio::task::spawn_blocking(move || guards.finish()).await;
    }

    /// Something that a person should know, as an event.
    pub fn note(&self, message: String) {
        self.house.guards.note(message);
    }

    /// Answers a request that came through the control socket.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Page>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        entrance::answer(&self.house, request, Door::Socket).await
    }

    /// Ends: no more requests, then no more servers.
    pub async fn stop(&self) {
        if let Some(listening) = lock(&self.listening).take() {
            listening.end.send_replace(true);
        }
        if let Some(supervisor) = self.house.supervisor() {
            supervisor.stop().await;
        }
        self.house.guards.finish();
    }
}
