//! The bridge between a client in this process and servers: real ones from npm, and a small one of our own for
//! faults that real ones seldom show.
//!
//! Start at `client`, the client. `.ci/install-clients` installs the real servers; without them their tests are
//! skipped with a line that says so, or fail where `MCPKEEL_REQUIRE_CLIENTS=1`.
//!
//! Invariant: loopback only; nothing waits for a time to pass, only for something to happen.

#![cfg(unix)]

mod child;
mod client;
mod eras;
pub mod fake;
mod faults;
mod modern;
#[cfg(target_os = "linux")]
mod process;
pub mod real;
mod remote;
