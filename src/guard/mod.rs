//! What may be used by whom: policies, scopes, pins of tools, and what looks wrong about a tool.
//!
//! Invariant: pure; every question has an answer, and the same one for the same inputs.
