//! The `mcpkeel` program. See the library for everything it does.

fn main() -> std::process::ExitCode {
    mcpkeel::cli::main()
}
