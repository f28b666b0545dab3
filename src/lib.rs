//! mcpkeel keeps every AI client's MCP configuration in step with one manifest.
//!
//! Start reading at [`plan`]: everything before it prepares its three inputs (desired, observed,
//! ledger), everything after it carries the plan out.
//!
//! ```text
//! mcp.yaml -> manifest -> desired -> clients::render --+
//!                                                      +--> plan --> reconcile::apply --> report
//! live files -> document (observed) -- store::ledger --+
//! ```
//!
//! Invariant: a module imports only from those listed above it (`tests/floors` checks this);
//! only [`system`] talks to the operating system, and only [`cli`] talks to the user.

pub mod base;
pub mod document;
pub mod clients;
pub mod manifest;
pub mod desired;
pub mod plan;
pub mod guard;
pub mod system;
pub mod secrets;
pub mod store;
pub mod source;
pub mod reconcile;
pub mod bridge;
pub mod notice;
pub mod watch;
pub mod upstream;
pub mod supervise;
pub mod gateway;
pub mod daemon;
pub mod cli;
