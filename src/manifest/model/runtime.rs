//! How servers are run by `mcpkeel up`, and the endpoint in front of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The endpoint in front of every server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Address and port. Left out: 127.0.0.1:3847.
    #[serde(default)]
    pub listen: Option<String>,
    /// How tools are named: with their server in front, or bare where that is unambiguous.
    #[serde(default)]
    pub names: Option<GatewayNames>,
    /// Requests each token may make (`100/min`). Left out: as many as it wants.
    #[serde(default)]
    pub rate_limit: Option<String>,
    /// Whether `mcpkeel connect` may start it. Left out: it may.
    #[serde(default)]
    pub autostart: Option<bool>,
    /// Names by which it may be addressed (`Host`), beside `localhost` and the address it listens on.
    #[serde(default)]
    #[schemars(example = &["mcp.home.arpa"])]
    pub hosts: Vec<String>,
    /// Web pages that may speak to it (`Origin`), beside those of this machine.
    #[serde(default)]
    #[schemars(example = &["https://inspector.example.org"])]
    pub origins: Vec<String>,
    /// Whether tools that nobody has looked at may be used. Left out: `first-use`.
    #[serde(default)]
    pub trust: Option<Trust>,
    /// Calls that a person must agree to.
    #[serde(default)]
    pub approvals: Option<Approvals>,
    /// What is remembered of every call.
    #[serde(default)]
    pub audit: Option<Audit>,
}

/// How the gateway names tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayNames {
    /// `server__tool`.
    #[default]
    Prefix,
    /// `tool`, where only one server has it.
    Bare,
}

/// Whether tools that nobody has looked at may be used. What changes afterwards is held either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The tools that a server has when it is first seen are taken into `mcp.lock`, but for those that look wrong.
    #[default]
    FirstUse,
    /// Every tool is held until `mcpkeel lock accept`.
    Manual,
}

/// Calls that a person must agree to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// How long a question stays open, and how long a yes holds (`10m`). Left out: `10m`.
    #[serde(default)]
    pub expire: Option<String>,
}

/// What is remembered of every call.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// What is kept of a call's arguments. Left out: `hash`.
    #[serde(default)]
    pub arguments: Option<AuditArguments>,
    /// How long calls are remembered (`90d`). Left out: `90d`.
    #[serde(default)]
    pub keep: Option<String>,
}

/// What is kept of a call's arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditArguments {
    /// A digest that tells equal ones apart from others.
    #[default]
    Hash,
    /// All of them, with what looks like a secret hidden.
    Keep,
}

/// How servers are run and kept running.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Supervisor {
    /// When a server is started. Left out: with `mcpkeel up`.
    #[serde(default)]
    pub start: Option<Start>,
    /// After how long without a request a server is stopped until it is needed again (`15m`). Left out: never.
    #[serde(default)]
    pub idle_stop: Option<String>,
    /// How long a start may take, an installation included (`60s`). Left out: `60s`.
    #[serde(default)]
    pub start_timeout: Option<String>,
    /// How long a call may be silent, without an answer or any progress (`10m`). Left out: `10m`.
    #[serde(default)]
    pub call_timeout: Option<String>,
    /// How long each step of a stop may take: after its input is closed, after it is asked (`2s`). Left out: `2s`.
    #[serde(default)]
    pub stop_timeout: Option<String>,
    /// How it is found out whether a server still answers.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// What happens when one ends.
    #[serde(default)]
    pub restart: Option<Restart>,
}

/// When a server is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With `mcpkeel up`.
    #[default]
    Eager,
    /// When it is needed first; its tools are known from the last time.
    Lazy,
}

/// How it is found out whether a server still answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Whether it is asked at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Time between two questions. Left out: `30s`.
    #[serde(default)]
    pub interval: Option<String>,
    /// Longest wait for an answer. Left out: `5s`.
    #[serde(default)]
    pub timeout: Option<String>,
}

/// What happens when a server ends.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Shortest and longest wait before the next start, after the first one, which comes at once. Left out: `1s..60s`.
    #[serde(default)]
    pub backoff: Option<String>,
    /// After how many failed starts in a row it stays stopped. Left out: 10.
    #[serde(default)]
    pub give_up_after: Option<u32>,
}

fn yes() -> bool {
    true
}
