use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::cmd;

/// One manifest, every AI client in step.
///
/// Write which MCP servers you use and which client gets which into mcp.yaml; mcpkeel shows what
/// would change in each client's own file, applies it atomically, and can undo it.
#[derive(Debug, Parser)]
#[command(name = "mcpkeel", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Start with `mcpkeel init`, then `mcpkeel plan`, then `mcpkeel apply`.\n\
Exit codes: 0 done or in sync, 1 failed, 2 changes pending, 3 invalid manifest, 4 locked by another run,\n\
5 stale plan, 6 refused by a guard, 64 wrong usage, 130 interrupted.")]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// The manifest [default: $MCPKEEL_MANIFEST, ./mcp.yaml, or mcpkeel/mcp.yaml in the config directory]
    #[arg(short = 'f', long, global = true, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Where the ledger, backups and history are kept [default: $MCPKEEL_STATE_DIR, or the system's place]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Also print what is in sync, and why
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// For a program: one JSON document with `format_version`.
    Json,
    /// For a pull request.
    Markdown,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a manifest from what your clients have now
    Init(cmd::init::Args),
    /// Add servers that clients have to the manifest
    Import(cmd::import::Args),
    /// Check the manifest and say everything that is wrong with it
    Validate(cmd::validate::Args),
    /// Bring the manifest's layout in order; comments stay
    Fmt(cmd::fmt::Args),
    /// Show what apply would change in each client's file
    Plan(cmd::plan::Args),
    /// Bring every client's file in step with the manifest
    Apply(cmd::apply::Args),
    /// Exit with 2 unless every client's file is as the manifest says
    Verify(cmd::verify::Args),
    /// Show how each client stands
    Status(cmd::status::Args),
    /// Show the difference between the live files and the manifest
    Diff(cmd::diff::Args),
    /// Write what is live into the manifest
    Adopt(cmd::adopt::Args),
    /// Stay, and keep every client's file in step with the manifest
    Watch(cmd::watch::Args),
    /// Watch, run the servers, and put one endpoint in front of them
    Up(cmd::up::Args),
    /// Have `watch` leave a client alone for a while
    Suspend(cmd::suspend::Args),
    /// Have `watch` go on with a client
    Resume(cmd::suspend::ResumeArgs),
    /// Let `watch` apply a revision that changes what is run
    Approve(cmd::approve::Args),
    /// List what was done, and what happened in between
    History(cmd::history::Args),
    /// Show what `watch` noticed and did, and what it notices now
    Events(cmd::events::Args),
    /// Take the last apply back
    Undo(cmd::undo::Args),
    /// Copy every managed file into the backups, or list them
    Backup(cmd::backup::Args),
    /// Put files back as they were before an earlier run
    Restore(cmd::restore::Args),
    /// Become a server of the manifest, its secrets looked up; this is what clients start
    Exec(cmd::exec::Args),
    /// Reach the gateway for a client: what clients with `delivery: gateway` start
    Connect(cmd::connect::Args),
    /// Sign in to a server of the protocol's client suites and talk to it
    #[cfg(feature = "conformance")]
    #[command(hide = true)]
    ConformanceClient(cmd::conformance_client::Args),
    /// Call a tool through the gateway and print its result
    Call(cmd::call::Args),
    /// Look at the clients this program knows
    Client(cmd::client::Args),
    /// Store secrets, look after them, encrypt them for others
    Secret(cmd::secret::Args),
    /// Make tokens for the gateway, list and revoke them
    Token(cmd::token::Args),
    /// List policies, and ask what they say about a call
    Policy(cmd::policy::Args),
    /// Answer calls that wait for a person
    Approval(cmd::approval::Args),
    /// See which tools changed since they were accepted, and accept them
    Lock(cmd::lock::Args),
    /// Show what was called, how often, and what it cost in tokens
    Usage(cmd::usage::Args),
    /// Start and stop the servers that `mcpkeel up` runs, and see how they are
    Server(cmd::server::Args),
    /// Keep `watch` running in the background, from login to logout
    Service(cmd::service::Args),
    /// Print the JSON Schema of the manifest
    Schema(cmd::schema::Args),
    /// Explain a field of the manifest
    Explain(cmd::explain::Args),
    /// Look for trouble: paths, permissions, broken links, unreadable files
    Doctor(cmd::doctor::Args),
    /// Print completions for a shell
    Completions(cmd::completions::Args),
    /// Print the manual page
    Man(cmd::man::Args),
}
