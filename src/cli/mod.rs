//! The front: arguments in, sentences and exit codes out.
//!
//! Invariant: the library below never prints; everything a person or a script reads is made here.
//! Data goes to standard output, all else to standard error.
//!
//! Start at [`main`]; each command is one file under `cmd`.

mod args;
mod cmd;
mod comment;
pub mod diagnostics;
mod failure;
pub mod findings;
mod out;
mod poke;
mod session;
mod show;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

pub use args::Cli;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 64 } else { 0 };
            // A closed pipe while printing help is no failure of ours.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let system = crate::system::Real;
    let mut session = session::Session::new(&system, &cli.global);
    let result = cmd::run(&mut session, cli.command);
    let code = match result {
        Ok(code) => code,
        Err(failure) => failure.report(&session),
    };
    ExitCode::from(session.finish(code))
}
