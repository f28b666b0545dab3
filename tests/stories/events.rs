//! What happened: the log of `watch`, followed; and the history with what happened between the runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use mcpkeel::store::{Event, EventKind, Stand, Store, rfc3339_millis};
use mcpkeel::system::{Real, System as _};
use serde_json::Value;

use super::{applied, json_of, says};
use crate::support::Sandbox;

const TEXT: &str = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n";

/// Long enough for anything that happens at all.
const LONG: Duration = Duration::from_secs(30);

fn store(home: &Sandbox) -> Store {
    let store = Store::at(home.path(".local/state/mcpkeel"));
    drop(store.lock(&Real, "watch").expect("free"));
    store
}

/// An event of this client, so many seconds ago.
fn event(kind: EventKind, client: Option<&str>, message: &str, ago: u64) -> Event {
    let at = rfc3339_millis(Real.now() - Duration::from_secs(ago));
    Event { at, client: client.map(str::to_owned), ..Event::new(&Real, kind, message) }
}

fn condition(condition: Stand, reason: &str, ago: u64) -> Event {
    let event = event(EventKind::Condition, Some("cursor"), &format!("It is {reason}."), ago);
    Event { condition: Some(condition), reason: Some(reason.to_owned()), ..event }
}

/// A home in which `watch` has written these events.
fn home(events: &[Event]) -> Sandbox {
    let home = Sandbox::new();
    add(&home, events);
    home
}

fn add(home: &Sandbox, events: &[Event]) {
    let store = store(home);
    events.iter().for_each(|event| store.add_event(&Real, event).expect("added"));
}

fn some_events() -> Vec<Event> {
    vec![
        event(EventKind::Started, None, "watching 2 files", 7200),
        condition(Stand::Reconciling, "Changed", 7000),
        condition(Stand::Stalled, "Malformed", 6990),
        event(EventKind::Note, Some("zed-work"), "one\nline", 60),
        condition(Stand::Ready, "InSync", 30),
    ]
}

#[test]
fn events_are_lines_for_a_person() {
    let home = home(&some_events());
    let out = home.run(&["events"]).exits(0).out;
    // Without the times.
    let lines: Vec<&str> = out.lines().map(|line| &line[24..]).collect();
    assert_eq!(
        lines,
        [
            "  -         started               watching 2 files",
            "  cursor    Reconciling Changed   It is Changed.",
            "  cursor    Stalled Malformed     It is Malformed.",
            "  zed-work  note                  one line",
            "  cursor    Ready InSync          It is InSync.",
        ]
    );
    assert!(out.lines().all(|line| line.starts_with("20") && line[..24].ends_with('Z')), "{out}");
}

#[test]
fn events_are_json_lines_for_a_program() {
    let events = some_events();
    let home = home(&events);
    let out = home.run(&["events", "--format", "json"]).exits(0).out;
    let read: Vec<Event> = out.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert_eq!(read, events);
}

#[test]
fn events_are_chosen_by_number_time_and_client() {
    let home = home(&some_events());
    let count = |args: &[&str]| home.run(&[&["events"], args].concat()).exits(0).out.lines().count();
    assert_eq!(count(&["-n", "2"]), 2);
    assert_eq!(count(&["-n", "0"]), 0);
    assert_eq!(count(&["--since", "1h"]), 2);
    assert_eq!(count(&["--since", "1h", "-n", "1"]), 1);
    assert_eq!(count(&["--since", "2020-01-01"]), 5);
    assert_eq!(count(&["--since", "2100-01-01T00:00:00Z"]), 0);
    assert_eq!(count(&["--client", "cursor"]), 3);
    assert_eq!(count(&["--client", "nobody"]), 0);
    says(&home.run(&["events", "--since", "yesterday"]).exits(64), "neither a time nor a duration");
    says(&Sandbox::new().run(&["events"]).exits(0), "no events");
}

#[test]
fn without_a_number_twenty_are_shown() {
    let many: Vec<Event> =
        (0..30).map(|number| event(EventKind::Note, None, &format!("number {number}"), 60)).collect();
    let home = home(&many);
    let out = home.run(&["events"]).exits(0).out;
    assert!(out.lines().count() == 20 && out.lines().next().is_some_and(|line| line.ends_with("number 10")));
    assert_eq!(home.run(&["events", "--since", "1h"]).exits(0).out.lines().count(), 30);
}

#[test]
fn history_has_what_happened_between_the_runs() {
    let home = applied(TEXT);
    let mut before = some_events();
    before.push(event(EventKind::Suspended, Some("cursor"), "suspended for 2 h: a demo", 20));
    before.push(event(EventKind::Approved, None, "revision 4f2a approved", 10));
    add(&home, &before);
    let out = home.run(&["history"]).exits(0).out;
    // What the run says differs from machine to machine.
    let words: Vec<String> =
        out.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(words[0].contains(" apply done "), "{out}");
    let rest: Vec<&str> = words[1..].iter().map(|line| line.split_once("Z ").expect("a time").1).collect();
    assert_eq!(
        rest,
        [
            "approved revision 4f2a approved",
            "suspended cursor: suspended for 2 h: a demo",
            "condition Ready cursor: It is InSync.",
            "condition Stalled cursor: It is Malformed.",
        ]
    );
    assert_eq!(home.run(&["history", "-n", "2"]).exits(0).out.lines().count(), 3);
    assert_eq!(home.run(&["history", "--runs"]).exits(0).out.lines().count(), 2);
    let document = json_of(&home, &["history", "-n", "3"]);
    assert_eq!(document["history"].as_array().map(Vec::len), Some(1));
    let events: Vec<&Value> = document["events"].as_array().expect("events").iter().collect();
    assert_eq!(
        events.iter().map(|event| &event["event"]).collect::<Vec<_>>(),
        ["approved", "suspended", "condition"]
    );
    assert_eq!(json_of(&home, &["history", "--runs"])["events"], Value::Null);
}

/// `events --follow` as it runs. Ended when dropped.
struct Following {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Following {
    fn start(home: &Sandbox, args: &[&str]) -> Self {
        let mut command = home.command(&[&["events", "--follow"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    /// The message of the next event.
    #[track_caller]
    fn next(&self) -> String {
        let line = self.lines.recv_timeout(LONG).expect("another line");
        let event: Event = serde_json::from_str(&line).expect("an event");
        event.message
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn following_shows_the_last_events_and_then_new_ones() {
    let home = Sandbox::new();
    // There is no state at all yet.
    let following = Following::start(&home, &["--format", "json", "--client", "cursor"]);
    add(&home, &[condition(Stand::Stalled, "Malformed", 0)]);
    assert_eq!(following.next(), "It is Malformed.");
    let late = Following::start(&home, &["--format", "json", "-n", "1"]);
    assert_eq!(late.next(), "It is Malformed.");
    add(&home, &[event(EventKind::Note, None, "not about cursor", 0), condition(Stand::Ready, "InSync", 0)]);
    assert_eq!(following.next(), "It is InSync.");
    assert_eq!([late.next(), late.next()], ["not about cursor", "It is InSync."]);
}

#[test]
fn following_outlives_the_log_being_cut() {
    let home = Sandbox::new();
    let store = store(&home);
    let following = Following::start(&home, &["--format", "json"]);
    let long = "x".repeat(256 << 10);
    // Two times what is kept; the reader keeps up, as it does unless a megabyte comes within a moment.
    for number in 0..40 {
        store.add_event(&Real, &event(EventKind::Note, None, &format!("{number} {long}"), 0)).expect("added");
        assert_eq!(following.next().split(' ').next(), Some(&*number.to_string()));
    }
    assert!(std::fs::metadata(store.path("events.jsonl")).expect("there").len() < 5 << 20);
    store.add_event(&Real, &event(EventKind::Note, None, "the last", 0)).expect("added");
    assert_eq!(following.next(), "the last");
}

#[cfg(unix)]
#[test]
fn following_ends_when_interrupted() {
    use std::os::unix::process::ExitStatusExt as _;
    let home = home(&some_events());
    let mut following = Following::start(&home, &["-n", "1", "--format", "json"]);
    assert_eq!(following.next(), "It is InSync.");
    let pid = rustix::process::Pid::from_child(&following.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("sent");
    // By the signal itself, which a shell calls 130.
    assert_eq!(following.wait().signal(), Some(2));
}

#[cfg(unix)]
#[test]
fn following_ends_when_nobody_reads_any_more() {
    let home = home(&some_events());
    let mut command = home.command(&["events", "--follow"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = std::sync::mpsc::channel().1;
    let mut following = Following { child, lines };
    let mut out = BufReader::new(following.child.stdout.take().expect("a pipe"));
    out.read_line(&mut String::new()).expect("a line");
    // No event comes that it could fail to write.
    drop(out);
    assert_eq!(following.wait().code(), Some(0));
}

/// Looking five times a second costs next to nothing.
#[cfg(target_os = "linux")]
#[test]
fn following_an_idle_log_costs_no_time() {
    let home = home(&some_events());
    let following = Following::start(&home, &["-n", "1", "--format", "json"]);
    assert_eq!(following.next(), "It is InSync.");
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", following.child.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        [11, 12].map(|at: usize| fields[at].parse::<u64>().expect("ticks")).iter().sum()
    };
    let before = ticks();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(ticks() - before <= 2, "{} hundredths of a second in two seconds", ticks() - before);
}
