//! The only door to the operating system.
//!
//! Invariant: every file read, write, environment look-up, clock and process question of the
//! product goes through [`System`]; nothing above knows whether it talks to the real machine
//! ([`Real`]), to a read-only view of it ([`ReadOnly`]), or to a simulated one that fails on
//! purpose ([`Memory`]).
#![allow(clippy::disallowed_methods)]

mod apart;
mod children;
mod memory;
mod nursery;
mod pipe;
mod programs;
mod read_only;
mod real;
mod real_keyring;
mod real_programs;
pub mod service_manager;
mod tls;
mod unsafe_calls;
mod watcher;
mod writers;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use apart::Apart;
pub use children::{Ending, end_group, keep_close};
pub use memory::{Fault, Loss, Memory, Writer};
pub use nursery::{Exit, Grip, Input, Nursery, Output, Spawned, become_nursery};
pub use pipe::Pipe;
pub use programs::{Keyring, KeyringError, Program, Programs, Ran};
pub use read_only::{Looked, ReadOnly};
pub use real::{Real, ticks};
pub use tls::choose_tls;
pub use unsafe_calls::register_transport;

/// Gives back memory that is free, and that into which this program's file was read. What is needed again is read
/// again; worth it after the start and after a rush, for a process that stays.
pub fn give_memory_back() {
    #[cfg(target_os = "linux")]
    unsafe_calls::forget_unused_code();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe_calls::forget_free_memory();
}
pub use watcher::{Noticed, WatchError, Watcher};
pub use writers::{Writers, writers_in};

/// What a file system says about a path, without following a final symlink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// File, directory, link or something else.
    pub kind: Kind,
    /// Length in bytes.
    pub len: u64,
    /// Unix permission bits (0o600 ..); 0o644 or 0o444 elsewhere.
    pub mode: u32,
    /// Owner and group; none where there is no such thing.
    pub owner: Option<(u32, u32)>,
    /// Number of hard links.
    pub links: u64,
    /// Last modification.
    pub modified: SystemTime,
    /// Which file it is, whatever its name.
    pub id: Option<FileId>,
}

/// Device and inode: the same for two names of one file. None where the platform has none.
pub type FileId = (u64, u64);

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A socket, device, pipe ..
    Other,
}

/// How a new file takes the live file's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The two files changed places in one step; the old one now lies at the temporary path.
    Exchanged,
    /// The file system cannot exchange; nothing was changed. Use `rename`.
    Unsupported,
}

/// Whether a file is quiet: nobody has it open for writing.
pub enum Quiet {
    /// Nobody has; whoever tries waits until the lease is dropped, and shows in it meanwhile.
    Leased(Box<dyn Lease>),
    /// Somebody has it open for writing right now.
    Busy,
    /// The platform or the file system cannot tell.
    Unknown,
}

/// A read lease on one file (Linux `F_SETLEASE`); dropping it lets waiting writers go on.
///
/// Hold it for moments only: a writer waits in `open` as long as it is held.
pub trait Lease: Send {
    /// The file's bytes, whatever name the file has by now.
    fn read(&self) -> io::Result<Vec<u8>>;
    /// Which file it is.
    fn id(&self) -> Option<FileId>;
    /// Whether a writer waits for this file.
    fn is_wanted(&self) -> bool;
}

/// A held advisory lock; dropping it releases it.
pub trait Lock: Send {}

/// The operating system as this product sees it. All paths are absolute.
pub trait System: Programs + Send + Sync {
    /// The bytes of a file, links followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// About the path itself, a final link not followed.
    fn meta(&self, path: &Path) -> io::Result<Meta>;
    /// Where a link points, as written in it.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    /// Names in a directory, sorted. A name that is not Unicode is left out.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Asks for a file to be quiet (a final link is not followed).
    fn lease(&self, path: &Path) -> io::Result<Quiet>;

    /// Creates a file that must not exist yet, with these permission bits (less the umask), and
    /// writes it whole.
    fn create_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;
    /// Appends to a file (created 0600 when missing).
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Flushes a file, or a directory's entries, to the disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Gives `to` the mode, owner and extended attributes of `from`.
    fn copy_attributes(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Sets the permission bits.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Exchanges two files in one step (renameat2 RENAME_EXCHANGE, renamex_np RENAME_SWAP).
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<Swap>;
    /// Moves `from` over `to` in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Moves `from` to `to` only if `to` does not exist (RENAME_NOREPLACE, or link and unlink).
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file or link.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory, with these permission bits (less the umask).
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a symbolic link that says `target`; `path` must not exist yet.
    fn create_link(&self, target: &Path, path: &Path) -> io::Result<()>;
    /// Sets a path's modification time to now.
    fn touch(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive advisory lock on a file (created 0600 when missing), or `None` if another
    /// process holds it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;

    /// An environment variable, if set, not empty and valid Unicode.
    fn env(&self, name: &str) -> Option<String>;
    /// The user's home directory.
    fn home(&self) -> Option<PathBuf>;
    /// The user's name.
    fn user(&self) -> String;
    /// The machine's name, up to the first dot.
    fn host(&self) -> String;
    /// `linux`, `macos` or `windows`.
    fn os(&self) -> &'static str;
    /// The working directory.
    fn cwd(&self) -> io::Result<PathBuf>;
    /// The time.
    fn now(&self) -> SystemTime;
    /// The time since some moment of this process's life; never goes back.
    fn ticks(&self) -> std::time::Duration;
    /// Waits.
    fn sleep(&self, time: std::time::Duration);
    /// This process.
    fn pid(&self) -> u32;
    /// An id that changes with every start of the machine; empty where there is none.
    fn boot_id(&self) -> String;
    /// Whether a process with this id runs.
    fn is_running(&self, pid: u32) -> bool;
    /// Random bytes, for keys and names.
    fn random(&self) -> io::Result<[u8; 32]>;
}

/// What went wrong with a file, and with which.
#[derive(Debug)]
pub struct FileError {
    /// The file or directory.
    pub path: PathBuf,
    /// What was being done: `read`, `create`, ..
    pub doing: &'static str,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// An error of our own making about a file.
    pub fn new(path: &Path, doing: &'static str, kind: io::ErrorKind, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), doing, source: io::Error::new(kind, why.into()) }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.doing, self.path.display(), self.source)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Names the file in an I/O error.
pub trait At<T> {
    /// `system.read(path).at(path, "read")`.
    fn at(self, path: &Path, doing: &'static str) -> Result<T, FileError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path, doing: &'static str) -> Result<T, FileError> {
        self.map_err(|source| FileError { path: path.to_owned(), doing, source })
    }
}

/// A missing thing as `None`.
pub fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A thing that is already there is as good as one just made.
pub fn made(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Follows links to the real file, which need not exist.
///
/// # Errors
/// When the links lead in a circle, or a part of the way cannot be looked at.
pub fn follow(system: &dyn System, path: &Path) -> Result<PathBuf, FileError> {
    let mut real = path.to_owned();
    for _ in 0..40 {
        match found(system.meta(&real)).at(&real, "look at")? {
            Some(meta) if meta.kind == Kind::Link => {
                let target = system.read_link(&real).at(&real, "follow")?;
                real = real.parent().unwrap_or(Path::new("/")).join(target);
            }
            _ => return Ok(real),
        }
    }
    let why = "too many levels of symbolic links: the links lead in a circle";
    Err(FileError::new(path, "follow", io::ErrorKind::InvalidInput, why))
}
