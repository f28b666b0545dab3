use std::fmt;
use std::str::FromStr;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// See which tools there are.
    ToolsRead,
    /// Call tools.
    ToolsExecute,
    /// See and read resources.
    ResourcesRead,
    /// See and get prompts.
    PromptsRead,
    /// Everything, and what changes mcpkeel itself.
    Admin,
}

/// Some scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

/// The scopes of which a token must have one for a method; none for what every caller may.
///
/// A method that is not known here may do anything, so it counts as calling a tool.
pub fn needed(method: &str) -> &'static [Scope] {
    match method {
        "initialize" | "ping" | "server/discover" | "logging/setLevel" | "subscriptions/listen" => &[],
        "tools/list" => &[Scope::ToolsRead],
        "tools/call" => &[Scope::ToolsExecute],
        "prompts/list" | "prompts/get" => &[Scope::PromptsRead],
        "completion/complete" => &[Scope::PromptsRead, Scope::ResourcesRead],
        _ if method.starts_with("resources/") => &[Scope::ResourcesRead],
        _ if method.starts_with("notifications/") => &[],
        _ => &[Scope::ToolsExecute],
    }
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ToolsRead, Self::ToolsExecute, Self::ResourcesRead, Self::PromptsRead, Self::Admin];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::ToolsRead => "tools:read",
            Self::ToolsExecute => "tools:execute",
            Self::ResourcesRead => "resources:read",
            Self::PromptsRead => "prompts:read",
            Self::Admin => "admin",
        }
    }
}

impl Scopes {
    /// What a client needs to use servers: everything but `admin`.
    pub const USE: Self = Self(0b1111);
    /// Every scope.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether this one is among them. `admin` has them all.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & (bit(scope) | bit(Scope::Admin)) != 0
    }

    /// Whether they are enough for a method.
    pub fn allow(self, method: &str) -> bool {
        let needed = needed(method);
        needed.is_empty() || needed.iter().any(|scope| self.has(*scope))
    }

    /// Each of them, as given.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & bit(*scope) != 0)
    }
}

fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | bit(scope)))
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word);
        let found = Self::ALL.into_iter().find(|scope| scope.word() == text);
        found.ok_or_else(|| match crate::base::closest(text, words) {
            Some(meant) => format!("there is no scope `{text}`; did you mean `{meant}`?"),
            None => format!("there is no scope `{text}`; they are {}", words.join(", ")),
        })
    }
}

/// Separated by commas.
impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Scope::word).collect();
        f.write_str(&words.join(","))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_needs_its_scope() {
        let scopes = |text: &str| text.parse::<Scopes>().expect("scopes");
        for (held, method, may) in [
            ("", "ping", true),
            ("", "notifications/cancelled", true),
            ("", "tools/list", false),
            ("tools:read", "tools/list", true),
            ("tools:read", "tools/call", false),
            ("tools:execute", "tools/call", true),
            ("tools:execute", "tools/list", false),
            ("resources:read", "resources/templates/list", true),
            ("resources:read", "resources/subscribe", true),
            ("resources:read", "completion/complete", true),
            ("prompts:read", "completion/complete", true),
            ("prompts:read", "prompts/get", true),
            ("prompts:read", "resources/read", false),
            ("tools:read,resources:read,prompts:read", "tasks/result", false),
            ("tools:execute", "com.example/anything", true),
            ("admin", "tools/call", true),
        ] {
            assert_eq!(scopes(held).allow(method), may, "{held} {method}");
        }
    }

    #[test]
    fn are_written_as_they_are_read() {
        for text in ["", "tools:read", "tools:read,tools:execute,resources:read,prompts:read,admin"] {
            assert_eq!(text.parse::<Scopes>().map(|scopes| scopes.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(Scopes::USE.to_string(), "tools:read,tools:execute,resources:read,prompts:read");
        assert_eq!(
            "tool:read".parse::<Scopes>(),
            Err("there is no scope `tool:read`; did you mean `tools:read`?".to_owned())
        );
    }
}
