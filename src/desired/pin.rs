use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{Chosen, Unit};
use crate::base::Fingerprint;
use crate::manifest::model::{Scalar, SecretSource, Server, Transport};
use crate::manifest::text::{self, Part};

/// What a launch is bound to: a digest of everything in the manifest that decides which program is
/// run or which address is opened, and what it is given.
///
/// It stands in the client's entry, so that a changed manifest shows in the plan, and so that
/// `mcpkeel exec` starts nothing but what was applied. References are taken as they are written:
/// the same manifest has the same pin on every machine, and a secret may change without it.
pub fn pin(chosen: &Chosen, filters: bool, units: &[Unit]) -> String {
    let server = &*chosen.server;
    let mut named = Named::default();
    let texts = texts(server);
    texts.iter().for_each(|text| named.follow(text, units));
    let said = json!({
        "command": server.command,
        "args": server.args,
        "env": pairs(&server.env),
        "cwd": server.cwd,
        "url": server.url,
        "headers": pairs(&server.headers),
        "sse": server.transport == Some(Transport::Sse),
        "tools": filters.then(|| json!([chosen.tools.allow, chosen.tools.deny])),
        "vars": named.vars,
        "secrets": named.secrets,
    });
    Fingerprint::of(said.to_string().as_bytes()).to_string()[..32].to_owned()
}

/// Every text of a server that may hold references.
pub(super) fn texts(server: &Server) -> Vec<&str> {
    let single = [&server.command, &server.cwd, &server.url].into_iter().flatten();
    let pairs = server.env.values().chain(server.headers.values()).map(|text| &text.0);
    single.chain(&server.args).chain(pairs).map(String::as_str).collect()
}

fn pairs(map: &IndexMap<String, Scalar>) -> Vec<(&str, &str)> {
    map.iter().map(|(name, text)| (name.as_str(), text.0.as_str())).collect()
}

/// What texts refer to, through variables of the manifest as well.
#[derive(Default)]
pub(super) struct Named {
    seen: BTreeSet<String>,
    vars: Map<String, Value>,
    /// Where each secret is kept.
    pub(super) secrets: Map<String, Value>,
}

impl Named {
    pub(super) fn follow(&mut self, text: &str, units: &[Unit]) {
        for part in text::parse(text).unwrap_or_default() {
            match part {
                Part::Var(name) if self.seen.insert(name.clone()) => {
                    let found = units.iter().find_map(|unit| unit.manifest.vars.get(&name));
                    if let Some(value) = found {
                        self.follow(value, units);
                        self.vars.insert(name, value.as_str().into());
                    }
                }
                Part::Secret(name) => {
                    let source = super::source_of(units, &name);
                    self.secrets.insert(name, source.map_or(Value::Null, |(_, source)| kept(source)));
                }
                _ => {}
            }
        }
    }
}

fn kept(source: &SecretSource) -> Value {
    json!([source.keyring, source.age, source.env, source.command, source.file])
}
