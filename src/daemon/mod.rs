//! The process that stays: its control socket, and the signals that it listens to.
//!
//! ```text
//! curl --unix-socket "$XDG_RUNTIME_DIR/mcpkeel/control.sock" http://localhost/metrics
//! ```
//!
//! The reconciler has the main thread to itself; this room has a thread of its own with tokio, and the
//! two meet in [`Inbox`](crate::watch::Inbox) and [`Snapshot`](crate::watch::Snapshot).
//!
//! Invariant: only processes of the same user are heard, and nobody else can see the socket.
//!
//! Start reading at [`Control::start`]; [`ask`] is the other end.

mod ask;
mod control;
mod listener;
mod servers;
mod signals;
mod start;

pub use ask::{Answer, AskError, ask, consult};
pub use control::{Control, Guest, Invite};
pub use hyper::Method;
pub use listener::socket_path;
pub use servers::servers;
pub use start::{socket_now, start};
