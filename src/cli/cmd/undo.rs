use super::super::failure::Failure;
use super::super::session::Session;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Puts every file of the last run back, byte for byte. Undoing twice brings the run back.\n\
A file that somebody changed since is left alone unless --force is given."
)]
pub struct Args {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Also put back files that somebody changed since
    #[arg(long)]
    force: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    super::restore::put_back(session, None, None, args.yes, args.force, "undo")
}
