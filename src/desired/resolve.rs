use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use crate::base::{Diagnostic, Glob, Secret};
use crate::clients::{self, Client};
use crate::manifest::{File, On, model};

/// Looks a secret of the manifest up by its name.
pub type LookUp<'a> = dyn Fn(&str) -> Result<Secret<String>, Box<Diagnostic>> + 'a;

/// Where a secret is kept, with the manifest that says so.
pub fn source_of<'u>(units: &'u [Unit], name: &str) -> Option<(&'u Unit, &'u model::SecretSource)> {
    units.iter().find_map(|unit| Some((unit, unit.manifest.secrets.get(name)?)))
}

/// What the manifest may ask about the machine.
pub struct Machine<'a> {
    /// `linux`, `macos` or `windows`.
    pub os: &'a str,
    /// The machine's short name.
    pub host: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// The user's home directory.
    pub home: &'a Path,
    /// Environment variables.
    pub var: &'a dyn Fn(&str) -> Option<String>,
    /// The values of the manifest's secrets, for clients whose block says `secrets: write`.
    pub secret: &'a LookUp<'a>,
    /// By which path clients start mcpkeel.
    pub program: &'a dyn Fn() -> PathBuf,
}

/// One manifest file that takes part: the main one first, then its includes.
pub struct Unit {
    /// Its text, for places.
    pub file: Arc<File>,
    /// What it says.
    pub manifest: model::Manifest,
    /// Where it is.
    pub path: PathBuf,
    /// The directory that relative paths start from.
    pub dir: PathBuf,
    /// Set when a repository's revision holds it.
    pub sourced: Option<Sourced>,
    /// The state directory, if it is one that those must be told who are started by clients.
    pub state_dir: Option<PathBuf>,
}

/// Where the files of a repository's revision lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced {
    /// The revision's own directory; nothing in it is ever edited.
    pub tree: PathBuf,
}

/// The manifest resolved for this machine.
pub struct Desired {
    /// Each client block that holds here.
    pub targets: Vec<Target>,
    /// Choices for everything.
    pub settings: model::Settings,
    /// Whether no client block was written at all: then nothing may be pruned.
    pub is_empty: bool,
    /// Client blocks that hold here but cannot be resolved.
    pub failed: Vec<String>,
    /// What is wrong or worth knowing.
    pub diagnostics: Vec<Diagnostic>,
}

/// One client block with what it gets.
pub struct Target {
    /// The block's key.
    pub key: String,
    /// The client it is about.
    pub client: Cow<'static, Client>,
    /// Which of the client's places.
    pub scope: model::Scope,
    /// The project's directory, for the scopes that have one.
    pub root: Option<PathBuf>,
    /// A file of the user's own choice.
    pub path: Option<PathBuf>,
    /// How it reaches its servers.
    pub delivery: model::Delivery,
    /// What happens on drift.
    pub drift: model::Drift,
    /// What happens to servers that are not ours.
    pub unmanaged: model::Unmanaged,
    /// Whether `secrets: write` is set.
    pub writes_secrets: bool,
    /// Its servers, in the manifest's order.
    pub servers: Vec<Chosen>,
    /// Where the block stands.
    pub place: crate::base::Place,
}

/// A server as one client gets it.
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// What it says, still with references.
    pub server: Arc<model::Server>,
    /// The unit that defines it (for `${manifest_dir}` and variables).
    pub unit: usize,
    /// Whether it is switched on.
    pub enabled: bool,
    /// The server's tool filter and the client's, as one.
    pub tools: model::ToolFilter,
}

/// Resolves the units of a manifest for a machine.
///
/// The units have passed `manifest::check`, so names and references are known to be good; what can
/// still go wrong here (a client unknown on this system, a tool filter that cannot be combined)
/// comes back as diagnostics.
pub fn resolve(units: &[Unit], machine: &Machine<'_>) -> Desired {
    let mut diagnostics = Vec::new();
    let settings = units.first().map(|unit| unit.manifest.settings.clone()).unwrap_or_default();
    let servers = servers_here(units, machine);
    let groups: IndexMap<&str, &[String]> = units
        .iter()
        .flat_map(|unit| &unit.manifest.groups)
        .map(|(name, members)| (name.as_str(), members.as_slice()))
        .collect();
    let (mut targets, mut failed) = (Vec::new(), Vec::new());
    for (index, unit) in units.iter().enumerate() {
        for (key, block) in &unit.manifest.clients {
            if !holds(block.when.as_ref(), machine) {
                continue;
            }
            let pointer = format!("/clients/{}", key.replace('~', "~0").replace('/', "~1"));
            let place = unit.file.place(&pointer, On::Key);
            match target(key, block, units, index, &servers, &groups, &settings, machine, &place) {
                Ok(target) => targets.push(target),
                Err(problems) => {
                    failed.push(key.clone());
                    diagnostics.extend(problems);
                }
            }
        }
    }
    let is_empty = units.iter().all(|unit| unit.manifest.clients.is_empty());
    Desired { targets, settings, is_empty, failed, diagnostics }
}

/// One server as the manifest says it, with its own tool filter; none where it does not exist.
pub fn server(units: &[Unit], machine: &Machine<'_>, name: &str) -> Option<Chosen> {
    let (unit, server) = units
        .iter()
        .enumerate()
        .find_map(|(index, unit)| Some((index, unit.manifest.servers.get(name)?)))
        .filter(|(_, server)| holds(server.when.as_ref(), machine))?;
    let tools = server.tools.clone().unwrap_or_default();
    Some(Chosen {
        name: name.to_owned(),
        server: Arc::new(server.clone()),
        unit,
        enabled: server.enabled,
        tools,
    })
}

type Servers = IndexMap<String, (usize, Arc<model::Server>)>;

fn servers_here(units: &[Unit], machine: &Machine<'_>) -> Servers {
    units
        .iter()
        .enumerate()
        .flat_map(|(index, unit)| {
            unit.manifest.servers.iter().map(move |(name, server)| (index, name, server))
        })
        .filter(|(_, _, server)| holds(server.when.as_ref(), machine))
        .map(|(index, name, server)| (name.clone(), (index, Arc::new(server.clone()))))
        .collect()
}

#[allow(clippy::too_many_arguments)]
fn target(
    key: &str,
    block: &model::Client,
    units: &[Unit],
    unit: usize,
    servers: &Servers,
    groups: &IndexMap<&str, &[String]>,
    settings: &model::Settings,
    machine: &Machine<'_>,
    place: &crate::base::Place,
) -> Result<Target, Vec<Diagnostic>> {
    let client = client_of(key, block).map_err(|problems| {
        problems.into_iter().map(|problem| problem.at(place.clone())).collect::<Vec<_>>()
    })?;
    let chosen = choose(&block.servers, servers, groups);
    let except = choose(&block.except, servers, groups);
    let off = choose(&block.disabled, servers, groups);
    let mut problems = Vec::new();
    let servers = chosen
        .union(&off)
        .filter(|name| !except.contains(*name))
        .filter_map(|name| servers.get_key_value(*name))
        .map(|(name, (unit, server))| {
            let tools = combine(server.tools.as_ref(), block.tools.get(name)).unwrap_or_else(|| {
                problems.push(
                    Diagnostic::error(
                        "tool-filters-clash",
                        format!("the tool filters for `{name}` at its server and at client `{key}` are both patterns and cannot be combined"),
                    )
                    .at(place.clone())
                    .hint("name the allowed tools one by one in one of the two places"),
                );
                model::ToolFilter::default()
            });
            let enabled = server.enabled && !off.contains(name.as_str());
            Chosen { name: name.clone(), server: server.clone(), unit: *unit, enabled, tools }
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let path = |text: &Option<String>| match text {
        Some(text) => super::text::path(text, units, unit, machine)
            .map(Some)
            .map_err(|problem| vec![problem.at(place.clone())]),
        None => Ok(None),
    };
    Ok(Target {
        key: key.to_owned(),
        client,
        scope: block.scope.unwrap_or(match block.root {
            Some(_) => model::Scope::Project,
            None => model::Scope::User,
        }),
        root: path(&block.root)?,
        path: path(&block.path)?,
        delivery: block.delivery.unwrap_or(settings.delivery),
        drift: block.drift.unwrap_or(settings.drift),
        unmanaged: match block.unmanaged.unwrap_or(settings.unmanaged) {
            model::Unmanaged::Remove if !block.exclusive => model::Unmanaged::Keep,
            unmanaged => unmanaged,
        },
        writes_secrets: block.secrets == Some(model::SecretPolicy::Write),
        servers,
        place: place.clone(),
    })
}

fn client_of(key: &str, block: &model::Client) -> Result<Cow<'static, Client>, Vec<Diagnostic>> {
    match &block.client {
        Some(model::ClientRef::Row(row)) => Client::check(key, (**row).clone()).map(Cow::Owned),
        Some(model::ClientRef::Id(id)) => known(id),
        None => known(key),
    }
}

fn known(id: &str) -> Result<Cow<'static, Client>, Vec<Diagnostic>> {
    clients::catalog::find(id).map(Cow::Borrowed).ok_or_else(|| {
        let hint = match crate::base::closest(id, clients::catalog::ids().iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`mcpkeel client list` shows the ids; `client: {format: .., path: .., root: ..}` describes a new one".into(),
        };
        vec![Diagnostic::error("unknown-client", format!("no client is called `{id}`")).hint(hint)]
    })
}

/// The servers that a list of servers, groups and `*` stands for, in the manifest's order.
fn choose<'a>(
    names: &'a [String],
    servers: &'a Servers,
    groups: &IndexMap<&'a str, &'a [String]>,
) -> IndexSet<&'a str> {
    let mut chosen = IndexSet::new();
    let mut open: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen = IndexSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        if name == "*" {
            chosen.extend(servers.keys().map(String::as_str));
        } else if let Some(members) = groups.get(name) {
            open.extend(members.iter().map(String::as_str));
        } else {
            chosen.insert(name);
        }
    }
    // The manifest's order, not the list's: adding a group must not reorder a client's file.
    servers.keys().map(String::as_str).filter(|name| chosen.contains(name)).collect()
}

/// Both filters as one; none when two patterns would have to be intersected.
fn combine(
    server: Option<&model::ToolFilter>,
    client: Option<&model::ToolFilter>,
) -> Option<model::ToolFilter> {
    let empty = model::ToolFilter::default();
    let (server, client) = (server.unwrap_or(&empty), client.unwrap_or(&empty));
    let allow = match (server.allow.is_empty(), client.allow.is_empty()) {
        (_, true) => server.allow.clone(),
        (true, false) => client.allow.clone(),
        (false, false) => {
            let passes = |name: &String, filter: &[String]| filter.iter().any(|p| Glob::new(p).matches(name));
            let literal = |names: &[String]| names.iter().all(|name| Glob::new(name).is_literal());
            let both: Vec<String> = if literal(&client.allow) {
                client.allow.iter().filter(|name| passes(name, &server.allow)).cloned().collect()
            } else if literal(&server.allow) {
                server.allow.iter().filter(|name| passes(name, &client.allow)).cloned().collect()
            } else {
                return None;
            };
            if both.is_empty() {
                // An empty list would mean all of them.
                return Some(model::ToolFilter { allow: both, deny: vec!["*".to_owned()] });
            }
            both
        }
    };
    let deny: IndexSet<String> = server.deny.iter().chain(&client.deny).cloned().collect();
    Some(model::ToolFilter { allow, deny: deny.into_iter().collect() })
}

/// Whether all the conditions hold on this machine.
fn holds(when: Option<&model::When>, machine: &Machine<'_>) -> bool {
    let Some(when) = when else { return true };
    let one_of = |patterns: &[String], text: &str| {
        patterns.is_empty() || patterns.iter().any(|pattern| Glob::new(pattern).matches(text))
    };
    let os = when.os.as_slice();
    (os.is_empty() || os.iter().any(|os| os_name(*os) == machine.os))
        && one_of(when.host.as_slice(), machine.host)
        && one_of(when.user.as_slice(), machine.user)
        && when.env.iter().all(|(name, wanted)| match ((machine.var)(name), wanted.0.as_str()) {
            (found, "true") => found.is_some(),
            (found, "false") => found.is_none(),
            (Some(found), pattern) => Glob::new(pattern).matches(&found),
            (None, _) => false,
        })
}

fn os_name(os: model::Os) -> &'static str {
    match os {
        model::Os::Linux => "linux",
        model::Os::Macos => "macos",
        model::Os::Windows => "windows",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: &[&str], deny: &[&str]) -> model::ToolFilter {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        model::ToolFilter { allow: own(allow), deny: own(deny) }
    }

    #[test]
    fn combines_tool_filters_without_widening_either() {
        let combined = |a, b| combine(Some(&a), Some(&b));
        assert_eq!(
            combined(filter(&["get_*"], &["x"]), filter(&["get_a", "put_b"], &["y"])),
            Some(filter(&["get_a"], &["x", "y"]))
        );
        assert_eq!(combined(filter(&[], &[]), filter(&["a*"], &[])), Some(filter(&["a*"], &[])));
        assert_eq!(combined(filter(&["a*"], &[]), filter(&["b*"], &[])), None);
        assert_eq!(combined(filter(&["a"], &[]), filter(&["b"], &[])), Some(filter(&[], &["*"])));
    }

    #[test]
    fn conditions_hold_together_and_patterns_one_of_each() {
        let var = |name: &str| (name == "WORK").then(|| "yes".to_owned());
        let machine = Machine {
            os: "linux",
            host: "work-1",
            user: "me",
            home: Path::new("/h"),
            var: &var,
            secret: &|_| Ok(Secret::new(String::new())),
            program: &|| PathBuf::from("mcpkeel"),
        };
        for (yaml, expected) in [
            ("{os: linux}", true),
            ("{os: [macos, windows]}", false),
            ("{os: linux, host: [home-*, work-*]}", true),
            ("{host: home-*}", false),
            ("{user: m?}", true),
            ("{env: {WORK: true}}", true),
            ("{env: {WORK: 'y*', OTHER: false}}", true),
            ("{env: {OTHER: '*'}}", false),
        ] {
            let when: model::When = serde_yaml::from_str(yaml).expect(yaml);
            assert_eq!(holds(Some(&when), &machine), expected, "{yaml}");
        }
    }
}
