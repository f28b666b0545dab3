//! What a secret looks like, and how it is hidden before a person sees a text.
//!
//! Invariant: hiding errs on the side of too much; deciding that a value *is* a secret (`suspect`)
//! errs on the side of too little.

use std::ops::Range;

use serde_json::Value;

use super::suspect;

/// What stands in place of a hidden value.
pub const HIDDEN: &str = "••••••";

/// Beginnings of tokens that are never anything else. Sources: the issuers' public token formats.
const PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "mck_",
    "glpat-",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "npm_",
    "pypi-",
    "lin_api_",
    "secret_",
    "ntn_",
    "hf_",
    "dop_v1_",
    "SG.",
    "eyJ",
    "age-secret-key-1",
    "AGE-SECRET-KEY-1",
    "figd_",
    "tvly-",
    "gsk_",
    "r8_",
    "sntrys_",
    "dckr_pat_",
    "shpat_",
    "pat_",
    "ATATT3",
    "BSA",
    "fc-",
    "xai-",
    "key-",
    "whsec_",
    "atlasv1.",
    "hvs.",
];

/// Words in a key (or flag, or header name) whose value is a secret.
const NAMES: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "private_key",
    "privatekey",
    "credential",
    "authorization",
    "auth_key",
    "bearer",
    "cookie",
    "client_secret",
    "pat",
];

/// Whether a member named `key` holds a secret by its name alone.
pub fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    NAMES.iter().any(|name| match *name {
        // Short words must stand alone, or every `path` would be a secret.
        "pat" => key.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "pat"),
        name => key.contains(name),
    }) || key.split(['_', '-', '.']).any(|word| word == "key")
}

/// Whether `text` is a reference (`${env:X}`, `$X`, `{env:X}`, `{{X}}`, `%X%`, `op://..`) and no value.
pub fn is_reference(text: &str) -> bool {
    let text = text.trim();
    let text = text
        .strip_prefix("Bearer ")
        .or_else(|| text.strip_prefix("Basic "))
        .or_else(|| text.strip_prefix("token "))
        .unwrap_or(text);
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    ["${", "{env:", "{file:", "{{"].iter().any(|start| text.starts_with(start)) && text.ends_with('}')
        || text.strip_prefix('%').and_then(|text| text.strip_suffix('%')).is_some_and(is_name)
        || text.starts_with("op://")
        || text.strip_prefix('$').is_some_and(is_name)
}

/// Whether the value of a member named `key` looks like a literal secret, as a whole.
pub fn looks_secret(key: &str, text: &str) -> bool {
    suspect::judge(key, text).is_some()
}

/// The value without an authorization scheme in front (`Bearer abc` is `abc`).
pub fn strip_scheme(text: &str) -> &str {
    let text = text.trim();
    for scheme in ["Bearer ", "bearer ", "Basic ", "basic ", "token ", "Token "] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return rest.trim();
        }
    }
    text
}

/// The parts of a value that look like secrets, each with the name it goes by.
pub fn secret_parts(key: &str, text: &str) -> Vec<(String, Range<usize>)> {
    suspect::suspects(key, text).into_iter().map(|suspect| (suspect.name, suspect.range)).collect()
}

fn has_token_prefix(text: &str) -> bool {
    PREFIXES
        .iter()
        .any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.len() >= 12 && is_dense(rest)))
}

/// No spaces, and not all of one kind of character: a key, not a sentence.
fn is_dense(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic())
        && text.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
}

fn is_path(text: &str) -> bool {
    text.starts_with(['/', '~', '.']) && text.contains('/')
        || text.contains(":\\")
        || text.starts_with("http")
}

fn is_word(text: &str) -> bool {
    matches!(text, "true" | "false" | "null" | "none" | "default") || is_variable_name(text)
}

/// `GITHUB_TOKEN` names a secret and is none (Codex `bearer_token_env_var`).
fn is_variable_name(text: &str) -> bool {
    text.contains('_')
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        && text.chars().filter(char::is_ascii_digit).count() < 4
}

/// Hides secrets in texts that are about to be shown, by value: collect first, then hide.
#[derive(Default, Debug)]
pub struct Masker {
    values: Vec<String>,
}

impl Masker {
    /// Learns every secret-looking value inside `value`: by its key, by its look, by the flag before it.
    pub fn learn(&mut self, value: &Value) {
        self.walk("", value);
        self.values.sort_by_key(|text| std::cmp::Reverse(text.len()));
        self.values.dedup();
    }

    /// Learns one value, whatever it looks like; very short ones would hide too much.
    pub fn know(&mut self, value: &str) {
        let at = self.values.partition_point(|known| known.len() > value.len());
        if value.len() >= 4 && !self.values.iter().any(|known| known == value) {
            self.values.insert(at, value.to_owned());
        }
    }

    /// Whether anything was learned.
    pub fn knows_any(&self) -> bool {
        !self.values.is_empty()
    }

    fn walk(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) => {
                let bare = strip_scheme(text);
                let shown = is_reference(text) || bare.len() < 4 || is_word(bare);
                if !shown && (is_secret_name(key) && !is_path(bare) || has_token_prefix(bare)) {
                    self.values.push(bare.to_owned());
                } else if let Some((_, secret)) = text.split_once('=').filter(|(flag, secret)| {
                    flag.starts_with('-')
                        && is_secret_name(flag)
                        && secret.len() >= 4
                        && !is_reference(secret)
                }) {
                    self.values.push(secret.to_owned());
                } else {
                    let parts = secret_parts(key, text).into_iter();
                    self.values.extend(parts.map(|(_, range)| text[range].to_owned()));
                }
            }
            Value::Array(items) => {
                let mut flag = String::new();
                for item in items {
                    // `--api-key VALUE`: the value's name is the flag before it.
                    let name = if flag.starts_with('-') && !flag.contains('=') { flag.as_str() } else { key };
                    let name = name.to_owned();
                    self.walk(&name, item);
                    flag = item.as_str().unwrap_or_default().to_owned();
                }
            }
            Value::Object(members) => members.iter().for_each(|(key, value)| self.walk(key, value)),
            _ => {}
        }
    }

    /// `text` with every learned value, and everything with a token's prefix, hidden.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            for form in [value.clone(), json_escaped(value)] {
                if text.contains(&form) {
                    text = text.replace(&form, HIDDEN);
                }
            }
        }
        hide_tokens(&hide_assigned(&text))
    }
}

/// Hides what follows a secret-sounding name and `:` or `=`, wherever it stands: entries that were
/// commented out are no values that could be learned.
fn hide_assigned(text: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices([':', '=']) {
        if at < done {
            continue;
        }
        let before = text[..at].trim_end_matches(['"', '\'', ' ']);
        let name = before.rsplit(|c| !is_name(c)).next().unwrap_or_default();
        // `${secret:x}` names a secret.
        if !is_secret_name(name) || before.ends_with("${secret") {
            continue;
        }
        let rest = text[at + 1..].trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some(quote) => rest[1..].split(quote).next().unwrap_or_default(),
            None => rest.split([',', '}', ']', ';', '#']).next().unwrap_or_default().trim_end(),
        };
        let bare = strip_scheme(value);
        // An unquoted value ends with its word; a quoted one may be a passphrase.
        let bare = if quote.is_some() { bare } else { bare.split_whitespace().next().unwrap_or_default() };
        let is_plain = bare.len() < 4
            || is_reference(bare)
            || bare.contains(HIDDEN)
            || bare.starts_with("${")
            || bare.starts_with(['{', '[', '"', '\''])
            || bare.chars().all(|c| c.is_ascii_digit())
            || is_word(bare)
            || is_path(bare);
        if is_plain {
            continue;
        }
        let start = bare.as_ptr() as usize - text.as_ptr() as usize;
        out.push_str(&text[done..start]);
        out.push_str(HIDDEN);
        done = start + bare.len();
    }
    out.push_str(&text[done..]);
    out
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Hides words that begin like a token wherever they stand (comments, plain prose).
pub fn hide_tokens(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let word = &rest[start..];
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        out.push_str(&rest[..start]);
        out.push_str(if has_token_prefix(&word[..end]) { HIDDEN } else { &word[..end] });
        rest = &word[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tells_secrets_from_references_paths_and_placeholders() {
        for (key, text, secret) in [
            ("GITHUB_TOKEN", "ghp_0123456789abcdefABCDEF0123", true),
            ("Authorization", "Bearer abcdef123456", true),
            ("Authorization", "Bearer ${env:TOKEN}", false),
            ("API_KEY", "${API_KEY}", false),
            ("API_KEY", "<your key here>", false),
            ("API_KEY", "YOUR_API_KEY", false),
            ("SSH_KEY_PATH", "~/.ssh/id_ed25519", false),
            ("LOG_LEVEL", "debug-verbose", false),
            ("x", "sk-ant-api03-0123abcdEFGH4567", true),
            ("x", "sk-ant-REDACTED", false),
            ("path", "/usr/local/bin/server", false),
            ("PATTERN", "something-long", false),
            ("bearer_token_env_var", "DOCS_TOKEN", false),
        ] {
            assert_eq!(looks_secret(key, text), secret, "{key}: {text}");
        }
    }

    #[test]
    fn finds_secrets_inside_values() {
        for (key, text, parts) in [
            ("", "--api-key=hushhush-1", vec!["hushhush-1"]),
            ("--token", "hushhush-2", vec!["hushhush-2"]),
            ("--header", "Authorization: Bearer hushhush3", vec!["hushhush3"]),
            ("", "Authorization:Bearer hushhush3", vec!["hushhush3"]),
            ("-e", "SERVICE_TOKEN=hushhush4", vec!["hushhush4"]),
            ("url", "https://x.com/mcp?api_key=hushhush5&mode=ro", vec!["hushhush5"]),
            ("DATABASE_URL", "postgres://me:hushhush6@db/x", vec!["hushhush6"]),
            ("", "DSN=postgres://me:hushhush6@db/x", vec!["hushhush6"]),
            ("", "https://example.com:8080/path", vec![]),
            ("", "postgres://me:${env:PW}@db", vec![]),
            ("", "mode=readonly", vec![]),
            ("", "C:\\tools\\x.exe", vec![]),
        ] {
            let found: Vec<&str> =
                secret_parts(key, text).into_iter().map(|(_, range)| &text[range]).collect();
            assert_eq!(found, parts, "{key} {text}");
        }
    }

    #[test]
    fn hides_values_of_entries_that_were_commented_out() {
        let shown = Masker::default()
            .hide("  // \"API_TOKEN\": \"hushhush\", \"level\": \"info\" # token = hush-hush2 and so on");
        assert!(!shown.contains("hush") && shown.contains("info") && shown.contains("and so on"), "{shown}");
        for kept in [
            "\"token\": {",
            "\"max_tokens\": 40000,",
            "key: ${env:KEY}",
            "a --key=${secret:gh-api-key-2} --token ${secret:gh-token-2} (with GITHUB_TOKEN, LEVEL)",
            "bearer_token_env_var = \"DOCS_TOKEN\"",
        ] {
            assert_eq!(Masker::default().hide(kept), kept);
        }
    }

    #[test]
    fn hides_what_it_learned_wherever_it_stands() {
        let mut masker = Masker::default();
        masker.learn(&json!({
            "headers": {"Authorization": "Bearer s3cr3t-one"},
            "args": ["--api-key", "s3cr3t-two", "--token=s3cr3t-three", "plain"],
            "env": {"DB_PASSWORD": "quo\"te", "HOME_DIR": "/home/me"},
        }));
        let shown = masker.hide(
            "one s3cr3t-one two \"s3cr3t-two\" three --token=s3cr3t-three quo\\\"te plain /home/me # ghp_aaaaBBBB1111cccc2222",
        );
        assert!(!shown.contains("s3cr3t") && !shown.contains("quo") && !shown.contains("ghp_"), "{shown}");
        assert!(shown.contains("plain") && shown.contains("/home/me"));
    }
}
