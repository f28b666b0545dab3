//! The same program with `conformance-client`, under a name of its own, so that a build of it leaves `mcpkeel` alone.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcpkeel::system::become_nursery().unwrap_or_else(mcpkeel::cli::main)
}
