use super::super::failure::Failure;
use super::super::session::Session;
use crate::reconcile::{self, Imported, ManifestEdit};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Changes no client's file. A server that several clients have under one name is written once;\n\
where they differ the first is taken and the others are listed."
)]
pub struct Args {
    /// Only from this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Say what would be added, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let path = loaded.path.clone();
    let name = reconcile::shown(session.system, &path);
    let Some(main) = loaded.units.first() else { return Err(Failure::Invalid(loaded.diagnostics)) };
    let imported = reconcile::import(
        session.system,
        &name,
        main.file.text.clone(),
        &loaded.units,
        args.client.as_deref(),
    )?;
    let changes = imported.text != main.file.text;
    report(session, &imported);
    if !changes {
        session.out.say("Nothing new to import.");
    } else if args.dry_run {
        session.out.raw(&imported.text);
    } else {
        let before = Some(main.file.text.clone().into_bytes());
        let edit = ManifestEdit { path: path.clone(), before, after: imported.text.into_bytes() };
        session.write_manifests("import", vec![edit])?;
        session.out.say(format!("{name} was extended. Next: mcpkeel plan"));
    }
    Ok(0)
}

/// What was found, what was turned into references, and what could not be brought together.
pub fn report(session: &mut Session<'_>, imported: &Imported) {
    for line in &imported.found {
        session.out.data(line);
    }
    for line in &imported.secrets {
        session.out.data(format!("secret: {line}"));
    }
    for line in &imported.conflicts {
        session.out.data(format!("conflict: {line}"));
    }
    for line in &imported.skipped {
        session.out.data(format!("skipped: {line}"));
    }
}
