//! Reading the log of events while others write it.

use std::time::SystemTime;

use super::{Event, Store, events_of};
use crate::system::{At, FileError, FileId, Meta, System, found};

/// How much is remembered of what was read before the last event, in bytes: with the event itself enough to be
/// found again in a log that was cut.
const REMEMBERED: usize = 4 << 10;

/// A place in the log of events.
#[derive(Default)]
pub struct Reader {
    /// As the file was when it was read last.
    seen: Option<Sight>,
    /// How many bytes of it were read.
    read: usize,
    /// The last of them.
    tail: Vec<u8>,
}

type Sight = (Option<FileId>, u64, SystemTime);

impl Reader {
    /// The events that were written since the last call; at the first, all that are kept. When nothing has
    /// changed that is known from a single look at the file.
    ///
    /// A log that was cut meanwhile is taken up where reading stopped.
    pub fn next(&mut self, system: &dyn System, store: &Store) -> Result<Vec<Event>, FileError> {
        let path = store.path("events.jsonl");
        let Some(meta) = found(system.meta(&path)).at(&path, "look at")? else { return Ok(Vec::new()) };
        let sight = Some(sight(&meta));
        if self.seen == sight {
            return Ok(Vec::new());
        }
        let Some(bytes) = found(system.read(&path)).at(&path, "read")? else { return Ok(Vec::new()) };
        self.seen = sight;
        Ok(self.take(&bytes))
    }

    /// What is new in these bytes: whole lines only.
    fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        let end = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let start = self.start(bytes).min(end);
        self.read = end;
        let last = memchr::memmem::rfind(&bytes[..end], b"\n{").unwrap_or(0);
        self.tail = bytes[last.saturating_sub(REMEMBERED)..end].to_vec();
        events_of(&bytes[start..end])
    }

    /// Where in these bytes reading goes on.
    fn start(&self, bytes: &[u8]) -> usize {
        let tail = self.tail.as_slice();
        let goes_on = bytes.get(..self.read).is_some_and(|before| before.ends_with(tail));
        if goes_on || tail.is_empty() {
            return self.read;
        }
        // The log was cut to its newer half: what was read last stands somewhere in it, or the rest of it at its
        // beginning, or everything there is newer.
        if let Some(at) = memchr::memmem::find(bytes, tail) {
            return at + tail.len();
        }
        (1..tail.len()).rev().find(|length| bytes.starts_with(&tail[tail.len() - length..])).unwrap_or(0)
    }
}

fn sight(meta: &Meta) -> Sight {
    (meta.id, meta.len, meta.modified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventKind;
    use crate::system::Memory;

    fn numbers(events: &[Event]) -> Vec<u32> {
        let number = |event: &Event| event.message.split(' ').next().and_then(|text| text.parse().ok());
        events.iter().map(|event| number(event).expect("a number")).collect()
    }

    #[test]
    fn nothing_is_lost_or_repeated_when_the_log_is_cut() {
        // Looking after every event, after some, and after so many that the log is cut in between.
        for pace in [1, 7, 30] {
            let memory = Memory::default();
            let store = Store::at("/state");
            drop(store.lock(&memory, "watch").expect("free"));
            let mut reader = Reader::default();
            let mut heard = Vec::new();
            let long = "x".repeat(64 << 10);
            for number in 0..300 {
                let event = Event::new(&memory, EventKind::Note, format!("{number} {long}"));
                store.add_event(&memory, &event).expect("added");
                if number % pace == 0 {
                    heard.extend(numbers(&reader.next(&memory, &store).expect("read")));
                }
            }
            heard.extend(numbers(&reader.next(&memory, &store).expect("read")));
            assert_eq!(heard, (0..300).collect::<Vec<_>>(), "every {pace}");
            assert!(reader.next(&memory, &store).expect("read").is_empty());
        }
    }

    #[test]
    fn a_line_is_read_once_it_is_whole() {
        let line = |number: u32| {
            let event = Event::new(&Memory::default(), EventKind::Note, number.to_string());
            format!("\n{}\n", serde_json::json!(event))
        };
        let mut reader = Reader::default();
        let text = line(1) + &line(2);
        assert_eq!(numbers(&reader.take(&text.as_bytes()[..text.len() - 5])), [1]);
        assert_eq!(numbers(&reader.take(text.as_bytes())), [2]);
        // Two events can be equal to the letter.
        let text = text + &line(2);
        assert_eq!(numbers(&reader.take(text.as_bytes())), [2]);
        // Cut in the middle of what was read, and written to since.
        let cut = line(2) + &line(3);
        assert_eq!(numbers(&reader.take(cut.as_bytes())), [3]);
        // Everything that was read is gone.
        assert_eq!(numbers(&reader.take(line(4).as_bytes())), [4]);
    }
}
