use proptest::prelude::*;

use super::*;
use {Event as E, State as S};

const EVENTS: [Event; 13] = [
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
    E::Busy,
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
        (S::Ready, E::Missed | E::Busy) => (S::Unhealthy, None),
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
fn a_server_that_works_on_a_request_may_be_silent_for_longer() {
    let mut machine = in_state(S::Ready);
    for _ in 1..BUSY_MISSES {
        assert_eq!(machine.on(E::Busy, Duration::ZERO, 0.5), None);
    }
    assert_eq!(machine.clone().on(E::Missed, Duration::ZERO, 0.5), Some(Effect::End), "and is done with it");
    assert_eq!(machine.clone().on(E::Answered, Duration::ZERO, 0.5), None);
    assert_eq!(machine.on(E::Busy, Duration::ZERO, 0.5), Some(Effect::End), "it hangs");
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
                E::Idle | E::Answered | E::Missed | E::Busy => matches!(before, S::Ready | S::Unhealthy),
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
