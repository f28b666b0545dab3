//! The parser's complaints in a person's words.
//!
//! Invariant: no sentence quotes a value of the file.

use std::ops::Range;

use granit_parser::{ErrorKind, ScanError};

use super::tree::{MAX_DEPTH, Problem};

/// A parser's error as a problem at its place. Spans are in bytes of `text`.
pub fn problem(text: &str, error: &ScanError) -> Problem {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let span = at..text[at..].chars().next().map_or(at, |c| at + if c == '\n' { 0 } else { c.len_utf8() });
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(span);
    }
    if let Some(tab) = tab(text, error, at) {
        return Problem::new("tab", "A tab is used for indentation; YAML takes spaces only.", tab)
            .hint("replace the tab with two spaces");
    }
    let (message, hint) = words(error.kind());
    let problem = Problem::new("syntax", message, span);
    match hint {
        "" => problem,
        hint => problem.hint(hint),
    }
}

/// What is said about too much nesting.
pub fn too_deep(span: Range<usize>) -> Problem {
    Problem::new("nesting", format!("Lists and maps are nested more than {MAX_DEPTH} deep."), span)
}

/// The tab in the indentation of the line at `at`, if that is what the parser stumbled over.
fn tab(text: &str, error: &ScanError, at: usize) -> Option<Range<usize>> {
    use ErrorKind as E;
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let tab = line[..indent].find('\t').map(|tab| start + tab..start + tab + 1);
    match error.kind() {
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabAtBlockScalarStart => {
            Some(tab.unwrap_or(at..at + usize::from(at < text.len() && text.is_char_boundary(at + 1))))
        }
        _ => tab,
    }
}

fn words(kind: &ErrorKind) -> (String, &'static str) {
    use ErrorKind as E;
    let (message, hint) = match kind {
        E::UnexpectedEofFlowSequence | E::ExpectedFlowSequenceSeparator => {
            ("A list that starts with `[` lacks a `,` or its `]`.", "add the missing `,` or `]`")
        }
        E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping
        | E::ExpectedFlowMappingSeparator => {
            ("A map that starts with `{` lacks a `,` or its `}`.", "add the missing `,` or `}`")
        }
        E::UnclosedFlowCollection { open } => {
            return (format!("This `{open}` is never closed."), "add the closing bracket");
        }
        E::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("`{open}` is closed by `{close}`."), "use the bracket that belongs to it");
        }
        E::MisplacedFlowCollectionEnd => ("A closing bracket without an opening one.", "remove it"),
        E::ExpectedBlockMappingKey | E::InvalidIndentation => {
            ("The indentation of this line fits no line above it.", "align it with the line it belongs to")
        }
        E::ExpectedBlockSequenceEntry => (
            "Here an item of the list above was expected: a line that starts with `- `.",
            "align the line with the other items, or with the key of the list",
        ),
        E::SimpleKeyExpected | E::InvalidSimpleKey => {
            ("This line is no `key: value`.", "write a `:` and a space after the key")
        }
        E::MappingValueNotAllowed | E::MappingKeyNotAllowed | E::InvalidColonPlacement => (
            "A `:` stands where no key can be.",
            "put a text that contains `: ` in quotes, or start a new line for the key",
        ),
        E::BlockSequenceEntryNotAllowed | E::BlockEntryInFlowCollection => {
            ("A `- ` stands where no list item can be.", "start a new line for the item, or use `[a, b]`")
        }
        E::InvalidMappingValueWhitespace | E::InvalidBlockEntryWhitespace | E::ExpectedWhitespace => {
            ("Here a space is missing.", "")
        }
        E::UnclosedQuotedScalar => ("A quoted text is never closed.", "add the closing quote"),
        E::DocumentIndicatorInQuotedScalar => ("A quoted text is never closed.", "add the closing quote"),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            ("Something follows the closing quote.", "put the whole text inside the quotes")
        }
        E::UnknownQuotedScalarEscape => (
            "`\\` is followed by a character it has no meaning for in double quotes.",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        E::InvalidQuotedScalarHexEscape
        | E::InvalidLowSurrogateHexEscape
        | E::InvalidLowSurrogate
        | E::MissingLowSurrogate
        | E::UnpairedLowSurrogate
        | E::InvalidUnicodeEscape => ("The escape names no character.", ""),
        E::InvalidQuotedScalarIndent | E::InvalidFlowScalarIndent | E::InvalidBlockScalarIndent => (
            "A text that runs over several lines is indented too little here.",
            "indent it further than its key",
        ),
        E::CommentNotSeparated => ("A `#` starts a comment only after a space.", "put a space before it"),
        E::CommentInterceptedScalar => {
            ("A comment stands in the middle of a text.", "put the text in quotes, or move the comment")
        }
        E::UnexpectedCharacter { character } => {
            return (
                format!("No value can start with `{}`.", character.escape_default()),
                "put the text in quotes",
            );
        }
        E::PlainScalarStartsWithDashFlowIndicator => {
            ("A text cannot start with `-` and a bracket or comma.", "put the text in quotes")
        }
        E::BomInsideDocument => ("A byte-order mark stands inside the file.", "remove it"),
        E::TabInPlainScalar => ("A tab stands where none can be.", "use a space"),
        E::MissingAnchorOrAliasName => {
            ("`&` and `*` introduce anchors and aliases; here the name is missing.", "put a text in quotes")
        }
        E::MultipleDocumentsUnsupported | E::ExpectedDocumentStart | E::InvalidDocumentEnd => {
            ("The document ends here, yet more follows.", "indent the rest, or remove it")
        }
        E::UnsupportedYamlMajorVersion => {
            ("This version of YAML is not supported.", "remove the `%YAML` line")
        }
        other => {
            let text = other.to_string();
            return (format!("This is not YAML: {}.", super::tree::shown(&text)), "");
        }
    };
    (message.to_owned(), hint)
}
