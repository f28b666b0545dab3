//! Servers that are kept running: no process of theirs outlives us, however we end.

mod nursery;
mod tree;
