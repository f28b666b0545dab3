//! One line of a log: written, guessed, read back.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;

use crate::store::from_rfc3339;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// For the record.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// By its word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error].into_iter().find(|level| level.word() == word)
    }

    /// What a line sounds like: by the first word near its beginning that names a level, such as `[WARN]`,
    /// `level=error` or `ValueError:`.
    pub fn guess(line: &str) -> Self {
        let start = &line[..line.floor_char_boundary(160)];
        let words = start.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 3);
        words.filter_map(Self::of_word).next().unwrap_or(Self::Info)
    }

    fn of_word(word: &str) -> Option<Self> {
        let is_name_of_error = word.ends_with("Error") || word.ends_with("Exception");
        match word.to_ascii_lowercase().as_str() {
            "error" | "fatal" | "panic" | "panicked" | "critical" | "traceback" | "exception" => {
                Some(Self::Error)
            }
            "warn" | "warning" | "deprecated" => Some(Self::Warn),
            "info" | "notice" => Some(Self::Info),
            "debug" | "trace" => Some(Self::Debug),
            _ => is_name_of_error.then_some(Self::Error),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When, in UTC.
    pub at: String,
    /// How bad.
    pub level: Level,
    /// Who says so: `stderr`, `protocol` or `mcpkeel`.
    pub source: String,
    /// What.
    pub text: String,
}

impl Line {
    /// From its parts.
    pub fn new(at: &str, level: Level, source: &str, text: &str) -> Self {
        // One line, whoever wrote it, and nothing that moves a cursor.
        let text = text.replace(char::is_control, " ");
        Self { at: at.to_owned(), level, source: source.to_owned(), text }
    }

    /// As it stands in the file.
    pub fn print(&self, to: &mut String) {
        let Self { at, level, source, text } = self;
        to.extend([at.as_str(), " ", level.word(), " ", source, " ", text, "\n"]);
    }

    /// From the file; none when it was cut off.
    pub fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, ' ');
        let (at, level) = (parts.next()?, Level::named(parts.next()?)?);
        let (source, text) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Self { at: at.to_owned(), level, source, text })
    }

    /// When, if that can be read.
    pub fn time(&self) -> Option<SystemTime> {
        from_rfc3339(&self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_guessed_from_what_programs_write() {
        for (line, level) in [
            ("[WARN] low on disk", Level::Warn),
            ("2026-11-26 18:00:00,123 - server - ERROR - no such file", Level::Error),
            ("{\"level\":\"info\",\"msg\":\"error budget is fine\"}", Level::Info),
            ("time=1 level=debug msg=x", Level::Debug),
            ("ValueError: bad", Level::Error),
            ("thread 'main' panicked at src/main.rs", Level::Error),
            ("Traceback (most recent call last):", Level::Error),
            ("Secure MCP Filesystem Server running on stdio", Level::Info),
            ("npm warn deprecated x@1", Level::Warn),
            ("0 errors, terror", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(Level::guess(line), level, "{line}");
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        let line = Line::new("2026-11-26T18:00:00.123Z", Level::Warn, "stderr", "a\tb \u{1b}[31mred");
        let mut text = String::new();
        line.print(&mut text);
        assert_eq!(Line::read(text.trim_end()), Some(line));
        assert_eq!(Line::read("2026-11-26T18:00:00.123Z warn"), None);
    }
}
