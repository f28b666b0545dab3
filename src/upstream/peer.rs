use std::sync::Arc;
use std::time::Duration;

use super::open::{Line, OpenError};
use crate::bridge::message::Message;

/// Which era a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// With a handshake, up to 2025-11-25.
    Legacy,
    /// Without, since 2026-07-28.
    Modern,
}

/// Gets what a server says by itself, in order. Must not block.
pub type Hear = Arc<dyn Fn(Heard) + Send + Sync>;

/// What a server said by itself.
pub enum Heard {
    /// It wants no answer.
    Notification(Message),
    /// It wants an answer, by [`Peer::tell`].
    Request(Message),
    /// Something that is not a message, in a sentence: for the log.
    Fault(String),
}

/// No answer came in time.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

/// A server that was greeted.
pub struct Peer {}

impl Peer {
    /// Greets a server: `server/discover`, else `initialize`.
    ///
    /// # Errors
    /// When it does not answer in time, or says no.
    pub async fn open(
        _name: &str,
        _line: Line,
        _hear: Hear,
        _patience: Duration,
    ) -> Result<Arc<Self>, OpenError> {
        Err(OpenError("not written yet".to_owned()))
    }

    /// Its era.
    pub fn era(&self) -> Era {
        Era::Legacy
    }

    /// Its name and version as it says them, such as `everything 1.0.0`.
    pub fn says_it_is(&self) -> String {
        String::new()
    }

    /// Asks whether it is there (`server/discover` or `ping`); how long the answer took.
    ///
    /// # Errors
    /// When no answer came in time, or the server is gone.
    pub async fn ping(&self, _patience: Duration) -> Result<Duration, Silent> {
        Err(Silent)
    }

    /// Comes when nothing more can be said to it or heard from it: its output ended, or it was closed. Says why.
    pub async fn gone(&self) -> String {
        std::future::pending().await
    }

    /// Whether [`Peer::gone`] has come.
    pub fn is_gone(&self) -> bool {
        false
    }

    /// How many requests are under way, and how long ago the last one began or ended.
    pub fn use_of(&self) -> (usize, Duration) {
        (0, Duration::ZERO)
    }

    /// Closes our side, the process's input among it. Requests under way fail.
    pub fn close(&self) {}
}
