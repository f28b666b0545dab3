//! The manifest floor: what is refused and in which words, what is bounded, what agrees.

mod agreement;
mod bad;
mod bounds;
mod fmt;
mod render;
