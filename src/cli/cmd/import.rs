use super::super::failure::Failure;
use super::super::session::Session;
use crate::reconcile::{self, Imported, ManifestEdit, Stash};

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
    /// Where literal secrets go that the clients' files hold
    #[arg(long, value_enum, value_name = "STORE", default_value_t)]
    secrets: Secrets,
}

/// Where secrets go that a client's file holds.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum Secrets {
    /// Nowhere: you set an environment variable for each
    #[default]
    Env,
    /// The operating system's keyring
    Keyring,
    /// An age file each, beside the manifest
    Age,
    /// A file each in ~/.config/mcpkeel/secrets, which only you can read
    File,
}

impl From<Secrets> for Stash {
    fn from(secrets: Secrets) -> Self {
        match secrets {
            Secrets::Env => Self::Env,
            Secrets::Keyring => Self::Keyring,
            Secrets::Age => Self::Age,
            Secrets::File => Self::File,
        }
    }
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
        args.secrets.into(),
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
        super::secret::keep_all(session, "import", &loaded, &imported.kept, vec![edit])?;
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
