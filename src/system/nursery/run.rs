//! The nursery itself: a process with one thread that waits for its socket and for its children.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, wait};
use zeroize::Zeroizing;

use super::family::{self, MARK};
use super::wire::{Notice, Order, Request, take_frame};
use crate::system::unsafe_calls::{hear_children, hear_every_signal, wait_for_socket_or_child};
use crate::system::{Ending, Program, keep_close};

/// How long what is left of a server may take between being asked to end and being made to.
const STEP: Duration = Duration::from_secs(1);

/// How often what is about to end is looked at.
const TICK: Duration = Duration::from_millis(20);

/// When a process that cannot be ended (it hangs in the kernel, or belongs to somebody else) is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the other end of its standard input, a socket, is gone, and then ends everything.
pub fn run() -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    // Away from the terminal and from whoever signals the group that started us.
    let _ = rustix::process::setsid();
    crate::system::Programs::keep_memory_private(&crate::system::Real);
    family::adopt();
    if hear_children().is_err() {
        return ExitCode::FAILURE;
    }
    crate::system::give_memory_back();
    let mut nursery = Nursery {
        socket: UnixStream::from(socket),
        received: Zeroizing::new(Vec::new()),
        ends: Vec::new(),
        living: HashMap::new(),
        leaving: Vec::new(),
    };
    // An error means the same as an end: there is nobody to talk to.
    while nursery.turn().unwrap_or(false) {}
    nursery.end_all();
    ExitCode::SUCCESS
}

struct Nursery {
    socket: UnixStream,
    received: Zeroizing<Vec<u8>>,
    /// Ends of pipes that came before the frame they belong to was whole.
    ends: Vec<OwnedFd>,
    /// Servers that run, by the number they were ordered under.
    living: HashMap<u32, Pid>,
    leaving: Vec<Leaving>,
}

/// What is left of a server whose own process has ended.
struct Leaving {
    group: Pid,
    mark: Vec<u8>,
    /// Those outside the group that were asked to end.
    asked: Vec<Pid>,
    until: Instant,
}

impl Nursery {
    /// Waits for something to happen and deals with it. Whether there is still somebody to talk to.
    fn turn(&mut self) -> io::Result<bool> {
        let limit = (!self.leaving.is_empty()).then_some(TICK);
        if wait_for_socket_or_child(self.socket.as_fd(), limit)? {
            if !self.receive()? {
                return Ok(false);
            }
            while let Some(frame) = take_frame(&mut self.received)? {
                match Request::read(&frame)? {
                    Request::Spawn(order) => self.spawn(order)?,
                    Request::End(id, ending) => self.end(id, ending),
                }
            }
        }
        self.reap()?;
        self.tidy(Instant::now());
        Ok(true)
    }

    fn receive(&mut self) -> io::Result<bool> {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
        let mut bytes = Zeroizing::new(vec![0; 16 << 10]);
        let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut came = RecvAncillaryBuffer::new(&mut room);
        #[cfg(target_os = "linux")]
        let flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = RecvFlags::empty();
        let into = &mut [io::IoSliceMut::new(&mut bytes)];
        let length = recvmsg(&self.socket, into, &mut came, flags)?.bytes;
        for message in came.drain() {
            if let RecvAncillaryMessage::ScmRights(ends) = message {
                self.ends.extend(ends);
            }
        }
        #[cfg(not(target_os = "linux"))]
        for end in &self.ends {
            // Nothing is started in between: there is one thread.
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        append(&mut self.received, &bytes[..length]);
        Ok(length > 0)
    }

    fn spawn(&mut self, order: Order) -> io::Result<()> {
        let id = order.id;
        if self.ends.len() < 3 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let ends: Vec<OwnedFd> = self.ends.drain(..3).collect();
        match start(&order, ends) {
            Ok(pid) => {
                self.living.insert(id, pid);
                self.tell(&Notice::Started { id, pid: pid.as_raw_nonzero().get().cast_unsigned() })
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                self.tell(&Notice::Refused { id, errno, why: error.to_string() })
            }
        }
    }

    /// What has ended already is tidied up after without being asked.
    fn end(&self, id: u32, ending: Ending) {
        if let Some(group) = self.living.get(&id) {
            family::signal_group(*group, signal(ending));
        }
    }

    /// Waits for everyone who has ended, and tells of servers.
    fn reap(&mut self) -> io::Result<()> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let found = self.living.iter().find(|(_, server)| **server == pid).map(|(id, _)| *id);
            let Some(id) = found else { continue };
            self.living.remove(&id);
            // As long as there is somebody left in the group, its number is nobody else's.
            family::signal_group(pid, Signal::TERM);
            let until = Instant::now() + STEP;
            self.leaving.push(Leaving { group: pid, mark: mark(id), asked: Vec::new(), until });
            self.tell(&Notice::Exited { id, status: status.as_raw() })?;
        }
        Ok(())
    }

    /// Ends what servers have left behind, inside their groups and out of them.
    fn tidy(&mut self, now: Instant) {
        if self.leaving.is_empty() {
            return;
        }
        let servers: Vec<Pid> = self.living.values().copied().collect();
        let mut adopted = family::children();
        adopted.retain(|pid| !servers.contains(pid));
        let marked: Vec<(Pid, Option<Vec<u8>>)> =
            adopted.into_iter().map(|pid| (pid, family::mark_of(pid))).collect();
        let is_anybody_living = !self.living.is_empty();
        self.leaving.retain_mut(|server| {
            // Whose it is cannot always be told; it is nobody's when nobody is there who could need it.
            let is_its_own = |mark: &Option<Vec<u8>>| match mark {
                Some(mark) => *mark == server.mark,
                None => !is_anybody_living,
            };
            let own: Vec<Pid> =
                marked.iter().filter(|(_, mark)| is_its_own(mark)).map(|(pid, _)| *pid).collect();
            for pid in &own {
                if now >= server.until {
                    family::signal_one(*pid, Signal::KILL);
                } else if !server.asked.contains(pid) {
                    server.asked.push(*pid);
                    family::signal_one(*pid, Signal::TERM);
                }
            }
            if now >= server.until {
                family::signal_group(server.group, Signal::KILL);
            }
            (!own.is_empty() || family::has_members(server.group)) && now < server.until + PATIENCE
        });
    }

    /// Nobody needs anything any more: asks everyone, waits, and then forces until nobody is left.
    fn end_all(mut self) {
        let began = Instant::now();
        let groups: Vec<Pid> = self
            .living
            .drain()
            .map(|(_, pid)| pid)
            .chain(self.leaving.drain(..).map(|old| old.group))
            .collect();
        let mut asked: Vec<Pid> = Vec::new();
        groups.iter().for_each(|group| family::signal_group(*group, Signal::TERM));
        loop {
            let mut has_children = true;
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => {
                        has_children = false;
                        break;
                    }
                }
            }
            let has_groups = groups.iter().any(|group| family::has_members(*group));
            let waited = began.elapsed();
            if !has_children && !has_groups || waited > STEP + PATIENCE {
                return;
            }
            for pid in family::children() {
                if waited >= STEP {
                    family::signal_one(pid, Signal::KILL);
                } else if !asked.contains(&pid) {
                    asked.push(pid);
                    family::signal_one(pid, Signal::TERM);
                }
            }
            if waited >= STEP {
                groups.iter().for_each(|group| family::signal_group(*group, Signal::KILL));
            }
            std::thread::sleep(TICK);
        }
    }

    fn tell(&mut self, notice: &Notice) -> io::Result<()> {
        self.socket.write_all(&notice.frame())
    }
}

fn start(order: &Order, ends: Vec<OwnedFd>) -> io::Result<Pid> {
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let (program, args) = order.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(text(program));
    command.args(args.iter().map(|arg| text(arg))).env_clear();
    let is_ours = |name: &[u8]| Program::WITHHELD.iter().any(|withheld| withheld.as_bytes() == name);
    command.envs(
        order.env.iter().filter(|(name, _)| !is_ours(name)).map(|(name, value)| (text(name), text(value))),
    );
    command.env(MARK, text(&mark(order.id)));
    if let Some(dir) = &order.cwd {
        command.current_dir(text(dir));
    }
    let mut ends = ends.into_iter();
    if let (Some(stdin), Some(stdout), Some(stderr)) = (ends.next(), ends.next(), ends.next()) {
        command.stdin(stdin).stdout(stdout).stderr(stderr);
    }
    hear_every_signal(&mut command)?;
    keep_close(&mut command)?;
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Ours alone: a server may be mcpkeel itself, with a nursery of its own.
fn mark(id: u32) -> Vec<u8> {
    format!("{}.{id}", std::process::id()).into_bytes()
}

fn signal(ending: Ending) -> Signal {
    match ending {
        Ending::Asked => Signal::TERM,
        Ending::Forced => Signal::KILL,
    }
}

/// Without leaving a copy behind when it grows.
fn append(to: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    if to.len() + bytes.len() > to.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * (to.len() + bytes.len())));
        larger.extend_from_slice(to);
        *to = larger;
    }
    to.extend_from_slice(bytes);
}
