use clap::CommandFactory as _;

use super::super::args::Cli;
use super::super::failure::Failure;
use super::super::session::Session;

#[derive(Debug, clap::Args)]
#[command(after_help = "mcpkeel man > ~/.local/share/man/man1/mcpkeel.1")]
pub struct Args {}

pub fn run(session: &mut Session<'_>, _: &Args) -> Result<u8, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| Failure::failed(format!("the manual page cannot be made: {error}")))?;
    session.out.raw(&String::from_utf8_lossy(&page));
    Ok(0)
}
