//! What servers say by themselves, and who is told.
//!
//! Invariant: what a server says while requests of several callers are under way, and which of them it means
//! cannot be known, is told to none of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::guards::Refusal;
use super::house::{House, Listener, lock};
use super::session::{Asked, Session};
use super::stock::List;
use super::view::{Gate, View, Way};
use crate::bridge::eras::SUBSCRIPTION;
use crate::bridge::json::{self, Members};
use crate::bridge::message::{self, INTERNAL};
use crate::upstream::{Envelope, Era, Kind, Mouth, Peer, error_for};

/// How long a server may take to take a subscription.
const PATIENCE: Duration = Duration::from_secs(10);

/// Levels of what servers tell, from the least to the most important.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(1)
}

/// What everyone sees, to be held against what they see later.
pub fn views(house: &Arc<House>) -> Seen {
    let sessions = house.sessions().into_iter().map(|session| {
        let view = house.view(&session.caller, &session.endpoint);
        (session, view)
    });
    let listeners = lock(&house.listeners).clone();
    let listeners = listeners.into_iter().map(|listener| {
        let view = house.view(&listener.caller, &listener.endpoint);
        (listener, view)
    });
    Seen { sessions: sessions.collect(), listeners: listeners.collect() }
}

/// What everyone saw.
pub struct Seen {
    sessions: Vec<(Arc<Session>, Arc<View>)>,
    listeners: Vec<(Arc<Listener>, Arc<View>)>,
}

impl Seen {
    /// Tells those who see something else now.
    pub fn tell(self, house: &Arc<House>) {
        const METHODS: [(&[List], &str); 3] = [
            (&[List::Tools], "notifications/tools/list_changed"),
            (&[List::Prompts], "notifications/prompts/list_changed"),
            (&[List::Resources, List::Templates], "notifications/resources/list_changed"),
        ];
        let differs = |before: &View, now: &View, lists: &[List]| {
            lists.iter().any(|list| before.list(*list) != now.list(*list))
        };
        for (session, before) in &self.sessions {
            let now = house.view(&session.caller, &session.endpoint);
            for (_, method) in METHODS.iter().filter(|(lists, _)| differs(before, &now, lists)) {
                session.say(message::notification(method, None));
            }
        }
        for (listener, before) in &self.listeners {
            let now = house.view(&listener.caller, &listener.endpoint);
            let wanted = METHODS.iter().filter(|(_, method)| listener.notifications.contains(method));
            for (_, method) in wanted.filter(|(lists, _)| differs(before, &now, lists)) {
                listener.mouth.note(for_listener(listener, method, "{}"));
            }
        }
    }
}

fn for_listener(listener: &Listener, method: &str, params: &str) -> String {
    let meta = Members::of(params).and_then(|params| params.get("_meta")).unwrap_or("{}");
    let meta = json::set(meta, SUBSCRIPTION, &listener.id);
    message::notification(method, Some(&json::set(params, "_meta", &meta)))
}

/// A server said something that wants no answer, and that is no change of a list.
pub fn notified(house: &Arc<House>, server: &str, envelope: &Envelope, mouths: &[Mouth]) {
    let Some(method) = envelope.method() else { return };
    match method {
        "notifications/resources/updated" => updated(house, server, envelope),
        "notifications/cancelled" => withdrawn(house, server, envelope),
        "notifications/tasks/status" => of_task(house, server, envelope, mouths),
        "notifications/message" => {
            let level = envelope.members().and_then(|params| params.text("level")).unwrap_or_default();
            match one_of(house, mouths) {
                Some(mouth) => {
                    let session = house.session_by_number(mouth.caller);
                    if session.is_none_or(|session| wants(&session, &level)) {
                        mouth.note(envelope.text.clone());
                    }
                }
                // Of nobody's request: for all who asked to be told.
                None if mouths.is_empty() => {
                    for session in house.sessions() {
                        let view = house.view(&session.caller, &session.endpoint);
                        let sees = view.servers.iter().any(|name| name == server);
                        if sees && session.level().is_some() && wants(&session, &level) {
                            session.say(envelope.text.clone());
                        }
                    }
                }
                None => {}
            }
        }
        _ => {
            if let Some(mouth) = one_of(house, mouths) {
                mouth.note(envelope.text.clone());
            } else if mouths.is_empty() {
                for session in house.sessions() {
                    let view = house.view(&session.caller, &session.endpoint);
                    if view.servers.iter().any(|name| name == server) {
                        session.say(envelope.text.clone());
                    }
                }
            }
        }
    }
}

fn wants(session: &Session, level: &str) -> bool {
    let least = session.level().and_then(|level| json::text(&level));
    least.is_none_or(|least| rank(level) >= rank(&least))
}

/// The one whose request a message must belong to: the newest, when all are of one caller.
fn one_of<'m>(house: &House, mouths: &'m [Mouth]) -> Option<&'m Mouth> {
    let newest = mouths.last()?;
    let who = |mouth: &Mouth| match house.session_by_number(mouth.caller) {
        Some(session) => session.caller.number,
        None => mouth.caller,
    };
    let one = who(newest);
    mouths.iter().all(|mouth| who(mouth) == one).then_some(newest)
}

fn updated(house: &Arc<House>, server: &str, envelope: &Envelope) {
    let Some(uri) = envelope.members().and_then(|params| params.text("uri")) else { return };
    let sees = |view: &View| {
        let is_denied = matches!(view.unlisted(server, &uri).gate, Gate::Denied(_));
        !is_denied && view.servers.iter().any(|name| name == server)
    };
    for session in house.sessions() {
        if session.hears_of(&uri) && sees(&house.view(&session.caller, &session.endpoint)) {
            session.say(envelope.text.clone());
        }
    }
    let listeners = lock(&house.listeners).clone();
    for listener in listeners {
        if listener.resources.contains(&uri) && sees(&house.view(&listener.caller, &listener.endpoint)) {
            let params = envelope.params.as_ref().map_or("{}", |params| envelope.part(params));
            listener.mouth.note(for_listener(&listener, "notifications/resources/updated", params));
        }
    }
}

/// A server tells how a task stands: for the one who began it.
fn of_task(house: &Arc<House>, server: &str, envelope: &Envelope, mouths: &[Mouth]) {
    let task = envelope.members().and_then(|params| house.task(&params.text("taskId")?));
    let Some((whose, _)) = task.filter(|(_, runs_on)| runs_on == server) else {
        // Before the answer that names it, or of nobody who is here.
        if let Some(mouth) = one_of(house, mouths) {
            mouth.note(envelope.text.clone());
        }
        return;
    };
    for session in house.sessions().iter().filter(|session| session.caller.name == whose) {
        if house.view(&session.caller, &session.endpoint).servers.iter().any(|name| name == server) {
            session.say(envelope.text.clone());
        }
    }
}

/// A server takes back a question.
fn withdrawn(house: &Arc<House>, server: &str, envelope: &Envelope) {
    let Some(params) = envelope.members() else { return };
    let Some(id) = params.get("requestId") else { return };
    let Some(peer) = peer_of(house, server) else { return };
    for session in house.sessions() {
        if let Some(number) = session.withdraw(&peer, id) {
            session.say(envelope.with(&mut [(envelope.place(id), &number.to_string())]));
            return;
        }
    }
}

/// A server wants to know something.
pub fn asked(house: &Arc<House>, server: &str, envelope: &Envelope, mouths: &[Mouth]) {
    let Kind::Request { id: id_at, method } = &envelope.kind else { return };
    let id = envelope.part(id_at);
    let Some(peer) = peer_of(house, server) else { return };
    let refuse = |code: i64, why: &str| peer.tell(error_for(id, code, why));
    if method == "ping" {
        return peer.tell(json::object([("jsonrpc", "\"2.0\""), ("id", id), ("result", "{}")]));
    }
    // Callers of 2026 are not asked in this way by a server that speaks their era.
    let older: Vec<Mouth>;
    let mouths = match peer.speaks(Era::Modern) {
        false => mouths,
        true => {
            let is_older = |mouth: &&Mouth| house.session_by_number(mouth.caller).is_some();
            older = mouths.iter().filter(is_older).cloned().collect();
            &older
        }
    };
    if let Some(mouth) = one_of(house, mouths) {
        let Some(session) = house.session_by_number(mouth.caller) else {
            // A caller of 2026: its task makes a result of the question.
            if !mouth.note(envelope.text.clone()) {
                refuse(INTERNAL, "the client does not listen");
            }
            return;
        };
        let say = |text| mouth.note(text);
        return put(&session, &peer, envelope, say);
    }
    if !mouths.is_empty() {
        return refuse(
            INTERNAL,
            "several clients are waiting for this server, and which one is meant is not said",
        );
    }
    // Outside of any request: for the one client that can answer.
    let mut able: Vec<Arc<Session>> = house.sessions();
    able.retain(|session| {
        let view = house.view(&session.caller, &session.endpoint);
        session.can(method) && view.servers.iter().any(|name| name == server)
    });
    let rooted = house.rooted.load(std::sync::atomic::Ordering::Relaxed);
    let named = able.iter().find(|session| method == "roots/list" && session.number == rooted).cloned();
    match (named, able.as_slice()) {
        (Some(session), _) => put(&session, &peer, envelope, |text| session.say(text)),
        (None, [session]) => put(session, &peer, envelope, |text| session.say(text)),
        (None, _) => refuse(-32601, &format!("no client is there that could answer {method}")),
    }
}

/// Puts a server's question to a client.
fn put(session: &Arc<Session>, peer: &Arc<Peer>, envelope: &Envelope, say: impl FnOnce(String) -> bool) {
    let Kind::Request { id: id_at, method } = &envelope.kind else { return };
    let id = envelope.part(id_at);
    if !session.can(method) {
        return peer.tell(error_for(id, -32601, &format!("the client cannot do {method}")));
    }
    let number = session.ask(Asked::Server(Arc::downgrade(peer), id.to_owned()));
    let said = number.is_some_and(|number| say(envelope.with(&mut [(id_at.clone(), &number.to_string())])));
    if !said {
        if let Some(number) = number {
            session.answered(
                &number.to_string(),
                Err(r#"{"code":-32603,"message":"the client does not listen"}"#.to_owned()),
            );
        } else {
            peer.tell(error_for(id, INTERNAL, "too many questions are open"));
        }
    }
}

/// A caller wants to be told from this level on (JSON) by these servers: those of 2025 that can, are told the least
/// one that anybody wants.
pub fn set_level(house: &Arc<House>, servers: &[String], level: &str) {
    let levels = house.sessions().into_iter().filter_map(|session| session.level());
    let least = levels
        .chain([level.to_owned()])
        .min_by_key(|level| json::text(level).map_or(1, |level| rank(&level)));
    let level = least.unwrap_or_else(|| level.to_owned());
    for server in servers {
        if house.stock(server).is_some_and(|stock| stock.can("logging"))
            && let Some(peer) = peer_of(house, server).filter(|peer| peer.speaks(Era::Legacy))
        {
            let params = json::object([("level", level.as_str())]);
            tokio::spawn(async move {
                // A server that refuses it says less or more than it was asked to; what it says is sorted anyway.
                let _ = peer.request_older("logging/setLevel", &params, PATIENCE).await;
            });
        }
    }
}

/// A client says something to every server that it sees.
pub fn pass_down(house: &Arc<House>, view: &View, text: &str) {
    for server in &view.servers {
        if let Some(peer) = peer_of(house, server).filter(|peer| peer.speaks(Era::Legacy)) {
            peer.tell(text.to_owned());
        }
    }
}

/// A caller wants to hear of a resource, or no longer.
///
/// # Errors
/// Why the server does not tell of it.
pub async fn subscribe(house: &Arc<House>, view: &View, uri: &str, wants: bool) -> Result<(), Refusal> {
    let Some(Way { server, gate, .. }) = view.watched(uri) else {
        return Err(Refusal::Broken("no server has resources".to_owned()));
    };
    if let Gate::Denied(policy) = gate {
        return Err(Refusal::Denied(policy));
    }
    let Some(peer) = peer_of(house, &server).filter(|peer| peer.speaks(Era::Legacy)) else {
        house.other_wishes.notify_waiters();
        // A server of 2026 is listened to by another task; one that is down is told when it comes.
        return Ok(());
    };
    if !wants && wanted(house, &server).iter().any(|known| known == uri) {
        // Others still want it.
        return Ok(());
    }
    let method = if wants { "resources/subscribe" } else { "resources/unsubscribe" };
    let params = json::object([("uri", json::quote(uri))]);
    peer.request_older(method, &params, PATIENCE).await.map(drop).map_err(Refusal::Broken)
}

/// The resources of a server that somebody wants to hear of.
pub fn wanted(house: &Arc<House>, server: &str) -> Vec<String> {
    let mut uris = BTreeSet::new();
    let mut add = |view: &View, uri: &String| {
        if view.watched(uri).is_some_and(|way| &*way.server == server && !matches!(way.gate, Gate::Denied(_)))
        {
            uris.insert(uri.clone());
        }
    };
    for session in house.sessions() {
        let subscribed = session.subscribed();
        if !subscribed.is_empty() {
            let view = house.view(&session.caller, &session.endpoint);
            subscribed.iter().for_each(|uri| add(&view, uri));
        }
    }
    for listener in lock(&house.listeners).iter() {
        let view = house.view(&listener.caller, &listener.endpoint);
        listener.resources.iter().for_each(|uri| add(&view, uri));
    }
    uris.into_iter().collect()
}

/// Says to a server of 2025 that has just come what callers want of it.
pub async fn resubscribe(house: &Arc<House>, server: &str, peer: &Arc<Peer>) {
    if !peer.speaks(Era::Legacy) {
        return;
    }
    for uri in wanted(house, server) {
        let params = json::object([("uri", json::quote(&uri))]);
        // One that is gone by now tells nothing, as one that never changes.
        let _ = peer.request_older("resources/subscribe", &params, PATIENCE).await;
    }
    let levels = house.sessions().into_iter().filter_map(|session| session.level());
    if let Some(level) = levels.min_by_key(|level| json::text(level).map_or(1, |level| rank(&level)))
        && house.stock(server).is_some_and(|stock| stock.can("logging"))
    {
        let params = json::object([("level", level.as_str())]);
        let _ = peer.request_older("logging/setLevel", &params, PATIENCE).await;
    }
}

/// The server, if it can be spoken to now.
pub fn peer_of(house: &House, server: &str) -> Option<Arc<Peer>> {
    house.supervisor()?.server(server)?.peer()
}
