//! The reconciler that stays: events in, passes out.
//!
//! ```text
//! file events, signals, time -> inbox -> pass: load, plan, gate, apply -> verdicts -> conditions, events
//! ```
//!
//! A pass is what `plan` and `apply` do, with three differences: what a person must agree to is left
//! out of it (`gate`), a client that cannot be brought in step does not hold up the others, and a file
//! that may be half-written is read again.
//!
//! Invariant: a pass that finds nothing to do writes nothing, and takes no lock. Our own writes are
//! known by their fingerprints.
//!
//! Start reading at [`Reconciler::pass`]; [`run`] is the loop around it.

mod contention;
mod fetching;
mod gate;
mod inbox;
mod metrics;
mod notices;
mod pass;
mod places;
mod polling;
mod reporting;
mod run;
mod torn;
mod verdict;

use std::time::Duration;

use crate::system::System;

pub use inbox::{Inbox, Stop};
pub use pass::{Passed, Reconciler};
pub use reporting::{Snapshot, Tell};
pub use run::{Watch, once, run};

/// Between 0 and 1, so that what comes again and again does not keep in step with others.
fn luck(system: &dyn System) -> f64 {
    system.random().map_or(0.5, |bytes| f64::from(bytes[0]) / 255.0)
}

/// A tenth more or less.
fn about(system: &dyn System, time: Duration) -> Duration {
    time.mul_f64(0.9 + 0.2 * luck(system))
}
