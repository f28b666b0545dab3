//! A program that is spoken to over its standard input and output, with an end to every wait.
//!
//! Invariant: the program does not outlive the [`Pipe`]; no shell is involved; whoever waits for it waits for
//! a limited time.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::{Ending, Program, end_group, keep_close};

/// How much of what it complains about is kept, in bytes: its last lines.
const COMPLAINTS: usize = 4 << 10;

/// How long it may take to end once it is told to.
const GRACE: Duration = Duration::from_secs(2);

/// A running program.
pub struct Pipe {
    child: Child,
    /// None once its input is closed.
    input: Option<Sender<Vec<u8>>>,
    output: Receiver<io::Result<Vec<u8>>>,
    /// What was read and not handed out yet.
    rest: Vec<u8>,
    complaints: Receiver<Vec<u8>>,
    patience: Duration,
}

impl Pipe {
    /// Starts a program in a directory, with these variables on top of ours.
    ///
    /// # Errors
    /// What starting it says.
    pub fn start(argv: &[String], env: &[(&str, &str)], dir: &Path, patience: Duration) -> io::Result<Self> {
        let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        for name in Program::WITHHELD {
            command.env_remove(name);
        }
        command
            .args(args)
            .envs(env.iter().copied())
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        keep_close(&mut command)?;
        let mut child = command.spawn()?;
        let (input, output) = (feed(child.stdin.take()), drain(child.stdout.take()));
        let complaints = last_of(child.stderr.take());
        Ok(Self { child, input: Some(input), output, rest: Vec::new(), complaints, patience })
    }

    /// Nothing more is said to it.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// All that it prints from here on, at most this many bytes.
    ///
    /// # Errors
    /// `TimedOut` when it is silent for too long; `FileTooLarge` when it prints more.
    pub fn read_all(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut piece = [0; 8 << 10];
        loop {
            match self.read(&mut piece)? {
                0 => return Ok(all),
                read if all.len() + read > most => return Err(io::ErrorKind::FileTooLarge.into()),
                read => all.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// Waits for its end, which comes soon: its output has ended.
    ///
    /// # Errors
    /// `TimedOut` when it does not end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.close_input();
        self.ended_within(GRACE)?.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// The last that it complained about, once its end is near.
    pub fn complaints(&mut self) -> String {
        let bytes = self.complaints.recv_timeout(GRACE).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn ended_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + limit;
        loop {
            match self.child.try_wait()? {
                Some(status) => return Ok(Some(status)),
                None if Instant::now() >= until => return Ok(None),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.output.recv_timeout(self.patience) {
                Ok(piece) => self.rest = piece?,
                Err(RecvTimeoutError::Timeout) => {
                    let why = format!("it was silent for {} s", self.patience.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        let count = self.rest.len().min(into.len());
        into[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let input = self.input.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        input.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.close_input();
        let pid = self.child.id();
        // Its input is closed, which ends most programs by itself; the others are told to.
        let brief = Duration::from_millis(100);
        for (ending, grace) in [(Ending::Asked, brief), (Ending::Forced, GRACE)] {
            if !matches!(self.ended_within(grace), Ok(None)) {
                return;
            }
            end_group(pid, ending);
        }
        // On systems without process groups; one that is gone already needs nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes what is sent, so that the sender never waits for a program that does not read.
fn feed(stdin: Option<ChildStdin>) -> Sender<Vec<u8>> {
    let (send, receive) = mpsc::channel::<Vec<u8>>();
    std::thread::spawn(move || {
        let Some(mut stdin) = stdin else { return };
        for bytes in receive {
            // A program that reads no more shows in what it prints.
            if stdin.write_all(&bytes).and_then(|()| stdin.flush()).is_err() {
                return;
            }
        }
    });
    send
}

fn drain(stdout: Option<impl Read + Send + 'static>) -> Receiver<io::Result<Vec<u8>>> {
    // Bounded: what nobody reads stays with the program.
    let (send, receive) = mpsc::sync_channel(4);
    std::thread::spawn(move || {
        let Some(mut stdout) = stdout else { return };
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = match stdout.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => Ok(piece[..read].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if send.send(read).is_err() || failed {
                return;
            }
        }
    });
    receive
}

fn last_of(stderr: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut piece = [0; 1 << 10];
        let mut stderr = stderr;
        while let Some(read) = stderr.as_mut().and_then(|stderr| stderr.read(&mut piece).ok()) {
            if read == 0 {
                break;
            }
            kept.extend_from_slice(&piece[..read]);
            if kept.len() > COMPLAINTS {
                kept.drain(..kept.len() - COMPLAINTS);
            }
        }
        // Nobody asks when all went well.
        let _ = send.send(kept);
    });
    receive
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn start(script: &str, patience: u64) -> Pipe {
        let argv = ["sh", "-c", script].map(str::to_owned);
        Pipe::start(&argv, &[("WHO", "me")], Path::new("/"), Duration::from_millis(patience))
            .expect("sh starts")
    }

    #[test]
    fn says_hears_and_ends() {
        let mut cat = start("cat; echo $WHO; echo complaint >&2; exit 3", 10_000);
        cat.write_all(b"hello\n").expect("said");
        cat.close_input();
        assert_eq!(cat.read_all(100).expect("heard"), b"hello\nme\n");
        assert_eq!(cat.wait().expect("ended").code(), Some(3));
        assert_eq!(cat.complaints(), "complaint\n");
    }

    #[test]
    fn gives_up_on_silence_and_on_too_much() {
        let mut silent = start("exec sleep 100", 20);
        let error = silent.read(&mut [0]).expect_err("nothing was said");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut loud = start("exec yes", 10_000);
        assert_eq!(loud.read_all(100).expect_err("too much").kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn leaves_no_program_behind() {
        // It does not care whether it is asked.
        let mut stubborn = start("trap '' TERM; echo up; while :; do sleep 1; done", 10_000);
        stubborn.read_exact(&mut [0; 3]).expect("it is up");
        let child = i32::try_from(stubborn.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        drop(stubborn);
        assert!(rustix::process::test_kill_process(child.expect("a process")).is_err());
    }
}
