//! Git's smart protocol over HTTP: one request for what there is, one for each round of what is wanted.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::Runtime;

use super::{MOST, Ways, credentials, trouble};
use crate::manifest::values::is_loopback;

/// How often the first request may be sent elsewhere.
const REDIRECTS: usize = 5;

/// What follows the address in the first request.
const REFS: &str = "/info/refs?service=git-upload-pack";

/// A repository behind https, or on this machine.
///
/// Must not be used from a task of an asynchronous runtime: it has one of its own.
pub(super) struct Http(Arc<Line>);

struct Line {
    ways: Arc<Ways>,
    /// Taken only when the connection is given up.
    runtime: Option<Runtime>,
    /// Set by the first request.
    found: Mutex<Option<Found>>,
}

/// Where the repository turned out to be, and who we are there.
#[derive(Clone)]
struct Found {
    client: Client,
    base: String,
    login: Option<HeaderValue>,
}

impl Http {
    pub fn new(ways: Arc<Ways>) -> Result<Self, git2::Error> {
        crate::system::choose_tls();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| trouble(error.to_string()))?;
        Ok(Self(Arc::new(Line { ways, runtime: Some(runtime), found: Mutex::new(None) })))
    }
}

impl SmartSubtransport for Http {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let line = Arc::clone(&self.0);
        let state = match action {
            Service::UploadPackLs => {
                let (found, response) = line.discover(url).map_err(trouble)?;
                *line.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                State::Answered(response)
            }
            Service::UploadPack => State::Asking(Vec::new()),
            Service::ReceivePackLs | Service::ReceivePack => return Err(trouble("nothing is ever pushed")),
        };
        Ok(Box::new(Stream { line, state, rest: Cursor::default(), left: MOST }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

impl Line {
    /// Asks what there is: follows redirects on the same host, and says who we are when that is asked.
    fn discover(&self, url: &str) -> Result<(Found, Response), String> {
        let base = url.trim_end_matches('/').to_owned();
        let mut at = Url::parse(&format!("{base}{REFS}")).map_err(|error| error.to_string())?;
        let mut found = Found { client: client(&at)?, base, login: None };
        for _ in 0..=REDIRECTS {
            let request =
                found.client.get(at.clone()).header(ACCEPT, "application/x-git-upload-pack-advertisement");
            let response = self.send(with_login(request, &found))?;
            match response.status() {
                StatusCode::UNAUTHORIZED if found.login.is_none() => {
                    let asked = Url::parse(&found.base).map_err(|error| error.to_string())?;
                    found.login = Some(credentials::ask(&self.ways, &asked)?);
                }
                status if status.is_redirection() => {
                    at = redirected(&at, response.headers().get(LOCATION))?;
                    let text = at.as_str();
                    let base =
                        text.strip_suffix(REFS).ok_or("it redirects to something that is no repository")?;
                    found.base = base.to_owned();
                }
                status if !status.is_success() => return Err(refusal(status)),
                _ => return expect(response, "advertisement").map(|response| (found, response)),
            }
        }
        Err("it redirects without end".to_owned())
    }

    fn ask(&self, wants: Vec<u8>) -> Result<Response, String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = found.ok_or("it was asked for more before it said what it has")?;
        let request = found
            .client
            .post(format!("{}/git-upload-pack", found.base))
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, "application/x-git-upload-pack-result")
            .body(wants);
        let response = self.send(with_login(request, &found))?;
        match response.status() {
            status if status.is_success() => expect(response, "result"),
            status => Err(refusal(status)),
        }
    }

    fn send(&self, request: RequestBuilder) -> Result<Response, String> {
        self.wait(request.send())
    }

    fn piece(&self, response: &mut Response) -> Result<Option<Vec<u8>>, String> {
        Ok(self.wait(response.chunk())?.map(|piece| piece.to_vec()))
    }

    /// Waits for something, not for ever.
    fn wait<T>(&self, something: impl Future<Output = reqwest::Result<T>>) -> Result<T, String> {
        let runtime = self.runtime.as_ref().ok_or("the connection was given up")?;
        match runtime.block_on(async { tokio::time::timeout(self.ways.patience, something).await }) {
            Ok(outcome) => outcome.map_err(causes),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> String {
        format!("it was silent for {} s", self.ways.patience.as_secs())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The look-up of a name cannot be interrupted, and must not be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn client(url: &Url) -> Result<Client, String> {
    let client = Client::builder()
        // Some hosts speak the protocol only to those who call themselves git.
        .user_agent(concat!("git/2.0 (mcpkeel ", env!("CARGO_PKG_VERSION"), ")"))
        .redirect(Policy::none());
    // No proxy stands between us and ourselves.
    let client = if is_loopback(host(url)) { client.no_proxy() } else { client };
    client.build().map_err(causes)
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

fn with_login(request: RequestBuilder, found: &Found) -> RequestBuilder {
    match &found.login {
        Some(login) => request.header(AUTHORIZATION, login.clone()),
        None => request,
    }
}

/// The next address, on the same host and no less private.
fn redirected(at: &Url, location: Option<&HeaderValue>) -> Result<Url, String> {
    let location = location.and_then(|location| location.to_str().ok());
    let next = location.and_then(|location| at.join(location).ok()).ok_or("it redirects to nowhere")?;
    let is_same = next.scheme() == at.scheme() && next.port_or_known_default() == at.port_or_known_default();
    let is_upgrade = at.scheme() == "http" && next.scheme() == "https";
    let has_login = !next.username().is_empty() || next.password().is_some();
    if host(&next) != host(at) || has_login || !(is_same || is_upgrade) {
        return Err(format!(
            "it redirects to another place, {}://{}: put the final address into the manifest",
            next.scheme(),
            host(&next)
        ));
    }
    Ok(next)
}

/// An answer of git's, and no page for people.
fn expect(response: Response, what: &str) -> Result<Response, String> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind == format!("application/x-git-upload-pack-{what}") {
        true => Ok(response),
        false => Err("what answers there is no git repository (or an old kind of server)".to_owned()),
    }
}

fn refusal(status: StatusCode) -> String {
    let more = match status.as_u16() {
        401 | 403 => ": the login that git's credential helper knows does not open it",
        404 => ": there is no repository at this address, or you may not see it",
        300..=399 => ": it redirects, which is not followed here",
        _ => "",
    };
    format!("it answered {status}{more}")
}

/// Everything that an error says, without the address.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let text = error.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        cause = error.source();
    }
    said.join(": ")
}

struct Stream {
    line: Arc<Line>,
    state: State,
    /// What came and was not handed out yet.
    rest: Cursor<Vec<u8>>,
    left: u64,
}

enum State {
    /// What is wanted, as far as it was said.
    Asking(Vec<u8>),
    Answered(Response),
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let State::Asking(wants) = &mut self.state {
            let wants = std::mem::take(wants);
            self.state = State::Answered(self.line.ask(wants).map_err(io::Error::other)?);
        }
        loop {
            match self.rest.read(into)? {
                0 if !into.is_empty() => {}
                read => return Ok(read),
            }
            let State::Answered(response) = &mut self.state else { return Ok(0) };
            let Some(piece) = self.line.piece(response).map_err(io::Error::other)? else { return Ok(0) };
            let left = self.left.checked_sub(piece.len() as u64);
            self.left = left.ok_or_else(|| io::Error::other("it sends too much"))?;
            self.rest = Cursor::new(piece);
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Asking(wants) => wants.extend_from_slice(bytes),
            State::Answered(_) => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_only_on_the_same_host_and_no_less_private() {
        let next = |from: &str, to: &str| {
            let location = HeaderValue::from_str(to).expect("a header");
            redirected(&Url::parse(from).expect("a URL"), Some(&location)).map(|url| url.to_string())
        };
        assert_eq!(next("https://h/a/info/refs", "/b/info/refs").as_deref(), Ok("https://h/b/info/refs"));
        assert_eq!(next("http://localhost:1/a", "https://localhost/a").as_deref(), Ok("https://localhost/a"));
        for to in [
            "https://other/a",
            "http://h/a",
            "https://h:8443/a",
            "//other/a",
            "https://me:pw@h/a",
            "file:///x",
        ] {
            assert!(next("https://h/a", to).is_err(), "{to}");
        }
        assert!(redirected(&Url::parse("https://h/a").expect("a URL"), None).is_err());
    }
}
