//! The clients that mcpkeel knows.
//!
//! Invariant: a row is parsed when it is asked for and not before; a run for five clients parses five.

use std::sync::OnceLock;

use super::Client;
use super::spec::Row;

/// One row; the id is the name of its file.
struct Embedded {
    id: &'static str,
    yaml: &'static str,
    json: &'static str,
}

// `static ROWS: &[Embedded]`, sorted by id.
include!(concat!(env!("OUT_DIR"), "/rows.rs"));

static CLIENTS: [OnceLock<Option<Client>>; ROWS.len()] = [const { OnceLock::new() }; ROWS.len()];

/// The ids of all known clients, sorted.
pub fn ids() -> &'static [&'static str] {
    static IDS: OnceLock<Vec<&str>> = OnceLock::new();
    IDS.get_or_init(|| ROWS.iter().map(|row| row.id).collect())
}

/// The client of an id.
pub fn find(id: &str) -> Option<&'static Client> {
    let at = ROWS.binary_search_by_key(&id, |row| row.id).ok()?;
    let check = || Client::check(id, serde_json::from_str(ROWS[at].json).ok()?).ok();
    CLIENTS[at].get_or_init(check).as_ref()
}

/// All known clients, sorted by id. Parses every row.
pub fn all() -> impl Iterator<Item = &'static Client> {
    ROWS.iter().filter_map(|row| find(row.id))
}

/// The text of a row as it is written.
pub fn source(id: &str) -> Option<&'static str> {
    ROWS.iter().find(|row| row.id == id).map(|row| row.yaml)
}

/// Reads a row.
pub fn parse(text: &str) -> Result<Row, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}
