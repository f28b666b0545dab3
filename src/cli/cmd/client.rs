use std::collections::BTreeMap;

use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::clients::{catalog, spec::ReloadMode};
use crate::plan::{Action, Options, Plan};
use crate::reconcile::{self, Care, Which};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List clients: where their files are, how they are written, whether they are in step
    List(List),
    /// Show everything that is known about one client
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only clients that are installed here or that the manifest names
    #[arg(long)]
    detected: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The client's id
    #[arg(value_name = "CLIENT")]
    id: String,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::List(args) => list(session, args),
        Command::Show(args) => show(session, &args.id),
    }
}

fn list(session: &mut Session<'_>, args: &List) -> Result<u8, Failure> {
    let states = states(session)?;
    let header = ["ID", "NAME", "DETECTED", "STATE", "FORMAT", "FILE", "AFTER A CHANGE"];
    let mut rows = Vec::new();
    let mut records = Vec::new();
    for (client, place) in reconcile::places(session.system) {
        let detected = reconcile::is_installed(session.system, client);
        let state = states.get(client.id());
        if args.detected && !detected && state.is_none() {
            continue;
        }
        let file = place.as_ref().map(|place| place.file.clone());
        let format = place.as_ref().map_or(client.row().format, |place| place.format);
        let hint = reload(&client.row().reload);
        rows.push(vec![
            client.id().to_owned(),
            client.name().to_owned(),
            if detected { "yes" } else { "" }.to_owned(),
            state.cloned().unwrap_or_default(),
            format!("{format:?}").to_lowercase(),
            file.as_ref()
                .map_or("(not on this system)".to_owned(), |file| reconcile::tilde(session.system, file)),
            hint.clone(),
        ]);
        records.push(json!({
            "id": client.id(), "name": client.name(), "detected": detected, "state": state, "format": format,
            "path": file, "status": client.row().status, "confidence": client.row().confidence,
            "reload": client.row().reload.mode, "reload_hint": hint,
        }));
    }
    match args.format {
        Format::Json => session.out.data(json!({"format_version": 1, "clients": records}).to_string()),
        Format::Markdown => {
            table::markdown(&header, &rows).into_iter().for_each(|line| session.out.data(line))
        }
        Format::Text => table::table(&header, &rows).into_iter().for_each(|line| session.out.data(line)),
    }
    Ok(0)
}

/// How each client of the manifest stands; empty without a manifest.
fn states(session: &mut Session<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let path = session.manifest_path();
    if session.system.meta(&path).is_err() {
        return Ok(BTreeMap::new());
    }
    let loaded = session.read(Which::Newest, Care::Quick);
    if !loaded.is_valid() {
        return Err(Failure::Invalid(loaded.diagnostics));
    }
    let plan: Plan = session.plan(&loaded, Options::default(), None)?;
    let mut states = BTreeMap::new();
    for file in &plan.files {
        for wish in &file.wishes.wishes {
            let pending = file.refused.is_some()
                || file.steps.iter().any(|step| {
                    step.client == wish.client
                        && (step.action.is_change()
                            || step.action.is_refused()
                            || step.action == Action::Report)
                });
            let state = if file.refused.is_some() {
                "unreadable"
            } else if pending {
                "pending"
            } else {
                "in sync"
            };
            states.insert(wish.client.clone(), state.to_owned());
        }
    }
    Ok(states)
}

/// What a user does after a change.
pub fn reload(reload: &crate::clients::spec::Reload) -> String {
    if !reload.hint.is_empty() {
        return reload.hint.clone();
    }
    match reload.mode {
        ReloadMode::Hot => "seen at once",
        ReloadMode::Partial => "seen; starting a server may need a click",
        ReloadMode::Manual => "press its refresh button",
        ReloadMode::Restart => "restart it",
        ReloadMode::NewSession => "seen by the next session",
        ReloadMode::Unknown => "restart it to be sure",
    }
    .to_owned()
}

fn show(session: &mut Session<'_>, id: &str) -> Result<u8, Failure> {
    let Some(text) = catalog::source(id) else {
        let hint = match crate::base::closest(id, catalog::ids().iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`mcpkeel client list` shows the ids".to_owned(),
        };
        return Err(Failure::Usage { message: format!("no client is called `{id}`"), hint });
    };
    session.out.raw(text);
    Ok(0)
}
