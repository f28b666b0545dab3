//! Other programs, the keyring and the terminal of the machine this runs on.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use zeroize::Zeroize as _;

use super::{Keyring, KeyringError, Program, Programs, Ran, Real};
use crate::base::Secret;

/// The most that a program may print, and that is read from standard input: a secret is small.
const MOST: u64 = 1 << 20;

impl Programs for Real {
    fn own_path(&self) -> io::Result<PathBuf> {
        let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
        let running = std::env::current_exe()?;
        let is_us = |path: &PathBuf| same_file(path, &running);
        if called.components().count() > 1 {
            let path = std::env::current_dir()?.join(&called);
            return Ok(if is_us(&path) { tidy(&path) } else { running });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|dir| dir.join(&called)).find(is_us);
        Ok(found.filter(|path| path.is_absolute()).unwrap_or(running))
    }

    fn run(&self, argv: &[String], dir: &Path, limit: Duration) -> io::Result<Ran> {
        let (command, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(command);
        command.args(args).current_dir(dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        for name in super::service_manager::VARIABLES {
            command.env_remove(name);
        }
        let mut child = command.spawn()?;
        let out = collect(child.stdout.take());
        let until = Instant::now() + limit;
        let left = |grace| until.saturating_duration_since(Instant::now()).max(grace);
        // The end of its output is the end of most programs: waiting for it costs no time beyond theirs.
        let mut printed = None;
        let mut pause = Duration::from_micros(50);
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() >= until => {
                    child.kill()?;
                    child.wait()?;
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long and was ended"));
                }
                None if printed.is_none() => printed = out.recv_timeout(pause).ok(),
                None => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        // Someone it started may hold its output open; what it printed itself is there by now.
        let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "its output never ended");
        let grace = Duration::from_millis(200);
        let out = printed.map_or_else(|| out.recv_timeout(left(grace)).map_err(timed_out), Ok)??;
        if out.expose().len() as u64 > MOST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it printed more than 1 MiB"));
        }
        Ok(Ran { code: status.code(), out })
    }

    fn become_program(&self, program: &Program) -> io::Result<i32> {
        let mut command = Command::new(spelled_out(program.command.expose()));
        for name in Program::WITHHELD {
            command.env_remove(name);
        }
        command.args(program.args.iter().map(Secret::expose));
        command.envs(program.env.iter().map(|(name, value)| (name, value.expose())));
        if let Some(dir) = &program.cwd {
            command.current_dir(dir);
        }
        become_command(command)
    }

    fn keyring(&self) -> Result<Box<dyn Keyring>, KeyringError> {
        super::real_keyring::open()
    }

    fn ask_secret(&self, question: &str) -> io::Result<Option<Secret<String>>> {
        match ask(question) {
            Ok(answer) => Ok(Some(Secret::new(answer))),
            Err(error) if is_no_terminal(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_input(&self) -> io::Result<Secret<Vec<u8>>> {
        let input = read_at_most(io::stdin().lock(), MOST)?;
        if input.expose().len() as u64 > MOST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "there is more than 1 MiB of it"));
        }
        Ok(input)
    }

    #[cfg(unix)]
    fn is_reader_gone(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = io::stdout();
        // Nothing is asked for: the end of the other side is always told.
        let mut ends = [PollFd::new(&stdout, PollFlags::empty())];
        let asked = poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        asked.is_ok() && ends[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
    }

    #[cfg(not(unix))]
    fn is_reader_gone(&self) -> bool {
        false
    }

    fn keep_memory_private(&self) {
        // Where the system refuses, there is nothing else to be done about it.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        #[cfg(all(unix, not(target_os = "linux")))]
        core_limit::lower();
    }
}

/// The size of core dumps, lowered to nothing while a secret is held.
#[cfg(all(unix, not(target_os = "linux")))]
mod core_limit {
    use std::sync::OnceLock;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    static BEFORE: OnceLock<Rlimit> = OnceLock::new();

    pub fn lower() {
        let before = BEFORE.get_or_init(|| getrlimit(Resource::Core));
        // Lowering is always allowed.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: before.maximum });
    }

    pub fn restore() {
        if let Some(before) = BEFORE.get() {
            let _ = setrlimit(Resource::Core, before.clone());
        }
    }
}

/// The program as the system starts it.
#[cfg(not(windows))]
fn spelled_out(command: &str) -> PathBuf {
    PathBuf::from(command)
}

/// The program with its ending: `npx` is `npx.cmd`, which only a shell would find.
#[cfg(windows)]
fn spelled_out(command: &str) -> PathBuf {
    let path = Path::new(command);
    if path.extension().is_some() || path.components().count() > 1 {
        return path.to_owned();
    }
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let endings = |dir: PathBuf| ["exe", "cmd", "bat"].map(|ending| dir.join(command).with_extension(ending));
    let found = std::env::split_paths(&dirs).flat_map(endings).find(|path| path.is_file());
    found.unwrap_or_else(|| path.to_owned())
}

/// The echo is off before the question stands there, and on again before Ctrl-C ends us; the library by
/// itself is late with both.
#[cfg(unix)]
fn ask(question: &str) -> io::Result<String> {
    use std::io::Write as _;
    let keyboard = Keyboard::silence()?;
    let mut screen = keyboard.terminal.try_clone()?;
    let config =
        rpassword::ConfigBuilder::new().input_reader(keyboard).output_writer(screen.try_clone()?).build();
    let answer = rpassword::prompt_password_with_config(question, config);
    // The key that ended the answer was not echoed either.
    screen.write_all(b"\n")?;
    answer
}

#[cfg(not(unix))]
fn ask(question: &str) -> io::Result<String> {
    rpassword::prompt_password(question)
}

/// What is typed at the terminal, key by key, while nothing of it is echoed.
#[cfg(unix)]
struct Keyboard {
    terminal: std::fs::File,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Keyboard {
    fn silence() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
        let terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed ahead was echoed: no answer.
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }

    fn restore(&self) {
        // A terminal that went away needs nothing.
        let _ =
            rustix::termios::tcsetattr(&self.terminal, rustix::termios::OptionalActions::Now, &self.before);
    }
}

#[cfg(unix)]
impl Read for Keyboard {
    fn read(&mut self, keys: &mut [u8]) -> io::Result<usize> {
        const CTRL_C: u8 = 3;
        let read = self.terminal.read(keys)?;
        if keys[..read].contains(&CTRL_C) {
            self.restore();
        }
        Ok(read)
    }
}

#[cfg(unix)]
impl Drop for Keyboard {
    fn drop(&mut self) {
        self.restore();
    }
}

#[cfg(unix)]
fn become_command(mut command: Command) -> io::Result<i32> {
    use std::os::unix::process::CommandExt as _;
    // The server's own dumps are its own affair. (On Linux that comes with becoming another program.)
    #[cfg(not(target_os = "linux"))]
    core_limit::restore();
    Err(command.exec())
}

#[cfg(windows)]
fn become_command(mut command: Command) -> io::Result<i32> {
    // Whatever joins the job ends with us, however we end.
    super::unsafe_calls::end_children_with_us()?;
    Ok(command.status()?.code().unwrap_or(1))
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<io::Result<Secret<Vec<u8>>>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let read = pipe.map_or_else(|| Ok(Secret::new(Vec::new())), |pipe| read_at_most(pipe, MOST));
        // Nobody waits any more when it took too long.
        let _ = send.send(read);
    });
    receive
}

/// Up to one byte more than `most`, so that the caller can tell; the buffer never moves, so no copy is
/// left behind.
fn read_at_most(from: impl Read, most: u64) -> io::Result<Secret<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(64 << 10);
    let mut from = from.take(most + 1);
    loop {
        if bytes.len() == bytes.capacity() {
            let mut larger = Vec::with_capacity(bytes.capacity() * 4);
            larger.extend_from_slice(&bytes);
            bytes.zeroize();
            bytes = larger;
        }
        let start = bytes.len();
        bytes.resize(bytes.capacity(), 0);
        match from.read(&mut bytes[start..]) {
            Ok(0) => {
                bytes.truncate(start);
                return Ok(Secret::new(bytes));
            }
            Ok(read) => bytes.truncate(start + read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => bytes.truncate(start),
            Err(error) => return Err(error),
        }
    }
}

fn is_no_terminal(error: &io::Error) -> bool {
    // ENXIO: the process has no controlling terminal. ENOENT: there is no /dev/tty.
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(6)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// Without `.` parts: `/work/./mcpkeel`.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::*;

    #[test]
    fn no_core_dump_is_made_of_a_process_that_holds_a_secret() {
        Real.keep_memory_private();
        assert_eq!(dumpable_behavior().expect("asked"), DumpableBehavior::NotDumpable);
    }
}
