//! The one integration binary. Start at `support` for the sandbox every test runs in.
#![allow(clippy::disallowed_methods)]

mod support;
mod transaction;
