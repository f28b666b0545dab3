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
            (S::Ready | S::Unhealthy, E::Missed) => {
                self.misses += 1;
                self.state = S::Unhealthy;
                if self.misses < MISSES {
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use {Event as E, State as S};

    const EVENTS: [Event; 12] = [
        E::Needed,
        E::Start,
        E::Restart,
        E::Stop,
        E::Idle,
        E::Opened,
        E::NotOpened,
        E::Ended,
        E::Answered,
        E::Missed,
        E::Waited,
        E::Gone,
    ];

    fn machine() -> Machine {
        Machine::new(Duration::from_secs(1)..=Duration::from_secs(60), 4)
    }

    /// A machine that got there by itself.
    fn in_state(state: State) -> Machine {
        let way: &[Event] = match state {
            S::Stopped => &[],
            S::Starting => &[E::Needed],
            S::Ready => &[E::Needed, E::Opened],
            S::Unhealthy => &[E::Needed, E::Opened, E::Missed],
            S::Backoff => &[E::Needed, E::NotOpened, E::NotOpened],
            S::Stopping => &[E::Needed, E::Opened, E::Idle],
            S::Failed => {
                &[E::Needed, E::NotOpened, E::NotOpened, E::Waited, E::NotOpened, E::Waited, E::NotOpened]
            }
        };
        let mut machine = machine();
        for event in way {
            machine.on(*event, Duration::ZERO, 0.5);
        }
        assert_eq!(machine.state(), state);
        machine
    }

    #[test]
    fn every_event_in_every_state() {
        let second = Some(Effect::Wait(Duration::from_secs(1)));
        let (launch, end) = (Some(Effect::Launch), Some(Effect::End));
        let moves = |state: State, event: Event| match (state, event) {
            (S::Stopped, E::Needed | E::Start | E::Restart) => (S::Starting, launch),
            (S::Starting, E::Opened) => (S::Ready, None),
            (S::Starting, E::NotOpened) => (S::Starting, launch),
            (S::Starting | S::Ready | S::Unhealthy, E::Stop | E::Restart) => (S::Stopping, end),
            (S::Ready, E::Idle) => (S::Stopping, end),
            (S::Ready, E::Missed) => (S::Unhealthy, None),
            (S::Unhealthy, E::Answered) => (S::Ready, None),
            (S::Ready | S::Unhealthy, E::Ended) => (S::Starting, launch),
            (S::Backoff, E::Needed | E::Start | E::Restart | E::Waited) => (S::Starting, launch),
            (S::Backoff | S::Failed, E::Stop) => (S::Stopped, None),
            (S::Stopping, E::Gone | E::Ended) => (S::Stopped, None),
            (S::Failed, E::Start | E::Restart) => (S::Starting, launch),
            (state, _) => (state, None),
        };
        for state in [S::Stopped, S::Starting, S::Ready, S::Unhealthy, S::Backoff, S::Stopping, S::Failed] {
            for event in EVENTS {
                let mut machine = in_state(state);
                let effect = machine.on(event, Duration::ZERO, 0.5);
                assert_eq!((machine.state(), effect), moves(state, event), "{state:?} {event:?}");
            }
        }
        let mut machine = in_state(S::Starting);
        machine.on(E::NotOpened, Duration::ZERO, 0.5);
        assert_eq!(machine.on(E::NotOpened, Duration::ZERO, 0.5), second);
    }

    #[test]
    fn what_a_person_stopped_no_call_starts() {
        let mut machine = in_state(S::Ready);
        machine.on(E::Stop, Duration::ZERO, 0.5);
        machine.on(E::Needed, Duration::ZERO, 0.5);
        machine.on(E::Gone, Duration::ZERO, 0.5);
        assert_eq!(machine.on(E::Needed, Duration::ZERO, 0.5), None);
        assert_eq!((machine.state(), machine.is_parked()), (S::Stopped, true));
        assert_eq!(machine.on(E::Start, Duration::ZERO, 0.5), Some(Effect::Launch));
    }

    #[test]
    fn a_call_during_an_idle_stop_starts_it_again() {
        let mut machine = in_state(S::Stopping);
        machine.on(E::Needed, Duration::ZERO, 0.5);
        assert_eq!(machine.on(E::Gone, Duration::ZERO, 0.5), Some(Effect::Launch));
    }

    #[test]
    fn silence_is_a_crash_after_the_third_time() {
        let mut machine = in_state(S::Unhealthy);
        assert_eq!(machine.on(E::Missed, Duration::ZERO, 0.5), None);
        assert_eq!(machine.on(E::Missed, Duration::ZERO, 0.5), Some(Effect::End));
        assert_eq!(machine.on(E::Gone, Duration::ZERO, 0.5), Some(Effect::Launch));
        assert_eq!(machine.failures(), 1);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_calm() {
        let mut machine = Machine::new(Duration::from_secs(1)..=Duration::from_secs(5), 100);
        machine.on(E::Needed, Duration::ZERO, 0.5);
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(machine.on(E::NotOpened, Duration::ZERO, 0.5));
            machine.on(E::Waited, Duration::ZERO, 0.5);
        }
        let seconds = |seconds| Some(Effect::Wait(Duration::from_secs(seconds)));
        assert_eq!(waits, [Some(Effect::Launch), seconds(1), seconds(2), seconds(4), seconds(5)]);
        machine.on(E::Opened, Duration::ZERO, 0.5);
        assert_eq!(machine.on(E::Ended, Duration::from_secs(60), 0.5), Some(Effect::Launch));
        assert_eq!(machine.failures(), 1);
    }

    #[test]
    fn an_address_is_never_given_up() {
        let mut machine = machine();
        machine.never_gives_up();
        machine.on(E::Needed, Duration::ZERO, 0.5);
        for _ in 0..100 {
            machine.on(E::NotOpened, Duration::ZERO, 0.5);
            assert_ne!(machine.state(), S::Failed);
            machine.on(E::Needed, Duration::ZERO, 0.5);
        }
    }

    proptest! {
        #[test]
        fn nothing_gets_stuck_and_what_is_done_fits(
            events in proptest::collection::vec((0..EVENTS.len(), 0..90_u64, 0.0..1.0), 0..200),
        ) {
            let mut machine = machine();
            let mut now = 0;
            let mut is_there = false;
            for (event, later, chance) in events {
                now += later;
                let event = EVENTS[event];
                let before = machine.state();
                // What the outside can only say when it is so.
                let is_possible = match event {
                    E::Opened | E::NotOpened => before == S::Starting,
                    E::Ended => matches!(before, S::Ready | S::Unhealthy | S::Stopping),
                    E::Gone => before == S::Stopping,
                    E::Waited => before == S::Backoff,
                    E::Idle | E::Answered | E::Missed => matches!(before, S::Ready | S::Unhealthy),
                    _ => true,
                };
                if !is_possible {
                    continue;
                }
                if matches!(event, E::NotOpened | E::Ended | E::Gone) {
                    is_there = false;
                }
                match machine.on(event, Duration::from_secs(now), chance) {
                    Some(Effect::Launch) => {
                        prop_assert!(!is_there, "a second launch");
                        is_there = true;
                        prop_assert_eq!(machine.state(), S::Starting);
                    }
                    Some(Effect::End) => {
                        prop_assert!(is_there);
                        prop_assert_eq!(machine.state(), S::Stopping);
                    }
                    Some(Effect::Wait(time)) => {
                        prop_assert_eq!(machine.state(), S::Backoff);
                        prop_assert!((0.7..80.0).contains(&time.as_secs_f64()));
                    }
                    None => {}
                }
                let needs = matches!(machine.state(), S::Starting | S::Ready | S::Unhealthy | S::Stopping);
                prop_assert_eq!(needs, is_there);
            }
            // From wherever it is, a person gets it to run.
            machine.on(E::Start, Duration::from_secs(now), 0.5);
            for _ in 0..4 {
                let next = match machine.state() {
                    S::Stopping => E::Gone,
                    S::Starting => E::Opened,
                    S::Unhealthy => E::Answered,
                    S::Backoff => E::Waited,
                    _ => E::Start,
                };
                machine.on(next, Duration::from_secs(now), 0.5);
            }
            prop_assert_eq!(machine.state(), S::Ready);
        }
    }
}
