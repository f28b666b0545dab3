//! One JSON-RPC message: what kind it is, and the text as it came.
//!
//! Start at [`Message::read`].

use std::fmt;

use memchr::memchr2;

use super::json::{self, Members};

/// Our own code for "the server could not be asked": outside the range that JSON-RPC and MCP reserve.
pub const UNREACHABLE: i64 = -31001;
/// JSON-RPC: not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON-RPC: JSON, but no message.
pub const INVALID_REQUEST: i64 = -32600;
/// JSON-RPC: a parameter is wrong.
pub const INVALID_PARAMS: i64 = -32602;
/// JSON-RPC: it could not be done.
pub const INTERNAL: i64 = -32603;

/// The id of a request as JSON; equal ids have equal texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// From JSON; none when it is neither text nor number.
    pub fn read(raw: &str) -> Option<Self> {
        match raw.as_bytes().first()? {
            b'"' => json::text(raw).map(|text| Self::of(&text)),
            b'-' | b'0'..=b'9' => Some(Self(raw.to_owned())),
            _ => None,
        }
    }

    /// An id that is a text.
    pub fn of(text: &str) -> Self {
        Self(json::quote(text))
    }

    /// As JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer.
    Request(Id, String),
    /// Wants none.
    Notification(String),
    /// An answer that was asked for.
    Result(Id),
    /// An answer that says why not; without an id when the question could not be read.
    Error(Option<Id>),
}

/// One message on one line.
#[derive(Clone, Debug)]
pub struct Message {
    /// As it came.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

/// Why a text is not a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A JSON-RPC code.
    pub code: i64,
    /// In words.
    pub why: String,
    /// Whose fault it is, where that can be known.
    pub id: Option<Id>,
}

impl Fault {
    /// As the answer to whoever sent it.
    pub fn answer(&self) -> String {
        error(self.id.as_ref(), self.code, &self.why, None)
    }
}

impl Message {
    /// Reads one message, or each of a batch.
    pub fn read(text: &str) -> Vec<Result<Message, Fault>> {
        let text = json::one_line(text);
        if !text.starts_with('[') {
            return vec![Self::read_one(&text)];
        }
        match json::elements(&text) {
            Some(elements) if !elements.is_empty() => elements.into_iter().map(Self::read_one).collect(),
            Some(_) => vec![Err(invalid(None, "an empty batch"))],
            None => vec![Err(Fault { code: PARSE_ERROR, why: "this is not JSON".to_owned(), id: None })],
        }
    }

    fn read_one(text: &str) -> Result<Message, Fault> {
        let Some(members) = Members::of(text) else {
            if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
                return Err(invalid(None, "a message is an object"));
            }
            return Err(Fault { code: PARSE_ERROR, why: "this is not JSON".to_owned(), id: None });
        };
        let written_id = members.get("id");
        let id = written_id.and_then(Id::read);
        if let Some(name) = members.repeated() {
            return Err(invalid(id, &format!("the message has two members `{name}`")));
        }
        let kind = if let Some(method) = members.get("method") {
            let Some(method) = json::text(method) else {
                return Err(invalid(id, "the method is not a text"));
            };
            match (written_id, id) {
                (None, _) => Kind::Notification(method),
                (Some(_), Some(id)) => Kind::Request(id, method),
                (Some(_), None) => return Err(invalid(None, "the id is neither a text nor a number")),
            }
        } else if members.get("error").is_some() {
            Kind::Error(id)
        } else if members.get("result").is_some() {
            let Some(id) = id else { return Err(invalid(None, "an answer without an id")) };
            Kind::Result(id)
        } else {
            return Err(invalid(id, "neither a request nor an answer"));
        };
        if let Some(params) = members.object("params")
            && let Some(name) = params.repeated()
        {
            let id = if let Kind::Request(id, _) = &kind { Some(id.clone()) } else { None };
            return Err(invalid(id, &format!("the parameters have two members `{name}`")));
        }
        Ok(Message { text: text.to_owned(), kind })
    }

    /// A message of our own making.
    pub fn own(text: String) -> Option<Message> {
        Self::read_one(&text).ok()
    }

    /// Its method, if it has one.
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request(_, method) | Kind::Notification(method) => Some(method),
            Kind::Result(_) | Kind::Error(_) => None,
        }
    }

    /// The id of the question that this answers.
    pub fn answers(&self) -> Option<&Id> {
        match &self.kind {
            Kind::Result(id) => Some(id),
            Kind::Error(id) => id.as_ref(),
            Kind::Request(..) | Kind::Notification(_) => None,
        }
    }

    /// A member of the message as it is written.
    pub fn member(&self, name: &str) -> Option<&str> {
        Members::of(&self.text)?.get(name)
    }

    /// Its parameters, if they are an object.
    pub fn params(&self) -> Option<Members<'_>> {
        Members::of(&self.text)?.object("params")
    }

    /// The request that a cancellation is about.
    pub fn cancels(&self) -> Option<Id> {
        let is_cancellation = self.method() == Some("notifications/cancelled");
        Id::read(self.params().filter(|_| is_cancellation)?.get("requestId")?)
    }
}

fn invalid(id: Option<Id>, why: &str) -> Fault {
    Fault { code: INVALID_REQUEST, why: format!("Invalid request: {why}"), id }
}

/// An answer that says why not. `data` is JSON.
pub fn error(id: Option<&Id>, code: i64, why: &str, data: Option<&str>) -> String {
    let code = code.to_string();
    let why = json::quote(why);
    let mut members = vec![("code", code.as_str()), ("message", &why)];
    members.extend(data.map(|data| ("data", data)));
    let error = json::object(members);
    json::object([("jsonrpc", "\"2.0\""), ("id", id.map_or("null", Id::as_json)), ("error", &error)])
}

/// An answer. `result` is JSON.
pub fn result(id: &Id, result: &str) -> String {
    json::object([("jsonrpc", "\"2.0\""), ("id", id.as_json()), ("result", result)])
}

/// A question. `params` is JSON.
pub fn request(id: &Id, method: &str, params: Option<&str>) -> String {
    let method = json::quote(method);
    let mut members = vec![("jsonrpc", "\"2.0\""), ("id", id.as_json()), ("method", &method)];
    members.extend(params.map(|params| ("params", params)));
    json::object(members)
}

/// A message that wants no answer. `params` is JSON.
pub fn notification(method: &str, params: Option<&str>) -> String {
    let method = json::quote(method);
    let mut members = vec![("jsonrpc", "\"2.0\""), ("method", method.as_str())];
    members.extend(params.map(|params| ("params", params)));
    json::object(members)
}

/// What can be known of a message too long to be kept: fed piece by piece, it remembers the id and whether
/// there was a method.
#[derive(Default)]
pub struct Glance {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// At the outermost level: the string or bare word being read.
    word: Vec<u8>,
    key: Vec<u8>,
    is_value: bool,
    id: Option<Id>,
    has_method: bool,
}

impl Glance {
    /// The longest id or name that is looked at.
    const LONGEST: usize = 256;

    /// The next piece.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.step(byte);
            at += 1;
            let is_deaf =
                self.in_string && !self.escaped && (self.depth != 1 || self.word.len() == Self::LONGEST);
            if is_deaf {
                at += memchr2(b'"', b'\\', &bytes[at..]).unwrap_or(bytes.len() - at);
            }
        }
    }

    /// The id, and whether it is a request rather than an answer.
    pub fn seen(&self) -> (Option<&Id>, bool) {
        (self.id.as_ref(), self.has_method)
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                if self.depth == 1 {
                    self.end_of_member();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => {
                self.key = std::mem::take(&mut self.word);
                self.is_value = true;
            }
            b',' if self.depth == 1 => self.end_of_member(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.word.len() < Self::LONGEST {
            self.word.push(byte);
        }
    }

    fn end_of_member(&mut self) {
        let word = std::mem::take(&mut self.word);
        if std::mem::take(&mut self.is_value) {
            match self.key.as_slice() {
                b"\"id\"" => self.id = str::from_utf8(&word).ok().and_then(Id::read),
                b"\"method\"" => self.has_method = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<Kind, i64> {
        Message::read(text).remove(0).map(|message| message.kind).map_err(|fault| fault.code)
    }

    #[test]
    fn knows_the_kinds_of_message() {
        let id = || Id::read("1").expect("an id");
        for (text, expected) in [
            (r#"{"id":1,"method":"a"}"#, Ok(Kind::Request(id(), "a".to_owned()))),
            (r#"{"method":"a"}"#, Ok(Kind::Notification("a".to_owned()))),
            (r#"{"id":1,"result":1e400}"#, Ok(Kind::Result(id()))),
            (r#"{"id":null,"error":{}}"#, Ok(Kind::Error(None))),
            (r#"{"id":null,"method":"a"}"#, Err(INVALID_REQUEST)),
            (r#"{"method":"a","method":"b"}"#, Err(INVALID_REQUEST)),
            (r#"{"method":"a","m\u0065thod":"b"}"#, Err(INVALID_REQUEST)),
            (r#"{"id":1,"method":"a","params":{"name":1,"name":2}}"#, Err(INVALID_REQUEST)),
            (r#"{"id":1}"#, Err(INVALID_REQUEST)),
            ("[]", Err(INVALID_REQUEST)),
            ("[1]", Err(INVALID_REQUEST)),
            ("7", Err(INVALID_REQUEST)),
            ("{", Err(PARSE_ERROR)),
            ("nonsense", Err(PARSE_ERROR)),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
        assert_eq!(Message::read(r#"[{"method":"a"},{"method":"b"}]"#).len(), 2);
    }

    #[test]
    fn equal_ids_are_equal_however_they_are_written() {
        assert_eq!(Id::read(r#""a""#), Id::read(r#""\u0061""#));
        assert_ne!(Id::read("1"), Id::read("\"1\""));
    }

    #[test]
    fn glances_at_what_is_too_long() {
        for (text, id, is_request) in [
            (r#"{"id":7,"method":"x","params":{"id":9}}"#, Some("7"), true),
            (r#"{"result":{"method":"\"}{","id":2},"jsonrpc":"2.0", "id" : "a" }"#, Some("\"a\""), false),
            (r#"{"params":[{"id":3}],"method":"n"}"#, None, true),
            ("garbage", None, false),
        ] {
            let mut glance = Glance::default();
            text.as_bytes().chunks(3).for_each(|piece| glance.feed(piece));
            let (seen, method) = glance.seen();
            assert_eq!((seen.map(Id::as_json), method), (id, is_request), "{text}");
        }
    }
}
