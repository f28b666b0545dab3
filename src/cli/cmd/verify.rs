use super::super::args::Format;
use super::super::comment;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::show;
use crate::plan::Options;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exits with 0 when everything is in step and with 2 when it is not. Writes nothing.")]
pub struct Args {
    /// Only files that concern this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let plan = session.plan(&loaded, Options::default(), args.client.as_deref())?;
    match args.format {
        Format::Json => {
            let key = session.store().known_machine_key(session.system)?;
            session.out.data(show::json(&plan, key.as_ref()).to_string());
        }
        Format::Markdown => session.out.data(comment::plan(session.system, &plan, "mcpkeel apply")),
        Format::Text => {
            for line in show::summary(&session.out, &plan) {
                session.out.data(line);
            }
            for line in show::obstacles(session.system, &plan) {
                session.out.data(line);
            }
            session.out.data(show::closing(&plan, "mcpkeel apply"));
        }
    }
    Ok(if plan.is_in_sync() { 0 } else { 2 })
}
