//! What a server does next: states, events, and what is to be done about them.
//!
//! Invariant: pure; there is a process (or a connection) in exactly the states Starting, Ready, Unhealthy and
//! Stopping, so that a launch never meets another one.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

/// After being ready for so long, what failed before is forgotten.
const CALM: Duration = Duration::from_secs(30);

/// So many questions without an answer in a row are a crash.
const MISSES: u32 = 3;

/// The same while it works on a request: programs that do one thing at a time are silent meanwhile.
const BUSY_MISSES: u32 = 20;

/// From so many failures in a row on, a call does not hurry the next start.
const LOOP: u32 = 3;

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing: nobody needed it yet, nobody used it for a while, or a person stopped it.
    Stopped,
    /// It is being started and greeted.
    Starting,
    /// It answers.
    Ready,
    /// It was greeted, and does not answer now. Calls still go to it.
    Unhealthy,
    /// It failed, and waits for its next start.
    Backoff,
    /// It is being ended.
    Stopping,
    /// It failed too often, and waits for a person.
    Failed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A caller needs it.
    Needed,
    /// A person wants it to run.
    Start,
    /// A person wants it to start anew.
    Restart,
    /// A person wants it to rest.
    Stop,
    /// Nobody has used it for long.
    Idle,
    /// It was greeted.
    Opened,
    /// It could not be started or greeted; nothing of it is left.
    NotOpened,
    /// It ended by itself.
    Ended,
    /// It answered.
    Answered,
    /// It did not.
    Missed,
    /// It did not, and it works on a request.
    Busy,
    /// The wait is over.
    Waited,
    /// It was ended.
    Gone,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start and greet it.
    Launch,
    /// End it.
    End,
    /// Wait before the next start.
    Wait(Duration),
}

/// What comes after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Rest,
    Start,
    /// It did not answer: as after a crash.
    Fail,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Machine {
    state: State,
    after: After,
    /// A person stopped it: calls do not start it.
    parked: bool,
    /// Failures in a row.
    failures: u32,
    /// Questions without an answer in a row.
    misses: u32,
    /// When it was greeted last.
    ready_since: Duration,
    backoff: RangeInclusive<Duration>,
    give_up_after: Option<u32>,
}

impl Machine {
    /// Not started yet.
    pub fn new(backoff: RangeInclusive<Duration>, give_up_after: u32) -> Self {
        Self {
            state: State::Stopped,
            after: After::Rest,
            parked: false,
            failures: 0,
            misses: 0,
            ready_since: Duration::ZERO,
            backoff,
            give_up_after: Some(give_up_after),
        }
    }

    /// It is an address: asking again harms nobody, so it is never given up.
    pub fn never_gives_up(&mut self) {
        self.give_up_after = None;
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether a person stopped it.
    pub fn is_parked(&self) -> bool {
        self.parked
    }

    /// How often in a row it failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it fails again and again.
    pub fn is_looping(&self) -> bool {
        self.failures >= LOOP && self.give_up_after.is_some()
    }

    /// Takes an event. `now` is any clock that never goes back; `chance`, from 0 to 1, spreads waits.
    pub fn on(&mut self, event: Event, now: Duration, chance: f64) -> Option<Effect> {
        use {Event as E, State as S};
        match event {
            E::Stop => self.parked = true,
            E::Start | E::Restart => {
                self.parked = false;
                self.failures = 0;
            }
            _ => {}
        }
        match (self.state, event) {
            (S::Stopped, E::Needed) if self.parked => None,
            (S::Backoff, E::Needed) if self.is_looping() => None,
            (S::Stopped | S::Backoff, E::Needed | E::Start | E::Restart)
            | (S::Failed, E::Start | E::Restart)
            | (S::Backoff, E::Waited) => self.launch(),

            (S::Backoff | S::Failed, E::Stop) => {
                self.state = S::Stopped;
                None
            }

            (S::Starting, E::Opened) => {
                (self.state, self.misses, self.ready_since) = (S::Ready, 0, now);
                None
            }
            (S::Starting, E::NotOpened) => self.fail(chance),
            (S::Ready | S::Unhealthy, E::Ended) => {
                self.forget_failures(now);
                self.fail(chance)
            }

            (S::Ready | S::Unhealthy, E::Answered) => {
                (self.state, self.misses) = (S::Ready, 0);
                None
            }
            (S::Ready | S::Unhealthy, E::Missed | E::Busy) => {
                self.misses += 1;
                self.state = S::Unhealthy;
                let most = if event == E::Busy { BUSY_MISSES } else { MISSES };
                if self.misses < most {
                    return None;
                }
                self.forget_failures(now);
                self.end(After::Fail)
            }

            (S::Starting | S::Ready | S::Unhealthy, E::Stop) => self.end(After::Rest),
            (S::Starting | S::Ready | S::Unhealthy, E::Restart) => self.end(After::Start),
            (S::Ready, E::Idle) => self.end(After::Rest),

            (S::Stopping, E::Stop) => {
                self.after = After::Rest;
                None
            }
            (S::Stopping, E::Start | E::Restart) => {
                self.after = After::Start;
                None
            }
            (S::Stopping, E::Needed) => {
                if self.after == After::Rest && !self.parked {
                    self.after = After::Start;
                }
                None
            }
            (S::Stopping, E::Gone | E::Ended) => match self.after {
                After::Rest => {
                    self.state = S::Stopped;
                    None
                }
                After::Start => self.launch(),
                After::Fail => self.fail(chance),
            },
            // Old news, or nothing new.
            _ => None,
        }
    }

    fn launch(&mut self) -> Option<Effect> {
        self.state = State::Starting;
        Some(Effect::Launch)
    }

    fn end(&mut self, after: After) -> Option<Effect> {
        (self.state, self.after) = (State::Stopping, after);
        Some(Effect::End)
    }

    /// The first failure in a row is followed by a start at once.
    fn fail(&mut self, chance: f64) -> Option<Effect> {
        self.failures = self.failures.saturating_add(1);
        if self.give_up_after.is_some_and(|most| self.failures >= most) {
            self.state = State::Failed;
            return None;
        }
        if self.failures == 1 {
            return self.launch();
        }
        self.state = State::Backoff;
        Some(Effect::Wait(wait(&self.backoff, self.failures - 2, chance)))
    }

    fn forget_failures(&mut self, now: Duration) {
        if now.saturating_sub(self.ready_since) >= CALM {
            self.failures = 0;
        }
    }
}

/// The shortest wait, doubled so many times, at most the longest; a quarter more or less.
fn wait(between: &RangeInclusive<Duration>, doublings: u32, chance: f64) -> Duration {
    let doubled = between.start().saturating_mul(2_u32.saturating_pow(doublings.min(20)));
    doubled.min(*between.end()).mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
