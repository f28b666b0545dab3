use super::super::failure::Failure;
use super::super::session::Session;
use crate::manifest;

#[derive(Debug, clap::Args)]
#[command(after_help = "Point your editor at it with a first line such as\n\
# yaml-language-server: $schema=./mcp.schema.json")]
pub struct Args {}

pub fn run(session: &mut Session<'_>, _: &Args) -> Result<u8, Failure> {
    session.out.raw(&manifest::schema::text());
    Ok(0)
}
