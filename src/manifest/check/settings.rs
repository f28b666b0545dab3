//! Policies, gateway, supervisor and settings: texts that must parse.

use std::collections::HashMap;

use super::{Section, meant, pointer};
use crate::base::{Diagnostic, mask};
use crate::manifest::On;
use crate::manifest::model::Supervisor;
use crate::manifest::tree::shown;
use crate::manifest::values::{self, PolicyScope};

impl Section<'_> {
    pub fn policies(&mut self) {
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (index, policy) in self.manifest.policies.iter().enumerate() {
            let at = format!("/policies/{index}");
            if let Some(earlier) = names.insert(&policy.name, index) {
                let message = format!("Two policies are called `{}`.", shown(&policy.name));
                let diagnostic = Diagnostic::error("duplicate-name", message)
                    .related(
                        "the other one",
                        self.file.place(&format!("/policies/{earlier}/name"), On::Value),
                    )
                    .hint("give one of them another name");
                self.say(diagnostic, &format!("{at}/name"), On::Value);
            }
            for (field, text) in [("name", &policy.name), ("pattern", &policy.pattern)] {
                if text.is_empty() {
                    self.empty(&format!("{at}/{field}"));
                }
            }
            if let Some(scope) = &policy.scope {
                self.policy_scope(&format!("{at}/scope"), scope);
            }
        }
    }

    fn policy_scope(&mut self, at: &str, scope: &str) {
        match values::policy_scope(scope) {
            Some(PolicyScope::Global) => {}
            Some(PolicyScope::Server(name)) => self.server(at, On::Value, name),
            Some(PolicyScope::Client(id)) => {
                let is_known = self.names.clients.contains_key(id) || self.clients.contains(&id);
                if !is_known && self.names.complete {
                    let known = self.names.clients.keys().copied().chain(self.clients.iter().copied());
                    let mut diagnostic =
                        Diagnostic::error("unknown-client", format!("There is no client `{}`.", shown(id)));
                    diagnostic.hint = meant(id, known);
                    self.say(diagnostic, at, On::Value);
                }
            }
            None => {
                let hint = "write `global`, `client:ID` or `server:NAME`";
                self.say(
                    Diagnostic::error("bad-scope", "This is no scope of a policy.").hint(hint),
                    at,
                    On::Value,
                );
            }
        }
    }

    fn supervisor(&mut self, at: &str, supervisor: &Supervisor) {
        let is_duration = |text: &str| values::duration(text).is_some();
        let how = "write it like `30s`; the units are ms, s, m, h and d";
        let health = supervisor.health_check.as_ref();
        for (field, text) in [
            ("idle_stop", supervisor.idle_stop.clone()),
            ("start_timeout", supervisor.start_timeout.clone()),
            ("call_timeout", supervisor.call_timeout.clone()),
            ("stop_timeout", supervisor.stop_timeout.clone()),
            ("health_check/interval", health.and_then(|health| health.interval.clone())),
            ("health_check/timeout", health.and_then(|health| health.timeout.clone())),
        ] {
            let at = format!("{at}/{field}");
            self.text(&at, &text, is_duration, "bad-duration", "This is no duration.", how);
        }
        let backoff = supervisor.restart.as_ref().and_then(|restart| restart.backoff.clone());
        self.text(
            &format!("{at}/restart/backoff"),
            &backoff,
            |text| values::durations(text).is_some(),
            "bad-duration",
            "This is no range of durations.",
            "write the shorter and the longer wait like `1s..60s`",
        );
    }

    pub fn settings(&mut self) {
        if let Some(gateway) = &self.manifest.gateway {
            self.text(
                "/gateway/rate_limit",
                &gateway.rate_limit,
                |text| values::rate(text).is_some(),
                "bad-rate",
                "This is no rate.",
                "write it like `100/min`; the units are s, min, h and d",
            );
            self.text(
                "/gateway/listen",
                &gateway.listen,
                |text| values::listen(text).is_some(),
                "bad-address",
                "This is no address to listen on.",
                "write it like `127.0.0.1:3847`",
            );
            let address = gateway.listen.as_deref().and_then(values::listen);
            if address.is_some_and(|address| !address.ip().is_loopback()) {
                let message = "The gateway can be reached from other machines.";
                let hint = "listen on `127.0.0.1` unless that is meant";
                self.say(
                    Diagnostic::warning("open-gateway", message).hint(hint),
                    "/gateway/listen",
                    On::Value,
                );
            }
        }
        let is_duration = |text: &str| values::duration(text).is_some();
        let how = "write it like `30s`; the units are ms, s, m, h and d";
        let gateway = self.manifest.gateway.as_ref();
        let approvals = gateway.and_then(|gateway| gateway.approvals.as_ref());
        let audit = gateway.and_then(|gateway| gateway.audit.as_ref());
        for (at, text) in [
            ("/gateway/approvals/expire", approvals.and_then(|approvals| approvals.expire.clone())),
            ("/gateway/audit/keep", audit.and_then(|audit| audit.keep.clone())),
        ] {
            self.text(at, &text, is_duration, "bad-duration", "This is no duration.", how);
        }
        if let Some(supervisor) = &self.manifest.supervisor {
            self.supervisor("/supervisor", supervisor);
        }
        for (name, server) in &self.manifest.servers {
            if let Some(supervisor) = &server.supervisor {
                self.supervisor(&pointer(&["servers", name, "supervisor"]), supervisor);
            }
        }
        for (index, key) in self.manifest.settings.age.iter().flat_map(|age| &age.recipients).enumerate() {
            let at = pointer(&["settings", "age", "recipients", &index.to_string()]);
            if key.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") || mask::looks_secret("", key) {
                let message = "This is a private key; here the public one is needed.";
                let hint = "write the key that starts with `age1`, and replace the private one everywhere";
                self.say(Diagnostic::error("literal-secret", message).hint(hint), &at, On::Value);
            } else if let Some((message, hint)) = not_a_recipient(key.trim()) {
                self.say(Diagnostic::error("bad-recipient", message).hint(hint), &at, On::Value);
            }
        }
    }

    pub(super) fn text(
        &mut self,
        at: &str,
        text: &Option<String>,
        fits: impl Fn(&str) -> bool,
        code: &'static str,
        message: &str,
        hint: &str,
    ) {
        if text.as_deref().is_some_and(|text| !fits(text)) {
            self.say(Diagnostic::error(code, message).hint(hint), at, On::Value);
        }
    }
}

/// What is wrong with a public key, by its shape alone, and what to do; its check sum is looked at when
/// something is encrypted.
fn not_a_recipient(key: &str) -> Option<(&'static str, &'static str)> {
    let is_base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    let again = "copy it again from `age-keygen -y FILE` or from the .pub file";
    if let Some(rest) = key.strip_prefix("age1") {
        // Bech32: 32 bytes and a check sum. A `1` inside belongs to the name of a plugin.
        return match rest.len() == 58
            && rest.bytes().all(|c| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&c))
        {
            true => None,
            false if rest.contains('1') => Some((
                "This public key needs a plugin of age.",
                "use a key that `age-keygen` made, or an SSH key",
            )),
            false => Some(("This public key is cut off, or has a slip in it.", again)),
        };
    }
    let mut words = key.split_ascii_whitespace();
    if !matches!(words.next(), Some("ssh-ed25519" | "ssh-rsa")) {
        let hint = "it starts with `age1`, `ssh-ed25519` or `ssh-rsa`";
        return Some(("This is no public key that age can use.", hint));
    }
    match words.next() {
        Some(body) if body.len() >= 68 && body.starts_with("AAAA") && body.bytes().all(is_base64) => None,
        _ => Some(("This public key is cut off, or has a slip in it.", again)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_are_known_by_their_shape() {
        let ssh = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} me@here", "A".repeat(43));
        for good in ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", &ssh] {
            assert_eq!(not_a_recipient(good), None, "{good}");
        }
        for bad in [
            "",
            "age1",
            "age1abc",
            "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8",
            "age1bl3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
            "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyvumptt",
            "ssh-ed25519",
            "ssh-ed25519 AAAAC3Nza",
            "ssh-dss AAAAB3NzaC1kc3MAAACBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "/home/me/.ssh/id_ed25519.pub",
        ] {
            assert!(not_a_recipient(bad).is_some(), "{bad}");
        }
    }
}
