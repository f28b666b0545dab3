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
