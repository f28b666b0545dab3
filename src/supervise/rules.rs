use std::ops::RangeInclusive;
use std::time::Duration;

use crate::manifest::model::{self, Start};
use crate::manifest::values;

/// How long a server that is started when it is needed stays without being used, unless the manifest says.
const IDLE: Duration = Duration::from_secs(600);

/// How one server is run: what the manifest says, texts read, gaps filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When it is started.
    pub start: Start,
    /// After how long without a request it is stopped.
    pub idle_stop: Option<Duration>,
    /// How long a start may take.
    pub start_timeout: Duration,
    /// How long a call may be silent; none if the manifest does not say.
    pub call_timeout: Option<Duration>,
    /// How long each step of a stop may take.
    pub stop_timeout: Duration,
    /// How often it is asked whether it is there; none for never.
    pub probe: Option<Probe>,
    /// The shortest and the longest wait before a start that follows a failed one.
    pub backoff: RangeInclusive<Duration>,
    /// After how many failed starts in a row it stays stopped.
    pub give_up_after: u32,
}

/// How a server is asked whether it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Time between two questions.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self::of(&model::Supervisor::default(), &model::Supervisor::default())
    }
}

impl Rules {
    /// What holds for a server: what its own entry says, else what is said for all.
    pub fn of(global: &model::Supervisor, own: &model::Supervisor) -> Self {
        // That they can be read was checked with the manifest.
        let time = |own: &Option<String>, global: &Option<String>| {
            own.as_deref().or(global.as_deref()).and_then(values::duration)
        };
        let seconds = Duration::from_secs;
        let check = |get: fn(&model::HealthCheck) -> Option<&str>| {
            let of = |rules: &model::Supervisor| {
                rules.health_check.as_ref().and_then(get).and_then(values::duration)
            };
            of(own).or_else(|| of(global))
        };
        let is_asked =
            own.health_check.as_ref().or(global.health_check.as_ref()).is_none_or(|check| check.enabled);
        let probe = Probe {
            interval: check(|check| check.interval.as_deref()).unwrap_or(seconds(30)),
            timeout: check(|check| check.timeout.as_deref()).unwrap_or(seconds(5)),
        };
        let backoff = |rules: &model::Supervisor| {
            let text = rules.restart.as_ref().and_then(|restart| restart.backoff.as_deref());
            text.and_then(values::durations)
        };
        let give_up =
            |rules: &model::Supervisor| rules.restart.as_ref().and_then(|restart| restart.give_up_after);
        Self {
            start: own.start.or(global.start).unwrap_or_default(),
            idle_stop: time(&own.idle_stop, &global.idle_stop),
            start_timeout: time(&own.start_timeout, &global.start_timeout).unwrap_or(seconds(60)),
            call_timeout: time(&own.call_timeout, &global.call_timeout),
            stop_timeout: time(&own.stop_timeout, &global.stop_timeout).unwrap_or(seconds(2)),
            probe: is_asked.then_some(probe),
            backoff: backoff(own).or_else(|| backoff(global)).unwrap_or(seconds(1)..=seconds(60)),
            give_up_after: give_up(own).or_else(|| give_up(global)).unwrap_or(10).max(1),
        }
    }

    /// The same for a server that is started when it is needed, and not kept for ever.
    pub fn lazy(self) -> Self {
        Self { start: Start::Lazy, idle_stop: self.idle_stop.or(Some(IDLE)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(global: &str, own: &str) -> Rules {
        let read = |text: &str| serde_yaml::from_str::<model::Supervisor>(text).expect("a supervisor");
        Rules::of(&read(global), &read(own))
    }

    #[test]
    fn a_server_overrides_field_by_field() {
        let global =
            "{start: lazy, stop_timeout: 5s, health_check: {interval: 10s}, restart: {give_up_after: 3}}";
        let own = "{idle_stop: 15m, health_check: {timeout: 1s}, restart: {backoff: 2s..4s}}";
        let rules = rules(global, own);
        assert_eq!((rules.start, rules.stop_timeout), (Start::Lazy, Duration::from_secs(5)));
        assert_eq!(rules.idle_stop, Some(Duration::from_secs(900)));
        let probe = Probe { interval: Duration::from_secs(10), timeout: Duration::from_secs(1) };
        assert_eq!(rules.probe, Some(probe));
        assert_eq!((rules.give_up_after, *rules.backoff.end()), (3, Duration::from_secs(4)));
    }

    #[test]
    fn what_is_left_out_is_as_documented() {
        let rules = rules("{}", "{}");
        assert_eq!((rules.start, rules.idle_stop, rules.call_timeout), (Start::Eager, None, None));
        assert_eq!((rules.give_up_after, *rules.backoff.start()), (10, Duration::from_secs(1)));
        assert_eq!(super::tests::rules("{}", "{health_check: {enabled: false}}").probe, None);
    }
}
