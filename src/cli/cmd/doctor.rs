use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use crate::reconcile::{self, Finding};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Looks at the manifest, the state directory and every client's file. Writes nothing.\n\
Exits with 1 when something needs mending."
)]
pub struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let store = session.store();
    let findings = reconcile::examine(session.system, &store, &session.manifest_path());
    let bad = findings.iter().filter(|finding| finding.is_trouble()).count();
    match args.format {
        Format::Json => session.out.data(json!({"format_version": 1, "findings": findings}).to_string()),
        Format::Text | Format::Markdown => {
            for finding in &findings {
                print(session, finding);
            }
            session.out.data(match bad {
                0 => "Everything is in order.".to_owned(),
                1 => "1 thing needs mending.".to_owned(),
                more => format!("{more} things need mending."),
            });
        }
    }
    Ok(u8::from(bad > 0))
}

fn print(session: &mut Session<'_>, finding: &Finding) {
    let mark = if finding.is_trouble() { "!!" } else { "ok" };
    session.out.data(format!("{mark} {}: {}", finding.subject, finding.what));
    if let Some(hint) = &finding.hint {
        session.out.data(format!("     {hint}"));
    }
}
