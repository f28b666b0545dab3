//! A notification on the desktop of the person who runs this.

use std::time::Duration;

use notify_rust::Notification;
#[cfg(not(target_os = "macos"))]
use notify_rust::Urgency;
use tokio::time::timeout;

use super::body;
use crate::store::{Event, Stand};

/// How long the desktop may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shows it.
///
/// # Errors
/// What the desktop says, as the end of a sentence.
pub async fn show(event: &Event) -> Result<(), String> {
    let notification = notification(event);
    match timeout(PATIENCE, hand_over(notification)).await {
        Ok(shown) => {
            shown.map_err(|why| format!("{why}; it needs a desktop session that shows notifications"))
        }
        Err(_) => Err(format!("it did not answer in {} s", PATIENCE.as_secs())),
    }
}

fn notification(event: &Event) -> Notification {
    let mut notification = Notification::new();
    notification.appname("mcpkeel").summary(&format!("mcpkeel: {}", body::what(event))).body(&event.message);
    // macOS knows no such thing.
    #[cfg(not(target_os = "macos"))]
    notification.urgency(match event.condition {
        Some(Stand::Stalled) => Urgency::Critical,
        Some(Stand::Contended) => Urgency::Normal,
        Some(Stand::Ready | Stand::Reconciling) | None => Urgency::Low,
    });
    notification
}

#[cfg(all(unix, not(target_os = "macos")))]
async fn hand_over(notification: Notification) -> Result<(), String> {
    let shown = notification.show_async().await;
    shown.map(drop).map_err(|error| format!("the session bus says: {error}"))
}

/// The library waits for the system: on a thread that nobody waits for longer than they want to.
#[cfg(not(all(unix, not(target_os = "macos"))))]
async fn hand_over(notification: Notification) -> Result<(), String> {
    match tokio::task::spawn_blocking(move || notification.show().map(drop)).await {
        Ok(shown) => shown.map_err(|error| format!("the system says: {error}")),
        Err(_) => Err("the library that asks it failed".to_owned()),
    }
}
