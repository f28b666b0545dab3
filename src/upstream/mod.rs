//! One server that many speak to: ids are mapped, so that every answer finds the one who asked.
//!
//! ```text
//! who asks - Peer (ids, progress tokens) - pipes of a process | bridge::http | bridge::old_sse - server
//! ```
//!
//! Invariant: an answer goes to whoever asked, and to nobody else; messages pass as they are written, but for
//! their ids and progress tokens.
//!
//! Start reading at [`Peer::open`], then [`Peer::ask`].

mod ear;
mod envelope;
mod open;
mod peer;
#[cfg(unix)]
mod pipes;
#[cfg(all(test, unix))]
mod tests;

pub use ear::{Answer, Ear, Mouth, Told, pair};
pub use envelope::{Envelope, Kind, with};
pub use open::{Line, OpenError, Opening, Openings, Ways};
pub use peer::{Era, Gone, Hear, Heard, Peer, Question, Silent, error_for};
