use super::problem;
use crate::base::{Diagnostic, Secret};
use crate::system::{Keyring, KeyringError};

/// The value of an entry.
pub(super) fn read(
    keyring: &Result<Box<dyn Keyring>, KeyringError>,
    name: &str,
    entry: &str,
) -> Result<Secret<String>, Box<Diagnostic>> {
    let keyring = keyring.as_ref().map_err(trouble)?;
    let value = keyring.get(entry).map_err(|error| trouble(&error))?;
    value.ok_or_else(|| {
        problem(
            "no-entry",
            format!("the keyring has no entry `{entry}` of the service mcpkeel"),
            format!("`mcpkeel secret set {name}` stores one"),
        )
    })
}

/// Why the keyring did not do it, and what to do about that.
pub fn trouble(error: &KeyringError) -> Box<Diagnostic> {
    let hint = match error {
        KeyringError::Unavailable(_) => {
            "a machine without a desktop session has no keyring; keep the secret in an age file (`age:`), a \
             variable (`env:`), a program (`command:`) or a file (`file:`) instead"
        }
        KeyringError::Locked(_) => {
            "unlock it, as signing in to the desktop does, or keep the secret in an age file (`age:`), a \
             variable (`env:`), a program (`command:`) or a file (`file:`) instead"
        }
        KeyringError::Failed(_) => "look at the entry with the system's own program for passwords",
    };
    problem("keyring", error.to_string(), hint)
}
