use super::super::failure::Failure;
use super::super::session::Session;
use crate::plan::Options;
use crate::reconcile;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For entries that somebody changed or removed, and for entries of other people with the name of ours,\n\
the manifest is made to say what the client's file says. Comments in the manifest stay. A server that several\n\
clients share changes for all of them; `mcpkeel plan` shows it."
)]
pub struct Args {
    /// Only from this client
    #[arg(value_name = "CLIENT")]
    client: Option<String>,
    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let plan = session.plan(&loaded, Options::default(), args.client.as_deref())?;
    if args.dry_run {
        for line in reconcile::adoptable(&plan) {
            session.out.data(line);
        }
        return Ok(0);
    }
    let adoption = reconcile::adopt(session.system, &loaded, &plan, true).map_err(Failure::failed)?;
    if !adoption.edits.is_empty() {
        session.write_manifests("adopt", adoption.edits)?;
    }
    for line in &adoption.lines {
        session.out.data(line);
    }
    session.out.say(if adoption.lines.is_empty() {
        "Nothing to adopt: what is live is what the manifest says."
    } else {
        "Next: mcpkeel plan"
    });
    Ok(0)
}
