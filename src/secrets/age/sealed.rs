use std::collections::BTreeMap;
use std::io::Read as _;

use ::age::armor::ArmoredReader;

use super::super::problem;
use crate::base::Diagnostic;

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const HEADER: &[u8] = b"age-encryption.org/";
const V1: &[u8] = b"age-encryption.org/v1\n";

/// An encrypted file, without its armor.
pub struct Sealed {
    pub(super) bytes: Vec<u8>,
    /// For how many of which kind it is: `X25519`, `ssh-ed25519`, `ssh-rsa`, `scrypt`.
    kinds: BTreeMap<String, usize>,
}

impl Sealed {
    /// Takes the armor off and looks at the header; `what` is the file's name in a sentence.
    ///
    /// # Errors
    /// When it is no age file, or damaged.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Box<Diagnostic>> {
        let bytes = bytes.trim_ascii_start();
        let damaged = |why: &str| {
            let message = format!("{what} is damaged: {why}");
            problem("damaged-age", message, "take it from an earlier commit, or set the secret again")
        };
        let bytes = if bytes.starts_with(ARMOR) {
            let mut plain = Vec::with_capacity(bytes.len());
            ArmoredReader::new(bytes)
                .read_to_end(&mut plain)
                .map_err(|_| damaged("its lines are not what age writes"))?;
            plain
        } else {
            bytes.to_vec()
        };
        if !bytes.starts_with(HEADER) {
            return Err(problem("not-age", format!("{what} is no age file"), "encrypt it with `age`"));
        }
        if !bytes.starts_with(V1) {
            let message = format!("{what} has a version of the format that is not known here");
            return Err(problem("damaged-age", message, "is there a newer mcpkeel?"));
        }
        let kinds = kinds(&bytes).ok_or_else(|| damaged("its header does not end"))?;
        Ok(Self { bytes, kinds })
    }

    /// Whether it opens with a passphrase.
    pub fn wants_passphrase(&self) -> bool {
        self.kinds.contains_key("scrypt")
    }

    /// Whether it is for an SSH key.
    pub fn is_for_ssh(&self) -> bool {
        self.kinds.keys().any(|kind| kind.starts_with("ssh-"))
    }

    /// For whom it is, as far as it says: `2 X25519, 1 ssh-rsa`.
    pub fn readers(&self) -> String {
        let parts: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        parts.join(", ")
    }
}

/// None when the header is cut off.
fn kinds(bytes: &[u8]) -> Option<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    for line in bytes[V1.len()..].split(|byte| *byte == b'\n') {
        if line.starts_with(b"---") {
            return Some(kinds);
        }
        let Some(stanza) = line.strip_prefix(b"-> ") else { continue };
        let kind = String::from_utf8_lossy(stanza.split(|byte| *byte == b' ').next().unwrap_or_default());
        // Programs add stanzas that mean nothing, so that readers learn to pass over what they do not know.
        if !kind.ends_with("-grease") {
            *kinds.entry(kind.into_owned()).or_default() += 1;
        }
    }
    None
}
