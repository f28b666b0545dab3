use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::reconcile::{self, Loaded, Site};
use crate::secrets::{Source, Vault};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The value leaves its store first: the keyring's entry, the age file or the plain file is\n\
removed. Of a secret that a variable or a command holds only the name in the manifest goes, and\n\
so does a value that another secret shares. `mcpkeel undo` brings back the manifest and an age\n\
file, nothing else."
)]
pub struct Args {
    /// The secret
    #[arg(value_name = "NAME")]
    name: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Even while a server uses it; the manifest is then invalid until that is mended
    #[arg(long)]
    force: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let unit = super::unit_of(&loaded, &args.name)?;
    let users = users(session, &loaded, &args.name);
    if !users.is_empty() && !args.force {
        return Err(Failure::Refused {
            message: format!("`{}` is used by {}", args.name, users.join(", ")),
            hint: "take the references out first, or add `--force`".to_owned(),
        });
    }
    let vault = Vault::new(session.system, &loaded.units);
    let source = vault.kept(&args.name).map_err(|problem| super::failed(&problem))?;
    let source = Some(source).filter(|source| has_value(source) && !is_shared(&loaded, &vault, args, source));
    confirm(session, args, source.as_ref())?;
    let edit = reconcile::forget_secret(unit, &args.name).map_err(|problem| super::failed(&problem))?;
    let (store, lock) = session.lock("secret remove")?;
    let site = Site { system: session.system, store: &store, lock: &lock };
    let was_there = reconcile::drop_secret(&site, source.as_ref(), edit)?;
    session.out.data(match &source {
        Some(source) if was_there => {
            format!("removed `{}` and {}", args.name, super::spoken(session.system, source))
        }
        Some(source) => {
            format!("removed `{}`; {} was not there", args.name, super::spoken(session.system, source))
        }
        None => format!("removed `{}` from the manifest", args.name),
    });
    if !users.is_empty() {
        session.out.say(format!("The manifest still refers to it: {}.", users.join(", ")));
    }
    Ok(0)
}

/// Who uses it, with the places.
fn users(session: &Session<'_>, loaded: &Loaded, name: &str) -> Vec<String> {
    let used = reconcile::secret_uses(session.system, &loaded.units).into_iter();
    used.filter(|found| found.secret == name)
        .map(|found| format!("`{}` ({}:{})", found.server, found.place.file, found.place.line))
        .collect()
}

/// Whether there is anything of ours to remove.
fn has_value(source: &Source) -> bool {
    !matches!(source, Source::Env(_) | Source::Command { .. })
}

fn is_shared(loaded: &Loaded, vault: &Vault<'_>, args: &Args, source: &Source) -> bool {
    super::names(loaded)
        .filter(|other| *other != args.name)
        .any(|other| vault.kept(other).is_ok_and(|other| other == *source))
}

fn confirm(session: &Session<'_>, args: &Args, source: Option<&Source>) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    let what = match source {
        Some(source) => format!("`{}` and {}", args.name, super::spoken(session.system, source)),
        None => format!("`{}` from the manifest", args.name),
    };
    let unless = format!("`mcpkeel secret remove {} --yes` goes ahead", args.name);
    session.agree(&format!("Remove {what}?"), "not removed", &unless)
}
