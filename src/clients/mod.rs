//! Client rows: where and how each AI client keeps its servers.
pub mod spec;
