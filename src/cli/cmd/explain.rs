use super::super::failure::Failure;
use super::super::session::Session;
use crate::manifest;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A field, with dots: `servers.tools.deny`; left out: the whole manifest
    #[arg(value_name = "PATH", default_value = "")]
    path: String,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let text = manifest::explain::explain(&args.path).map_err(|problem| Failure::Usage {
        message: problem.message,
        hint: problem.hint.unwrap_or_else(|| "`mcpkeel explain` lists the fields".to_owned()),
    })?;
    session.out.raw(&text);
    Ok(0)
}
