use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::observe::observe;
use super::phrase::{self, Kept, Secrets};
use super::survey::{is_installed, places};
use crate::base::{Diagnostic, Pointer, Step};
use crate::clients::spec::{Confidence, Status};
use crate::clients::{Client, Found, Place};
use crate::desired::{self, Machine, Unit};
use crate::document::{Document, Format, Op};
use crate::manifest::model::{ClientRef, Scope, Server, Transport};
use crate::plan::State;
use crate::secrets::with_machine;
use crate::system::System;

/// What an import found, and the manifest with it.
pub struct Imported {
    /// The manifest's new text.
    pub text: String,
    /// Per client, what was found.
    pub found: Vec<String>,
    /// Literal secrets that became references.
    pub secrets: Vec<String>,
    /// Servers that differ between clients.
    pub conflicts: Vec<String>,
    /// Files that could not be read, and servers that could not be expressed.
    pub skipped: Vec<String>,
    /// The secrets behind the references, which nobody has stored yet.
    pub kept: Vec<Kept>,
}

/// Why nothing could be imported.
#[derive(Debug)]
pub enum ImportError {
    /// No client has this id.
    UnknownClient(String),
    /// The manifest could not be edited.
    Manifest(Diagnostic),
}

/// A new manifest with nothing in it but its explanations.
pub fn skeleton() -> &'static str {
    "# One manifest, every AI client in step. `mcpkeel explain` describes each field.\n\
     # For your editor: `mcpkeel schema > mcp.schema.json`, and a first line\n\
     #   # yaml-language-server: $schema=./mcp.schema.json\n\
     version: 1\n\
     \n\
     # Where secrets are kept, for ${secret:NAME}. Values never stand here.\n\
     secrets: {}\n\
     \n\
     # The MCP servers, by name: a `command` with `args`, or a `url`.\n\
     servers: {}\n\
     \n\
     # Named sets of servers.\n\
     groups: {}\n\
     \n\
     # What each client gets: servers and groups by name, or \"*\" for all.\n\
     clients: {}\n"
}

/// Adds what clients have to a manifest's text. `units` is what the manifest says already, with its
/// includes; `only` names one client; else every installed one
/// is looked at, the best known first.
pub fn import(
    system: &dyn System,
    name: &str,
    text: String,
    units: &[Unit],
    only: Option<&str>,
    into: phrase::Stash,
) -> Result<Imported, ImportError> {
    take_over(system, name, text, units, only, Secrets::beside(units).going(into), |_| true)
}

/// The same for the servers that are `wanted`, with secrets of which some may have been met before.
pub(super) fn take_over(
    system: &dyn System,
    name: &str,
    text: String,
    units: &[Unit],
    only: Option<&str>,
    secrets: Secrets,
    wanted: impl Fn(&Found) -> bool,
) -> Result<Imported, ImportError> {
    let manifest = Manifest::read(system, name, &text, units)?;
    let mut gathered = Gathered { secrets, ..Gathered::default() };
    let mut seen: BTreeSet<(PathBuf, String)> = BTreeSet::new();
    for (client, place) in candidates(system, only)? {
        let observed = observe(system, &place.file, place.format);
        if !seen.insert((observed.real.clone(), place.root.to_string())) {
            continue;
        }
        let document = match observed.state {
            State::Absent => continue,
            State::Refused(problem) => {
                let file = super::tilde(system, &place.file);
                gathered.skipped.push(format!("{} ({file}): {}", client.name(), problem.message));
                continue;
            }
            State::Present(document, _) => document,
        };
        let value = document.get(&Pointer::root()).ok().flatten().unwrap_or_default();
        let servers = client.servers(&place, &value).into_iter().filter(&wanted).collect();
        gathered.take(client, servers, &manifest);
    }
    let mut ops = gathered.secrets.ops();
    ops.append(&mut gathered.ops);
    let edited = manifest.document.edit(&ops).map_err(|fault| cannot_edit(name, &fault))?;
    let text = String::from_utf8(edited.bytes)
        .map_err(|_| ImportError::Manifest(Diagnostic::error("cannot-edit", "the manifest is not UTF-8")))?;
    Ok(Imported {
        text,
        found: gathered.found,
        secrets: gathered.secrets.report.clone(),
        conflicts: gathered.conflicts,
        skipped: gathered.skipped,
        kept: gathered.secrets.kept(),
    })
}

fn cannot_edit(name: &str, fault: &crate::document::Fault) -> ImportError {
    let place =
        crate::base::Place { line: fault.line, column: fault.column, ..crate::base::Place::file(name) };
    ImportError::Manifest(Diagnostic::error("cannot-edit", fault.message.clone()).at(place))
}

fn candidates(system: &dyn System, only: Option<&str>) -> Result<Vec<(&'static Client, Place)>, ImportError> {
    let mut found: Vec<(&'static Client, Place)> = places(system)
        .into_iter()
        .filter_map(|(client, place)| Some((client, place?)))
        .filter(|(client, _)| match only {
            Some(only) => client.id() == only,
            None => is_installed(system, client),
        })
        .collect();
    if let (Some(only), true) = (only, found.is_empty()) {
        return Err(ImportError::UnknownClient(only.to_owned()));
    }
    // Where several rows describe one file, the one that was seen to be right speaks for it.
    found.sort_by_key(|(client, _)| {
        let row = client.row();
        let trust = match row.confidence {
            Confidence::Seen => 0,
            Confidence::High => 1,
            Confidence::Medium => 2,
            Confidence::Low => 3,
        };
        (row.status != Status::Active, trust, client.id())
    });
    Ok(found)
}

/// The manifest as it is, for what it already says.
struct Manifest<'a> {
    document: Document,
    value: Value,
    units: &'a [Unit],
    /// Each server's members, variables filled in.
    servers: BTreeMap<&'a str, Map<String, Value>>,
}

impl<'a> Manifest<'a> {
    fn read(system: &dyn System, name: &str, text: &str, units: &'a [Unit]) -> Result<Self, ImportError> {
        let document = Document::parse(Format::Yaml, text.as_bytes().to_vec())
            .map_err(|fault| cannot_edit(name, &fault))?;
        let value =
            document.get(&Pointer::root()).map_err(|fault| cannot_edit(name, &fault))?.unwrap_or_default();
        let servers = with_machine(system, units, |machine| {
            let all = units.iter().enumerate().flat_map(|(index, unit)| {
                unit.manifest.servers.iter().map(move |(name, server)| (index, name, server))
            });
            all.map(|(index, name, server)| (name.as_str(), said(name, server, units, index, machine)))
                .collect()
        });
        Ok(Self { document, value, units, servers })
    }

    /// The included file that manages a client's user file, if one does.
    fn included_block_of(&self, client: &str) -> Option<&str> {
        let manages = |unit: &&Unit| {
            unit.manifest.clients.iter().any(|(key, block)| {
                let id = match &block.client {
                    Some(ClientRef::Id(id)) => id,
                    Some(ClientRef::Row(_)) => return false,
                    None => key,
                };
                id == client && block.root.is_none() && block.scope.is_none_or(|scope| scope == Scope::User)
            })
        };
        self.units.iter().skip(1).find(manages).map(|unit| unit.file.name.as_str())
    }

    /// The key of the block that manages a client's user file, if there is one.
    fn block_of(&self, client: &str) -> Option<(&String, &Value)> {
        let blocks = self.value.get("clients")?.as_object()?;
        blocks.iter().find(|(key, block)| {
            let id = block.get("client").and_then(Value::as_str).unwrap_or(key);
            let is_user = block.get("root").is_none()
                && block.get("scope").and_then(Value::as_str).is_none_or(|scope| scope == "user");
            id == client && is_user
        })
    }

    /// Whether a block's list of servers and groups covers a server.
    fn covers(&self, block: &Value, server: &str) -> bool {
        let named = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut open: Vec<String> = block.get("servers").map(&named).unwrap_or_default();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if name == "*" || name == server {
                return true;
            }
            let group = self.units.iter().find_map(|unit| unit.manifest.groups.get(&name));
            if let (Some(group), true) = (group, seen.insert(name)) {
                open.extend(group.iter().cloned());
            }
        }
        false
    }
}

/// A server of the manifest as the members that say how it is started or reached.
fn said(
    name: &str,
    server: &Server,
    units: &[Unit],
    unit: usize,
    machine: &Machine<'_>,
) -> Map<String, Value> {
    let launch = desired::reach(server, units, unit, machine);
    let mut members = match launch {
        Ok(launch) => phrase::server(name, &launch, &mut Secrets::plain()),
        // Its secrets are known to a launch only; what it says is compared as it is written.
        Err(_) => written(server),
    };
    let extra = server.extra.iter().map(|(client, extra)| (client.clone(), json!(extra)));
    members.insert("extra".to_owned(), Value::Object(extra.collect()));
    members
}

fn written(server: &Server) -> Map<String, Value> {
    let text = |text: &Option<String>| text.as_deref().map_or(json!([]), Value::from);
    let members = [
        ("command", text(&server.command)),
        ("args", json!(server.args)),
        ("env", json!(server.env)),
        ("cwd", text(&server.cwd)),
        ("url", text(&server.url)),
        ("headers", json!(server.headers)),
        ("transport", if server.transport == Some(Transport::Sse) { "sse".into() } else { json!([]) }),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[derive(Default)]
struct Gathered {
    /// Servers that this import adds, with the client each came from.
    servers: BTreeMap<String, (Map<String, Value>, String)>,
    secrets: Secrets,
    ops: Vec<Op>,
    found: Vec<String>,
    conflicts: Vec<String>,
    skipped: Vec<String>,
}

impl Gathered {
    fn take(&mut self, client: &Client, servers: Vec<Found>, manifest: &Manifest<'_>) {
        if servers.is_empty() {
            return;
        }
        if let Some(file) = manifest.included_block_of(client.id()) {
            self.skipped
                .push(format!("{}: its block stands in {file}; add what is new there", client.name()));
            return;
        }
        let block = manifest.block_of(client.id());
        let mut gets: Vec<String> = Vec::new();
        let mut off: Vec<String> = Vec::new();
        let mut tools = Map::new();
        for found in servers.into_iter().filter(|found| !found.launch.is_ours()) {
            if !is_name(&found.name) {
                self.skipped.push(format!(
                    "`{}` of {}: a name in the manifest is made of letters, digits, `_` and `-`; it stays in the client's file",
                    found.name,
                    client.name()
                ));
                continue;
            }
            if !self.agree(client, &found, manifest) {
                continue;
            }
            let members: Vec<&str> =
                found.rest.keys().map(String::as_str).filter(|member| !client.is_launch(member)).collect();
            if !members.is_empty() {
                self.skipped.push(format!(
                    "{} of `{}`: only {} has these; they stay in its file",
                    members.join(", "),
                    found.name,
                    client.name()
                ));
            }
            if !found.tools.is_empty() {
                let mut filter = Map::new();
                for (word, names) in [("allow", &found.tools.allow), ("deny", &found.tools.deny)] {
                    if !names.is_empty() {
                        filter.insert(word.to_owned(), json!(names));
                    }
                }
                tools.insert(found.name.clone(), Value::Object(filter));
            }
            if found.enabled { gets.push(found.name) } else { off.push(found.name) }
        }
        let counted = gets.len() + off.len();
        self.found.push(format!(
            "{}: {counted} {}",
            client.name(),
            if counted == 1 { "server" } else { "servers" }
        ));
        match block {
            Some((key, block)) => {
                for (list, names) in [("servers", gets), ("disabled", off)] {
                    let at = Pointer::of(["clients", key, list]);
                    for name in names {
                        if manifest.covers(block, &name) {
                            tools.remove(&name);
                            continue;
                        }
                        self.ops
                            .push(Op::Put { at: at.then(Step::Element(name.clone())), value: name.into() });
                    }
                }
                let at = Pointer::of(["clients", key, "tools"]);
                self.ops.extend(tools.into_iter().map(|(name, value)| Op::Put { at: at.key(&name), value }));
            }
            None => {
                let mut block = Map::new();
                block.insert("servers".to_owned(), json!(gets));
                if !off.is_empty() {
                    block.insert("disabled".to_owned(), json!(off));
                }
                if !tools.is_empty() {
                    block.insert("tools".to_owned(), Value::Object(tools));
                }
                self.ops
                    .push(Op::Put { at: Pointer::of(["clients", client.id()]), value: Value::Object(block) });
            }
        }
    }

    /// Adds a server unless it is known; false when it is known as something else.
    fn agree(&mut self, client: &Client, found: &Found, manifest: &Manifest<'_>) -> bool {
        // Texts that only this client can expand go into its own corner, as they are.
        let rest = found.rest.iter().filter(|(member, _)| client.is_launch(member));
        let own: Map<String, Value> = rest.map(|(member, value)| (member.clone(), value.clone())).collect();
        if own.iter().any(|(member, value)| phrase::holds_secret(member, value)) {
            self.skipped.push(format!(
                "`{}` of {}: it mixes a literal secret with texts that only this client expands; it stays in the client's file",
                found.name,
                client.name()
            ));
            return false;
        }
        let corner = |members: &mut Map<String, Value>| {
            members.retain(|member, _| !own.contains_key(member) || member == "command");
            if !own.is_empty() {
                members.insert("extra".to_owned(), json!({ client.id(): own }));
            }
        };
        let mut plain = phrase::server(&found.name, &found.launch, &mut Secrets::plain());
        corner(&mut plain);
        let known = manifest.servers.get(found.name.as_str()).map(|known| (known, "the manifest"));
        let known =
            known.or_else(|| self.servers.get(&found.name).map(|(known, from)| (known, from.as_str())));
        if let Some((known, from)) = known {
            if phrase::is_alike(known, &plain, &self.secrets) {
                return true;
            }
            self.conflicts.push(format!(
                "`{}` of {} is not what {from} has under this name; it stays in the client's file as it is",
                found.name,
                client.name()
            ));
            return false;
        }
        let mut members = phrase::server(&found.name, &found.launch, &mut self.secrets);
        corner(&mut members);
        if let Some(description) = &found.description {
            members.insert("description".to_owned(), description.clone().into());
        }
        let at = Pointer::of(["servers", &found.name]);
        self.ops.push(Op::Put { at, value: Value::Object(members.clone()) });
        self.servers.insert(found.name.clone(), (members, client.name().to_owned()));
        true
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}
