use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::ear::Answer;
use super::envelope::Envelope;
use super::peer::{Era, Hear, Heard, Peer, Unanswered};
#[cfg(unix)]
use super::pipes::Pipe;
use crate::bridge::eras::{CLIENT_CAPABILITIES, CLIENT_INFO, LEGACY, MODERN, SERVER_INFO};
use crate::bridge::json::{self, Members};
use crate::bridge::lines::{Line as Read, Lines};
use crate::bridge::link::{Hurry, Incoming, Link, Origin, WAITING};
use crate::bridge::message::{self, INVALID_REQUEST, Message, UNREACHABLE};
use crate::bridge::mirror::VERSION;

/// How long a server may be silent about its era before it is greeted in the older way as well.
const HINT: Duration = Duration::from_millis(1500);

/// How long a server that was greeted in the newer way may take to answer the older one: it may be busy, and which way
/// it speaks from then on must be known.
const ALSO: Duration = Duration::from_secs(10);

/// What the gateway can do for a server that asks: all that there is, since callers differ.
const CAPABILITIES: &str = r#"{"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true}}"#;

/// How a server is reached.
pub enum Line {
    /// The pipes of a process: we write to the first and read from the second.
    #[cfg(unix)]
    Pipes(tokio::net::unix::pipe::Sender, tokio::net::unix::pipe::Receiver),
    /// The pipes of a process.
    #[cfg(windows)]
    Pipes(tokio::process::ChildStdin, tokio::process::ChildStdout),
    /// A server at an address.
    Remote(crate::bridge::Upstream),
}

/// Why a server cannot be spoken to. In a sentence, without a secret.
#[derive(Clone, Debug)]
pub struct OpenError(pub String);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// What a server said of itself in each era that it speaks; one at least.
#[derive(Default)]
pub struct Openings {
    /// In 2026's way.
    pub modern: Option<Opening>,
    /// In the older one.
    pub legacy: Option<Opening>,
    /// Whether it speaks both, but only one of them on a line.
    pub wants_twin: bool,
}

/// In which ways a server is greeted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ways {
    /// In all of them.
    #[default]
    Any,
    /// Only in 2026's.
    Newest,
}

impl Openings {
    fn older(legacy: Opening) -> Self {
        Self { legacy: Some(legacy), ..Self::default() }
    }
}

/// What a server said of itself when it was greeted; texts are JSON.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its era.
    pub era: Era,
    /// What it can do.
    pub capabilities: String,
    /// Its name and version.
    pub info: String,
    /// How it wants to be used.
    pub instructions: Option<String>,
    /// The whole result.
    pub result: String,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            era: Era::Legacy,
            capabilities: "{}".to_owned(),
            info: r#"{"name":"unknown","version":"0"}"#.to_owned(),
            instructions: None,
            result: "{}".to_owned(),
        }
    }
}

/// Where messages for the server go.
pub(super) enum Out {
    /// The input of a process.
    #[cfg(unix)]
    Pipe(Arc<Pipe>),
    /// A task that writes, or a transport.
    Task(std::sync::Mutex<Option<mpsc::UnboundedSender<String>>>),
}

impl Out {
    pub(super) fn send(&self, text: String) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Pipe(pipe) => pipe.send(text),
            Self::Task(to) => {
                let to = to.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let sent = to.as_ref().map(|to| to.send(text));
                sent.and_then(Result::ok).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    pub(super) fn close(&self) {
        match self {
            #[cfg(unix)]
            Self::Pipe(pipe) => pipe.close(),
            Self::Task(to) => {
                to.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            }
        }
    }
}

impl Peer {
    /// Greets a server: `server/discover`, else `initialize`. The older way is tried as well when the server is
    /// silent for a while, since some old servers say nothing to what they do not know.
    ///
    /// # Errors
    /// When it does not answer in time, or says no.
    pub async fn open(
        name: &str,
        line: Line,
        ways: Ways,
        hear: Hear,
        patience: Duration,
    ) -> Result<Arc<Self>, OpenError> {
        let peer = match line {
            #[cfg(unix)]
            Line::Pipes(stdin, stdout) => {
                let peer = Peer::new(name, Out::Pipe(Pipe::new(stdin)), hear);
                tokio::spawn(read(Arc::clone(&peer), stdout));
                peer
            }
            #[cfg(windows)]
            Line::Pipes(stdin, stdout) => {
                let (to, messages) = mpsc::unbounded_channel();
                let peer = Peer::new(name, Out::Task(std::sync::Mutex::new(Some(to))), hear);
                tokio::spawn(write(stdin, messages));
                tokio::spawn(read(Arc::clone(&peer), stdout));
                peer
            }
            Line::Remote(upstream) => remote(name, upstream, hear)?,
        };
        let greeted = tokio::time::timeout(patience, greet(&peer, ways)).await;
        let openings = greeted.unwrap_or_else(|_| {
            let seconds = patience.as_secs();
            Err(format!("`{name}` did not answer within {seconds} s of its start"))
        });
        match openings {
            Ok(openings) => {
                // Set once, here.
                let _ = peer.openings.set(openings);
                Ok(peer)
            }
            Err(why) => {
                peer.close();
                Err(OpenError(why))
            }
        }
    }
}

async fn greet(peer: &Peer, ways: Ways) -> Result<Openings, String> {
    let forever = Duration::from_secs(3600);
    let params = json::object([("_meta", meta())]);
    let discover = peer.question("server/discover", Some(&params), forever);
    if ways == Ways::Newest {
        return match discover.await {
            Ok(answer) => discovered(&answer)
                .map(|modern| Openings { modern: Some(modern), ..Openings::default() })
                .ok_or_else(|| why_not(&answer)),
            Err(Unanswered::Gone(why)) => Err(why),
            Err(Unanswered::Silent) => Err(format!("`{}` did not answer in time", peer.name)),
        };
    }
    tokio::pin!(discover);
    let first = tokio::select! {
        answer = &mut discover => Some(answer),
        () = tokio::time::sleep(HINT) => None,
    };
    match first {
        Some(Ok(answer)) => {
            if let Some(opening) = discovered(&answer) {
                return Ok(also_older(peer, opening).await);
            }
            if !answer.is_real && !may_be_old(&answer) {
                return Err(why_not(&answer));
            }
            shake_hands(peer, forever).await.map(Openings::older)
        }
        Some(Err(Unanswered::Gone(why))) => Err(why),
        Some(Err(Unanswered::Silent)) => shake_hands(peer, forever).await.map(Openings::older),
        None => both_ways(peer, discover).await,
    }
}

/// A slow server is greeted in both ways, and may take both.
async fn both_ways(
    peer: &Peer,
    mut discover: Pin<&mut impl Future<Output = Result<Answer, Unanswered>>>,
) -> Result<Openings, String> {
    let shaken = shake_hands(peer, Duration::from_secs(3600));
    tokio::pin!(shaken);
    let (newer, older) = tokio::select! {
        answer = &mut discover => (Some(answer), timeout(ALSO, &mut shaken).await.ok()),
        opening = &mut shaken => (timeout(HINT, &mut discover).await.ok(), Some(opening)),
    };
    let is_open = newer.is_none();
    let modern = newer.and_then(Result::ok).and_then(|answer| discovered(&answer));
    match (modern, older) {
        (Some(modern), Some(Ok(legacy))) => Ok(both(peer, modern, legacy).await),
        (Some(modern), _) => Ok(Openings { modern: Some(modern), ..Openings::default() }),
        (None, Some(Ok(legacy))) => Ok(Openings::older(legacy)),
        // A server of 2026 refuses it, and answers the other question when it can.
        (None, Some(Err(why))) if is_open => match discover.await.ok().and_then(|answer| discovered(&answer))
        {
            Some(modern) => Ok(Openings { modern: Some(modern), ..Openings::default() }),
            None => Err(why),
        },
        (None, Some(Err(why))) => Err(why),
        (None, None) => shaken.await.map(Openings::older),
    }
}

/// Many servers of 2026 speak the older way as well, on the same line, and only in it ask their questions as their
/// authors wrote them. Each caller is then served in its own era. One that stops being of 2026 by that needs a line
/// for each of the two.
async fn also_older(peer: &Peer, modern: Opening) -> Openings {
    let Ok(legacy) = shake_hands(peer, ALSO).await else {
        return Openings { modern: Some(modern), ..Openings::default() };
    };
    both(peer, modern, legacy).await
}

/// It took both greetings; whether it still speaks the newer way on this line is seen by asking.
async fn both(peer: &Peer, modern: Opening, legacy: Opening) -> Openings {
    let params = json::object([("_meta", meta())]);
    let again = peer.question("server/discover", Some(&params), ALSO).await;
    let is_still = again.is_ok_and(|answer| discovered(&answer).is_some());
    Openings { modern: is_still.then_some(modern), legacy: Some(legacy), wants_twin: !is_still }
}

async fn shake_hands(peer: &Peer, patience: Duration) -> Result<Opening, String> {
    let version = json::quote(LEGACY);
    let info = client_info();
    let params = json::object([
        ("protocolVersion", version.as_str()),
        ("capabilities", CAPABILITIES),
        ("clientInfo", &info),
    ]);
    let answer = match peer.question("initialize", Some(&params), patience).await {
        Ok(answer) => answer,
        Err(Unanswered::Gone(why)) => return Err(why),
        Err(Unanswered::Silent) => return Err(format!("`{}` did not answer in time", peer.name)),
    };
    let Some(result) = &answer.result else { return Err(why_not(&answer)) };
    let result = answer.text[result.clone()].to_owned();
    let members = Members::of(&result);
    let get = |name: &str| members.as_ref().and_then(|members| members.get(name)).map(str::to_owned);
    let usual = Opening::default();
    peer.tell(message::notification("notifications/initialized", None));
    Ok(Opening {
        era: Era::Legacy,
        capabilities: get("capabilities").unwrap_or(usual.capabilities),
        info: get("serverInfo").unwrap_or(usual.info),
        instructions: get("instructions"),
        result,
    })
}

fn discovered(answer: &Answer) -> Option<Opening> {
    let result = answer.text[answer.result.clone()?].to_owned();
    let members = Members::of(&result)?;
    let versions = json::elements(members.get("supportedVersions")?)?;
    if !versions.iter().any(|version| json::text(version).as_deref() == Some(MODERN)) {
        return None;
    }
    let usual = Opening::default();
    let get = |name: &str| members.get(name).map(str::to_owned);
    let info = members.object("_meta").and_then(|meta| meta.get(SERVER_INFO).map(str::to_owned));
    Some(Opening {
        era: Era::Modern,
        capabilities: get("capabilities").unwrap_or(usual.capabilities),
        info: info.or_else(|| get("serverInfo")).unwrap_or(usual.info),
        instructions: get("instructions"),
        result: result.clone(),
    })
}

/// Whether a transport's refusal may come from a server that does not know the newer way.
fn may_be_old(answer: &Answer) -> bool {
    let data = Members::of(&answer.text).and_then(|members| members.object("error")?.object("data"));
    let status = data.and_then(|data| data.get("status")?.parse::<u16>().ok());
    matches!(status, Some(400 | 404..=406 | 415 | 422))
}

fn why_not(answer: &Answer) -> String {
    let error = Members::of(&answer.text).and_then(|members| members.object("error"));
    let why = error.and_then(|error| error.text("message")).unwrap_or_default();
    if answer.is_real { format!("it refused to be greeted: {why}") } else { why }
}

fn client_info() -> String {
    json::object([
        ("name", json::quote("mcpkeel")),
        ("title", json::quote("mcpkeel gateway")),
        ("version", json::quote(env!("CARGO_PKG_VERSION"))),
    ])
}

fn meta() -> String {
    json::object([
        (VERSION, json::quote(MODERN).as_str()),
        (CLIENT_INFO, &client_info()),
        (CLIENT_CAPABILITIES, CAPABILITIES),
    ])
}

/// A request of our own with what 2026 wants in it.
pub(super) fn with_meta(text: &str) -> String {
    let params = Members::of(text).and_then(|message| message.get("params")).unwrap_or("{}");
    let given = Members::of(params).and_then(|params| params.get("_meta")).unwrap_or("{}");
    let own = meta();
    let mut meta = given.to_owned();
    for (name, value) in Members::of(&own).iter().flat_map(Members::iter) {
        if Members::of(given).is_none_or(|given| given.get(name).is_none()) {
            meta = json::set(&meta, name, value);
        }
    }
    json::set(text, "params", &json::set(params, "_meta", &meta))
}

/// Reads what a process says until its output ends.
async fn read(peer: Arc<Peer>, stdout: impl AsyncRead + Unpin) {
    let mut lines = Lines::new(stdout);
    let why = loop {
        match lines.next().await {
            Ok(Some(Read::Text(line))) => said(&peer, line),
            Ok(Some(Read::TooLong(glance))) => {
                unreadable(&peer, &glance, "sent more than 64 MiB in one message")
            }
            Ok(None) => break format!("`{}` ended", peer.name),
            Err(error) => break format!("`{}` cannot be read: {error}", peer.name),
        }
    };
    peer.end(&why);
}

fn said(peer: &Peer, line: Vec<u8>) {
    let text = match String::from_utf8(line) {
        Ok(text) => text,
        Err(error) => return unreadable(peer, &glance(error.as_bytes()), "sent something that is not UTF-8"),
    };
    let line = json::one_line(&text);
    if line.starts_with('[') {
        // A batch, as it was in 2025-03-26.
        match json::elements(&line) {
            Some(elements) => elements.into_iter().for_each(|element| one(peer, element.to_owned())),
            None => unreadable(peer, &glance(line.as_bytes()), "sent something that is not JSON-RPC"),
        }
        return;
    }
    match line {
        std::borrow::Cow::Borrowed(whole) if whole.len() == text.len() => one(peer, text),
        line => one(peer, line.into_owned()),
    }
}

fn one(peer: &Peer, text: String) {
    match Envelope::look(&text) {
        Ok((kind, params)) => peer.hears(Envelope { text, kind, params }, None, true),
        Err(_) => unreadable(peer, &glance(text.as_bytes()), "sent something that is not JSON-RPC"),
    }
}

fn glance(bytes: &[u8]) -> message::Glance {
    let mut glance = message::Glance::default();
    glance.feed(bytes);
    glance
}

/// Whoever waits for it must not wait for ever.
fn unreadable(peer: &Peer, glance: &message::Glance, what: &str) {
    (peer.hear)(Heard::Fault(format!("it {what}")));
    match glance.seen() {
        (Some(id), false) => {
            let why = format!("`{}` {what}", peer.name);
            if let Ok(envelope) = Envelope::read(message::error(Some(id), UNREACHABLE, &why, None)) {
                peer.hears(envelope, None, false);
            }
        }
        (Some(id), true) => peer.tell(message::error(Some(id), INVALID_REQUEST, what, None)),
        (None, _) => {}
    }
}

/// Speaks to a server at an address by a bridge's transport.
fn remote(name: &str, upstream: crate::bridge::Upstream, hear: Hear) -> Result<Arc<Peer>, OpenError> {
    let (to, mut messages) = mpsc::unbounded_channel::<String>();
    let peer = Peer::new(name, Out::Task(std::sync::Mutex::new(Some(to))), Arc::clone(&hear));
    let (to_server, inbox) = mpsc::channel(WAITING);
    let (outbox, mut from_server) = mpsc::channel::<Incoming>(WAITING);
    let (keep, hurried) = watch::channel(false);
    let note = Arc::new(move |text: &str| hear(Heard::Fault(text.to_owned())));
    let link = Link { inbox, outbox, hurry: Hurry(hurried), note };
    let ended = crate::bridge::start(upstream, name, link).map_err(|error| OpenError(error.to_string()))?;
    tokio::spawn(async move {
        while let Some(text) = messages.recv().await {
            let Some(message) = Message::own(text) else { continue };
            if to_server.send(message).await.is_err() {
                break;
            }
        }
    });
    let listener = Arc::clone(&peer);
    tokio::spawn(async move {
        while let Some(Incoming { message, origin }) = from_server.recv().await {
            let Ok(envelope) = Envelope::read(message.text) else { continue };
            let about = match &origin {
                Origin::Server(Some(id)) => id.as_json().parse().ok(),
                _ => None,
            };
            listener.hears(envelope, about, matches!(origin, Origin::Server(_)));
        }
        // The transport ends when our side is closed.
        let _ = ended.await;
        drop(keep);
        listener.end(&format!("the connection to `{}` ended", listener.name));
    });
    Ok(peer)
}

#[cfg(windows)]
async fn write(mut stdin: tokio::process::ChildStdin, mut messages: mpsc::UnboundedReceiver<String>) {
    use tokio::io::AsyncWriteExt as _;
    while let Some(text) = messages.recv().await {
        let line = text + "\n";
        // A process that reads no more is seen by the end of its output.
        if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
            break;
        }
    }
}
