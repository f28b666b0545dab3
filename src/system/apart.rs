//! A program that stays when we are gone.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use super::service_manager;

/// A program that was started to stay.
pub struct Apart(Receiver<Option<i32>>);

impl Apart {
    /// Starts a program in a session of its own, in a directory. It reads nothing; what it says goes to a file,
    /// which is begun anew and is its owner's alone. It gets our variables, but for those of a service manager.
    ///
    /// # Errors
    /// What opening the file or starting it says.
    pub fn start(argv: &[String], dir: &Path, log: &Path) -> io::Result<Self> {
        let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let log = options.open(log)?;
        let mut command = Command::new(program);
        for name in service_manager::VARIABLES {
            command.env_remove(name);
        }
        command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        super::unsafe_calls::lead_a_session(&mut command);
        let mut child = command.spawn()?;
        let (tell, ended) = mpsc::channel();
        std::thread::Builder::new().name("apart".to_owned()).spawn(move || {
            // So that it does not stay as a dead one while we live. Nobody may ask.
            let _ = tell.send(child.wait().ok().and_then(|status| status.code()));
        })?;
        Ok(Self(ended))
    }

    /// Whether it has ended, and with which code.
    pub fn ended(&self) -> Option<Option<i32>> {
        self.0.try_recv().ok()
    }
}
