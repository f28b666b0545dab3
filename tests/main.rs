//! The one integration binary. Start at `support` for the sandbox every test runs in.

mod manifest;
mod support;
