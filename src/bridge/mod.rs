//! One server for one client, with a word said in between: stdio to the client, streamable HTTP, SSE
//! or another program's stdio to the server; tools that are filtered are neither listed nor callable.
//!
//! Invariant: messages pass as they are, unknown members and all; only what a filter or the transport
//! demands is changed.
//!
//! Start reading at [`run`].

use std::io;

use crate::base::Secret;
use crate::clients::Filter;
use crate::system::Program;

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
/// is gone. Returns the exit code.
pub fn run(_bridge: Bridge) -> io::Result<u8> {
    Err(io::ErrorKind::Unsupported.into())
}
