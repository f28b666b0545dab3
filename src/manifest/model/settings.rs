//! Choices that hold for everything: backups, keys, how `watch` works and whom it tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delivery, Drift, Scalar, Unmanaged};

/// Choices that hold for everything.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What happens to our entries when somebody else changed them.
    #[serde(default)]
    pub drift: Drift,
    /// What happens to servers in clients' files that are not ours.
    #[serde(default)]
    pub unmanaged: Unmanaged,
    /// How clients reach their servers when their block does not say.
    #[serde(default)]
    pub delivery: Delivery,
    /// Copies of files from before a change.
    #[serde(default)]
    pub backups: Backups,
    /// How age-encrypted secrets are handled.
    #[serde(default)]
    pub age: Option<Age>,
    /// The command by which clients start mcpkeel, where they need it. Left out: the path of the
    /// program that runs; in files that a project shares, `mcpkeel`.
    #[serde(default)]
    #[schemars(example = &"mcpkeel")]
    pub program: Option<String>,
    /// Whether `mcpkeel watch` waits for you before it applies what changes how a server is started or
    /// reached, what it is given, or which of its tools are seen. Left out: `auto`, or `manual` for a `source` without `verify`.
    #[serde(default)]
    pub approve: Option<Approve>,
    /// How `mcpkeel watch` works.
    #[serde(default)]
    pub watch: Option<Watch>,
    /// Who is told when a client's condition changes.
    #[serde(default)]
    pub notify: Vec<Notify>,
}

/// Whether `mcpkeel watch` waits for you.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approve {
    /// It applies whatever the manifest says.
    Auto,
    /// What changes how a server is started or reached, what it is given, or which of its tools are
    /// seen waits for `mcpkeel apply` or `mcpkeel approve`.
    Manual,
}

/// How `mcpkeel watch` works.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// How long files must be quiet before they are looked at. Left out: `30ms`.
    #[serde(default)]
    pub debounce: Option<String>,
    /// The longest wait for files that are never quiet. Left out: `500ms`.
    #[serde(default)]
    pub max_wait: Option<String>,
    /// How often everything is looked at, whatever was noticed. Left out: `10m`.
    #[serde(default)]
    pub interval: Option<String>,
}

/// Who is told. Exactly one of `webhook`, `command` and `desktop`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// An address that the event is posted to as JSON, signed as Standard Webhooks says.
    #[serde(default)]
    pub webhook: Option<String>,
    /// The key that signs what is posted.
    #[serde(default)]
    #[schemars(example = &"${secret:hook-key}")]
    pub key: Option<String>,
    /// A program and its arguments; the event comes on its standard input. No shell is involved.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Scalar>>", length(min = 1))]
    pub command: Option<Vec<String>>,
    /// `true`: a notification on the desktop.
    #[serde(default)]
    pub desktop: bool,
    /// Which conditions are told. Left out: all of them.
    #[serde(default)]
    pub on: Vec<NotifyOn>,
}

/// A condition that one may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotifyOn {
    /// In step again.
    Ready,
    /// It cannot go on without you.
    Stalled,
    /// Another program keeps writing over our entries.
    Contended,
}

/// Copies of files from before a change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backups {
    /// How many applies can be undone.
    #[serde(default = "fifty")]
    pub keep: u32,
}

fn fifty() -> u32 {
    50
}

impl Default for Backups {
    fn default() -> Self {
        Self { keep: fifty() }
    }
}

/// How age-encrypted secrets are handled.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Age {
    /// Public keys that can read them.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// The file with your identity.
    #[serde(default)]
    pub identity: Option<String>,
}
