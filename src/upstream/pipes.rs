//! Writing to a process: at once where the pipe has room, else from a queue.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::unix::pipe::Sender;
use tokio::sync::Notify;

/// The most that may wait for a process that does not read, in bytes.
const WAITING: usize = 32 << 20;

/// The input of a process.
pub struct Pipe {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    /// None once it is closed.
    to: Option<Arc<Sender>>,
    lines: VecDeque<Vec<u8>>,
    /// How much of the first line is written.
    written: usize,
    bytes: usize,
}

impl Pipe {
    /// Takes the pipe, and starts what writes when the pipe was full.
    pub fn new(to: Sender) -> Arc<Self> {
        let queue = Queue { to: Some(Arc::new(to)), ..Queue::default() };
        let pipe = Arc::new(Self { queue: Mutex::new(queue), wake: Notify::new() });
        tokio::spawn(Arc::clone(&pipe).drain());
        pipe
    }

    /// Writes a line, without waiting.
    ///
    /// # Errors
    /// When the process has closed its input, or does not read what waits already.
    pub fn send(&self, text: String) -> io::Result<()> {
        let mut line = text.into_bytes();
        line.push(b'\n');
        let mut queue = self.lock();
        let Some(to) = &queue.to else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut written = 0;
        if queue.lines.is_empty() {
            match to.try_write(&line) {
                Ok(count) if count == line.len() => return Ok(()),
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    queue.to = None;
                    return Err(error);
                }
            }
            queue.written = written;
        }
        if queue.bytes + line.len() > WAITING && !queue.lines.is_empty() {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the server does not read its input"));
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    /// Closes it; what waits is not written.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.to = None;
        queue.lines.clear();
        drop(queue);
        self.wake.notify_one();
    }

    async fn drain(self: Arc<Self>) {
        loop {
            self.wake.notified().await;
            while let Some(to) = self.write_some() {
                tokio::select! {
                    ready = to.writable() => if ready.is_err() { return },
                    // Closed, perhaps.
                    () = self.wake.notified() => {}
                }
            }
            if self.lock().to.is_none() {
                return;
            }
        }
    }

    /// Writes what fits; the pipe, when there is more to write.
    fn write_some(&self) -> Option<Arc<Sender>> {
        let mut queue = self.lock();
        let to = queue.to.clone()?;
        while let Some(line) = queue.lines.front() {
            match to.try_write(&line[queue.written..]) {
                Ok(count) => {
                    queue.written += count;
                    if queue.written == queue.lines.front().map_or(0, Vec::len) {
                        let line = queue.lines.pop_front().unwrap_or_default();
                        queue.bytes -= line.len();
                        queue.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(to),
                Err(_) => {
                    queue.to = None;
                    return None;
                }
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
