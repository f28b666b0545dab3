//! What is kept of a call's arguments, and what a person is shown of them.

use serde_json::Value;

use super::{canonical, visible};
use crate::base::mask::{HIDDEN, Masker, is_secret_name};
use crate::base::{Fingerprint, is_hollow};

/// Tells equal arguments apart from others, however they are written. Keyed, since many could be guessed.
pub fn digest_of(key: &[u8; 32], arguments: &str) -> Fingerprint {
    match canonical(arguments) {
        Ok(text) => Fingerprint::keyed(key, text.as_bytes()),
        Err(_) => Fingerprint::keyed(key, arguments.as_bytes()),
    }
}

/// The arguments as a person may see them: what looks like a secret hidden, no character that does not show, at
/// most so many characters.
pub fn preview(arguments: &str, most: usize) -> String {
    let shown = match serde_json::from_str::<Value>(arguments) {
        Ok(mut value) => {
            let mut masker = Masker::default();
            masker.learn(&value);
            hide_named(&mut value);
            masker.hide(&value.to_string())
        }
        Err(_) => Masker::default().hide(arguments),
    };
    let shown = visible(&shown);
    match shown.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

/// Hides whatever stands under a name that sounds like a secret, however short or plain it looks.
fn hide_named(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret_name(name) { hide_all(value) } else { hide_named(value) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_named),
        _ => {}
    }
}

fn hide_all(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(hide_all),
        Value::Array(items) => items.iter_mut().for_each(hide_all),
        Value::Bool(_) => {}
        other if is_hollow(other) => {}
        other => *other = HIDDEN.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arguments_have_one_digest() {
        let digest = |text: &str| digest_of(&[1; 32], text);
        assert_eq!(digest(r#"{"a": 1, "b": [true]}"#), digest(r#"{"b":[true],"a":1}"#));
        assert_ne!(digest(r#"{"a":1}"#), digest(r#"{"a":1.0}"#));
        assert_ne!(digest("{}"), digest_of(&[2; 32], "{}"));
        assert_ne!(digest("{"), digest("{}"));
    }

    #[test]
    fn a_preview_hides_secrets_and_shows_the_rest() {
        let text = r#"{"repo":"me/x","password":"abc","auth":{"api_key":["k1",7]},"token":null,
            "note":"use ghp_0123456789abcdefABCDEF0123","right":"\u202eevil","sure":true}"#;
        let shown = preview(text, 500);
        for hidden in ["abc\"", "k1", "7", "ghp_0123", "\u{202e}"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
        for kept in ["me/x", "\"token\":null", "<U+202E>evil", "\"sure\":true"] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        assert_eq!(preview(r#"{"text":"0123456789"}"#, 12), "{\"text\":\"012…");
        assert_eq!(preview("{\"password\": \"hush", 90), "{\"password\": \"••••••");
    }
}
