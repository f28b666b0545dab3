//! Small values that every floor uses.
//!
//! Invariant: no I/O, no environment, no clock; nothing here knows what a client is.

mod diagnostic;
mod fingerprint;
mod glob;
pub mod mask;
mod parsed;
mod pointer;
mod secret;
mod suggest;
pub mod suspect;
pub mod tokens;

pub use diagnostic::{Diagnostic, Place, Severity};
pub use fingerprint::Fingerprint;
pub use glob::Glob;
pub use pointer::{Pointer, Step};
pub use secret::{Hidden, Secret};
pub use suggest::closest;

/// Whether a value says nothing: null, or an empty text, list or map.
pub fn is_hollow(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
