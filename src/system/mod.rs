//! The only door to the operating system.
//!
//! Invariant: every file read, write, environment look-up, clock and process question of the
//! product goes through [`System`]; nothing above knows whether it talks to the real machine, to a
//! read-only view of it, or to a simulated one that fails on purpose.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

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
}

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

/// A held advisory lock; dropping it releases it.
pub trait Lock: Send {}

/// The operating system as this product sees it. All paths are absolute.
pub trait System: Send + Sync {
    /// The bytes of a file, links followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// About the path itself, a final link not followed.
    fn meta(&self, path: &Path) -> io::Result<Meta>;
    /// Where a link points, as written in it.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    /// Names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Creates a file that must not exist yet, with these permission bits, and writes it whole.
    fn create_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;
    /// Appends one line to a file (created 0600 when missing).
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
    /// Moves `from` to `to` only if `to` does not exist (link+unlink or RENAME_NOREPLACE).
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file or link.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory.
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Sets a path's modification time to now.
    fn touch(&self, path: &Path) -> io::Result<()>;
    /// Whether some process still has the file open for writing (Linux: a read lease is refused).
    /// `false` where the platform cannot tell.
    fn is_open_for_writing(&self, path: &Path) -> io::Result<bool>;

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
    /// Waits.
    fn sleep(&self, time: std::time::Duration);
    /// This process.
    fn pid(&self) -> u32;
    /// An id that changes with every start of the machine; empty where there is none.
    fn boot_id(&self) -> String;
    /// Whether a process with this id runs.
    fn is_running(&self, pid: u32) -> bool;
    /// Random bytes, for keys and names.
    fn random(&self) -> [u8; 32];
}
