//! The `mcpkeel` program. See the library for everything it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcpkeel::system::become_nursery().unwrap_or_else(mcpkeel::cli::main)
}
