//! What a service tells the manager that started it: systemd's notify protocol, and nothing elsewhere.
//!
//! Invariant: nobody who calls these has to care whether there is a manager. No call fails, waits for an answer or
//! changes anything of this process; a process that no manager started sends nothing.

use std::time::Duration;

/// Variables by which the manager is reached. They are meant for this process alone, so no program that we start
/// inherits them: its messages would be taken for ours.
///
/// They stay in our own environment: taking them out is unsound once there are threads.
pub const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// Start-up, or a reload, is over: from now on the service does its work.
pub fn ready() {
    door::ready();
}

/// What it is doing, in one line; `systemctl status` shows it.
pub fn status(text: &str) {
    door::status(&line(text));
}

/// A reload has begun; [`ready`] ends it.
pub fn reloading() {
    door::reloading();
}

/// It was asked to end and is doing so.
pub fn stopping() {
    door::stopping();
}

/// It still makes progress. The manager ends and restarts a service that does not say so within [`watchdog`]'s time.
pub fn keep_alive() {
    door::keep_alive();
}

/// The longest time between two calls of [`keep_alive`]; none where nobody waits for them. Call it twice as often.
pub fn watchdog() -> Option<Duration> {
    door::watchdog()
}

/// The protocol is made of lines, so a second one would be another message.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(target_os = "linux")]
mod door {
    use std::time::Duration;

    use sd_notify::NotifyState;

    pub fn ready() {
        tell(&[NotifyState::Ready]);
    }

    pub fn status(text: &str) {
        tell(&[NotifyState::Status(text)]);
    }

    pub fn reloading() {
        // systemd wants to know since when, so that it can tell this reload from an earlier one.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    pub fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    pub fn keep_alive() {
        tell(&[NotifyState::Watchdog]);
    }

    pub fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    fn tell(states: &[NotifyState<'_>]) {
        // A manager that cannot be reached notices by itself that it hears nothing; there is nobody else to tell.
        let _ = sd_notify::notify(states);
    }
}

#[cfg(not(target_os = "linux"))]
mod door {
    use std::time::Duration;

    pub fn ready() {}
    pub fn status(_text: &str) {}
    pub fn reloading() {}
    pub fn stopping() {}
    pub fn keep_alive() {}
    pub fn watchdog() -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(line("in sync\nREADY=1\t"), "in sync READY=1 ");
    }
}
