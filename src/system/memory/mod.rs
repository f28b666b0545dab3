//! A machine that exists only in memory and fails on purpose.
//!
//! Invariant: every call of [`System`] on files is counted, before it does anything, and only these
//! calls are; what a test does through [`Memory`]'s own methods is another program's doing, is not
//! counted and never fails on purpose. Start reading at [`Memory::enter`].

mod disk;
mod other;
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

pub use other::Writer;

use self::disk::{Body, Disk};
use super::{FileId, Kind, Lease, Lock, Meta, Quiet, Swap, System};

/// What happens at a counted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This call fails, the next one works.
    Once(ErrorKind),
    /// This call and every later one that changes something fails, the disk being full or read-only.
    From(ErrorKind),
    /// The process dies before the call.
    Crash,
    /// The process dies in the middle of the call: of a file being written, half is there.
    Torn,
}

/// What a machine that goes down forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: only the process died.
    Nothing,
    /// Contents that were not flushed; all names are as they were last.
    Data,
    /// Contents and names that were not flushed.
    All,
}

type Act = Box<dyn FnOnce(&mut State) + Send>;
type Hook = Box<dyn FnMut(&Memory) + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Call(u64),
    Exchange,
}

/// The simulated machine; clones are the same machine.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<State>>);

struct State {
    disk: Disk,
    env: BTreeMap<String, String>,
    calls: Vec<String>,
    faults: Vec<(u64, Fault)>,
    hooks: Vec<(When, Hook)>,
    is_down: bool,
    boots: u32,
    can_exchange: bool,
    can_lease: bool,
    locks: BTreeSet<u64>,
    leases: Vec<LeaseState>,
    writers: BTreeMap<u64, u32>,
    random: u64,
    keyring: Option<BTreeMap<String, String>>,
    programs: BTreeMap<Vec<String>, programs::Behaviour>,
    answers: Vec<String>,
}

struct LeaseState {
    number: u64,
    node: u64,
    /// What writers that wait will do once they may.
    waiting: Vec<Act>,
}

impl Default for Memory {
    /// An empty disk with `/home/me`, at the start of 2026.
    fn default() -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let memory = Self(Arc::new(Mutex::new(State {
            disk: Disk::new(now),
            env: BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]),
            calls: Vec::new(),
            faults: Vec::new(),
            hooks: Vec::new(),
            is_down: false,
            boots: 1,
            can_exchange: true,
            can_lease: true,
            locks: BTreeSet::new(),
            leases: Vec::new(),
            writers: BTreeMap::new(),
            random: 0,
            keyring: None,
            programs: BTreeMap::new(),
            answers: Vec::new(),
        })));
        memory.make_dirs(Path::new("/home/me"));
        memory
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a fault at the n-th counted call from now, the first being 1.
    pub fn fault(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        let n = n + state.calls.len() as u64;
        state.faults.push((n, fault));
    }

    /// Runs `hook` before the n-th counted call from now, the first being 1.
    pub fn before(&self, n: u64, hook: impl FnMut(&Memory) + Send + 'static) {
        let mut state = self.state();
        let n = n + state.calls.len() as u64;
        state.hooks.push((When::Call(n), Box::new(hook)));
    }

    /// Runs `hook` before every exchange or rename.
    pub fn before_exchange(&self, hook: impl FnMut(&Memory) + Send + 'static) {
        self.state().hooks.push((When::Exchange, Box::new(hook)));
    }

    /// How many calls were counted.
    pub fn calls(&self) -> u64 {
        self.state().calls.len() as u64
    }

    /// The calls made, as text, for a failing test to show.
    pub fn trace(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Whether a planned crash has happened.
    pub fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// Starts the machine (or, with [`Loss::Nothing`], the process) again, without faults and hooks.
    pub fn reboot(&self, loss: Loss) {
        let mut state = self.state();
        state.is_down = false;
        state.boots += u32::from(loss != Loss::Nothing);
        state.faults.clear();
        state.hooks.clear();
        state.locks.clear();
        state.writers.clear();
        state.disk.lose(loss);
    }

    /// A file system without exchange.
    pub fn without_exchange(&self) {
        self.state().can_exchange = false;
    }

    /// A platform without leases.
    pub fn without_leases(&self) {
        self.state().can_lease = false;
    }

    /// Counts a call, lets the planned hooks run, and applies the planned faults.
    ///
    /// The answer tells whether the call is to be torn.
    fn enter(&self, name: &str, path: &Path) -> io::Result<bool> {
        let is_exchange = matches!(name, "exchange" | "rename" | "rename_new");
        let (number, mut hooks) = {
            let mut state = self.state();
            if state.is_down {
                return Err(down());
            }
            state.calls.push(format!("{name} {}", path.display()));
            state.disk.now += Duration::from_millis(1);
            (state.calls.len() as u64, std::mem::take(&mut state.hooks))
        };
        hooks.retain_mut(|(when, hook)| {
            let is_due = *when == When::Call(number) || (is_exchange && *when == When::Exchange);
            if is_due {
                hook(self);
            }
            !is_due || *when == When::Exchange
        });
        let mut state = self.state();
        hooks.append(&mut state.hooks);
        state.hooks = hooks;
        let changes =
            !matches!(name, "read" | "meta" | "read_link" | "list" | "lease" | "sleep" | "try_lock");
        let due = state.faults.iter().find(|(n, fault)| match fault {
            Fault::From(_) => *n <= number && changes,
            _ => *n == number,
        });
        match due.map(|(_, fault)| *fault) {
            None => Ok(false),
            Some(Fault::Once(kind) | Fault::From(kind)) => Err(kind.into()),
            Some(Fault::Crash) => {
                state.is_down = true;
                Err(down())
            }
            Some(Fault::Torn) => {
                state.is_down = true;
                Ok(true)
            }
        }
    }
}

fn down() -> io::Error {
    io::Error::other("the simulated process has died")
}

impl State {
    fn release(&mut self, number: u64) {
        let Some(at) = self.leases.iter().position(|lease| lease.number == number) else { return };
        for write in self.leases.remove(at).waiting {
            write(self);
        }
    }

    fn create(&mut self, path: &Path, body: Body, mode: u32) -> io::Result<u64> {
        let place = self.disk.place(path, false)?;
        if place.node.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let node = self.disk.add(body, mode);
        self.disk.set_name(place.dir, &place.name, Some(node), false)?;
        Ok(node)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let place = self.disk.place(path, false)?;
        self.disk.set_name(place.dir, &place.name, None, false)
    }
}

struct MemoryLease {
    memory: Memory,
    number: u64,
    node: u64,
}

impl Lease for MemoryLease {
    fn read(&self) -> io::Result<Vec<u8>> {
        self.memory.enter("read", Path::new("(leased)"))?;
        self.memory.state().disk.data(self.node).cloned()
    }

    fn id(&self) -> Option<FileId> {
        Some((1, self.node))
    }

    fn is_wanted(&self) -> bool {
        let state = self.memory.state();
        state.leases.iter().any(|lease| lease.number == self.number && !lease.waiting.is_empty())
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        self.memory.state().release(self.number);
    }
}

struct MemoryLock(Memory, u64);

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}

impl System for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.enter("read", path)?;
        let state = self.state();
        state.disk.data(state.disk.existing(path, true)?).cloned()
    }

    fn meta(&self, path: &Path) -> io::Result<Meta> {
        self.enter("meta", path)?;
        let state = self.state();
        state.disk.meta(state.disk.existing(path, false)?)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.enter("read_link", path)?;
        let state = self.state();
        match &state.disk.node(state.disk.existing(path, false)?)?.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.enter("list", path)?;
        let state = self.state();
        Ok(state.disk.names(state.disk.existing(path, true)?)?.keys().cloned().collect())
    }

    fn lease(&self, path: &Path) -> io::Result<Quiet> {
        self.enter("lease", path)?;
        let mut state = self.state();
        let node = state.disk.existing(path, false)?;
        if !state.can_lease {
            return Ok(Quiet::Unknown);
        }
        if state.writers.get(&node).is_some_and(|count| *count > 0) {
            return Ok(Quiet::Busy);
        }
        let number = state.calls.len() as u64;
        state.leases.push(LeaseState { number, node, waiting: Vec::new() });
        Ok(Quiet::Leased(Box::new(MemoryLease { memory: self.clone(), number, node })))
    }

    fn create_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let is_torn = self.enter("create_new", path)?;
        let data = if is_torn { bytes[..bytes.len() / 2].to_vec() } else { bytes.to_vec() };
        self.state().create(path, Body::File { data, synced: None }, mode)?;
        if is_torn { Err(down()) } else { Ok(()) }
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let is_torn = self.enter("append", path)?;
        let mut state = self.state();
        let node = match state.disk.existing(path, true) {
            Ok(node) => node,
            Err(_) => state.create(path, Body::File { data: Vec::new(), synced: None }, 0o600)?,
        };
        let mut data = state.disk.data(node)?.clone();
        data.extend_from_slice(if is_torn { &bytes[..bytes.len() / 2] } else { bytes });
        state.disk.set_data(node, data, false)?;
        if is_torn { Err(down()) } else { Ok(()) }
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        if self.enter("sync", path)? {
            return Err(down());
        }
        let mut state = self.state();
        let node = state.disk.existing(path, true)?;
        state.disk.sync(node)
    }

    fn copy_attributes(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter("copy_attributes", from)?;
        let mut state = self.state();
        let (from, to) = (state.disk.existing(from, true)?, state.disk.existing(to, true)?);
        let old = state.disk.node(from)?;
        let (mode, owner, xattrs) = (old.mode, old.owner, old.xattrs.clone());
        let new = state.disk.node_mut(to)?;
        (new.mode, new.owner, new.xattrs) = (mode, owner, xattrs);
        Ok(())
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.enter("set_mode", path)?;
        let mut state = self.state();
        let node = state.disk.existing(path, true)?;
        state.disk.node_mut(node)?.mode = mode;
        Ok(())
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<Swap> {
        if self.enter("exchange", b)? {
            return Err(down());
        }
        let mut state = self.state();
        if !state.can_exchange {
            return Ok(Swap::Unsupported);
        }
        let (a, b) = (state.disk.place(a, false)?, state.disk.place(b, false)?);
        if a.node.is_none() || b.node.is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        state.disk.set_name(a.dir, &a.name, b.node, false)?;
        state.disk.set_name(b.dir, &b.name, a.node, false)?;
        Ok(Swap::Exchanged)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.enter("rename", to)? {
            return Err(down());
        }
        self.state().rename(from, to, true)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.enter("rename_new", to)? {
            return Err(down());
        }
        self.state().rename(from, to, false)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.enter("remove_file", path)?;
        let mut state = self.state();
        let node = state.disk.existing(path, false)?;
        if state.disk.meta(node)?.kind == Kind::Dir {
            return Err(ErrorKind::IsADirectory.into());
        }
        state.remove(path)
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.enter("create_dir", path)?;
        let body = Body::Dir { names: BTreeMap::new(), synced: BTreeMap::new() };
        self.state().create(path, body, mode).map(drop)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.enter("remove_dir", path)?;
        let mut state = self.state();
        let node = state.disk.existing(path, false)?;
        if !state.disk.names(node)?.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        state.remove(path)
    }

    fn create_link(&self, target: &Path, path: &Path) -> io::Result<()> {
        self.enter("create_link", path)?;
        self.state().create(path, Body::Link(target.to_owned()), 0o777).map(drop)
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        self.enter("touch", path)?;
        let mut state = self.state();
        let (node, now) = (state.disk.existing(path, true)?, state.disk.now);
        state.disk.node_mut(node)?.modified = now;
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.enter("try_lock", path)?;
        let mut state = self.state();
        let node = match state.disk.existing(path, true) {
            Ok(node) => node,
            Err(_) => state.create(path, Body::File { data: Vec::new(), synced: None }, 0o600)?,
        };
        Ok(state.locks.insert(node).then(|| Box::new(MemoryLock(self.clone(), node)) as Box<dyn Lock>))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.state().env.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn home(&self) -> Option<PathBuf> {
        self.env("HOME").map(PathBuf::from)
    }

    fn user(&self) -> String {
        self.env("USER").unwrap_or_else(|| "me".to_owned())
    }

    fn host(&self) -> String {
        self.env("HOST").unwrap_or_else(|| "memory".to_owned())
    }

    fn os(&self) -> &'static str {
        "linux"
    }

    fn cwd(&self) -> io::Result<PathBuf> {
        Ok(self.home().unwrap_or_else(|| PathBuf::from("/")))
    }

    fn now(&self) -> SystemTime {
        self.state().disk.now
    }

    fn ticks(&self) -> Duration {
        self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// Takes no time, moves the clock, and counts as a call (so that hooks can run meanwhile).
    fn sleep(&self, time: Duration) {
        drop(self.enter("sleep", Path::new("")));
        self.state().disk.now += time;
    }

    fn pid(&self) -> u32 {
        4242
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.state().boots)
    }

    fn is_running(&self, pid: u32) -> bool {
        pid == self.pid()
    }

    fn random(&self) -> io::Result<[u8; 32]> {
        let mut state = self.state();
        state.random += 1;
        Ok(*blake3::hash(&state.random.to_le_bytes()).as_bytes())
    }
}

impl State {
    fn rename(&mut self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let (from, to) = (self.disk.place(from, false)?, self.disk.place(to, false)?);
        let node = from.node.ok_or(ErrorKind::NotFound)?;
        if to.node.is_some() && !replace {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.disk.set_name(from.dir, &from.name, None, false)?;
        self.disk.set_name(to.dir, &to.name, Some(node), false)
    }
}
