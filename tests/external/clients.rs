//! The real clients, and how each is made to say which servers it reads.
//!
//! To add one: install it in `.ci/install-clients`, give it a row and a function here, a line in `mod.rs`, and the
//! files of `homes/<client>`. A function reports what the client prints, never what a file holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::local_server::LocalServer;
use super::visit::Visit;

/// What a client says it reads.
#[derive(Debug)]
pub struct Listing {
    /// Every server it lists.
    pub names: BTreeSet<String>,
    /// Those that it would use.
    pub enabled: BTreeSet<String>,
}

/// A client that can be asked.
pub struct Client {
    /// As in `manifests/clients`.
    pub id: &'static str,
    /// The one that is run, by its name in `.ci/install-clients`: itself, or another that reads its file.
    pub program: &'static str,
    /// Whether `.ci/install-clients` installs it without being told to.
    pub in_ci: bool,
    /// Makes it list its servers, or says how it refused.
    pub list: fn(&Visit) -> Result<Listing, String>,
}

const fn in_ci(id: &'static str, list: fn(&Visit) -> Result<Listing, String>) -> Client {
    Client { id, program: id, in_ci: true, list }
}

const fn by_hand(id: &'static str, list: fn(&Visit) -> Result<Listing, String>) -> Client {
    Client { id, program: id, in_ci: false, list }
}

/// All of them.
pub const CLIENTS: &[Client] = &[
    in_ci("claude-code", claude_code),
    in_ci("codex", codex),
    in_ci("gemini-cli", gemini_cli),
    by_hand("qwen-code", qwen_code),
    in_ci("opencode", opencode),
    by_hand("kilo-code", kilo_code),
    in_ci("copilot-cli", copilot_cli),
    in_ci("cline", cline),
    by_hand("continue", continue_dev),
    by_hand("augment", augment),
    by_hand("droid", droid),
    in_ci("amp", amp),
    in_ci("grok", grok),
    by_hand("goose", goose),
    by_hand("kimi-code", kimi_code),
    by_hand("mistral-vibe", mistral_vibe),
    // A window that cannot be run here; Grok takes over the servers of its file.
    Client { id: "cursor", program: "grok", in_ci: true, list: cursor_by_grok },
];

impl Client {
    /// What to run, if it is installed.
    pub fn installed_in(&self, clients: &Path) -> Option<PathBuf> {
        let program = clients.join("bin").join(self.program);
        program.exists().then_some(program)
    }
}

/// `name: command - ✔ Connected`; starts the servers that are approved and not switched off.
fn claude_code(visit: &Visit) -> Result<Listing, String> {
    let quiet = [("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"), ("DISABLE_AUTOUPDATER", "1")];
    let ran = visit.run(&["mcp", "list"], &quiet)?.success()?;
    // Below this line entries appear once more, with what is wrong with them.
    let list = ran.out.split("MCP config diagnostics").next().unwrap_or_default();
    Ok(by_state(list.lines().filter_map(|line| {
        let (name, rest) = line.split_once(": ")?;
        let (_, state) = rest.rsplit_once(" - ")?;
        Some((name, !state.starts_with(['⏸', '⊘'])))
    })))
}

/// Starts nothing.
fn codex(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["mcp", "list", "--json"], &[])?.success()?;
    let servers = json_in(&ran.out)?;
    Ok(by_state(elements(&servers).map(|server| (name_of(server), server["enabled"] == true))))
}

/// `✓ name: command (stdio) - Connected`, on standard error. Trusting the folder makes it start the servers, but
/// without trust it calls every server disabled.
fn gemini_cli(visit: &Visit) -> Result<Listing, String> {
    let variables = [("GEMINI_CLI_TRUST_WORKSPACE", "true"), ("GEMINI_CLI_NO_RELAUNCH", "true")];
    let ran = visit.run(&["mcp", "list"], &variables)?.success()?;
    Ok(by_state(
        marked_lines(&ran.said()).map(|(name, state)| (name, !matches!(state, "Disabled" | "Blocked"))),
    ))
}

/// Its list says nothing of `mcp.excluded`, so what counts as used is what it tells a language model about.
fn qwen_code(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["mcp", "list"], &[])?.success()?;
    let said = ran.said();
    // It reports a file that it cannot read and then goes on without it.
    if said.contains("Cannot read") || said.contains("SyntaxError") {
        return Err(said);
    }
    let model = LocalServer::start();
    let url = format!("{}/v1", model.url());
    let variables = [("OPENAI_BASE_URL", url.as_str()), ("OPENAI_MODEL", "fake"), ("OPENAI_API_KEY", "none")];
    visit.run(&["-p", "hi", "--auth-type", "openai"], &variables)?.success()?;
    // Tools of MCP servers are not offered as such but described in a message, to be looked up when needed.
    let is_used = |name: &str| model.was_told(&format!("mcp__{name}__alpha"));
    Ok(by_state(marked_lines(&said).map(|(name, _)| (name, is_used(name)))))
}

/// The resolved configuration; starts nothing, unlike its `mcp list`.
fn opencode(visit: &Visit) -> Result<Listing, String> {
    let offline = [("OPENCODE_DISABLE_AUTOUPDATE", "1"), ("OPENCODE_DISABLE_MODELS_FETCH", "1")];
    let ran = visit.run(&["debug", "config"], &offline)?.success()?;
    let config = json_in(&ran.out)?;
    Ok(by_state(members(&config["mcp"]).map(|(name, server)| (name, server["enabled"] != false))))
}

/// A fork of opencode that kept the command.
fn kilo_code(visit: &Visit) -> Result<Listing, String> {
    opencode(visit)
}

/// Starts nothing; entries that it finds invalid are missing from the list.
fn copilot_cli(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["mcp", "list", "--json"], &[("COPILOT_AUTO_UPDATE", "false")])?.success()?;
    let listed = json_in(&ran.out)?;
    // An entry that says `disabled: true` is not started, although the list calls it enabled.
    let is_on = |server: &Value| server["enabled"] != false && server["disabled"] != true;
    Ok(by_state(members(&listed["mcpServers"]).map(|(name, server)| (name, is_on(server)))))
}

/// Starts nothing. Without a settings file it prints a hint instead of a list.
fn cline(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["config", "mcp", "--json"], &[])?.success()?;
    let servers = json_in(&ran.out)?;
    Ok(by_state(elements(&servers).map(|server| (name_of(server), server["disabled"] != true))))
}

/// The parser that its editor extensions and its terminal program share. It has no switch for a single server.
fn continue_dev(visit: &Visit) -> Result<Listing, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/external/continue.mjs");
    let config = visit.home.join(".continue/config.yaml");
    if !config.exists() {
        return Ok(all_enabled([]));
    }
    let package = visit.clients.join("bin/continue").canonicalize().map_err(|error| error.to_string())?;
    let node = visit.clients.join("bin/node");
    let ran = visit.run_program(&node, &[script, &text(&package), &text(&config)], &[])?.success()?;
    let names = json_in(&ran.out)?;
    Ok(all_enabled(elements(&names).filter_map(Value::as_str)))
}

/// Starts nothing. Asks its maker's servers for more and does without when they do not answer.
fn augment(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["mcp", "list", "--json"], &[])?.success()?;
    if ran.said().contains("Error loading MCP") {
        return Err(ran.said());
    }
    let listed = json_in(&ran.out)?;
    Ok(by_state(elements(&listed["servers"]).map(|server| (name_of(server), server["enabled"] == true))))
}

/// `  name  stdio  connected  [user]`; starts the servers that are on.
fn droid(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["mcp", "list"], &[("FACTORY_DROID_AUTO_UPDATE_ENABLED", "false")])?.success()?;
    let said = ran.said();
    Ok(by_state(said.lines().filter_map(|line| {
        let words: Vec<_> = line.strip_prefix("  ")?.split("  ").map(str::trim).collect();
        let [name, _transport, state, "[user]"] = words[..] else { return None };
        Some((name, state != "disabled"))
    })))
}

/// Starts nothing. It has no switch for a single server: whatever is listed is used.
fn amp(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["mcp", "list", "--json"], &[])?.success()?;
    if ran.err.contains("Invalid JSON") {
        return Err(ran.said());
    }
    let servers = json_in(&ran.out)?;
    Ok(all_enabled(elements(&servers).map(name_of)))
}

/// Starts nothing. Without servers it prints a sentence instead of a list.
fn grok(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["mcp", "list", "--json"], &[])?.success()?;
    let servers = json_in(&ran.out)?;
    Ok(by_state(elements(&servers).map(|server| (name_of(server), server["enabled"] != false))))
}

/// Starts nothing. What Grok finds in its own file and in those of others has a vendor each.
fn cursor_by_grok(visit: &Visit) -> Result<Listing, String> {
    let ran = visit.run(&["inspect", "--json"], &[])?.success()?;
    let found = json_in(&ran.out)?;
    let of_cursor = elements(&found["mcpServers"]).filter(|server| server["vendor"] == "cursor");
    Ok(all_enabled(of_cursor.map(name_of)))
}

/// It only echoes its file when asked, so what counts is what it offers to a language model: `name__tool`.
/// Servers that are off are not shown; those that do not start are named in a warning.
fn goose(visit: &Visit) -> Result<Listing, String> {
    let model = LocalServer::start();
    let url = model.url();
    let variables = [
        ("GOOSE_PROVIDER", "openai"),
        ("GOOSE_MODEL", "fake"),
        ("GOOSE_DISABLE_KEYRING", "1"),
        ("OPENAI_HOST", &url),
        ("OPENAI_API_KEY", "none"),
    ];
    let ran = visit.run(&["run", "--no-session", "-t", "hi"], &variables)?.success()?;
    let said = ran.said();
    let failed = said.split("Failed to start extension '").skip(1).filter_map(|rest| rest.split('\'').next());
    let tools = model.offered_tools();
    Ok(all_enabled(tools.iter().filter_map(|tool| tool.strip_suffix("__alpha")).chain(failed)))
}

/// It has no list either: what counts is what it offers to a language model, `mcp__name__tool`. Servers that are
/// off or do not start are not shown, so the tests give it servers that answer.
fn kimi_code(visit: &Visit) -> Result<Listing, String> {
    let model = LocalServer::start();
    let url = format!("{}/v1", model.url());
    let variables = [
        ("KIMI_MODEL_NAME", "fake"),
        ("KIMI_MODEL_PROVIDER_TYPE", "openai"),
        ("KIMI_MODEL_BASE_URL", &url),
        ("KIMI_MODEL_API_KEY", "none"),
        ("KIMI_CODE_NO_AUTO_UPDATE", "1"),
    ];
    visit.run(&["-p", "hi"], &variables)?.success()?;
    let tools = model.offered_tools();
    Ok(all_enabled(tools.iter().filter_map(|tool| tool.strip_prefix("mcp__")?.strip_suffix("__alpha"))))
}

/// It has no list; this calls the loader in its package. Starts nothing.
fn mistral_vibe(visit: &Visit) -> Result<Listing, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/external/mistral_vibe.py");
    let python = visit.clients.join("mistral-vibe/bin/python");
    let ran = visit.run_program(&python, &[script], &[])?.success()?;
    let servers = json_in(&ran.out)?;
    Ok(by_state(elements(&servers).map(|server| (name_of(server), server["disabled"] != true))))
}

/// A listing of a client that says which servers are on.
fn by_state<'a>(servers: impl IntoIterator<Item = (&'a str, bool)>) -> Listing {
    let servers: BTreeMap<_, _> = servers.into_iter().collect();
    let enabled = servers.iter().filter(|(_, on)| **on).map(|(name, _)| (*name).to_owned()).collect();
    Listing { names: servers.into_keys().map(str::to_owned).collect(), enabled }
}

/// A listing of a client that shows no server that is off, or cannot switch one off.
fn all_enabled<'a>(names: impl IntoIterator<Item = &'a str>) -> Listing {
    by_state(names.into_iter().map(|name| (name, true)))
}

/// Name and state of lines such as `✓ name: command (stdio) - Connected`.
fn marked_lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (mark, rest) = line.split_once(' ')?;
        let (name, rest) = rest.split_once(": ")?;
        let (_, state) = rest.rsplit_once(" - ")?;
        (mark.chars().count() == 1).then_some((name, state))
    })
}

/// The JSON document in a text that may have other lines around it; null when there is none.
fn json_in(text: &str) -> Result<Value, String> {
    let Some(at) =
        text.match_indices(['[', '{']).map(|(at, _)| at).find(|at| text[..*at].ends_with('\n') || *at == 0)
    else {
        return Ok(Value::Null);
    };
    let first = serde_json::Deserializer::from_str(&text[at..]).into_iter().next();
    first.expect("there is a bracket").map_err(|error| format!("{error} in what the client printed:\n{text}"))
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn members(map: &Value) -> impl Iterator<Item = (&str, &Value)> {
    map.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn name_of(server: &Value) -> &str {
    server["name"].as_str().unwrap_or("(a server without a name)")
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}
