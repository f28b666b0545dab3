use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::plan::FilePlan;

/// How long nobody may have written a file that looks half-written before that is taken for what it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same for one that is written again and again.
const LONGEST: Duration = Duration::from_secs(60);

/// How soon it is read again, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Contents larger than this are not kept for comparison, in bytes.
const MOST: usize = 4 << 20;

/// Files that may have been caught in the middle of being written.
///
/// A client that writes in place empties its file first; one that replaces it may take the old one away
/// first. Such a file is read again, and never taken for drift: what is gone may be about to come back.
#[derive(Debug, Default)]
pub struct Torn {
    /// What each file said when it was whole last.
    whole: BTreeMap<PathBuf, Vec<u8>>,
    /// Since when each one is not.
    since: BTreeMap<PathBuf, Duration>,
}

/// How whole a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wholeness {
    /// It is whole, as far as can be told.
    Whole,
    /// It may be in the middle of being written: look again after this long.
    Again(Duration),
    /// It looked so for too long.
    Broken,
}

impl Torn {
    /// Judges a file by what was planned for it. `age` is the time since it was written last, as far as
    /// the file system knows: nobody is still at work on an old file.
    pub fn judge(&mut self, file: &FilePlan, age: Option<Duration>, now: Duration) -> Wholeness {
        let is_whole = self.is_whole(file);
        if is_whole {
            self.since.remove(&file.real);
            return Wholeness::Whole;
        }
        let since = *self.since.entry(file.real.clone()).or_insert(now);
        let waited = now.saturating_sub(since);
        match age.unwrap_or(waited) < PATIENCE && waited < LONGEST {
            true => Wholeness::Again((waited / 2).clamp(AGAIN.0, AGAIN.1)),
            // A file that is gone for good is drift like any other; it holds nothing that could be lost.
            false if file.refused.is_none() && file.old.is_none() => {
                self.forget(&file.real);
                Wholeness::Whole
            }
            false => Wholeness::Broken,
        }
    }

    fn is_whole(&self, file: &FilePlan) -> bool {
        if let Some(problem) = &file.refused {
            return !matches!(problem.code, "malformed-file" | "busy-file");
        }
        let whole = self.whole.get(&file.real);
        match (&file.old, whole) {
            (None, whole) => whole.is_none(),
            (Some(now), Some(whole)) => !lost_its_end(whole, now.bytes()),
            // We know from the books that it held something.
            (Some(now), None) => file.record.is_none() || !is_blank(now.bytes()),
        }
    }

    /// What a file says now that it is whole; none if it is not there.
    pub fn is_now(&mut self, file: &Path, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) if bytes.len() <= MOST => {
                // Most passes find the same again.
                if self.whole.get(file).is_none_or(|whole| whole != bytes) {
                    self.whole.insert(file.to_owned(), bytes.to_vec());
                }
            }
            _ => drop(self.whole.remove(file)),
        }
    }

    /// A person decided about a file.
    pub fn forget(&mut self, file: &Path) {
        self.whole.remove(file);
        self.since.remove(file);
    }
}

/// Whether a content is the beginning of another one, cut in the middle of a line.
fn lost_its_end(whole: &[u8], now: &[u8]) -> bool {
    if is_blank(now) {
        return !is_blank(whole);
    }
    let Some(rest) = whole.strip_prefix(now) else { return false };
    // Whoever takes a last entry out cuts at the end of a line, and more than white space is gone.
    !is_blank(rest) && !now.ends_with(b"\n") && !rest.starts_with(b"\n") && !rest.starts_with(b"\r")
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_that_lost_its_end_is_told_from_one_that_was_edited() {
        let whole = b"[a]\nx = 1\n\n[b]\ny = \"22\"\n";
        assert!(lost_its_end(whole, b""));
        assert!(lost_its_end(whole, b"\n"));
        assert!(lost_its_end(whole, b"[a]\nx = 1\n\n[b]\ny = \"2"));
        assert!(!lost_its_end(whole, b"[a]\nx = 1\n"));
        assert!(!lost_its_end(whole, b"[a]\nx = 1"));
        assert!(!lost_its_end(whole, b"[a]\nx = 2\n"));
        assert!(!lost_its_end(whole, whole));
        assert!(!lost_its_end(b"{}\n", b"{}"));
        assert!(!lost_its_end(b"", b""));
    }
}
