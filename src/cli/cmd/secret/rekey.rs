use std::path::{Path, PathBuf};

use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::base::Fingerprint;
use crate::reconcile::{self, Loaded, Site, tilde};
use crate::secrets::age::{self, Recipients, Sealed};
use crate::secrets::{Source, Vault};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "An age file does not say for which X25519 keys it is, only for how many, so every file is\n\
encrypted anew, whether the recipients changed or not. All files are opened before the first is\n\
written, and all are replaced or none. Whoever could read a file before still has what earlier\n\
commits hold: when somebody leaves, replace the secrets as well."
)]
pub struct Args {
    /// Only these; all that are kept in age files when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Open the files and say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Even if you could not read the files afterwards
    #[arg(long)]
    force: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    session.system.keep_memory_private();
    let loaded = session.load()?;
    let vault = Vault::new(session.system, &loaded.units);
    let files = files(&loaded, &vault, &args.names)?;
    if files.is_empty() {
        session.out.say("No secret is kept in an age file.");
        return Ok(0);
    }
    let keys = loaded.settings().age.unwrap_or_default().recipients;
    let recipients = Recipients::parse(&keys).map_err(|problem| super::failed(&problem))?;
    let mut lines = Vec::new();
    let mut replaced = Vec::new();
    for path in files {
        let name = tilde(session.system, &path);
        let anew = anew(session, &vault, &recipients, &path, args.force)?;
        let verb = if args.dry_run { "would encrypt" } else { "encrypted" };
        lines.push(format!("{verb} {name} anew: for {}, before for {}", anew.after, anew.before));
        replaced.push((path, anew.print, anew.bytes));
    }
    if !args.dry_run {
        let (store, lock) = session.lock("secret rekey")?;
        let site = Site { system: session.system, store: &store, lock: &lock };
        reconcile::replace_age_files(&site, replaced)?;
    }
    lines.iter().for_each(|line| session.out.data(line));
    Ok(0)
}

/// The age files of these secrets, each once.
fn files(loaded: &Loaded, vault: &Vault<'_>, asked: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for name in super::chosen(loaded, asked)? {
        match vault.kept(name).map_err(|problem| super::failed(&problem))? {
            Source::Age(path) if !files.contains(&path) => files.push(path),
            Source::Age(_) => {}
            other if !asked.is_empty() => {
                return Err(Failure::Usage {
                    message: format!("`{name}` is in no age file but in {other}"),
                    hint: "name secrets that are kept with `age:`, or none for all of those".to_owned(),
                });
            }
            _ => {}
        }
    }
    Ok(files)
}

struct Anew {
    print: Fingerprint,
    bytes: Vec<u8>,
    before: String,
    after: String,
}

fn anew(
    session: &Session<'_>,
    vault: &Vault<'_>,
    recipients: &Recipients,
    path: &Path,
    force: bool,
) -> Result<Anew, Failure> {
    let failed = |problem: Box<crate::base::Diagnostic>| super::failed(&problem);
    let what = format!("the age file {}", tilde(session.system, path));
    let (sealed, print) = age::load(session.system, path).map_err(failed)?;
    let plain = vault.keys().open(&sealed, &what).map_err(failed)?;
    let bytes = age::seal(recipients, &plain).map_err(failed)?;
    let fresh = Sealed::parse(&bytes, &what).map_err(failed)?;
    if !force && vault.keys().open(&fresh, &what).is_err() {
        return Err(Failure::Refused {
            message: format!("you could not read {what} afterwards: none of the recipients is you"),
            hint: "add your public key to `settings.age.recipients` (`age-keygen -y FILE` prints it), or add `--force`"
                .to_owned(),
        });
    }
    Ok(Anew { print, bytes, before: sealed.readers(), after: fresh.readers() })
}
