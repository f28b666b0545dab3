//! Commands about `mcp.lock`: what tools were accepted as, and what they are now.

mod accept;
mod diff;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::gateway::pinned::{PinError, Pinned, Seen};
use crate::guard::{Examined, Lock, Neighbour, examine, name_of};
use crate::manifest::model::Trust;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show which tools are held, and how they differ from what was accepted
    Diff(diff::Args),
    /// Accept tools as they are now
    Accept(accept::Args),
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::Diff(args) => diff::run(session, args),
        Command::Accept(args) => accept::run(session, args),
    }
}

/// Every tool that was seen, held against the lock.
struct Survey {
    pinned: Pinned,
    lock: Lock,
    servers: Vec<Server>,
}

/// One server's tools.
struct Server {
    seen: Seen,
    examined: Vec<Examined>,
}

/// Which tools are meant: a whole server's, or one, or one as it was shown.
#[derive(Clone, Debug)]
struct Which {
    server: String,
    tool: Option<String>,
    /// The beginning of its digest.
    digest: Option<String>,
}

/// `SERVER`, `SERVER/TOOL` or `SERVER/TOOL@DIGEST`.
fn which(text: &str) -> Result<Which, String> {
    let (server, tool) = match text.split_once('/') {
        Some((server, tool)) => (server, Some(tool)),
        None => (text, None),
    };
    let (tool, digest) = match tool.and_then(|tool| tool.rsplit_once('@')) {
        Some((tool, digest)) => (Some(tool), Some(digest.strip_prefix("sha256:").unwrap_or(digest))),
        None => (tool, None),
    };
    let is_digest = |text: &str| text.len() >= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if server.is_empty() || tool == Some("") || !digest.is_none_or(is_digest) {
        return Err("write `SERVER`, `SERVER/TOOL` or `SERVER/TOOL@DIGEST`".to_owned());
    }
    let digest = digest.map(str::to_ascii_lowercase);
    Ok(Which { server: server.to_owned(), tool: tool.map(str::to_owned), digest })
}

impl Which {
    fn means(&self, server: &str, one: &Examined) -> bool {
        self.server == server && self.tool.as_ref().is_none_or(|tool| *tool == one.tool)
    }
}

/// Looks at every tool of the manifest's servers as it was listed last.
fn survey(session: &mut Session<'_>) -> Result<Survey, Failure> {
    let loaded = session.load()?;
    let system = session.system;
    let pinned = Pinned::beside(system, &loaded.path, &session.store())?;
    let lock = pinned.lock(system).map_err(failed)?;
    let gateway = loaded.units.first().and_then(|unit| unit.manifest.gateway.as_ref());
    let trust: Trust = gateway.and_then(|gateway| gateway.trust).unwrap_or_default();
    let is_named =
        |seen: &Seen| loaded.units.iter().any(|unit| unit.manifest.servers.contains_key(&seen.server));
    let mut all = pinned.last_seen(system)?;
    all.retain(is_named);
    let names: Vec<Vec<String>> = all
        .iter()
        .map(|seen| seen.definitions.iter().filter_map(|definition| name_of(definition)).collect())
        .collect();
    let neighbours: Vec<Neighbour<'_>> =
        all.iter().zip(&names).map(|(seen, tools)| Neighbour { server: &seen.server, tools }).collect();
    let examined: Vec<Vec<Examined>> =
        all.iter().map(|seen| examine(&lock, &seen.server, &seen.texts(), trust, &neighbours)).collect();
    let servers = all.into_iter().zip(examined).map(|(seen, examined)| Server { seen, examined }).collect();
    Ok(Survey { pinned, lock, servers })
}

impl Survey {
    /// Tools that were accepted and are no longer there, of servers that were seen.
    fn gone(&self) -> Vec<(String, String)> {
        let is_gone = |server: &str, tool: &str| {
            let server = self.servers.iter().find(|one| one.seen.server == server);
            server.is_some_and(|server| !server.examined.iter().any(|one| one.tool == tool))
        };
        let all = self.lock.all().filter(|(server, tool, _)| is_gone(server, tool));
        all.map(|(server, tool, _)| (server.to_owned(), tool.to_owned())).collect()
    }

    /// Complains about what was asked for and is not there.
    fn check(&self, asked: &[Which]) -> Result<(), Failure> {
        for which in asked {
            let Some(server) = self.servers.iter().find(|one| one.seen.server == which.server) else {
                let known = self.servers.iter().map(|one| one.seen.server.as_str());
                let hint = match crate::base::closest(&which.server, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "tools are known once `mcpkeel up` has started their server".to_owned(),
                };
                let message = format!("no tools of a server `{}` were seen", which.server);
                return Err(Failure::Usage { message, hint });
            };
            let Some(tool) = &which.tool else { continue };
            if !server.examined.iter().any(|one| one.tool == *tool) {
                let known = server.examined.iter().map(|one| one.tool.as_str());
                let hint = match crate::base::closest(tool, known) {
                    Some(meant) => format!("did you mean `{}/{meant}`?", which.server),
                    None => "`mcpkeel lock diff` shows what is held".to_owned(),
                };
                let message = format!("`{}` lists no tool `{tool}`", which.server);
                return Err(Failure::Usage { message, hint });
            }
        }
        Ok(())
    }
}

fn failed(error: PinError) -> Failure {
    match error {
        PinError::Bad(problem) => Failure::Invalid(vec![*problem]),
        PinError::Busy(error) => error.into(),
        PinError::File(error) => error.into(),
        PinError::Run(failure) => failure.into(),
    }
}
