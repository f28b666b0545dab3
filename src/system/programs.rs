//! Other programs, the keyring, and a person at the terminal: what [`System`](super::System) offers
//! besides files and facts.
//!
//! Invariant: no shell is ever involved; a program that was started is waited for or becomes us.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::service_manager;
use crate::base::Secret;

/// A program that is about to be started; texts may hold secrets.
pub struct Program {
    /// Found on PATH, or with a directory in front.
    pub command: Secret<String>,
    /// Its arguments.
    pub args: Vec<Secret<String>>,
    /// Variables on top of those of this process.
    pub env: Vec<(String, Secret<String>)>,
    /// The directory it runs in; left out: this process's.
    pub cwd: Option<PathBuf>,
}

impl Program {
    /// Variables that are meant for us alone: they open our own stores, or speak to the manager that
    /// started us as a service. No program that we start gets them.
    pub const WITHHELD: [&str; 5] = {
        let [socket, pid, time] = service_manager::VARIABLES;
        ["MCPKEEL_AGE_IDENTITY", "MCPKEEL_AGE_PASSPHRASE", socket, pid, time]
    };
}

/// What a program left behind. What it complained about is not kept: nobody knows what is in it.
pub struct Ran {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: Secret<Vec<u8>>,
}

/// Other programs, the keyring and the terminal.
pub trait Programs {
    /// The path by which this program was started: absolute, links not followed.
    fn own_path(&self) -> io::Result<PathBuf>;

    /// Runs a program to its end in a directory, without a terminal or input.
    ///
    /// # Errors
    /// `TimedOut` when it took longer than `limit` and was ended; `FileTooLarge` when it printed more
    /// than a mebibyte; whatever starting it says.
    fn run(&self, argv: &[String], dir: &Path, limit: Duration) -> io::Result<Ran>;

    /// Becomes another program: on Unix this process is replaced and the call returns only when that
    /// failed; on Windows the program runs in a job that ends with us, and its exit code comes back.
    fn become_program(&self, program: &Program) -> io::Result<i32>;

    /// The operating system's keyring.
    ///
    /// # Errors
    /// [`KeyringError::Unavailable`] where there is none, as on a machine without a session bus.
    fn keyring(&self) -> Result<Box<dyn Keyring>, KeyringError>;

    /// Asks a person for a text that is not echoed; none when there is no terminal.
    fn ask_secret(&self, question: &str) -> io::Result<Option<Secret<String>>>;

    /// All of standard input, at most a mebibyte.
    fn read_input(&self) -> io::Result<Secret<Vec<u8>>>;

    /// Whether whoever reads our standard output has gone. Only Unix can tell before the next write.
    fn is_reader_gone(&self) -> bool;

    /// Keeps this process's memory out of core dumps from here on. A program that we become is not
    /// concerned.
    fn keep_memory_private(&self);
}

/// Secrets by name, kept by the operating system under the service name `mcpkeel`.
pub trait Keyring {
    /// The value, if there is one.
    fn get(&self, name: &str) -> Result<Option<Secret<String>>, KeyringError>;
    /// Sets or replaces a value.
    fn set(&self, name: &str, value: &Secret<String>) -> Result<(), KeyringError>;
    /// Removes a value; whether there was one.
    fn remove(&self, name: &str) -> Result<bool, KeyringError>;
}

/// Why the keyring did not do it. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyringError {
    /// There is none on this machine, or in this session; what the system said.
    Unavailable(String),
    /// It is locked, and nobody unlocked it.
    Locked(String),
    /// Anything else.
    Failed(String),
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "there is no keyring in this session ({why})"),
            Self::Locked(why) => write!(f, "the keyring is locked ({why})"),
            Self::Failed(why) => write!(f, "the keyring failed: {why}"),
        }
    }
}

impl std::error::Error for KeyringError {}
