//! The manifest as it is written: raw types, the source of the schema.
//!
//! Invariant: doc comments here are the user's documentation; they appear in the schema, in editors
//! and in `mcpkeel explain`. Names are newtyped only past `desired`.

mod runtime;
mod settings;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clients::spec::Row;

pub use runtime::{
    Approvals, Audit, AuditArguments, Gateway, GatewayNames, HealthCheck, Restart, Start, Supervisor, Trust,
};
pub use settings::{Age, Approve, Backups, Notify, NotifyOn, Settings, Watch};

/// One versioned description of every MCP server and of the clients that may use it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mcpkeel manifest")]
pub struct Manifest {
    /// The version of this language. Always 1, always first.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Further manifests, relative to this one; `*` and `?` match within a directory. A name may be
    /// defined in one file only.
    #[serde(default)]
    #[schemars(example = ["team/*.yaml"])]
    pub include: Vec<String>,
    /// A repository that holds the manifest; this file then only says what is special to this machine.
    #[serde(default)]
    pub source: Option<ManifestSource>,
    /// Texts for `${var:NAME}`. Built in are `${home}`, `${manifest_dir}`, `${host}`, `${os}` and `${user}`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Scalar>")]
    pub vars: IndexMap<String, String>,
    /// Where secrets are kept, for `${secret:NAME}`. The values themselves never stand in a manifest.
    #[serde(default)]
    pub secrets: IndexMap<String, SecretSource>,
    /// The MCP servers, by name.
    #[serde(default)]
    pub servers: IndexMap<String, Server>,
    /// Named sets of servers; a group may name other groups.
    #[serde(default)]
    pub groups: IndexMap<String, Vec<String>>,
    /// What each AI client gets. The key is a client id, or a name of your own with `client:` inside.
    #[serde(default)]
    pub clients: IndexMap<String, Client>,
    /// Rules about which tools, resources and prompts may be used through the gateway.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// The endpoint in front of every server.
    #[serde(default)]
    pub gateway: Option<Gateway>,
    /// How servers are run and kept running.
    #[serde(default)]
    pub supervisor: Option<Supervisor>,
    /// Choices that hold for everything.
    #[serde(default)]
    pub settings: Settings,
}

/// A repository that holds the manifest. Its revisions are fetched by `mcpkeel watch`, and by `plan` and
/// `apply` with `--fetch`, fast-forward
/// only; when one cannot be used, the last good one stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestSource {
    /// A URL (`https://`, `ssh://`, `git@host:path`, `file://`) or a path.
    #[schemars(example = &"https://github.com/me/dotfiles")]
    pub git: String,
    /// The branch. Left out: the one that the repository calls its default.
    #[serde(default)]
    pub branch: Option<String>,
    /// The manifest inside the repository. Left out: `mcp.yaml`.
    #[serde(default)]
    pub path: Option<String>,
    /// How often it is fetched (`5m`, the shortest is `10s`). Left out: `5m`.
    #[serde(default)]
    pub interval: Option<String>,
    /// Whose signature every revision that is applied must have. Left out: none is asked for, and
    /// changes of what is run wait for you (`settings.approve`).
    #[serde(default)]
    pub verify: Option<Verify>,
}

/// Whose signature a revision must have. Exactly one of the members.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Verify {
    /// A file of OpenSSH's `allowed_signers` format, relative to this manifest.
    #[serde(default)]
    pub ssh: Option<String>,
    /// An OpenPGP keyring (`gpg --export`, binary), relative to this manifest.
    #[serde(default)]
    pub pgp: Option<String>,
}

/// Where one secret is kept. Exactly one of the members.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct SecretSource {
    /// Its name in the operating system's keyring.
    #[serde(default)]
    pub keyring: Option<String>,
    /// An age-encrypted file, relative to the manifest.
    #[serde(default)]
    pub age: Option<String>,
    /// An environment variable.
    #[serde(default)]
    pub env: Option<String>,
    /// A program and its arguments that print it; no shell is involved.
    #[serde(default)]
    #[schemars(
        with = "Option<Vec<Scalar>>",
        length(min = 1),
        example = ["op", "read", "op://Work/mcp/token"]
    )]
    pub command: Option<Vec<String>>,
    /// A file that holds it and nothing else, readable by its owner only.
    #[serde(default)]
    pub file: Option<String>,
}

/// One MCP server. It is either a program (`command`), a remote endpoint (`url`), a published
/// `package` or a repository (`source`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// A word to group it by in lists.
    #[serde(default)]
    pub category: Option<String>,
    /// The program to run, found on PATH or as an absolute path.
    #[serde(default)]
    #[schemars(example = &"npx")]
    pub command: Option<String>,
    /// Its arguments. Numbers and truth values are taken as they are written.
    #[serde(default)]
    #[schemars(with = "Vec<Scalar>", example = ["-y", "@modelcontextprotocol/server-memory"])]
    pub args: Vec<String>,
    /// Its environment variables. Numbers and truth values are written as text.
    #[serde(default)]
    pub env: IndexMap<String, Scalar>,
    /// The directory it runs in.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The address of a remote server.
    #[serde(default)]
    #[schemars(example = &"https://mcp.linear.app/mcp")]
    pub url: Option<String>,
    /// HTTP headers sent to a remote server.
    #[serde(default)]
    pub headers: IndexMap<String, Scalar>,
    /// How to speak to a remote server. Left out: streamable HTTP.
    #[serde(default)]
    pub transport: Option<Transport>,
    /// A published package that is run instead of a command.
    #[serde(default)]
    pub package: Option<Package>,
    /// A repository that is fetched, built and run instead of a command.
    #[serde(default)]
    pub source: Option<Source>,
    /// Which of its tools the model may see.
    #[serde(default)]
    pub tools: Option<ToolFilter>,
    /// How it is run by `mcpkeel up`, where that differs from `supervisor`.
    #[serde(default)]
    pub supervisor: Option<Supervisor>,
    /// Where this server exists at all. Left out: everywhere.
    #[serde(default)]
    pub when: Option<When>,
    /// `false` keeps the server in the manifest and switches it off in every client.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// `true` keeps its entries in the clients even when this block is deleted.
    #[serde(default)]
    pub protect: bool,
    /// Fields for one client's entry that this language has no word for, by client id.
    #[serde(default)]
    pub extra: IndexMap<String, IndexMap<String, Value>>,
}

fn yes() -> bool {
    true
}

/// A text. A number or truth value is taken as the text it is written as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("type" = ["string", "number", "boolean"]))]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(Self(value.to_string())),
            _ => Err(serde::de::Error::custom("expected a text, a number or a truth value")),
        }
    }
}

/// How to speak to a remote server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Streamable HTTP, the current transport.
    #[default]
    Http,
    /// HTTP with server-sent events, the transport of 2024.
    Sse,
}

/// A published package. Exactly one of the registries.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// A package of the npm registry, run with npx.
    #[serde(default)]
    pub npm: Option<String>,
    /// A package of PyPI, run with uvx.
    #[serde(default)]
    pub pypi: Option<String>,
    /// A container image.
    #[serde(default)]
    pub oci: Option<String>,
    /// A bundle file or its address.
    #[serde(default)]
    pub mcpb: Option<String>,
    /// A server's name in the MCP registry.
    #[serde(default)]
    pub registry: Option<String>,
    /// The version to run.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>", example = &"2025.4.8")]
    pub version: Option<String>,
    /// Arguments for the server, after the package.
    #[serde(default)]
    #[schemars(with = "Vec<Scalar>")]
    pub args: Vec<String>,
}

/// A repository that is fetched, built and run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `owner/repo`, a URL or a path.
    pub git: String,
    /// A tag, a branch, a commit, or `latest`.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub version: Option<String>,
    /// Programs with their arguments that build it, in order.
    #[serde(default)]
    #[schemars(with = "Vec<Vec<Scalar>>", example = [["npm", "ci"]])]
    pub build: Vec<Vec<String>>,
    /// The program with its arguments that runs it.
    #[schemars(with = "Vec<Scalar>", length(min = 1), example = ["node", "dist/index.js"])]
    pub run: Vec<String>,
}

/// Which tools the model may see. Patterns may hold `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolFilter {
    /// Only these.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Not these, even when allowed.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// Conditions on the machine. All that are given must hold; each holds if one of its patterns does.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Operating systems.
    #[serde(default)]
    pub os: OneOrMany<Os>,
    /// Patterns for the machine's name.
    #[serde(default)]
    pub host: OneOrMany<String>,
    /// Patterns for the user's name.
    #[serde(default)]
    pub user: OneOrMany<String>,
    /// Environment variables: a pattern for the value, or `true` and `false` for set and not set.
    #[serde(default)]
    pub env: IndexMap<String, Scalar>,
}

/// An operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
}

/// One value or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    /// As a slice.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What one AI client gets.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The client's id when the key is a name of your own, or a description of a client that
    /// mcpkeel does not know.
    #[serde(default)]
    pub client: Option<ClientRef>,
    /// Which of the client's places is meant. Left out: the user's file, or the project's when `root` is given.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// The project's directory, for the scopes `project` and `local`.
    #[serde(default)]
    pub root: Option<String>,
    /// A file of your own choice instead of the client's usual place.
    #[serde(default)]
    pub path: Option<String>,
    /// Servers and groups; `"*"` stands for all servers.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Servers and groups that it does not get after all.
    #[serde(default)]
    pub except: Vec<String>,
    /// Servers that it lists but that are switched off, where the client has a switch.
    #[serde(default)]
    pub disabled: Vec<String>,
    /// How this client reaches its servers. Left out: `auto`.
    #[serde(default)]
    pub delivery: Option<Delivery>,
    /// Further tool filters for single servers, on top of the servers' own.
    #[serde(default)]
    pub tools: IndexMap<String, ToolFilter>,
    /// What happens to our entries when somebody else changed them. Left out: `settings.drift`.
    #[serde(default)]
    pub drift: Option<Drift>,
    /// What happens to servers in its file that are not ours. Left out: `settings.unmanaged`.
    #[serde(default)]
    pub unmanaged: Option<Unmanaged>,
    /// `true`: only our servers may stand in its file. Needed for `unmanaged: remove`.
    #[serde(default)]
    pub exclusive: bool,
    /// `write` puts the values of secrets into its file, which then only its owner can read.
    #[serde(default)]
    pub secrets: Option<SecretPolicy>,
    /// Where this block holds. Left out: everywhere.
    #[serde(default)]
    pub when: Option<When>,
}

/// A known client's id, or the description of one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClientRef {
    /// An id from `mcpkeel client list`.
    Id(String),
    /// Where and how the client keeps its servers.
    Row(Box<Row>),
}

/// Which of a client's places is meant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The user's own file: every project.
    #[default]
    User,
    /// A file inside a project, usually shared through its repository.
    Project,
    /// The user's own settings for one project.
    Local,
}

/// How a client reaches a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// `direct` where that is enough, else `exec`.
    #[default]
    Auto,
    /// The client starts the command or opens the address itself.
    Direct,
    /// The client starts `mcpkeel exec NAME`, which resolves secrets and becomes the server.
    Exec,
    /// One entry, `mcpkeel connect`, through which the client reaches all of its servers at the gateway.
    Gateway,
}

/// What happens to our entries when somebody else changed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// Put back what the manifest says.
    #[default]
    Repair,
    /// Say so and leave it.
    Report,
    /// Write what is live into the manifest.
    Adopt,
}

/// What happens to servers in a client's file that are not ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unmanaged {
    /// They stay, and are counted.
    #[default]
    Keep,
    /// One with the name of ours becomes ours and gets our value.
    Adopt,
    /// They are removed, from clients declared `exclusive`.
    Remove,
}

/// Whether the values of secrets may stand in a client's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretPolicy {
    /// Never: as references, or resolved at launch.
    Reference,
    /// Yes, in a file that only its owner can read.
    Write,
}

/// A rule about the use of tools, resources and prompts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What it is called in messages.
    pub name: String,
    /// `global`, `client:ID` or `server:NAME`.
    #[serde(default)]
    pub scope: Option<String>,
    /// What it is about; `server` is everything of a server. Left out: everything that has such a name.
    #[serde(default, rename = "resourceType")]
    pub resource_type: Option<ResourceType>,
    /// Names it applies to; `*` and `?` match. Held against `name`, `server/name` and `server__name`, for `server`
    /// against the server's name.
    pub pattern: String,
    /// The verdict.
    pub action: Action,
    /// Among rules with the same verdict the higher one is named in messages.
    #[serde(default)]
    pub priority: i64,
    /// `false` keeps the rule without applying it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// What a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResourceType {
    /// Tools.
    Tool,
    /// Resources.
    Resource,
    /// Prompts.
    Prompt,
    /// Whole servers.
    Server,
}

/// A policy's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It may be used.
    Allow,
    /// It may not.
    Deny,
    /// A person must agree first.
    RequireApproval,
}
