//! Small values that every floor uses.
//!
//! Invariant: no I/O, no environment, no clock; nothing here knows what a client is.

mod diagnostic;
mod fingerprint;
mod glob;
pub mod mask;
mod parsed;
mod pointer;
mod suggest;

pub use diagnostic::{Diagnostic, Place, Severity};
pub use fingerprint::Fingerprint;
pub use glob::Glob;
pub use pointer::{Pointer, Step};
pub use suggest::closest;
