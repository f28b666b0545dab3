//! What is told, for programs and for people.

use serde::Serialize;

use crate::store::{Event, Stand};

/// The event with who tells it, as one line of JSON.
#[derive(Serialize)]
struct Body<'e> {
    r#type: &'static str,
    /// Of the program.
    version: &'static str,
    host: &'e str,
    #[serde(flatten)]
    event: &'e Event,
}

/// What a webhook is sent and a program reads.
pub fn json(event: &Event, host: &str) -> String {
    let body = Body { r#type: "mcpkeel.condition", version: env!("CARGO_PKG_VERSION"), host, event };
    serde_json::json!(body).to_string()
}

/// `cursor is stalled`; `the manifest is ready`.
pub fn what(event: &Event) -> String {
    let subject = event.client.as_deref().unwrap_or("the manifest");
    let condition = event.condition.map_or("", Stand::word).to_ascii_lowercase();
    format!("{subject} is {condition}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventKind;
    use crate::system::Memory;

    #[test]
    fn says_who_tells_what() {
        let mut event = Event::new(&Memory::default(), EventKind::Condition, "It is malformed.");
        event.condition = Some(Stand::Stalled);
        assert_eq!(what(&event), "the manifest is stalled");
        event.client = Some("cursor".to_owned());
        assert_eq!(what(&event), "cursor is stalled");
        let body: serde_json::Value = serde_json::from_str(&json(&event, "desk")).expect("JSON");
        assert_eq!(body["type"], "mcpkeel.condition");
        assert_eq!(body["host"], "desk");
        assert_eq!(body["client"], "cursor");
        assert_eq!(body["condition"], "Stalled");
        assert_eq!(body["message"], "It is malformed.");
        assert_eq!(body["format_version"], 1);
    }
}
