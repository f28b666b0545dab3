//! One message that a caller posts, and what goes back.
//!
//! Start at [`post`]: the era of the message decides which of the two halves of the protocol it belongs to.

use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::caller::Caller;
use super::forward;
use super::guards::Refusal;
use super::house::House;
use super::page::Page;
use super::session::Session;
use super::stock::List;
use super::streams;
use super::view::Endpoint;
use crate::bridge::eras::{CLIENT_CAPABILITIES, LEGACY, LOG_LEVEL, MODERN, SERVER_INFO};
use crate::bridge::json::{self, Members};
use crate::bridge::message::{INTERNAL, INVALID_PARAMS, INVALID_REQUEST};
use crate::bridge::mirror::VERSION;
use crate::guard::Scope;
use crate::upstream::{Envelope, Kind, error_for};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Versions of the 2025 era.
const KNOWN: &[&str] = &["2024-11-05", "2025-03-26", "2025-06-18", LEGACY];

/// JSON-RPC: no such method.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
/// 2026: a header says something else than the body.
const HEADER_MISMATCH: i64 = -32020;
/// 2026: a version that is not spoken here.
const UNSUPPORTED_VERSION: i64 = -32022;

/// Methods that 2026 has no more.
const REMOVED: &[&str] =
    &["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

/// Who comes, and where.
#[derive(Clone)]
pub struct Visit {
    /// Who.
    pub caller: Arc<Caller>,
    /// Where.
    pub endpoint: Endpoint,
    /// How long they wait for a person to agree, when they said so.
    pub waits: Option<std::time::Duration>,
}

/// What a request of 2026 says of itself.
pub struct Modern {
    /// What the caller can do, as JSON.
    pub capabilities: String,
    /// The least level of what it wants to be told, as JSON.
    pub level: Option<String>,
}

/// A message was posted.
pub async fn post(house: &Arc<House>, visit: &Visit, headers: &HeaderMap, body: String) -> Response<Page> {
    let text = match json::one_line(&body) {
        std::borrow::Cow::Borrowed(line) if line.len() == body.len() => body,
        line => line.into_owned(),
    };
    let envelope = match Envelope::read_strictly(text) {
        Ok(envelope) => envelope,
        Err(fault) => return json_of(StatusCode::BAD_REQUEST, fault.answer()),
    };
    let meta = envelope.members().and_then(|params| params.object("_meta"));
    if let Some(name) = meta.as_ref().and_then(|meta| {
        // A second token would be heard of by whoever has that number at the server.
        meta.repeated().or_else(|| Some(meta.misspelt(&["progressToken"])?.0))
    }) {
        let why = format!("Invalid request: `{name}` of _meta could be read in two ways");
        return json_of(StatusCode::BAD_REQUEST, error_for(id_of(&envelope), INVALID_REQUEST, &why));
    }
    let version = meta.as_ref().and_then(|meta| meta.text(VERSION));
    let says_modern = headers.get(&PROTOCOL).is_some_and(|version| version.as_bytes() == MODERN.as_bytes());
    let Some(version) = version else {
        drop(meta);
        if says_modern && let Kind::Request { id, .. } = &envelope.kind {
            let why = format!("Invalid params: _meta has no {VERSION}");
            return json_of(StatusCode::BAD_REQUEST, error_for(envelope.part(id), INVALID_PARAMS, &why));
        }
        return legacy(house, visit, headers, envelope).await;
    };
    let get = |name: &str| meta.as_ref().and_then(|meta| meta.get(name)).map(str::to_owned);
    let modern = Modern {
        capabilities: get(CLIENT_CAPABILITIES).unwrap_or_else(|| "{}".to_owned()),
        level: get(LOG_LEVEL),
    };
    let lacks = meta.as_ref().is_some_and(|meta| meta.get(CLIENT_CAPABILITIES).is_none());
    drop(meta);
    let id = id_of(&envelope).to_owned();
    if let Some(why) = mismatch(headers, &envelope, &version) {
        return json_of(StatusCode::BAD_REQUEST, error_for(&id, HEADER_MISMATCH, &why));
    }
    if version != MODERN {
        let data = json::object([
            ("supported", format!("[{}]", json::quote(MODERN))),
            ("requested", json::quote(&version)),
        ]);
        let error = json::object([
            ("code", UNSUPPORTED_VERSION.to_string()),
            ("message", json::quote("Unsupported protocol version")),
            ("data", data),
        ]);
        let text = json::object([("jsonrpc", "\"2.0\""), ("id", &id), ("error", &error)]);
        return json_of(StatusCode::BAD_REQUEST, text);
    }
    if lacks {
        let why = format!("Invalid params: _meta has no {CLIENT_CAPABILITIES}");
        return json_of(StatusCode::BAD_REQUEST, error_for(&id, INVALID_PARAMS, &why));
    }
    if let Some(why) = unmirrored(house, visit, headers, &envelope) {
        return json_of(StatusCode::BAD_REQUEST, error_for(&id, HEADER_MISMATCH, &why));
    }
    of_2026(house, visit, envelope, modern).await
}

/// The id that an answer to a message has, as JSON.
fn id_of(envelope: &Envelope) -> &str {
    match &envelope.kind {
        Kind::Request { id, .. } => envelope.part(id),
        _ => "null",
    }
}

/// An argument that the tool's schema wants in a header as well, and that is not there, or something else.
fn unmirrored(house: &Arc<House>, visit: &Visit, headers: &HeaderMap, envelope: &Envelope) -> Option<String> {
    if envelope.method() != Some("tools/call") {
        return None;
    }
    let view = house.view(&visit.caller, &visit.endpoint);
    let way = view.tools.get(&envelope.members()?.text("name")?)?;
    let mirrors = way.mirrors.as_ref()?;
    let arguments = envelope.members()?;
    let arguments = arguments.get("arguments");
    for (header, body) in mirrors.said(arguments) {
        let given: Vec<&HeaderValue> = headers.get_all(&header).iter().collect();
        let said = match given.as_slice() {
            [one] => Some(decoded(one.as_bytes())),
            _ => None,
        };
        match (said, body) {
            (None, None) if given.is_empty() => {}
            (Some(said), Some(body)) if said == body => {}
            (said, body) => {
                let say = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
                return Some(format!(
                    "Header mismatch: {header} says {}, the body says {}",
                    say(said),
                    say(body)
                ));
            }
        }
    }
    None
}

/// What a header says that the body does not.
fn mismatch(headers: &HeaderMap, envelope: &Envelope, version: &str) -> Option<String> {
    let get = |name: &HeaderName| headers.get(name).map(|value| decoded(value.as_bytes()));
    let check = |name: &HeaderName, body: &str| match get(name) {
        None => Some(format!("Header mismatch: {name} is missing; the body says {body}")),
        Some(header) if header != body => {
            Some(format!("Header mismatch: {name} says {header}, the body says {body}"))
        }
        Some(_) => None,
    };
    if let Some(why) = check(&PROTOCOL, version) {
        return Some(why);
    }
    let method = envelope.method()?;
    if let Some(why) = check(&METHOD, method) {
        return Some(why);
    }
    let source = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return None,
    };
    let name = envelope.members()?.text(source)?;
    check(&NAME, &name)
}

/// A header's value, which may be base64 between marks.
fn decoded(value: &[u8]) -> String {
    use base64::Engine as _;
    let text = String::from_utf8_lossy(value).trim().to_owned();
    let inner = text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?="));
    let bytes = inner.and_then(|inner| base64::engine::general_purpose::STANDARD.decode(inner).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(text)
}

async fn legacy(
    house: &Arc<House>,
    visit: &Visit,
    headers: &HeaderMap,
    envelope: Envelope,
) -> Response<Page> {
    if let Kind::Request { id, method } = &envelope.kind
        && method == "initialize"
    {
        let id = envelope.part(id).to_owned();
        return initialize(house, visit, &id, envelope).await;
    }
    if let Some(version) = headers.get(&PROTOCOL) {
        let is_known = version.to_str().is_ok_and(|version| KNOWN.contains(&version));
        if !is_known {
            let why = "Bad request: this version of the protocol is not spoken here";
            return json_of(StatusCode::BAD_REQUEST, error_for("null", INVALID_REQUEST, why));
        }
    }
    let session = match session(house, visit, headers) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    session.touch();
    match &envelope.kind {
        Kind::Request { .. } => of_2025(house, visit, &session, envelope).await,
        Kind::Notification { method } => {
            told(house, visit, &session, method, &envelope);
            accepted()
        }
        Kind::Answer { id, result } => {
            if let Some(id) = id {
                let answer = match result {
                    Some(result) => Ok(envelope.part(result).to_owned()),
                    None => {
                        let members = Members::of(&envelope.text);
                        Err(members
                            .and_then(|members| members.get("error").map(str::to_owned))
                            .unwrap_or_default())
                    }
                };
                session.answered(envelope.part(id), answer);
            }
            accepted()
        }
    }
}

/// The session that a request names.
pub(super) fn session(
    house: &House,
    visit: &Visit,
    headers: &HeaderMap,
) -> Result<Arc<Session>, Box<Response<Page>>> {
    let Some(id) = headers.get(&SESSION).and_then(|id| id.to_str().ok()) else {
        let why = "Bad request: Mcp-Session-Id is missing; send initialize first";
        return Err(Box::new(json_of(StatusCode::BAD_REQUEST, error_for("null", INVALID_REQUEST, why))));
    };
    house.session(id, &visit.caller, &visit.endpoint).ok_or_else(|| {
        let why = "Session not found: send initialize again";
        Box::new(json_of(StatusCode::NOT_FOUND, error_for("null", -32001, why)))
    })
}

async fn initialize(house: &Arc<House>, visit: &Visit, id: &str, envelope: Envelope) -> Response<Page> {
    let wanted = envelope.members().and_then(|params| params.text("protocolVersion"));
    let version = wanted.filter(|version| KNOWN.contains(&version.as_str()));
    let version = json::quote(version.as_deref().unwrap_or(LEGACY));
    let greeting = match greeting(house, visit).await {
        Ok(greeting) => greeting,
        Err(why) => return json_of(StatusCode::OK, error_for(id, INTERNAL, &why)),
    };
    let session = match house.open(Arc::clone(&visit.caller), visit.endpoint.clone(), envelope.text) {
        Ok(session) => session,
        Err(why) => return json_of(StatusCode::SERVICE_UNAVAILABLE, error_for(id, INTERNAL, &why)),
    };
    let mut result = vec![
        ("protocolVersion", version),
        ("capabilities", greeting.capabilities),
        ("serverInfo", greeting.info),
    ];
    result.extend(greeting.instructions.map(|text| ("instructions", text)));
    let mut response = json_of(StatusCode::OK, result_for(id, &json::object(result)));
    if let Ok(session) = HeaderValue::try_from(session) {
        response.headers_mut().insert(SESSION, session);
    }
    response
}

/// What is said of this address; texts are JSON.
struct Greeting {
    capabilities: String,
    info: String,
    instructions: Option<String>,
}

async fn greeting(house: &Arc<House>, visit: &Visit) -> Result<Greeting, String> {
    let view = house.view(&visit.caller, &visit.endpoint);
    if let Endpoint::One(server) = &visit.endpoint {
        if !view.servers.contains(server) {
            return Err(format!("`{server}` is not here"));
        }
        if house.stock(server).is_none()
            && let Some(server) = house.supervisor().and_then(|supervisor| supervisor.server(server))
        {
            let peer = server.ready().await.map_err(|error| error.to_string())?;
            let opening = peer.opening();
            return Ok(Greeting {
                capabilities: opening.capabilities.clone(),
                info: opening.info.clone(),
                instructions: opening.instructions.clone(),
            });
        }
        let stock = house.stock(server).ok_or_else(|| format!("`{server}` is not here"))?;
        return Ok(Greeting {
            capabilities: stock.capabilities.clone(),
            info: stock.info.clone(),
            instructions: stock.instructions.clone(),
        });
    }
    Ok(Greeting {
        // Servers come and go, and what they can do with them.
        capabilities: concat!(
            r#"{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"#,
            r#""prompts":{"listChanged":true},"completions":{},"logging":{}}"#
        )
        .to_owned(),
        info: json::object([
            ("name", json::quote("mcpkeel")),
            ("title", json::quote("mcpkeel gateway")),
            ("version", json::quote(env!("CARGO_PKG_VERSION"))),
        ]),
        instructions: view.instructions.clone(),
    })
}

async fn of_2025(
    house: &Arc<House>,
    visit: &Visit,
    session: &Arc<Session>,
    envelope: Envelope,
) -> Response<Page> {
    let Kind::Request { id, method } = &envelope.kind else { return accepted() };
    let id = envelope.part(id);
    let done = |result: &str| json_of(StatusCode::OK, result_for(id, result));
    match method.as_str() {
        "ping" => done("{}"),
        "logging/setLevel" => {
            let Some(level) = envelope.members().and_then(|params| params.get("level").map(str::to_owned))
            else {
                return json_of(StatusCode::OK, error_for(id, INVALID_PARAMS, "Invalid params: no level"));
            };
            session.set_level(&level);
            let view = house.view(&visit.caller, &visit.endpoint);
            super::news::set_level(house, &view.servers, &level);
            done("{}")
        }
        "resources/subscribe" | "resources/unsubscribe" => {
            let uri = envelope.members().and_then(|params| params.text("uri"));
            let Some(uri) = uri else {
                return json_of(StatusCode::OK, error_for(id, INVALID_PARAMS, "Invalid params: no uri"));
            };
            if !visit.caller.scopes.allow(method) {
                return Refusal::Scope(method.clone()).response(id);
            }
            let wants = method == "resources/subscribe";
            session.subscribe(&uri, wants);
            let view = house.view(&visit.caller, &visit.endpoint);
            match super::news::subscribe(house, &view, &uri, wants).await {
                Ok(()) => done("{}"),
                Err(refusal) => {
                    session.subscribe(&uri, false);
                    refusal.response(id)
                }
            }
        }
        method => match List::of(method) {
            Some(list) => done(&listed(house, visit, list).await),
            None => forward::request(house, visit, Some(session), None, &envelope).await,
        },
    }
}

async fn of_2026(house: &Arc<House>, visit: &Visit, envelope: Envelope, modern: Modern) -> Response<Page> {
    let Kind::Request { id, method } = &envelope.kind else {
        // Of notifications only the taking back of a request has a meaning, and that is a closed stream.
        return accepted();
    };
    let id = envelope.part(id);
    let done = |result: String| json_of(StatusCode::OK, result_for(id, &result));
    match method.as_str() {
        "server/discover" => match greeting(house, visit).await {
            Err(why) => json_of(StatusCode::OK, error_for(id, INTERNAL, &why)),
            Ok(greeting) => {
                let meta = json::object([(SERVER_INFO, greeting.info)]);
                let mut result = vec![
                    ("resultType", "\"complete\"".to_owned()),
                    ("supportedVersions", format!("[{}]", json::quote(MODERN))),
                    ("capabilities", greeting.capabilities),
                    ("ttlMs", "0".to_owned()),
                    ("cacheScope", "\"private\"".to_owned()),
                    ("_meta", meta),
                ];
                result.extend(greeting.instructions.map(|text| ("instructions", text)));
                done(json::object(result))
            }
        },
        "subscriptions/listen" => streams::listen(house, visit, id, &envelope).await,
        method if REMOVED.contains(&method) => {
            json_of(StatusCode::NOT_FOUND, error_for(id, METHOD_NOT_FOUND, "Method not found"))
        }
        method => match List::of(method) {
            Some(list) => {
                let result = listed(house, visit, list).await;
                let more = r#","resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;
                done(format!("{}{more}", result.trim_end_matches('}')))
            }
            None => forward::request(house, visit, None, Some(modern), &envelope).await,
        },
    }
}

/// A list as the result of a request.
async fn listed(house: &Arc<House>, visit: &Visit, list: List) -> String {
    let scope = match list {
        List::Tools => Scope::ToolsRead,
        List::Prompts => Scope::PromptsRead,
        List::Resources | List::Templates => Scope::ResourcesRead,
    };
    let mut view = house.view(&visit.caller, &visit.endpoint);
    if super::upkeep::await_first(house, &view, visit).await {
        view = house.view(&visit.caller, &visit.endpoint);
    }
    let list_text = if visit.caller.may(scope) { view.list(list) } else { "[]" };
    format!("{{\"{}\":{list_text}}}", list.member())
}

/// A notification of a client of 2025.
fn told(house: &Arc<House>, visit: &Visit, session: &Arc<Session>, method: &str, envelope: &Envelope) {
    match method {
        "notifications/cancelled" => {
            let Some(params) = envelope.members() else { return };
            let Some(id) = params.get("requestId") else { return };
            let reason = params.text("reason");
            session.cancels(id, reason.as_deref().unwrap_or("the client took it back"));
        }
        "notifications/roots/list_changed" => {
            house.rooted.store(session.number, std::sync::atomic::Ordering::Relaxed);
            let view = house.view(&visit.caller, &visit.endpoint);
            super::news::pass_down(house, &view, &envelope.text);
        }
        "notifications/initialized" | "notifications/progress" => {}
        // A request without an id is no way around what requests are held to.
        _ if !method.starts_with("notifications/") => {}
        _ => {
            if let Endpoint::One(_) = &visit.endpoint {
                let view = house.view(&visit.caller, &visit.endpoint);
                super::news::pass_down(house, &view, &envelope.text);
            }
        }
    }
}

/// A result to a request. Both are JSON.
pub(super) fn result_for(id: &str, result: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}")
}

pub(super) fn json_of(status: StatusCode, text: String) -> Response<Page> {
    let mut response = Response::new(Page::of(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn streamed(page: Page) -> Response<Page> {
    let mut response = Response::new(page);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // Proxies that keep answers back until they are complete.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

pub(super) fn accepted() -> Response<Page> {
    status(StatusCode::ACCEPTED)
}

pub(super) fn status(status: StatusCode) -> Response<Page> {
    let mut response = Response::new(Page::empty());
    *response.status_mut() = status;
    response
}
