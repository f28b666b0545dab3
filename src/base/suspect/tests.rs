use super::*;

/// Secrets: name, text, and how many parts of it.
/// Tokens are written in two halves, so that nobody's scanner takes this file for a leak.
const TRUE: &[(&str, [&str; 2])] = &[
    ("GITHUB_TOKEN", ["ghp", "_0123456789abcdefABCDEF0123"]),
    ("X", ["github", "_pat_11ABCDEFG0abcdefghijkl_0123456789abcdef"]),
    ("x", ["gl", "pat-abcdEFGH01234567ijkl"]),
    ("x", ["sk-", "ant-api03-abcdEFGH01234567ijkl-mnopQRST"]),
    ("x", ["sk-", "proj-abcdEFGH01234567ijklmnopQRST"]),
    ("x", ["sk-", "abcdEFGH01234567ijklmnopQRST"]),
    ("x", ["sk_", "live_abcdEFGH01234567ijkl"]),
    ("x", ["xox", "b-123456789012-abcdEFGHijkl"]),
    ("x", ["AKIA", "QYLPMN5HNM4OZ7XW"]),
    ("x", ["AIza", "SyA0123456789abcdefABCDEF0123456789"]),
    ("x", ["npm", "_abcdefghij0123456789ABCDEFGHIJ012345"]),
    ("x", ["lin", "_api_abcdEFGH01234567ijklmnopQRST"]),
    ("x", ["ntn", "_12345678901abcdEFGH01234567ijklmnopQRST"]),
    ("x", ["h", "f_abcdEFGHijklMNOPqrstUVWXyzABcdEFgh"]),
    ("x", ["fig", "d_abcdEFGH01234567ijklmnopQRST"]),
    ("x", ["tvly", "-dev-abcdEFGH01234567ijkl"]),
    ("x", ["BSA", "abcdEFGH01234567ijklmnopQRS"]),
    ("x", ["fc", "-0123456789abcdef0123456789abcdef"]),
    ("x", ["sbp", "_0123456789abcdef0123456789abcdef01234567"]),
    ("x", ["eyJhbGciOiJIUzI1NiIs", ".eyJzdWIiOiIxMjM0NTY3.SflKxwRJSMeKKF2QT4fw"]),
    ("x", ["12345678", ":AAabcdEFGH01234567ijklmnopQRST12345"]),
    ("Authorization", ["Bearer ", "abcdef123456"]),
    ("Authorization", ["Basic ", "dXNlcjpwYXNz"]),
    ("X-Api-Key", ["7f3a", "9c21d8"]),
    ("API_KEY", ["7f3a9c21", "d8e04b6f"]),
    ("DB_PASSWORD", ["correct horse", " battery staple"]),
    ("POSTGRES_PASSWORD", ["hunter", "22"]),
    ("--token", ["hush", "hush-2"]),
    ("apiKey", ["a8Kx92Lm", "4Qz71"]),
    ("clientSecret", ["Zx8~aQ", ".k3J7Lm"]),
    ("SESSION_COOKIE", ["sid=ab12", "cd34; path=1"]),
    ("SERVICE_BLOB", ["q7Zt1Rk9Xp4", "Wm2Nc8Vb5Lh3"]),
    ("DATADOG", ["aB3dE5fG7hJ9", "kL1mN3pQ5rS7"]),
    ("", ["--api-key=", "hushhush-1"]),
    ("", ["SERVICE_TOKEN=", "hushhush4"]),
    ("--header", ["Authorization: Bearer ", "hushhush3"]),
    ("", ["X-Api-Key:", "hushhush5"]),
    ("url", ["https://x.com/mcp?api_key=", "hushhush5&mode=ro"]),
    ("DATABASE_URL", ["postgres://me:", "hushhush6@db/x"]),
    ("", ["DSN=postgres://me:", "hushhush6@db/x"]),
    ("url", ["https://ghp", "_0123456789abcdefABCDEF0123@github.com/x"]),
    ("url", ["https://hooks.slack.com/services/", "T0AB12CD3/B0EF45GH6/abcdefGHIJ"]),
    ("url", ["https://mcp.zapier.com/api/mcp/s/", "NzA0YjEwM2EtMmQ4/mcp"]),
    (
        "HEADERS",
        [
            "{\"Authorization\": \"Bearer nt",
            "n_12345678901abcdEFGH01234567ijklmnopQRST\", \"Version\": \"2022-06-28\"}",
        ],
    ),
    ("KEY_BLOCK", ["-----BEGIN RSA ", "PRIVATE KEY-----\nMIIEowIBAAKCAQEAw7Zt1Rk9Xp4Wm2Nc8Vb5Lh3q"]),
    ("", ["see sk-", "ant-api03-abcdEFGH01234567ijkl in the notes"]),
];

/// No secrets: name and text.
const FALSE: &[(&str, &str)] = &[
    ("Authorization", "Bearer ${env:TOKEN}"),
    ("Authorization", "Bearer ${TOKEN}"),
    ("Authorization", "Bearer $TOKEN"),
    ("Authorization", "Bearer {env:TOKEN}"),
    ("Authorization", "Bearer ${input:github-token}"),
    ("Authorization", "Bearer %GITHUB_TOKEN%"),
    ("Authorization", "Bearer {{GITHUB_TOKEN}}"),
    ("Authorization", "Bearer YOUR_TOKEN"),
    ("Authorization", "Bearer <token>"),
    ("Authorization", "token ${{ secrets.GITHUB_TOKEN }}"),
    ("API_KEY", "${API_KEY}"),
    ("API_KEY", "${API_KEY:-none}"),
    ("API_KEY", "$API_KEY"),
    ("API_KEY", "$env:API_KEY"),
    ("API_KEY", "$(pass show api-key)"),
    ("API_KEY", "{file:~/.secrets/key}"),
    ("API_KEY", "op://Work/mcp/token"),
    ("API_KEY", "<your key here>"),
    ("API_KEY", "YOUR_API_KEY"),
    ("API_KEY", "your-api-key-here"),
    ("API_KEY", "my-api-key"),
    ("API_KEY", "insert_your_key_here"),
    ("API_KEY", "xxxxxxxxxxxxxxxx"),
    ("API_KEY", "sk-xxxxxxxxxxxxxxxxxxxxxxxx"),
    ("API_KEY", "sk-..."),
    ("API_KEY", "sk-proj-xxx"),
    ("GITHUB_TOKEN", "ghp_foo-bar"),
    ("API_KEY", "changeme"),
    ("API_KEY", "not-needed"),
    ("API_KEY", "sk-no-key-required"),
    ("API_KEY", "ollama"),
    ("API_KEY", "dummy-key"),
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("GITHUB_TOKEN", "ghp_xxxxxxxxxxxxxxxxxxxx"),
    ("SSH_KEY_PATH", "~/.ssh/id_ed25519"),
    ("SSH_KEY", "~/.ssh/id_ed25519"),
    ("PRIVATE_KEY", "keys/server.pem"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "service-account.json"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "C:\\keys\\account.json"),
    ("TOKEN_FILE", "token-for-ci-2"),
    ("API_KEY_HEADER", "X-Custom-Auth-2"),
    ("bearer_token_env_var", "DOCS_TOKEN"),
    ("api_key_env", "OPENAI_API_KEY"),
    ("MAX_TOKENS", "400000"),
    ("TOKEN_LIMIT", "100000"),
    ("tokenizer", "cl100k_base"),
    ("key", "hand-made"),
    ("key", "mcpkeel-v2"),
    ("CACHE_TOKEN", "mcpkeel-$CI_VERSION"),
    ("SORT_KEY", "created_at_2024"),
    ("PRIMARY_KEY", "user_id2"),
    ("PUBLIC_KEY", "9f8e7d6c5b4a"),
    ("TOKEN_STORAGE", "keychain"),
    ("TOKEN_URL", "https://example.com/oauth/token"),
    ("SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mcp-AbCdEf"),
    ("SECRET_NAME", "prod/mcp/github"),
    ("USE_API_KEY", "always-on"),
    ("LOG_LEVEL", "debug-verbose"),
    ("path", "/usr/local/bin/server"),
    ("PATTERN", "something-long"),
    ("MODEL", "claude-sonnet-4-20250514"),
    ("MODEL", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("ANY", "Qwen2-VL-72B-Instruct-GPTQ-Int4"),
    ("ANY", "MyAzureOpenAIDeployment01"),
    ("ANY", "550e8400-e29b-41d4-a716-446655440000"),
    ("ANY", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
    ("INTEGRITY", "sha512-q7Zt1Rk9Xp4Wm2Nc8Vb5Lh3q7Zt1Rk9Xp4Wm2Nc8=="),
    ("IMAGE", "ghcr.io/github/github-mcp-server@sha256:9fceb02d0ae598e95dc970b74767f193"),
    ("NOTION_DATABASE_ID", "0123456789abcdef0123456789abcdef"),
    ("PROJECT_ID", "q7Zt1Rk9Xp4Wm2Nc8Vb5Lh3"),
    ("CLIENT_ID", "q7Zt1Rk9Xp4Wm2Nc8Vb5Lh3"),
    ("", "q7Zt1Rk9Xp4Wm2Nc8Vb5Lh3"),
    ("", "@modelcontextprotocol/server-github@2025.4.8"),
    ("", "-y"),
    ("", "--allow-path=/home/me/My2Projects/Abc3Def4Ghi5"),
    ("", "mode=readonly"),
    ("", "C:\\tools\\x.exe"),
    ("", "npm_config_registry=https://registry.npmjs.org"),
    ("url", "https://example.com:8080/path"),
    ("url", "https://mcp.example.com/mcp?profile=Q7zt1Rk9Xp4Wm2Nc8Vb5"),
    ("url", "postgres://me:${env:PW}@db"),
    ("url", "postgres://user:password@localhost/db"),
    ("url", "https://x.com/mcp?api_key=${env:KEY}"),
    ("url", "https://x.com/mcp?apiKey={{KEY}}"),
    ("HEADERS", "{\"Authorization\": \"Bearer ${TOKEN}\", \"Version\": \"2022-06-28\"}"),
];

#[test]
fn takes_secrets_for_secrets() {
    let missed: Vec<String> = TRUE
        .iter()
        .map(|(key, halves)| (key, halves.concat()))
        .filter(|(key, text)| suspects(key, text).len() != 1)
        .map(|(key, text)| format!("{key}: {text}: {:?}", suspects(key, &text)))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn takes_nothing_else_for_one() {
    let wrong: Vec<String> = FALSE
        .iter()
        .filter(|(key, text)| !suspects(key, text).is_empty())
        .map(|(key, text)| format!("{key}: {text}: {:?}", suspects(key, text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn says_what_it_looks_like() {
    for (key, text, looks) in [
        ("GITHUB_TOKEN", "ghp_0123456789abcdefABCDEF0123", "GitHub token"),
        ("API_TOKEN", "hushhush-1", NAMED),
        ("API_TOKEN", "q7Zt1Rk9Xp4Wm2Nc8Vb5Lh3", NAMED_RANDOM),
        ("BLOB", "q7Zt1Rk9Xp4Wm2Nc8Vb5Lh3", RANDOM),
        ("url", "postgres://me:hushhush6@db/x", PASSWORD),
    ] {
        let found = suspects(key, text);
        assert_eq!(found.iter().map(|suspect| suspect.looks).collect::<Vec<_>>(), [looks], "{key} {text}");
    }
}

#[test]
fn keeps_the_scheme_and_the_rest_out_of_the_secret() {
    for (key, text, part) in [
        ("Authorization", "Bearer hushhush3", "hushhush3"),
        ("", "Authorization: Bearer hushhush3", "hushhush3"),
        ("", "--api-key=hushhush-1", "hushhush-1"),
        ("url", "https://x.com/mcp?api_key=hushhush5&mode=ro", "hushhush5"),
        ("X", "{\"Authorization\": \"Bearer hushhush7\"}", "hushhush7"),
    ] {
        let found = suspects(key, text);
        assert_eq!(found.iter().map(|suspect| &text[suspect.range.clone()]).collect::<Vec<_>>(), [part]);
    }
}
