//! The one integration binary. Start at `support` for the sandbox every test runs in.
#![allow(clippy::disallowed_methods)]

mod crash;
mod document;
mod external;
mod golden;
mod manifest;
mod race;
mod support;
mod transaction;
