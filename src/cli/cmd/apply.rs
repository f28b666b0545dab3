use std::path::PathBuf;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use crate::clients::catalog;
use crate::plan::{Action, Guard, Options, Plan, SavedPlan};
use crate::reconcile::{self, Applied, Loaded, Manner, Site};
use serde_json::json;

#[derive(Debug, clap::Args)]
#[command(after_help = "Shows the plan and asks on a terminal; without one it needs --yes.\n\
Every file is exchanged atomically with a backup kept; a failure puts all of them back.")]
pub struct Args {
    /// A plan saved by `mcpkeel plan --out FILE`; refused if anything changed since (exit code 5)
    #[arg(value_name = "PLAN", conflicts_with_all = ["client", "adopt"])]
    plan: Option<PathBuf>,
    /// Fetch the manifest's source first
    #[arg(long, conflicts_with = "plan")]
    fetch: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Only files that concern this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Make entries of other people with the name of ours ours
    #[arg(long)]
    adopt: bool,
    /// Allow taking out more than half of a client's entries
    #[arg(long)]
    allow_prune: bool,
    /// Go on with the other files when one fails
    #[arg(long)]
    keep_going: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let saved = args.plan.as_ref().map(|file| read_saved(session, file)).transpose()?;
    let options =
        saved.as_ref().map_or(Options { adopt: args.adopt, ..Options::default() }, |saved| saved.options);
    if let Some(saved) = &saved {
        session.use_manifest(&saved.manifest);
    }
    let only = saved.as_ref().map_or(&args.client, |saved| &saved.only).as_deref();
    let mut loaded = session.load_fresh(args.fetch)?;
    let mut plan = session.plan(&loaded, options, only)?;
    if let Some(saved) = &saved {
        let key = session.machine_key("apply")?;
        saved.still_holds(&plan, &session.ledger()?, &key).map_err(Failure::Stale)?;
    }
    if args.format == Format::Text {
        session.notes(&plan.notes);
        if !session.out.quiet {
            super::plan::say_revision(session, &loaded);
            super::plan::print(session, &plan, "");
        }
    }
    let has_work = plan.has_changes() || plan.changes_books(&session.ledger()?);
    if has_work {
        confirm(session, &plan, args)?;
    }
    if !has_work && session.store().journal_ids(session.system)?.is_empty() {
        let nothing = Applied::default();
        report(session, args, &loaded, &plan, &nothing);
        let code = exit_code(&plan, &nothing);
        reconcile::mark_applied(session.system, &loaded, session.store().dir(), code == 0 && only.is_none())?;
        return Ok(code);
    }
    let key = session.machine_key("apply")?;
    let agreed = SavedPlan::of(&plan, &session.ledger()?, &loaded.path, options, only, &key);
    let guarded = guards(&plan);
    let (store, lock) = session.lock("apply")?;
    let system = session.system;
    let site = Site { system, store: &store, lock: &lock };
    // What was shown may be out of date by now.
    plan = session.plan(&loaded, options, only)?;
    if !args.yes || saved.is_some() {
        agreed.still_holds(&plan, &session.ledger()?, &key).map_err(Failure::Stale)?;
    } else if guards(&plan) != guarded {
        confirm(session, &plan, args)?;
    }
    if plan.steps().any(|step| step.action == Action::Adopt) {
        let adoption = reconcile::adopt(system, &loaded, &plan, false).map_err(Failure::failed)?;
        if !adoption.edits.is_empty() {
            reconcile::write_manifests(&site, "adopt", adoption.edits)?;
        }
        for line in &adoption.lines {
            session.out.say(line);
        }
        loaded = session.load()?;
        plan = session.plan(&loaded, options, only)?;
    }
    // From here on its files are kept, so that no client is left without what it is told to start.
    if !reconcile::mark_applied(system, &loaded, store.dir(), false)? {
        let message = "a newer revision of the manifest's source was fetched meanwhile";
        return Err(Failure::Stale(message.to_owned()));
    }
    let revision = loaded.sourced().map(|revision| revision.id.clone());
    let manner = Manner { command: "apply", revision, keep_going: args.keep_going };
    let applied = reconcile::apply(&site, &plan, &session.ledger()?, &key, options, manner)?;
    let code = exit_code(&plan, &applied);
    // Marked already, if not as a whole.
    reconcile::mark_applied(system, &loaded, store.dir(), code == 0 && only.is_none())?;
    store.prune_backups(system, &lock, loaded.settings().backups.keep as usize)?;
    report(session, args, &loaded, &plan, &applied);
    Ok(code)
}

fn guards(plan: &Plan) -> Vec<Guard> {
    plan.files.iter().flat_map(|file| &file.guards).cloned().collect()
}

fn read_saved(session: &Session<'_>, file: &PathBuf) -> Result<SavedPlan, Failure> {
    let path = session.system.cwd().unwrap_or_default().join(file);
    let bytes = session
        .system
        .read(&path)
        .map_err(|error| Failure::failed(format!("the plan `{}` cannot be read: {error}", file.display())))?;
    SavedPlan::parse(&bytes).map_err(|reason| {
        Failure::Stale(format!("`{}` is not a plan of this version: {reason}", file.display()))
    })
}

/// The questions that stand between a plan and its work.
fn confirm(session: &Session<'_>, plan: &Plan, args: &Args) -> Result<(), Failure> {
    let guards = guards(plan);
    if !guards.is_empty() && !args.allow_prune {
        let names: Vec<String> = guards
            .iter()
            .map(|guard| format!("{} of {} from `{}`", guard.removes, guard.owned, guard.target))
            .collect();
        let message = format!("this takes out more than half of a client's entries ({})", names.join(", "));
        match session.ask(&format!("{message}. Really?")) {
            Some(true) => {}
            Some(false) => {
                return Err(Failure::Refused {
                    message: "not applied".into(),
                    hint: "nothing was changed".into(),
                });
            }
            None => {
                return Err(Failure::Refused {
                    message,
                    hint: "look at `mcpkeel plan`, then add `--allow-prune`".into(),
                });
            }
        }
    }
    if args.yes || args.plan.is_some() || !plan.has_changes() {
        return Ok(());
    }
    session.agree("Apply this plan?", "not applied", "`mcpkeel apply --yes` applies without asking")
}

fn report(session: &mut Session<'_>, args: &Args, loaded: &Loaded, plan: &Plan, applied: &Applied) {
    match args.format {
        Format::Json => {
            let mut report = json!({
                "format_version": 1,
                "id": applied.id,
                "files": applied.files,
                "counts": plan.counts(),
                "refused": plan.has_failed_blocks() || plan.counts().refused > 0,
            });
            super::plan::add_revision(&mut report, loaded);
            session.out.data(report.to_string());
        }
        Format::Text | Format::Markdown => {
            for file in &applied.files {
                let name = reconcile::tilde(session.system, &file.path);
                session.out.data(format!("{} {name}", file.outcome));
                if !file.failed {
                    for client in file.clients.iter().filter_map(|id| catalog::find(id)) {
                        session.out.say(format!(
                            "  {}: {}",
                            client.name(),
                            super::client::reload(&client.row().reload)
                        ));
                    }
                }
            }
            for warning in &applied.warnings {
                session.out.say(format!("note: {warning}"));
            }
            let tail = match (&applied.id, applied.files.is_empty()) {
                (Some(_), false) => "Applied. `mcpkeel undo` takes it back.",
                (Some(_), true) if plan.has_changes() => {
                    "Applied: what the gateway runs; no file had to change."
                }
                _ if plan.has_failed_blocks()
                    || plan.counts().refused > 0
                    || plan.files.iter().any(|file| file.refused.is_some()) =>
                {
                    "Nothing else to do."
                }
                _ => "Nothing to do: every client is in step.",
            };
            session.out.say(tail);
        }
    }
}

/// 1 when a file failed or could not be touched, 6 when something was refused, else 0.
fn exit_code(plan: &Plan, applied: &Applied) -> u8 {
    if applied.files.iter().any(|file| file.failed) || plan.files.iter().any(|file| file.refused.is_some()) {
        1
    } else if plan.has_failed_blocks() || plan.steps().any(|step| step.action.is_refused()) {
        6
    } else {
        0
    }
}
