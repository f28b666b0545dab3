//! A program that is started for each notice.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::base::Secret;
use crate::store::{Event, Stand};
use crate::system::{Ending, Program, end_group, keep_close};

/// How long the program may take.
pub const LIMIT: Duration = Duration::from_secs(30);

/// How long it may tidy up once it was asked to end.
const GRACE: Duration = Duration::from_millis(500);

/// Runs the program with the event on its standard input, until it ends, the limit is over, or `stop` comes.
///
/// What it prints is not kept: nobody knows what is in it.
///
/// # Errors
/// What went wrong, as the end of a sentence.
pub async fn run(
    program: &Program,
    event: &Event,
    body: &str,
    limit: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let mut child = start(program, event).map_err(|error| cannot_start(&error))?;
    let why = tokio::select! {
        status = feed(&mut child, body) => {
            let status = status.map_err(|error| format!("it cannot be waited for ({error})"))?;
            return if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) };
        }
        () = tokio::time::sleep(limit) => format!("it took longer than {} s and was ended", limit.as_secs()),
        () = stop => super::NO_TIME.to_owned(),
    };
    end(&mut child).await;
    Err(why)
}

fn start(program: &Program, event: &Event) -> io::Result<Child> {
    let mut command = Command::new(program.command.expose());
    command
        .args(program.args.iter().map(Secret::expose))
        .env("MCPKEEL_CONDITION", event.condition.map_or("", Stand::word))
        .env("MCPKEEL_CLIENT", event.client.as_deref().unwrap_or_default())
        .env("MCPKEEL_REASON", event.reason.as_deref().unwrap_or_default())
        .env("MCPKEEL_MESSAGE", &event.message)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for name in Program::WITHHELD {
        command.env_remove(name);
    }
    if let Some(dir) = &program.cwd {
        command.current_dir(dir);
    }
    keep_close(command.as_std_mut())?;
    command.spawn()
}

/// Hands the text over, closes the input and waits. A program need not read it.
async fn feed(child: &mut Child, body: &str) -> io::Result<std::process::ExitStatus> {
    let input = child.stdin.take();
    let write = async move {
        if let Some(mut input) = input {
            // It does not want to know more: its own affair.
            let _ = input.write_all(body.as_bytes()).await;
        }
    };
    tokio::select! {
        status = child.wait() => status,
        () = write => child.wait().await,
    }
}

/// Asks its group to end, then forces it. It is waited for last, so that the group's number stays its own.
async fn end(child: &mut Child) {
    if let Some(leader) = child.id() {
        end_group(leader, Ending::Asked);
        tokio::time::sleep(GRACE).await;
        end_group(leader, Ending::Forced);
    }
    // On systems without process groups; elsewhere it is dead already.
    let _ = child.kill().await;
}

fn cannot_start(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its program or its directory was not found".to_owned(),
        _ => format!("it cannot be started ({error})"),
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::path::Path;

    use rustix::process::{Pid, test_kill_process};

    use super::*;
    use crate::store::EventKind;
    use crate::system::Memory;

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
        assert_eq!(ended, Err(crate::notice::NO_TIME.to_owned()));
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
}
