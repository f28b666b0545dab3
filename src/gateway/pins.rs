//! Tools that are held until a person has looked at them.

use std::sync::Arc;
use std::time::Duration;

use super::house::{House, lock};
use super::pinned::PinError;
use super::stock::Stock;
use crate::guard::{Examined, Lock, Neighbour, State, examine as examined, name_of};

/// How long servers that are seen first are waited for, so that the lock is written once.
const PAUSE: Duration = Duration::from_millis(300);

/// Looks at what a server offers; what does not fit the lock is held. Tools of a server that was never seen are
/// taken into the lock, unless the manifest says otherwise.
pub fn examine(house: &Arc<House>, server: &str, stock: &Stock) {
    let system = &*house.system;
    let pinned = &house.guards.pinned;
    let definitions: Vec<&str> = stock.tools.iter().map(String::as_str).collect();
    let accepted = match pinned.lock(system) {
        Ok(lock) => lock,
        Err(error) => {
            house.note(server, &format!("its tools are held, since the lock cannot be read: {error}"));
            let all = definitions.iter().filter_map(|definition| name_of(definition)).collect();
            house.set_held(server, all);
            return;
        }
    };
    let found = look(house, server, &definitions, &accepted);
    let held: Vec<String> = found.iter().filter(|one| one.is_held()).map(|one| one.tool.clone()).collect();
    let count = held.len();
    if house.set_held(server, held) && count > 0 {
        house.note(server, &format!("{count} tools are held; `mcpkeel lock diff` shows them"));
    }
    if let Err(error) = pinned.seen(system, server, &definitions, &accepted) {
        house.note(server, &error.to_string());
    }
    if found.iter().any(|one| one.state == State::First) {
        lock(&house.firsts).insert(server.to_owned(), found);
        take(house);
    }
}

/// The lock may have changed: every server is looked at again.
pub fn reload(house: &Arc<House>) {
    for (server, stock) in house.stocks().iter() {
        examine(house, server, stock);
    }
}

fn look(house: &House, server: &str, definitions: &[&str], lock: &Lock) -> Vec<Examined> {
    let stocks = house.stocks();
    let names = |stock: &Stock| stock.tools.iter().filter_map(|tool| name_of(tool)).collect::<Vec<_>>();
    let others: Vec<(String, Vec<String>)> = stocks
        .iter()
        .filter(|(name, _)| *name != server)
        .map(|(name, stock)| (name.clone(), names(stock)))
        .collect();
    let neighbours: Vec<Neighbour<'_>> =
        others.iter().map(|(server, tools)| Neighbour { server, tools }).collect();
    examined(lock, server, definitions, house.setup().trust, &neighbours)
}

/// Takes tools of servers that are seen first into the lock, in a while, many servers at once.
fn take(house: &Arc<House>) {
    let house = Arc::clone(house);
    // Without a runtime there is nobody to do it, and the next start does.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        tokio::time::sleep(PAUSE).await;
        let firsts = std::mem::take(&mut *lock(&house.firsts));
        if firsts.is_empty() {
            return;
        }
        let taking = Arc::clone(&house);
        let taken = tokio::task::spawn_blocking(move || {
            let all: Vec<(&str, &[Examined])> =
                firsts.iter().map(|(server, found)| (server.as_str(), found.as_slice())).collect();
            let taken = taking.guards.pinned.take_first(&*taking.system, "up", &all);
            (taken, firsts)
        });
        match taken.await {
            Ok((Err(PinError::Busy(_)), firsts)) => {
                // Another run has the state for a moment.
                lock(&house.firsts).extend(firsts);
                take(&house);
            }
            Ok((Err(error), _)) => {
                house.guards.note(format!("tools could not be taken into the lock: {error}"));
            }
            Ok((Ok(_), _)) | Err(_) => {}
        }
    });
}
