//! Our side: orders go out, news come in, and whoever waits for a program's end hears of it.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::ARGUMENT;
use super::wire::{Notice, Order, Request, bytes_of, take_frame};
use crate::system::{Ending, Program, end_group};

/// How long the nursery may take to end everything before it is left to itself.
const GRACE: Duration = Duration::from_secs(3);

/// A program's standard input.
pub type Input = pipe::Sender;
/// A program's standard output, or standard error.
pub type Output = pipe::Receiver;

/// A program that was started.
pub struct Spawned {
    /// Its process, and the group that it leads.
    pub pid: u32,
    /// Its standard input.
    pub stdin: Input,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// Its end.
    pub exit: Exit,
    /// How it is ended.
    pub grip: Grip,
}

/// The end of a program.
pub struct Exit(oneshot::Receiver<ExitStatus>);

impl Exit {
    /// Comes when the program has ended; none when the nursery is gone, and the program with it.
    pub async fn comes(&mut self) -> Option<ExitStatus> {
        (&mut self.0).await.ok()
    }
}

/// Ends a program and its group; by force when it is dropped.
pub struct Grip {
    id: u32,
    orders: mpsc::UnboundedSender<Sent>,
}

impl Grip {
    /// Ends it. Nothing happens if it has ended already.
    pub fn end(&self, ending: Ending) {
        // Without a nursery there is nothing left to end.
        let _ = self.orders.send(Sent { frame: Request::End(self.id, ending).frame(), ends: Vec::new() });
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.end(Ending::Forced);
    }
}

/// Where servers are started. The process is there from the first start on; one that was killed is replaced at
/// the next.
pub struct Nursery {
    program: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u32,
    running: Option<Running>,
}

/// One nursery process.
struct Running {
    orders: mpsc::UnboundedSender<Sent>,
    awaited: Arc<Mutex<HashMap<u32, Awaited>>>,
    process: std::process::Child,
}

/// Whoever waits for news of a program.
struct Awaited {
    started: Option<oneshot::Sender<io::Result<u32>>>,
    exited: oneshot::Sender<ExitStatus>,
    pid: Option<u32>,
}

struct Sent {
    frame: Zeroizing<Vec<u8>>,
    ends: Vec<OwnedFd>,
}

impl Nursery {
    /// With this program of ours, or else the one that is running.
    pub fn new(program: Option<PathBuf>) -> io::Result<Self> {
        let program = match program {
            Some(program) => program,
            None => own_program()?,
        };
        Ok(Self { program, state: Mutex::default() })
    }

    /// Has the process started, so that the first program need not wait for it.
    ///
    /// # Errors
    /// When it does not start. Call it inside a runtime.
    pub fn warm_up(&self) -> io::Result<()> {
        self.orders().map(drop)
    }

    /// Starts a program. It gets our environment less what is withheld, and its own variables on top.
    ///
    /// # Errors
    /// What starting it says; `BrokenPipe` when the nursery ended meanwhile.
    pub async fn spawn(&self, program: &Program) -> io::Result<Spawned> {
        let (stdin, our_stdin) = io::pipe()?;
        let (our_stdout, stdout) = io::pipe()?;
        let (our_stderr, stderr) = io::pipe()?;
        let (started, has_started) = oneshot::channel();
        let (exited, exit) = oneshot::channel();
        let (id, orders, awaited) = self.orders()?;
        lock(&awaited).insert(id, Awaited { started: Some(started), exited, pid: None });
        let frame = Request::Spawn(order(id, program)).frame();
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the process that starts servers has ended");
        orders
            .send(Sent { frame, ends: vec![stdin.into(), stdout.into(), stderr.into()] })
            .map_err(|_| gone())?;
        let grip = Grip { id, orders };
        let pid = has_started.await.map_err(|_| gone())??;
        Ok(Spawned {
            pid,
            stdin: pipe::Sender::from_owned_fd(our_stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(our_stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(our_stderr.into())?,
            exit: Exit(exit),
            grip,
        })
    }

    /// Has everything ended, and waits for that.
    pub async fn close(&self) {
        let Some(running) = lock(&self.state).running.take() else { return };
        let Running { orders, mut process, .. } = running;
        // An empty frame is the last.
        let _ = orders.send(Sent { frame: Zeroizing::new(Vec::new()), ends: Vec::new() });
        let ended = async {
            while matches!(process.try_wait(), Ok(None)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // It goes on without us when somebody hangs in the kernel.
        let _ = tokio::time::timeout(GRACE, ended).await;
    }

    /// The next number, and where orders go.
    #[expect(clippy::type_complexity, reason = "used by its two callers alone")]
    fn orders(&self) -> io::Result<(u32, mpsc::UnboundedSender<Sent>, Arc<Mutex<HashMap<u32, Awaited>>>)> {
        let mut state = lock(&self.state);
        if state.running.as_ref().is_some_and(|running| running.orders.is_closed())
            && let Some(mut old) = state.running.take()
        {
            // It has closed its socket, and only its end does that.
            old.process.kill()?;
            old.process.wait()?;
        }
        state.last += 1;
        let id = state.last;
        let running = match &state.running {
            Some(running) => running,
            None => {
                let running = start(&self.program)?;
                state.running.insert(running)
            }
        };
        Ok((id, running.orders.clone(), Arc::clone(&running.awaited)))
    }
}

/// Where this program lies; where it ran from, when its file was replaced or removed since.
fn own_program() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    if cfg!(target_os = "linux") && !program.exists() {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    Ok(program)
}

fn start(program: &Path) -> io::Result<Running> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let stream = Arc::new(UnixStream::from_std(ours)?);
    let process = Command::new(program)
        .arg(ARGUMENT)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let (orders, sent) = mpsc::unbounded_channel();
    let awaited = Arc::new(Mutex::new(HashMap::new()));
    let hearing = tokio::spawn(hear(Arc::clone(&stream), Arc::clone(&awaited)));
    tokio::spawn(async move {
        tokio::select! {
            // It cannot be told anything any more, or we want its end.
            () = say(&stream, sent) => {}
            // It is gone. Dropping the orders says so to the next start.
            _ = hearing => {}
        }
        // Everyone who still has an end of this socket would keep it from being closed.
        let _ = rustix::net::shutdown(stream.as_fd(), rustix::net::Shutdown::Both);
    });
    Ok(Running { orders, awaited, process })
}

async fn say(stream: &UnixStream, mut sent: mpsc::UnboundedReceiver<Sent>) {
    while let Some(Sent { frame, ends }) = sent.recv().await {
        if frame.is_empty() || say_one(stream, &frame, &ends).await.is_err() {
            return;
        }
    }
}

async fn say_one(stream: &UnixStream, frame: &[u8], ends: &[OwnedFd]) -> io::Result<()> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let ends: Vec<_> = ends.iter().map(OwnedFd::as_fd).collect();
    let mut done = 0;
    while done < frame.len() {
        done += stream
            .async_io(Interest::WRITABLE, || {
                let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
                let mut with = SendAncillaryBuffer::new(&mut room);
                // With the first byte, and not again.
                if done == 0 && !ends.is_empty() {
                    with.push(SendAncillaryMessage::ScmRights(&ends));
                }
                let rest = [io::IoSlice::new(&frame[done..])];
                Ok(sendmsg(stream, &rest, &mut with, SendFlags::empty())?)
            })
            .await?;
    }
    Ok(())
}

async fn hear(stream: Arc<UnixStream>, awaited: Arc<Mutex<HashMap<u32, Awaited>>>) {
    let mut received = Zeroizing::new(Vec::new());
    let mut piece = [0; 4 << 10];
    'hearing: loop {
        if stream.readable().await.is_err() {
            break;
        }
        match stream.try_read(&mut piece) {
            Ok(0) => break,
            Ok(length) => received.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        }
        loop {
            match take_frame(&mut received)
                .and_then(|frame| frame.map(|frame| Notice::read(&frame)).transpose())
            {
                Ok(Some(notice)) => take(&mut lock(&awaited), notice),
                Ok(None) => break,
                Err(_) => break 'hearing,
            }
        }
    }
    // Killed: on Linux its children were asked to end when it did. Dropping who waits tells them.
    for (_, server) in lock(&awaited).drain() {
        if let Some(pid) = server.pid {
            end_group(pid, Ending::Forced);
        }
    }
}

fn take(awaited: &mut HashMap<u32, Awaited>, notice: Notice) {
    match notice {
        Notice::Started { id, pid } => {
            let Some(server) = awaited.get_mut(&id) else { return };
            server.pid = Some(pid);
            // Nobody waits for it any more: its grip was dropped, which ends it.
            let _ = server.started.take().map(|started| started.send(Ok(pid)));
        }
        Notice::Refused { id, errno, why } => {
            let error = if errno == 0 { io::Error::other(why) } else { io::Error::from_raw_os_error(errno) };
            let started = awaited.remove(&id).and_then(|server| server.started);
            let _ = started.map(|started| started.send(Err(error)));
        }
        Notice::Exited { id, status } => {
            if let Some(server) = awaited.remove(&id) {
                let status = std::os::unix::process::ExitStatusExt::from_raw(status);
                // Its end may interest nobody.
                let _ = server.exited.send(status);
            }
        }
    }
}

fn order(id: u32, program: &Program) -> Order {
    let text = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    let mut env: Vec<(Vec<u8>, Zeroizing<Vec<u8>>)> = std::env::vars_os()
        .map(|(name, value)| (name.as_bytes().to_vec(), Zeroizing::new(value.as_bytes().to_vec())))
        .filter(|(name, _)| !Program::WITHHELD.iter().any(|withheld| withheld.as_bytes() == name))
        .collect();
    env.extend(program.env.iter().map(|(name, value)| (name.clone().into_bytes(), text(value.expose()))));
    Order {
        id,
        argv: std::iter::once(&program.command)
            .chain(&program.args)
            .map(|part| text(part.expose()))
            .collect(),
        env,
        cwd: program.cwd.as_deref().map(bytes_of),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
