use crate::base::Glob;
use crate::manifest::model::{Action, Policy, ResourceType};
use crate::manifest::values::{PolicyScope, policy_scope};

/// Who wants to use what.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The key of the caller's block under `clients`; none for a token that belongs to no client.
    pub client: Option<&'a str>,
    /// Which client that is. A policy's `client:ID` names either.
    pub client_id: Option<&'a str>,
    /// The server.
    pub server: &'a str,
    /// What of it.
    pub kind: ResourceType,
    /// Its own name, without the server's: a tool's or a prompt's name, a resource's address. For
    /// [`ResourceType::Server`] the server's name again.
    pub name: &'a str,
}

/// Whether it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It may.
    Allow,
    /// A person must agree first.
    RequireApproval,
    /// It may not.
    Deny,
}

/// The answer, and the policy that gave it; none when no policy is about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// The policy's name.
    pub by: Option<String>,
}

/// The answer, with what every policy had to do with it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The answer.
    pub judgement: Judgement,
    /// Every policy, in the order of the manifest.
    pub considered: Vec<Considered>,
}

/// What one policy had to do with an answer.
#[derive(Clone, Debug)]
pub struct Considered {
    /// Its name.
    pub policy: String,
    /// What it says about what it is about.
    pub verdict: Verdict,
    /// Whether it is about what was asked.
    pub is_about: bool,
    /// Why, or why not. Follows "it".
    pub why: String,
}

/// Whether something may be used.
///
/// Of all policies that are about it, a denial beats an approval and that an allowance; the policy with the
/// highest priority among those of the winning kind is named, the first one of equals. What no policy is about may
/// be used.
///
/// A pattern is held against the bare name, `server/name` and `server__name`, letter case included. A policy about
/// servers, its pattern against the server's name, is about everything of that server; one without a
/// `resourceType` is about everything with such a name, servers included.
pub fn judge<'p>(policies: impl IntoIterator<Item = &'p Policy>, ask: &Ask<'_>) -> Judgement {
    decide(policies.into_iter().filter(|policy| why_not(policy, ask).is_none()))
}

/// The same, with what every policy had to do with it.
pub fn explain<'p>(policies: impl IntoIterator<Item = &'p Policy>, ask: &Ask<'_>) -> Explained {
    let judged: Vec<(&Policy, Option<String>)> =
        policies.into_iter().map(|policy| (policy, why_not(policy, ask))).collect();
    let about = judged.iter().filter(|(_, why_not)| why_not.is_none()).map(|(policy, _)| *policy);
    let judgement = decide(about);
    let considered = judged
        .into_iter()
        .map(|(policy, why_not)| Considered {
            policy: policy.name.clone(),
            verdict: policy.action.into(),
            is_about: why_not.is_none(),
            why: why_not.unwrap_or_else(|| why(policy, ask, &judgement)),
        })
        .collect();
    Explained { judgement, considered }
}

fn decide<'p>(about: impl Iterator<Item = &'p Policy>) -> Judgement {
    let mut first: Option<&Policy> = None;
    for policy in about {
        let rank = |policy: &Policy| (Verdict::from(policy.action), policy.priority);
        if first.is_none_or(|first| rank(policy) > rank(first)) {
            first = Some(policy);
        }
    }
    Judgement {
        verdict: first.map_or(Verdict::Allow, |policy| policy.action.into()),
        by: first.map(|policy| policy.name.clone()),
    }
}

/// Why a policy is not about what is asked.
fn why_not(policy: &Policy, ask: &Ask<'_>) -> Option<String> {
    if !policy.enabled {
        return Some("is not enabled".to_owned());
    }
    // The manifest's check refuses a scope that cannot be read; here it holds for everyone.
    match policy.scope.as_deref().and_then(policy_scope).unwrap_or(PolicyScope::Global) {
        PolicyScope::Client(id) if ask.client != Some(id) && ask.client_id != Some(id) => {
            return Some(format!("holds for the client `{id}` only"));
        }
        PolicyScope::Server(name) if ask.server != name => {
            return Some(format!("holds for the server `{name}` only"));
        }
        _ => {}
    }
    let pattern = Glob::new(&policy.pattern);
    let is_of_server = || pattern.matches(ask.server);
    let is_of_name = || {
        let Ask { server, name, .. } = ask;
        pattern.matches(name)
            || pattern.matches(&format!("{server}__{name}"))
            || pattern.matches(&format!("{server}/{name}"))
    };
    let (is_about, otherwise) = match (policy.resource_type, ask.kind) {
        (Some(ResourceType::Server), _) | (None, ResourceType::Server) => (is_of_server(), ask.server),
        (None, _) => (is_of_name() || is_of_server(), ask.name),
        (Some(kind), asked) if kind == asked => (is_of_name(), ask.name),
        (Some(kind), _) => return Some(format!("is about {}", plural(kind))),
    };
    (!is_about).then(|| format!("has the pattern `{}`, which `{otherwise}` does not match", policy.pattern))
}

/// Why a policy that is about it is the one that counts, or not.
fn why(policy: &Policy, ask: &Ask<'_>, judgement: &Judgement) -> String {
    let subject = match (policy.resource_type, ask.kind) {
        (Some(ResourceType::Server), _) | (_, ResourceType::Server) => ask.server,
        _ => ask.name,
    };
    let found = format!("has the pattern `{}`, which `{subject}` matches", policy.pattern);
    let counts = judgement.by.as_deref() == Some(policy.name.as_str());
    let verdict = Verdict::from(policy.action);
    match (counts, verdict == judgement.verdict) {
        (true, _) => format!("{found}, and it decides"),
        (false, true) => format!("{found}, and it says the same with a lower priority"),
        (false, false) => format!("{found}, but {} beats {}", judgement.verdict, verdict),
    }
}

fn plural(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::Tool => "tools",
        ResourceType::Resource => "resources",
        ResourceType::Prompt => "prompts",
        ResourceType::Server => "servers",
    }
}

impl Verdict {
    /// As it is written in the manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::RequireApproval => "require_approval",
            Self::Deny => "deny",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl From<Action> for Verdict {
    fn from(action: Action) -> Self {
        match action {
            Action::Allow => Self::Allow,
            Action::Deny => Self::Deny,
            Action::RequireApproval => Self::RequireApproval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(name: &str, scope: &str, kind: &str, pattern: &str, action: &str, priority: i64) -> Policy {
        let mut value = serde_json::json!({
            "name": name, "scope": scope, "pattern": pattern, "action": action, "priority": priority,
        });
        if !kind.is_empty() {
            value["resourceType"] = kind.into();
        }
        serde_json::from_value(value).expect("a policy")
    }

    const ASK: Ask<'_> = Ask {
        client: Some("cursor-work"),
        client_id: Some("cursor"),
        server: "github",
        kind: ResourceType::Tool,
        name: "delete_repo",
    };

    #[test]
    fn is_about_what_its_scope_kind_and_pattern_say() {
        for (scope, kind, pattern, is_about) in [
            ("global", "tool", "delete_*", true),
            ("global", "tool", "github__delete_*", true),
            ("global", "tool", "github/*", true),
            ("global", "tool", "DELETE_*", false),
            ("global", "tool", "github", false),
            ("global", "server", "github", true),
            ("global", "server", "git*", true),
            ("global", "server", "delete_repo", false),
            ("global", "prompt", "*", false),
            ("global", "", "delete_repo", true),
            ("global", "", "github", true),
            ("global", "", "gitlab", false),
            ("client:cursor", "tool", "*", true),
            ("client:cursor-work", "tool", "*", true),
            ("client:vscode", "tool", "*", false),
            ("server:github", "tool", "*", true),
            ("server:gitlab", "tool", "*", false),
        ] {
            let policies = [policy("it", scope, kind, pattern, "deny", 0)];
            let wanted = if is_about { Verdict::Deny } else { Verdict::Allow };
            let explained = explain(&policies, &ASK);
            assert_eq!(judge(&policies, &ASK).verdict, wanted, "{scope} {kind} {pattern}");
            assert_eq!(explained.considered[0].is_about, is_about, "{:?}", explained.considered);
        }
    }

    #[test]
    fn a_policy_about_tools_does_not_hide_the_server() {
        let server = Ask { kind: ResourceType::Server, name: "github", ..ASK };
        let tools = [policy("tools", "global", "tool", "*", "deny", 0)];
        assert_eq!(judge(&tools, &server).verdict, Verdict::Allow);
        let all = [policy("servers", "global", "server", "github", "deny", 0)];
        assert_eq!(judge(&all, &server).verdict, Verdict::Deny);
    }

    #[test]
    fn says_which_policy_decided_and_why_the_others_did_not() {
        let mut policies = vec![
            policy("low", "global", "tool", "delete*", "deny", 1),
            policy("high", "global", "tool", "*", "deny", 9),
            policy("loud", "global", "tool", "*", "allow", 1000),
            policy("other", "client:zed", "tool", "*", "deny", 9),
        ];
        policies[3].enabled = false;
        let explained = explain(&policies, &ASK);
        assert_eq!(explained.judgement, Judgement { verdict: Verdict::Deny, by: Some("high".to_owned()) });
        let why: Vec<&str> = explained.considered.iter().map(|one| one.why.as_str()).collect();
        assert_eq!(
            why,
            [
                "has the pattern `delete*`, which `delete_repo` matches, and it says the same with a lower priority",
                "has the pattern `*`, which `delete_repo` matches, and it decides",
                "has the pattern `*`, which `delete_repo` matches, but deny beats allow",
                "is not enabled",
            ]
        );
    }

    fn policies() -> impl Strategy<Value = Vec<Policy>> {
        let scopes = prop_oneof![
            Just("global"),
            Just("client:cursor"),
            Just("client:zed"),
            Just("server:github"),
            Just("?")
        ];
        let kinds = prop_oneof![Just(""), Just("tool"), Just("prompt"), Just("resource"), Just("server")];
        let actions = prop_oneof![Just("allow"), Just("deny"), Just("require_approval")];
        let one = (scopes, kinds, "[a-e*?_/]{0,6}", actions, -3..3i64, any::<bool>());
        let one = one.prop_map(|(scope, kind, pattern, action, priority, enabled)| {
            let mut made =
                policy(&format!("{scope} {kind} {pattern}"), scope, kind, &pattern, action, priority);
            made.enabled = enabled;
            made
        });
        proptest::collection::vec(one, 0..12)
    }

    proptest! {
        #[test]
        fn a_denial_always_wins_and_more_policies_never_allow_more(
            policies in policies(), more in policies(), name in "\\PC{0,8}"
        ) {
            let ask = Ask { name: &name, ..ASK };
            let judgement = judge(&policies, &ask);
            prop_assert_eq!(&explain(&policies, &ask).judgement, &judgement);
            let both: Vec<Policy> = policies.iter().chain(&more).cloned().collect();
            prop_assert!(judge(&both, &ask).verdict >= judgement.verdict);
            let denies = policies.iter().any(|policy| {
                policy.action == Action::Deny && why_not(policy, &ask).is_none()
            });
            prop_assert_eq!(denies, judgement.verdict == Verdict::Deny);
        }

        #[test]
        fn the_order_changes_no_verdict(mut policies in policies(), name in "[a-e_]{0,4}") {
            let ask = Ask { name: &name, ..ASK };
            let verdict = judge(&policies, &ask).verdict;
            policies.reverse();
            prop_assert_eq!(judge(&policies, &ask).verdict, verdict);
        }
    }
}
