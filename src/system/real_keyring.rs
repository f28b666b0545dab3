//! The keyring of this system: Secret Service, Keychain, Credential Manager.

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error};

use super::{Keyring, KeyringError};
use crate::base::Secret;

/// Under which all our entries stand.
const SERVICE: &str = "mcpkeel";

struct Store(Arc<CredentialStore>);

pub(super) fn open() -> Result<Box<dyn Keyring>, KeyringError> {
    let store = usual().map_err(|error| match failed(error) {
        KeyringError::Failed(why) => KeyringError::Unavailable(why),
        other => other,
    })?;
    Ok(Box::new(Store(store)))
}

#[cfg(target_os = "linux")]
fn usual() -> Result<Arc<CredentialStore>, Error> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn usual() -> Result<Arc<CredentialStore>, Error> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn usual() -> Result<Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn usual() -> Result<Arc<CredentialStore>, Error> {
    Err(Error::NotSupportedByStore("this system has no keyring that is known here".to_owned()))
}

impl Store {
    fn entry(&self, name: &str) -> Result<Entry, KeyringError> {
        self.0.build(SERVICE, name, None::<&HashMap<&str, &str>>).map_err(failed)
    }
}

impl Keyring for Store {
    fn get(&self, name: &str) -> Result<Option<Secret<String>>, KeyringError> {
        match self.entry(name)?.get_password() {
            Ok(value) => Ok(Some(Secret::new(value))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn set(&self, name: &str, value: &Secret<String>) -> Result<(), KeyringError> {
        self.entry(name)?.set_password(value.expose()).map_err(failed)
    }

    fn remove(&self, name: &str) -> Result<bool, KeyringError> {
        match self.entry(name)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

/// In words of our own: the library's messages may hold what was stored, and say little.
fn failed(error: Error) -> KeyringError {
    match error {
        Error::NoStorageAccess(why) => {
            locked(&why.to_string()).unwrap_or_else(|| KeyringError::Locked(in_short(&why.to_string())))
        }
        Error::PlatformFailure(why) => {
            locked(&why.to_string()).unwrap_or_else(|| KeyringError::Failed(in_short(&why.to_string())))
        }
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            KeyringError::Failed("what it holds is no text".to_owned())
        }
        Error::TooLong(what, most) => KeyringError::Failed(format!("{what} may have {most} characters")),
        Error::Ambiguous(_) => KeyringError::Failed("it holds several entries of this name".to_owned()),
        Error::NotSupportedByStore(why) => KeyringError::Failed(why),
        _ => KeyringError::Failed("it refused".to_owned()),
    }
}

/// What the Secret Service library says when a keyring is locked, which nobody would understand.
fn locked(said: &str) -> Option<KeyringError> {
    let why = [
        ("result not returned", "or has no default collection yet"),
        ("prompt dismissed", "and its question for the password was dismissed, or could not be shown"),
        ("object locked", "and was not unlocked"),
        ("IsLocked", "and was not unlocked"),
    ];
    let (_, why) = why.into_iter().find(|(sign, _)| said.contains(sign))?;
    Some(KeyringError::Locked(why.to_owned()))
}

/// Without the names of the libraries that pass a message on.
fn in_short(said: &str) -> String {
    let said = said.trim_start_matches("Platform failure: ").trim_start_matches("zbus error: ");
    said.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cryptic_messages_become_sentences() {
        for (said, meant) in [
            (
                "SS error: result not returned from SS API",
                "the keyring is locked (or has no default collection yet)",
            ),
            (
                "SS error: prompt dismissed",
                "the keyring is locked (and its question for the password was dismissed, or could not be shown)",
            ),
            ("SS Error: object locked", "the keyring is locked (and was not unlocked)"),
        ] {
            assert_eq!(failed(Error::NoStorageAccess(said.into())).to_string(), meant);
            assert_eq!(failed(Error::PlatformFailure(said.into())).to_string(), meant);
        }
        let other = failed(Error::PlatformFailure("zbus error: no such thing".into()));
        assert_eq!(other.to_string(), "the keyring failed: no such thing");
    }

    #[test]
    fn what_was_stored_is_not_repeated() {
        let error = failed(Error::BadEncoding(b"hush-hush".to_vec()));
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    }
}
