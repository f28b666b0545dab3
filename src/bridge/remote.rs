//! A server at an address, made ready: the client, its headers, and how a refusal reads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, Url};

use super::Remote;
use super::lines::LONGEST;
use super::link::{Place, Trouble};
use super::near::{Near, Urge, Way};
use crate::base::Secret;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

/// How often a silent connection is tried.
const ALIVE: Duration = Duration::from_secs(30);

/// The most that is read of a refusal, in bytes.
const REFUSAL: usize = 1 << 20;

/// A server that can be asked.
#[derive(Clone)]
pub struct Server {
    line: Line,
    url: Url,
    headers: HeaderMap,
    /// How it is called in messages.
    pub place: Place,
}

/// How it is reached.
#[derive(Clone)]
enum Line {
    Far(Client),
    Near(Arc<Way>),
}

/// What came back.
pub enum Reply {
    /// A status of success; the body is still to be read.
    Accepted(Response),
    /// Anything else.
    Refused(Refusal),
}

/// An answer that is no success.
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// The beginning of its body, if that is text.
    pub body: String,
    retry_after: Option<String>,
}

impl Server {
    /// From what the manifest says.
    ///
    /// # Errors
    /// `InvalidInput` when the address or a header cannot be one; the text names it and never its value.
    pub fn new(name: &str, remote: &Remote) -> io::Result<Self> {
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let url = Url::parse(remote.url.expose().trim())
            .map_err(|error| wrong(format!("the address of `{name}` is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!(
                "the address of `{name}` begins with {}://, not https://",
                url.scheme()
            )));
        }
        let headers = headers(name, &remote.headers)?;
        let client = http_client(&url)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT)
            // A stream may be silent for hours; these find out whether there is still somebody.
            .tcp_keepalive(ALIVE)
            .http2_keep_alive_interval(ALIVE)
            .build()
            .map_err(|error| io::Error::other(error.without_url()))?;
        Ok(Self { line: Line::Far(client), place: Place::new(name, &url), url, headers })
    }

    /// At a socket of this machine.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn near(name: &str, near: Near) -> io::Result<Self> {
        let wrong = |_| io::Error::new(io::ErrorKind::InvalidInput, "this is no path of an endpoint");
        let url = Url::parse(&format!("http://localhost{}", near.path)).map_err(wrong)?;
        let own = near.headers.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone())));
        let headers = headers(name, &own.collect::<Vec<_>>())?;
        Ok(Self {
            line: Line::Near(Arc::new(Way::new(near, url.clone()))),
            place: Place::near(name),
            url,
            headers,
        })
    }

    /// Whether it is at a socket of this machine, where what was lost can be had again.
    pub fn is_near(&self) -> bool {
        self.place.is_near()
    }

    /// Its address. Not to be shown.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Posts a message.
    pub async fn post(&self, url: &Url, text: &str, extra: HeaderMap) -> Result<Reply, Trouble> {
        let mut headers = extra;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        self.send(Method::POST, url, headers, Some(text), Urge::Wanted).await
    }

    /// Opens a stream of events.
    pub async fn listen(&self, extra: HeaderMap) -> Result<Reply, Trouble> {
        let mut headers = extra;
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.send(Method::GET, &self.url, headers, None, Urge::Idle).await
    }

    /// Ends a session.
    pub async fn delete(&self, extra: HeaderMap) -> Result<Reply, Trouble> {
        self.send(Method::DELETE, &self.url, extra, None, Urge::Idle).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        own: HeaderMap,
        text: Option<&str>,
        urge: Urge,
    ) -> Result<Reply, Trouble> {
        let mut headers = self.headers.clone();
        for (name, value) in &own {
            headers.insert(name, value.clone());
        }
        let make = |client: &Client| {
            let request = client.request(method.clone(), url.clone()).headers(headers.clone());
            match text {
                Some(text) => request.body(text.to_owned()),
                None => request,
            }
        };
        let response = match &self.line {
            Line::Far(client) => make(client).send().await.map_err(|error| self.place.unreachable(error))?,
            Line::Near(way) => way.send(make, urge, &self.place).await?,
        };
        if response.status().is_success() {
            return Ok(Reply::Accepted(response));
        }
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        // What cannot be read says nothing; the status does.
        let body = body(response, REFUSAL).await.unwrap_or_default();
        Ok(Reply::Refused(Refusal { status, body, retry_after }))
    }
}

/// Headers of every request.
fn headers(name: &str, given: &[(String, Secret<String>)]) -> io::Result<HeaderMap> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let mut headers = HeaderMap::new();
    for (header, value) in given {
        let key = HeaderName::try_from(header.as_str())
            .map_err(|_| wrong(format!("`{header}` of `{name}` cannot be the name of a header")))?;
        // A secret that was kept in a file often ends with a line feed.
        let mut value = HeaderValue::try_from(value.expose().trim()).map_err(|_| {
            wrong(format!("the header {header} of `{name}` has a value that cannot be sent: a line break?"))
        })?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// A client for this address, with what holds for all of ours.
pub fn http_client(url: &Url) -> ClientBuilder {
    crate::system::choose_tls();
    let client = Client::builder()
        .user_agent(concat!("mcpkeel/", env!("CARGO_PKG_VERSION")))
        // Headers with secrets must not follow one.
        .redirect(Policy::none());
    if is_this_machine(url) { client.no_proxy() } else { client }
}

/// What is behind an error, without the address, which may hold a secret; empty where nothing is.
pub fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut why = String::new();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        why = cause.to_string();
        source = cause.source();
    }
    why
}

/// Whether an address is on this machine: no proxy stands between us and ourselves, and nobody listens.
pub fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The whole body, if it is text and not longer than this.
pub async fn body(mut response: Response, most: usize) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.ok()? {
        if bytes.len() + piece.len() > most {
            return None;
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).ok()
}

/// The whole body of an answer.
pub async fn answer(response: Response) -> Option<String> {
    body(response, LONGEST).await
}

impl Refusal {
    /// In words that say what to do.
    pub fn trouble(&self, place: &Place) -> Trouble {
        let answered = format!("answered {}", self.status);
        let hint = match self.status.as_u16() {
            300..=399 => {
                "it redirects, which is not followed: put the final address into the manifest".to_owned()
            }
            401 => "the token may be wrong; `mcpkeel secret verify` looks".to_owned(),
            403 => "the token may not be allowed to do this; `mcpkeel secret verify` looks".to_owned(),
            404 if place.is_near() => {
                "`mcpkeel watch` runs here, which has no gateway; end it and run `mcpkeel up`".to_owned()
            }
            404 => "is the path of the address right?".to_owned(),
            405 => "it may be one of the older servers that want `transport: sse`".to_owned(),
            _ => self.retry_after.as_deref().map(|wait| format!("asks to wait: {wait}")).unwrap_or_default(),
        };
        let separator = if hint.is_empty() { "" } else { ": " };
        place.trouble(Some(self.status.as_u16()), &format!("{answered}{separator}{hint}"))
    }

    /// Whether it is about who asks or how often, so that what it says of itself helps nobody.
    pub fn is_about_access(&self) -> bool {
        self.status.is_redirection() || matches!(self.status.as_u16(), 401 | 403 | 407 | 429 | 503)
    }
}
