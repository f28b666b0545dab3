use std::cell::OnceCell;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use ::age::secrecy::SecretString;
use ::age::{DecryptError, Decryptor};
use zeroize::Zeroize as _;

use super::super::{problem, source};
use super::sealed::Sealed;
use crate::base::{Diagnostic, Secret};
use crate::desired::Unit;
use crate::manifest::model::Age;
use crate::system::System;

/// The variable that names the file with the identity, or holds the identity itself.
pub const IDENTITY: &str = "MCPKEEL_AGE_IDENTITY";
/// The variable with the passphrase of whatever wants one.
pub const PASSPHRASE: &str = "MCPKEEL_AGE_PASSPHRASE";

/// Work that a passphrase may take: 2^20 is about four seconds and 1 GiB. `age` itself uses 2^18.
const MOST_WORK: u8 = 20;

/// The keys that open age files, read on first use; a passphrase is asked for once.
pub struct Keys<'a> {
    system: &'a dyn System,
    units: &'a [Unit],
    keys: OnceCell<Result<Vec<Key>, Box<Diagnostic>>>,
}

enum Key {
    Open(Box<dyn ::age::Identity>),
    /// An SSH key with a passphrase, which is asked for only where it may help.
    Locked {
        key: Box<::age::ssh::EncryptedKey>,
        what: String,
        opened: OnceCell<Result<::age::ssh::Identity, Box<Diagnostic>>>,
    },
}

impl<'a> Keys<'a> {
    pub(in crate::secrets) fn new(system: &'a dyn System, units: &'a [Unit]) -> Self {
        Self { system, units, keys: OnceCell::new() }
    }

    /// What an age file holds; `what` is its name in a sentence.
    ///
    /// # Errors
    /// When no key of ours opens it, or it is damaged.
    pub fn open(&self, sealed: &Sealed, what: &str) -> Result<Secret<Vec<u8>>, Box<Diagnostic>> {
        if sealed.wants_passphrase() {
            return self.open_with_passphrase(sealed, what);
        }
        let keys = self.keys.get_or_init(|| self.read()).as_ref().map_err(Clone::clone)?;
        for key in keys {
            let opened = match key {
                Key::Open(identity) => decrypt(sealed, identity.as_ref(), what)?,
                Key::Locked { key, what: whose, opened } if sealed.is_for_ssh() => {
                    let identity =
                        opened.get_or_init(|| self.unlock(key, whose)).as_ref().map_err(Clone::clone)?;
                    decrypt(sealed, identity, what)?
                }
                Key::Locked { .. } => None,
            };
            if let Some(plain) = opened {
                return Ok(plain);
            }
        }
        let message = match keys.is_empty() {
            true => format!("there is no identity to open {what} with"),
            false => format!("{what} is for others ({}): no identity of yours opens it", sealed.readers()),
        };
        let hint = match keys.is_empty() {
            true => format!(
                "name the file with yours in the manifest, `settings: {{ age: {{ identity: FILE }} }}`, or set \
                 {IDENTITY}; `age-keygen -o FILE` makes one"
            ),
            false => {
                "ask somebody who can read it to add your public key to `settings.age.recipients` and to \
                      run `mcpkeel secret rekey`"
                    .to_owned()
            }
        };
        Err(problem("no-identity", message, hint))
    }

    fn open_with_passphrase(&self, sealed: &Sealed, what: &str) -> Result<Secret<Vec<u8>>, Box<Diagnostic>> {
        let (passphrase, whence) = self.passphrase(what)?;
        let mut identity = ::age::scrypt::Identity::new(passphrase);
        identity.set_max_work_factor(MOST_WORK);
        // Where the passphrase is wrong nothing opens.
        match decrypt(sealed, &identity, what) {
            Ok(Some(plain)) => Ok(plain),
            Err(trouble) if trouble.code == "too-much-work" => Err(trouble),
            _ => Err(wrong_passphrase(what, whence)),
        }
    }

    fn unlock(
        &self,
        key: &::age::ssh::EncryptedKey,
        what: &str,
    ) -> Result<::age::ssh::Identity, Box<Diagnostic>> {
        let (passphrase, whence) = self.passphrase(what)?;
        key.decrypt(passphrase).map(Into::into).map_err(|_| wrong_passphrase(what, whence))
    }

    /// From the variable, or asked for; with where it is from.
    fn passphrase(&self, what: &str) -> Result<(SecretString, &'static str), Box<Diagnostic>> {
        if let Some(passphrase) = self.system.env(PASSPHRASE) {
            return Ok((passphrase.into(), PASSPHRASE));
        }
        let asked = self.system.ask_secret(&format!("Passphrase of {what}: "));
        let hint = format!("set {PASSPHRASE}");
        match asked {
            Ok(Some(answer)) => Ok((answer.expose().clone().into(), "what you typed")),
            Ok(None) => {
                let message = format!("{what} wants a passphrase, and there is no terminal to ask on");
                Err(problem("no-passphrase", message, hint))
            }
            Err(error) => Err(problem(
                "no-passphrase",
                format!("the passphrase of {what} cannot be read: {error}"),
                hint,
            )),
        }
    }

    /// Those that the variable, else the manifest names; and, where a recipient is an SSH key, the
    /// user's own SSH keys.
    fn read(&self) -> Result<Vec<Key>, Box<Diagnostic>> {
        let settings = self.settings();
        let named = settings.and_then(|age| age.identity.as_deref());
        let mut keys = Vec::new();
        match (self.system.env(IDENTITY), named) {
            (Some(text), _) if is_identity(&text) => {
                let text = Secret::new(text.into_bytes());
                self.parse(&text, &format!("the identity in {IDENTITY}"), &mut keys)?;
            }
            (Some(path), _) => {
                let path = match path.strip_prefix("~/") {
                    Some(rest) => self.system.home().unwrap_or_default().join(rest),
                    None => self.system.cwd().unwrap_or_default().join(path),
                };
                self.read_file(&path, true, &mut keys)?;
            }
            (None, Some(path)) => {
                let path = source::absolute(self.system, self.units, 0, path)?;
                self.read_file(&path, true, &mut keys)?;
            }
            (None, None) => {}
        }
        if settings.is_some_and(|age| age.recipients.iter().any(|key| key.trim().starts_with("ssh-"))) {
            let home = self.system.home().unwrap_or_default();
            for name in ["id_ed25519", "id_rsa"] {
                self.read_file(&home.join(".ssh").join(name), false, &mut keys)?;
            }
        }
        Ok(keys)
    }

    fn settings(&self) -> Option<&'a Age> {
        self.units.first()?.manifest.settings.age.as_ref()
    }

    fn read_file(&self, path: &Path, must_be: bool, keys: &mut Vec<Key>) -> Result<(), Box<Diagnostic>> {
        match self.system.read(path).map(Secret::new) {
            Ok(bytes) => self.parse(&bytes, &format!("the identity {}", path.display()), keys),
            Err(error) if error.kind() == ErrorKind::NotFound && !must_be => Ok(()),
            Err(error) => Err(no_identity_file(path, &error)),
        }
    }

    /// An identity file, perhaps with a passphrase, or an SSH key.
    fn parse(&self, bytes: &Secret<Vec<u8>>, what: &str, keys: &mut Vec<Key>) -> Result<(), Box<Diagnostic>> {
        let start = bytes.expose().trim_ascii_start();
        if start.starts_with(b"-----BEGIN AGE ") || start.starts_with(b"age-encryption.org/") {
            let sealed = Sealed::parse(bytes.expose(), what)?;
            if !sealed.wants_passphrase() {
                let hint = "an identity file is protected with a passphrase: `age -p`";
                return Err(problem("bad-identity", format!("{what} is encrypted for a key"), hint));
            }
            let plain = self.open_with_passphrase(&sealed, what)?;
            return native(&plain, what, keys);
        }
        if start.starts_with(b"-----BEGIN") {
            return ssh(start, what, keys);
        }
        native(bytes, what, keys)
    }
}

/// Whether the variable holds an identity, and not the name of a file with one.
fn is_identity(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('#') || text.starts_with("-----BEGIN") || text.to_ascii_uppercase().starts_with("AGE-")
}

fn native(bytes: &Secret<Vec<u8>>, what: &str, keys: &mut Vec<Key>) -> Result<(), Box<Diagnostic>> {
    let bad = |message: String, hint: &str| problem("bad-identity", message, hint);
    let Ok(text) = std::str::from_utf8(bytes.expose()) else {
        return Err(bad(format!("{what} is no identity"), "`age-keygen -o FILE` makes one"));
    };
    let before = keys.len();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.parse::<::age::x25519::Identity>() {
            Ok(identity) => keys.push(Key::Open(Box::new(identity))),
            Err(_) if line.starts_with("AGE-PLUGIN-") => {
                let message = format!("{what} needs a plugin of age, which is not supported here");
                return Err(bad(message, "use an identity of `age-keygen`, or an SSH key"));
            }
            Err(_) if line.starts_with("AGE-SECRET-KEY-PQ-") => {
                let message = format!("{what} is a post-quantum key, which is not supported here yet");
                return Err(bad(message, "use an identity of `age-keygen` without `-pq`, or an SSH key"));
            }
            // Never the line itself: it may be a key with a slip in it.
            Err(_) => {
                let message = format!("line {} of {what} is no identity", number + 1);
                return Err(bad(message, "`age-keygen -o FILE` makes one"));
            }
        }
    }
    if keys.len() == before {
        return Err(bad(format!("{what} holds no identity"), "`age-keygen -o FILE` makes one"));
    }
    Ok(())
}

fn ssh(bytes: &[u8], what: &str, keys: &mut Vec<Key>) -> Result<(), Box<Diagnostic>> {
    use ::age::ssh::{Identity, UnsupportedKey};
    let bad = |why: &str, hint: &str| Err(problem("bad-identity", format!("{what} {why}"), hint));
    match Identity::from_buffer(bytes, None) {
        Ok(Identity::Encrypted(key)) => {
            keys.push(Key::Locked { key: Box::new(key), what: what.to_owned(), opened: OnceCell::new() });
            Ok(())
        }
        Ok(Identity::Unsupported(UnsupportedKey::EncryptedPem)) => {
            bad("is encrypted in a way that is unsafe", "`ssh-keygen -o -p -f FILE` encrypts it anew")
        }
        Ok(Identity::Unsupported(UnsupportedKey::Hardware(_))) => {
            bad("is a key on a security device", "age cannot use those; take another key")
        }
        Ok(Identity::Unsupported(_)) => {
            bad("is no kind of key that age can use", "take an ssh-ed25519 or ssh-rsa key")
        }
        Ok(identity) => {
            keys.push(Key::Open(Box::new(identity)));
            Ok(())
        }
        Err(_) => bad("is no private SSH key", "name the file without .pub"),
    }
}

/// None when it is not for this identity.
fn decrypt(
    sealed: &Sealed,
    identity: &dyn ::age::Identity,
    what: &str,
) -> Result<Option<Secret<Vec<u8>>>, Box<Diagnostic>> {
    let damaged = || {
        let hint = "take it from an earlier commit, or set the secret again";
        problem("damaged-age", format!("{what} is damaged"), hint)
    };
    let decryptor = Decryptor::new_buffered(&sealed.bytes[..]).map_err(|_| damaged())?;
    let mut reader = match decryptor.decrypt(std::iter::once(identity)) {
        Ok(reader) => reader,
        Err(DecryptError::NoMatchingKeys) => return Ok(None),
        Err(DecryptError::ExcessiveWork { required, .. }) => {
            let message = format!("the passphrase of {what} asks for too much work (2^{required})");
            return Err(problem("too-much-work", message, "encrypt it anew with `age -p`"));
        }
        Err(_) => return Err(damaged()),
    };
    // Of the right size at once, so that no copy is left behind: the plain text is the shorter one.
    let mut plain = Vec::with_capacity(sealed.bytes.len());
    if reader.read_to_end(&mut plain).is_err() {
        plain.zeroize();
        return Err(damaged());
    }
    Ok(Some(Secret::new(plain)))
}

fn wrong_passphrase(what: &str, whence: &str) -> Box<Diagnostic> {
    let message = format!("{what} does not open with that passphrase ({whence})");
    problem("wrong-passphrase", message, "is it the right one, and the right file?")
}

fn no_identity_file(path: &Path, error: &std::io::Error) -> Box<Diagnostic> {
    let shown = path.display().to_string();
    let message = match error.kind() {
        ErrorKind::NotFound => format!("the identity {shown} is not there"),
        _ => format!("the identity {shown} cannot be read: {error}"),
    };
    let hint = format!("`age-keygen -o FILE` makes one; {IDENTITY} names another than the manifest does");
    problem("no-identity", message, hint)
}
