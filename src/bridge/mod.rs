//! One server for one client, with a word said in between: stdio to the client, streamable HTTP, SSE
//! or another program's stdio to the server; tools that are filtered are neither listed nor callable.
//!
//! ```text
//! client's stdio - lines - middle (sieve, eras) - link - http | old_sse | child - server
//! ```
//!
//! Every transport looks like a server that speaks stdio, so what stands in the middle knows nothing of HTTP.
//!
//! Invariant: messages pass as they are, unknown members and all; only what a filter or the transport
//! demands is changed.
//!
//! Start reading at [`run`], then `middle.rs`; `http.rs` is the transport that most servers need.

mod asking;
pub(crate) mod child;
pub(crate) mod eras;
mod http;
pub(crate) mod json;
mod launch;
pub(crate) mod lines;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod middle;
pub(crate) mod mirror;
mod near;
mod old_sse;
mod remote;
pub(crate) mod sieve;
mod sse;

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::lines::{Line, Lines};
use self::link::{Hurry, Incoming, Link, WAITING};
use self::message::{INVALID_REQUEST, Message};
use self::middle::{Middle, Steps};
use crate::base::Secret;
use crate::clients::Filter;
use crate::system::Program;

pub use self::asking::{Asking, Unanswered, consult};
pub use self::launch::upstream;
pub use self::link::Note;
pub use self::near::Near;
pub use self::remote::{http_client, innermost, is_this_machine};

/// How long a server may be silent when asked for its era, before it is taken for an old one. A server that is
/// installed at its first start takes this long, and is believed when it answers later.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is bridged.
pub struct Bridge {
    /// The server's name, for messages.
    pub name: String,
    /// How the server is reached.
    pub upstream: Upstream,
    /// Which of its tools may be seen and called.
    pub tools: Filter,
}

/// How the server is reached.
pub enum Upstream {
    /// A program that speaks on its standard input and output.
    Stdio(Program),
    /// Streamable HTTP.
    Http(Remote),
    /// Streamable HTTP at a socket of this machine.
    Near(Near),
    /// HTTP with server-sent events, the transport of 2024.
    Sse(Remote),
}

/// A server at an address.
pub struct Remote {
    /// Its address.
    pub url: Secret<String>,
    /// Headers of every request.
    pub headers: Vec<(String, Secret<String>)>,
}

/// Bridges standard input and output to the server until the client closes its side or the server
/// is gone. Returns the exit code. Remarks for a person go to standard error.
///
/// # Errors
/// A program that cannot be started; an address or a header that cannot be used.
pub fn run(bridge: Bridge) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let note: Note = Arc::new(|text| {
        use std::io::Write as _;
        // There is nobody to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "mcpkeel: {text}");
    });
    let outcome = runtime.block_on(async {
        let stop = asked_to_stop()?;
        self::bridge(bridge, tokio::io::stdin(), tokio::io::stdout(), note, stop).await
    });
    // Reading standard input cannot be interrupted, and must not be waited for.
    runtime.shutdown_background();
    outcome
}

/// The same between any two ends of a client. When `stop` comes, there is no patience left.
///
/// # Errors
/// As [`run`].
pub async fn bridge(
    bridge: Bridge,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    note: Note,
    stop: impl Future<Output = ()>,
) -> io::Result<u8> {
    let (to_client, answers) = mpsc::channel(WAITING);
    let (to_server, inbox) = mpsc::channel(WAITING);
    let (outbox, from_server) = mpsc::channel(WAITING);
    let (hurry, hurried) = watch::channel(false);
    let mut ended =
        start(bridge.upstream, &bridge.name, Link { inbox, outbox, hurry: Hurry(hurried), note })?;
    let ends = Ends { middle: Arc::new(Mutex::new(Middle::new(&bridge.tools))), to_server, to_client };
    let mut writing = tokio::spawn(lines::write(output, answers));
    let downward = tokio::spawn(ends.clone().hear_server(from_server));
    let mut stop = pin!(stop);
    let code = tokio::select! {
        // Standard input that cannot be read is as good as closed.
        _ = ends.hear_client(Lines::new(input)) => None,
        // The client reads no more.
        _ = &mut writing => None,
        code = &mut ended => Some(code),
        () = &mut stop => {
            hurry.send_replace(true);
            None
        }
    };
    ends.close();
    let code = match code {
        Some(code) => code,
        None => {
            tokio::select! {
                code = &mut ended => code,
                () = &mut stop, if !*hurry.borrow() => {
                    hurry.send_replace(true);
                    ended.await
                }
            }
        }
    };
    // Whatever the server said last is on its way.
    downward.await.map_err(io::Error::other)?;
    if !writing.is_finished() {
        // A client that is gone is no failure.
        let _ = tokio::time::timeout(Duration::from_secs(2), writing).await;
    }
    code.map_err(io::Error::other)
}

pub(crate) fn start(upstream: Upstream, name: &str, link: Link) -> io::Result<JoinHandle<u8>> {
    let name = name.to_owned();
    Ok(match upstream {
        Upstream::Stdio(program) => {
            let child = child::start(&program)
                .map_err(|error| io::Error::new(error.kind(), format!("`{name}` does not start: {error}")))?;
            tokio::spawn(async move { child::run(&name, child, link).await })
        }
        Upstream::Http(remote) => {
            let server = remote::Server::new(&name, &remote)?;
            tokio::spawn(async move { http::run(&name, server, link).await })
        }
        Upstream::Near(near) => {
            let server = remote::Server::near(&name, near)?;
            tokio::spawn(async move { http::run(&name, server, link).await })
        }
        Upstream::Sse(remote) => {
            let server = remote::Server::new(&name, &remote)?;
            tokio::spawn(async move { old_sse::run(&name, server, link).await })
        }
    })
}

/// Both directions between the client and the link.
#[derive(Clone)]
struct Ends {
    middle: Arc<Mutex<Middle>>,
    to_server: mpsc::Sender<Message>,
    to_client: mpsc::Sender<String>,
}

impl Ends {
    async fn hear_client(&self, mut lines: Lines<impl AsyncRead + Unpin>) -> io::Result<()> {
        while let Some(line) = lines.next().await? {
            let reads = match line {
                Line::Text(line) => match str::from_utf8(&line) {
                    Ok(text) => Message::read(text),
                    Err(_) => Message::read("not UTF-8"),
                },
                Line::TooLong(glance) => {
                    let (id, is_request) = glance.seen();
                    if let Some(id) = id.filter(|_| is_request) {
                        let why = "Invalid request: longer than 64 MiB";
                        let answer = message::error(Some(id), INVALID_REQUEST, why, None);
                        let _ = self.to_client.send(answer).await;
                    }
                    continue;
                }
            };
            for read in reads {
                let steps = lock(&self.middle).client_says(read);
                self.take(steps).await;
                self.watch();
            }
        }
        Ok(())
    }

    async fn hear_server(self, mut incoming: mpsc::Receiver<Incoming>) {
        let Self { middle, to_server: strong, to_client } = self;
        // Held weakly, so that the link sees the end of what the client sends.
        let to_server = strong.downgrade();
        drop(strong);
        while let Some(incoming) = incoming.recv().await {
            let steps = lock(&middle).server_says(incoming);
            for text in steps.to_client {
                // The client may be gone.
                let _ = to_client.send(text).await;
            }
            let Some(to_server) = to_server.upgrade() else { continue };
            for message in steps.to_server {
                if let Err(TrySendError::Full(message)) = to_server.try_send(message) {
                    // Waiting here could wait for a server that waits for us to read.
                    let to_server = to_server.clone();
                    tokio::spawn(async move { to_server.send(message).await });
                }
            }
            Self { middle: Arc::clone(&middle), to_server, to_client: to_client.clone() }.watch();
        }
    }

    /// Looks at the clock while a question of ours is open.
    fn watch(&self) {
        let Some(question) = lock(&self.middle).awaits() else { return };
        let Self { middle, to_server, to_client } = self;
        let (middle, to_server, to_client) =
            (Arc::clone(middle), to_server.downgrade(), to_client.downgrade());
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let (Some(to_server), Some(to_client)) = (to_server.upgrade(), to_client.upgrade()) {
                let steps = lock(&middle).give_up(&question);
                Self { middle, to_server, to_client }.take(steps).await;
            }
        });
    }

    async fn take(&self, steps: Steps) {
        for text in steps.to_client {
            let _ = self.to_client.send(text).await;
        }
        for message in steps.to_server {
            let _ = self.to_server.send(message).await;
        }
    }

    /// Says to the link that the client is gone.
    fn close(self) {}
}

fn lock(middle: &Mutex<Middle>) -> MutexGuard<'_, Middle> {
    middle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Comes when the system or a person asks us to end.
#[cfg(unix)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Comes when a person asks us to end.
#[cfg(not(unix))]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a console there is nobody to ask.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
