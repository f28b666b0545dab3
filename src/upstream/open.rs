use std::fmt;

/// How a server is reached.
pub enum Line {
    /// The pipes of a process: we write to the first and read from the second.
    #[cfg(unix)]
    Pipes(tokio::net::unix::pipe::Sender, tokio::net::unix::pipe::Receiver),
    /// The pipes of a process.
    #[cfg(windows)]
    Pipes(tokio::process::ChildStdin, tokio::process::ChildStdout),
    /// A server at an address.
    Remote(crate::bridge::Upstream),
}

/// Why a server cannot be spoken to. In a sentence, without a secret.
#[derive(Clone, Debug)]
pub struct OpenError(pub String);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}
