//! What one caller sees at one address: the lists as they are written, and the way behind each name.
//!
//! Invariant: what is not listed here cannot be reached, and why is known.

use std::collections::HashMap;
use std::sync::Arc;

use super::caller::Caller;
use super::names;
use super::setup::Setup;
use super::stock::{List, Stock};
use crate::base::Glob;
use crate::bridge::json::{self, Members};
use crate::bridge::mirror::Said;
use crate::bridge::sieve::Sieve;
use crate::guard::{self, Scope, Verdict};
use crate::manifest::model::{GatewayNames, Policy, ResourceType};

/// Which address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/mcp`: all servers, names with the server in front.
    All,
    /// `/mcp/{server}`: one server, names as it gives them.
    One(String),
}

/// What one caller sees.
pub struct View {
    /// Tools by the name that the caller uses.
    pub tools: HashMap<String, Way>,
    /// Prompts, likewise.
    pub prompts: HashMap<String, Way>,
    /// Resources by their address.
    uris: HashMap<String, Way>,
    /// Patterns of resources, and their servers.
    templates: Vec<(Glob, Way)>,
    /// The lists as JSON arrays, in the order of [`List::ALL`].
    lists: [String; 4],
    /// Its servers that have resources, in order.
    pub with_resources: Vec<String>,
    /// Every server in it, in order.
    pub servers: Vec<String>,
    /// What the policies say of what is not listed.
    rules: Rules,
    /// What the servers say of how they want to be used, as JSON, if they say anything.
    pub instructions: Option<String>,
}

/// The way behind a name.
#[derive(Clone, Debug)]
pub struct Way {
    /// The server.
    pub server: Arc<str>,
    /// What the server calls it.
    pub bare: Arc<str>,
    /// The same as a JSON string.
    pub name: String,
    /// Whether it may be used.
    pub gate: Gate,
    /// Of a tool, the arguments that callers of 2026 say in headers, too.
    pub mirrors: Option<Said>,
}

/// Whether something may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// The policy with this name says no.
    Denied(String),
    /// The policy with this name wants a person to agree.
    Asks(String),
    /// Its definition is not the one that was accepted.
    Held,
}

/// What a view is made from.
pub struct Sources<'a> {
    /// The manifest.
    pub setup: &'a Setup,
    /// What the servers offer.
    pub stocks: &'a HashMap<String, Arc<Stock>>,
    /// Tools that are held, by server.
    pub held: &'a HashMap<String, Vec<String>>,
}

impl View {
    /// What this caller sees at this address. A server that may not be reached is as if it were not there.
    pub fn of(sources: &Sources<'_>, caller: &Caller, endpoint: &Endpoint) -> Self {
        let mut view = Self {
            tools: HashMap::new(),
            prompts: HashMap::new(),
            uris: HashMap::new(),
            templates: Vec::new(),
            lists: Default::default(),
            with_resources: Vec::new(),
            servers: Vec::new(),
            rules: Rules::of(sources.setup, caller),
            instructions: None,
        };
        let mut lists: [Vec<String>; 4] = Default::default();
        let mut instructions = Vec::new();
        let counts = counts(sources);
        for (server, sieve) in reachable(sources.setup, caller, endpoint) {
            view.servers.push(server.to_owned());
            let Some(stock) = sources.stocks.get(server) else { continue };
            let rules = Rules::of(sources.setup, caller);
            let shelf = Shelf { sources, caller, endpoint, server, sieve, stock, counts: &counts, rules };
            shelf.fill(&mut view, &mut lists);
            if stock.can("resources") {
                view.with_resources.push(server.to_owned());
            }
            if let Some(text) = &stock.instructions {
                instructions.push((server, text.as_str()));
            }
        }
        view.lists = lists.map(|elements| format!("[{}]", elements.join(",")));
        view.instructions = match (endpoint, instructions.as_slice()) {
            (_, []) => None,
            (Endpoint::One(_), [(_, text), ..]) => Some((*text).to_owned()),
            (Endpoint::All, all) => {
                let say = |(server, text): &(&str, &str)| {
                    format!("## {server}\n\n{}", json::text(text).unwrap_or_default())
                };
                Some(json::quote(&all.iter().map(say).collect::<Vec<_>>().join("\n\n")))
            }
        };
        view
    }

    /// A list as a JSON array.
    pub fn list(&self, list: List) -> &str {
        let at = List::ALL.iter().position(|other| *other == list).unwrap_or_default();
        &self.lists[at]
    }

    /// The way to a resource that is not listed, at one of the servers.
    pub fn unlisted(&self, server: &str, uri: &str) -> Way {
        let gate = self.rules.gate(server, ResourceType::Resource, uri);
        Way { server: server.into(), bare: uri.into(), name: json::quote(uri), gate, mirrors: None }
    }

    /// The way to a resource whose changes somebody wants to hear of; where nothing names it, to the first server that
    /// has resources.
    pub fn watched(&self, uri: &str) -> Option<Way> {
        self.resource(uri).or_else(|| Some(self.unlisted(self.with_resources.first()?, uri)))
    }

    /// The way to a resource that is listed, or fits a template: both the template and the resource must be allowed.
    pub fn resource(&self, uri: &str) -> Option<Way> {
        if let Some(way) = self.uris.get(uri) {
            return Some(way.clone());
        }
        let (_, template) = self.templates.iter().find(|(glob, _)| glob.matches(uri))?;
        let own = self.unlisted(&template.server, uri);
        Some(match (&template.gate, &own.gate) {
            (Gate::Open, _) | (_, Gate::Denied(_)) => own,
            (stricter, _) => Way { gate: stricter.clone(), ..own },
        })
    }
}

/// The servers a caller can reach at an address, in the manifest's order, with what is seen of each.
fn reachable<'s>(
    setup: &'s Setup,
    caller: &'s Caller,
    endpoint: &'s Endpoint,
) -> impl Iterator<Item = (&'s str, Option<&'s Sieve>)> {
    let block = caller.client.as_ref().map(|key| setup.clients.get(&**key));
    let rules = Rules::of(setup, caller);
    setup.servers.iter().filter_map(move |(name, own)| {
        let sieve = match block {
            // A client block that is gone reaches nothing.
            Some(block) => block?.servers.get(name)?,
            None => own,
        };
        let is_meant = match endpoint {
            Endpoint::All => true,
            Endpoint::One(one) => one == name,
        };
        let may = caller.servers.as_ref().is_none_or(|servers| servers.iter().any(|one| one == name));
        let is_denied =
            is_meant && may && matches!(rules.gate(name, ResourceType::Server, name), Gate::Denied(_));
        (is_meant && may && !is_denied).then_some((name.as_str(), Some(sieve)))
    })
}

/// How many tools or prompts of the manifest's servers would have a name: their own, or the one with the server in
/// front, so that none can pass itself off as another server's.
fn counts(sources: &Sources<'_>) -> HashMap<(List, String), usize> {
    let mut counts = HashMap::new();
    if sources.setup.names == GatewayNames::Bare {
        for server in sources.setup.servers.keys() {
            for list in [List::Tools, List::Prompts] {
                for definition in sources.stocks.get(server).iter().flat_map(|stock| stock.list(list)) {
                    if let Some(name) = Members::of(definition).and_then(|members| members.text("name")) {
                        *counts.entry((list, names::exposed(server, &name))).or_insert(0) += 1;
                        *counts.entry((list, name)).or_insert(0) += 1;
                    }
                }
            }
        }
    }
    counts
}

/// One server's part of a view.
struct Shelf<'a> {
    sources: &'a Sources<'a>,
    caller: &'a Caller,
    endpoint: &'a Endpoint,
    server: &'a str,
    sieve: Option<&'a Sieve>,
    stock: &'a Stock,
    counts: &'a HashMap<(List, String), usize>,
    rules: Rules,
}

impl Shelf<'_> {
    fn fill(&self, view: &mut View, lists: &mut [Vec<String>; 4]) {
        let [tools, resources, templates, prompts] = lists;
        for definition in &self.stock.tools {
            let Some(name) = member(definition, "name") else { continue };
            if self.sieve.is_some_and(|sieve| !sieve.shows(&name)) {
                continue;
            }
            let is_held = self.sources.held.get(self.server).is_some_and(|held| held.contains(&name));
            let gate = if is_held { Gate::Held } else { self.gate(ResourceType::Tool, &name) };
            let (exposed, way) = self.way(List::Tools, &name, gate);
            let way = Way { mirrors: Said::of(definition), ..way };
            if view.tools.contains_key(&exposed) {
                continue;
            }
            if !matches!(way.gate, Gate::Held | Gate::Denied(_)) && self.caller.may(Scope::ToolsRead) {
                tools.push(named(definition, &exposed));
            }
            view.tools.insert(exposed, way);
        }
        for definition in &self.stock.prompts {
            let Some(name) = member(definition, "name") else { continue };
            let (exposed, way) = self.way(List::Prompts, &name, self.gate(ResourceType::Prompt, &name));
            if view.prompts.contains_key(&exposed) {
                continue;
            }
            if !matches!(way.gate, Gate::Denied(_)) && self.caller.may(Scope::PromptsRead) {
                prompts.push(named(definition, &exposed));
            }
            view.prompts.insert(exposed, way);
        }
        for definition in &self.stock.resources {
            let Some(uri) = member(definition, "uri") else { continue };
            let way = self.plain(&uri);
            if view.uris.contains_key(&uri) {
                continue;
            }
            if !matches!(way.gate, Gate::Denied(_)) && self.caller.may(Scope::ResourcesRead) {
                resources.push(definition.clone());
            }
            view.uris.insert(uri, way);
        }
        for definition in &self.stock.templates {
            let Some(template) = member(definition, "uriTemplate") else { continue };
            let way = self.plain(&template);
            if !matches!(way.gate, Gate::Denied(_)) && self.caller.may(Scope::ResourcesRead) {
                templates.push(definition.clone());
            }
            view.templates.push((Glob::new(&pattern(&template)), way));
        }
    }

    fn way(&self, list: List, name: &str, gate: Gate) -> (String, Way) {
        let is_bare = match self.endpoint {
            Endpoint::One(_) => true,
            Endpoint::All => {
                self.sources.setup.names == GatewayNames::Bare
                    && self.counts.get(&(list, name.to_owned())) == Some(&1)
            }
        };
        let exposed = if is_bare { name.to_owned() } else { names::exposed(self.server, name) };
        (
            exposed,
            Way {
                server: self.server.into(),
                bare: name.into(),
                name: json::quote(name),
                gate,
                mirrors: None,
            },
        )
    }

    fn plain(&self, uri: &str) -> Way {
        let gate = self.gate(ResourceType::Resource, uri);
        Way { server: self.server.into(), bare: uri.into(), name: json::quote(uri), gate, mirrors: None }
    }

    fn gate(&self, kind: ResourceType, name: &str) -> Gate {
        self.rules.gate(self.server, kind, name)
    }
}

/// What the policies say to one caller.
struct Rules {
    policies: Arc<Vec<Policy>>,
    client: Option<Arc<str>>,
    client_id: Option<String>,
}

impl Rules {
    fn of(setup: &Setup, caller: &Caller) -> Self {
        let block = caller.client.as_ref().and_then(|key| setup.clients.get(&**key));
        Self {
            policies: Arc::clone(&setup.policies),
            client: caller.client.clone(),
            client_id: block.map(|block| block.id.clone()),
        }
    }

    fn gate(&self, server: &str, kind: ResourceType, name: &str) -> Gate {
        let ask = guard::Ask {
            client: self.client.as_deref(),
            client_id: self.client_id.as_deref(),
            server,
            kind,
            name,
        };
        let judged = guard::judge(&*self.policies, &ask);
        let by = judged.by.unwrap_or_default();
        match judged.verdict {
            Verdict::Allow => Gate::Open,
            Verdict::Deny => Gate::Denied(by),
            Verdict::RequireApproval => Gate::Asks(by),
        }
    }
}

fn member(definition: &str, name: &str) -> Option<String> {
    Members::of(definition)?.text(name)
}

/// A definition under another name; everything else as it is written.
fn named(definition: &str, name: &str) -> String {
    let Some(members) = Members::of(definition) else { return definition.to_owned() };
    match members.get("name") {
        Some(old) => json::splice(definition, old, &json::quote(name)),
        None => definition.to_owned(),
    }
}

/// A URI template as a pattern: an expression stands for anything.
fn pattern(template: &str) -> String {
    let mut pattern = String::new();
    let mut is_inside = false;
    for c in template.chars() {
        match c {
            '{' => {
                is_inside = true;
                pattern.push('*');
            }
            '}' => is_inside = false,
            // What a pattern would read as more than itself; one character of any kind is near enough.
            '*' | '?' | '[' | ']' | '\\' if !is_inside => pattern.push('?'),
            c if !is_inside => pattern.push(c),
            _ => {}
        }
    }
    pattern
}
