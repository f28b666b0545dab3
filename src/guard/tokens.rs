use crate::base::{Fingerprint, Secret};

/// What every token begins with, so that a scanner knows it wherever it turns up.
const BEGINNING: &str = "mck_";

/// What is kept of a token: keyed with the machine's key, so that the list is of no use elsewhere.
///
/// Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy)]
pub struct TokenHash(blake3::Hash);

/// A new token from 32 random bytes.
pub fn make_token(random: &[u8; 32]) -> Secret<String> {
    let digits = blake3::Hash::from_bytes(*random).to_hex();
    Secret::new(format!("{BEGINNING}{digits}"))
}

/// What is kept of a token.
pub fn token_hash(key: &[u8; 32], token: &str) -> TokenHash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    // So that no fingerprint of anything else can be taken for one.
    hasher.update(b"mcpkeel token\0").update(token.as_bytes());
    TokenHash(hasher.finalize())
}

impl TokenHash {
    /// As it is stored.
    pub fn bytes(&self) -> [u8; 32] {
        *self.0.as_bytes()
    }

    /// As it was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(bytes))
    }

    /// Its first eight bytes, to find it by. Tells nothing about a token without the key.
    pub fn short(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.0.as_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        // blake3 compares in constant time.
        self.0 == other.0
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenHash({})", Fingerprint::of(self.0.as_bytes()).short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask;

    #[test]
    fn a_token_is_known_by_its_hash_with_the_same_key_only() {
        let token = make_token(&[7; 32]);
        assert_eq!(token.expose().len(), 4 + 64);
        let hash = token_hash(&[1; 32], token.expose());
        assert_eq!(hash, TokenHash::from_bytes(token_hash(&[1; 32], token.expose()).bytes()));
        assert_ne!(hash, token_hash(&[2; 32], token.expose()));
        assert_ne!(hash, token_hash(&[1; 32], "mck_"));
        assert!(!format!("{hash:?}").contains(&blake3::Hash::from_bytes(hash.bytes()).to_hex()[..12]));
    }

    #[test]
    fn a_token_is_hidden_wherever_a_text_is_shown() {
        let token = make_token(&[0xa7; 32]);
        let shown = mask::hide_tokens(&format!("curl -H 'Authorization: Bearer {}'", token.expose()));
        assert!(!shown.contains("a7a7"), "{shown}");
    }
}
