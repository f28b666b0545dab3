//! Tools that are held until a person has looked at them.

use std::sync::Arc;

use super::house::House;
use super::pinned::PinError;
use super::stock::Stock;
use crate::guard::{Examined, Lock, Neighbour, State, examine as examined, name_of};

/// Looks at what a server offers; what does not fit the lock is held. Tools of a server that was never seen are
/// taken into the lock, unless the manifest says otherwise.
pub fn examine(house: &Arc<House>, server: &str, stock: &Stock) {
    let system = &*house.system;
    let pinned = &house.guards.pinned;
    let definitions: Vec<&str> = stock.tools.iter().map(String::as_str).collect();
    let lock = match pinned.lock(system) {
        Ok(lock) => lock,
        Err(error) => {
            house.note(server, &format!("its tools are held, since the lock cannot be read: {error}"));
            let all = definitions.iter().filter_map(|definition| name_of(definition)).collect();
            house.set_held(server, all);
            return;
        }
    };
    let found = look(house, server, &definitions, &lock);
    let held: Vec<String> = found.iter().filter(|one| one.is_held()).map(|one| one.tool.clone()).collect();
    let count = held.len();
    if house.set_held(server, held) && count > 0 {
        house.note(server, &format!("{count} tools are held; `mcpkeel lock diff` shows them"));
    }
    if let Err(error) = pinned.seen(system, server, &definitions, &lock) {
        house.note(server, &error.to_string());
    }
    if found.iter().any(|one| one.state == State::First) {
        match pinned.take_first(system, "up", server, &found) {
            Ok(_) => {}
            // Another run has the state for a moment.
            Err(PinError::Busy(_)) => later(house, server),
            Err(error) => house.note(server, &format!("its tools could not be taken into the lock: {error}")),
        }
    }
}

/// The lock may have changed: every server is looked at again.
pub fn reload(house: &Arc<House>) -> bool {
    let before = house.held();
    for (server, stock) in house.stocks().iter() {
        examine(house, server, stock);
    }
    house.held() != before
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

/// Tries again to take a server's tools into the lock.
fn later(house: &Arc<House>, server: &str) {
    let (weak, server) = (Arc::downgrade(house), server.to_owned());
    // Without a runtime there is nobody to try again, and the next start does.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        if let Some(house) = weak.upgrade()
            && let Some(stock) = house.stock(&server)
        {
            examine(&house, &server, &stock);
        }
    });
}
