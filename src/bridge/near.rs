//! A server at a socket of this machine, which may go and come back: the gateway.
//!
//! Invariant: a request is sent again only if nobody can have read the whole of it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, Url};
use tokio::time::{sleep, timeout};

use super::link::{Place, Trouble};
use super::remote;
use crate::system::ticks;

/// How long a request waits for a server that is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long, where it was never seen and nobody starts it.
const LITTLE_PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries: the first wait, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// How often a request is sent again that was never read. A server that refuses to read one looks the same.
const UNREAD: u32 = 3;

/// A server at a socket.
pub struct Near {
    /// The path of its endpoint there, such as `/mcp`.
    pub path: String,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// Where the socket, or the pipe, is now.
    pub find: Arc<dyn Fn() -> PathBuf + Send + Sync>,
    /// Starts it if nobody is there and that is allowed. It may take its time; it is there when this comes
    /// back, or the text says why not and what to do.
    pub wake: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// The way to it.
pub struct Way {
    near: Near,
    url: Url,
    /// The client for the socket as it was found last.
    open: Mutex<Option<(PathBuf, Client)>>,
    was_there: AtomicBool,
    /// How long a request waits for somebody to take it.
    patience: Duration,
    waking: tokio::sync::Mutex<()>,
}

/// Whether a request is worth starting the server for, and waiting for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urge {
    /// Somebody waits for what comes of it.
    Wanted,
    /// It is only of use where the server is.
    Idle,
}

impl Way {
    pub fn new(near: Near, url: Url) -> Self {
        Self {
            near,
            url,
            open: Mutex::default(),
            was_there: AtomicBool::new(false),
            patience: PATIENCE,
            waking: tokio::sync::Mutex::default(),
        }
    }

    /// Sends a request, as soon as there is somebody to send it to.
    pub async fn send(
        &self,
        make: impl Fn(&Client) -> RequestBuilder,
        urge: Urge,
        place: &Place,
    ) -> Result<Response, Trouble> {
        let began = ticks();
        let (mut pause, mut unread, mut why) = (PAUSES.0, 0, None);
        loop {
            let client = self.client(place)?;
            // However long the answer takes: who has the request is there.
            let error = match make(&client).send().await {
                Ok(response) => {
                    self.was_there.store(true, Ordering::Relaxed);
                    return Ok(response);
                }
                Err(error) => error,
            };
            unread += u32::from(was_never_read(&error));
            let may_go_again = error.is_connect() || was_never_read(&error) && unread <= UNREAD;
            if urge == Urge::Idle || !may_go_again {
                return Err(place.unreachable(error));
            }
            let left = |patience: Duration| patience.saturating_sub(ticks().saturating_sub(began));
            let mut patience = self.patience;
            if let Ok(Err(text)) = timeout(left(patience), self.wake()).await {
                why = Some(text);
                if !self.was_there.load(Ordering::Relaxed) {
                    patience = patience.min(LITTLE_PATIENCE);
                }
            }
            if left(patience).is_zero() {
                let why = why.unwrap_or_else(|| "does not answer at its socket".to_owned());
                return Err(place.trouble(None, &why));
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn wake(&self) -> Result<(), String> {
        let _one_at_a_time = self.waking.lock().await;
        let wake = Arc::clone(&self.near.wake);
        match timeout(PATIENCE, tokio::task::spawn_blocking(move || wake())).await {
            Ok(Ok(woken)) => woken,
            // It is still at it, or panicked; either way the socket tells.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// The client for where the socket is now.
    fn client(&self, place: &Place) -> Result<Client, Trouble> {
        let socket = (self.near.find)();
        let mut open = lock(&self.open);
        if let Some((known, client)) = open.as_ref()
            && *known == socket
        {
            return Ok(client.clone());
        }
        let client = remote::http_client(&self.url);
        #[cfg(unix)]
        let client = client.unix_socket(socket.as_path());
        #[cfg(windows)]
        let client = client.windows_named_pipe(socket.as_os_str());
        let client = client.build().map_err(|error| place.unreachable(error))?;
        *open = Some((socket, client.clone()));
        Ok(client)
    }
}

/// Whether the other end went away before it had read the whole request, so that nothing can have come of it.
fn was_never_read(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            // It took no more of it.
            Some(io::ErrorKind::BrokenPipe) => return true,
            // Linux says this of a Unix socket that was closed with something unread in it.
            Some(io::ErrorKind::ConnectionReset) => return cfg!(target_os = "linux"),
            _ => source = cause.source(),
        }
    }
    false
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    fn way(socket: PathBuf, patience: Duration) -> Way {
        let near = Near {
            path: "/mcp".to_owned(),
            headers: Vec::new(),
            find: Arc::new(move || socket.clone()),
            wake: Arc::new(|| Err("nobody is there".to_owned())),
        };
        Way { patience, ..Way::new(near, "http://localhost/mcp".parse().expect("an address")) }
    }

    async fn send(way: &Way) -> Result<Response, Trouble> {
        let make = |client: &Client| client.post("http://localhost/mcp").body("{}");
        way.send(make, Urge::Wanted, &Place::near("mcpkeel")).await
    }

    #[tokio::test]
    async fn an_answer_may_take_longer_than_nobody_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).expect("bound");
        let patience = Duration::from_millis(50);
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody");
            stream.read_u8().await.expect("a request");
            sleep(4 * patience).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("written");
            std::future::pending::<()>().await;
        });
        assert!(send(&way(socket, patience)).await.is_ok());
        assert!(send(&way(dir.path().join("nobody"), patience)).await.is_err());
    }
}
