use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Memory;
use crate::base::Secret;
use crate::system::{Keyring, KeyringError, Program, Programs, Ran};

/// What a simulated program does: exit code and output; or it cannot be run.
pub(super) type Behaviour = Result<(i32, String), ErrorKind>;

/// What the simulated machine has besides files.
impl Memory {
    /// From now on there is a keyring, and it holds this.
    pub fn put_into_keyring(&self, name: &str, value: &str) {
        self.state().keyring.get_or_insert_default().insert(name.to_owned(), value.to_owned());
    }

    /// From now on this program exists and prints this.
    pub fn install(&self, argv: &[&str], prints: &str) {
        self.behave(argv, Ok((0, prints.to_owned())));
    }

    /// From now on this program exists and ends with this code, having printed this.
    pub fn install_broken(&self, argv: &[&str], code: i32, prints: &str) {
        self.behave(argv, Ok((code, prints.to_owned())));
    }

    /// From now on running this program fails like this.
    pub fn refuse_to_run(&self, argv: &[&str], kind: ErrorKind) {
        self.behave(argv, Err(kind));
    }

    fn behave(&self, argv: &[&str], behaviour: Behaviour) {
        let argv = argv.iter().map(|&arg| arg.to_owned()).collect();
        self.state().programs.insert(argv, behaviour);
    }

    /// The next answer to a question, last given first; also what standard input holds.
    pub fn answer(&self, text: &str) {
        self.state().answers.push(text.to_owned());
    }
}

impl Programs for Memory {
    fn own_path(&self) -> io::Result<PathBuf> {
        Ok(PathBuf::from("/usr/bin/mcpkeel"))
    }

    fn run(&self, argv: &[String], _dir: &Path, _limit: Duration) -> io::Result<Ran> {
        let behaviour = self.state().programs.get(argv).cloned().unwrap_or(Err(ErrorKind::NotFound));
        let (code, out) = behaviour?;
        Ok(Ran { code: Some(code), out: Secret::new(out.into_bytes()) })
    }

    fn become_program(&self, _program: &Program) -> io::Result<i32> {
        Err(ErrorKind::Unsupported.into())
    }

    fn keyring(&self) -> Result<Box<dyn Keyring>, KeyringError> {
        match self.state().keyring {
            Some(_) => Ok(Box::new(self.clone())),
            None => Err(KeyringError::Unavailable("the simulated machine has none".to_owned())),
        }
    }

    fn ask_secret(&self, _question: &str) -> io::Result<Option<Secret<String>>> {
        Ok(self.state().answers.pop().map(Secret::new))
    }

    fn read_input(&self) -> io::Result<Secret<Vec<u8>>> {
        Ok(Secret::new(self.state().answers.pop().unwrap_or_default().into_bytes()))
    }

    fn is_reader_gone(&self) -> bool {
        false
    }

    fn keep_memory_private(&self) {}
}

impl Keyring for Memory {
    fn get(&self, name: &str) -> Result<Option<Secret<String>>, KeyringError> {
        let state = self.state();
        Ok(state.keyring.as_ref().and_then(|keyring| keyring.get(name)).cloned().map(Secret::new))
    }

    fn set(&self, name: &str, value: &Secret<String>) -> Result<(), KeyringError> {
        self.put_into_keyring(name, value.expose());
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<bool, KeyringError> {
        Ok(self.state().keyring.get_or_insert_default().remove(name).is_some())
    }
}
