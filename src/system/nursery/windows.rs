//! The same on Windows, where a job of the system's ends what we started when we end: there is no process beside us.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use crate::base::Secret;
use crate::system::{Ending, Program, keep_close};

/// A program's standard input.
pub type Input = ChildStdin;
/// A program's standard output.
pub type Output = ChildStdout;

/// A program that was started.
pub struct Spawned {
    /// Its process.
    pub pid: u32,
    /// Its standard input.
    pub stdin: ChildStdin,
    /// Its standard output.
    pub stdout: ChildStdout,
    /// Its standard error.
    pub stderr: ChildStderr,
    /// Its end.
    pub exit: Exit,
    /// How it is ended.
    pub grip: Grip,
}

/// The end of a program.
pub struct Exit(oneshot::Receiver<ExitStatus>);

impl Exit {
    /// Comes when the program has ended; none when nobody knows how.
    pub async fn comes(&mut self) -> Option<ExitStatus> {
        (&mut self.0).await.ok()
    }
}

/// Ends a program; by force when it is dropped.
pub struct Grip(mpsc::UnboundedSender<Ending>);

impl Grip {
    /// Ends it. There is no way to ask, so only force has an effect.
    pub fn end(&self, ending: Ending) {
        // It may have ended already.
        let _ = self.0.send(ending);
    }
}

/// Where servers are started.
pub struct Nursery {}

impl Nursery {
    /// The program is of no concern here.
    pub fn new(_program: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self {})
    }

    /// There is nothing to warm up.
    pub fn warm_up(&self) -> io::Result<()> {
        Ok(())
    }

    /// Starts a program. It gets our environment less what is withheld, and its own variables on top.
    ///
    /// # Errors
    /// What starting it says.
    pub async fn spawn(&self, program: &Program) -> io::Result<Spawned> {
        let mut command = Command::new(program.command.expose());
        for name in Program::WITHHELD {
            command.env_remove(name);
        }
        command
            .args(program.args.iter().map(Secret::expose))
            .envs(program.env.iter().map(|(name, value)| (name, value.expose())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = &program.cwd {
            command.current_dir(dir);
        }
        keep_close(command.as_std_mut())?;
        let mut child = command.spawn()?;
        let missing = || io::Error::other("it has no standard streams");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (pid, stderr) = (child.id().unwrap_or(0), child.stderr.take());
        let (exited, exit) = oneshot::channel();
        let (ending, endings) = mpsc::unbounded_channel();
        tokio::spawn(watch(child, endings, exited));
        Ok(Spawned {
            pid,
            stdin: stdin.ok_or_else(missing)?,
            stdout: stdout.ok_or_else(missing)?,
            stderr: stderr.ok_or_else(missing)?,
            exit: Exit(exit),
            grip: Grip(ending),
        })
    }

    /// The job sees to it.
    pub async fn close(&self) {}
}

async fn watch(
    mut child: Child,
    mut endings: mpsc::UnboundedReceiver<Ending>,
    exited: oneshot::Sender<ExitStatus>,
) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            ending = endings.recv() => match ending {
                Some(Ending::Asked) => {}
                Some(Ending::Forced) | None => {
                    // It may have ended this moment.
                    let _ = child.start_kill();
                    break child.wait().await;
                }
            },
        }
    };
    if let Ok(status) = status {
        // Its end may interest nobody.
        let _ = exited.send(status);
    }
}
