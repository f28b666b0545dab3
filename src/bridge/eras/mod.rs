//! A client of one era and a server of the other: the handshake of 2025 against the stateless requests of
//! 2026-07-28.
//!
//! Whose era is whose is found out with the client's first request. Where both are of one era, everything
//! passes as it is. Otherwise [`Up`] lets a client of 2025 speak to a server of 2026, and [`Down`] the other
//! way round.
//!
//! Invariant: decides only; nothing here waits, does I/O or knows a transport, so a gateway can use it too.
//!
//! Source: specification 2026-07-28, basic/versioning, "Backward Compatibility".

pub(crate) mod down;
pub(crate) mod up;

use self::down::Down;
use self::up::Up;
use super::json::{self, Members};
use super::link::Origin;
use super::message::{self, Id, Kind, Message};
use super::middle::Steps;
use super::mirror;

/// The version that the 2026 era speaks.
pub(crate) const MODERN: &str = "2026-07-28";
/// The newest version of the 2025 era.
pub(crate) const LEGACY: &str = "2025-11-25";
/// How ids of our own begin.
const OWN: &str = "mcpkeel:";
/// How many messages may wait until the era is known.
const HELD: usize = 256;

pub(crate) const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
pub(crate) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Who speaks which era, and the translation between them.
#[derive(Default)]
pub struct Eras(Stage);

#[derive(Default)]
enum Stage {
    /// The client has not shown its era.
    #[default]
    Fresh,
    /// The server is asked for its era; what the client says meanwhile waits.
    Asking(Asking),
    /// Both speak the same.
    Same,
    /// The client is of 2025, the server of 2026.
    Up(Up),
    /// The client is of 2026, the server of 2025.
    Down(Down),
}

struct Asking {
    question: Question,
    /// The id under which the answer comes.
    id: Id,
    /// The client's first request.
    first: Message,
    /// What the client said since.
    held: Vec<Message>,
    /// Somebody looks at the clock.
    is_watched: bool,
}

enum Question {
    /// The client's `initialize` is on its way.
    Initialize,
    /// That was refused, with this answer, so `server/discover` is tried.
    Refused(Box<Message>),
    /// The client's own `server/discover` is on its way.
    Discover,
    /// Ours is, ahead of the client's first request.
    OwnDiscover,
    /// The server did not know that, so the handshake of 2025 is made in the client's place.
    Handshake,
}

impl Eras {
    /// The client sent this.
    pub fn client_says(&mut self, message: Message) -> Steps {
        match &mut self.0 {
            Stage::Fresh => self.first(message),
            Stage::Asking(asking) => asking.hold(message),
            Stage::Same => Steps::to_server(message),
            Stage::Up(up) => up.client_says(message),
            Stage::Down(down) => down.client_says(message),
        }
    }

    /// The server, or the transport in its place, sent this.
    pub fn server_says(&mut self, message: Message, origin: &Origin) -> Steps {
        match &mut self.0 {
            Stage::Fresh | Stage::Same => {
                let is_ours = message.answers().is_some_and(is_own);
                if is_ours { Steps::default() } else { Steps::to_client(message.text) }
            }
            Stage::Asking(asking) => {
                if message.answers() == Some(&asking.id) {
                    return self.learn(message, origin);
                }
                let is_late_discovery =
                    matches!(asking.question, Question::Handshake) && is_discovery(&message);
                if is_late_discovery && let Stage::Asking(asking) = std::mem::take(&mut self.0) {
                    // Slow, not old.
                    self.0 = Stage::Same;
                    return self.resume(Steps::default(), Some(asking.first), asking.held);
                }
                let is_ours = message.answers().is_some_and(is_own);
                if is_ours { Steps::default() } else { Steps::to_client(message.text) }
            }
            Stage::Up(up) => up.server_says(message),
            Stage::Down(down) => down.server_says(message, origin),
        }
    }

    /// A question whose answer may never come, said once; see [`Eras::give_up`].
    pub fn awaits(&mut self) -> Option<Id> {
        let Stage::Asking(asking) = &mut self.0 else { return None };
        let may_wait_in_vain = !matches!(asking.question, Question::Initialize | Question::Handshake);
        let is_new = may_wait_in_vain && !std::mem::replace(&mut asking.is_watched, true);
        is_new.then(|| asking.id.clone())
    }

    /// No answer came for long. Old servers are silent when asked what they do not know.
    pub fn give_up(&mut self, question: &Id) -> Steps {
        match std::mem::take(&mut self.0) {
            Stage::Asking(Asking { question: Question::Refused(refusal), held, id, .. })
                if id == *question =>
            {
                self.resume(Steps::to_client(refusal.text), None, held)
            }
            Stage::Asking(Asking {
                question: Question::Discover | Question::OwnDiscover,
                first,
                held,
                id,
                ..
            }) if id == *question => self.shake_hands(first, held),
            other => {
                self.0 = other;
                Steps::default()
            }
        }
    }

    fn first(&mut self, message: Message) -> Steps {
        let Kind::Request(id, method) = &message.kind else { return Steps::to_server(message) };
        let (question, id, ask) = if method == "initialize" {
            (Question::Initialize, id.clone(), message.clone())
        } else if mirror::version(&message).is_none() {
            return Steps::to_server(message);
        } else if method == "server/discover" {
            (Question::Discover, id.clone(), message.clone())
        } else {
            let meta = message.params().and_then(|params| params.get("_meta")).unwrap_or("{}");
            let own = Id::of("mcpkeel:discover");
            let Some(ask) = discover(&own, meta) else { return Steps::to_server(message) };
            (Question::OwnDiscover, own, ask)
        };
        self.0 = Stage::Asking(Asking { question, id, first: message, held: Vec::new(), is_watched: false });
        Steps::to_server(ask)
    }

    /// The answer that tells the era.
    fn learn(&mut self, answer: Message, origin: &Origin) -> Steps {
        let Stage::Asking(Asking { question, first, held, .. }) = std::mem::take(&mut self.0) else {
            return Steps::default();
        };
        let is_result = matches!(answer.kind, Kind::Result(_));
        match question {
            Question::Initialize if is_result => {
                self.0 = Stage::Same;
                self.resume(Steps::to_client(answer.text), None, held)
            }
            Question::Initialize => {
                let own = Id::of("mcpkeel:discover");
                let meta = Up::meta_of(&first);
                match discover(&own, &meta).filter(|_| may_be_of_the_other_era(origin)) {
                    Some(ask) => {
                        let question = Question::Refused(Box::new(answer));
                        self.0 = Stage::Asking(Asking { question, id: own, first, held, is_watched: false });
                        Steps::to_server(ask)
                    }
                    None => self.resume(Steps::to_client(answer.text), None, held),
                }
            }
            Question::Refused(_) if is_discovery(&answer) => {
                let (up, opened) = Up::new(&first, &answer);
                self.0 = Stage::Up(up);
                self.resume(Steps::to_client(opened), None, held)
            }
            Question::Refused(refusal) => self.resume(Steps::to_client(refusal.text), None, held),
            Question::Discover | Question::OwnDiscover => {
                let is_own = matches!(question, Question::OwnDiscover);
                if is_discovery(&answer) || is_modern_error(&answer) {
                    self.0 = Stage::Same;
                    let seen = if is_own { Steps::default() } else { Steps::to_client(answer.text) };
                    return self.resume(seen, is_own.then_some(first), held);
                }
                if is_result || may_be_of_the_other_era(origin) {
                    return self.shake_hands(first, held);
                }
                let failed = in_answer_to(&answer, &first);
                self.resume(Steps::to_client(failed), None, held)
            }
            Question::Handshake if is_result => {
                self.0 = Stage::Down(Down::new(&answer));
                let opened = Message::own(message::notification("notifications/initialized", None));
                let steps = Steps { to_server: opened.into_iter().collect(), ..Steps::default() };
                self.resume(steps, Some(first), held)
            }
            Question::Handshake => {
                let failed = in_answer_to(&answer, &first);
                self.resume(Steps::to_client(failed), None, held)
            }
        }
    }

    /// Makes the handshake of 2025 in the client's place.
    fn shake_hands(&mut self, first: Message, held: Vec<Message>) -> Steps {
        let own = Id::of("mcpkeel:initialize");
        let Some(ask) = Message::own(Down::initialize(&own, &first)) else { return Steps::default() };
        self.0 =
            Stage::Asking(Asking { question: Question::Handshake, id: own, first, held, is_watched: false });
        Steps::to_server(ask)
    }

    /// Takes up what waited.
    fn resume(&mut self, mut steps: Steps, first: Option<Message>, held: Vec<Message>) -> Steps {
        for message in first.into_iter().chain(held) {
            steps.append(self.client_says(message));
        }
        steps
    }
}

impl Asking {
    fn hold(&mut self, message: Message) -> Steps {
        match &message.kind {
            // The server may ask during the handshake, too.
            Kind::Result(_) | Kind::Error(_) => Steps::to_server(message),
            Kind::Request(id, _) if self.held.len() >= HELD => Steps::to_client(message::error(
                Some(id),
                message::INTERNAL,
                "the server has not answered yet",
                None,
            )),
            Kind::Notification(_) if self.held.len() >= HELD => Steps::default(),
            Kind::Request(..) | Kind::Notification(_) => {
                self.held.push(message);
                Steps::default()
            }
        }
    }
}

impl Steps {
    fn to_server(message: Message) -> Self {
        Self { to_server: vec![message], ..Self::default() }
    }

    fn to_client(text: String) -> Self {
        Self { to_client: vec![text], ..Self::default() }
    }

    fn append(&mut self, other: Self) {
        self.to_server.extend(other.to_server);
        self.to_client.extend(other.to_client);
    }
}

fn discover(id: &Id, meta: &str) -> Option<Message> {
    Message::own(message::request(id, "server/discover", Some(&json::object([("_meta", meta)]))))
}

fn is_own(id: &Id) -> bool {
    json::text(id.as_json()).is_some_and(|id| id.starts_with(OWN))
}

fn is_discovery(answer: &Message) -> bool {
    let result = answer.member("result").and_then(Members::of);
    result.is_some_and(|result| result.get("supportedVersions").is_some())
}

/// An error that only servers of the 2026 era know.
fn is_modern_error(answer: &Message) -> bool {
    let error = answer.member("error").and_then(Members::of);
    matches!(error.and_then(|error| error.get("code")), Some("-32020" | "-32021" | "-32022"))
}

/// Whether a refusal may come from not understanding, rather than from not being there or not being allowed.
fn may_be_of_the_other_era(origin: &Origin) -> bool {
    matches!(origin, Origin::Server(_) | Origin::Transport(Some(400 | 404..=406 | 415 | 422)))
}

/// The same answer, to another request.
fn in_answer_to(answer: &Message, request: &Message) -> String {
    match &request.kind {
        Kind::Request(id, _) => with_id(answer, id),
        _ => answer.text.clone(),
    }
}

/// The same message under another id.
fn with_id(answer: &Message, id: &Id) -> String {
    json::set(&answer.text, "id", id.as_json())
}

/// Ids of our own, each once.
#[derive(Default)]
struct Counter(u64);

impl Counter {
    fn next(&mut self, what: &str) -> Id {
        Id::of(&self.next_text(what))
    }

    fn next_text(&mut self, what: &str) -> String {
        self.0 += 1;
        format!("{OWN}{what}:{}", self.0)
    }
}

#[cfg(test)]
mod tests;
