use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Keyring, KeyringError, Lock, Meta, Program, Programs, Quiet, Ran, Swap, System};
use crate::base::Secret;

/// A system that can be looked at and not changed: what planning runs on.
///
/// Invariant: no call of it changes anything; every write is an error of kind `ReadOnlyFilesystem`.
/// Every path that was looked at is noted: what a plan was made from is what it depends on.
pub struct ReadOnly<'s>(&'s dyn System, &'s Looked);

/// The paths that were looked at, as they were asked for.
#[derive(Default)]
pub struct Looked {
    paths: Mutex<BTreeSet<PathBuf>>,
    listed: Mutex<BTreeSet<PathBuf>>,
}

impl Looked {
    /// All of them, in order.
    pub fn paths(&self) -> BTreeSet<PathBuf> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Directories of which all names were asked for.
    pub fn listed(&self) -> BTreeSet<PathBuf> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, path: &Path) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if !paths.contains(path) {
            paths.insert(path.to_owned());
        }
    }

    fn note_list(&self, path: &Path) {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }
}

impl<'s> ReadOnly<'s> {
    /// A view that notes what is looked at.
    pub fn noting(system: &'s dyn System, looked: &'s Looked) -> Self {
        Self(system, looked)
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "this run must not write"))
}

impl System for ReadOnly<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.1.note(path);
        self.0.read(path)
    }
    fn meta(&self, path: &Path) -> io::Result<Meta> {
        self.1.note(path);
        self.0.meta(path)
    }
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.1.note(path);
        self.0.read_link(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.1.note_list(path);
        self.0.list(path)
    }
    /// A lease holds up other programs, so a run that only looks takes none.
    fn lease(&self, _path: &Path) -> io::Result<Quiet> {
        Ok(Quiet::Unknown)
    }

    fn create_new(&self, _path: &Path, _bytes: &[u8], _mode: u32) -> io::Result<()> {
        refused()
    }
    fn append(&self, _path: &Path, _bytes: &[u8]) -> io::Result<()> {
        refused()
    }
    fn sync(&self, _path: &Path) -> io::Result<()> {
        refused()
    }
    fn copy_attributes(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }
    fn set_mode(&self, _path: &Path, _mode: u32) -> io::Result<()> {
        refused()
    }
    fn exchange(&self, _a: &Path, _b: &Path) -> io::Result<Swap> {
        refused()
    }
    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }
    fn rename_new(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }
    fn remove_file(&self, _path: &Path) -> io::Result<()> {
        refused()
    }
    fn create_dir(&self, _path: &Path, _mode: u32) -> io::Result<()> {
        refused()
    }
    fn remove_dir(&self, _path: &Path) -> io::Result<()> {
        refused()
    }
    fn create_link(&self, _target: &Path, _path: &Path) -> io::Result<()> {
        refused()
    }
    fn touch(&self, _path: &Path) -> io::Result<()> {
        refused()
    }
    fn try_lock(&self, _path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        refused()
    }

    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name)
    }
    fn home(&self) -> Option<PathBuf> {
        self.0.home()
    }
    fn user(&self) -> String {
        self.0.user()
    }
    fn host(&self) -> String {
        self.0.host()
    }
    fn os(&self) -> &'static str {
        self.0.os()
    }
    fn cwd(&self) -> io::Result<PathBuf> {
        self.0.cwd()
    }
    fn now(&self) -> SystemTime {
        self.0.now()
    }
    fn ticks(&self) -> Duration {
        self.0.ticks()
    }
    fn sleep(&self, time: Duration) {
        self.0.sleep(time);
    }
    fn pid(&self) -> u32 {
        self.0.pid()
    }
    fn boot_id(&self) -> String {
        self.0.boot_id()
    }
    fn is_running(&self, pid: u32) -> bool {
        self.0.is_running(pid)
    }
    fn random(&self) -> io::Result<[u8; 32]> {
        self.0.random()
    }
}

impl Programs for ReadOnly<'_> {
    fn own_path(&self) -> io::Result<PathBuf> {
        self.0.own_path()
    }
    fn run(&self, argv: &[String], dir: &Path, limit: Duration) -> io::Result<Ran> {
        self.0.run(argv, dir, limit)
    }
    fn become_program(&self, _program: &Program) -> io::Result<i32> {
        refused()
    }
    fn keyring(&self) -> Result<Box<dyn Keyring>, KeyringError> {
        Ok(Box::new(ReadOnlyKeyring(self.0.keyring()?)))
    }
    fn ask_secret(&self, question: &str) -> io::Result<Option<Secret<String>>> {
        self.0.ask_secret(question)
    }
    fn read_input(&self) -> io::Result<Secret<Vec<u8>>> {
        self.0.read_input()
    }
    fn is_reader_gone(&self) -> bool {
        self.0.is_reader_gone()
    }
    fn keep_memory_private(&self) {
        self.0.keep_memory_private();
    }
}

struct ReadOnlyKeyring(Box<dyn Keyring>);

impl Keyring for ReadOnlyKeyring {
    fn get(&self, name: &str) -> Result<Option<Secret<String>>, KeyringError> {
        self.0.get(name)
    }
    fn set(&self, _name: &str, _value: &Secret<String>) -> Result<(), KeyringError> {
        Err(KeyringError::Failed("this run must not write".to_owned()))
    }
    fn remove(&self, _name: &str) -> Result<bool, KeyringError> {
        Err(KeyringError::Failed("this run must not write".to_owned()))
    }
}
