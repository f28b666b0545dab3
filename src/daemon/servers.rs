//! What the control socket answers about servers.
//!
//! ```text
//! GET  /v1/servers                          all of them, in the manifest's order
//! GET  /v1/servers/NAME                     how one stands
//! GET  /v1/servers/NAME/tools               what it offers, as it says it
//! POST /v1/servers/NAME/start|stop|restart  comes back when that is done
//! ```
//!
//! What cannot be done is said as `{"error": .., "hint": ..}`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use crate::supervise::{Server, State, Supervisor, Unavailable};

/// How long a server may take to list its tools.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many pages of tools are enough.
const PAGES: usize = 100;

/// The routes.
pub fn servers(supervisor: Supervisor) -> Router {
    let (all, one, tools, act) = (supervisor.clone(), supervisor.clone(), supervisor.clone(), supervisor);
    Router::new()
        .route("/v1/servers", get(async move || Json(list(&all))))
        .route(
            "/v1/servers/{name}",
            get(async move |Path(name): Path<String>| match find(&one, &name) {
                Ok(server) => stands(&server),
                Err(refusal) => refusal,
            }),
        )
        .route(
            "/v1/servers/{name}/tools",
            get(async move |Path(name): Path<String>| offers(&tools, &name).await),
        )
        .route(
            "/v1/servers/{name}/{what}",
            post(async move |Path((name, what)): Path<(String, String)>| change(&act, &name, &what).await),
        )
}

fn list(supervisor: &Supervisor) -> Value {
    // A second process of a server, for callers of 2026, is of interest once it was needed.
    let is_shown =
        |server: &Arc<Server>| !server.name().contains('@') || server.standing().state != State::Stopped;
    let servers: Vec<_> = supervisor
        .servers()
        .iter()
        .filter(|server| is_shown(server))
        .map(|server| server.standing())
        .collect();
    json!({ "format_version": 1, "servers": servers })
}

async fn offers(supervisor: &Supervisor, name: &str) -> Response {
    let server = match find(supervisor, name) {
        Ok(server) => server,
        Err(refusal) => return refusal,
    };
    let peer = match server.ready().await {
        Ok(peer) => peer,
        Err(why) => return unavailable(&why),
    };
    let mut tools: Vec<Box<RawValue>> = Vec::new();
    let mut params = "{}".to_owned();
    for _ in 0..PAGES {
        let page = match peer.request("tools/list", Some(&params), PATIENCE).await {
            Ok(page) => page,
            Err(why) => return refused(StatusCode::BAD_GATEWAY, &why, &logs(name)),
        };
        let Ok(page) = serde_json::from_str::<Page>(&page) else {
            let why = format!("`{name}` answered with something that is no list of tools");
            return refused(StatusCode::BAD_GATEWAY, &why, &logs(name));
        };
        tools.extend(page.tools);
        match page.next_cursor {
            Some(cursor) => params = json!({ "cursor": cursor }).to_string(),
            None => break,
        }
    }
    Json(Listed { format_version: 1, server: name.to_owned(), tools }).into_response()
}

/// Tools pass as the server wrote them.
#[derive(serde::Deserialize)]
struct Page {
    tools: Vec<Box<RawValue>>,
    #[serde(default, rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(serde::Serialize)]
struct Listed {
    format_version: u32,
    server: String,
    tools: Vec<Box<RawValue>>,
}

async fn change(supervisor: &Supervisor, name: &str, what: &str) -> Response {
    let server = match find(supervisor, name) {
        Ok(server) => server,
        Err(refusal) => return refusal,
    };
    let outcome = match what {
        "start" => server.start().await,
        "restart" => server.restart().await,
        "stop" => {
            server.stop().await;
            Ok(())
        }
        _ => {
            let why = format!("a server cannot be asked to {what}");
            return refused(StatusCode::NOT_FOUND, &why, "there are start, stop and restart");
        }
    };
    match outcome {
        Ok(()) => stands(&server),
        Err(why) => unavailable(&why),
    }
}

fn stands(server: &Server) -> Response {
    let mut whole = json!(server.standing());
    whole["format_version"] = json!(1);
    Json(whole).into_response()
}

fn find(supervisor: &Supervisor, name: &str) -> Result<Arc<Server>, Response> {
    supervisor.server(name).ok_or_else(|| {
        let servers = supervisor.servers();
        let known: Vec<&str> = servers.iter().map(|server| server.name()).collect();
        let hint = match crate::base::closest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`mcpkeel server status` lists those that run here".to_owned(),
        };
        refused(StatusCode::NOT_FOUND, &format!("there is no server `{name}` here"), &hint)
    })
}

fn unavailable(why: &Unavailable) -> Response {
    let sentence = format!("`{}` cannot be used now: {}", why.name, why.why);
    refused(StatusCode::SERVICE_UNAVAILABLE, &sentence, &why.hint)
}

fn refused(status: StatusCode, why: &str, hint: &str) -> Response {
    (status, Json(json!({ "error": why, "hint": hint }))).into_response()
}

fn logs(name: &str) -> String {
    format!("see `mcpkeel server logs {name}`")
}
