//! A client row as it is written, in `manifests/clients/*.yaml` and inline in a manifest.
//!
//! Invariant: raw data; [`super::Client`] is the checked form that the rest of the program uses.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::base::Pointer;
use crate::document::Format;

/// Where and how one client keeps its MCP servers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The name people know it by. Inline rows may leave it out.
    #[serde(default)]
    pub name: String,
    /// Who makes it.
    #[serde(default)]
    pub vendor: String,
    /// What sort of program it is.
    #[serde(default)]
    pub kind: Kind,
    /// Whether it is still made.
    #[serde(default)]
    pub status: Status,
    /// How well its facts are established.
    #[serde(default)]
    pub confidence: Confidence,
    /// How its file is written.
    pub format: Format,
    /// The user's file, per system. `~`, `${VAR}` and `${VAR:-default}` are expanded.
    #[serde(default)]
    pub path: PerOs,
    /// The file inside a project, relative to its root; none if the client has no project scope.
    #[serde(default)]
    pub project: Option<Project>,
    /// JSON pointer to the container of the servers. A dotted flat key is one step (`/amp.mcpServers`).
    #[schemars(with = "String")]
    pub root: Pointer,
    /// For a list of servers: the member that identifies one. Left out: the container is a map by name.
    #[serde(default)]
    pub list: Option<String>,
    /// Entry of a stdio server. Tokens: `{name} {command} {args} {argv} {env} {cwd} {description}`.
    #[serde(default)]
    pub stdio: Option<Template>,
    /// Entry of a streamable HTTP server. Tokens: `{name} {url} {headers} {description}`.
    #[serde(default)]
    pub http: Option<Template>,
    /// Entry of an SSE server. Tokens as for `http`.
    #[serde(default)]
    pub sse: Option<Template>,
    /// Fields that are written even when their token is empty (`args: []`, `env: {}`).
    #[serde(default)]
    pub always: Vec<String>,
    /// How one server is switched off while its entry stays. Left out: the entry is left out instead.
    #[serde(default)]
    pub disable: Option<Disable>,
    /// How tools are hidden from the model. Left out: the client cannot; `exec` or `gateway` can.
    #[serde(default)]
    pub tools: Option<Tools>,
    /// The client's own variable syntax. Left out: it expands nothing.
    #[serde(default)]
    pub variables: Option<Variables>,
    /// What names of servers it takes.
    #[serde(default)]
    pub names: Names,
    /// The lock it takes around its own writes, which we take as well.
    #[serde(default)]
    pub lock: Option<LockRule>,
    /// What it does when its file is a symbolic link.
    #[serde(default)]
    pub symlink: Symlink,
    /// Members of a file that we create from nothing, beside the root.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub new_file: Option<IndexMap<String, Value>>,
    /// Other clients that read the user's file of this one.
    #[serde(default)]
    pub read_by: Vec<String>,
    /// Paths that show that the client is installed. Left out: the directory of its file.
    #[serde(default)]
    pub detect: Vec<String>,
    /// How it notices a change.
    #[serde(default)]
    pub reload: Reload,
    /// Facts that a user or a maintainer should know, one sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// An entry's fields in order; values are constants or tokens.
pub type Template = IndexMap<String, Value>;

/// What sort of program a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs in a terminal.
    Terminal,
    /// A window of its own.
    Desktop,
    /// An editor or development environment.
    Ide,
    /// Lives inside an editor.
    Extension,
    /// A server or web application.
    Server,
    /// Not said.
    #[default]
    Other,
}

/// Whether a client is still made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use and maintained.
    #[default]
    Active,
    /// An older place or name of a client that is still in use somewhere.
    Legacy,
    /// No longer made.
    Ended,
}

/// How well a row's facts are established.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The real client was run and listed what we wrote.
    Seen,
    /// From the vendor's own source or documentation.
    High,
    /// From several independent secondary sources.
    Medium,
    /// From one secondary source, or by inference.
    #[default]
    Low,
}

/// One value, or one for each operating system.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerOs {
    /// On every system that has no line of its own.
    #[serde(default)]
    pub all: Candidates,
    /// On Linux.
    #[serde(default)]
    pub linux: Candidates,
    /// On macOS.
    #[serde(default)]
    pub macos: Candidates,
    /// On Windows.
    #[serde(default)]
    pub windows: Candidates,
}

/// Paths in order of preference: the first whose variables are all set, and which exists where the
/// path starts with `?`, is the one. The last without `?` is where a new file goes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Candidates {
    /// Not on this system.
    #[default]
    None,
    /// Always this one.
    One(String),
    /// The first that applies.
    Many(Vec<String>),
}

/// A client's file inside a project.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Relative to the project's root; the first that exists, else the first.
    pub path: Candidates,
    /// Its format, when it is not the user file's.
    #[serde(default)]
    pub format: Option<Format>,
    /// Its container, when it is not the user file's.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub root: Option<Pointer>,
    /// What the user must do before the client reads it, one sentence.
    #[serde(default)]
    pub trust: Option<String>,
    /// Other clients that read the same file in a project.
    #[serde(default)]
    pub read_by: Vec<String>,
    /// The container in the *user's* file that holds servers private to one project; `{root}` stands
    /// for the project's absolute path (`/projects/{root}/mcpServers`). This is scope `local`.
    #[serde(default)]
    pub local: Option<String>,
}

/// How one server is switched off. Exactly one of the three.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disable {
    /// A field of the entry, as a pointer from it (`/disabled`).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub field: Option<Pointer>,
    /// A list of names elsewhere in the file (`/mcp/excluded`).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub list: Option<Pointer>,
    /// A value elsewhere in the file; `{name}` stands for the server.
    #[serde(default)]
    pub set: Option<String>,
    /// The value that means off, for `field` and `set`.
    #[serde(default)]
    pub value: Value,
}

/// How tools are hidden from the model.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// Field of the entry that lists the only tools offered.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub allow: Option<Pointer>,
    /// Field of the entry that lists tools not offered.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub deny: Option<Pointer>,
    /// A member elsewhere in the file for one denied tool, set to `false`
    /// (`/tools/{name}_{tool}`).
    #[serde(default)]
    pub deny_member: Option<String>,
    /// Whether patterns with `*` work in these places.
    #[serde(default)]
    pub patterns: bool,
}

/// The client's own variable syntax.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// How an environment variable is written; `NAME` stands for it (`${env:NAME}`).
    #[serde(default)]
    pub env: Option<String>,
    /// The fields in which it is expanded; empty: in all. Of `command args env url headers`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Every form that is expanded, so that literals that look like one can be refused.
    /// `NAME` stands for the variable (`$NAME`, `${NAME}`, `${NAME:-`).
    #[serde(default)]
    pub expands: Vec<String>,
    /// Field that lists names of variables passed on to the server unchanged (Codex `env_vars`).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub pass_names: Option<Pointer>,
    /// Field that maps a header to the variable that holds its whole value (`env_http_headers`).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub header_names: Option<Pointer>,
    /// Field that names the variable of the bearer token (`bearer_token_env_var`).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub bearer_name: Option<Pointer>,
    /// What happens when a variable is not set, one sentence.
    #[serde(default)]
    pub unset: Option<String>,
}

/// What names of servers a client takes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// Whether only lower-case letters are kept apart.
    #[serde(default)]
    pub lowercase: bool,
    /// Characters besides letters and digits that it takes; left out: `_`, `-` and `.`.
    #[serde(default)]
    pub extra: Option<String>,
    /// Most characters.
    #[serde(default)]
    pub max: Option<usize>,
    /// Names and fragments it cannot take.
    #[serde(default)]
    pub forbid: Vec<String>,
}

/// The lock a client takes around its own writes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockRule {
    /// A directory made beside the file; `{file}` stands for the file (`{file}.lock`).
    pub dir: String,
    /// After how many seconds without a touch the client takes it over.
    pub stale_seconds: u32,
}

/// What a client does when its file is a symbolic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Symlink {
    /// Its own writes go through the link.
    Keeps,
    /// Its own writes put a regular file in the link's place.
    Breaks,
    /// It treats a linked file as missing.
    Unread,
    /// Not established.
    #[default]
    Unknown,
}

/// How a client notices a change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// The kind of reload.
    #[serde(default)]
    pub mode: ReloadMode,
    /// What the user does, one sentence.
    #[serde(default)]
    pub hint: String,
}

/// When a client sees a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReloadMode {
    /// At once.
    Hot,
    /// It sees the change; starting a server may need a click.
    Partial,
    /// After a press of its refresh button.
    Manual,
    /// After a restart of the program.
    Restart,
    /// In the next session.
    NewSession,
    /// Not established.
    #[default]
    Unknown,
}
