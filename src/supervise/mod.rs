//! Servers that are kept running: their processes, their health, their logs.
//!
//! ```text
//! Supervisor - a task per server - state.rs (what next) - process.rs (launch, greet, watch, end) - Nursery, Peer
//!                                                          logs.rs (what it complains about)
//! ```
//!
//! Invariant: a server that hangs or dies holds up no other; a server is started only when nothing of it is left from
//! before.
//!
//! Start reading at [`Supervisor::set`], then `state.rs`.

mod log_line;
pub mod logs;
mod process;
mod rules;
mod server;
mod standing;
mod state;
mod task;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::base::Hidden;
use crate::bridge::Upstream;
use crate::store::Store;
use crate::system::{Nursery, System};
use crate::upstream::{Heard, Ways};

pub use self::log_line::{Level, Line};
pub use self::rules::{Probe, Rules};
pub use self::server::{Server, Unavailable};
pub use self::standing::{Health, Standing};
pub use self::state::State;

/// Gets what servers say by themselves, each with its name.
pub type Hear = Arc<dyn Fn(&str, Heard) + Send + Sync>;

/// Hears that a server has come, gone or failed; not that only its health is different.
pub type Changed = Arc<dyn Fn(&str, &Standing) + Send + Sync>;

/// Says how a server is started, with every secret in its place. May block.
pub type Launch = Arc<dyn Fn() -> Result<Launched, String> + Send + Sync>;

/// What is started, and what must not be shown of it.
pub struct Launched {
    /// The program or the address.
    pub upstream: Upstream,
    /// The values of secrets in it.
    pub hidden: Hidden,
}

impl From<Upstream> for Launched {
    fn from(upstream: Upstream) -> Self {
        Self { upstream, hidden: Hidden::default() }
    }
}

/// A server that shall be run.
#[derive(Clone)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// What its entry says about its launch; another pin is another server.
    pub pin: String,
    /// How it is run.
    pub rules: Rules,
    /// In which ways it is greeted.
    pub ways: Ways,
    /// How it is started.
    pub launch: Launch,
}

/// All servers.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

struct Inner {
    house: Arc<House>,
    held: Mutex<Held>,
}

/// What every server's task needs.
struct House {
    system: Arc<dyn System>,
    store: Store,
    nursery: Nursery,
    hear: Hear,
    changed: Changed,
}

#[derive(Default)]
struct Held {
    /// In the manifest's order.
    running: Vec<(Arc<Server>, JoinHandle<()>)>,
    /// Those that are not wanted any more, until they have ended.
    leaving: HashMap<String, JoinHandle<()>>,
    is_over: bool,
}

impl Supervisor {
    /// Without servers. Inside of a runtime.
    ///
    /// # Errors
    /// When this program cannot be found, which is started again to look after processes.
    pub fn new(system: Arc<dyn System>, store: &Store, hear: Hear, changed: Changed) -> io::Result<Self> {
        Self::with_nursery(None, system, store, hear, changed)
    }

    /// The same with another program of ours to look after processes.
    ///
    /// # Errors
    /// As [`Supervisor::new`].
    pub fn with_nursery(
        program: Option<PathBuf>,
        system: Arc<dyn System>,
        store: &Store,
        hear: Hear,
        changed: Changed,
    ) -> io::Result<Self> {
        let nursery = Nursery::new(program)?;
        let house = Arc::new(House { system, store: store.clone(), nursery, hear, changed });
        Ok(Self(Arc::new(Inner { house, held: Mutex::default() })))
    }

    /// Runs these servers from now on: those that are the same as before go on, whatever happens to others.
    pub fn set(&self, specs: Vec<Spec>) {
        let mut held = self.held();
        if held.is_over {
            return;
        }
        let mut before: HashMap<String, (Arc<Server>, JoinHandle<()>)> =
            held.running.drain(..).map(|(server, task)| (server.name().to_owned(), (server, task))).collect();
        for spec in specs {
            let old = before.remove(&spec.name);
            if let Some((server, task)) = old {
                if server.is(&spec) {
                    server.set_launch(spec.launch);
                    held.running.push((server, task));
                    continue;
                }
                server.retire();
                held.leaving.insert(spec.name.clone(), task);
            }
            // What is left of it ends first.
            let previous = held.leaving.remove(&spec.name);
            held.running.push(task::start(Arc::clone(&self.0.house), spec, previous));
        }
        for (name, (server, task)) in before {
            server.retire();
            held.leaving.insert(name, task);
        }
        held.leaving.retain(|_, task| !task.is_finished());
    }

    /// A server.
    pub fn server(&self, name: &str) -> Option<Arc<Server>> {
        let held = self.held();
        held.running.iter().map(|(server, _)| server).find(|server| server.name() == name).cloned()
    }

    /// All of them, in the manifest's order.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.held().running.iter().map(|(server, _)| Arc::clone(server)).collect()
    }

    /// Ends all of them at once, and whatever they started. For good.
    pub async fn stop(&self) {
        let tasks: Vec<JoinHandle<()>> = {
            let mut held = self.held();
            held.is_over = true;
            let running: Vec<_> = held.running.drain(..).collect();
            running.iter().for_each(|(server, _)| server.retire());
            let leaving: Vec<_> = held.leaving.drain().map(|(_, task)| task).collect();
            running.into_iter().map(|(_, task)| task).chain(leaving).collect()
        };
        for task in tasks {
            // One that broke has let go of its process.
            let _ = task.await;
        }
        self.0.house.nursery.close().await;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.0.held)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
