//! The process that starts servers.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mcpkeel::base::Secret;
use mcpkeel::system::{Ending, Nursery, Program, Spawned};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tree::{Pids, STRAYING, STUBBORN, WRAPPED, has_setsid, is_alive, kill, script, so};

/// What the daemon of these tests starts: scripts, one a line.
const SCRIPTS: &str = "MCPKEEL_TEST_SCRIPTS";
/// Where their processes write who they are.
const PIDS: &str = "MCPKEEL_TEST_PIDS";

fn nursery() -> Nursery {
    Nursery::new(Some(PathBuf::from(env!("CARGO_BIN_EXE_mcpkeel")))).expect("a nursery")
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// Not a test by itself: other tests start it as a process of its own, and kill it.
#[test]
fn plays_the_daemon() {
    let Some(scripts) = std::env::var_os(SCRIPTS) else { return };
    let pids = PathBuf::from(std::env::var_os(PIDS).expect("a file"));
    in_runtime(async {
        let nursery = nursery();
        let mut held = Vec::new();
        for text in scripts.to_str().expect("text").lines() {
            held.push(nursery.spawn(&script(text, &pids)).await.expect("started"));
        }
        std::future::pending::<()>().await;
        drop(held);
    });
}

fn daemon(scripts: &[&str], pids: &Path) -> Child {
    let us = std::env::current_exe().expect("this test");
    Command::new(us)
        .args(["--exact", "supervise::nursery::plays_the_daemon", "--nocapture"])
        .env(SCRIPTS, scripts.join("\n"))
        .env(PIDS, pids)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a daemon")
}

#[test]
fn nothing_is_left_when_the_daemon_is_asked_to_end_or_killed() {
    let mut scripts = vec![STUBBORN, WRAPPED];
    let mut count = 4;
    if has_setsid() {
        scripts.push(STRAYING);
        count += 3;
    }
    for signal in [Signal::TERM, Signal::KILL] {
        let dir = tempfile::tempdir().expect("a directory");
        let pids = Pids::at(dir.path(), "pids");
        let mut daemon = daemon(&scripts, pids.path());
        pids.await_born(count);
        assert_eq!(pids.living().len(), count, "all of them live");
        kill(daemon.id().cast_signed(), signal);
        daemon.wait().expect("it ended");
        let took = pids.await_none(Duration::from_secs(5));
        println!("{signal:?}: {count} processes were gone after {took:?}");
    }
}

#[test]
fn what_a_crashed_server_leaves_behind_is_ended_and_others_live_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let (crashing, living) = (Pids::at(dir.path(), "crashing"), Pids::at(dir.path(), "living"));
    in_runtime(async {
        let nursery = nursery();
        let text = if has_setsid() { STRAYING } else { WRAPPED };
        let count = if has_setsid() { 3 } else { 2 };
        let mut one = nursery.spawn(&script(text, crashing.path())).await.expect("started");
        let _other = nursery.spawn(&script(text, living.path())).await.expect("started");
        crashing.born(count).await;
        living.born(count).await;
        kill(one.pid.cast_signed(), Signal::KILL);
        let status = one.exit.comes().await.expect("the nursery lives");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        crashing.gone().await;
        assert_eq!(living.living().len(), count, "the other one is whole");
        nursery.close().await;
        assert!(living.living().is_empty(), "closing waits for the end of everyone");
    });
}

#[test]
fn a_server_keeps_what_it_put_into_the_background_while_it_lives() {
    if !has_setsid() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (one, other) = (Pids::at(dir.path(), "one"), Pids::at(dir.path(), "other"));
    in_runtime(async {
        let nursery = nursery();
        // Its parent ends at once, so that the nursery is handed it.
        let text = "(setsid sh -c 'echo $$ >> $PIDS; exec sleep 1000' &); echo $$ >> $PIDS; exec sleep 1000";
        let first = nursery.spawn(&script(text, one.path())).await.expect("started");
        let mut second = nursery.spawn(&script(text, other.path())).await.expect("started");
        one.born(2).await;
        other.born(2).await;
        second.grip.end(Ending::Asked);
        second.exit.comes().await.expect("the nursery lives");
        other.gone().await;
        assert_eq!(one.living().len(), 2);
        drop(first);
        one.gone().await;
    });
}

#[test]
fn a_program_gets_its_pipes_its_variables_its_directory_and_nothing_withheld() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = std::fs::canonicalize(dir.path()).expect("there");
    in_runtime(async {
        let nursery = nursery();
        let text = "cat; pwd; echo \"$TOKEN\" >&2; env | grep -c AGE_IDENTITY; cut -f1 -d: /proc/$PPID/cmdline \
             2>/dev/null; exit 7";
        let mut program = script(text, &dir);
        program.cwd = Some(dir.clone());
        program.env.push(("TOKEN".to_owned(), Secret::new("canary-value".to_owned())));
        program.env.push(("MCPKEEL_AGE_IDENTITY".to_owned(), Secret::new("canary-key".to_owned())));
        let Spawned { mut stdin, mut stdout, mut stderr, mut exit, grip: _grip, .. } =
            nursery.spawn(&program).await.expect("started");
        stdin.write_all(b"hello\n").await.expect("written");
        drop(stdin);
        let (mut out, mut err) = (String::new(), String::new());
        stdout.read_to_string(&mut out).await.expect("read");
        stderr.read_to_string(&mut err).await.expect("read");
        assert_eq!(exit.comes().await.and_then(|status| status.code()), Some(7));
        let mut lines = out.lines();
        assert_eq!(lines.next(), Some("hello"));
        assert_eq!(lines.next().map(Path::new), Some(&*dir));
        assert_eq!(lines.next(), Some("0"), "what opens our stores is withheld: {out}");
        assert_eq!(err, "canary-value\n");
        assert!(!out.contains("canary"), "not among the arguments of the nursery: {out}");
    });
}

#[test]
fn a_program_that_is_not_there_is_said_to_be_missing() {
    in_runtime(async {
        let nursery = nursery();
        let missing = Program {
            command: Secret::new("mcpkeel-no-such-program".to_owned()),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
        };
        let error = nursery.spawn(&missing).await.err().expect("an error");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        let dir = tempfile::tempdir().expect("a directory");
        let pids = Pids::at(dir.path(), "pids");
        let server = nursery.spawn(&script(WRAPPED, pids.path())).await.expect("the nursery goes on");
        pids.born(2).await;
        drop(server);
        pids.gone().await;
    });
}

#[test]
fn a_nursery_that_was_killed_takes_its_servers_along_and_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let (before, after) = (Pids::at(dir.path(), "before"), Pids::at(dir.path(), "after"));
    in_runtime(async {
        let nursery = nursery();
        let text =
            "echo $PPID > $PIDS.parent; trap '' TERM; echo $$ >> $PIDS; sleep 1000 & echo $! >> $PIDS; wait";
        let mut server = nursery.spawn(&script(text, before.path())).await.expect("started");
        before.born(2).await;
        let parent = std::fs::read_to_string(dir.path().join("before.parent")).expect("written");
        let parent: i32 = parent.trim().parse().expect("a number");
        kill(parent, Signal::KILL);
        assert!(server.exit.comes().await.is_none(), "nobody knows how it ended");
        before.gone().await;
        let _server = nursery.spawn(&script(WRAPPED, after.path())).await.expect("started anew");
        after.born(2).await;
        so("the end of the first nursery", Duration::from_secs(5), || !is_alive(parent)).await;
        nursery.close().await;
        assert!(after.living().is_empty());
    });
}

/// How much of a process is its own, in KiB.
#[cfg(target_os = "linux")]
#[test]
fn the_nursery_is_small() {
    let dir = tempfile::tempdir().expect("a directory");
    let pids = Pids::at(dir.path(), "pids");
    in_runtime(async {
        let nursery = nursery();
        let text = "echo $PPID > $PIDS.parent; echo $$ >> $PIDS; exec sleep 1000";
        let began = std::time::Instant::now();
        let _server = nursery.spawn(&script(text, pids.path())).await.expect("started");
        let took = began.elapsed();
        pids.born(1).await;
        let parent = std::fs::read_to_string(dir.path().join("pids.parent")).expect("written");
        let status = std::fs::read_to_string(format!("/proc/{}/status", parent.trim())).expect("there");
        let kib = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).expect(name);
            line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
        };
        println!(
            "started the nursery and a server in {took:?}; RSS {} KiB, {} of it its own",
            kib("VmRSS"),
            kib("RssAnon")
        );
        assert!(kib("RssAnon") < 8 << 10, "{status}");
        nursery.close().await;
    });
}
