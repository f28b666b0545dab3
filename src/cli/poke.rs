use super::session::Session;
use crate::daemon;

/// Tells the process that runs, if one does, that something in the state directory has changed.
pub fn poke(session: &Session<'_>, what: &str) {
    let Ok(Some(running)) = session.store().watching(session.system) else { return };
    // It looks by itself, too, only later; and one that only watches does not know the way.
    let _ = daemon::ask(&running.socket, daemon::Method::POST, &format!("/v1/{what}/changed"));
}

/// Has the process that runs, if one does, write down every call that it has answered.
pub fn write_calls_down(session: &Session<'_>) {
    let Ok(Some(running)) = session.store().watching(session.system) else { return };
    // One that does not answer has written them a moment later; one that only watches has none.
    let _ = daemon::ask(&running.socket, daemon::Method::POST, "/v1/usage/write");
}
