use std::path::PathBuf;

use serde_json::json;

use super::super::args::Format;
use super::super::comment;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::show;
use crate::manifest::model::Approve;
use crate::plan::{Options, SavedPlan};
use crate::reconcile::{self, Loaded};
use crate::source::Revision;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The two columns in front: since we last wrote (A added, D deleted, M changed by somebody else),\n\
and what apply will do (A add, D delete, M change, ! refused).\n\nNothing is written, except to the file of --out (and, once, a key to the state directory that seals its fingerprints)."
)]
pub struct Args {
    /// Only files that concern this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Fetch the manifest's source first
    #[arg(long)]
    fetch: bool,
    /// Save the plan, to be applied later with `mcpkeel apply FILE`
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 when there is something to do
    #[arg(long)]
    exit_code: bool,
    /// Treat entries of other people with the name of ours as ours
    #[arg(long)]
    adopt: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load_fresh(args.fetch)?;
    let options = Options { adopt: args.adopt, ..Options::default() };
    let plan = session.plan(&loaded, options, args.client.as_deref())?;
    let next = match &args.out {
        Some(file) => format!("mcpkeel apply {}", file.display()),
        None => "mcpkeel apply".to_owned(),
    };
    match args.format {
        Format::Text => {
            session.notes(&plan.notes);
            say_revision(session, &loaded);
            print(session, &plan, &next);
        }
        Format::Markdown => {
            session.out.data(comment::marker(&reconcile::shown(session.system, &loaded.path)));
            session.out.data(comment::plan(session.system, &plan, &next));
        }
        Format::Json => {
            let key = session.store().known_machine_key(session.system)?;
            let mut plan = show::json(&plan, key.as_ref());
            add_revision(&mut plan, &loaded);
            session.out.data(plan.to_string());
        }
    }
    if let Some(file) = &args.out {
        let path = session.system.cwd().unwrap_or_default().join(file);
        let key = session.machine_key("plan")?;
        let only = args.client.as_deref();
        let saved = SavedPlan::of(&plan, &session.ledger()?, &loaded.path, options, only, &key);
        let text = crate::store::json_text(&path, SavedPlan::FORMAT, &saved)?;
        crate::store::write_file(session.system, &path, text.as_bytes())?;
    }
    let pending = !plan.is_in_sync();
    Ok(if args.exit_code && pending { 2 } else { 0 })
}

/// Which revision the manifest is, where that matters: it has a source, or revisions are approved.
pub fn say_revision(session: &mut Session<'_>, loaded: &Loaded) {
    if loaded.sourced().is_some() || loaded.approve() == Approve::Manual {
        session.out.data(format!("revision {}", loaded.revision()));
    }
}

/// The same for a program.
pub fn add_revision(data: &mut serde_json::Value, loaded: &Loaded) {
    let Revision { id, branch, signer } = loaded.revision();
    data["revision"] = json!({"id": id, "branch": branch, "signer": signer});
}

/// Table, obstacles, diffs and the closing line.
pub fn print(session: &mut Session<'_>, plan: &crate::plan::Plan, next: &str) {
    for line in show::summary(&session.out, plan) {
        session.out.data(line);
    }
    for file in plan.files.iter().filter(|file| file.writes() && !file.only_closes()) {
        session.out.data("");
        for line in show::diff(&session.out, file) {
            session.out.data(line);
        }
    }
    let starts = show::starts(plan).into_iter();
    let mut obstacles: Vec<String> = starts.map(|(who, what)| format!("{who}: {what}")).collect();
    obstacles.extend(show::obstacles(session.system, plan));
    if !obstacles.is_empty() {
        session.out.data("");
        for line in obstacles {
            session.out.data(line);
        }
    }
    if plan.steps().next().is_some() {
        session.out.data("");
    }
    session.out.data(show::closing(plan, next));
}
