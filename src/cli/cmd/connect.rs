use std::sync::Arc;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::bridge::{self, Bridge, Near, Upstream};
use crate::clients::Filter;
use crate::daemon;
use crate::gateway;
use crate::reconcile::{Care, Which};
use crate::system::{Real, System};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "This is what clients with `delivery: gateway` start. They speak to it over standard input and\n\
output, and it speaks to `mcpkeel up` over its control socket, so that no token stands in a file.\n\
It starts `mcpkeel up` where none runs, unless the manifest says `gateway: { autostart: false }`,\n\
and waits for one that is restarted. It ends when its input does; `mcpkeel up` stays."
)]
pub struct Args {
    /// The client block that speaks: what it may see is decided by it
    #[arg(long, value_name = "CLIENT")]
    client: String,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let near = near(session, "/mcp", Some(&args.client))?;
    let name = "the gateway".to_owned();
    let bridge = Bridge { name, upstream: Upstream::Near(near), tools: Filter::default() };
    bridge::run(bridge).map_err(|error| Failure::failed(format!("the connection broke: {error}")))
}

/// The way to the gateway of the process that stays, which is started where there is none.
///
/// # Errors
/// When it is not known by which path we were started.
pub fn near(session: &Session<'_>, path: &str, client: Option<&str>) -> Result<Near, Failure> {
    // Of its own, since tasks look at it as well.
    let system: Arc<dyn System> = Arc::new(Real);
    let store = session.store();
    let manifest = session.manifest_path();
    let program = system.own_path().map_err(|error| Failure::failed(error.to_string()))?;
    let said = |path: &std::path::Path| path.display().to_string();
    let argv = vec![
        said(&program),
        "up".to_owned(),
        "--manifest".to_owned(),
        said(&manifest),
        "--state-dir".to_owned(),
        said(store.dir()),
    ];
    let find = {
        let (system, store) = (Arc::clone(&system), store.clone());
        Arc::new(move || daemon::socket_now(&*system, &store))
    };
    let wake = Arc::new(move || {
        if store.watching(&*system).is_ok_and(|running| running.is_some()) {
            return Ok(());
        }
        let loaded = crate::reconcile::load(&*system, &manifest, store.dir(), Which::Applied, Care::Quick);
        if !loaded.is_valid() {
            return Err(format!(
                "does not run, and {} has errors: look with `mcpkeel validate`",
                manifest.display()
            ));
        }
        let gateway = loaded.units.iter().find_map(|unit| unit.manifest.gateway.as_ref());
        match gateway.map(|gateway| gateway.autostart.unwrap_or(true)) {
            Some(true) => {
                daemon::start(&*system, &store, &argv).map_err(|why| format!("does not run: {why}"))
            }
            Some(false) => Err("does not run, and `gateway.autostart` is off: run `mcpkeel up`".to_owned()),
            None => Err(format!(
                "does not run, and {} has no `gateway`: add `gateway: {{}}`, then run `mcpkeel up`",
                manifest.display()
            )),
        }
    });
    let headers = client.map(|client| (gateway::CLIENT.as_str().to_owned(), client.to_owned()));
    Ok(Near { path: path.to_owned(), headers: headers.into_iter().collect(), find, wake })
}
