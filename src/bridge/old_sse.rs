//! HTTP with server-sent events, the transport of 2024: one stream brings everything, and says at its start
//! where messages are to be posted.
//!
//! When the stream is lost, so is the session: what was asked is answered with an error, and a new session is
//! opened with the client's own words.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::json;
use super::link::{Link, Outbox, Trouble};
use super::message::{Id, Kind, Message};
use super::remote::{Reply, Server};
use super::sse::{Event, Events};

/// How long the stream may take to say where to post.
const GREETING: Duration = Duration::from_secs(15);
/// How long a post that others wait for may take.
const POST: Duration = Duration::from_secs(30);
/// How long answers are waited for once the client is gone.
const GRACE: Duration = Duration::from_secs(2);
/// How often a lost stream is opened anew before the next message has to ask for it.
const TRIES: u32 = 5;

/// Speaks to a server until the inbox ends.
pub async fn run(name: &str, server: Server, mut link: Link) -> u8 {
    let outbox = Outbox::new(name, &link);
    let mut talk = Talk { server, outbox, open: None, waiting: BTreeMap::new(), opening: None, opened: None };
    let mut posts = JoinSet::new();
    let mut stopped = link.hurry.clone();
    loop {
        tokio::select! {
            message = link.inbox.recv() => match message {
                Some(message) => talk.take(message, &mut posts).await,
                None => break,
            },
            event = talk.event() => talk.hand_on(event).await,
            Some(Ok(failed)) = posts.join_next(), if !posts.is_empty() => talk.post_ended(failed).await,
            () = stopped.comes() => break,
        }
    }
    let finish = async {
        while !talk.waiting.is_empty() && talk.open.is_some() {
            tokio::select! {
                event = talk.event() => { talk.hand_on_last(event).await; }
                Some(Ok(failed)) = posts.join_next(), if !posts.is_empty() => talk.post_ended(failed).await,
            }
        }
    };
    tokio::select! {
        _ = timeout(GRACE, finish) => {}
        () = link.hurry.comes() => {}
    }
    0
}

/// A request whose post failed, and why.
type Failed = Option<(Option<Id>, Trouble)>;

struct Talk {
    server: Server,
    outbox: Outbox,
    open: Option<Open>,
    /// Requests without an answer; the value is unused but for its order.
    waiting: BTreeMap<String, Id>,
    /// The client's `initialize` and `notifications/initialized`, for a new session.
    opening: Option<Message>,
    opened: Option<Message>,
}

/// An open stream, and where its messages are posted.
struct Open {
    events: Events,
    post: Url,
}

impl Talk {
    async fn take(&mut self, message: Message, posts: &mut JoinSet<Failed>) {
        let id = if let Kind::Request(id, _) = &message.kind { Some(id.clone()) } else { None };
        if let Some(id) = &id {
            self.waiting.insert(id.as_json().to_owned(), id.clone());
        }
        if let Some(cancelled) = message.cancels() {
            self.waiting.remove(cancelled.as_json());
        }
        let is_first = message.method() == Some("initialize");
        if self.open.is_none()
            && let Err(trouble) = self.connect(is_first).await
        {
            return self.fail(id, &trouble).await;
        }
        match message.method() {
            Some("initialize") => self.opening = Some(message.clone()),
            Some("notifications/initialized") => self.opened = Some(message.clone()),
            _ => {}
        }
        let Some(open) = &self.open else { return };
        let (server, url) = (self.server.clone(), open.post.clone());
        // The order of notifications counts, that of other messages does not.
        let in_order = matches!(message.kind, Kind::Notification(_)) || is_first;
        let failed_id = id.clone();
        let post = async move {
            match server.post(&url, &message.text, HeaderMap::new()).await {
                Ok(Reply::Accepted(_)) => None,
                Ok(Reply::Refused(refusal)) => Some((id, refusal.trouble(&server.place))),
                Err(trouble) => Some((id, trouble)),
            }
        };
        if in_order {
            let failed = timeout(POST, post).await;
            let late = || (failed_id, self.server.place.trouble(None, "did not take a message in time"));
            let failed = failed.unwrap_or_else(|_| Some(late()));
            self.post_ended(failed).await;
        } else {
            posts.spawn(post);
        }
    }

    async fn post_ended(&mut self, failed: Failed) {
        if let Some((id, trouble)) = failed {
            self.fail(id, &trouble).await;
        }
    }

    async fn fail(&mut self, id: Option<Id>, trouble: &Trouble) {
        match id {
            Some(id) if self.waiting.remove(id.as_json()).is_some() => self.outbox.fail(&id, trouble).await,
            _ => self.outbox.note(&trouble.text),
        }
    }

    /// The next event, or none when the stream is lost; for ever while there is no stream.
    async fn event(&mut self) -> Option<Event> {
        match &mut self.open {
            Some(open) => open.events.next().await.ok().flatten(),
            None => std::future::pending().await,
        }
    }

    async fn hand_on(&mut self, event: Option<Event>) {
        if !self.hand_on_last(event).await && self.opening.is_some() {
            for tries in 0..TRIES {
                match self.connect(false).await {
                    Ok(()) => return,
                    Err(trouble) if tries + 1 == TRIES => self.outbox.note(&trouble.text),
                    Err(_) => sleep(Duration::from_millis(200) * 2_u32.pow(tries)).await,
                }
            }
        }
    }

    /// Whether the stream still stands.
    async fn hand_on_last(&mut self, event: Option<Event>) -> bool {
        let Some(event) = event else {
            self.open = None;
            for id in std::mem::take(&mut self.waiting).into_values() {
                let trouble = self.server.place.trouble(None, "closed the stream before it answered");
                self.outbox.fail(&id, &trouble).await;
            }
            return false;
        };
        if let Some(text) = event.message() {
            for message in Message::read(text).into_iter().flatten() {
                if let Some(id) = message.answers() {
                    self.waiting.remove(id.as_json());
                }
            }
            self.outbox.deliver(text, None).await;
        }
        true
    }

    /// Opens the stream, and unless the client is about to do so itself, the session.
    async fn connect(&mut self, client_opens: bool) -> Result<(), Trouble> {
        let place = self.server.place.clone();
        let response = match self.server.listen(HeaderMap::new()).await? {
            Reply::Accepted(response) => response,
            Reply::Refused(refusal) => return Err(refusal.trouble(&place)),
        };
        let mut events = Events::of(response);
        let post = timeout(GREETING, endpoint(&mut events)).await.ok().flatten();
        let post =
            post.ok_or_else(|| place.trouble(None, "did not say where to post: is it an SSE server?"))?;
        let post = self.server.url().join(&post).ok();
        let same = |url: &Url| url.origin() == self.server.url().origin();
        let Some(post) = post.filter(same) else {
            // Our headers are for this server alone.
            return Err(
                place.trouble(None, "wants messages to be posted to another server, which is refused")
            );
        };
        if !client_opens && let Some(opening) = &self.opening {
            self.outbox.note(&format!("{place} lost the session; a new one is opened"));
            self.server.post(&post, &opening.text, HeaderMap::new()).await?;
            let lost = || place.trouble(None, "lost the session and opens no new one");
            timeout(GREETING, opened(&mut events, opening)).await.ok().flatten().ok_or_else(lost)?;
            if let Some(opened) = &self.opened {
                self.server.post(&post, &opened.text, HeaderMap::new()).await?;
            }
        }
        self.open = Some(Open { events, post });
        Ok(())
    }
}

async fn endpoint(events: &mut Events) -> Option<String> {
    while let Ok(Some(event)) = events.next().await {
        if event.name.as_deref() == Some("endpoint") {
            return Some(event.data.trim().to_owned());
        }
    }
    None
}

/// Waits for the answer to our repeated `initialize`, which the client must not see.
async fn opened(events: &mut Events, opening: &Message) -> Option<()> {
    let Kind::Request(id, _) = &opening.kind else { return None };
    while let Ok(Some(event)) = events.next().await {
        for message in event.message().map(Message::read).unwrap_or_default().into_iter().flatten() {
            if message.answers() == Some(id) {
                return message.member("result").and_then(json::Members::of).map(|_| ());
            }
        }
    }
    None
}
