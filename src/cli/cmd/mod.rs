//! One file per command; each has its `Args` and a `run`.

pub mod adopt;
pub mod apply;
pub mod approval;
pub mod approve;
pub mod backup;
pub mod call;
pub mod client;
#[cfg(feature = "conformance")]
pub mod conformance_client;
pub mod connect;
pub mod completions;
pub mod diff;
pub mod doctor;
pub mod events;
pub mod exec;
pub mod explain;
pub mod fmt;
pub mod history;
pub mod import;
pub mod init;
pub mod lock;
pub mod man;
pub mod plan;
pub mod policy;
pub mod restore;
pub mod schema;
pub mod secret;
pub mod server;
pub mod service;
pub mod status;
pub mod suspend;
pub mod token;
pub mod undo;
pub mod up;
pub mod usage;
pub mod validate;
pub mod verify;
pub mod watch;

use super::args::Command;
use super::failure::Failure;
use super::session::Session;
use crate::reconcile::Loaded;

/// Runs one command and returns its exit code.
pub fn run(session: &mut Session<'_>, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Init(args) => init::run(session, &args),
        Command::Import(args) => import::run(session, &args),
        Command::Validate(args) => validate::run(session, &args),
        Command::Fmt(args) => fmt::run(session, &args),
        Command::Plan(args) => plan::run(session, &args),
        Command::Apply(args) => apply::run(session, &args),
        Command::Verify(args) => verify::run(session, &args),
        Command::Status(args) => status::run(session, &args),
        Command::Diff(args) => diff::run(session, &args),
        Command::Adopt(args) => adopt::run(session, &args),
        Command::Watch(args) => watch::run(session, &args),
        Command::Up(args) => up::run(session, &args),
        Command::Suspend(args) => suspend::run(session, &args),
        Command::Resume(args) => suspend::resume(session, &args),
        Command::Approve(args) => approve::run(session, &args),
        Command::History(args) => history::run(session, &args),
        Command::Events(args) => events::run(session, &args),
        Command::Undo(args) => undo::run(session, &args),
        Command::Backup(args) => backup::run(session, &args),
        Command::Restore(args) => restore::run(session, &args),
        Command::Client(args) => client::run(session, &args),
        Command::Secret(args) => secret::run(session, &args),
        Command::Token(args) => token::run(session, &args),
        Command::Policy(args) => policy::run(session, &args),
        Command::Approval(args) => approval::run(session, &args),
        Command::Lock(args) => lock::run(session, &args),
        Command::Usage(args) => usage::run(session, &args),
        Command::Server(args) => server::run(session, &args),
        Command::Service(args) => service::run(session, &args),
        Command::Schema(args) => schema::run(session, &args),
        Command::Explain(args) => explain::run(session, &args),
        Command::Doctor(args) => doctor::run(session, &args),
        Command::Exec(args) => exec::run(session, &args),
        Command::Call(args) => call::run(session, &args),
        #[cfg(feature = "conformance")]
        Command::ConformanceClient(args) => conformance_client::run(session, &args),
        Command::Connect(args) => connect::run(session, &args),
        Command::Completions(args) => completions::run(session, &args),
        Command::Man(args) => man::run(session, &args),
    }
}

/// Complains about a server that the manifest does not name.
fn check_server(loaded: &Loaded, name: &str) -> Result<(), Failure> {
    let names = || loaded.units.iter().flat_map(|unit| unit.manifest.servers.keys()).map(String::as_str);
    if names().any(|known| known == name) {
        return Ok(());
    }
    let hint = match crate::base::closest(name, names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the manifest names {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::Usage { message: format!("the manifest has no server `{name}`"), hint })
}
