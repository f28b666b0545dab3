use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the process that watches did not answer.
#[derive(Debug)]
pub enum AskError {
    /// It cannot be reached.
    Unreachable(io::Error),
    /// It said something else than yes.
    Refused(u16),
    /// It did not say anything in time.
    Silent,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "the process that watches cannot be reached: {error}"),
            Self::Refused(status) => write!(f, "the process that watches answered with status {status}"),
            Self::Silent => f.write_str("the process that watches did not answer in time"),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the process that watches, at its control socket. Returns the body of its answer.
///
/// # Errors
/// When there is no such process, or it says no.
pub fn ask(socket: &Path, method: Method, path: &str) -> Result<Vec<u8>, AskError> {
    let Answer { status, body } = consult(socket, method, path, PATIENCE)?;
    if (200..300).contains(&status) { Ok(body) } else { Err(AskError::Refused(status)) }
}

/// What the process that watches answered.
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// What it said.
    pub body: Vec<u8>,
}

/// The same for a question whose answer may take so long, and may be no.
///
/// # Errors
/// When there is no such process, or it says nothing.
pub fn consult(socket: &Path, method: Method, path: &str, patience: Duration) -> Result<Answer, AskError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AskError::Unreachable)?;
    runtime.block_on(async {
        match tokio::time::timeout(patience, exchange(socket, method, path)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Silent),
        }
    })
}

async fn exchange(socket: &Path, method: Method, path: &str) -> Result<Answer, AskError> {
    let broken = |error: hyper::Error| AskError::Unreachable(io::Error::other(error));
    let stream = connect(socket).await.map_err(AskError::Unreachable)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let carrying = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(hyper::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| AskError::Unreachable(io::Error::other(error)))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(broken)?.to_bytes().to_vec();
    carrying.abort();
    Ok(Answer { status, body })
}

#[cfg(unix)]
async fn connect(socket: &Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(socket).await
}

#[cfg(windows)]
async fn connect(socket: &Path) -> io::Result<tokio::net::windows::named_pipe::NamedPipeClient> {
    use tokio::net::windows::named_pipe::ClientOptions;
    /// ERROR_PIPE_BUSY: every instance is taken for a moment.
    const BUSY: i32 = 231;
    loop {
        match ClientOptions::new().open(socket) {
            Err(error) if error.raw_os_error() == Some(BUSY) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}
