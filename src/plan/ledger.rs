use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Fingerprint, Pointer};
use crate::document::{Format, Seam};

/// What mcpkeel last wrote, per file, client block and entry: the proof of what is ours.
///
/// It holds fingerprints of values, keyed with the machine's key, never the values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// By the file's configured path (links not followed), so that a client which replaces a link
    /// by a file does not look like a move.
    pub files: BTreeMap<String, FileRecord>,
}

/// What we did to one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// How it is written, to prune it when its client row is gone.
    pub format: Format,
    /// Whether the file was not there before us.
    #[serde(default)]
    pub created: bool,
    /// Members that we put into the new file beside the entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub furniture: Vec<Pointer>,
    /// Containers that we opened, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seams: Vec<Seam>,
    /// By the client block's key.
    pub targets: BTreeMap<String, TargetRecord>,
}

/// What one client block owns in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// The client's id.
    pub client: String,
    /// By server name.
    pub entries: BTreeMap<String, EntryRecord>,
}

/// One entry as we last wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntryRecord {
    /// Where it stands.
    pub at: Pointer,
    /// The fingerprint of each value that is ours, by its place in the entry.
    pub fields: BTreeMap<Pointer, Fingerprint>,
    /// The same for values elsewhere in the file, by their place in the document.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sides: BTreeMap<Pointer, Fingerprint>,
    /// What it starts or opens, as a digest ([`crate::desired::pin`]); none in books of before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// What can be reached through it, each server with its pin, where it is not the server itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<String, String>,
    /// Whether it outlives its block in the manifest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
}

impl Ledger {
    /// Whether it was agreed to that this is run for a client block, by itself or behind the gateway: an apply wrote
    /// it into the books, or what an approval let through.
    pub fn agrees(&self, target: &str, server: &str, pin: &str) -> bool {
        let records = self.files.values().filter_map(|file| file.targets.get(target));
        let mut entries = records.flat_map(|record| &record.entries);
        entries.any(|(name, entry)| {
            let own = entry.pin.as_ref().filter(|_| name == server);
            own.or(entry.behind.get(server)).is_some_and(|known| known == pin)
        })
    }
}

/// The fingerprint of a value, whatever the order of its members.
pub fn seal(key: &[u8; 32], value: &Value) -> Fingerprint {
    let mut text = Vec::new();
    canonical(value, &mut text);
    Fingerprint::keyed(key, &text)
}

fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            out.push(b'{');
            for (key, value) in members {
                scalar(key, out);
                out.push(b':');
                canonical(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        other => scalar(other, out),
    }
}

fn scalar(value: &impl Serialize, out: &mut Vec<u8>) {
    // Neither a text nor a number can fail to be written, nor can a Vec.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seals_values_not_texts() {
        let key = [7; 32];
        assert_eq!(seal(&key, &json!({"a": 1, "b": [2]})), seal(&key, &json!({"b": [2], "a": 1})));
        assert_ne!(seal(&key, &json!(["a", "b"])), seal(&key, &json!(["b", "a"])));
        assert_ne!(seal(&key, &json!("1")), seal(&key, &json!(1)));
        assert_ne!(seal(&key, &json!(1)), seal(&[8; 32], &json!(1)));
    }
}
