use super::super::failure::Failure;
use super::super::session::Session;
use crate::reconcile::{self, ManifestEdit};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Looks at every client this program knows, and writes mcp.yaml with what they have.\n\
Changes no client's file. Values that look like secrets become references and are listed."
)]
pub struct Args {
    /// Start with an empty manifest
    #[arg(long)]
    empty: bool,
    /// Where literal secrets go that the clients' files hold
    #[arg(long, value_enum, value_name = "STORE", default_value_t, conflicts_with = "empty")]
    secrets: super::import::Secrets,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let path = session.manifest_path();
    let name = reconcile::shown(session.system, &path);
    if session.system.meta(&path).is_ok() {
        return Err(Failure::Refused {
            message: format!("`{name}` is already there"),
            hint: "`mcpkeel import` adds what your clients have to it; `-f FILE` writes another".to_owned(),
        });
    }
    let text = reconcile::skeleton().to_owned();
    let (text, imported) = if args.empty {
        (text, None)
    } else {
        let imported = reconcile::import(session.system, &name, text, &[], None, args.secrets.into())?;
        (imported.text.clone(), Some(imported))
    };
    let loaded = reconcile::Loaded::of_text(session.system, &path, reconcile::skeleton());
    let kept = imported.as_ref().map_or(&[][..], |imported| &imported.kept);
    let edit = ManifestEdit { path, before: None, after: text.into_bytes() };
    super::secret::keep_all(session, "init", &loaded, kept, vec![edit])?;
    session.out.data(format!("wrote {name}"));
    if let Some(imported) = imported {
        super::import::report(session, &imported);
    }
    session.out.say("Next: mcpkeel plan");
    Ok(0)
}
