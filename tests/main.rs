//! The one integration binary. Start at `support` for the sandbox every test runs in.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

mod support;
mod transaction;
