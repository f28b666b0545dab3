//! Lines in, lines out, with a bound on how long one may be.

use std::io;

use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::message::Glance;

/// The longest message that is passed on, in bytes.
pub const LONGEST: usize = 64 << 20;

/// How much room a buffer keeps between messages, in bytes.
const ROOM: usize = 64 << 10;

/// The largest buffer that is kept for the next message, in bytes.
const LARGE: usize = 1 << 20;

/// What stood on a line.
pub enum Line {
    /// The line, without its end.
    Text(Vec<u8>),
    /// It was longer than [`LONGEST`]; what could be seen of it.
    TooLong(Glance),
}

/// Reads lines.
pub struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    /// How much of the buffer is known to hold no end of line.
    looked: usize,
    skipping: Option<Glance>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// From here on.
    pub fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), looked: 0, skipping: None, ended: false }
    }

    /// The next line that is not blank; none at the end. May be dropped and called again.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            self.buffer.reserve(ROOM);
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                self.ended = true;
                if !self.buffer.is_empty() {
                    self.buffer.push(b'\n');
                }
            }
        }
    }

    fn take_line(&mut self) -> Option<Line> {
        while let Some(at) = memchr(b'\n', &self.buffer[self.looked..]) {
            let end = self.looked + at;
            let line = self.buffer[..end].to_vec();
            self.buffer.drain(..=end);
            if self.buffer.capacity() > LARGE {
                self.buffer.shrink_to(ROOM);
            }
            self.looked = 0;
            if self.skipping.is_some() || line.len() > LONGEST {
                let mut glance = self.skipping.take().unwrap_or_default();
                glance.feed(&line);
                return Some(Line::TooLong(glance));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(Line::Text(line));
            }
        }
        self.looked = self.buffer.len();
        if self.skipping.is_some() || self.buffer.len() > LONGEST {
            self.skipping.get_or_insert_default().feed(&self.buffer);
            self.buffer = Vec::new();
            self.looked = 0;
        }
        None
    }
}

/// Writes messages, one on a line, each flushed, until there are no more or the reader is gone.
pub async fn write(mut to: impl AsyncWrite + Unpin, mut messages: mpsc::Receiver<String>) -> io::Result<()> {
    while let Some(message) = messages.recv().await {
        let mut line = message.into_bytes();
        line.push(b'\n');
        to.write_all(&line).await?;
        to.flush().await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut lines = Lines::new(text);
            let mut found = Vec::new();
            while let Some(line) = lines.next().await.expect("readable") {
                found.push(match line {
                    Line::Text(line) => String::from_utf8(line).expect("text"),
                    Line::TooLong(glance) => {
                        format!("too long: {:?}", glance.seen().0.map(|id| id.as_json()))
                    }
                });
            }
            found
        })
    }

    #[test]
    fn reads_lines_and_a_last_one_without_an_end() {
        assert_eq!(lines(b"a\n\n \r\nb\nc"), ["a", "b", "c"]);
        assert_eq!(lines(b""), [""; 0]);
    }

    #[test]
    fn skips_what_is_too_long_and_goes_on() {
        let mut text = b"{\"params\":\"".to_vec();
        text.resize(LONGEST + 5, b'x');
        text.extend_from_slice(b"\",\"id\":4}\nnext\n");
        assert_eq!(lines(&text), ["too long: Some(\"4\")", "next"]);
    }
}
