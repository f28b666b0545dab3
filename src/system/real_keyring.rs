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
    Ok(Box::new(Store(usual().map_err(|error| KeyringError::Unavailable(error.to_string()))?)))
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

/// In words of our own: the library's messages may hold what was stored.
fn failed(error: Error) -> KeyringError {
    match error {
        Error::NoStorageAccess(why) => KeyringError::Locked(why.to_string()),
        Error::PlatformFailure(why) => KeyringError::Failed(why.to_string()),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            KeyringError::Failed("what it holds is no text".to_owned())
        }
        Error::TooLong(what, most) => KeyringError::Failed(format!("{what} may have {most} characters")),
        Error::Ambiguous(_) => KeyringError::Failed("it holds several entries of this name".to_owned()),
        _ => KeyringError::Failed("it refused".to_owned()),
    }
}
