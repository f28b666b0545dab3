//! `mcpkeel service`: has the platform's service manager keep `mcpkeel watch` running, or `mcpkeel up`.
//!
//! Invariant: what is written is a pure rendering of a [`Service`], which stands in it as a record; a file without that
//! record is somebody else's and is left alone. Programs of the platform run through `System::run`.
//!
//! Start at [`install`]; a service manager is one file: `systemd`, `launchd`, `schtasks`.

mod launchd;
mod manager;
mod schtasks;
mod systemd;
mod wanted;

use std::path::Path;

use serde_json::json;

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::reconcile;
use crate::store::{create_dirs, write_among_others};
use crate::system::{At as _, found};
use manager::{Manager, News, Reach, State, run_all};
use wanted::Service;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "On Linux it is a systemd user unit, on macOS a launchd agent, on Windows a scheduled task. It is\n\
yours alone, needs no administrator, and starts when you log in."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep `mcpkeel watch` running for this manifest, or `mcpkeel up` when it has a `gateway`, from now on and from every
    /// login on
    Install(Install),
    /// Stop it and remove it
    Uninstall(Uninstall),
    /// Show whether it runs, since when, and whether it is what install would write
    Status(Status),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when the service runs, and with 1 when it was written but nothing could start it, as\n\
in a container: the message then says what to do. With --no-start, 0 means that it starts at the\n\
next login. The service gets the PATH of this shell, and the variables that move clients' files;\n\
`install` again takes them anew. Other variables: see `Keep it running` in the README."
)]
struct Install {
    /// Print what would be written, and do nothing
    #[arg(long)]
    print: bool,
    /// Have it start at the next login, but not now
    #[arg(long, conflicts_with = "print")]
    no_start: bool,
    /// Take the place of a service of this name that somebody else wrote
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when there is nothing left, also when there was nothing to begin with.\n\
Clients' files stay as they are; `mcpkeel undo` takes back what was applied."
)]
struct Uninstall {
    /// Also when somebody else wrote it
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Status {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let manager = manager::of(session)?;
    match &args.command {
        Command::Install(args) => install(session, manager.as_ref(), args),
        Command::Uninstall(args) => uninstall(session, manager.as_ref(), args),
        Command::Status(args) => status(session, manager.as_ref(), args.format),
    }
}

fn install(session: &mut Session<'_>, manager: &dyn Manager, args: &Install) -> Result<u8, Failure> {
    // A service for a manifest that cannot be used would only fail out of sight.
    session.load()?;
    let service = Service::of(session)?;
    let text = manager.render(&service).map_err(unsayable)?;
    if args.print {
        session.out.raw(&text);
        return Ok(0);
    }
    let file = manager.file();
    let news = match there(session, manager)? {
        Some(old) if old == text => News::Same,
        Some(old) if Service::recorded(&old).is_some() || args.force => News::Changed,
        Some(_) => return Err(not_ours(session, &file)),
        None if !args.force && manager.is_taken(session.system) => return Err(not_ours(session, &file)),
        None => News::First,
    };
    if news != News::Same {
        for dir in manager.needs() {
            create_dirs(session.system, dir)?;
        }
        write_among_others(session.system, &file, &manager.encode(&text), 0o644)?;
    }
    let name = reconcile::tilde(session.system, &file);
    session.out.say(match news {
        News::Same => format!("already installed: {name}"),
        News::Changed => format!("written anew: {name}"),
        News::First => format!("written: {name}"),
    });
    let reach = manager.reach(session.system);
    run_all(session.system, &manager.to_install(news, reach, !args.no_start)).map_err(|message| {
        Failure::Failed { message, hint: Some(format!("look at `{}`; the file stays", manager.logs())) }
    })?;
    let manifest = reconcile::tilde(session.system, Path::new(&service.manifest));
    match reach {
        Reach::Yes if args.no_start => {
            session.out.data(format!("It watches {manifest} from your next login on."))
        }
        Reach::Yes => session.out.data(format!("It runs and watches {manifest}.")),
        Reach::Later if args.no_start => {
            session.out.data(format!("It watches {manifest} from your next login on."));
        }
        Reach::Later | Reach::Never => return Err(cannot_start(manager, reach)),
    }
    session.out.say(format!("Look at it with `mcpkeel service status` and `{}`.", manager.logs()));
    Ok(0)
}

fn uninstall(session: &mut Session<'_>, manager: &dyn Manager, args: &Uninstall) -> Result<u8, Failure> {
    let file = manager.file();
    let is_ours = match there(session, manager)? {
        Some(text) => Service::recorded(&text).is_some(),
        None if manager.is_taken(session.system) => false,
        None => {
            session.out.data("The service is not installed.");
            return Ok(0);
        }
    };
    if !is_ours && !args.force {
        return Err(not_ours(session, &file));
    }
    let reach = manager.reach(session.system);
    let failed =
        |message: String| Failure::Failed { message, hint: Some(format!("look at `{}`", manager.logs())) };
    run_all(session.system, &manager.to_stop(reach)).map_err(failed)?;
    for path in std::iter::once(&file).chain(&manager.leaves()) {
        found(session.system.remove_file(path)).at(path, "remove")?;
    }
    run_all(session.system, &manager.to_forget(reach)).map_err(failed)?;
    session.out.say(format!("removed: {}", reconcile::tilde(session.system, &file)));
    match reach {
        Reach::Yes => session.out.data("The service is stopped and removed."),
        Reach::Later | Reach::Never => session.out.data(
            "The service is removed. Its manager cannot be reached from here: if it runs in another session of yours, it ends with that session.",
        ),
    }
    Ok(0)
}

fn status(session: &mut Session<'_>, manager: &dyn Manager, format: Format) -> Result<u8, Failure> {
    let text = there(session, manager)?;
    let record = text.as_deref().and_then(Service::recorded);
    let state = manager.look(session.system);
    let stale = match (&text, &record) {
        (Some(text), Some(record)) => Some(is_stale(session, manager, text, record)?),
        _ => None,
    };
    let installed = text.is_some() || manager.is_taken(session.system);
    let file = manager.file();
    let name = reconcile::tilde(session.system, &file);
    let manifest = record.as_ref().map(|record| record.manifest.as_str());
    if format == Format::Json {
        let document = json!({
            "format_version": 1, "manager": manager.name(), "installed": installed,
            "ours": installed.then_some(record.is_some()), "enabled": state.enabled, "running": state.running,
            "state": state.word, "pid": state.pid, "since": state.since, "unit": file, "manifest": manifest,
            "stale": stale, "logs": manager.logs(),
        });
        session.out.data(document.to_string());
        return Ok(0);
    }
    let mut rows = vec![vec!["service".to_owned(), sentence(installed, &state)]];
    let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    if installed {
        row("unit", name);
        if record.is_none() {
            row("written by", "somebody else; `mcpkeel service install --force` takes its place".to_owned());
        }
        if let Some(manifest) = manifest {
            row("manifest", reconcile::tilde(session.system, Path::new(manifest)));
        }
        if stale == Some(true) {
            row("stale", "it is not what install would write now; `mcpkeel service install` does".to_owned());
        }
        row("log", manager.logs());
    } else {
        row("next", "mcpkeel service install".to_owned());
    }
    let lines = match format {
        Format::Markdown => table::markdown(&["", ""], &rows),
        _ => table::table(&["", ""], &rows),
    };
    lines.into_iter().for_each(|line| session.out.data(line));
    Ok(0)
}

/// How it stands, for a person.
fn sentence(installed: bool, state: &State) -> String {
    if !installed {
        return "not installed".to_owned();
    }
    let runs = match state.running {
        Some(true) => {
            let pid = state.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            let since = state.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
            format!("running{since}{pid}")
        }
        Some(false) if state.word.is_empty() => "not running".to_owned(),
        Some(false) => format!("not running: {}", state.word),
        None => "nothing here can tell whether it runs".to_owned(),
    };
    match state.enabled {
        Some(true) => format!("{runs}; starts when you log in"),
        Some(false) => format!("{runs}; does not start when you log in"),
        None => runs,
    }
}

/// Whether install would write another text now: with this program, for the manifest and with the variables of before.
fn is_stale(
    session: &Session<'_>,
    manager: &dyn Manager,
    text: &str,
    record: &Service,
) -> Result<bool, Failure> {
    let mut service = Service { program: wanted::own_path(session)?, ..record.clone() };
    if let Some(named) = session.named_manifest() {
        service.manifest = wanted::said(&named)?;
    }
    // A program at a path that cannot be written has moved there since.
    Ok(manager.render(&service).map_or(true, |wanted| wanted != text))
}

/// What is installed, as text; bytes that are no text are nobody's work of ours.
fn there(session: &Session<'_>, manager: &dyn Manager) -> Result<Option<String>, Failure> {
    let file = manager.file();
    let bytes = found(session.system.read(&file)).at(&file, "read")?;
    Ok(bytes.map(|bytes| manager.decode(&bytes)))
}

fn not_ours(session: &Session<'_>, file: &Path) -> Failure {
    Failure::Refused {
        message: format!(
            "{} was not written by `mcpkeel service install`",
            reconcile::tilde(session.system, file)
        ),
        hint: "`--force` takes it all the same; nothing was changed".to_owned(),
    }
}

fn unsayable(why: String) -> Failure {
    Failure::Failed { message: why, hint: Some("move it to a path without such a character".to_owned()) }
}

fn cannot_start(manager: &dyn Manager, reach: Reach) -> Failure {
    let (message, hint) = match reach {
        Reach::Never => (
            format!("written, but there is no {} here that would start it", manager.name()),
            "have whatever starts programs at your login run `mcpkeel watch`".to_owned(),
        ),
        _ => (
            format!(
                "written, but {} cannot be reached from this session, so the service does not run yet",
                manager.name()
            ),
            format!(
                "it starts with your next login; `{}` starts it from a session of yours",
                manager.start_by_hand()
            ),
        ),
    };
    Failure::Failed { message, hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_it_stands_in_a_sentence() {
        let state = State {
            enabled: Some(true),
            running: Some(true),
            pid: Some(7),
            since: Some("2026-11-26T14:53:56Z".to_owned()),
            word: "active (running)".to_owned(),
        };
        let said = "running since 2026-11-26T14:53:56Z, pid 7; starts when you log in";
        assert_eq!(sentence(true, &state), said);
        let failed = State {
            enabled: Some(false),
            running: Some(false),
            word: "failed".to_owned(),
            ..State::default()
        };
        assert_eq!(sentence(true, &failed), "not running: failed; does not start when you log in");
        assert_eq!(sentence(true, &State::default()), "nothing here can tell whether it runs");
        assert_eq!(sentence(false, &State::default()), "not installed");
    }
}
