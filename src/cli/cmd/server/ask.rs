use std::time::Duration;

use serde_json::Value;

use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::daemon::{self, Answer, AskError, Method};
use crate::store::Watching;

/// A start may install a program first.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Whether something is to be changed.
pub enum Verb {
    Get,
    Post,
}

/// The process that runs the servers.
///
/// # Errors
/// When there is none.
pub fn running(session: &Session<'_>) -> Result<Watching, Failure> {
    session.store().watching(session.system)?.ok_or_else(nobody)
}

/// Asks it about servers.
///
/// # Errors
/// What it says when it cannot do it.
pub fn ask(running: &Watching, verb: Verb, path: &str) -> Result<Value, Failure> {
    let method = match verb {
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
    };
    let path = format!("/v1/servers{}", escaped(path));
    let answer = daemon::consult(&running.socket, method, &path, PATIENCE);
    let Answer { status, body } = answer.map_err(|error| match error {
        AskError::Unreachable(_) => nobody(),
        error => Failure::failed(error.to_string()),
    })?;
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(said);
    }
    Err(match said["error"].as_str() {
        Some(message) => {
            Failure::Failed { message: message.to_owned(), hint: said["hint"].as_str().map(str::to_owned) }
        }
        // `mcpkeel watch` has no servers.
        None => Failure::Failed {
            message: format!("process {} is `mcpkeel watch`, which runs no servers", running.pid),
            hint: Some("stop it; `mcpkeel up` does the same and runs the servers".to_owned()),
        },
    })
}

fn nobody() -> Failure {
    Failure::Failed {
        message: "no servers are run here now".to_owned(),
        hint: Some("`mcpkeel up` runs them".to_owned()),
    }
}

/// As it may stand in an address.
fn escaped(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/@".contains(&byte);
    path.bytes().fold(String::new(), |mut text, byte| {
        match is_plain(byte) {
            true => text.push(byte.into()),
            false => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}
