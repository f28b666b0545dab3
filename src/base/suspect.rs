//! Which values are literal secrets: the judge behind the lint, `import`, `adopt` and `secret scan`.
//!
//! Invariant: errs on the side of too little, because users act on it. A reference in any client's
//! syntax, a placeholder, a path, an identifier or a model's name is no suspect, whatever its name.
//!
//! Start reading at [`suspects`].

mod drawn;
mod names;

use std::ops::Range;

use serde_json::Value;

use super::mask::{is_reference, is_secret_name, strip_scheme};
use super::tokens;
use drawn::is_drawn;
use names::{is_about_a_secret, names_an_identifier, takes_phrases, words_of};

/// A part of a text that looks like a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The name it goes by: that of the member, flag, header, parameter or variable.
    pub name: String,
    /// Where in the text, in bytes.
    pub range: Range<usize>,
    /// What it looks like, for the user.
    pub looks: &'static str,
}

const NAMED: &str = "text in a member named like a secret";
const NAMED_RANDOM: &str = "high-entropy text in a member named like a secret";
/// How a value looks that nothing but its look speaks against.
pub const RANDOM: &str = "high-entropy text";
const PASSWORD: &str = "password in an address";
const PATH: &str = "address that is a secret itself";

/// Addresses whose path is the secret, up to it. Sources: Slack, Discord and Zapier documentation.
const SECRET_PATHS: &[&str] = &[
    "hooks.slack.com/services/",
    "discord.com/api/webhooks/",
    "mcp.zapier.com/api/mcp/s/",
    "mcp.zapier.com/api/mcp/a/",
];

/// The parts of a value that look like secrets: the whole value under a secret-sounding name, a
/// token wherever it stands, what follows `--token=`, `API_KEY=` or `Authorization: `, the same inside
/// a JSON text, and in an address the password and the parameters with such names.
pub fn suspects(key: &str, text: &str) -> Vec<Suspect> {
    if let Some((scheme, rest)) = text.split_once("://")
        && !scheme.contains(|c: char| c.is_whitespace() || matches!(c, '=' | ':' | '{' | '"'))
    {
        return in_address(text.len() - rest.len(), rest);
    }
    if let Some(looks) = judge(key, text) {
        let bare = if looks == "private key" { text } else { strip_scheme(text) };
        let start = offset(text, bare);
        return vec![Suspect { name: key.to_owned(), range: start..start + bare.len(), looks }];
    }
    if let Some(found) = in_json(text) {
        return found;
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    let pairs = [text.split_once('='), text.split_once(": "), text.split_once(':')];
    let named = pairs.into_iter().flatten().filter(|(name, _)| is_name(name) && *name != "arn");
    for (name, value) in named {
        let found = suspects(name, value);
        // A value is drawn at random under its own name only; `id=..` may be anything.
        let found: Vec<Suspect> = found.into_iter().filter(|suspect| suspect.looks != RANDOM).collect();
        if !found.is_empty() {
            return shifted(found, text.len() - value.len());
        }
    }
    let tokens = tokens::kinds_in(text).into_iter();
    let tokens = tokens.filter(|(range, _)| !is_placeholder(&text[range.clone()]));
    tokens.map(|(range, looks)| Suspect { name: key.to_owned(), range, looks }).collect()
}

/// What a value looks like as a whole; none if it is no secret.
pub fn judge(key: &str, text: &str) -> Option<&'static str> {
    let bare = strip_scheme(text);
    if bare.len() < 6 || is_reference(text) || is_placeholder(bare) {
        return None;
    }
    if let Some(kind) = tokens::kind(bare) {
        return Some(kind);
    }
    if holds_reference(bare) || is_path(bare) || is_word(bare) {
        return None;
    }
    if is_secret_name(key) && !is_about_a_secret(key) {
        let is_phrase = bare.contains(char::is_whitespace) && !takes_phrases(key);
        let is_named_after = is_identifier(bare) || bare.starts_with(['{', '[']);
        if words_of(key) == ["key"] && !(bare.len() >= 16 && bare.contains(|c: char| c.is_ascii_digit())) {
            // The key of a cache, of a list's item, ..
            return None;
        }
        return (!is_phrase && !is_named_after).then(|| if is_drawn(bare) { NAMED_RANDOM } else { NAMED });
    }
    (!key.is_empty() && !names_an_identifier(key) && is_drawn(bare)).then_some(RANDOM)
}

fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

fn shifted(found: Vec<Suspect>, by: usize) -> Vec<Suspect> {
    let shift =
        |suspect: Suspect| Suspect { range: suspect.range.start + by..suspect.range.end + by, ..suspect };
    found.into_iter().map(shift).collect()
}

/// In what follows `://`, which begins at `offset`.
fn in_address(base: usize, rest: &str) -> Vec<Suspect> {
    let mut found = Vec::new();
    let mut add = |name: &str, part: &str, looks| {
        let start = base + offset(rest, part);
        found.push(Suspect { name: name.to_owned(), range: start..start + part.len(), looks });
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((login, _)) = authority.rsplit_once('@') {
        let password = login.split_once(':').map(|(_, password)| password);
        match password {
            Some(password) if !password.is_empty() && !stands_in(password) => {
                add("password", password, tokens::kind(password).unwrap_or(PASSWORD));
            }
            None if !is_placeholder(login) => {
                if let Some(kind) = tokens::kind(login) {
                    add("user", login, kind);
                }
            }
            _ => {}
        }
    }
    let way = rest.split(['?', '#']).next().unwrap_or_default();
    let secret = SECRET_PATHS.iter().find_map(|start| way.strip_prefix(start));
    if let Some(path) = secret.filter(|path| path.len() >= 16 && !stands_in(path)) {
        add("path", path, PATH);
    } else {
        let segments = way[authority.len()..].split('/');
        for segment in segments.filter(|segment| !is_placeholder(segment)) {
            if let Some(kind) = tokens::kind(segment) {
                add("path", segment, kind);
            }
        }
    }
    let query = rest.split('#').next().and_then(|rest| rest.split_once('?')).map_or("", |(_, query)| query);
    for pair in query.split('&') {
        if let Some((name, value)) = pair.split_once('=')
            && let Some(looks) = judge(name, value).filter(|looks| *looks != RANDOM)
        {
            add(name, value, looks);
        }
    }
    found
}

/// In a text that is a JSON object, such as the headers that some servers take in a variable. None if
/// it is no such text.
fn in_json(text: &str) -> Option<Vec<Suspect>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let mut found = Vec::new();
    let mut open = vec![(String::new(), &value)];
    while let Some((key, value)) = open.pop() {
        match value {
            Value::String(inner) => {
                // Escaped texts are found by their tokens only.
                let Some(at) = text.find(inner.as_str()).filter(|_| !inner.is_empty()) else { continue };
                let own = suspects(&key, inner).into_iter().filter(|suspect| suspect.looks != RANDOM);
                found.extend(shifted(own.collect(), at));
            }
            Value::Array(items) => open.extend(items.iter().map(|item| (key.clone(), item))),
            Value::Object(members) => open.extend(members.iter().map(|(key, value)| (key.clone(), value))),
            _ => {}
        }
    }
    found.sort_by_key(|suspect| suspect.range.start);
    found.dedup_by(|next, kept| next.range.start < kept.range.end);
    Some(found)
}

/// Words that stand where a secret should, made of nothing but such words.
const STAND_INS: &[&str] = &[
    "a",
    "access",
    "add",
    "an",
    "any",
    "anything",
    "api",
    "auth",
    "bearer",
    "bot",
    "change",
    "client",
    "demo",
    "dummy",
    "empty",
    "enter",
    "example",
    "fake",
    "fill",
    "foo",
    "bar",
    "github",
    "gitlab",
    "goes",
    "here",
    "in",
    "insert",
    "is",
    "key",
    "me",
    "missing",
    "mock",
    "my",
    "na",
    "needed",
    "no",
    "none",
    "not",
    "null",
    "ollama",
    "openai",
    "optional",
    "paste",
    "pat",
    "password",
    "personal",
    "placeholder",
    "provide",
    "put",
    "redacted",
    "removed",
    "replace",
    "required",
    "sample",
    "secret",
    "set",
    "sk",
    "some",
    "string",
    "super",
    "test",
    "the",
    "this",
    "to",
    "todo",
    "token",
    "unused",
    "used",
    "user",
    "value",
    "with",
    "xxx",
    "your",
];

/// Whether a text only says what should stand in its place.
pub fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let masks = |c: char| matches!(c, 'x' | '*' | '.' | '-' | '_' | '•' | '0' | '#' | '…');
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    lower.starts_with(['<', '[']) && lower.ends_with(['>', ']'])
        || lower.starts_with('<')
        || lower.starts_with("your")
        || [
            "changeme",
            "change_me",
            "change-me",
            "placeholder",
            "example",
            "redacted",
            "your_",
            "your-",
            "xxxx",
            "****",
            "••••",
            "...",
            "…",
        ]
        .iter()
        .any(|word| lower.contains(word))
        || lower.chars().all(masks)
        || words.clone().any(|word| word.len() > 2 && word.chars().all(|c| c == 'x'))
        || words.all(|word| {
            STAND_INS.contains(&word)
                || ["ghp", "glpat", "xoxb", "proj", "ant", "ntn", "lin", "hf"].contains(&word)
                || word.chars().all(|c| c == 'x')
                || word.chars().all(|c| c.is_ascii_digit()) && word.len() < 4
        })
}

/// Whether a text is a reference or a placeholder.
fn stands_in(text: &str) -> bool {
    is_reference(text) || holds_reference(text) || is_placeholder(text)
}

/// Whether a text has a reference in some client's syntax among other things.
fn holds_reference(text: &str) -> bool {
    let is_windows = || {
        let mut parts = text.split('%');
        parts.next();
        let name = parts.next().filter(|_| parts.next().is_some());
        name.is_some_and(|name| name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let is_variable =
        |rest: &str| rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').count() >= 4;
    let is_shell =
        || text.starts_with('$') && text[1..].starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    ["${", "{env:", "{file:", "{{", "$(", "$env:", "<<"].iter().any(|start| text.contains(start))
        || is_shell()
        || text.split('$').skip(1).any(is_variable)
        || is_windows()
}

fn is_path(text: &str) -> bool {
    text.starts_with(['/', '~', '.']) && text.contains('/')
        || text.contains(":\\")
        || text.starts_with("http")
        || text.starts_with("%") && text.contains('\\')
        // `secrets/key.pem`, `op://..`, `arn:aws:..`
        || text.contains("://")
        || text.starts_with("arn:")
        || [".json", ".pem", ".key", ".crt", ".txt", ".age", ".env", ".yaml", ".yml", ".toml", ".p12", ".pub"]
            .iter()
            .any(|end| text.ends_with(end))
}

fn is_word(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "default",
        "disabled",
        "enabled",
        "required",
        "optional",
        "keychain",
        "keyring",
        "keytar",
        "bearer",
        "oauth2",
        "cookie",
        "header",
        "automatic",
        "manual",
        "environment",
        "prompt",
        "always",
        "session",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str())
        || matches!(text, "true" | "false" | "null" | "none")
        || is_variable_name(text)
        || ["sha1-", "sha256-", "sha384-", "sha512-", "sha256:", "sha512:"]
            .iter()
            .any(|start| lower.starts_with(start))
}

/// `GITHUB_TOKEN` names a secret and is none (Codex `bearer_token_env_var`).
fn is_variable_name(text: &str) -> bool {
    text.contains('_')
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        && text.chars().filter(char::is_ascii_digit).count() < 4
}

/// `user_id`, `X-Api-Key`, `openai/api-key`: words that name a thing, one of them a word of secrets.
fn is_identifier(text: &str) -> bool {
    let mut words = text.split(['_', '-', '/', '.', ':']);
    let is_plain = words.clone().all(|word| {
        !word.is_empty()
            && (word.chars().all(|c| c.is_ascii_lowercase())
                || word.chars().all(|c| c.is_ascii_uppercase())
                || word.starts_with(|c: char| c.is_ascii_uppercase())
                    && word[1..].chars().all(|c| c.is_ascii_lowercase()))
    });
    let says = |word: &str| {
        matches!(
            word.to_ascii_lowercase().as_str(),
            "id" | "key"
                | "token"
                | "secret"
                | "password"
                | "name"
                | "header"
                | "file"
                | "auth"
                | "credentials"
        )
    };
    is_plain && words.clone().count() > 1 && words.any(says)
}

#[cfg(test)]
mod tests;
