//! What the name of a member, flag or header says about its value.

/// Names that speak about a secret and do not hold it: `TOKEN_FILE`, `MAX_TOKENS`, `API_KEY_HEADER`.
pub(super) fn is_about_a_secret(key: &str) -> bool {
    let words = words_of(key);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let last = words.last().map_or("", String::as_str);
    const LAST: &[&str] = &[
        "file",
        "path",
        "dir",
        "directory",
        "folder",
        "url",
        "uri",
        "endpoint",
        "host",
        "env",
        "var",
        "variable",
        "name",
        "id",
        "ids",
        "header",
        "type",
        "kind",
        "mode",
        "method",
        "prefix",
        "suffix",
        "format",
        "store",
        "storage",
        "provider",
        "source",
        "backend",
        "arn",
        "ref",
        "reference",
        "algorithm",
        "alg",
        "issuer",
        "audience",
        "region",
        "domain",
        "ttl",
        "expiry",
        "expires",
        "expiration",
        "timeout",
        "lifetime",
        "length",
        "size",
        "limit",
        "count",
        "budget",
        "enabled",
        "required",
        "hint",
        "helper",
        "command",
        "cmd",
        "field",
        "column",
        "scope",
        "scopes",
        "label",
        "server",
        "port",
        "policy",
        "rotation",
        "location",
        "version",
        "map",
        "tokens",
        "tokenizer",
        "server_url",
        "binding",
        "bindings",
        "keys",
        "board",
    ];
    LAST.contains(&last) && !(last == "keys" && has(&["api", "secret", "private"]))
        || has(&[
            "max",
            "min",
            "tokenizer",
            "public",
            "publishable",
            "sort",
            "primary",
            "foreign",
            "partition",
            "cache",
            "num",
            "count",
        ])
        || words.first().is_some_and(|word| {
            matches!(word.as_str(), "use" | "is" | "has" | "enable" | "disable" | "allow" | "require")
        })
}

/// Names whose values are drawn at random without being secret.
pub(super) fn names_an_identifier(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "id",
        "ids",
        "uuid",
        "guid",
        "sha",
        "sha1",
        "sha256",
        "sha512",
        "hash",
        "digest",
        "checksum",
        "integrity",
        "commit",
        "rev",
        "revision",
        "version",
        "release",
        "model",
        "models",
        "path",
        "dir",
        "file",
        "url",
        "uri",
        "host",
        "hostname",
        "endpoint",
        "address",
        "addr",
        "project",
        "org",
        "organization",
        "team",
        "tenant",
        "account",
        "workspace",
        "region",
        "bucket",
        "database",
        "db",
        "table",
        "index",
        "name",
        "public",
        "publishable",
        "etag",
        "fingerprint",
        "thumbprint",
        "image",
        "tag",
        "description",
        "command",
        "cwd",
        "title",
        "icon",
        "user",
        "username",
        "email",
        "device",
        "client",
        "traceparent",
        "profile",
        "deployment",
        "cert",
        "certificate",
        "ca",
        "contract",
        "wallet",
        "arn",
        "args",
        "package",
        "input",
        "output",
        "query",
        "dsn",
    ];
    words_of(key).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// `apiKeyFile`, `--api-key-file` and `API_KEY_FILE` as their words.
pub(super) fn words_of(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for c in key.chars() {
        let starts = c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if !c.is_ascii_alphanumeric() || starts {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

pub(super) fn takes_phrases(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pass", "cookie", "credential"].iter().any(|word| key.contains(word))
}
