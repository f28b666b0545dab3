//! The clients that mcpkeel knows.
//!
//! Invariant: a row is parsed when it is asked for and not before; a run for five clients parses five.

use std::sync::OnceLock;

use super::Client;
use super::spec::Row;

/// Embeds the rows; the ids are the names of the files, in order.
macro_rules! rows {
    ($($id:literal)*) => {
        const IDS: &[&str] = &[$($id),*];
        const ROWS: &[&str] = &[
            $(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/clients/", $id, ".yaml"))),*
        ];
    };
}

rows! {
    "5ire" "amazon-q-cli" "amazon-q-ide" "amp" "antigravity" "anythingllm" "augment" "boltai"
    "claude-code" "claude-desktop" "cline" "codex" "continue" "copilot-cli" "copilot-jetbrains"
    "copilot-xcode" "crush" "cursor" "devin-desktop" "droid" "gemini-cli" "gemini-code-assist"
    "goose" "grok" "jan" "jetbrains-ai-assistant" "jetbrains-air" "junie" "kilo-code" "kimi-code"
    "kiro" "librechat" "lm-studio" "mistral-vibe" "opencode" "openhands-app" "openhands-cli" "qoder"
    "qwen-code" "roo-code" "trae" "visual-studio" "void" "vscode" "vscode-insiders" "warp"
    "windsurf" "witsy" "zed" "zencoder" "zoo-code"
}

static CLIENTS: [OnceLock<Option<Client>>; IDS.len()] = [const { OnceLock::new() }; IDS.len()];

/// The ids of all known clients, sorted.
pub fn ids() -> &'static [&'static str] {
    IDS
}

/// The client of an id.
pub fn find(id: &str) -> Option<&'static Client> {
    let at = IDS.binary_search(&id).ok()?;
    CLIENTS[at].get_or_init(|| Client::check(id, parse(ROWS[at]).ok()?).ok()).as_ref()
}

/// All known clients, sorted by id. Parses every row.
pub fn all() -> impl Iterator<Item = &'static Client> {
    IDS.iter().filter_map(|id| find(id))
}

/// The text of a row as it is written.
pub fn source(id: &str) -> Option<&'static str> {
    IDS.binary_search(&id).ok().map(|at| ROWS[at])
}

/// Reads a row.
pub fn parse(text: &str) -> Result<Row, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}
