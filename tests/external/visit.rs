//! One run of a real client: in a home directory of its own, with an empty environment and a limit to its time.
//!
//! Invariant: when [`Visit::run`] returns, no process of the client's group is alive.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::TempDir;

/// How long a client may take. The slowest needs 15 seconds on a very busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client about to be run on a home directory.
pub struct Visit {
    /// Where `.ci/install-clients` put the clients.
    pub clients: PathBuf,
    /// The home directory that the client sees.
    pub home: PathBuf,
    program: PathBuf,
    scratch: TempDir,
    patience: Duration,
}

/// What a finished run left behind.
pub struct Ran {
    /// Whether it ended with exit code 0.
    pub succeeded: bool,
    /// Standard output, without colours.
    pub out: String,
    /// Standard error, without colours.
    pub err: String,
}

impl Visit {
    /// The client on a private copy of this home, since many clients write to theirs when they start.
    pub fn to_copy_of(home: &Path, clients: &Path, program: &Path) -> Self {
        let mut visit = Self::in_place(home, clients, program);
        let copy = visit.scratch.path().join("home");
        copy_tree(home, &copy).unwrap_or_else(|error| panic!("copying {}: {error}", home.display()));
        visit.home = copy;
        visit
    }

    /// The client on this very home.
    pub fn in_place(home: &Path, clients: &Path, program: &Path) -> Self {
        let scratch = TempDir::new().expect("a temporary directory");
        fs::create_dir(scratch.path().join("project")).expect("a project directory");
        Self {
            clients: clients.to_owned(),
            home: home.to_owned(),
            program: program.to_owned(),
            scratch,
            patience: PATIENCE,
        }
    }

    /// Runs the client.
    pub fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Result<Ran, String> {
        self.run_program(&self.program, args, variables)
    }

    /// Runs another program as if it were the client.
    pub fn run_program(
        &self,
        program: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Ran, String> {
        // Files instead of pipes: a process that outlives the client cannot keep us waiting.
        let (out, err) = (self.scratch.path().join("stdout"), self.scratch.path().join("stderr"));
        let node = self.clients.join("node/node_modules/.bin");
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("HOME", &self.home)
            .env("USER", "tester")
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", node.display()))
            .env("TMPDIR", self.scratch.path())
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            .envs(variables.iter().copied())
            .current_dir(self.scratch.path().join("project"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a file for stdout"))
            .stderr(File::create(&err).expect("a file for stderr"));

        let succeeded = run_to_end(&mut command, self.patience)
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let read = |path| plain(&String::from_utf8_lossy(&fs::read(path).expect("created above")));
        Ok(Ran { succeeded, out: read(out), err: read(err) })
    }
}

impl Ran {
    /// This run, or what it said if it failed.
    pub fn success(self) -> Result<Self, String> {
        if self.succeeded { Ok(self) } else { Err(self.said()) }
    }

    /// All it printed.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// Runs a command, whole process group included, for no longer than this. Says whether it succeeded.
fn run_to_end(command: &mut Command, patience: Duration) -> io::Result<bool> {
    let mut child = command.spawn()?;
    let group = Pid::from_child(&child);
    let (ended, waiting) = mpsc::channel();
    let waiter = thread::spawn(move || {
        // NOWAIT leaves the child unreaped, so that its id cannot pass to a stranger before its group is ended.
        waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok();
        ended.send(()).ok();
    });
    let in_time = waiting.recv_timeout(patience).is_ok();
    kill_process_group(group, Signal::KILL).ok();
    waiter.join().expect("the waiter does not panic");
    let status = child.wait()?;
    if in_time {
        Ok(status.success())
    } else {
        Err(io::Error::other(format!("still running after {patience:?}")))
    }
}

/// The text without terminal escapes; some clients colour their output whatever they are told.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    // An escape ends with its first letter.
    let after_escape = |part: &str| part.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |at| at + 1);
    parts.fold(first, |plain, part| plain + &part[after_escape(part)..])
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let target = to.join(entry.file_name().expect("read_dir names its entries"));
        if kind.is_dir() {
            copy_tree(&entry, &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&entry)?, target)?;
        } else if kind.is_file() {
            fs::copy(&entry, target)?;
        }
    }
    Ok(())
}

#[test]
fn a_client_that_hangs_is_ended_with_everything_it_started() {
    let home = TempDir::new().expect("a temporary directory");
    let shell = Path::new("/bin/sh");
    let mut visit = Visit::in_place(home.path(), home.path(), shell);
    visit.patience = Duration::from_millis(300);
    let problem = visit.run(&["-c", "sleep 600 & echo $! > \"$HOME/started\"; wait"], &[]).err();
    assert_eq!(problem.as_deref(), Some("/bin/sh: still running after 300ms"));

    let started = fs::read_to_string(home.path().join("started")).expect("the shell started something");
    while is_alive(started.trim()) {
        thread::yield_now();
    }
}

/// Whether a process runs; one that is dead but not yet reaped by the system does not.
fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn colours_are_taken_out_of_what_a_client_prints() {
    assert_eq!(plain("\u{1b}[91m\u{1b}[1mError: \u{1b}[0mno"), "Error: no");
}
