//! The manifest resolved for this machine: conditions, groups, enablement and variables decided.
//!
//! Invariant: pure; references to secrets and environment variables are still references. A server
//! that cannot be delivered the way it is asked for stays in the result, marked as blocked, so that
//! nobody takes it for one that was deleted.
//!
//! Start at [`resolve`]; [`wish`] then says it in a client's own words.

mod delivery;
mod gateway;
mod ours;
mod pin;
mod resolve;
mod text;
mod wish;

pub use delivery::{Leak, reach, unset};
pub use pin::pin;
pub use resolve::{Chosen, Desired, Machine, Sourced, Target, Unit, resolve, server, source_of};
pub use text::{path, text};
pub use wish::{Behind, Entry, Wish, wish};
