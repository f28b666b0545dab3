//! Servers come, stay, come back, and go.

use std::time::{Duration, Instant};

use mcpkeel::supervise::{Health, State};
use mcpkeel::upstream::Question;
use rustix::process::Signal;

use super::crew::{Crew, DYING, HANGING, SERVER, in_runtime, rules};
use super::tree::{STUBBORN, kill, so};

#[test]
fn a_server_that_crashed_answers_again_within_three_tenths_of_a_second() {
    in_runtime(async {
        let crew = Crew::new();
        crew.supervisor.set(vec![crew.spec("one", SERVER, rules("{}"))]);
        let server = crew.supervisor.server("one").expect("there");
        server.ready().await.expect("greeted");
        let standing = server.standing();
        assert_eq!((standing.state, standing.health), (State::Ready, Health::Healthy));
        assert_eq!((standing.era, standing.version.as_deref()), (Some("legacy"), Some("shell 1.2.3")));
        let pid = standing.pid.expect("a process");
        kill(pid.cast_signed(), Signal::KILL);
        let began = Instant::now();
        so("the crash to be seen", Duration::from_secs(2), || server.peer().is_none()).await;
        let peer = server.ready().await.expect("greeted again");
        peer.ping(Duration::from_secs(2)).await.expect("an answer");
        let took = began.elapsed();
        println!("answers again {took:?} after it was killed");
        assert!(took < Duration::from_millis(300 * slowness()), "{took:?}");
        let standing = server.standing();
        assert_eq!(standing.restarts, 1);
        assert_ne!(standing.pid, Some(pid));
        let last = standing.last_error.expect("why");
        assert!(last.contains("signal 9"), "{last}");
        crew.supervisor.stop().await;
        assert!(crew.pids("one").living().is_empty());
    });
}

/// Debug builds and busy machines get more time.
fn slowness() -> u64 {
    if cfg!(debug_assertions) { 5 } else { 1 }
}

#[test]
fn one_dead_and_one_hanging_server_hold_up_nobody() {
    in_runtime(async {
        let crew = Crew::new();
        let quick = "{restart: {backoff: 1ms..5ms, give_up_after: 3}, stop_timeout: 200ms}";
        crew.supervisor.set(vec![
            crew.spec("dead", DYING, rules(quick)),
            crew.spec("hanging", HANGING, rules(quick)),
            crew.spec("good", SERVER, rules("{}")),
        ]);
        let good = crew.supervisor.server("good").expect("there");
        let began = Instant::now();
        good.ready().await.expect("greeted");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        crew.await_state("dead", State::Failed).await;
        let dead = crew.supervisor.server("dead").expect("there");
        let began = Instant::now();
        let why = dead.ready().await.err().expect("an error").to_string();
        assert!(began.elapsed() < Duration::from_millis(500), "known at once");
        assert!(why.contains("ended with code 3") && why.contains("no such database"), "{why}");
        assert!(why.contains("mcpkeel server start dead"), "{why}");
        assert!(!why.contains("canary"), "{why}");
        assert!(!crew.log("dead").contains("canary"), "{}", crew.log("dead"));
        assert_eq!(crew.pids("dead").all().len(), 3);
        let standing = crew.supervisor.server("hanging").expect("there").standing();
        assert!(standing.is_starting());
        let names: Vec<String> =
            crew.supervisor.servers().iter().map(|server| server.name().to_owned()).collect();
        assert_eq!(names, ["dead", "hanging", "good"]);
        let began = Instant::now();
        crew.supervisor.stop().await;
        println!("all of them were stopped in {:?}", began.elapsed());
        for name in ["dead", "hanging", "good"] {
            assert!(crew.pids(name).living().is_empty(), "{name}");
        }
    });
}

#[test]
fn a_lazy_server_starts_when_it_is_needed_and_rests_when_it_is_not() {
    in_runtime(async {
        let crew = Crew::new();
        crew.supervisor.set(vec![crew.spec("one", SERVER, rules("{start: lazy, idle_stop: 300ms}"))]);
        let server = crew.supervisor.server("one").expect("there");
        assert_eq!(server.standing().state, State::Stopped);
        assert!(server.peer().is_none() && crew.pids("one").all().is_empty());
        server.ready().await.expect("started");
        crew.await_state("one", State::Stopped).await;
        crew.pids("one").gone().await;
        server.ready().await.expect("started again");
        assert_eq!(crew.pids("one").all().len(), 2);
        crew.supervisor.stop().await;
        let mut states: Vec<State> =
            crew.changes.lock().expect("noted").iter().map(|(_, state)| *state).collect();
        states.truncate(4);
        assert_eq!(states, [State::Starting, State::Ready, State::Stopping, State::Stopped]);
    });
}

#[test]
fn a_server_that_does_not_answer_is_started_anew() {
    in_runtime(async {
        let crew = Crew::new();
        let text = "{health_check: {interval: 50ms, timeout: 100ms}, stop_timeout: 100ms}";
        crew.supervisor.set(vec![crew.spec("one", SERVER, rules(text))]);
        let server = crew.supervisor.server("one").expect("there");
        server.ready().await.expect("greeted");
        so("a latency", Duration::from_secs(5), || server.standing().latency_ms.is_some()).await;
        let deaf = crew.dir.path().join("one.deaf");
        std::fs::write(&deaf, "").expect("written");
        crew.await_state("one", State::Unhealthy).await;
        assert!(server.peer().is_some(), "calls still go to it");
        assert_eq!(server.standing().health, Health::Unhealthy);
        so("another process", Duration::from_secs(10), || crew.pids("one").all().len() >= 2).await;
        std::fs::remove_file(&deaf).expect("removed");
        crew.await_state("one", State::Ready).await;
        crew.supervisor.stop().await;
        assert!(crew.pids("one").living().is_empty());
    });
}

#[test]
fn a_server_that_works_on_a_call_is_not_taken_for_dead() {
    in_runtime(async {
        let crew = Crew::new();
        let text = "{health_check: {interval: 20ms, timeout: 40ms}, stop_timeout: 100ms}";
        crew.supervisor.set(vec![crew.spec("one", SERVER, rules(text))]);
        let server = crew.supervisor.server("one").expect("there");
        let peer = server.ready().await.expect("greeted");
        std::fs::write(crew.dir.path().join("one.deaf"), "").expect("written");
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#;
        let call = Question { text, id: 21..22, token: None, edits: Vec::new(), caller: 2 };
        let (_, mut ear) = peer.ask(call).expect("asked");
        let misses = || crew.log("one").matches("it did not answer when").count();
        tokio::select! {
            _ = ear.next() => panic!("it never answers"),
            () = so("five misses", Duration::from_secs(10), || misses() >= 5) => {}
        }
        assert_eq!(crew.pids("one").all().len(), 1, "still the same process");
        crew.supervisor.stop().await;
    });
}

#[test]
fn only_what_changed_is_started_anew() {
    in_runtime(async {
        let crew = Crew::new();
        let (one, mut two) = (crew.spec("one", SERVER, rules("{}")), crew.spec("two", SERVER, rules("{}")));
        crew.supervisor.set(vec![one.clone(), two.clone()]);
        for name in ["one", "two"] {
            crew.supervisor.server(name).expect("there").ready().await.expect("greeted");
        }
        let first = crew.supervisor.server("one").expect("there").standing().pid;
        two.pin = "another".to_owned();
        crew.supervisor.set(vec![two.clone(), one.clone(), crew.spec("three", SERVER, rules("{}"))]);
        for name in ["two", "three"] {
            crew.supervisor.server(name).expect("there").ready().await.expect("greeted");
        }
        assert_eq!(crew.supervisor.server("one").expect("there").standing().pid, first);
        assert_eq!(crew.pids("two").all().len(), 2);
        crew.supervisor.set(vec![one]);
        assert!(crew.supervisor.server("two").is_none());
        crew.pids("two").gone().await;
        crew.pids("three").gone().await;
        assert_eq!(crew.pids("one").living().len(), 1);
        crew.supervisor.stop().await;
        assert!(crew.pids("one").living().is_empty());
    });
}

#[test]
fn a_person_stops_starts_and_restarts_a_server() {
    in_runtime(async {
        let crew = Crew::new();
        crew.supervisor.set(vec![crew.spec("one", SERVER, rules("{}"))]);
        let server = crew.supervisor.server("one").expect("there");
        server.ready().await.expect("greeted");
        server.stop().await;
        assert!(crew.pids("one").living().is_empty());
        let why = server.ready().await.err().expect("an error").to_string();
        assert!(why.contains("it was stopped; `mcpkeel server start one`"), "{why}");
        server.start().await.expect("started");
        let pid = server.standing().pid;
        server.restart().await.expect("started again");
        assert_ne!(server.standing().pid, pid);
        assert_eq!(server.standing().restarts, 0, "nothing failed");
        crew.supervisor.stop().await;
    });
}

#[test]
fn a_stubborn_server_is_asked_and_then_forced() {
    in_runtime(async {
        let crew = Crew::new();
        let script = format!("{}{STUBBORN}", SERVER.replace("done\n", "break; done\n"));
        let text = "{stop_timeout: 150ms, start_timeout: 5s}";
        crew.supervisor.set(vec![crew.spec("one", &script, rules(text))]);
        crew.pids("one").born(3).await;
        let began = Instant::now();
        crew.supervisor.server("one").expect("there").stop().await;
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
        crew.supervisor.stop().await;
        assert!(crew.pids("one").living().is_empty());
    });
}
