//! A client of the 2025 era: what it said when it came, what it wants to hear, and questions it was asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::caller::Caller;
use super::view::Endpoint;
use crate::bridge::json::{self, Members};
use crate::system::ticks;
use crate::upstream::{Ear, Mouth, Peer};

/// How many messages may wait for a client that does not listen at the moment.
const QUESTIONS: usize = 256;

/// A client of the 2025 era.
pub struct Session {
    /// Its number among all callers.
    pub number: u64,
    /// Who it is.
    pub caller: Arc<Caller>,
    /// Where it came in.
    pub endpoint: Endpoint,
    /// Its `initialize`, as it was written.
    pub opening: String,
    state: Mutex<State>,
    questions: AtomicU64,
}

#[derive(Default)]
struct State {
    /// What it can do, as JSON.
    capabilities: String,
    used: Duration,
    level: Option<String>,
    /// Resources it wants to hear of.
    subscribed: BTreeSet<String>,
    /// Its requests under way, by their ids as written.
    flights: HashMap<String, Flying>,
    /// What it was asked, by our ids.
    asked: HashMap<u64, Asked>,
    /// Its standing stream.
    mouth: Option<Mouth>,
    /// The other end, while nobody has it.
    ear: Option<Ear>,
}

/// A request under way, and how it is taken back.
pub enum Flying {
    /// At a server, by its number there.
    Peer(Weak<Peer>, u64),
    /// In a task, which ends when nobody listens.
    Task(Mouth),
}

/// Who wants to know what a client answers.
pub enum Asked {
    /// A server, which knows the question by this id.
    Server(Weak<Peer>, String),
    /// We, in the place of a server of 2026: the result, or the error.
    Us(oneshot::Sender<Result<String, String>>),
}

impl Session {
    /// From its `initialize`.
    pub fn new(number: u64, caller: Arc<Caller>, endpoint: Endpoint, opening: String) -> Self {
        let (mouth, ear) = crate::upstream::pair(number);
        let params = Members::of(&opening).and_then(|message| message.object("params"));
        let capabilities = params.and_then(|params| params.get("capabilities").map(str::to_owned));
        let state = State {
            capabilities: capabilities.unwrap_or_else(|| "{}".to_owned()),
            used: ticks(),
            mouth: Some(mouth),
            ear: Some(ear),
            ..State::default()
        };
        Self { number, caller, endpoint, opening, state: Mutex::new(state), questions: AtomicU64::new(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is there.
    pub fn touch(&self) {
        self.lock().used = ticks();
    }

    /// For how long it was not heard of, at this moment; zero while a request of it is under way or its stream is open.
    pub fn idle(&self, now: Duration) -> Duration {
        let state = self.lock();
        match state.flights.is_empty() && state.ear.is_some() {
            true => now.saturating_sub(state.used),
            false => Duration::ZERO,
        }
    }

    /// Whether it can do what this method of a server asks for.
    pub fn can(&self, method: &str) -> bool {
        super::translate::can(&self.lock().capabilities, method)
    }

    /// The least level of what it wants to be told, as JSON.
    pub fn level(&self) -> Option<String> {
        self.lock().level.clone()
    }

    /// Sets it.
    pub fn set_level(&self, level: &str) {
        self.lock().level = Some(level.to_owned());
    }

    /// Wants to hear of a resource, or no longer.
    pub fn subscribe(&self, uri: &str, wants: bool) {
        let mut state = self.lock();
        if wants {
            state.subscribed.insert(uri.to_owned());
        } else {
            state.subscribed.remove(uri);
        }
    }

    /// The resources it wants to hear of.
    pub fn subscribed(&self) -> Vec<String> {
        self.lock().subscribed.iter().cloned().collect()
    }

    /// Whether it wants to hear of a resource.
    pub fn hears_of(&self, uri: &str) -> bool {
        self.lock().subscribed.contains(uri)
    }

    /// A request of it is under way.
    pub fn begins(&self, id: &str, flying: Flying) {
        self.lock().flights.insert(id.to_owned(), flying);
    }

    /// It is not any more.
    pub fn ends(&self, id: &str) {
        let mut state = self.lock();
        state.flights.remove(id);
        state.used = ticks();
    }

    /// It takes a request back.
    pub fn cancels(&self, id: &str, reason: &str) {
        let flight = self.lock().flights.remove(id);
        if let Some(flying) = flight {
            flying.cancel(reason);
        }
    }

    /// Everything of it under way is taken back.
    pub fn close(&self) {
        let (flights, asked) = {
            let mut state = self.lock();
            // Whoever has the stream hears that it ends.
            if let Some(mouth) = state.mouth.take() {
                mouth.end();
            }
            state.ear = None;
            (std::mem::take(&mut state.flights), std::mem::take(&mut state.asked))
        };
        for flying in flights.into_values() {
            flying.cancel("the client is gone");
        }
        for asked in asked.into_values() {
            asked.answer(Err(r#"{"code":-32603,"message":"the client is gone"}"#.to_owned()));
        }
    }

    /// A question to it; returns its id.
    pub fn ask(&self, asked: Asked) -> Option<u64> {
        let mut state = self.lock();
        if state.asked.len() >= QUESTIONS {
            return None;
        }
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        state.asked.insert(number, asked);
        Some(number)
    }

    /// It answers a question: the result, or the error.
    pub fn answered(&self, id: &str, answer: Result<String, String>) {
        let asked = id.parse().ok().and_then(|number: u64| self.lock().asked.remove(&number));
        if let Some(asked) = asked {
            asked.answer(answer);
        }
    }

    /// A server takes back a question; its id as the client knows it.
    pub fn withdraw(&self, peer: &Arc<Peer>, question: &str) -> Option<u64> {
        let mut state = self.lock();
        let is_it = |asked: &Asked| match asked {
            Asked::Server(from, id) => id == question && std::ptr::eq(from.as_ptr(), Arc::as_ptr(peer)),
            Asked::Us(_) => false,
        };
        let number = state.asked.iter().find(|(_, asked)| is_it(asked)).map(|(number, _)| *number)?;
        state.asked.remove(&number);
        Some(number)
    }

    /// Says something on its standing stream.
    pub fn say(&self, text: String) -> bool {
        let mouth = self.lock().mouth.clone();
        mouth.is_some_and(|mouth| mouth.note(text))
    }

    /// Its standing stream, if nobody has it; give it back by [`Session::hang_up`].
    pub fn listen(&self) -> Option<Ear> {
        self.lock().ear.take()
    }

    /// Gives the stream back: what waits in it is heard by the next one.
    pub fn hang_up(&self, ear: Ear) {
        let mut state = self.lock();
        if state.mouth.is_some() {
            state.ear = Some(ear);
        }
        state.used = ticks();
    }
}

impl Flying {
    fn cancel(self, reason: &str) {
        match self {
            Self::Peer(peer, number) => {
                if let Some(peer) = peer.upgrade() {
                    peer.cancel(number, reason);
                }
            }
            Self::Task(mouth) => mouth.end(),
        }
    }
}

impl Asked {
    /// The answer: the result, or the error, as JSON.
    pub fn answer(self, answer: Result<String, String>) {
        match self {
            Self::Server(peer, id) => {
                let Some(peer) = peer.upgrade() else { return };
                let (member, value) = match &answer {
                    Ok(result) => ("result", result),
                    Err(error) => ("error", error),
                };
                peer.tell(json::object([("jsonrpc", "\"2.0\""), ("id", &id), (member, value)]));
            }
            // Whoever asked may be gone.
            Self::Us(to) => drop(to.send(answer)),
        }
    }
}
