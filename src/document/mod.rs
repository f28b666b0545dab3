//! A client's file as a document: read as values, edited in place.
//!
//! Invariant: an edit is a handful of byte splices around our own entries; every other byte of the
//! file (comments, order, indentation, quoting, anchors, CRLF, BOM, trailing commas, a missing final
//! newline) stays as it was, and an independent parser has confirmed the result before anyone sees it.
//!
//! Start at [`Document::parse`] and [`Document::edit`]. Each format is a codec (`json`, `toml`,
//! `yaml`) with the same five functions; `tree` holds the brackets that JSON and TOML share, `model`
//! what an edit means for values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Pointer, Step};

mod json;
mod model;
mod slip;
mod toml;
mod tree;
mod verify;
mod yaml;

use slip::Slip;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Strict JSON (RFC 8259).
    Json,
    /// JSON with comments and trailing commas.
    Jsonc,
    /// TOML 1.1.
    Toml,
    /// YAML 1.2.
    Yaml,
}

/// Why a file could not be read or edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One sentence without a place.
    pub message: String,
    /// 1-based; 0 when it concerns the whole file.
    pub line: u32,
    /// 1-based, in characters; 0 when it concerns the whole file.
    pub column: u32,
}

/// One change to a document. Several are applied in order as one edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum Op {
    /// Create the value at this place, or replace what is there. Missing containers on the way are
    /// made (maps for keys; a list for an item or element step). A new `Item` gets its identifying
    /// member from `value`, which must contain it.
    Put {
        /// Where.
        at: Pointer,
        /// What. Maps and lists are written out in the file's own style.
        value: Value,
    },
    /// Remove the member, item or element at this place; nothing happens if it is not there.
    Drop {
        /// Where.
        at: Pointer,
    },
    /// If the container at `seam.at` is empty now, put back what stood there before we first wrote
    /// into it. Given in reverse order of creation, after the drops.
    Close {
        /// What an earlier `Put` reported.
        seam: Seam,
    },
}

/// What an edit found where it had to open a container, so that pruning can leave no trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seam {
    /// The container that was missing or empty; the document's root for an empty file.
    pub at: Pointer,
    /// The exact text that stood there (`{}`, `{ }`, the whole text of a blank file), or none when
    /// the container itself was made.
    pub was: Option<String>,
}

/// The outcome of [`Document::edit`].
#[derive(Clone, Debug, PartialEq)]
pub struct Edited {
    /// The whole new file.
    pub bytes: Vec<u8>,
    /// Containers that this edit opened, outermost first.
    pub seams: Vec<Seam>,
}

/// A file whose syntax has been checked.
#[derive(Clone, Debug)]
pub struct Document {
    format: Format,
    /// With its byte order mark, if it has one.
    text: String,
    /// What it says, in the formats that cannot be read in part.
    whole: Option<Value>,
}

const BOM: char = '\u{feff}';

impl Document {
    /// Checks the whole syntax. A file of nothing but white space and comments is a document without
    /// a value, not a fault.
    pub fn parse(format: Format, bytes: Vec<u8>) -> Result<Self, Fault> {
        let text = String::from_utf8(bytes).map_err(|error| not_text(&error))?;
        let document = Self { format, text, whole: None };
        let body = document.body();
        if body.starts_with(BOM) {
            return Err(Fault { message: "a second byte order mark".to_owned(), line: 1, column: 1 });
        }
        let whole = match format {
            Format::Json => json::check(body, true).map(|()| None),
            Format::Jsonc => json::check(body, false).map(|()| None),
            Format::Toml => toml::reparse(body).map(Some),
            Format::Yaml => yaml::whole(body).map(Some),
        }?;
        Ok(Self { whole, ..document })
    }

    /// A file that does not exist yet.
    pub fn blank(format: Format) -> Self {
        Self { format, text: String::new(), whole: None }
    }

    /// How it is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The file as it was given.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The value at a place; the root is the whole document. Duplicate keys on the way are a fault,
    /// since readers disagree about which of them counts.
    pub fn get(&self, at: &Pointer) -> Result<Option<Value>, Fault> {
        let Some(whole) = &self.whole else { return json::get(self.body(), at) };
        if self.format == Format::Toml {
            toml::refuse_twins(self.body(), whole, at)?;
        }
        Ok(at.get(whole).cloned())
    }

    /// The member names of the map at a place, in the file's order; none where there is no map.
    pub fn keys(&self, at: &Pointer) -> Result<Vec<String>, Fault> {
        if matches!(self.format, Format::Json | Format::Jsonc) {
            return json::keys(self.body(), at);
        }
        Ok(match self.get(at)? {
            Some(Value::Object(map)) => map.into_iter().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        })
    }

    /// Line and column (1-based, in characters) of the key or item at a place.
    pub fn place(&self, at: &Pointer) -> Option<(u32, u32)> {
        let body = self.body();
        let offset = match self.format {
            Format::Json | Format::Jsonc => json::place(body, at),
            Format::Toml => toml::place(body, at),
            Format::Yaml => yaml::place(body, at),
        }?;
        Some(slip::line_and_column(body, offset))
    }

    /// Applies all the changes as one edit and has an independent parser confirm it: the new text is
    /// well-formed, the values are those asked for, and everything else is as before. When that
    /// cannot be confirmed nothing is returned but a fault that asks for the change by hand.
    pub fn edit(&self, ops: &[Op]) -> Result<Edited, Fault> {
        for op in ops {
            sound(op)?;
        }
        let body = self.body();
        let (text, seams) = match self.format {
            Format::Json | Format::Jsonc => json::edit(body, ops),
            Format::Toml => toml::edit(body, ops),
            Format::Yaml => yaml::edit(body, ops),
        }?;
        if text != body {
            verify::verify(self.format, body, &text, ops)?;
        }
        let mut bytes = Vec::with_capacity(text.len() + BOM.len_utf8());
        bytes.extend_from_slice(&self.bytes()[..self.text.len() - body.len()]);
        bytes.extend_from_slice(text.as_bytes());
        Ok(Edited { bytes, seams })
    }

    /// Whether there is nothing in it but white space or an empty root container, so that a file we
    /// created may be removed.
    pub fn is_hollow(&self) -> bool {
        let bare = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
        let body = self.body();
        // Anything longer than this has something in it, comments included.
        body.trim().is_empty()
            || match self.format {
                Format::Toml => false,
                Format::Json | Format::Jsonc => {
                    body.len() < 1024 && matches!(bare(body).as_str(), "{}" | "[]")
                }
                Format::Yaml => {
                    body.len() < 1024
                        && matches!(
                            bare(body).as_str(),
                            "{}" | "[]" | "null" | "~" | "---" | "---{}" | "---null"
                        )
                }
            }
    }

    /// The text without its byte order mark.
    fn body(&self) -> &str {
        self.text.strip_prefix(BOM).unwrap_or(&self.text)
    }
}

fn not_text(error: &std::string::FromUtf8Error) -> Fault {
    let bytes = error.as_bytes();
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let message = "the file is UTF-16; save it as UTF-8".to_owned();
        return Fault { message, line: 0, column: 0 };
    }
    let good = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(&bytes[..good]);
    let (line, column) = slip::line_and_column(&text, text.len());
    Fault { message: "the file is not valid UTF-8 text".to_owned(), line, column }
}

/// Refuses what no format could write truthfully.
fn sound(op: &Op) -> Result<(), Fault> {
    let Op::Put { at, value } = op else { return Ok(()) };
    let good = match at.0.last() {
        Some(Step::Item { key, is }) => value.get(key).and_then(Value::as_str) == Some(is),
        Some(Step::Element(text)) => value.as_str() == Some(text),
        _ => true,
    };
    if good {
        return Ok(());
    }
    Err(Fault { message: format!("the value for {at} does not carry that name"), line: 0, column: 0 })
}

#[cfg(test)]
mod tests;
