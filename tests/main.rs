//! The one integration binary. Start at `support` for the sandbox every test runs in.

mod document;
mod examples;
mod external;
mod floors;
mod golden;
mod probes;
mod readme;
mod support;
