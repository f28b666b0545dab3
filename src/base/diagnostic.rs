use serde::Serialize;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Note,
    /// Probably not what was meant; work goes on.
    Warning,
    /// Must be mended before work can go on.
    Error,
}

/// Where in a text a problem sits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as the user would name it.
    pub file: String,
    /// 1-based; 0 when only the file is known.
    pub line: u32,
    /// 1-based, in characters; 0 when only the file is known.
    pub column: u32,
    /// Length of the offending text in characters, on its first line; 0 when unknown.
    pub length: u32,
    /// The first offending line itself, for the excerpt (secrets already masked by the maker).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0, length: 0, excerpt: String::new() }
    }
}

/// A problem as a value: what happened, where, what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// A stable name for machines (`unknown-key`, `duplicate-key`, ..), also the SARIF rule.
    pub code: &'static str,
    /// One sentence, without a place in it.
    pub message: String,
    /// Where; none for problems that have no file (a flag, the environment).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Further places that explain it ("first defined here").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<(String, Place)>,
    /// What to do next: a command to run or a line to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: None,
            related: Vec::new(),
            hint: None,
        }
    }

    /// A warning without a place.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// A note without a place.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, message) }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same, with a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with another place that explains it.
    #[must_use]
    pub fn related(mut self, label: impl Into<String>, place: Place) -> Self {
        self.related.push((label.into(), place));
        self
    }

    /// Whether work must stop.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
