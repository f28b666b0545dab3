//! One endpoint in front of every server.
//!
//! Invariant: what a caller may not see, it can neither list nor call; what one caller is told, no other hears.

pub mod approvals;
pub mod ledger;
pub mod limit;
pub mod pinned;
pub mod tokens;
