use std::time::Duration;

use serde::Serialize;

use super::State;
use crate::system::ticks;
use crate::upstream::Era;

/// How well a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It answers.
    Healthy,
    /// It answers slowly, or failed a moment ago.
    Degraded,
    /// It does not answer, or does not start.
    Unhealthy,
    /// It is not running, or not yet.
    Unknown,
}

/// How a server stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Since when, in UTC.
    pub since: String,
    /// Its process; none for an address.
    pub pid: Option<u32>,
    /// How often it was started again after it had failed.
    pub restarts: u32,
    /// How well it is.
    pub health: Health,
    /// How long answers take, in milliseconds, the last ones counting most.
    pub latency_ms: Option<f64>,
    /// Lines of its log that look like errors, since we started.
    pub errors: u64,
    /// Lines of its log that look like warnings.
    pub warnings: u64,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// Which era of the protocol it speaks: `legacy` or `modern`.
    pub era: Option<&'static str>,
    /// Its name and version as it says them.
    pub version: Option<String>,
    /// Whether a person stopped it.
    pub parked: bool,
    /// In how many seconds it is started again.
    pub next_start_s: Option<f64>,
    /// The same on the clock of `System::ticks`.
    #[serde(skip)]
    pub(super) starts_at: Option<Duration>,
}

impl Standing {
    /// Whether it has been greeted and answers.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// With the time until the next start as it is now.
    pub(super) fn now(mut self) -> Self {
        let left = |at: Duration| at.saturating_sub(ticks()).as_secs_f64();
        self.next_start_s = self.starts_at.map(|at| (left(at) * 10.0).round() / 10.0);
        self
    }

    /// Whether it is started as soon as somebody needs it.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Stopped && !self.parked
    }

    /// Whether it is on its way.
    pub fn is_starting(&self) -> bool {
        self.state == State::Starting
    }
}

/// The word for an era.
pub fn era(era: Era) -> &'static str {
    match era {
        Era::Legacy => "legacy",
        Era::Modern => "modern",
    }
}
