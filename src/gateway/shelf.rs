//! What servers offered last, kept over restarts, so that lists are complete before the servers are.

use std::sync::Arc;

use super::house::House;
use super::stock::Stock;
use crate::system::found;

/// The directory in the state directory.
const DIR: &str = "stock";

/// Takes what was kept of every server of the manifest.
pub fn load(house: &Arc<House>) {
    for server in house.setup().servers.keys() {
        let path = house.store.path(DIR).join(file_name(server));
        // What cannot be read is listed anew.
        let bytes = found(house.system.read(&path)).ok().flatten();
        if let Some(stock) = bytes.and_then(|bytes| serde_json::from_slice::<Stock>(&bytes).ok()) {
            super::pins::examine(house, server, &stock);
            house.set_stock(server, stock);
        }
    }
}

/// Keeps what a server offers.
pub fn save(house: &Arc<House>, server: &str, stock: &Stock) {
    let path = house.store.path(DIR).join(file_name(server));
    let text = serde_json::to_vec(stock).unwrap_or_default();
    let saved = crate::store::create_dirs(&*house.system, &house.store.path(DIR))
        .and_then(|()| crate::store::write_file(&*house.system, &path, &text));
    if let Err(error) = saved {
        house.note(server, &format!("what it offers could not be kept: {error}"));
    }
}

/// Names of servers are free of separators, but may be long.
fn file_name(server: &str) -> String {
    let is_plain =
        server.len() < 100 && server.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match is_plain {
        true => format!("{server}.json"),
        false => format!("{}.json", crate::base::Fingerprint::of(server.as_bytes())),
    }
}
