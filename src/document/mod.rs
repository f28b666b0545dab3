//! A client's file as a document: read as values, edited in place.
//!
//! Invariant: an edit is a handful of byte splices around our own entries; every other byte of the
//! file (comments, order, indentation, quoting, anchors, CRLF, BOM, trailing commas, a missing final
//! newline) stays as it was, and an independent parser has confirmed the result before anyone sees it.
//!
//! Start at [`Document::parse`] and [`Document::edit`].

#[allow(dead_code, reason = "the front of the documents is written next door")]
mod yaml;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::Pointer;

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
