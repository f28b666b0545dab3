//! An address that the event is posted to, signed as [Standard Webhooks](https://www.standardwebhooks.com) says.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use sha2::Sha256;

use crate::base::{Diagnostic, Fingerprint, Secret};
use crate::bridge::{http_client, innermost, is_this_machine};
use crate::system::{Real, System as _};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before the second try and the third, unless the answer says.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The longest wait that an answer may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A webhook. Its address may hold a token, so only its host is ever said.
pub struct Webhook {
    url: Secret<String>,
    host: String,
    key: Option<Secret<Vec<u8>>>,
}

/// What came of one try.
enum Tried {
    Accepted,
    /// Trying again helps nobody.
    Refused(String),
    /// It may go better after a while; how long, if the answer says.
    Failed(String, Option<Duration>),
}

impl Webhook {
    /// From what the manifest says, references filled in.
    ///
    /// # Errors
    /// When the address cannot be used, or the key is none. The text holds neither.
    pub fn new(url: &Secret<String>, key: Option<&Secret<String>>) -> Result<Self, Box<Diagnostic>> {
        let url = Secret::new(url.expose().trim().to_owned());
        let parsed = Url::parse(url.expose()).map_err(|error| {
            let hint = "write it like `https://hooks.example.com/mcpkeel`";
            Box::new(Diagnostic::error("bad-url", format!("its address is no URL: {error}")).hint(hint))
        })?;
        let is_plain_here = parsed.scheme() == "http" && is_this_machine(&parsed);
        if parsed.scheme() != "https" && !is_plain_here {
            let message = "its address is neither `https://` nor on this machine";
            let hint = "nothing is posted to where everybody on the way can read it; use `https://`";
            return Err(Box::new(Diagnostic::error("plain-http", message).hint(hint)));
        }
        let host = parsed.host_str().unwrap_or_default().to_owned();
        Ok(Self { url, host, key: key.map(decode).transpose()? })
    }

    /// Where it is, and nothing else of its address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Posts this, three times at most.
    ///
    /// # Errors
    /// Why it was not accepted, as the end of a sentence.
    pub async fn post(&self, body: &str) -> Result<(), String> {
        let url = Url::parse(self.url.expose()).map_err(|error| error.to_string())?;
        let client = http_client(&url).timeout(PATIENCE).build();
        let client = client.map_err(|error| error.without_url().to_string())?;
        let id = id_of(body);
        let mut waits = WAITS.into_iter();
        loop {
            let (why, asked) = match self.try_once(&client, &url, &id, body).await {
                Tried::Accepted => return Ok(()),
                Tried::Refused(why) => return Err(why),
                Tried::Failed(why, asked) => (why, asked),
            };
            let Some(wait) = waits.next() else { return Err(format!("{why}, the third time")) };
            tokio::time::sleep(asked.map_or(wait, |asked| asked.min(LONGEST_WAIT))).await;
        }
    }

    async fn try_once(&self, client: &Client, url: &Url, id: &str, body: &str) -> Tried {
        let headers = match self.headers(id, Real.now(), body) {
            Ok(headers) => headers,
            Err(why) => return Tried::Refused(why),
        };
        match client.post(url.clone()).headers(headers).body(body.to_owned()).send().await {
            Ok(response) => judge(&response),
            Err(error) => Tried::Failed(unreachable(error), None),
        }
    }

    fn headers(&self, id: &str, now: SystemTime, body: &str) -> Result<HeaderMap, String> {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let header = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", header(id)?);
        headers.insert("webhook-timestamp", header(&seconds)?);
        if let Some(key) = &self.key {
            headers.insert("webhook-signature", header(&sign(key, id, &seconds, body)?)?);
        }
        Ok(headers)
    }
}

/// The same at every try, and for nothing else: events carry their time.
fn id_of(body: &str) -> String {
    format!("msg_{}", &Fingerprint::of(body.as_bytes()).to_string()[..32])
}

fn sign(key: &Secret<Vec<u8>>, id: &str, seconds: &str, body: &str) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|error| error.to_string())?;
    for part in [id, ".", seconds, ".", body] {
        mac.update(part.as_bytes());
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// `whsec_` and base64, as most services hand it out; any other text as it is.
fn decode(key: &Secret<String>) -> Result<Secret<Vec<u8>>, Box<Diagnostic>> {
    let text = key.expose().trim();
    let Some(encoded) = text.strip_prefix("whsec_") else {
        return Ok(Secret::new(text.as_bytes().to_vec()));
    };
    // Some services hand it out without its padding.
    match STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')) {
        Ok(bytes) if !bytes.is_empty() => Ok(Secret::new(bytes)),
        _ => {
            let problem = Diagnostic::error("bad-key", "what follows `whsec_` in its key is no base64");
            Err(Box::new(problem.hint("store it again with `mcpkeel secret set`, as you were given it")))
        }
    }
}

fn judge(response: &Response) -> Tried {
    let status = response.status();
    if status.is_success() {
        return Tried::Accepted;
    }
    let answered = format!("it answered {status}");
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        // A date instead of seconds is seldom, and waiting as if nothing was said is no mistake.
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        return Tried::Failed(answered, asked.map(Duration::from_secs));
    }
    match status.is_redirection() {
        true => Tried::Refused(format!("{answered}, and another address is not followed")),
        false => Tried::Refused(answered),
    }
}

/// Why there was no answer. The address stays out of it.
fn unreachable(error: reqwest::Error) -> String {
    let what = if error.is_timeout() { "it did not answer in time" } else { "it cannot be reached" };
    let why = innermost(error);
    if why.is_empty() { what.to_owned() } else { format!("{what} ({why})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str, key: &str) -> Result<Webhook, Box<Diagnostic>> {
        Webhook::new(&Secret::new(url.to_owned()), Some(&Secret::new(key.to_owned())))
    }

    /// From the specification's own example, github.com/standard-webhooks/standard-webhooks.
    #[test]
    fn signs_as_the_specification_does() {
        let webhook = webhook("https://x.example/", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("good");
        let key = webhook.key.as_ref().expect("a key");
        let body = r#"{"test": 2432232314}"#;
        let signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).expect("signed");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn posts_nowhere_where_others_listen() {
        for (url, code) in [
            ("http://hooks.example.com/canary", "plain-http"),
            ("http://127.0.0.1.example.com/canary", "plain-http"),
            ("http://localhost@hooks.example.com/canary", "plain-http"),
            ("ftp://127.0.0.1/canary", "plain-http"),
            ("hooks.example.com/canary", "bad-url"),
        ] {
            let problem = webhook(url, "x").err().unwrap_or_else(|| panic!("{url} is taken"));
            assert_eq!(problem.code, code, "{url}");
            assert!(!problem.message.contains("canary"));
        }
        for url in
            ["https://hooks.example.com/x", "http://127.0.0.1:8080/x", "http://[::1]/", "http://localhost/"]
        {
            assert!(webhook(url, "x").is_ok(), "{url}");
        }
    }

    #[test]
    fn a_key_is_base64_or_any_text() {
        let key = |text: &str| webhook("https://x.example/", text).map(|webhook| webhook.key.expect("one"));
        assert_eq!(key("whsec_AQID\n").map(|key| key.expose().clone()).expect("good"), [1, 2, 3]);
        assert_eq!(key("whsec_AQI").map(|key| key.expose().clone()).expect("good"), [1, 2]);
        assert_eq!(key("plain").map(|key| key.expose().clone()).expect("good"), b"plain");
        for text in ["whsec_%canary", "whsec_"] {
            let problem = key(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(!problem.message.contains("canary"));
        }
    }
}
