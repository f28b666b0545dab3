use std::fmt;

use serde::{Deserialize, Serialize};

/// The identity of some bytes: BLAKE3, written as 64 hex digits.
///
/// Plans, journals and the ledger carry fingerprints instead of contents, so they never hold a
/// value that could be secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a file's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Of a short, guessable text (a field's value): keyed, so that a list of likely values cannot
    /// be tried against it without the machine's key.
    pub fn keyed(key: &[u8; 32], bytes: &[u8]) -> Self {
        Self(*blake3::keyed_hash(key, bytes).as_bytes())
    }

    /// The same, keyed: it still tells revisions apart on one machine, and says nothing elsewhere.
    pub fn sealed(&self, key: &[u8; 32]) -> Self {
        Self::keyed(key, &self.0)
    }

    /// The first 12 digits, enough to tell two revisions apart on a screen.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.short())
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|error| format!("not a fingerprint: {error}"))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::parsed::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_through_text() {
        let print = Fingerprint::of(b"abc");
        assert_eq!(print.to_string().parse(), Ok(print));
        assert_ne!(print, Fingerprint::keyed(&[0; 32], b"abc"));
        assert!("xyz".parse::<Fingerprint>().is_err());
    }
}
