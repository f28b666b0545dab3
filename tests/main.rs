//! The one integration binary. Start at `support` for the sandbox every test runs in.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod bridge;
mod canary;
mod ci;
#[cfg(unix)]
mod conformance;
mod crash;
mod document;
mod examples;
mod external;
mod floors;
mod front;
#[cfg(unix)]
mod gateway;
#[cfg(unix)]
mod gateway_faults;
mod golden;
mod guard;
mod manifest;
mod notice;
mod probes;
mod race;
mod readme;
mod scan;
mod secrets;
mod service;
#[cfg(unix)]
mod source;
mod stories;
#[cfg(unix)]
mod supervise;
mod support;
mod transaction;
#[cfg(unix)]
mod watch;
#[cfg(unix)]
mod watch_chaos;
