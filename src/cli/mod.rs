//! cli
pub mod diagnostics;
