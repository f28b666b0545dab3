use std::io;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::base::Diagnostic;
use crate::bridge::{self, Bridge, Upstream};
use crate::clients::Filter;
use crate::desired::{self, Chosen, Machine, Unit};
use crate::reconcile::{Care, Loaded, Which};
use crate::secrets::Vault;
use crate::system::Program;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "References to secrets and variables are looked up now. A server that is a program takes this\n\
process's place, so that nothing of mcpkeel remains. A remote server is spoken to over HTTP, and\n\
the client over standard input and output."
)]
pub struct Args {
    /// The server, as the manifest names it
    #[arg(value_name = "SERVER")]
    name: String,
    /// As this client block gets it: tools that its filter hides are neither listed nor callable
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Start nothing unless the manifest still says what was applied
    #[arg(long, value_name = "DIGEST")]
    pin: Option<String>,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = applied(session, args)?;
    let units = &loaded.units;
    let started = crate::secrets::with_machine(session.system, units, |machine| {
        let chosen = agreed(args, units, machine)?;
        let filters = args.client.is_some();
        let vault = Vault::new(session.system, units);
        let upstream =
            bridge::upstream(&chosen, units, machine, &vault).map_err(|problem| failed(*problem))?;
        let tools = match filters {
            true => Filter { allow: chosen.tools.allow.clone(), deny: chosen.tools.deny.clone() },
            false => Filter::default(),
        };
        Ok::<_, Failure>(Bridge { name: args.name.clone(), upstream, tools })
    })?;
    match started {
        Bridge { upstream: Upstream::Stdio(program), tools, .. } if tools.is_empty() => {
            let ended = session.system.become_program(&program);
            let code = ended.map_err(|error| cannot_start(args, &program, &error))?;
            Ok(u8::try_from(code).unwrap_or(1))
        }
        bridge => bridge::run(bridge)
            .map_err(|error| Failure::failed(format!("the connection to `{}` broke: {error}", args.name))),
    }
}

/// The manifest that was applied: of a source the first revision whose files are kept and that has the server as
/// it was agreed to, so that a newer revision breaks no client that waits for it to be applied.
fn applied(session: &Session<'_>, args: &Args) -> Result<Loaded, Failure> {
    let loaded = session.read(Which::Applied, Care::Quick);
    let others = loaded.source.as_ref().map(|source| source.others.clone()).unwrap_or_default();
    let holds = |loaded: &Loaded| {
        let agrees = |machine: &Machine<'_>| agreed(args, &loaded.units, machine).is_ok();
        loaded.is_valid() && crate::secrets::with_machine(session.system, &loaded.units, agrees)
    };
    if !others.is_empty() && args.pin.is_some() && !holds(&loaded) {
        let other = |revision| session.read(Which::Exactly(revision), Care::Quick);
        if let Some(other) = others.iter().map(other).find(holds) {
            return Ok(other);
        }
    }
    if loaded.is_valid() { Ok(loaded) } else { Err(Failure::Invalid(loaded.diagnostics)) }
}

/// The server, if it is what the pin stands for.
fn agreed(args: &Args, units: &[Unit], machine: &Machine<'_>) -> Result<Chosen, Failure> {
    let chosen = choose(args, units, machine)?;
    if args.pin.as_ref().is_some_and(|pin| *pin != desired::pin(&chosen, args.client.is_some(), units)) {
        return Err(Failure::Refused {
            message: format!("`{}` is not what was applied: the manifest has changed since", args.name),
            hint: "look at it with `mcpkeel plan`, then `mcpkeel apply`".to_owned(),
        });
    }
    Ok(chosen)
}

fn choose(args: &Args, units: &[Unit], machine: &Machine<'_>) -> Result<Chosen, Failure> {
    let usage = |message: String, hint: String| Failure::Usage { message, hint };
    let known = units.iter().flat_map(|unit| unit.manifest.servers.keys()).map(String::as_str);
    let found = match &args.client {
        None => desired::server(units, machine, &args.name),
        Some(key) => {
            let resolved = desired::resolve(units, machine);
            let target = resolved.targets.into_iter().find(|target| target.key == *key).ok_or_else(|| {
                let hint = "`mcpkeel status` lists the client blocks that hold here";
                usage(format!("no client block `{key}` holds here"), hint.to_owned())
            })?;
            target.servers.into_iter().find(|chosen| chosen.name == args.name)
        }
    };
    let chosen = found.ok_or_else(|| {
        let hint = match crate::base::closest(&args.name, known) {
            Some(meant) if meant == args.name => {
                "the manifest has it, but not for this machine or this client".to_owned()
            }
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`mcpkeel plan -v` shows the servers".to_owned(),
        };
        usage(format!("there is no server `{}` here", args.name), hint)
    })?;
    if chosen.server.command.is_none() && chosen.server.url.is_none() {
        let message =
            format!("`{}` has neither `command` nor `url`, so this version cannot start it", args.name);
        return Err(Failure::Refused { message, hint: "name the command that runs it".to_owned() });
    }
    Ok(chosen)
}

fn failed(problem: Diagnostic) -> Failure {
    Failure::Failed { message: problem.message, hint: problem.hint }
}

fn cannot_start(args: &Args, program: &Program, error: &io::Error) -> Failure {
    let what = match error.kind() {
        // The command may hold a secret only if the manifest puts one there.
        io::ErrorKind::NotFound => format!(
            "its program or its directory was not found{}",
            program.cwd.as_ref().map(|dir| format!(" (it runs in {})", dir.display())).unwrap_or_default()
        ),
        _ => error.to_string(),
    };
    Failure::Failed {
        message: format!("`{}` cannot be started: {what}", args.name),
        hint: Some(
            "clients often have a shorter PATH than your shell: give the whole path in `command`".to_owned(),
        ),
    }
}
