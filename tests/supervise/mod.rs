//! Servers that are kept running: no process of theirs outlives us, however we end.

mod commands;
mod crew;
mod keeping;
mod logs;
mod nursery;
mod tree;
