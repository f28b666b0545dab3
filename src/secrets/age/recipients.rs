use std::io::Write as _;

use ::age::armor::{ArmoredWriter, Format};

use super::super::problem;
use crate::base::{Diagnostic, Secret};

/// Everybody who may read what is encrypted: at least one.
pub struct Recipients(Vec<Box<dyn ::age::Recipient>>);

impl Recipients {
    /// From public keys as `settings.age.recipients` has them.
    ///
    /// # Errors
    /// When there is none, or one is no key that can be used.
    pub fn parse(keys: &[String]) -> Result<Self, Box<Diagnostic>> {
        if keys.is_empty() {
            return Err(problem(
                "no-recipient",
                "there is nobody to encrypt for",
                "list public keys in the manifest: `settings: { age: { recipients: [age1..] } }`; \
                 `age-keygen -y FILE` prints yours",
            ));
        }
        keys.iter().map(|key| recipient(key.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn recipient(key: &str) -> Result<Box<dyn ::age::Recipient>, Box<Diagnostic>> {
    let refused = |why: &str| {
        // A public key may be shown; what was put here by mistake may not.
        let start: String = key.chars().take(12).collect();
        let message = format!("the recipient `{start}..` {why}");
        problem("bad-recipient", message, "copy it again from `age-keygen -y FILE` or from the .pub file")
    };
    if key.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        let message = "a recipient is a private key; the public one is needed";
        let hint = "write the key that starts with `age1`, and replace the private one everywhere";
        return Err(problem("literal-secret", message, hint));
    }
    if key.starts_with("ssh-") {
        return match key.parse::<::age::ssh::Recipient>() {
            Ok(recipient) => Ok(Box::new(recipient)),
            Err(::age::ssh::ParseRecipientKeyError::RsaModulusTooSmall) => {
                Err(refused("is an RSA key of less than 2048 bits"))
            }
            Err(_) => Err(refused("is no SSH key that age can use (ssh-ed25519 or ssh-rsa)")),
        };
    }
    match key.parse::<::age::x25519::Recipient>() {
        Ok(recipient) => Ok(Box::new(recipient)),
        // `age1NAME1..` belongs to a plugin.
        Err(_) if key.starts_with("age1") && key[4..].contains('1') => {
            Err(refused("needs a plugin of age, which is not supported here"))
        }
        Err(_) => Err(refused("is no public key, or has a slip in it")),
    }
}

/// The content of an age file, armored, that holds this.
///
/// # Errors
/// When the library cannot do it.
pub fn seal(recipients: &Recipients, plain: &Secret<Vec<u8>>) -> Result<Vec<u8>, Box<Diagnostic>> {
    let failed = |why: String| problem("encrypt", format!("it cannot be encrypted: {why}"), "try again");
    let all = recipients.0.iter().map(AsRef::as_ref);
    let encryptor = ::age::Encryptor::with_recipients(all).map_err(|error| failed(error.to_string()))?;
    let write = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plain.expose())?;
        writer.finish()?.finish()
    };
    write().map_err(|error| failed(error.to_string()))
}
