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
        let why = Mutex::new(None);
        let trying = async {
            let (mut pause, mut unread) = (PAUSES.0, 0);
            loop {
                let client = self.client(place)?;
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
                if let Err(text) = self.wake().await {
                    let hopeless = !self.was_there.load(Ordering::Relaxed);
                    *lock(&why) = Some((text, hopeless));
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        };
        let patient = async {
            sleep(LITTLE_PATIENCE).await;
            let is_hopeless = lock(&why).as_ref().is_some_and(|(_, hopeless)| *hopeless);
            if !is_hopeless {
                sleep(PATIENCE - LITTLE_PATIENCE).await;
            }
        };
        tokio::select! {
            sent = trying => return sent,
            () = patient => {}
        }
        let text = lock(&why).take().map(|(text, _)| text);
        Err(place.trouble(None, &text.unwrap_or_else(|| "does not answer at its socket".to_owned())))
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
