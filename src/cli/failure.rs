use super::diagnostics;
use super::session::Session;
use crate::base::Diagnostic;
use crate::clients::catalog;
use crate::reconcile::transaction::{self, Problem};
use crate::reconcile::{ImportError, KeepError, RestoreError};
use crate::source;
use crate::store::LockError;
use crate::system::FileError;

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
            Self::Locked(message) => {
                (4, message, Some("wait for it to end, or look at it with `ps`".to_owned()))
            }
            Self::Stale(message) => {
                (5, message, Some("make a new plan with `mcpkeel plan --out FILE`".to_owned()))
            }
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

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let hint = match error.source.kind() {
            std::io::ErrorKind::StorageFull => "make room on the disk; every file is as it was",
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                "`mcpkeel doctor` looks at permissions; every file is as it was"
            }
            _ => return Self::failed(error.to_string()),
        };
        Self::Failed { message: error.to_string(), hint: Some(hint.to_owned()) }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::File(error) => error.into(),
            held => Self::Locked(held.to_string()),
        }
    }
}

impl From<Box<transaction::Failure>> for Failure {
    fn from(failure: Box<transaction::Failure>) -> Self {
        let subject = failure.path.as_ref().map_or(String::new(), |path| format!("{}: ", path.display()));
        let message = format!("{subject}{failure}");
        match failure.problem {
            Problem::Refused(problem) => {
                let hint = problem.hint.unwrap_or_else(|| "every file is as it was".to_owned());
                match problem.code {
                    "changed-meanwhile" => Self::Stale(message),
                    "sourced" => Self::Refused { message, hint },
                    _ => Self::Failed { message, hint: Some(hint) },
                }
            }
            Problem::File(error) => match Self::from(error) {
                Self::Failed { hint, .. } => Self::Failed { message, hint },
                other => other,
            },
            Problem::Contended { .. } | Problem::ClientLocked { .. } => Self::Failed {
                message,
                hint: Some(
                    "close the client, or try again when it is idle; every file is as it was".to_owned(),
                ),
            },
        }
    }
}

impl From<source::Problem> for Failure {
    fn from(problem: source::Problem) -> Self {
        let source::Problem { reason, message, hint } = problem;
        match reason {
            "InvalidManifest" => Self::Invalid(vec![Diagnostic::error("invalid-source", message).hint(hint)]),
            "Unverified" | "NotFastForward" | "LeadsOut" => Self::Refused { message, hint },
            _ => Self::Failed { message, hint: Some(hint) },
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::File(error) => error.into(),
            RestoreError::Run(failure) => failure.into(),
        }
    }
}

impl From<KeepError> for Failure {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Problem(problem) => Self::Failed { message: problem.message, hint: problem.hint },
            KeepError::File(error) => error.into(),
            KeepError::Run(failure) => failure.into(),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Manifest(problem) => Self::Invalid(vec![problem]),
            ImportError::UnknownClient(id) => {
                let hint = match crate::base::closest(&id, catalog::ids().iter().copied()) {
                    Some(meant) if meant != id => format!("did you mean `{meant}`?"),
                    _ => "`mcpkeel client list` shows the clients that have a file here".to_owned(),
                };
                Self::Usage { message: format!("no client `{id}` has a file on this system"), hint }
            }
        }
    }
}
