use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::logs::Log;
use super::state::Event;
use super::{Launch, Rules, Spec, Standing, State, lock};
use crate::upstream::{Peer, Ways};

/// A wait before the next start that is worth waiting for, in seconds.
const SOON: f64 = 2.0;

/// A server as others see it; its task does the rest.
pub struct Server {
    name: String,
    pin: String,
    rules: Rules,
    ways: Ways,
    launch: Mutex<Launch>,
    pub(super) log: Arc<Log>,
    pub(super) peer: Mutex<Option<Arc<Peer>>>,
    pub(super) standing: watch::Sender<Standing>,
    commands: mpsc::UnboundedSender<Command>,
}

/// What a task is told.
pub(super) enum Command {
    /// Somebody wants something; hears when it was taken note of.
    Event(Event, oneshot::Sender<()>),
    /// Nobody wants the server any more.
    Retire,
}

/// A server cannot be used now: why, and what to do about it.
#[derive(Clone, Debug)]
pub struct Unavailable {
    /// Which server.
    pub name: String,
    /// Why, in a sentence without a secret.
    pub why: String,
    /// What to do next.
    pub hint: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be used now: {}; {}", self.name, self.why, self.hint)
    }
}

impl std::error::Error for Unavailable {}

impl Server {
    pub(super) fn new(
        spec: &Spec,
        log: Arc<Log>,
        standing: Standing,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Command>) {
        let (commands, heard) = mpsc::unbounded_channel();
        let server = Self {
            name: spec.name.clone(),
            pin: spec.pin.clone(),
            rules: spec.rules.clone(),
            ways: spec.ways,
            launch: Mutex::new(Arc::clone(&spec.launch)),
            log,
            peer: Mutex::default(),
            standing: watch::Sender::new(standing),
            commands,
        };
        (Arc::new(server), heard)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is run.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// In which ways it is greeted.
    pub(super) fn ways(&self) -> Ways {
        self.ways
    }

    /// The server, if it can be spoken to now.
    pub fn peer(&self) -> Option<Arc<Peer>> {
        lock(&self.peer).clone().filter(|peer| !peer.is_gone())
    }

    /// The server, started if it is not running. Waits as long as a start may take.
    ///
    /// # Errors
    /// When it does not come; at once when that is known.
    pub async fn ready(&self) -> Result<Arc<Peer>, Unavailable> {
        if let Some(peer) = self.peer() {
            return Ok(peer);
        }
        let limit = self.rules.start_timeout;
        let coming = async {
            self.tell(Event::Needed).await;
            self.settled(|standing| standing.next_start_s.is_some_and(|wait| wait <= SOON)).await
        };
        match tokio::time::timeout(limit, coming).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let why = format!("it has not come within {} s", limit.as_secs());
                Err(self.unavailable(why, format!("`mcpkeel server logs {}` may say why", self.name)))
            }
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let mut standing = self.standing.borrow().clone().now();
        let counts = self.log.counts();
        (standing.errors, standing.warnings) = (counts.errors, counts.warnings);
        standing
    }

    /// Starts it, as a person wants it. Comes when it runs.
    ///
    /// # Errors
    /// When the first try fails; others follow.
    pub async fn start(&self) -> Result<(), Unavailable> {
        self.begin(Event::Start).await
    }

    /// Ends it and starts it again, as a person wants it. Comes when it runs.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn restart(&self) -> Result<(), Unavailable> {
        self.begin(Event::Restart).await
    }

    /// Ends it until a person starts it again. Comes when nothing of it is left.
    pub async fn stop(&self) {
        self.tell(Event::Stop).await;
        let mut standing = self.standing.subscribe();
        // It is only gone when we are ending, too.
        let _ = standing.wait_for(|standing| standing.state == State::Stopped).await;
    }

    async fn begin(&self, event: Event) -> Result<(), Unavailable> {
        self.tell(event).await;
        let limit = self.rules.start_timeout + 3 * self.rules.stop_timeout + Duration::from_secs(2);
        match tokio::time::timeout(limit, self.settled(|_| false)).await {
            Ok(outcome) => outcome.map(drop),
            Err(_) => Err(self.unavailable(
                "it has not come in time".to_owned(),
                format!("`mcpkeel server logs {}` may say why", self.name),
            )),
        }
    }

    /// Waits until it can be spoken to, or until it is known that this will take long.
    async fn settled(&self, is_worth_waiting: impl Fn(&Standing) -> bool) -> Result<Arc<Peer>, Unavailable> {
        let mut standing = self.standing.subscribe();
        loop {
            let now = standing.borrow_and_update().clone().now();
            if let Some(peer) = self.peer() {
                return Ok(peer);
            }
            let last = now.last_error.clone().unwrap_or_else(|| "it failed".to_owned());
            let logs = format!("see `mcpkeel server logs {}`", self.name);
            match now.state {
                State::Failed => {
                    let hint = format!("when that is mended, `mcpkeel server start {}`", self.name);
                    return Err(self.unavailable(format!("it failed again and again: {last}"), hint));
                }
                State::Stopped if now.parked => {
                    let hint = format!("`mcpkeel server start {}` starts it", self.name);
                    return Err(self.unavailable("it was stopped".to_owned(), hint));
                }
                State::Backoff if !is_worth_waiting(&now) => {
                    let seconds = now.next_start_s.unwrap_or_default().ceil();
                    return Err(self.unavailable(format!("{last}; it is started again in {seconds} s"), logs));
                }
                _ => {}
            }
            if standing.changed().await.is_err() {
                return Err(
                    self.unavailable("mcpkeel is ending".to_owned(), "`mcpkeel up` starts it".to_owned())
                );
            }
        }
    }

    fn unavailable(&self, why: String, hint: String) -> Unavailable {
        Unavailable { name: self.name.clone(), why, hint }
    }

    async fn tell(&self, event: Event) {
        let (taken, is_taken) = oneshot::channel();
        // A task that has ended has said so in its standing.
        if self.commands.send(Command::Event(event, taken)).is_ok() {
            let _ = is_taken.await;
        }
    }

    pub(super) fn retire(&self) {
        // It may have ended already.
        let _ = self.commands.send(Command::Retire);
    }

    pub(super) fn is(&self, spec: &Spec) -> bool {
        self.pin == spec.pin && self.rules == spec.rules && self.ways == spec.ways
    }

    pub(super) fn set_launch(&self, launch: Launch) {
        *lock(&self.launch) = launch;
    }

    pub(super) fn launch(&self) -> Launch {
        Arc::clone(&lock(&self.launch))
    }
}
