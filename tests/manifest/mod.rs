//! The manifest floor: what is refused and in which words, what is bounded, what agrees.

mod bad;
mod fmt;
