//! One JSON-RPC message, looked at once: where its parts stand in the text.

use std::ops::Range;

use crate::bridge::json::{self, Members};
use crate::bridge::message::{Fault, INVALID_REQUEST, Id, PARSE_ERROR};

/// What a message is made of.
const PARTS: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// A message and the places of its parts.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The whole message, on one line.
    pub text: String,
    /// What it is.
    pub kind: Kind,
    /// Its parameters.
    pub params: Option<Range<usize>>,
}

/// What a message is, and the place of its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer.
    Request {
        /// Where the id is.
        id: Range<usize>,
        /// What is wanted.
        method: String,
    },
    /// Wants none.
    Notification {
        /// What happened.
        method: String,
    },
    /// Answers; without an id when the question could not be read.
    Answer {
        /// Where the id is.
        id: Option<Range<usize>>,
        /// Where the result is; none for an error.
        result: Option<Range<usize>>,
    },
}

impl Envelope {
    /// Looks at one message that stands on one line.
    ///
    /// # Errors
    /// What is wrong with it, as an answer would say it.
    pub fn read(text: String) -> Result<Self, Fault> {
        Self::look(&text).map(|(kind, params)| Self { text, kind, params })
    }

    /// The same for a message that no server may read as another one: some see no difference between `params` and
    /// `Params`.
    ///
    /// # Errors
    /// As [`Envelope::read`].
    pub fn read_strictly(text: String) -> Result<Self, Fault> {
        let members = open(&text)?;
        if let Some((name, meant)) = members.misspelt(PARTS) {
            return Err(fault(&members, &format!("the member `{name}` is not spelt `{meant}`")));
        }
        let (kind, params) = Self::parts(&text, &members)?;
        drop(members);
        Ok(Self { text, kind, params })
    }

    /// The same, for those who need the text even when it is no message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn look(text: &str) -> Result<(Kind, Option<Range<usize>>), Fault> {
        Self::parts(text, &open(text)?)
    }

    fn parts(text: &str, members: &Members<'_>) -> Result<(Kind, Option<Range<usize>>), Fault> {
        let place = |part: &str| place(text, part);
        let written_id = members.get("id");
        let fault = |why: &str| fault(members, why);
        if let Some(name) = members.repeated() {
            return Err(fault(&format!("the message has two members `{name}`")));
        }
        let id = written_id.filter(|id| matches!(id.as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9')));
        let params = members.get("params");
        let kind = if let Some(method) = members.get("method") {
            let Some(method) = json::text(method) else { return Err(fault("the method is not a text")) };
            match (written_id, id) {
                (None, _) => Kind::Notification { method },
                (Some(_), Some(id)) => Kind::Request { id: place(id), method },
                (Some(_), None) => return Err(fault("the id is neither a text nor a number")),
            }
        } else if members.get("error").is_some() {
            Kind::Answer { id: id.map(place), result: None }
        } else if let Some(result) = members.get("result") {
            let Some(id) = id else { return Err(fault("an answer without an id")) };
            Kind::Answer { id: Some(place(id)), result: Some(place(result)) }
        } else {
            return Err(fault("neither a request nor an answer"));
        };
        Ok((kind, params.map(place)))
    }

    /// A part of it.
    pub fn part(&self, range: &Range<usize>) -> &str {
        &self.text[range.clone()]
    }

    /// Its parameters as an object; none when they are something else.
    pub fn members(&self) -> Option<Members<'_>> {
        Members::of(self.part(self.params.as_ref()?))
    }

    /// Where a part that was cut from this very text stands.
    pub fn place(&self, part: &str) -> Range<usize> {
        place(&self.text, part)
    }

    /// Its method, if it has one.
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method } => Some(method),
            Kind::Answer { .. } => None,
        }
    }

    /// The text with some parts replaced.
    pub fn with(&self, edits: &mut [(Range<usize>, &str)]) -> String {
        with(&self.text, edits)
    }
}

/// A text with some parts replaced; they do not overlap.
pub fn with(text: &str, edits: &mut [(Range<usize>, &str)]) -> String {
    edits.sort_unstable_by_key(|(range, _)| range.start);
    let more: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut out = String::with_capacity(text.len() + more + 1);
    let mut at = 0;
    for (range, new) in edits.iter() {
        out.push_str(&text[at..range.start]);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

fn place(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    if start.checked_add(part.len()).is_some_and(|end| end <= text.len()) {
        start..start + part.len()
    } else {
        // Not a part of it; an empty place changes nothing.
        0..0
    }
}

fn open(text: &str) -> Result<Members<'_>, Fault> {
    Members::of(text).ok_or_else(|| {
        match serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
            true => invalid("a message is an object"),
            false => Fault { code: PARSE_ERROR, why: "this is not JSON".to_owned(), id: None },
        }
    })
}

fn fault(members: &Members<'_>, why: &str) -> Fault {
    Fault { id: members.get("id").and_then(Id::read), ..invalid(why) }
}

fn invalid(why: &str) -> Fault {
    Fault { code: INVALID_REQUEST, why: format!("Invalid request: {why}"), id: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_the_parts_are() {
        let text = r#"{"jsonrpc":"2.0", "id" : "a" ,"method":"tools/call","params":{"name":"x"}}"#;
        let envelope = Envelope::read(text.to_owned()).expect("a message");
        let Kind::Request { id, method } = &envelope.kind else { panic!("a request") };
        assert_eq!((envelope.part(id), method.as_str()), ("\"a\"", "tools/call"));
        let name = envelope.members().expect("parameters").get("name").map(|name| envelope.place(name));
        let text = envelope.with(&mut [(name.expect("a name"), "\"y\""), (id.clone(), "7")]);
        assert_eq!(text, r#"{"jsonrpc":"2.0", "id" : 7 ,"method":"tools/call","params":{"name":"y"}}"#);
    }

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        for text in
            [r#"{"id":1,"id":2,"method":"a"}"#, r#"{"id":null,"method":"a"}"#, "[]", "{", r#"{"id":1}"#]
        {
            assert!(Envelope::read(text.to_owned()).is_err(), "{text}");
        }
    }
}
