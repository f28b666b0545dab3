//! The socket itself: a Unix socket, or a named pipe on Windows.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::Fingerprint;
use crate::store::Store;
use crate::system::{System, found, made};

/// Where the control socket of the process lies that watches this state directory.
///
/// In `$XDG_RUNTIME_DIR/mcpkeel` where there is one, else in the state directory; on Windows it is a
/// pipe. The usual state directory has the name `control.sock`, any other one a name of its own.
pub fn socket_path(system: &dyn System, store: &Store) -> PathBuf {
    let is_usual = Store::usual_dir(system).as_deref() == Some(store.dir());
    let sum = Fingerprint::of(store.dir().display().to_string().as_bytes()).to_string();
    if system.os() == "windows" {
        return PathBuf::from(format!(r"\\.\pipe\mcpkeel-{}-{}", system.user(), &sum[..12]));
    }
    let name = if is_usual { "control.sock".to_owned() } else { format!("control-{}.sock", &sum[..12]) };
    let runtime = system.env("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    match runtime {
        Some(dir) => dir.join("mcpkeel").join(name),
        None => store.path("control.sock"),
    }
}

/// Makes the directory, closed to others, and takes away what a process left that was killed.
///
/// # Errors
/// When that cannot be done, or the directory belongs to somebody else.
pub fn make_room(system: &dyn System, socket: &Path) -> io::Result<()> {
    if system.os() == "windows" {
        return Ok(());
    }
    if let Some(dir) = socket.parent() {
        made(system.create_dir(dir, 0o700))?;
        system.set_mode(dir, 0o700)?;
    }
    found(system.remove_file(socket)).map(drop)
}

/// Takes the socket away.
pub fn clear(system: &dyn System, socket: &Path) {
    if system.os() != "windows" {
        // The next process takes it away, too.
        let _ = system.remove_file(socket);
    }
}

#[cfg(unix)]
pub use unix::open;
#[cfg(windows)]
pub use windows::open;

#[cfg(unix)]
mod unix {
    use tokio::net::{UnixListener, UnixStream};

    use super::*;

    /// Listens, for processes of the same user.
    pub struct Guarded(UnixListener, u32);

    /// Opens the socket (0600).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(system: &dyn System, socket: &Path) -> io::Result<Guarded> {
        let listener = UnixListener::bind(socket)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", socket.display())))?;
        system.set_mode(socket, 0o600)?;
        let owner = system.meta(socket)?.owner.map_or(u32::MAX, |(user, _)| user);
        Ok(Guarded(listener, owner))
    }

    impl axum::serve::Listener for Guarded {
        type Io = UnixStream;
        type Addr = ();

        async fn accept(&mut self) -> (UnixStream, ()) {
            loop {
                match self.0.accept().await {
                    Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| peer.uid() == self.1) => {
                        return (stream, ());
                    }
                    // Somebody else: hung up on.
                    Ok(_) => {}
                    // No more descriptors, most likely: some come back.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
                }
            }
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(windows)]
mod windows {
    use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

    use super::*;

    /// The pipe: others may read from it by Windows' usual rules, but not ask for anything.
    pub struct Pipe {
        name: PathBuf,
        next: NamedPipeServer,
    }

    /// Opens the pipe.
    ///
    /// # Errors
    /// When there is one of this name already, or the system refuses.
    pub fn open(_system: &dyn System, socket: &Path) -> io::Result<Pipe> {
        let next =
            ServerOptions::new().first_pipe_instance(true).reject_remote_clients(true).create(socket)?;
        Ok(Pipe { name: socket.to_owned(), next })
    }

    impl axum::serve::Listener for Pipe {
        type Io = NamedPipeServer;
        type Addr = ();

        async fn accept(&mut self) -> (NamedPipeServer, ()) {
            loop {
                let connected = self.next.connect().await;
                match (connected, ServerOptions::new().reject_remote_clients(true).create(&self.name)) {
                    (Ok(()), Ok(fresh)) => return (std::mem::replace(&mut self.next, fresh), ()),
                    _ => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
                }
            }
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }
}
