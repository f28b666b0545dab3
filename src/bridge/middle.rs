//! What stands between client and server whatever the transport: the sieve, then the eras.
//!
//! Invariant: decides only; nothing here waits or does I/O.

use super::eras::Eras;
use super::link::Incoming;
use super::message::{Fault, Id, Message};
use super::sieve::{Sieve, Verdict};
use crate::clients::Filter;

/// What follows from a message.
#[derive(Debug, Default)]
pub struct Steps {
    /// Messages for the server, in order.
    pub to_server: Vec<Message>,
    /// Messages for the client, in order.
    pub to_client: Vec<String>,
}

/// The sieve and the eras.
pub struct Middle {
    sieve: Sieve,
    eras: Eras,
}

impl Middle {
    /// With these tools hidden.
    pub fn new(tools: &Filter) -> Self {
        Self { sieve: Sieve::new(tools), eras: Eras::default() }
    }

    /// The client sent this.
    pub fn client_says(&mut self, read: Result<Message, Fault>) -> Steps {
        let message = match read {
            Ok(message) => message,
            Err(fault) => return Steps { to_client: vec![fault.answer()], ..Steps::default() },
        };
        match self.sieve.judge(&message) {
            Verdict::Pass => self.eras.client_says(message),
            Verdict::Answer(answer) => Steps { to_client: vec![answer], ..Steps::default() },
            Verdict::Drop => Steps::default(),
        }
    }

    /// A question of ours whose answer may never come, said once; see [`Middle::give_up`].
    pub fn awaits(&mut self) -> Option<Id> {
        self.eras.awaits()
    }

    /// No answer to that came for long.
    pub fn give_up(&mut self, question: &Id) -> Steps {
        self.eras.give_up(question)
    }

    /// The server, or the transport in its place, sent this.
    pub fn server_says(&mut self, incoming: Incoming) -> Steps {
        let Incoming { message, origin } = incoming;
        let message = self.sieve.strain(message);
        self.eras.server_says(message, &origin)
    }
}
