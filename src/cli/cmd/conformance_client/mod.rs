//! Signs in where the protocol's client suites ask for it, and then talks: `tests/conformance/run --clients` starts it.
//!
//! It is built with the feature `conformance` only: mcpkeel itself signs in nowhere, and no release carries this.
//!
//! Invariant: whatever a server answers, the client signs in [`SIGN_INS`] times at most.
//!
//! Start at [`run`]; `sign_in` gets the tokens, `alone` those for which no person is asked, `talk` uses them.

mod alone;
mod sign_in;
mod talk;

use std::time::SystemTime;

use rmcp::model::ProtocolVersion;
use rmcp::transport::{AuthClient, AuthorizationManager};
use serde::Deserialize;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::system::choose_tls;
use talk::Stopped;

/// How often a client asks a person before it gives up. A server may want other rights with each answer.
const SIGN_INS: usize = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "The suites say in MCP_CONFORMANCE_SCENARIO, MCP_CONFORMANCE_CONTEXT and\n\
MCP_CONFORMANCE_PROTOCOL_VERSION what is to be done.")]
pub struct Args {
    /// The server of the scenario
    url: String,
}

/// What the suite wants done.
struct Order {
    url: String,
    who: Who,
    version: ProtocolVersion,
    known: Context,
    now: SystemTime,
}

/// Who signs in.
#[derive(Clone, Copy)]
enum Who {
    /// A person, in a browser.
    Person,
    /// A program that has a secret.
    Secret,
    /// A program that has a key.
    Key,
    /// A program that someone vouches for where it runs.
    Workload,
    /// A person who has signed in to the enterprise already.
    Employee,
}

/// What a client would have been told beforehand by whoever runs the server.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    client_id: Option<String>,
    client_secret: Option<String>,
    /// Who knows the client under this id; whoever it is, if it is not said.
    issuer: Option<String>,
    /// The key of a program, for ES256.
    private_key_pem: Option<String>,
    /// What vouches for a workload.
    valid_jwt: Option<String>,
    /// What an employee got from the enterprise, who gives out other tokens for it, and the client's name there.
    idp_id_token: Option<String>,
    idp_token_endpoint: Option<String>,
    idp_client_id: Option<String>,
}

/// A connection as it can be made: with a token, or still without.
type Client = AuthClient<reqwest::Client>;

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    choose_tls();
    let order = order(session, args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    runtime.block_on(serve(&order)).map_err(Failure::failed)?;
    Ok(0)
}

fn order(session: &Session<'_>, args: &Args) -> Result<Order, Failure> {
    let said = |name: &str| session.system.env(&format!("MCP_CONFORMANCE_{name}"));
    let known = match said("CONTEXT") {
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| Failure::failed(format!("MCP_CONFORMANCE_CONTEXT: {error}")))?,
        None => Context::default(),
    };
    let version = match said("PROTOCOL_VERSION").as_deref() {
        Some("2026-07-28") => ProtocolVersion::V_2026_07_28,
        _ => ProtocolVersion::V_2025_11_25,
    };
    let who = match said("SCENARIO").as_deref() {
        Some("auth/client-credentials-basic") => Who::Secret,
        Some("auth/client-credentials-jwt") => Who::Key,
        Some("auth/wif-jwt-bearer") => Who::Workload,
        Some("auth/enterprise-managed-authorization") => Who::Employee,
        _ => Who::Person,
    };
    Ok(Order { url: args.url.clone(), who, version, known, now: session.system.now() })
}

/// Talks until all is said, and signs in whenever the server wants that first.
async fn serve(order: &Order) -> Result<(), String> {
    let mut client = connection(order, None).await?;
    for _ in 0..SIGN_INS {
        match talk::talk(order, client.clone()).await {
            Ok(()) => return Ok(()),
            Err(Stopped::Broken(why)) => return Err(why),
            Err(Stopped::SignIn(challenge)) => {
                let manager = sign_in::sign_in(order, &challenge).await?;
                client = connection(order, Some(manager)).await?;
            }
            Err(Stopped::Widen(scope)) => sign_in::widen(&*client.auth_manager.lock().await, &scope).await?,
        }
    }
    match talk::talk(order, client).await {
        Err(Stopped::SignIn(_) | Stopped::Widen(_)) => {
            Err(format!("the server wants another sign-in after {SIGN_INS}"))
        }
        Err(Stopped::Broken(why)) => Err(why),
        Ok(()) => Ok(()),
    }
}

async fn connection(order: &Order, manager: Option<AuthorizationManager>) -> Result<Client, String> {
    let manager = match manager {
        Some(manager) => manager,
        None => sign_in::manager(order).await?,
    };
    Ok(AuthClient::new(reqwest::Client::new(), manager))
}
