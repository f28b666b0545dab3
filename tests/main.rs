//! The one integration binary. Start at `support` for the sandbox every test runs in.

mod examples;
mod floors;
mod probes;
mod readme;
mod support;
