//! Streams that stay open: what a session hears beside its requests, and what a caller of 2026 listens for.
//!
//! Invariant: a stream ends with its session, and dropping one forgets what hung on it.

use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};

use super::exchange::{SESSION, Visit, json_of, session, status, streamed};
use super::house::{House, Listener, lock};
use super::page::{Message, Page, Source};
use super::session::Session;
use super::view::View;
use crate::bridge::eras::SUBSCRIPTION;
use crate::bridge::json;
use crate::guard::Scope;
use crate::upstream::{Ear, Envelope, Told, error_for, pair};

/// Notifications of changes: what a listener calls them, and what they are called.
const CHANGES: [(&str, &str); 3] = [
    ("toolsListChanged", "notifications/tools/list_changed"),
    ("promptsListChanged", "notifications/prompts/list_changed"),
    ("resourcesListChanged", "notifications/resources/list_changed"),
];

/// A client's standing stream.
pub fn get(house: &Arc<House>, visit: &Visit, headers: &HeaderMap) -> Response<Page> {
    let session = match session(house, visit, headers) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    let Some(ear) = session.listen() else {
        let why = "Conflict: this session has its stream already";
        return json_of(StatusCode::CONFLICT, error_for("null", -32000, why));
    };
    let standing = Standing { session: Arc::clone(&session), ear: Some(ear) };
    streamed(Page::stream(Vec::new(), Box::new(standing)))
}

/// A client goes.
pub fn delete(house: &Arc<House>, visit: &Visit, headers: &HeaderMap) -> Response<Page> {
    match session(house, visit, headers) {
        Err(response) => *response,
        Ok(_) => {
            if let Some(id) = headers.get(&SESSION).and_then(|id| id.to_str().ok()) {
                house.close(id);
            }
            status(StatusCode::NO_CONTENT)
        }
    }
}

struct Standing {
    session: Arc<Session>,
    ear: Option<Ear>,
}

impl Source for Standing {
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let Some(ear) = &mut self.ear else { return Poll::Ready(None) };
        match ear.poll(context) {
            Poll::Ready(Told::Note(text)) => Poll::Ready(Some(Message { text, id: None })),
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if let Some(ear) = self.ear.take() {
            self.session.hang_up(ear);
        }
    }
}

/// A caller of 2026 listens for changes, until it goes.
pub async fn listen(house: &Arc<House>, visit: &Visit, id: &str, envelope: &Envelope) -> Response<Page> {
    let wanted = envelope.members().and_then(|params| params.object("notifications"));
    let wants = |name: &str| wanted.as_ref().and_then(|wanted| wanted.get(name)) == Some("true");
    let agreed: Vec<(&str, &'static str)> = CHANGES.into_iter().filter(|(name, _)| wants(name)).collect();
    let uris = wanted.as_ref().and_then(|wanted| wanted.get("resourceSubscriptions"));
    let uris = uris.filter(|_| visit.caller.may(Scope::ResourcesRead)).and_then(json::elements);
    let uris: Vec<String> = uris.unwrap_or_default().into_iter().filter_map(json::text).collect();
    let mut filter: Vec<(&str, String)> = agreed.iter().map(|(name, _)| (*name, "true".to_owned())).collect();
    if !uris.is_empty() {
        let quoted: Vec<String> = uris.iter().map(|uri| json::quote(uri)).collect();
        filter.push(("resourceSubscriptions", format!("[{}]", quoted.join(","))));
    }
    let meta = json::object([(SUBSCRIPTION, id)]);
    let params = json::object([("_meta", meta), ("notifications", json::object(filter))]);
    let opened =
        crate::bridge::message::notification("notifications/subscriptions/acknowledged", Some(&params));
    let (mouth, ear) = pair(visit.caller.number);
    let listener = Arc::new(Listener {
        caller: Arc::clone(&visit.caller),
        endpoint: visit.endpoint.clone(),
        id: id.to_owned(),
        notifications: agreed.into_iter().map(|(_, notification)| notification).collect(),
        resources: uris.clone(),
        mouth,
    });
    lock(&house.listeners).push(Arc::clone(&listener));
    // Takes the listener out again, also when the caller goes while servers are still being told.
    let source = Listening { house: Arc::clone(house), listener, ear };
    let view: Arc<View> = house.view(&visit.caller, &visit.endpoint);
    for uri in &uris {
        // One that cannot be listened to says nothing, as one that never changes.
        let _ = super::news::subscribe(house, &view, uri, true).await;
    }
    streamed(Page::stream(vec![Message { text: opened, id: None }], Box::new(source)))
}

struct Listening {
    house: Arc<House>,
    listener: Arc<Listener>,
    ear: Ear,
}

impl Source for Listening {
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        match self.ear.poll(context) {
            Poll::Ready(Told::Note(text) | Told::Answer(crate::upstream::Answer { text, .. })) => {
                Poll::Ready(Some(Message { text, id: None }))
            }
            Poll::Ready(Told::Ended) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        lock(&self.house.listeners).retain(|other| !Arc::ptr_eq(other, &self.listener));
    }
}
