//! Eras.

use super::link::Origin;
use super::message::Message;
use super::middle::Steps;

/// The eras.
#[derive(Default)]
pub struct Eras {}

impl Eras {
    /// The client sent this.
    pub fn from_client(&mut self, message: Message) -> Steps {
        Steps { to_server: vec![message], to_client: Vec::new() }
    }

    /// The server sent this.
    pub fn from_server(&mut self, message: Message, _origin: &Origin) -> Steps {
        Steps { to_server: Vec::new(), to_client: vec![message.text] }
    }
}
