//! Commands about secrets: one file each.
//!
//! Invariant: a value is read from a terminal or from standard input, and never printed; nor is its
//! length, but to the person who just gave it.

mod list;
mod rekey;
mod remove;
mod scan;
mod set;
mod verify;
mod where_used;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::base::Diagnostic;

use crate::desired::Unit;
use crate::reconcile::{self, Kept, Loaded, ManifestEdit, Site, tilde};
use crate::secrets::{Source, Vault};
use crate::system::System;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Store a value, asked for without echo or read from standard input
    Set(set::Args),
    /// List the manifest's secrets: where each is kept, and how many servers use it
    List(list::Args),
    /// Look every secret up and say which cannot be had
    Verify(verify::Args),
    /// Take a secret out of its store and out of the manifest
    Remove(remove::Args),
    /// Encrypt age files anew, for the recipients that the manifest has now
    Rekey(rekey::Args),
    /// Find literal secrets in the manifest, in clients' files and in backups, and move them into a store
    Scan(scan::Args),
    /// Show which servers use a secret, where, and which clients get those
    Where(where_used::Args),
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::Set(args) => set::run(session, args),
        Command::List(args) => list::run(session, args),
        Command::Verify(args) => verify::run(session, args),
        Command::Remove(args) => remove::run(session, args),
        Command::Rekey(args) => rekey::run(session, args),
        Command::Scan(args) => scan::run(session, args),
        Command::Where(args) => where_used::run(session, args),
    }
}

/// The manifest that names this secret.
fn unit_of<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l Unit, Failure> {
    let unit = loaded.units.iter().find(|unit| unit.manifest.secrets.contains_key(name));
    unit.ok_or_else(|| unknown(loaded, name))
}

fn unknown(loaded: &Loaded, name: &str) -> Failure {
    let hint = match closest(loaded, name) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("`mcpkeel secret list` shows them; `mcpkeel secret set {name} --keyring` adds it"),
    };
    Failure::Usage { message: format!("the manifest has no secret `{name}`"), hint }
}

fn closest<'l>(loaded: &'l Loaded, name: &str) -> Option<&'l str> {
    crate::base::closest(name, names(loaded))
}

/// Every secret, in the order of the manifests.
fn names(loaded: &Loaded) -> impl Iterator<Item = &str> {
    loaded.units.iter().flat_map(|unit| unit.manifest.secrets.keys()).map(String::as_str)
}

/// Those that were asked for, else all.
fn chosen<'l>(loaded: &'l Loaded, asked: &'l [String]) -> Result<Vec<&'l str>, Failure> {
    if asked.is_empty() {
        return Ok(names(loaded).collect());
    }
    for name in asked {
        unit_of(loaded, name)?;
    }
    Ok(asked.iter().map(String::as_str).collect())
}

/// Store and place of a secret, as a person reads them.
fn kept(system: &dyn System, vault: &Vault<'_>, name: &str) -> (&'static str, String) {
    match vault.kept(name) {
        Ok(source) => (source.store(), place(system, &source)),
        Err(problem) => ("", problem.message),
    }
}

fn place(system: &dyn System, source: &Source) -> String {
    match source {
        Source::Age(path) | Source::File(path) => tilde(system, path),
        other => other.place(),
    }
}

/// "the age file ~/secrets/x.age".
fn spoken(system: &dyn System, source: &Source) -> String {
    match source {
        Source::Age(path) => format!("the age file {}", tilde(system, path)),
        Source::File(path) => format!("the file {}", tilde(system, path)),
        other => other.to_string(),
    }
}

/// A store's answer as a failure of the command.
fn failed(problem: &Diagnostic) -> Failure {
    Failure::Failed { message: problem.message.clone(), hint: problem.hint.clone() }
}

/// Stores values and writes the manifests that name them, as one.
///
/// # Errors
/// When a store holds something else under one of the names, or does not take a value; then every
/// manifest is as it was.
pub(super) fn keep_all(
    session: &mut Session<'_>,
    command: &str,
    loaded: &Loaded,
    kept: &[Kept],
    edits: Vec<ManifestEdit>,
) -> Result<(), Failure> {
    let system = session.system;
    system.keep_memory_private();
    let mut values = Vec::new();
    for kept in kept {
        if let Some(source) = check_room(session, loaded, kept)? {
            values.push((source, &kept.value));
        }
    }
    let values: Vec<_> = values.iter().map(|(source, value)| (source, *value)).collect();
    let (store, lock) = session.lock(command)?;
    let site = Site { system, store: &store, lock: &lock };
    let recipients = loaded.settings().age.unwrap_or_default().recipients;
    Ok(reconcile::keep_secrets(&site, command, &values, &recipients, edits)?)
}

/// Where a value goes, if it goes anywhere and nothing is in its way there.
fn check_room(session: &Session<'_>, loaded: &Loaded, kept: &Kept) -> Result<Option<Source>, Failure> {
    if kept.source.env.is_some() {
        // Its value is the user's to set.
        return Ok(None);
    }
    let system = session.system;
    let recipients = loaded.settings().age.unwrap_or_default().recipients;
    let source = Source::said(system, &loaded.units, 0, &kept.source).map_err(|problem| failed(&problem))?;
    reconcile::can_keep(system, &source, &recipients).map_err(|problem| failed(&problem))?;
    let vault = Vault::new(system, &loaded.units);
    if reconcile::keeps_another(system, vault.keys(), &source, &kept.value)? {
        return Err(Failure::Refused {
            message: format!("{} holds another value already", spoken(system, &source)),
            hint: format!(
                "take it away if nothing needs it, or name it in the manifest under `secrets`, so that the new \
                 one is not called `{}`; nothing was changed",
                kept.name
            ),
        });
    }
    Ok(Some(source))
}

fn print_table(session: &mut Session<'_>, format: Format, header: &[&str], rows: &[Vec<String>]) {
    table::of(format, header, rows).into_iter().for_each(|line| session.out.data(line));
}
