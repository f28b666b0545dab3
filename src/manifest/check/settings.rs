//! Policies, gateway, supervisor and settings: texts that must parse.

use std::collections::HashMap;

use super::{Section, meant, pointer};
use crate::base::{Diagnostic, mask};
use crate::manifest::On;
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
        if let Some(supervisor) = &self.manifest.supervisor {
            if let Some(health) = &supervisor.health_check {
                let at = "/supervisor/health_check";
                for (field, text) in [("interval", &health.interval), ("timeout", &health.timeout)] {
                    self.text(
                        &format!("{at}/{field}"),
                        text,
                        is_duration,
                        "bad-duration",
                        "This is no duration.",
                        how,
                    );
                }
            }
            if let Some(restart) = &supervisor.restart {
                let fits = |text: &str| values::durations(text).is_some();
                let hint = "write the shorter and the longer wait like `1s..60s`";
                self.text(
                    "/supervisor/restart/backoff",
                    &restart.backoff,
                    fits,
                    "bad-duration",
                    "This is no range of durations.",
                    hint,
                );
            }
        }
        for (index, key) in self.manifest.settings.age.iter().flat_map(|age| &age.recipients).enumerate() {
            let at = pointer(&["settings", "age", "recipients", &index.to_string()]);
            if key.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") || mask::looks_secret("", key) {
                let message = "This is a private key; here the public one is needed.";
                let hint = "write the key that starts with `age1`, and replace the private one everywhere";
                self.say(Diagnostic::error("literal-secret", message).hint(hint), &at, On::Value);
            } else if !["age1", "ssh-ed25519 ", "ssh-rsa "].iter().any(|start| key.starts_with(start)) {
                let message = "This is no public key that age can use.";
                let hint = "it starts with `age1`, `ssh-ed25519` or `ssh-rsa`";
                self.say(Diagnostic::error("bad-recipient", message).hint(hint), &at, On::Value);
            }
        }
    }

    fn text(
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
