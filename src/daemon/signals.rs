use std::io;
use std::sync::Arc;

use crate::watch::{Inbox, Stop};

/// Passes signals on, from a task of the current runtime.
///
/// # Errors
/// When the system does not let us listen to one.
#[cfg(unix)]
pub fn listen_to_signals(inbox: Arc<Inbox>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => inbox.stop(Stop::Asked),
                Some(()) = interrupt.recv() => inbox.stop(Stop::Interrupted),
                Some(()) = hang_up.recv() => inbox.ask(),
                else => break,
            }
        }
    });
    Ok(())
}

/// The same where there are no such signals: Ctrl-C, and the console or the session that ends.
#[cfg(windows)]
pub fn listen_to_signals(inbox: Arc<Inbox>) -> io::Result<()> {
    use tokio::signal::windows;
    let mut interrupt = windows::ctrl_c()?;
    let mut close = windows::ctrl_close()?;
    let mut shutdown = windows::ctrl_shutdown()?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => inbox.stop(Stop::Interrupted),
                Some(()) = close.recv() => inbox.stop(Stop::Asked),
                Some(()) = shutdown.recv() => inbox.stop(Stop::Asked),
                else => break,
            }
        }
    });
    Ok(())
}
