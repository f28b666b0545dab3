//! What every transport looks like from above: messages in, messages out, as if the server spoke stdio.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;
use tokio::sync::{mpsc, watch};

use super::json;
use super::message::{self, Fault, Id, Message, UNREACHABLE};

/// How many messages may wait between two tasks.
pub const WAITING: usize = 64;

/// Where one-line remarks for the person at the terminal go.
pub type Note = Arc<dyn Fn(&str) + Send + Sync>;

/// A message on its way to the client.
pub struct Incoming {
    /// The message.
    pub message: Message,
    /// Who made it.
    pub origin: Origin,
}

/// Who made a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The server, on the response to this request where that is known.
    Server(Option<Id>),
    /// We, because the server could not be asked or did not answer; with the HTTP status, if there was one.
    Transport(Option<u16>),
}

/// The lower end of a transport.
pub struct Link {
    /// Messages for the server. Its end means that the client is gone.
    pub inbox: mpsc::Receiver<Message>,
    /// Messages for the client.
    pub outbox: mpsc::Sender<Incoming>,
    /// Comes when there is no time left for anything but ending.
    pub hurry: Hurry,
    /// Remarks.
    pub note: Note,
}

/// Comes when there is no time left for anything but ending.
#[derive(Clone)]
pub struct Hurry(pub watch::Receiver<bool>);

impl Hurry {
    /// Waits for it, for ever if need be.
    pub async fn comes(&mut self) {
        if self.0.wait_for(|hurry| *hurry).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Hands messages of the server on.
#[derive(Clone)]
pub struct Outbox {
    to: mpsc::Sender<Incoming>,
    note: Note,
    name: String,
}

impl Outbox {
    /// For the server with this name.
    pub fn new(name: &str, link: &Link) -> Self {
        Self { to: link.outbox.clone(), note: Arc::clone(&link.note), name: name.to_owned() }
    }

    /// Hands a message of the server on.
    pub async fn pass(&self, message: Message, about: Option<&Id>) {
        // Nobody listens any more when we are ending.
        let _ = self.to.send(Incoming { message, origin: Origin::Server(about.cloned()) }).await;
    }

    /// Says to the client that its request came to nothing, and to the person why.
    pub async fn fail(&self, id: &Id, trouble: &Trouble) {
        self.note(&trouble.text);
        let data = trouble.status.map(|status| json::object([("status", status.to_string())]));
        let text = message::error(Some(id), UNREACHABLE, &trouble.text, data.as_deref());
        let message = Message { text, kind: message::Kind::Error(Some(id.clone())) };
        let _ = self.to.send(Incoming { message, origin: Origin::Transport(trouble.status) }).await;
    }

    /// A remark.
    pub fn note(&self, text: &str) {
        (self.note)(text);
    }

    /// Reads what the server sent and hands each message on; whether one of them answers `about`. What is no
    /// message is left out with a remark.
    pub async fn deliver(&self, text: &str, about: Option<&Id>) -> Delivered {
        let mut delivered = Delivered::default();
        for read in Message::read(text) {
            match read {
                Ok(message) => {
                    delivered.answered |= about.is_some() && message.answers() == about;
                    self.pass(message, about).await;
                }
                Err(Fault { why, .. }) => {
                    delivered.malformed = true;
                    self.note(&format!("`{}` sent something that is not a message: {why}", self.name));
                }
            }
        }
        delivered
    }
}

/// What was in a piece of text from the server.
#[derive(Default)]
pub struct Delivered {
    /// The answer that was waited for.
    pub answered: bool,
    /// Something that is no message.
    pub malformed: bool,
}

/// Why a request came to nothing. Never holds a secret.
#[derive(Debug)]
pub struct Trouble {
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// In a sentence.
    pub text: String,
}

/// A server's name and as much of its address as may be shown: no user, no path, no query.
#[derive(Clone)]
pub struct Place {
    name: String,
    is_near: bool,
}

impl Place {
    /// Of a server at an address.
    pub fn new(name: &str, url: &Url) -> Self {
        let name = format!("`{name}` at {}/…", url.origin().ascii_serialization());
        Self { name, is_near: false }
    }

    /// Of a server at a socket of this machine.
    pub fn near(name: &str) -> Self {
        Self { name: name.to_owned(), is_near: true }
    }

    /// Whether it is at a socket of this machine.
    pub fn is_near(&self) -> bool {
        self.is_near
    }

    /// Trouble with it.
    pub fn trouble(&self, status: Option<u16>, what: &str) -> Trouble {
        Trouble { status, text: format!("{self} {what}") }
    }

    /// Trouble with reaching it.
    pub fn unreachable(&self, error: reqwest::Error) -> Trouble {
        let (is_slow, is_lost) = (error.is_timeout(), self.is_near && !error.is_connect());
        let why = super::remote::innermost(error);
        if is_lost {
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            let what = format!("went away before it answered{why}; what was asked may be done or not");
            return self.trouble(None, &what);
        }
        let what = if is_slow { "did not answer in time" } else { "could not be reached" };
        self.trouble(None, &if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Lets tasks go ahead in the order in which they were started, where order matters.
pub struct Turns(watch::Receiver<bool>);

impl Turns {
    /// Nothing to wait for yet.
    pub fn new() -> Self {
        Self(watch::channel(true).1)
    }

    /// A turn after those before it that hold others back.
    pub fn after(&self) -> Turn {
        Turn { wait: self.0.clone(), _done: None }
    }

    /// The same; those that come later wait until it is dropped.
    pub fn hold(&mut self) -> Turn {
        let (done, wait) = watch::channel(false);
        Turn { wait: std::mem::replace(&mut self.0, wait), _done: Some(done) }
    }
}

/// A place in the order. Dropping it lets the next ones go.
pub struct Turn {
    wait: watch::Receiver<bool>,
    _done: Option<watch::Sender<bool>>,
}

impl Turn {
    /// Waits for those before.
    pub async fn come(&mut self) {
        // The other end is gone when its turn is over.
        let _ = self.wait.wait_for(|done| *done).await;
    }
}
