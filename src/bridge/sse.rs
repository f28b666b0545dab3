//! Server-sent events out of a response's body.
//!
//! Our own parser, since the libraries at hand put no bound on the size of an event.

use std::time::Duration;

use memchr::memchr2;

use super::lines::LONGEST;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; none means `message`.
    pub name: Option<String>,
    /// Its data; several lines are joined by line feeds.
    pub data: String,
    /// Where to resume from.
    pub id: Option<String>,
    /// How long to wait before connecting again.
    pub retry: Option<Duration>,
}

impl Event {
    /// The message it carries, if it carries one.
    pub fn message(&self) -> Option<&str> {
        let is_message = self.name.as_deref().is_none_or(|name| name.is_empty() || name == "message");
        (is_message && !self.data.trim().is_empty()).then_some(&self.data)
    }
}

/// Why no more events come.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// An event was longer than a message may be.
    TooLong,
    /// The connection was lost.
    Lost,
}

/// The events of a response.
pub struct Events {
    response: reqwest::Response,
    parser: Parser,
}

impl Events {
    /// From the start of the body.
    pub fn of(response: reqwest::Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next event; none at the end. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            if let Some(event) = self.parser.next()? {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.parser.feed(&bytes),
                Ok(None) => return Ok(None),
                Err(_) => return Err(Broken::Lost),
            }
        }
    }
}

#[derive(Default)]
struct Parser {
    buffer: Vec<u8>,
    /// How much of the buffer is known to hold no end of line.
    looked: usize,
    /// The last line ended with a carriage return, so a line feed that follows belongs to it.
    after_return: bool,
    begun: bool,
    event: Event,
    has_data: bool,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Result<Option<Event>, Broken> {
        let mut start = 0;
        let mut found = None;
        while let Some(at) = memchr2(b'\r', b'\n', &self.buffer[self.looked..]) {
            let end = self.looked + at;
            let is_return = self.buffer[end] == b'\r';
            let belongs_to_return = !is_return && std::mem::take(&mut self.after_return) && end == start;
            self.after_return = is_return;
            self.looked = end + 1;
            let line = start..end;
            start = end + 1;
            if belongs_to_return {
                continue;
            }
            let line = String::from_utf8_lossy(&self.buffer[line]).into_owned();
            if self.take(&line) {
                found = Some(std::mem::take(&mut self.event));
                self.has_data = false;
                break;
            }
        }
        self.buffer.drain(..start);
        self.looked = if found.is_some() { 0 } else { self.buffer.len() };
        if self.buffer.len() + self.event.data.len() > LONGEST {
            return Err(Broken::TooLong);
        }
        Ok(found)
    }

    /// Takes a line in; whether it ended an event worth handing on.
    fn take(&mut self, line: &str) -> bool {
        let line = if self.begun { line } else { line.trim_start_matches('\u{feff}') };
        self.begun = true;
        if line.is_empty() {
            return self.event != Event::default() || self.has_data;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            "event" => self.event.name = Some(value.to_owned()),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "retry" => self.event.retry = value.parse().ok().map(Duration::from_millis),
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str, pieces: usize) -> Vec<(String, String, String)> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(pieces) {
            parser.feed(piece);
            while let Some(event) = parser.next().expect("short") {
                found.push((event.name.unwrap_or_default(), event.data, event.id.unwrap_or_default()));
            }
        }
        found
    }

    #[test]
    fn reads_events_however_they_are_cut() {
        let text = "\u{feff}: hello\n\nid: 1\ndata:\n\nevent: message\r\ndata: {\"a\":\r\ndata:  1}\r\nid: 2\r\n\r\ndata: x\r\rdata: unfinished";
        let expected = [("", "", "1"), ("message", "{\"a\":\n 1}", "2"), ("", "x", "")];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        for pieces in [1, 2, 3, 7, 1000] {
            assert_eq!(events(text, pieces), expected, "in pieces of {pieces}");
        }
    }

    #[test]
    fn refuses_an_event_that_is_too_long() {
        let mut parser = Parser::default();
        parser.feed(b"data: ");
        parser.feed(&vec![b'x'; LONGEST + 1]);
        assert_eq!(parser.next(), Err(Broken::TooLong));
    }
}
