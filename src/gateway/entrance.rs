//! Who may come in: Host, Origin, bearer, size, rate; in this order, before anything is read.
//!
//! Invariant: without a token that is good nothing is answered but why not; a caller's `Authorization` goes
//! nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use hyper::{Method, Request, Response, StatusCode};

use super::caller::Caller;
use super::exchange::{self, Visit, json_of, status};
use super::house::House;
use super::page::Page;
use super::streams;
use super::view::Endpoint;
use crate::bridge::json;
use crate::guard::Scopes;
use crate::manifest::values;

/// The largest request, in bytes.
pub const LARGEST: usize = 1 << 20;

/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);

/// The header in which a client of this machine says which block of the manifest it is.
pub const CLIENT: HeaderName = HeaderName::from_static("mcpkeel-client");

/// The header in which a caller says how long it waits for a person to agree.
const WAIT: HeaderName = HeaderName::from_static("mcpkeel-wait");

/// Which door a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The network, at this address of ours.
    Net(SocketAddr),
    /// The control socket: the other end is a process of the same user.
    Socket,
}

/// Answers a request.
pub async fn answer<B>(house: &Arc<House>, request: Request<B>, door: Door) -> Response<Page>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let endpoint = match endpoint(head.uri.path()) {
        Some(endpoint) => endpoint,
        None => return refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this address", &[]),
    };
    let origin = head.headers.get(ORIGIN).cloned();
    let mut response = match inside(house, &head.method, &head.headers, body, endpoint, door).await {
        Ok(response) => response,
        Err(refused) => *refused,
    };
    if let Some(origin) = origin.filter(|_| response.status() != StatusCode::FORBIDDEN) {
        // Only an origin that passed comes this far.
        let headers = response.headers_mut();
        headers.insert("access-control-allow-origin", origin);
        headers.insert(
            "access-control-expose-headers",
            HeaderValue::from_static(
                "mcp-session-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after",
            ),
        );
        headers.insert("vary", HeaderValue::from_static("origin"));
    }
    response
}

async fn inside<B>(
    house: &Arc<House>,
    method: &Method,
    headers: &HeaderMap,
    body: B,
    endpoint: Endpoint,
    door: Door,
) -> Result<Response<Page>, Box<Response<Page>>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let caller = match door {
        Door::Socket => local(house, headers),
        Door::Net(address) => {
            addressed(house, headers, address)?;
            if method == Method::OPTIONS {
                return Ok(preflight());
            }
            bearer(house, headers)?
        }
    };
    let rate = house.guards.count(&caller)?;
    let waits = headers.get(WAIT).and_then(|text| text.to_str().ok()).and_then(values::duration);
    let visit = Visit { caller, endpoint, waits };
    let mut response = match *method {
        Method::POST => {
            let is_json = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if !is_json
                .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("application/json"))
            {
                let why = "the body must be application/json";
                return Err(boxed(StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_REQUEST", why));
            }
            let body = read(headers, body).await?;
            exchange::post(house, &visit, headers, body).await
        }
        Method::GET if headers.contains_key(exchange::SESSION) => streams::get(house, &visit, headers),
        Method::DELETE if headers.contains_key(exchange::SESSION) => streams::delete(house, &visit, headers),
        _ => {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert("allow", HeaderValue::from_static("POST"));
            response
        }
    };
    if let Some(rate) = rate {
        super::guards::write(rate, response.headers_mut());
    }
    Ok(response)
}

fn endpoint(path: &str) -> Option<Endpoint> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.strip_prefix("/mcp") {
        Some("") => Some(Endpoint::All),
        Some(server) => {
            let server = server.strip_prefix('/').filter(|server| !server.contains('/'))?;
            Some(Endpoint::One(server.to_owned()))
        }
        None => None,
    }
}

/// Whether it was addressed by a name of ours, and not by a page of somebody else.
fn addressed(house: &House, headers: &HeaderMap, address: SocketAddr) -> Result<(), Box<Response<Page>>> {
    let setup = house.setup();
    let text =
        |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    let host = text(HOST).unwrap_or_default();
    let name = without_port(&host);
    if !(is_loopback(name)
        || name.trim_matches(['[', ']']) == address.ip().to_string()
        || setup.hosts.contains(name))
    {
        let why = "this Host is not one of ours; `gateway.hosts` lists further ones";
        return Err(boxed(StatusCode::FORBIDDEN, "FORBIDDEN_HOST", why));
    }
    if let Some(origin) = text(ORIGIN) {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let is_local = rest.is_some_and(|rest| !rest.contains(['/', '@']) && is_loopback(without_port(rest)));
        if !(is_local || setup.origins.contains(&origin)) {
            let why =
                "pages of this Origin may not speak to the gateway; `gateway.origins` lists those that may";
            return Err(boxed(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", why));
        }
    }
    Ok(())
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name == "127.0.0.1" || name == "[::1]"
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn bearer(house: &House, headers: &HeaderMap) -> Result<Arc<Caller>, Box<Response<Page>>> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let refused = |why: &str| {
        let mut response = refusal(StatusCode::UNAUTHORIZED, "INVALID_TOKEN", why, &[]);
        response
            .headers_mut()
            .insert("www-authenticate", HeaderValue::from_static("Bearer realm=\"mcpkeel\""));
        Box::new(response)
    };
    let token = token.ok_or_else(|| refused("a bearer token is needed; `mcpkeel token create` makes one"))?;
    house.guards.holder(house, token).map_err(|why| refused(&why))
}

/// A process of the same user: a client block, or the user.
fn local(house: &House, headers: &HeaderMap) -> Arc<Caller> {
    let client: Option<Arc<str>> = headers.get(CLIENT).and_then(|key| key.to_str().ok()).map(Into::into);
    let name = client.as_ref().map_or_else(|| "user".to_owned(), |key| format!("client:{key}"));
    // Names of tokens have no colon, so none of them is taken for somebody of this machine.
    let key = if client.is_some() { &name } else { "user:" };
    house.caller(
        key,
        |_| true,
        |number| Caller {
            number,
            name: name.as_str().into(),
            scopes: if client.is_some() { Scopes::USE } else { Scopes::ALL },
            client,
            servers: None,
            is_token: false,
            source: None,
        },
    )
}

async fn read<B>(headers: &HeaderMap, mut body: B) -> Result<String, Box<Response<Page>>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large =
        || boxed(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", "requests over 1 MB are refused");
    let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|said| said > LARGEST) {
        return Err(too_large());
    }
    let reading = async {
        let mut bytes = Vec::with_capacity(said.unwrap_or(0).min(LARGEST));
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(boxed(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "the request broke off"));
            };
            if let Some(data) = frame.data_ref() {
                if bytes.len() + data.len() > LARGEST {
                    return Err(too_large());
                }
                bytes.extend_from_slice(data);
            }
        }
        String::from_utf8(bytes)
            .map_err(|_| boxed(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "the body is not UTF-8"))
    };
    match tokio::time::timeout(ARRIVAL, reading).await {
        Ok(outcome) => outcome,
        Err(_) => Err(boxed(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "the request did not arrive in time")),
    }
}

fn preflight() -> Response<Page> {
    let mut response = status(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert("access-control-allow-methods", HeaderValue::from_static("POST, GET, DELETE"));
    headers.insert(
        "access-control-allow-headers",
        HeaderValue::from_static(
            "authorization, content-type, accept, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name, last-event-id, mcpkeel-wait",
        ),
    );
    response
}

fn boxed(code: StatusCode, word: &str, why: &str) -> Box<Response<Page>> {
    Box::new(refusal(code, word, why, &[]))
}

/// An error outside of the protocol, as every HTTP answer of ours says it.
pub(super) fn refusal(code: StatusCode, word: &str, why: &str, details: &[(&str, String)]) -> Response<Page> {
    let details = json::object(details.iter().map(|(name, value)| (*name, value)));
    let error =
        json::object([("code", json::quote(word)), ("message", json::quote(why)), ("details", details)]);
    json_of(code, json::object([("error", error), ("status_code", code.as_u16().to_string())]))
}
