//! Streamable HTTP: each message of the client is a POST of its own, answered by JSON or a stream of events.
//!
//! Of the 2025 era with a session, a stream of the server's own, and streams that are resumed; of the 2026 era
//! with headers that mirror the body, and a closed stream as the cancellation. Which era a request belongs to
//! stands in the request.
//!
//! Invariant: a request is sent once. It is sent again only when the server said before doing anything that
//! the session is gone or the headers are wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::json;
use super::link::{Hurry, Link, Outbox, Trouble, Turns};
use super::message::{self, Id, Kind, Message};
use super::mirror::{self, Mirrors};
use super::remote::{self, Refusal, Reply, Server};
use super::sse::{Broken, Events};

/// How long answers are waited for once the client is gone.
const GRACE: Duration = Duration::from_secs(2);
/// How long the end of the session may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a stream may stay open after the answer it was for.
const LINGER: Duration = Duration::from_secs(1);
/// How long the server's own stream may take before requests go on without it.
const OPENING: Duration = Duration::from_millis(500);
/// How long to wait before connecting again, unless the server says.
const RETRY: Duration = Duration::from_secs(1);
/// The longest wait before connecting again.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// The longest wait before connecting again to a server on this machine.
const NEAR_RETRY: Duration = Duration::from_secs(2);
/// How often a stream is resumed without anything new.
const RESUMES: u32 = 5;
/// How many requests may be under way.
const IN_FLIGHT: usize = 1024;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// Speaks to a server until the inbox ends.
pub async fn run(name: &str, server: Server, link: Link) -> u8 {
    let (renewed, _) = watch::channel(0);
    let http = Arc::new(Http {
        outbox: Outbox::new(name, &link),
        server,
        session: Mutex::default(),
        renewed,
        renewing: tokio::sync::Mutex::default(),
        flights: Mutex::default(),
        mirrors: Mutex::default(),
    });
    Loop { http, turns: Turns::new(), notices: Turns::new(), tasks: JoinSet::new(), stream: None }
        .run(link.inbox, link.hurry)
        .await;
    0
}

/// What the tasks share.
struct Http {
    server: Server,
    outbox: Outbox,
    session: Mutex<Session>,
    /// The number of the session, for the stream that belongs to it.
    renewed: watch::Sender<u64>,
    renewing: tokio::sync::Mutex<()>,
    flights: Mutex<HashMap<Id, Flight>>,
    mirrors: Mutex<Mirrors>,
}

/// What the server and the client agreed on in the 2025 era.
#[derive(Clone, Default)]
struct Session {
    /// Counts up with each one.
    number: u64,
    id: Option<HeaderValue>,
    version: Option<HeaderValue>,
    /// The client's `initialize` and `notifications/initialized`, for a new session.
    opening: Option<Arc<Message>>,
    opened: Option<Arc<Message>>,
}

/// A request under way.
struct Flight {
    task: AbortHandle,
    is_modern: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes messages from the inbox and starts a task for each.
struct Loop {
    http: Arc<Http>,
    /// `initialize` and `notifications/initialized` go before what follows them.
    turns: Turns,
    /// Notifications go one after the other.
    notices: Turns,
    tasks: JoinSet<()>,
    stream: Option<AbortHandle>,
}

impl Loop {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>, mut hurry: Hurry) {
        let mut stopped = hurry.clone();
        loop {
            tokio::select! {
                message = inbox.recv(), if self.tasks.len() < IN_FLIGHT => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
                () = stopped.comes() => break,
            }
        }
        let finish = async { while self.tasks.join_next().await.is_some() {} };
        tokio::select! {
            _ = timeout(GRACE, finish) => {}
            () = hurry.comes() => {}
        }
        self.tasks.shutdown().await;
        if let Some(stream) = self.stream {
            stream.abort();
        }
        let session = lock(&self.http.session).clone();
        if session.id.is_some() {
            // Servers may refuse it, and we are gone either way.
            let _ = timeout(FAREWELL, self.http.server.delete(session.headers())).await;
        }
    }

    fn take(&mut self, message: Message) {
        let http = Arc::clone(&self.http);
        match &message.kind {
            Kind::Request(id, method) => {
                let id = id.clone();
                let is_modern = mirror::version(&message).is_some();
                let mut turn = if method == "initialize" { self.turns.hold() } else { self.turns.after() };
                let task = self.tasks.spawn({
                    let id = id.clone();
                    async move {
                        turn.come().await;
                        http.exchange(&id, message).await;
                        lock(&http.flights).remove(&id);
                    }
                });
                lock(&self.http.flights).insert(id, Flight { task, is_modern });
            }
            Kind::Notification(method) if method == "notifications/cancelled" => self.cancel(message),
            Kind::Notification(method) if method == "notifications/initialized" => {
                let mut turn = self.turns.hold();
                let opened = Arc::new(message);
                lock(&http.session).opened = Some(Arc::clone(&opened));
                let stream = Arc::clone(&http);
                self.tasks.spawn(async move {
                    turn.come().await;
                    http.tell(&opened).await;
                });
                if self.stream.is_none() {
                    // What a server asks in answer to the first request may come on its own stream.
                    let mut turn = self.turns.hold();
                    let task = tokio::spawn(async move {
                        turn.come().await;
                        let (tell, opened) = oneshot::channel();
                        tokio::spawn(async move {
                            // Whatever came of it, others go on.
                            let _ = timeout(OPENING, opened).await;
                            drop(turn);
                        });
                        stream.listen(tell).await;
                    });
                    self.stream = Some(task.abort_handle());
                }
            }
            Kind::Notification(_) => {
                let (mut turn, mut order) = (self.turns.after(), self.notices.hold());
                self.tasks.spawn(async move {
                    turn.come().await;
                    order.come().await;
                    http.tell(&message).await;
                });
            }
            Kind::Result(_) | Kind::Error(_) => {
                self.tasks.spawn(async move { http.tell(&message).await });
            }
        }
    }

    /// In the 2025 era the server is told, in the 2026 era the closed stream tells it.
    fn cancel(&mut self, message: Message) {
        let http = Arc::clone(&self.http);
        let flight = message.cancels().and_then(|id| lock(&http.flights).remove(&id));
        if let Some(Flight { task, is_modern: true }) = &flight {
            task.abort();
            return;
        }
        self.tasks.spawn(async move {
            http.tell(&message).await;
            // No answer will come; some servers keep the stream open all the same.
            if let Some(flight) = flight {
                flight.task.abort();
            }
        });
    }
}

impl Session {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.extend(self.id.clone().map(|id| (SESSION, id)));
        headers.extend(self.version.clone().map(|version| (PROTOCOL, version)));
        headers
    }
}

impl Http {
    /// Posts what wants no answer.
    async fn tell(&self, message: &Message) {
        match self.post(message).await {
            Ok(Reply::Accepted(response)) => {
                // Some servers put messages even there.
                if is_stream(&response) {
                    let mut events = Events::of(response);
                    while let Ok(Some(event)) = events.next().await {
                        if let Some(text) = event.message() {
                            self.outbox.deliver(text, None).await;
                        }
                    }
                }
            }
            Ok(Reply::Refused(refusal)) => self.outbox.note(&refusal.trouble(&self.server.place).text),
            Err(trouble) => self.outbox.note(&trouble.text),
        }
    }

    /// Posts a request and hands on whatever comes back; an answer always comes.
    async fn exchange(&self, id: &Id, message: Message) {
        if message.method() == Some("initialize") {
            let mut session = lock(&self.session);
            let number = session.number + 1;
            *session = Session { number, opening: Some(Arc::new(message.clone())), ..Session::default() };
        }
        let outcome = match self.post(&message).await {
            Ok(Reply::Accepted(response)) => self.read(id, &message, response).await,
            Ok(Reply::Refused(refusal)) => self.refused(id, &message, refusal).await,
            Err(trouble) => Err(trouble),
        };
        if let Err(trouble) = outcome {
            self.outbox.fail(id, &trouble).await;
        }
    }

    /// Posts a message in its era; in a new session, and once more, when the old one is gone.
    async fn post(&self, message: &Message) -> Result<Reply, Trouble> {
        let url = self.server.url();
        if let Some(version) = mirror::version(message) {
            let headers = lock(&self.mirrors).headers(message, &version);
            return self.server.post(url, &message.text, headers).await;
        }
        if message.method() == Some("initialize") {
            return self.server.post(url, &message.text, HeaderMap::new()).await;
        }
        let session = lock(&self.session).clone();
        let reply = self.server.post(url, &message.text, session.headers()).await?;
        match reply {
            Reply::Refused(refusal) if session.is_lost(&refusal) => {
                self.renew(&session).await?;
                if message.answers().is_some() || message.cancels().is_some() {
                    // The question went with the session.
                    return Ok(Reply::Refused(refusal));
                }
                let session = lock(&self.session).clone();
                self.server.post(url, &message.text, session.headers()).await
            }
            reply => Ok(reply),
        }
    }

    /// Reads the answer to a request.
    async fn read(&self, id: &Id, message: &Message, response: Response) -> Result<(), Trouble> {
        let place = &self.server.place;
        self.remember(message, &response);
        if is_stream(&response) {
            return self.follow(id, message, response).await;
        }
        let status = response.status();
        let kind = header(&response, &CONTENT_TYPE);
        let Some(text) = remote::answer(response).await else {
            return Err(place.trouble(None, "broke off in its answer, or sent more than 64 MiB"));
        };
        if text.trim().is_empty() {
            return Err(place.trouble(Some(status.as_u16()), &format!("answered {status} and nothing else")));
        }
        if !is_json(&kind) && Message::read(&text).iter().any(Result::is_err) {
            return Err(
                place.trouble(None, &format!("answered with {kind} instead of JSON: is the address right?"))
            );
        }
        if self.hand_on(id, message, &text).await {
            return Ok(());
        }
        Err(place.trouble(None, "answered with something that does not answer the request"))
    }

    /// Reads a stream until the answer came, resuming it as often as it is worth it.
    async fn follow(&self, id: &Id, message: &Message, response: Response) -> Result<(), Trouble> {
        let place = &self.server.place;
        let is_modern = mirror::version(message).is_some();
        let session = lock(&self.session).clone();
        let mut events = Events::of(response);
        let mut resume = Resume::default();
        loop {
            let came = loop {
                match events.next().await {
                    Ok(Some(event)) => {
                        resume.note(event.id.as_deref(), event.retry);
                        let Some(text) = event.message() else { continue };
                        resume.tries = 0;
                        if self.hand_on(id, message, text).await {
                            break true;
                        }
                    }
                    Ok(None) | Err(Broken::Lost) => break false,
                    Err(Broken::TooLong) => {
                        return Err(place.trouble(None, "sent more than 64 MiB in one message"));
                    }
                }
            };
            if came {
                // To the end, so that the connection can be used again; others wait for the handshake.
                let is_first = message.method() == Some("initialize");
                let linger = if is_first { LINGER / 20 } else { LINGER };
                let _ = timeout(linger, async { while let Ok(Some(_)) = events.next().await {} }).await;
                return Ok(());
            }
            if message.method() == Some("subscriptions/listen") {
                if self.server.is_near() {
                    // It went away, and the client need not know: it listens again where it is back.
                    resume.tries += 1;
                    sleep(resume.wait().min(NEAR_RETRY)).await;
                    let Reply::Accepted(response) = self.post(message).await? else { return Ok(()) };
                    events = Events::of(response);
                    continue;
                }
                // What stdio has for a stream that ends.
                let params = json::object([("requestId", id.as_json())]);
                self.outbox
                    .deliver(&message::notification("notifications/cancelled", Some(&params)), None)
                    .await;
                return Ok(());
            }
            if is_modern || resume.last.is_none() {
                return Err(place.trouble(None, "closed the stream before it answered"));
            }
            events = self.resume(&session, &mut resume).await?;
        }
    }

    async fn resume(&self, session: &Session, resume: &mut Resume) -> Result<Events, Trouble> {
        let place = &self.server.place;
        loop {
            resume.tries += 1;
            if resume.tries > RESUMES {
                return Err(place.trouble(None, "closed the stream again and again before it answered"));
            }
            sleep(resume.wait()).await;
            match self.server.listen(resume.headers(session)).await {
                Ok(Reply::Accepted(response)) if is_stream(&response) => return Ok(Events::of(response)),
                Ok(Reply::Accepted(_)) => {
                    return Err(place.trouble(None, "closed the stream before it answered"));
                }
                Ok(Reply::Refused(refusal)) if refusal.status.is_client_error() => {
                    return Err(place.trouble(
                        Some(refusal.status.as_u16()),
                        &format!(
                            "closed the stream before it answered, and will not resume it ({})",
                            refusal.status
                        ),
                    ));
                }
                Ok(Reply::Refused(_)) | Err(_) => {}
            }
        }
    }

    /// Hands on what stands in an answer or an event; whether it holds the answer to the request, or hides it.
    async fn hand_on(&self, id: &Id, message: &Message, text: &str) -> bool {
        if message.method() == Some("initialize") {
            self.agree(text);
        }
        if message.method() == Some("tools/list") && mirror::version(message).is_some() {
            return self.hand_on_tools(id, text).await;
        }
        let delivered = self.outbox.deliver(text, Some(id)).await;
        if delivered.malformed && !delivered.answered {
            self.outbox
                .fail(id, &self.server.place.trouble(None, "sent something that is not JSON-RPC"))
                .await;
        }
        delivered.answered || delivered.malformed
    }

    async fn hand_on_tools(&self, id: &Id, text: &str) -> bool {
        let Some(Ok(answer)) = Message::read(text)
            .pop()
            .filter(|read| read.as_ref().is_ok_and(|message| message.answers() == Some(id)))
        else {
            let delivered = self.outbox.deliver(text, Some(id)).await;
            return delivered.answered;
        };
        let (answer, faults) = lock(&self.mirrors).learn(answer);
        for fault in faults {
            self.outbox.note(&format!("{}: {fault}", self.server.place));
        }
        self.outbox.pass(answer, Some(id)).await;
        true
    }

    /// The session that comes with the answer to `initialize`.
    fn remember(&self, message: &Message, response: &Response) {
        if message.method() == Some("initialize") {
            let mut session = lock(&self.session);
            session.id = response.headers().get(&SESSION).cloned();
            let number = session.number;
            drop(session);
            self.renewed.send_replace(number);
        }
    }

    /// The version that both speak from here on.
    fn agree(&self, text: &str) {
        for message in Message::read(text).into_iter().flatten() {
            let result = message.member("result").and_then(json::Members::of);
            if let Some(version) = result.and_then(|result| result.text("protocolVersion")) {
                lock(&self.session).version = HeaderValue::try_from(version).ok();
            }
        }
    }

    /// Passes on what the server says of itself, or says what its status means.
    async fn refused(&self, id: &Id, message: &Message, refusal: Refusal) -> Result<(), Trouble> {
        let trouble = refusal.trouble(&self.server.place);
        let Some(error) = own_words(&refusal) else { return Err(trouble) };
        if is_header_mismatch(&error) && message.method() == Some("tools/call") {
            return self.call_with_new_headers(id, message, error).await;
        }
        self.pass_error(id, &error).await;
        Ok(())
    }

    async fn pass_error(&self, id: &Id, error: &str) {
        let text = json::object([("jsonrpc", "\"2.0\""), ("id", id.as_json()), ("error", error)]);
        self.outbox.pass(Message { text, kind: Kind::Error(Some(id.clone())) }, Some(id)).await;
    }

    /// The server wants parameters in headers that we do not know of: asks it which, and calls once more. It
    /// refused the first call before doing anything.
    async fn call_with_new_headers(&self, id: &Id, message: &Message, error: String) -> Result<(), Trouble> {
        let Some(version) = mirror::version(message) else {
            self.pass_error(id, &error).await;
            return Ok(());
        };
        let meta =
            message.params().and_then(|params| params.get("_meta").map(str::to_owned)).unwrap_or_default();
        let mut cursor = None;
        loop {
            let mut params = vec![("_meta", meta.clone())];
            params.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let list = message::request(&Id::of("mcpkeel:tools"), "tools/list", Some(&json::object(params)));
            let Some(list) = Message::own(list) else { break };
            let headers = lock(&self.mirrors).headers(&list, &version);
            let Reply::Accepted(response) = self.server.post(self.server.url(), &list.text, headers).await?
            else {
                break;
            };
            let Some(answer) = single(response).await else { break };
            cursor = answer
                .member("result")
                .and_then(json::Members::of)
                .and_then(|result| result.get("nextCursor").map(str::to_owned));
            // What is wrong with the others is said when the client asks for them.
            let _ = lock(&self.mirrors).learn(answer);
            if cursor.is_none() {
                break;
            }
        }
        match self.post(message).await? {
            Reply::Accepted(response) => self.read(id, message, response).await,
            Reply::Refused(refusal) => match own_words(&refusal) {
                Some(error) => {
                    self.pass_error(id, &error).await;
                    Ok(())
                }
                None => Err(refusal.trouble(&self.server.place)),
            },
        }
    }

    /// A new session in place of a lost one, once for all who lost it.
    async fn renew(&self, lost: &Session) -> Result<(), Trouble> {
        let _one_at_a_time = self.renewing.lock().await;
        if lock(&self.session).number != lost.number {
            return Ok(());
        }
        let place = &self.server.place;
        let (Some(opening), Some(id)) = (&lost.opening, lost.opening.as_ref().and_then(|it| id_of(it)))
        else {
            return Err(place.trouble(Some(404), "lost the session"));
        };
        self.outbox.note(&format!("{place} lost the session; a new one is opened"));
        let failed = |why: &str| place.trouble(Some(404), &format!("lost the session and {why}"));
        let response = match self.server.post(self.server.url(), &opening.text, HeaderMap::new()).await? {
            Reply::Accepted(response) => response,
            Reply::Refused(refusal) => return Err(refusal.trouble(place)),
        };
        let session_id = response.headers().get(&SESSION).cloned();
        let answer = single(response).await.filter(|answer| answer.kind == Kind::Result(id.clone()));
        let answer = answer.ok_or_else(|| failed("opens no new one"))?;
        let result = answer.member("result").and_then(json::Members::of);
        let version = result.and_then(|result| result.text("protocolVersion"));
        let version = version.and_then(|version| HeaderValue::try_from(version).ok());
        if lost.version.is_some() && version != lost.version {
            return Err(failed("now speaks another version of the protocol: start it anew"));
        }
        let session = Session { number: lost.number + 1, id: session_id, version, ..lost.clone() };
        if let Some(opened) = &lost.opened
            && let Reply::Refused(refusal) =
                self.server.post(self.server.url(), &opened.text, session.headers()).await?
        {
            return Err(refusal.trouble(place));
        }
        let number = session.number;
        *lock(&self.session) = session;
        self.renewed.send_replace(number);
        Ok(())
    }

    /// The stream of the server's own messages, for as long as there is one.
    async fn listen(&self, opened: oneshot::Sender<()>) {
        let mut opened = Some(opened);
        let mut renewed = self.renewed.subscribe();
        let mut resume = Resume::default();
        loop {
            let session = lock(&self.session).clone();
            renewed.mark_unchanged();
            let reply = self.server.listen(resume.headers(&session)).await;
            // Nobody waits for it any more after the first time.
            let _ = opened.take().map(|opened| opened.send(()));
            match reply {
                Ok(Reply::Accepted(response)) if is_stream(&response) => {
                    // A stream that ends at once, again and again, is asked for less and less often.
                    resume.tries += 1;
                    let mut events = Events::of(response);
                    loop {
                        tokio::select! {
                            event = events.next() => {
                                let Ok(Some(event)) = event else { break };
                                resume.tries = 0;
                                resume.note(event.id.as_deref(), event.retry);
                                if let Some(text) = event.message() {
                                    self.outbox.deliver(text, None).await;
                                }
                            }
                            // The stream of a lost session stays silent for ever.
                            Ok(()) = renewed.changed() => {
                                resume = Resume::default();
                                break;
                            }
                        }
                    }
                }
                Ok(Reply::Refused(refusal)) if session.is_lost(&refusal) => {
                    if let Err(trouble) = self.renew(&session).await {
                        return self.outbox.note(&trouble.text);
                    }
                    resume = Resume::default();
                    continue;
                }
                // 405: it has none. Any other refusal, or no stream at all, will not change by asking again.
                Ok(Reply::Accepted(_)) => return,
                Ok(Reply::Refused(refusal)) if refusal.status.is_client_error() => return,
                Ok(Reply::Refused(_)) | Err(_) => resume.tries += 1,
            }
            let wait = if self.server.is_near() { resume.wait().min(NEAR_RETRY) } else { resume.wait() };
            // Who has a session again has a stream again.
            let _ = timeout(wait, renewed.changed()).await;
        }
    }
}

impl Session {
    /// Whether a refusal says that the session is gone: 404, and with the servers that do not know that, 400
    /// and a word about it.
    fn is_lost(&self, refusal: &Refusal) -> bool {
        self.id.is_some()
            && match refusal.status {
                StatusCode::NOT_FOUND => true,
                StatusCode::BAD_REQUEST => {
                    let error = own_words(refusal).unwrap_or_default();
                    let text = json::Members::of(&error).and_then(|error| error.text("message"));
                    text.is_some_and(|text| text.to_lowercase().contains("session"))
                }
                _ => false,
            }
    }
}

/// Where a stream broke off.
#[derive(Default)]
struct Resume {
    last: Option<HeaderValue>,
    retry: Option<Duration>,
    tries: u32,
}

impl Resume {
    fn note(&mut self, id: Option<&str>, retry: Option<Duration>) {
        if let Some(id) = id {
            self.last = HeaderValue::try_from(id).ok().filter(|id| !id.is_empty());
        }
        self.retry = retry.or(self.retry);
    }

    fn wait(&self) -> Duration {
        let first = self.retry.unwrap_or(RETRY);
        (first * 2_u32.pow(self.tries.saturating_sub(1).min(5))).min(LONGEST_RETRY.max(first))
    }

    fn headers(&self, session: &Session) -> HeaderMap {
        let mut headers = session.headers();
        headers.extend(self.last.clone().map(|last| (LAST_EVENT, last)));
        headers
    }
}

/// The answer in a response to a question of our own; anything else in it is left out.
async fn single(response: Response) -> Option<Message> {
    let is_answer = |message: &Message| message.answers().is_some();
    if !is_stream(&response) {
        let text = remote::answer(response).await?;
        return Message::read(&text).into_iter().flatten().find(is_answer);
    }
    let mut events = Events::of(response);
    while let Ok(Some(event)) = events.next().await {
        let messages = event.message().map(Message::read).unwrap_or_default();
        if let Some(answer) = messages.into_iter().flatten().find(is_answer) {
            return Some(answer);
        }
    }
    None
}

/// The JSON-RPC error in a refusal, if there is one that helps.
fn own_words(refusal: &Refusal) -> Option<String> {
    if refusal.is_about_access() {
        return None;
    }
    let text = json::one_line(&refusal.body);
    let error = json::Members::of(&text)?.get("error")?;
    let members = json::Members::of(error)?;
    members.get("code").and(members.get("message")).map(|_| error.to_owned())
}

fn is_header_mismatch(error: &str) -> bool {
    json::Members::of(error).and_then(|error| error.get("code")) == Some("-32020")
}

fn id_of(message: &Message) -> Option<&Id> {
    if let Kind::Request(id, _) = &message.kind { Some(id) } else { None }
}

fn header(response: &Response, name: &HeaderName) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("no type").to_owned()
}

fn is_stream(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).to_ascii_lowercase().starts_with("text/event-stream")
}

fn is_json(kind: &str) -> bool {
    kind.to_ascii_lowercase().contains("json")
}
