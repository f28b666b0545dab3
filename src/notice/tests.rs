//! Programs that hang, which no reader of a manifest wants to wait for.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

use super::command::{LIMIT, run};
use crate::base::Secret;
use crate::store::{Event, EventKind};
use crate::system::{Memory, Program};

fn shell(script: &str, dir: &Path) -> Program {
    let text = |text: &str| Secret::new(text.to_owned());
    Program {
        command: text("sh"),
        args: vec![text("-c"), text(script)],
        env: Vec::new(),
        cwd: Some(dir.to_owned()),
    }
}

fn run_here(program: &Program, limit: Duration, stop: impl Future<Output = ()>) -> Result<(), String> {
    let event = Event::new(&Memory::default(), EventKind::Condition, "x");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    runtime.block_on(run(program, &event, "{}", limit, stop))
}

#[test]
fn a_program_that_takes_too_long_is_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = shell("sleep 600", dir.path());
    let ended = run_here(&program, Duration::from_millis(50), std::future::pending());
    assert_eq!(ended, Err("it took longer than 0 s and was ended".to_owned()));
}

#[test]
fn with_a_program_ends_all_that_it_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let written = dir.path().join("pid");
    let script = "trap '' TERM; sleep 600 & echo $! > pid.new; mv pid.new pid; wait; sleep 600";
    let until_it_runs = async {
        while !written.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = run_here(&shell(script, dir.path()), LIMIT, until_it_runs);
    assert_eq!(ended, Err(super::NO_TIME.to_owned()));
    let pid: i32 = std::fs::read_to_string(&written).expect("text").trim().parse().expect("a number");
    let pid = Pid::from_raw(pid).expect("one");
    // Its parent is dead, so somebody else must bury it.
    let is_gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
        Ok(stat) => stat.contains(") Z"),
        Err(_) => test_kill_process(pid).is_err(),
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !is_gone() {
        assert!(std::time::Instant::now() < deadline, "what the program started still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}
