//! What the gateway knows: who is there, what the servers offer, who sees what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::caller::Caller;
use super::session::Session;
use super::setup::Setup;
use super::stock::Stock;
use super::translate::Parked;
use super::view::{Endpoint, Sources, View};
use crate::store::Store;
use crate::supervise::Supervisor;
use crate::system::{System, ticks};
use crate::upstream::Mouth;

/// After how long without a sign of life a session is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(1800);

/// How many sessions there may be.
const SESSIONS: usize = 10_000;

/// How many questions to callers may be open.
const PARKED: usize = 1024;

/// How many tasks are remembered.
const TASKS: usize = 4096;

/// How many views are kept.
const VIEWS: usize = 256;

/// What the gateway knows.
pub struct House {
    pub(super) system: Arc<dyn System>,
    pub(super) store: Store,
    pub(super) supervisor: OnceLock<Supervisor>,
    setup: RwLock<Arc<Setup>>,
    stocks: RwLock<Arc<HashMap<String, Arc<Stock>>>>,
    held: RwLock<Arc<HashMap<String, Vec<String>>>>,
    /// Counts up with everything that views depend on.
    generation: AtomicU64,
    views: Mutex<HashMap<(u64, Endpoint), Made>>,
    sessions: Mutex<Sessions>,
    callers: Mutex<HashMap<String, Arc<Caller>>>,
    pub(super) listeners: Mutex<Vec<Arc<Listener>>>,
    parked: Mutex<HashMap<String, Parked>>,
    numbers: AtomicU64,
    /// Who named its roots last, of the sessions.
    pub(super) rooted: AtomicU64,
    pub(super) warm: Arc<super::warm::Warm>,
    /// Tasks that servers have begun: whose they are, and where they run.
    tasks: Mutex<HashMap<String, (Arc<str>, String)>>,
    /// Servers that are being listed, and whether they are to be listed once more.
    listing: Mutex<HashMap<String, bool>>,
    /// Tools of servers that are seen first, to be taken into the lock.
    pub(super) firsts: Mutex<HashMap<String, Vec<crate::guard::Examined>>>,
    /// Rings when callers want to hear of other resources.
    pub(super) other_wishes: tokio::sync::Notify,
    pub(super) guards: Arc<super::guards::Guards>,
}

/// A view, and the generation that it was made in.
struct Made(u64, Arc<View>);

#[derive(Default)]
struct Sessions {
    by_id: HashMap<String, Arc<Session>>,
    by_number: HashMap<u64, Arc<Session>>,
}

/// A caller of 2026 that listens for changes.
pub struct Listener {
    /// Who.
    pub caller: Arc<Caller>,
    /// Where.
    pub endpoint: Endpoint,
    /// The id of its request, as JSON.
    pub id: String,
    /// Methods of notifications it wants.
    pub notifications: Vec<&'static str>,
    /// Resources it wants to hear of.
    pub resources: Vec<String>,
    /// Where it hears.
    pub mouth: Mouth,
}

impl House {
    /// With nobody in it.
    pub fn new(
        system: Arc<dyn System>,
        store: Store,
        setup: Setup,
        guards: super::guards::Guards,
    ) -> Arc<Self> {
        Arc::new(Self {
            system,
            store,
            supervisor: OnceLock::new(),
            setup: RwLock::new(Arc::new(setup)),
            stocks: RwLock::default(),
            held: RwLock::default(),
            generation: AtomicU64::new(1),
            views: Mutex::default(),
            sessions: Mutex::default(),
            callers: Mutex::default(),
            listeners: Mutex::default(),
            parked: Mutex::default(),
            // Callers have even numbers when they are of 2026, so that sessions can be told apart.
            numbers: AtomicU64::new(1),
            rooted: AtomicU64::new(0),
            warm: Arc::default(),
            tasks: Mutex::default(),
            listing: Mutex::default(),
            firsts: Mutex::default(),
            other_wishes: tokio::sync::Notify::new(),
            guards: Arc::new(guards),
        })
    }

    /// What the manifest says.
    pub fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The manifest says something else now.
    pub fn set_setup(&self, setup: Setup) {
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
        self.turn();
    }

    /// What the servers offer.
    pub fn stocks(&self) -> Arc<HashMap<String, Arc<Stock>>> {
        Arc::clone(&self.stocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a server offers.
    pub fn stock(&self, server: &str) -> Option<Arc<Stock>> {
        self.stocks.read().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    /// A server offers this now; what it offered before.
    pub fn set_stock(&self, server: &str, stock: Stock) -> Option<Arc<Stock>> {
        let mut stocks = self.stocks.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = HashMap::clone(&stocks);
        let before = all.insert(server.to_owned(), Arc::new(stock));
        *stocks = Arc::new(all);
        drop(stocks);
        self.turn();
        before
    }

    /// Tools of a server that are held; whether that is news.
    pub fn set_held(&self, server: &str, tools: Vec<String>) -> bool {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.get(server).map_or(&[] as &[String], Vec::as_slice) == tools {
            return false;
        }
        let mut all = HashMap::clone(&held);
        all.insert(server.to_owned(), tools);
        *held = Arc::new(all);
        drop(held);
        self.turn();
        true
    }

    /// Views are made anew.
    fn turn(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// What a caller sees at an address.
    pub fn view(&self, caller: &Caller, endpoint: &Endpoint) -> Arc<View> {
        let generation = self.generation.load(Ordering::Acquire);
        let mut views = lock(&self.views);
        let key = (caller.number, endpoint.clone());
        if let Some(Made(made, view)) = views.get(&key)
            && *made == generation
        {
            return Arc::clone(view);
        }
        let (setup, stocks) = (self.setup(), self.stocks());
        let held = Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner));
        let sources = Sources { setup: &setup, stocks: &stocks, held: &held };
        let view = Arc::new(View::of(&sources, caller, endpoint));
        if views.len() >= VIEWS {
            views.clear();
        }
        views.insert(key, Made(generation, Arc::clone(&view)));
        view
    }

    /// The caller with this name, made when it comes first or its rights have changed.
    pub fn caller(
        &self,
        name: &str,
        fits: impl Fn(&Caller) -> bool,
        make: impl FnOnce(u64) -> Caller,
    ) -> Arc<Caller> {
        let mut callers = lock(&self.callers);
        if let Some(known) = callers.get(name)
            && fits(known)
        {
            return Arc::clone(known);
        }
        let caller = Arc::new(make(self.numbers.fetch_add(1, Ordering::Relaxed) * 2));
        callers.insert(name.to_owned(), Arc::clone(&caller));
        caller
    }

    /// A new session, and its id.
    ///
    /// # Errors
    /// When there are too many, in a sentence.
    pub fn open(&self, caller: Arc<Caller>, endpoint: Endpoint, opening: String) -> Result<String, String> {
        let random = self.system.random().map_err(|error| error.to_string())?;
        let id = random[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) * 2 + 1;
        let session = Arc::new(Session::new(number, caller, endpoint, opening));
        self.make_room()?;
        let mut sessions = lock(&self.sessions);
        sessions.by_number.insert(number, Arc::clone(&session));
        sessions.by_id.insert(id.clone(), session);
        Ok(id)
    }

    /// Forgets the session that was not heard of for the longest time, when there are too many: most are of clients that
    /// came for one request and never said that they go.
    fn make_room(&self) -> Result<(), String> {
        let oldest = {
            let sessions = lock(&self.sessions);
            if sessions.by_id.len() < SESSIONS {
                return Ok(());
            }
            let now = ticks();
            let idle = sessions.by_id.iter().map(|(id, session)| (session.idle(now), id));
            idle.filter(|(idle, _)| !idle.is_zero()).max().map(|(_, id)| id.clone())
        };
        let oldest = oldest.ok_or_else(|| format!("there are {SESSIONS} sessions already, all in use"))?;
        self.close(&oldest);
        Ok(())
    }

    /// The session with this id, if it is this caller's at this address.
    pub fn session(&self, id: &str, caller: &Caller, endpoint: &Endpoint) -> Option<Arc<Session>> {
        let session = lock(&self.sessions).by_id.get(id).cloned()?;
        // By number, not by name: with other rights it is another caller.
        let is_theirs = session.caller.number == caller.number && session.endpoint == *endpoint;
        is_theirs.then_some(session)
    }

    /// The session with this number.
    pub fn session_by_number(&self, number: u64) -> Option<Arc<Session>> {
        lock(&self.sessions).by_number.get(&number).cloned()
    }

    /// Every session.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).by_id.values().cloned().collect()
    }

    /// Forgets a session.
    pub fn close(&self, id: &str) {
        let session = {
            let mut sessions = lock(&self.sessions);
            let session = sessions.by_id.remove(id);
            if let Some(session) = &session {
                sessions.by_number.remove(&session.number);
            }
            session
        };
        if let Some(session) = session {
            session.close();
        }
    }

    /// Forgets sessions that were not heard of for long, and everything of callers whose token is not good any more.
    pub fn sweep(&self) {
        let now = ticks();
        let old: Vec<String> = {
            let sessions = lock(&self.sessions);
            let old = sessions
                .by_id
                .iter()
                .filter(|(_, session)| session.idle(now) > FORGOTTEN || !self.guards.knows(&session.caller));
            old.map(|(id, _)| id.clone()).collect()
        };
        old.iter().for_each(|id| self.close(id));
        for listener in lock(&self.listeners).iter().filter(|listener| !self.guards.knows(&listener.caller)) {
            listener.mouth.clone().end();
        }
        lock(&self.callers).retain(|_, caller| self.guards.knows(caller));
    }

    /// Keeps a request until its caller comes back; the state it will bring.
    pub fn park(&self, parked: Parked) -> Option<String> {
        let mut all = lock(&self.parked);
        if all.len() >= PARKED {
            return None;
        }
        let random = self.system.random().ok()?;
        let state = random.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        all.insert(state.clone(), parked);
        Some(state)
    }

    /// The request that waits for this state, if it is this caller's.
    pub fn unpark(&self, state: &str, caller: u64) -> Option<Parked> {
        let mut all = lock(&self.parked);
        if all.get(state)?.caller != caller {
            return None;
        }
        all.remove(state)
    }

    /// A server is to be listed; whether nobody is at it already, who then does it once more.
    pub fn begin_list(&self, server: &str) -> bool {
        let mut listing = lock(&self.listing);
        let is_first = !listing.contains_key(server);
        listing.insert(server.to_owned(), !is_first);
        is_first
    }

    /// A server was listed; whether that is to be done once more.
    pub fn end_list(&self, server: &str) -> bool {
        let mut listing = lock(&self.listing);
        let again = listing.get_mut(server).map(std::mem::take).unwrap_or_default();
        if !again {
            listing.remove(server);
        }
        again
    }

    /// How long a call of a server may be silent.
    pub fn patience(&self, server: &str) -> Duration {
        let server = self.supervisor().and_then(|supervisor| supervisor.server(server));
        server.and_then(|server| server.rules().call_timeout).unwrap_or(Duration::from_secs(600))
    }

    /// Whose a task is, and the server that it runs on.
    pub fn task(&self, task: &str) -> Option<(Arc<str>, String)> {
        lock(&self.tasks).get(task).cloned()
    }

    /// A server has begun a task for a caller.
    pub fn keep_task(&self, task: &str, caller: &Arc<str>, server: &str) {
        let mut tasks = lock(&self.tasks);
        if tasks.len() >= TASKS {
            // Whoever has lost one can still ask its server alone.
            tasks.clear();
        }
        tasks.insert(task.to_owned(), (Arc::clone(caller), server.to_owned()));
    }

    /// Something about a server that a person should know.
    pub fn note(&self, server: &str, why: &str) {
        self.guards.note(format!("{server}: {why}"));
    }

    /// The supervisor.
    pub fn supervisor(&self) -> Option<&Supervisor> {
        self.supervisor.get()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::guards::Guards;
    use crate::guard::Scopes;
    use crate::manifest::model::{AuditArguments, GatewayNames, Trust};
    use crate::system::Real;

    fn setup() -> Setup {
        Setup {
            servers: indexmap::IndexMap::new(),
            clients: indexmap::IndexMap::new(),
            policies: Arc::default(),
            names: GatewayNames::default(),
            rate: None,
            hosts: std::collections::HashSet::new(),
            origins: std::collections::HashSet::new(),
            trust: Trust::default(),
            expire: FORGOTTEN,
            arguments: AuditArguments::default(),
            keep: FORGOTTEN,
        }
    }

    #[test]
    fn a_new_session_takes_the_place_of_the_one_that_was_silent_for_the_longest() {
        let dir = tempfile::tempdir().expect("a directory");
        let (system, store): (Arc<dyn System>, Store) = (Arc::new(Real), Store::at(dir.path()));
        let manifest = dir.path().join("mcp.yaml");
        let guards = Guards::open(&system, &store, &manifest, &setup()).expect("opened");
        let house = House::new(system, store, setup(), guards);
        let make = |number| Caller {
            number,
            name: "user".into(),
            client: None,
            scopes: Scopes::ALL,
            servers: None,
            is_token: false,
            source: None,
        };
        let caller = house.caller("user:", |_| true, make);
        let open = || house.open(Arc::clone(&caller), Endpoint::All, "{}".to_owned()).expect("room");
        let busy = open();
        let stream = house.session(&busy, &caller, &Endpoint::All).and_then(|session| session.listen());
        let ids: Vec<String> = (0..SESSIONS).map(|_| open()).collect();
        let is_there = |id: &str| house.session(id, &caller, &Endpoint::All).is_some();
        assert!(stream.is_some() && is_there(&busy) && !is_there(&ids[0]) && is_there(&ids[1]));
    }
}
