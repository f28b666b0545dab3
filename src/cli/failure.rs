use super::diagnostics;
use super::session::Session;
use crate::base::Diagnostic;

/// Why a command could not do its work: the one place that knows sentences and exit codes.
#[derive(Debug)]
pub enum Failure {
    /// The manifest has errors. Exit code 3.
    Invalid(Vec<Diagnostic>),
    /// Another run holds the state. Exit code 4.
    Locked(String),
    /// The plan was made from other files. Exit code 5.
    Stale(String),
    /// A guard, a conflict or the user said no. Exit code 6.
    Refused { message: String, hint: String },
    /// Something went wrong; nothing was changed, or everything was put back. Exit code 1.
    Failed { message: String, hint: Option<String> },
    /// The arguments do not fit. Exit code 64.
    Usage { message: String, hint: String },
}

impl Failure {
    /// Any other failure, in a sentence.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: None }
    }

    /// Prints it and says the exit code.
    pub fn report(self, session: &Session<'_>) -> u8 {
        let (code, message, hint) = match self {
            Self::Invalid(problems) => {
                session.out.complain(diagnostics::text(&problems, session.out.colors_errors()).trim_end());
                return 3;
            }
            Self::Locked(message) => (4, message, Some("wait for it to end, or look at it with `ps`".to_owned())),
            Self::Stale(message) => (5, message, Some("make a new plan with `mcpkeel plan --out FILE`".to_owned())),
            Self::Refused { message, hint } => (6, message, Some(hint)),
            Self::Failed { message, hint } => (1, message, hint),
            Self::Usage { message, hint } => (64, message, Some(hint)),
        };
        session.out.complain(format!("error: {message}"));
        if let Some(hint) = hint {
            session.out.complain(format!("  hint: {hint}"));
        }
        code
    }
}

impl From<crate::system::IoFault> for Failure {
    fn from(fault: crate::system::IoFault) -> Self {
        Self::failed(fault.to_string())
    }
}
