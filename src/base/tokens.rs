//! Tokens that their issuers made recognisable.
//!
//! Invariant: a text has a kind only if it has the issuer's beginning *and* the rest has the length and
//! the alphabet that the issuer gives it, so that `sk-learn`, `npm_config_registry` and
//! `secret_manager` have none. Sources: the issuers' documentation of their formats.
//!
//! Start reading at [`kind`].

use std::ops::Range;

/// What stands behind a beginning.
#[derive(Clone, Copy)]
enum Rest {
    /// Letters and digits, both kinds among them.
    Alnum,
    /// The same with `_` and `-`.
    Word,
    /// The same with dots as well.
    Dotted,
    /// Hexadecimal digits.
    Hex,
    /// Capitals and digits.
    Capitals,
}

/// Beginning, the least length of the rest, its alphabet, and what to call it. Longer beginnings first.
const KINDS: &[(&str, usize, Rest, &str)] = &[
    ("ghp_", 16, Rest::Alnum, "GitHub token"),
    ("gho_", 16, Rest::Alnum, "GitHub token"),
    ("ghu_", 16, Rest::Alnum, "GitHub token"),
    ("ghs_", 16, Rest::Alnum, "GitHub token"),
    ("ghr_", 16, Rest::Alnum, "GitHub token"),
    ("github_pat_", 20, Rest::Word, "GitHub token"),
    ("mck_", 64, Rest::Hex, "mcpkeel token"),
    ("glpat-", 16, Rest::Dotted, "GitLab token"),
    ("gldt-", 16, Rest::Word, "GitLab token"),
    ("sk-ant-", 16, Rest::Word, "Anthropic key"),
    ("sk-proj-", 16, Rest::Word, "OpenAI key"),
    ("sk-svcacct-", 16, Rest::Word, "OpenAI key"),
    ("sk-or-", 16, Rest::Word, "OpenRouter key"),
    ("sk-lf-", 16, Rest::Word, "Langfuse key"),
    ("sk-", 20, Rest::Alnum, "API key"),
    ("sk_live_", 16, Rest::Alnum, "Stripe key"),
    ("sk_test_", 16, Rest::Alnum, "Stripe key"),
    ("rk_live_", 16, Rest::Alnum, "Stripe key"),
    ("rk_test_", 16, Rest::Alnum, "Stripe key"),
    ("sk_", 32, Rest::Hex, "API key"),
    ("xoxb-", 16, Rest::Word, "Slack token"),
    ("xoxp-", 16, Rest::Word, "Slack token"),
    ("xoxa-", 16, Rest::Word, "Slack token"),
    ("xoxr-", 16, Rest::Word, "Slack token"),
    ("xoxs-", 16, Rest::Word, "Slack token"),
    ("xoxc-", 16, Rest::Word, "Slack token"),
    ("xoxd-", 16, Rest::Word, "Slack token"),
    ("xoxe-", 16, Rest::Word, "Slack token"),
    ("xapp-", 16, Rest::Word, "Slack token"),
    ("AKIA", 16, Rest::Capitals, "AWS access key"),
    ("ASIA", 16, Rest::Capitals, "AWS access key"),
    ("AIza", 30, Rest::Word, "Google API key"),
    ("ya29.", 20, Rest::Dotted, "Google OAuth token"),
    ("GOCSPX-", 20, Rest::Word, "Google OAuth client secret"),
    ("npm_", 30, Rest::Alnum, "npm token"),
    ("pypi-", 40, Rest::Word, "PyPI token"),
    ("lin_api_", 20, Rest::Alnum, "Linear key"),
    ("lin_oauth_", 20, Rest::Alnum, "Linear token"),
    ("secret_", 40, Rest::Alnum, "Notion token"),
    ("ntn_", 30, Rest::Alnum, "Notion token"),
    ("hf_", 30, Rest::Alnum, "Hugging Face token"),
    ("dop_v1_", 40, Rest::Hex, "DigitalOcean token"),
    ("doo_v1_", 40, Rest::Hex, "DigitalOcean token"),
    ("SG.", 40, Rest::Dotted, "SendGrid key"),
    ("AGE-SECRET-KEY-1", 40, Rest::Capitals, "age identity"),
    ("figd_", 20, Rest::Word, "Figma token"),
    ("tvly-", 16, Rest::Word, "Tavily key"),
    ("gsk_", 30, Rest::Alnum, "Groq key"),
    ("r8_", 30, Rest::Alnum, "Replicate token"),
    ("sntrys_", 30, Rest::Word, "Sentry token"),
    ("sntryu_", 30, Rest::Hex, "Sentry token"),
    ("dckr_pat_", 20, Rest::Word, "Docker token"),
    ("shpat_", 32, Rest::Hex, "Shopify token"),
    ("shpca_", 32, Rest::Hex, "Shopify token"),
    ("shppa_", 32, Rest::Hex, "Shopify token"),
    ("shpss_", 32, Rest::Hex, "Shopify secret"),
    ("ATATT3", 40, Rest::Word, "Atlassian token"),
    ("ATCTT3", 40, Rest::Word, "Atlassian token"),
    ("BSA", 24, Rest::Word, "Brave Search key"),
    ("fc-", 32, Rest::Hex, "Firecrawl key"),
    ("xai-", 40, Rest::Alnum, "xAI key"),
    ("pplx-", 30, Rest::Alnum, "Perplexity key"),
    ("nvapi-", 40, Rest::Word, "NVIDIA key"),
    ("ctx7sk-", 20, Rest::Word, "Context7 key"),
    ("sbp_", 30, Rest::Hex, "Supabase token"),
    ("sb_secret_", 20, Rest::Word, "Supabase key"),
    ("e2b_", 30, Rest::Hex, "E2B key"),
    ("apify_api_", 20, Rest::Alnum, "Apify token"),
    ("phx_", 30, Rest::Alnum, "PostHog key"),
    ("glsa_", 30, Rest::Word, "Grafana token"),
    ("PMAK-", 30, Rest::Word, "Postman key"),
    ("tskey-", 16, Rest::Word, "Tailscale key"),
    ("dp.pt.", 30, Rest::Alnum, "Doppler token"),
    ("dp.st.", 30, Rest::Dotted, "Doppler token"),
    ("ops_eyJ", 40, Rest::Word, "1Password service account"),
    ("whsec_", 24, Rest::Alnum, "webhook secret"),
    ("hvs.", 20, Rest::Word, "Vault token"),
    ("hvb.", 20, Rest::Word, "Vault token"),
    ("key-", 32, Rest::Hex, "Mailgun key"),
];

/// What a text is, if it is a token that can be recognised by itself.
pub fn kind(text: &str) -> Option<&'static str> {
    if is_private_key(text) {
        return Some("private key");
    }
    if text.split('.').count() == 3 && is_jwt(text) {
        return Some("JSON web token");
    }
    if text.contains("atlasv1.") && text.len() >= 60 && fits(text, Rest::Dotted) {
        return Some("Terraform token");
    }
    let airtable = text.strip_prefix("pat").and_then(|rest| rest.split_once('.'));
    if airtable.is_some_and(|(id, key)| id.len() == 14 && key.len() == 64 && fits(key, Rest::Hex)) {
        return Some("Airtable token");
    }
    let telegram = text.split_once(':').filter(|(id, _)| matches!(id.len(), 8..=10));
    if telegram.is_some_and(|(id, key)| {
        id.bytes().all(|b| b.is_ascii_digit()) && key.len() == 35 && fits(key, Rest::Word)
    }) {
        return Some("Telegram bot token");
    }
    let known = KINDS.iter().find(|(prefix, least, alphabet, _)| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least && fits(rest, *alphabet))
    });
    known.map(|(.., name)| *name)
}

/// The words of a text that are such tokens, each with its kind. A key block counts as one word.
pub fn kinds_in(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut from = 0;
    while let Some(start) = text[from..].find(is_part).map(|at| from + at) {
        let end = text[start..].find(|c| !is_part(c)).map_or(text.len(), |length| start + length);
        from = end;
        if text[start..].starts_with(KEY_BLOCK) {
            let until = text[start..].find(KEY_END).map(|at| start + at + KEY_END.len());
            if let Some(until) = until.filter(|_| is_private_key(&text[start..])) {
                found.push((start..until, "private key"));
                from = until;
            }
            continue;
        }
        // The end of a sentence is no part of its last word.
        let word = text[start..end].trim_end_matches(['.', '-']);
        if let Some(kind) = kind(word) {
            found.push((start..start + word.len(), kind));
        }
    }
    found
}

const KEY_BLOCK: &str = "-----BEGIN";
const KEY_END: &str = "PRIVATE KEY-----";

/// The line that begins a key, and at least half a line of what follows: the line alone is talk about
/// keys.
fn is_private_key(text: &str) -> bool {
    let Some((head, body)) = text.split_once(KEY_END) else { return false };
    // Line ends may be written as escapes.
    let body = body.trim_start_matches(['\r', '\n', '\\', 'r', 'n', ' ']);
    let is_base64 = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    head.rsplit_once(KEY_BLOCK).is_some_and(|(_, what)| what.len() <= 20)
        && body.chars().take_while(is_base64).count() >= 32
}

/// Header and claims are JSON objects, which begin with `{"` in base64.
fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let mut starts = |start: &str, least: usize| {
        parts.next().is_some_and(|part| part.starts_with(start) && part.len() >= least && fits_loosely(part))
    };
    starts("eyJ", 12) && starts("eyJ", 12) && starts("", 16)
}

fn fits_loosely(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Whether a text is made of an alphabet, and looks drawn from it: a token has digits, or letters of
/// both cases; a word has neither.
fn fits(text: &str, rest: Rest) -> bool {
    let in_alphabet = |b: u8| match rest {
        Rest::Alnum => b.is_ascii_alphanumeric(),
        Rest::Word => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
        Rest::Dotted => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
        Rest::Hex => b.is_ascii_hexdigit(),
        Rest::Capitals => b.is_ascii_uppercase() || b.is_ascii_digit(),
    };
    let has = |test: fn(&u8) -> bool| text.bytes().any(|b| test(&b));
    let is_drawn = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
        || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    text.bytes().all(in_alphabet) && is_drawn && distinct(text) >= 6
}

/// How many different characters there are: `xxxxxxxx` is nobody's token.
fn distinct(text: &str) -> usize {
    let mut seen = [false; 256];
    text.bytes().for_each(|b| seen[usize::from(b)] = true);
    seen.iter().filter(|seen| **seen).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_alone_makes_no_token() {
        for text in [
            "sk-learn",
            "sk-learn-contrib-2024-edition1",
            "npm_config_registry_for_the_1st_team",
            "secret_manager_v2_production",
            "key-management-service-v2",
            "pat_repetition_count_12",
            "fc-backend-service-2",
            "BSA-troop-42",
            "AKIAEXAMPLE",
            "eyJhIjoxfQ",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxx",
            "hf_",
            "SG.com",
            "xoxb-your-token",
            "-----BEGIN CERTIFICATE-----",
            "12345678:not-a-bot",
        ] {
            assert_eq!(kind(text), None, "{text}");
        }
    }

    #[test]
    fn finds_tokens_inside_prose() {
        let token = ["ghp", "_abcdEFGH0123456789abcdEFGH01"].concat();
        let text = format!("// was {token}. And (npm_config_x)\n\"{token}\"");
        let found = kinds_in(&text);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(range, kind)| text[range.clone()] == token && *kind == "GitHub token"));
    }

    #[test]
    fn finds_a_key_block_as_one() {
        let body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ";
        let text = ["-----BEGIN OPENSSH ", "PRIVATE KEY-----\n", body].concat();
        assert_eq!(kinds_in(&text).len(), 1);
        assert_eq!(kind(&text), Some("private key"));
        let talk = ["-----BEGIN RSA ", "PRIVATE KEY----- and what follows it"].concat();
        assert_eq!((kinds_in(&talk).len(), kind(&talk)), (0, None));
    }
}
