use clap::CommandFactory as _;

use super::super::args::Cli;
use super::super::failure::Failure;
use super::super::session::Session;

#[derive(Debug, clap::Args)]
#[command(after_help = "bash: mcpkeel completions bash > ~/.local/share/bash-completion/completions/mcpkeel")]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mcpkeel", &mut text);
    session.out.raw(&String::from_utf8_lossy(&text));
    Ok(0)
}
