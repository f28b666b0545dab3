use super::super::failure::Failure;
use super::super::session::Session;
use super::super::show;
use crate::plan::Options;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Conflicts are shown as if they were adopted, so that both sides can be seen. Writes nothing."
)]
pub struct Args {
    /// Only files that concern this client
    #[arg(value_name = "CLIENT")]
    client: Option<String>,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let options = Options { adopt: true, ..Options::default() };
    let plan = session.plan(&loaded, options, args.client.as_deref())?;
    for file in plan.files.iter().filter(|file| file.writes()) {
        for line in show::diff(&session.out, file) {
            session.out.data(line);
        }
    }
    for line in show::obstacles(session.system, &plan) {
        session.out.complain(line);
    }
    Ok(0)
}
