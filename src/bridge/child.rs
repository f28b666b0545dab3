//! A program that speaks on its standard input and output.
//!
//! Invariant: the program does not outlive us: its input is closed, then it is asked, then it is forced. It
//! has a process group of its own, so that what it started goes with it.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::lines::{Line, Lines};
use super::link::{Hurry, Link, Outbox, Trouble};
use super::message::{self, Message};
use crate::base::Secret;
use crate::system::{Ending, Program, end_group, keep_close};

/// How long each step of ending may take.
const STEP: Duration = Duration::from_secs(2);

/// Starts the program.
///
/// # Errors
/// What starting it says.
pub fn start(program: &Program) -> io::Result<Child> {
    let mut command = Command::new(program.command.expose());
    for name in Program::WITHHELD {
        command.env_remove(name);
    }
    command
        .args(program.args.iter().map(Secret::expose))
        .envs(program.env.iter().map(|(name, value)| (name, value.expose())))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true);
    if let Some(dir) = &program.cwd {
        command.current_dir(dir);
    }
    keep_close(command.as_std_mut())?;
    command.spawn()
}

/// Speaks to a program until the inbox ends or the program does. Returns its exit code.
pub async fn run(name: &str, mut child: Child, link: Link) -> u8 {
    let outbox = Outbox::new(name, &link);
    let Link { inbox, mut hurry, .. } = link;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (to_child, answers) = mpsc::channel(1);
    let mut writing = tokio::spawn(write(stdin, inbox, answers));
    let mut reading = tokio::spawn(read(stdout, outbox, name.to_owned(), to_child));
    tokio::select! {
        // The client is gone, or the program no longer reads.
        _ = &mut writing => {}
        // The program has closed its output: there is nothing more to wait for.
        _ = &mut reading => {}
        _ = child.wait() => {}
        () = hurry.comes() => {}
    }
    writing.abort();
    let status = end(&mut child, &mut hurry).await;
    if !reading.is_finished() {
        // What it said last; a grandchild may hold the pipe open for longer.
        let _ = timeout(STEP, &mut reading).await;
        reading.abort();
    }
    status.map_or(1, |status| code(&status))
}

/// Its input is closed by now: waits, asks, forces.
async fn end(child: &mut Child, hurry: &mut Hurry) -> Option<ExitStatus> {
    let pid = child.id();
    let patience = async {
        tokio::select! {
            () = tokio::time::sleep(STEP) => {}
            () = hurry.comes() => {}
        }
    };
    tokio::select! {
        status = child.wait() => return status.ok(),
        () = patience => {}
    }
    for ending in [Ending::Asked, Ending::Forced] {
        if let Some(pid) = pid {
            end_group(pid, ending);
        }
        if let Ok(status) = timeout(STEP, child.wait()).await {
            return status.ok();
        }
    }
    // On systems without process groups.
    child.kill().await.ok()?;
    child.wait().await.ok()
}

fn code(status: &ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(status) {
        return u8::try_from(128 + signal).unwrap_or(1);
    }
    u8::try_from(status.code().unwrap_or(1) & 0xff).unwrap_or(1)
}

/// Dropping the input closes it.
async fn write(
    stdin: Option<ChildStdin>,
    mut inbox: mpsc::Receiver<Message>,
    mut answers: mpsc::Receiver<String>,
) -> Option<()> {
    let mut stdin = stdin?;
    loop {
        let text = tokio::select! {
            message = inbox.recv() => message?.text,
            Some(answer) = answers.recv() => answer,
        };
        let mut line = text.into_bytes();
        line.push(b'\n');
        stdin.write_all(&line).await.ok()?;
        stdin.flush().await.ok()?;
    }
}

async fn read(
    stdout: Option<ChildStdout>,
    outbox: Outbox,
    name: String,
    to_child: mpsc::Sender<String>,
) -> Option<()> {
    let mut lines = Lines::new(stdout?);
    while let Ok(Some(line)) = lines.next().await {
        let (glance, what) = match line {
            Line::Text(line) => match String::from_utf8(line) {
                Ok(text) => match Message::read(&text).into_iter().collect::<Result<Vec<_>, _>>() {
                    Ok(messages) => {
                        for message in messages {
                            outbox.pass(message, None).await;
                        }
                        continue;
                    }
                    Err(_) => (glance_at(text.as_bytes()), "sent something that is not JSON-RPC"),
                },
                Err(error) => (glance_at(error.as_bytes()), "sent something that is not UTF-8"),
            },
            Line::TooLong(glance) => (glance, "sent more than 64 MiB in one message"),
        };
        // Whoever waits for it must not wait for ever.
        let trouble = Trouble { status: None, text: format!("`{name}` {what}") };
        match glance.seen() {
            (Some(id), false) => outbox.fail(id, &trouble).await,
            (Some(id), true) => {
                outbox.note(&trouble.text);
                let _ = to_child.send(message::error(Some(id), message::INVALID_REQUEST, what, None)).await;
            }
            (None, _) => outbox.note(&trouble.text),
        }
    }
    None
}

fn glance_at(bytes: &[u8]) -> message::Glance {
    let mut glance = message::Glance::default();
    glance.feed(bytes);
    glance
}
