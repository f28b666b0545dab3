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
    /// Remote servers that are kept in a container of their own.
    #[serde(default)]
    pub elsewhere: Elsewhere,
    /// Entry of a stdio server. A value that is a token stands for the server's own:
    /// `{name} {command} {args} {argv} {env} {cwd} {description}`; `{argv}` is the command and its
    /// arguments in one list. A field whose token is empty is left out.
    #[serde(default)]
    pub stdio: Option<Template>,
    /// Entry of a streamable HTTP server. Tokens: `{name} {url} {headers} {bearer} {description}`;
    /// `{bearer}` is the token of the header `Authorization: Bearer`, for clients that send no others.
    #[serde(default)]
    pub http: Option<Template>,
    /// Entry of an SSE server. Tokens as for `http`.
    #[serde(default)]
    pub sse: Option<Template>,
    /// What an entry with an address and no type means. Left out: streamable HTTP.
    #[serde(default)]
    pub untyped: Remote,
    /// Fields that are written even when their token is empty (`args: []`, `env: {}`).
    #[serde(default)]
    pub always: Vec<String>,
    /// Fields that mean the same when they are left out, such as the type of a stdio server.
    #[serde(default)]
    pub implied: Implied,
    /// How one server is switched off while its entry stays. Left out: the entry is left out instead.
    #[serde(default)]
    pub disable: Option<Disable>,
    /// How tools are hidden from the model. Left out: the client cannot; `exec` or `gateway` can.
    #[serde(default)]
    pub tools: Option<Tools>,
    /// Whether it joins command and arguments into one line for a shell, so that an argument with a
    /// space or a quote does not arrive as written.
    #[serde(default)]
    pub shell: bool,
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
    /// What one bad entry does to the others.
    #[serde(default)]
    pub bad_entry: BadEntry,
    /// Other clients that read the user's file of this one, if only when told to.
    #[serde(default)]
    pub read_by: Vec<String>,
    /// Other clients whose user's file this one reads, if only when told to.
    #[serde(default)]
    pub reads: Vec<String>,
    /// Paths of which one shows that the client is installed. Left out: the directory of its file.
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

/// Paths in order of preference: the first whose variables are all set, which is absolute, and which
/// exists where the path starts with `?`, is the one. The last without `?` is where a new file goes.
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
    /// Other clients that read the same file in a project, if only when told to.
    #[serde(default)]
    pub read_by: Vec<String>,
    /// The container in the *user's* file that holds servers private to one project; `{root}` stands
    /// for the project's absolute path (`/projects/{root}/mcpServers`). This is scope `local`.
    #[serde(default)]
    pub local: Option<String>,
}

/// Fields that mean the same when they are left out, as pointers from the entry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Implied {
    /// In the entry of a stdio server.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub stdio: Vec<Pointer>,
    /// In the entry of a streamable HTTP server.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub http: Vec<Pointer>,
    /// In the entry of an SSE server.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub sse: Vec<Pointer>,
}

/// Containers of remote servers that do not stand beside the stdio ones.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// Where streamable HTTP servers are kept.
    #[serde(default)]
    pub http: Option<Container>,
    /// Where SSE servers are kept.
    #[serde(default)]
    pub sse: Option<Container>,
}

/// A container of its own, with its own switch and tool filter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// JSON pointer to it.
    #[schemars(with = "String")]
    pub root: Pointer,
    /// For a list: the member that identifies a server. Left out: a map by name.
    #[serde(default)]
    pub list: Option<String>,
    /// How one of its servers is switched off.
    #[serde(default)]
    pub disable: Option<Disable>,
    /// How its tools are hidden from the model.
    #[serde(default)]
    pub tools: Option<Tools>,
}

/// How a client speaks to a remote server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Remote {
    /// Streamable HTTP.
    #[default]
    Http,
    /// HTTP with server-sent events.
    Sse,
}

/// What one bad entry does to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BadEntry {
    /// Nothing: only the bad one is left out.
    Skipped,
    /// All servers of the file are refused, and the client says so.
    Fatal,
    /// All servers of the file are gone without a word.
    Silent,
    /// Not established.
    #[default]
    Unknown,
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
    /// Field of the entry that lists the only tools offered; an empty list may mean all.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub allow: Option<Pointer>,
    /// Field of the entry that lists tools not offered.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub deny: Option<Pointer>,
    /// A list elsewhere in the file of the only tools offered; `{name}` stands for the server.
    #[serde(default)]
    pub allow_at: Option<String>,
    /// A list elsewhere in the file of tools not offered (`/disabled_mcp_tools/{name}`).
    #[serde(default)]
    pub deny_at: Option<String>,
    /// A member elsewhere in the file for one denied tool, set to `false` (`/tools/{id}_{tool}`);
    /// `{id}` is the name with all but letters, digits, `_` and `-` written as `_`.
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
    /// How an environment variable is written; `NAME` stands for it (`${env:NAME}`). Left out: it
    /// knows none, or none that can be relied on.
    #[serde(default)]
    pub env: Option<String>,
    /// The fields in which it is expanded; empty: in all. Of
    /// `command args env cwd url headers`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Every form that is expanded, so that literals that look like one can be refused.
    /// `NAME` stands for an environment variable (`$NAME`, `${NAME}`, `${NAME:-`), `WORD` for a word
    /// of the client's own (`${WORD}`, `${input:WORD}`).
    #[serde(default)]
    pub expands: Vec<String>,
    /// How the beginning of an expansion is written so that it comes out as itself: `$` as `$$`, or
    /// by the default of a variable that is never set. Left out: such a literal is refused.
    #[serde(default)]
    pub escape: BTreeMap<String, String>,
    /// The fields in which `escape` holds; empty: in all that are expanded.
    #[serde(default)]
    pub escape_fields: Vec<String>,
    /// The fields in which the value of a variable is expanded once more, so that a `$` in it does not
    /// arrive as it is.
    #[serde(default)]
    pub again: Vec<String>,
    /// The fields in which a text that is nothing but the name of a set variable is replaced by its
    /// value. Of the same words as `fields`.
    #[serde(default)]
    pub bare: Vec<String>,
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
    /// Whether it takes lower-case letters only.
    #[serde(default)]
    pub lowercase: bool,
    /// Characters besides letters and digits that it takes; left out: `_`, `-` and `.`.
    #[serde(default)]
    pub extra: Option<String>,
    /// Most characters.
    #[serde(default)]
    pub max: Option<usize>,
    /// Whether the first character must be a letter or `_`.
    #[serde(default)]
    pub letter_first: bool,
    /// Names it keeps for itself.
    #[serde(default)]
    pub reserved: Vec<String>,
    /// Fragments that may not stand anywhere in a name.
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
