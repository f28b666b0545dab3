//! One small process of ours that starts every server and outlives us for the moment that ending them takes.
//!
//! ```text
//! us - socket - nursery - servers, each leading a group, and whatever they start
//! ```
//!
//! A program's group dies with its leader only if somebody sees to it, and after `kill -9` that cannot be us. So
//! the nursery is the parent: it hears the end of its socket, which comes however we end, and then ends every
//! group, and every process that left its group and was handed to the nursery when its own parent ended.
//!
//! Invariant: when the nursery is gone, so is everything that was started through it. Values of variables are
//! passed over the socket, never as arguments.
//!
//! Start reading at [`Nursery::spawn`] for our side, `run.rs` for the other.

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod family;
#[cfg(unix)]
mod run;
#[cfg(windows)]
mod windows;
#[cfg(unix)]
mod wire;

use std::process::ExitCode;

#[cfg(unix)]
pub use client::{Exit, Grip, Input, Nursery, Output, Spawned};
#[cfg(windows)]
pub use windows::{Exit, Grip, Input, Nursery, Output, Spawned};

/// The first argument of a process that is to be the nursery. People have no use for it.
#[cfg(unix)]
const ARGUMENT: &str = "__nursery";

/// Becomes the nursery if that is what this process was started for. Call it before anything else.
pub fn become_nursery() -> Option<ExitCode> {
    #[cfg(unix)]
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT) {
        return Some(run::run());
    }
    None
}
