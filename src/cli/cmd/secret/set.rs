use std::io::IsTerminal as _;

use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::base::Secret;
use crate::manifest::model::SecretSource;
use crate::reconcile::{self, Loaded, ManifestEdit, Site};
use crate::secrets::{Source, text_of};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The value is asked for without echo, or read from standard input when that is no terminal; one\n\
line end behind it is dropped. It is never an argument, since arguments show in lists of\n\
processes.\n\
\n\
It goes where the manifest says. A name that the manifest does not have yet needs --keyring,\n\
--age or --file, and is added to the manifest. An age file is encrypted for everybody in\n\
settings.age.recipients. `mcpkeel undo` takes back what changed in the manifest and in age\n\
files, never what is in the keyring or in a plain file."
)]
pub struct Args {
    /// The secret, as servers name it: ${secret:NAME}
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    store: Store,
}

/// Where a new secret is kept.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Store {
    /// Keep it in the keyring, under its own name or this one
    #[arg(long, value_name = "ENTRY", num_args = 0..=1)]
    keyring: Option<Option<String>>,
    /// Keep it in an age file, relative to the manifest [default: secrets/NAME.age]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    age: Option<Option<String>>,
    /// Keep it in a file that only you can read, relative to the manifest
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
}

impl Store {
    /// The manifest's word for the store, and what stands behind it.
    fn chosen(&self, name: &str) -> Option<(&'static str, String)> {
        if let Some(entry) = &self.keyring {
            return Some(("keyring", entry.clone().unwrap_or_else(|| name.to_owned())));
        }
        if let Some(file) = &self.age {
            return Some(("age", file.clone().unwrap_or_else(|| format!("secrets/{name}.age"))));
        }
        self.file.clone().map(|file| ("file", file))
    }
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    session.system.keep_memory_private();
    let loaded = session.load()?;
    let (source, edit) = goal(session, &loaded, args)?;
    let recipients = loaded.settings().age.unwrap_or_default().recipients;
    reconcile::can_keep(session.system, &source, &recipients).map_err(|problem| match problem.code {
        "not-ours" => Failure::Usage {
            message: format!("`{}` cannot be set here: {}", args.name, problem.message),
            hint: problem.hint.unwrap_or_default(),
        },
        _ => super::failed(&problem),
    })?;
    let value = value(session, &args.name)?;
    let (store, lock) = session.lock("secret set")?;
    let site = Site { system: session.system, store: &store, lock: &lock };
    let is_new = edit.is_some();
    reconcile::keep_secret(&site, &source, &value, &recipients, edit)?;
    let place = super::spoken(session.system, &source);
    session.out.data(format!("`{}` is now kept in {place}", args.name));
    if is_new {
        session
            .out
            .say(format!("It is in the manifest; write ${{secret:{}}} where it is needed.", args.name));
    }
    Ok(0)
}

/// Where the value goes, and what the manifest has to say so.
fn goal(
    session: &Session<'_>,
    loaded: &Loaded,
    args: &Args,
) -> Result<(Source, Option<ManifestEdit>), Failure> {
    let (name, wanted) = (&args.name, args.store.chosen(&args.name));
    let vault = crate::secrets::Vault::new(session.system, &loaded.units);
    if vault.source(name).is_some() {
        let source = vault.kept(name).map_err(|problem| super::failed(&problem))?;
        if wanted.is_some() {
            return Err(Failure::Usage {
                message: format!(
                    "the manifest keeps `{name}` in {} already",
                    super::spoken(session.system, &source)
                ),
                hint: format!(
                    "leave out the option; to keep it elsewhere, `mcpkeel secret remove {name} --force` first"
                ),
            });
        }
        return Ok((source, None));
    }
    let Some((store, place)) = wanted else {
        let guess = match super::closest(loaded, name) {
            Some(meant) => format!("did you mean `{meant}`? Else say"),
            None => "say".to_owned(),
        };
        return Err(Failure::Usage {
            message: format!("the manifest has no secret `{name}` yet"),
            hint: format!("{guess} where it shall be kept: `--keyring`, `--age` or `--file PATH`"),
        });
    };
    let Some(main) = loaded.units.first() else { return Err(Failure::Invalid(Vec::new())) };
    let edit = reconcile::declare_secret(main, name, store, &place).map_err(|problem| Failure::Usage {
        message: problem.message,
        hint: problem.hint.unwrap_or_else(|| "take another name or place".to_owned()),
    })?;
    let said = SecretSource {
        keyring: (store == "keyring").then(|| place.clone()),
        age: (store == "age").then(|| place.clone()),
        file: (store == "file").then(|| place.clone()),
        env: None,
        command: None,
    };
    let source = Source::said(session.system, &loaded.units, 0, &said);
    Ok((source.map_err(|problem| super::failed(&problem))?, Some(edit)))
}

fn value(session: &mut Session<'_>, name: &str) -> Result<Secret<String>, Failure> {
    let unread = |error: std::io::Error| Failure::failed(format!("the value cannot be read: {error}"));
    let value = if std::io::stdin().is_terminal() {
        let answer =
            session.system.ask_secret(&format!("Value of `{name}` (not shown): ")).map_err(unread)?;
        answer.ok_or_else(|| Failure::Failed {
            message: "there is no terminal to ask on".to_owned(),
            hint: Some(format!("pipe it in: `… | mcpkeel secret set {name}`")),
        })?
    } else {
        let input = session.system.read_input().map_err(unread)?;
        text_of(&input, "standard input").map_err(|problem| super::failed(&problem))?
    };
    if value.expose().is_empty() {
        return Err(Failure::Failed {
            message: "the value is empty; nothing was stored".to_owned(),
            hint: Some(format!("`mcpkeel secret remove {name}` takes a secret out")),
        });
    }
    let length = value.expose().chars().count();
    session.out.say(match length {
        1 => "Took 1 character.".to_owned(),
        more => format!("Took {more} characters."),
    });
    Ok(value)
}
