//! What the gateway does by itself when a server comes, goes, or offers something else.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::exchange::Visit;
use super::house::House;
use super::news;
use super::server_of;
use super::stock::{List, Stock};
use super::view::View;
use crate::bridge::json::{self, Members};
use crate::supervise::Standing;
use crate::system::ticks;
use crate::upstream::{Era, Heard, Peer, Told};

/// How long the first list ever waits for servers that start; only clients of this machine wait.
const FIRST: Duration = Duration::from_secs(5);

/// How often is looked.
const GLANCE: Duration = Duration::from_millis(20);

/// How long after a server has ended a subscription it is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Starts servers that were never listed and wait to be needed; and waits for those that are starting, where the
/// caller would otherwise see an empty list and perhaps never ask again. Whether it waited.
pub async fn await_first(house: &Arc<House>, view: &View, visit: &Visit) -> bool {
    for name in view.servers.iter().filter(|name| house.stock(name).is_none()) {
        let server = house.supervisor().and_then(|supervisor| supervisor.server(name));
        if let Some(server) = server.filter(|server| server.standing().is_waiting()) {
            // Why it does not come is in its log.
            tokio::spawn(async move { server.ready().await.map(drop) });
        }
    }
    if visit.caller.is_token {
        return false;
    }
    let end = ticks() + FIRST;
    let mut waited = false;
    loop {
        let is_coming = |name: &String| {
            let server = house.supervisor().and_then(|supervisor| supervisor.server(name));
            let is_on_its_way = |standing: Standing| standing.is_starting() || standing.is_waiting();
            house.stock(name).is_none() && server.is_some_and(|server| is_on_its_way(server.standing()))
        };
        if !view.servers.iter().any(is_coming) || ticks() >= end {
            return waited;
        }
        waited = true;
        tokio::time::sleep(GLANCE).await;
    }
}

/// A server was greeted: what it offers is listed, and what callers want of it is said to it.
pub fn came(house: &Arc<House>, name: &str, peer: Arc<Peer>) {
    let (house, name) = (Arc::clone(house), name.to_owned());
    tokio::spawn(async move {
        relist(&house, &name, &peer).await;
        news::resubscribe(&house, &name, &peer).await;
        if !peer.speaks(Era::Legacy) {
            listen(Arc::downgrade(&house), name, peer).await;
        }
    });
}

/// Lists what a server offers, again if that was wanted meanwhile: one at a time, so that no older list comes after
/// a newer one, and however often a server says that something has changed.
pub async fn relist(house: &Arc<House>, name: &str, peer: &Arc<Peer>) {
    if !house.begin_list(name) {
        return;
    }
    let mut peer = Arc::clone(peer);
    loop {
        list(house, name, &peer).await;
        if !house.end_list(name) {
            return;
        }
        // It may have been started anew.
        peer = news::peer_of(house, name).unwrap_or(peer);
    }
}

/// Lists what a server offers, and tells callers when that is not what it was.
async fn list(house: &Arc<House>, name: &str, peer: &Arc<Peer>) {
    match Stock::take(peer).await {
        Ok(stock) => {
            let seen = news::views(house);
            super::pins::examine(house, name, &stock);
            let now = stock.clone();
            let before = house.set_stock(name, stock);
            if before.as_deref() != Some(&now) {
                seen.tell(house);
                super::shelf::save(house, name, &now);
            }
        }
        Err(why) => house.note(name, &why),
    }
}

/// A server said something by itself.
pub fn heard(house: &Arc<House>, name: &str, heard: Heard) {
    let is_twin = server_of(name) != name;
    let name = server_of(name);
    match heard {
        // The first process says the same, and is the one that is asked.
        Heard::Notification(..) | Heard::Request(..) if is_twin && !is_of_a_request(&heard) => {}
        Heard::Notification(envelope, mouths) => {
            let is_list = envelope.method().is_some_and(|method| method.ends_with("/list_changed"));
            if is_list {
                let Some(peer) = news::peer_of(house, name) else { return };
                let (house, name) = (Arc::clone(house), name.to_owned());
                tokio::spawn(async move { relist(&house, &name, &peer).await });
                return;
            }
            news::notified(house, name, &envelope, &mouths);
        }
        Heard::Request(envelope, mouths) => news::asked(house, name, &envelope, &mouths),
        // For the log of the server; the supervisor keeps it.
        Heard::Fault(_) => {}
    }
}

/// Whether it was said while somebody waits for an answer.
fn is_of_a_request(heard: &Heard) -> bool {
    matches!(heard, Heard::Notification(_, mouths) if !mouths.is_empty())
}

/// Listens to a server of 2026 for changes, again and again while it is there.
async fn listen(house: Weak<House>, name: String, peer: Arc<Peer>) {
    let mut resources: Vec<String> = Vec::new();
    loop {
        let Some(strong) = house.upgrade() else { return };
        let wanted = news::wanted(&strong, &name);
        drop(strong);
        if peer.is_gone() {
            return;
        }
        resources.clone_from(&wanted);
        let Some(params) = filter(&peer, &resources) else { return };
        let asked = peer.begin("subscriptions/listen", &params);
        let Ok((number, mut ear)) = asked else { return };
        // Until the server ends it, or callers want to hear of other resources.
        loop {
            let Some(strong) = house.upgrade() else { return };
            let told = tokio::select! {
                told = ear.next() => Some(told),
                () = strong.other_wishes.notified() => None,
            };
            match told {
                Some(Told::Note(_)) => {}
                Some(_) => {
                    drop(strong);
                    tokio::time::sleep(AGAIN).await;
                    break;
                }
                None if news::wanted(&strong, &name) != resources => {
                    peer.cancel(number, "other subscriptions");
                    break;
                }
                None => {}
            }
        }
    }
}

/// What is listened for; none when the server tells of nothing.
fn filter(peer: &Peer, resources: &[String]) -> Option<String> {
    let opening = peer.opening();
    let capabilities = Members::of(&opening.capabilities);
    let tells = |what: &str, how: &str| {
        let capability = capabilities.as_ref().and_then(|all| all.object(what));
        capability.and_then(|capability| capability.get(how)) == Some("true")
    };
    let mut wanted: Vec<(&str, String)> = Vec::new();
    for (list, name) in [
        (List::Tools, "toolsListChanged"),
        (List::Prompts, "promptsListChanged"),
        (List::Resources, "resourcesListChanged"),
    ] {
        if tells(list.member(), "listChanged") {
            wanted.push((name, "true".to_owned()));
        }
    }
    if !resources.is_empty() && tells("resources", "subscribe") {
        let quoted: Vec<String> = resources.iter().map(|uri| json::quote(uri)).collect();
        wanted.push(("resourceSubscriptions", format!("[{}]", quoted.join(","))));
    }
    (!wanted.is_empty()).then(|| json::object([("notifications", json::object(wanted))]))
}
