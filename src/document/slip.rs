//! A fault before its place is known: a sentence and a byte offset.
//!
//! Invariant: no slip leaves the module; [`Slip::fault`] turns it into line and column.

use super::Fault;

/// What is wrong, and at which byte of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slip {
    pub message: String,
    pub at: usize,
}

impl Slip {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), at }
    }

    /// In the text it is about.
    pub(super) fn fault(self, text: &str) -> Fault {
        let (line, column) = line_and_column(text, self.at);
        Fault { message: self.message, line, column }
    }

    /// The same slip in a text that has `by` bytes more in front.
    pub(super) fn shifted(self, by: usize) -> Self {
        Self { at: self.at.saturating_add(by), ..self }
    }
}

/// 1-based, columns in characters; an offset past the end or inside a character is brought back.
pub(super) fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..text.floor_char_boundary(offset)];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let lines = before.bytes().filter(|byte| *byte == b'\n').count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX - 1).saturating_add(1);
    (count(lines), count(before[start..].chars().count()))
}
