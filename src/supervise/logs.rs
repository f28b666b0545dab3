//! A log for each server: what it complains about, what it gets wrong, when it came and went.
//!
//! ```text
//! $STATE/logs/NAME.log    2026-11-26T18:00:00.123Z warn stderr the text, on one line
//! $STATE/logs/NAME.log.1  the one before, NAME.log.2 the oldest
//! ```
//!
//! Invariant: values that the server was given as secrets are hidden before a line is written; however much a server
//! writes, a log takes up three files of a mebibyte and a fixed amount of memory, and the server is never held up.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::log_line::{Level, Line};
use crate::base::Hidden;
use crate::base::mask::Masker;
use crate::store::{Store, create_dirs, rfc3339_millis};
use crate::system::System;

/// When a file is full, in bytes.
const FULL: u64 = 1 << 20;

/// How many older files are kept.
const OLDER: usize = 2;

/// The longest line that is looked at as a whole, in bytes; secrets are hidden before it is cut.
const LONGEST: usize = 8 << 10;

/// The longest line that is written, in bytes.
const SHOWN: usize = 2 << 10;

/// How many lines may come at once, and how many each second after that. The rest is counted.
const BURST: f64 = 1000.0;
const PACE: f64 = 200.0;

/// How many of the last lines are remembered for the reason of an end.
const REMEMBERED: usize = 3;

/// One server's log.
pub struct Log {
    system: Arc<dyn System>,
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    masker: Masker,
    /// How long the file is; none before the first write.
    size: Option<u64>,
    last: VecDeque<String>,
    counts: Counts,
    budget: f64,
    budget_at: Duration,
    left_out: u64,
}

/// What went into a log since we started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that look like errors.
    pub errors: u64,
    /// Lines that look like warnings.
    pub warnings: u64,
}

/// Where a server's log lies.
pub fn path(store: &Store, name: &str) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Names are plain already; this keeps one that is not inside of the directory.
    let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    store.path("logs").join(format!("{}.log", name.trim_start_matches('.')))
}

impl Log {
    /// Nothing is written before there is something to say.
    pub fn new(system: Arc<dyn System>, store: &Store, name: &str) -> Self {
        let inner = Inner {
            masker: Masker::default(),
            size: None,
            last: VecDeque::new(),
            counts: Counts::default(),
            budget: BURST,
            budget_at: system.ticks(),
            left_out: 0,
        };
        Self { path: path(store, name), system, inner: Mutex::new(inner) }
    }

    /// A run begins in which these values are secrets. Those of earlier runs stay hidden, too.
    pub fn begin(&self, hidden: &Hidden) {
        let mut inner = self.lock();
        for value in hidden.iter() {
            let value = value.expose();
            inner.masker.know(value.trim());
            // A key of several lines is printed line by line.
            value.lines().filter(|line| line.len() >= 8).for_each(|line| inner.masker.know(line.trim()));
        }
        inner.last.clear();
    }

    /// Writes a line of our own.
    pub fn note(&self, level: Level, source: &str, text: &str) {
        self.write(vec![(level, source, text.to_owned())]);
    }

    /// The same text without what is secret in it.
    pub fn hide(&self, text: &str) -> String {
        self.lock().masker.hide(text)
    }

    /// What it complained about last.
    pub fn last_words(&self) -> Option<String> {
        let inner = self.lock();
        (!inner.last.is_empty()).then(|| inner.last.iter().cloned().collect::<Vec<_>>().join(" | "))
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Takes down what comes out of a standard error, to its end.
    pub async fn listen(self: Arc<Self>, mut from: impl AsyncRead + Unpin) {
        let mut piece = vec![0; 16 << 10];
        let mut lines = Lines::default();
        loop {
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) if self.is_flooded() => {
                    self.leave_out(lines.skip(&piece[..length]));
                    // Others have their turn as well.
                    tokio::task::yield_now().await;
                }
                Ok(length) => self.take(lines.feed(&piece[..length])),
            }
        }
        self.take(lines.end());
    }

    /// Whether nothing of what comes now would be written.
    fn is_flooded(&self) -> bool {
        let mut inner = self.lock();
        inner.refill(self.system.ticks());
        inner.budget < 1.0
    }

    fn leave_out(&self, lines: u64) {
        self.lock().left_out += lines;
    }

    fn take(&self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.write(lines.into_iter().map(|line| (Level::guess(&line), "stderr", line)).collect());
        }
    }

    fn write(&self, lines: Vec<(Level, &str, String)>) {
        let now = self.system.ticks();
        let at = rfc3339_millis(self.system.now());
        let mut inner = self.lock();
        inner.refill(now);
        let mut text = String::new();
        for (level, source, line) in lines {
            match level {
                Level::Error => inner.counts.errors += 1,
                Level::Warn => inner.counts.warnings += 1,
                _ => {}
            }
            if inner.budget < 1.0 {
                inner.left_out += 1;
                continue;
            }
            inner.budget -= 1.0;
            if inner.left_out > 0 {
                let left_out = format!("{} lines were left out: too many at once", inner.left_out);
                inner.left_out = 0;
                Line::new(&at, Level::Warn, "mcpkeel", &left_out).print(&mut text);
            }
            let line = cut(&inner.masker.hide(&line));
            if source == "stderr" {
                if inner.last.len() == REMEMBERED {
                    inner.last.pop_front();
                }
                inner.last.push_back(line.chars().take(300).collect());
            }
            Line::new(&at, level, source, &line).print(&mut text);
        }
        if !text.is_empty() {
            self.append(&mut inner, text.as_bytes());
        }
    }

    /// A log that cannot be written holds up nothing: the next line tries again.
    fn append(&self, inner: &mut Inner, bytes: &[u8]) {
        let size = match inner.size {
            Some(size) => size,
            None => {
                if let Some(dir) = self.path.parent() {
                    let _ = create_dirs(&*self.system, dir);
                }
                self.system.meta(&self.path).map_or(0, |meta| meta.len)
            }
        };
        let is_full = size > 0 && size + bytes.len() as u64 > FULL;
        if is_full {
            for age in (0..OLDER).rev() {
                // There may not be so many yet.
                let _ = self.system.rename(&self.aged(age), &self.aged(age + 1));
            }
        }
        let before = if is_full { 0 } else { size };
        inner.size = self.system.append(&self.path, bytes).ok().map(|()| before + bytes.len() as u64);
    }

    fn aged(&self, age: usize) -> PathBuf {
        aged(&self.path, age)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn refill(&mut self, now: Duration) {
        let waited = now.saturating_sub(self.budget_at).as_secs_f64();
        self.budget = (self.budget + waited * PACE).min(BURST);
        self.budget_at = now;
    }
}

fn aged(path: &std::path::Path, age: usize) -> PathBuf {
    match age {
        0 => path.to_owned(),
        age => path.with_extension(format!("log.{age}")),
    }
}

/// The files of a log that may be there, the oldest first.
pub fn files(store: &Store, name: &str) -> Vec<PathBuf> {
    let path = path(store, name);
    (0..=OLDER).rev().map(|age| aged(&path, age)).collect()
}

fn cut(text: &str) -> String {
    match text.len() > SHOWN {
        true => format!("{}…", &text[..text.floor_char_boundary(SHOWN)]),
        false => text.to_owned(),
    }
}

/// Makes lines out of pieces.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    /// The rest of a line that is too long.
    is_skipping: bool,
}

impl Lines {
    fn feed(&mut self, mut piece: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(at) = memchr::memchr(b'\n', piece) {
            self.add(&piece[..at]);
            lines.extend(self.end());
            self.is_skipping = false;
            piece = &piece[at + 1..];
        }
        self.add(piece);
        if self.rest.len() >= LONGEST {
            lines.extend(self.end());
            self.is_skipping = true;
        }
        lines
    }

    /// How many lines end in a piece that nobody wants to read.
    fn skip(&mut self, piece: &[u8]) -> u64 {
        self.rest.clear();
        self.is_skipping = !piece.ends_with(b"\n");
        memchr::memchr_iter(b'\n', piece).count() as u64
    }

    fn add(&mut self, piece: &[u8]) {
        if !self.is_skipping {
            let room = LONGEST - self.rest.len().min(LONGEST);
            self.rest.extend_from_slice(&piece[..piece.len().min(room)]);
        }
    }

    /// The line that was begun, if there is anything on it.
    fn end(&mut self) -> Vec<String> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.rest)).trim_end().to_owned();
        if line.trim().is_empty() { Vec::new() } else { vec![line] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::system::Memory;

    fn log(memory: &Memory) -> Log {
        Log::new(Arc::new(memory.clone()), &Store::at("/state"), "github")
    }

    fn text(memory: &Memory, ending: &str) -> String {
        let path = PathBuf::from(format!("/state/logs/github.log{ending}"));
        String::from_utf8(memory.read(&path).unwrap_or_default()).expect("text")
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_stands() {
        let memory = Memory::default();
        let log = log(&memory);
        let mut hidden = Hidden::default();
        hidden.add(Secret::new("canary-4711".to_owned()));
        hidden.add(Secret::new("-----BEGIN KEY-----\ncanarycanary\n-----END KEY-----".to_owned()));
        log.begin(&hidden);
        log.take(vec!["it is canary-4711!".to_owned(), "canarycanary".to_owned()]);
        log.take(vec![format!("{}canary-4711", "x".repeat(SHOWN - 5))]);
        log.note(Level::Error, "mcpkeel", "it ended: canary-4711");
        let text = text(&memory, "");
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(text.lines().count(), 4);
        assert!(!log.last_words().expect("some").contains("canary"));
    }

    #[test]
    fn a_flood_takes_a_bounded_place() {
        let memory = Memory::default();
        let log = log(&memory);
        let flood: Vec<String> =
            (0..200).map(|number| format!("error {number} {}", "x".repeat(4000))).collect();
        for _ in 0..100 {
            log.take(flood.clone());
        }
        let all: usize = ["", ".1", ".2", ".3"].iter().map(|ending| text(&memory, ending).len()).sum();
        assert!(all as u64 <= 3 * FULL, "{all}");
        assert_eq!(log.counts().errors, 20_000);
        assert!(!text(&memory, "").is_empty());
        assert!(text(&memory, ".3").is_empty());
    }

    #[test]
    fn lines_are_made_of_whatever_pieces_come() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(b"one\ntw"), ["one"]);
        assert_eq!(lines.feed(b"o\r\n\n \nthr"), ["two"]);
        assert_eq!(lines.end(), ["thr"]);
        let long = vec![b'x'; 3 * LONGEST];
        assert_eq!(lines.feed(&long)[0].len(), LONGEST);
        assert_eq!(lines.feed(b"still the same line\nnext\n"), ["next"]);
        assert!(lines.rest.capacity() <= 2 * LONGEST);
    }
}
