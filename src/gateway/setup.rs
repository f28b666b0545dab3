//! What the manifest says to the gateway, made ready.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::bridge::sieve::Sieve;
use crate::clients::Filter;
use crate::desired::{self, Machine, Unit};
use crate::manifest::model::{AuditArguments, Gateway, GatewayNames, Policy, Trust};
use crate::manifest::values;

/// What the manifest says to the gateway.
pub struct Setup {
    /// Every server that may be run here, in the manifest's order, with its own filter.
    pub servers: IndexMap<String, Sieve>,
    /// Every client block that holds here.
    pub clients: IndexMap<String, Client>,
    /// Rules.
    pub policies: Arc<Vec<Policy>>,
    /// How tools are named.
    pub names: GatewayNames,
    /// How many requests a token may make in how long.
    pub rate: Option<(u32, Duration)>,
    /// Names it may be addressed by, without a port, in small letters.
    pub hosts: HashSet<String>,
    /// Pages that may speak to it, in small letters.
    pub origins: HashSet<String>,
    /// Whether tools that nobody has looked at may be used.
    pub trust: Trust,
    /// How long a question to a person stays open.
    pub expire: Duration,
    /// What is kept of arguments.
    pub arguments: AuditArguments,
    /// How long calls are remembered.
    pub keep: Duration,
}

/// A client block.
pub struct Client {
    /// The client's id.
    pub id: String,
    /// Its servers, each with what it may see of it.
    pub servers: IndexMap<String, Sieve>,
}

impl Setup {
    /// From a manifest that is valid; what was not agreed to, for a client block or for anybody, is left out.
    pub fn of(units: &[Unit], machine: &Machine<'_>, is_agreed: &dyn Fn(Option<&str>, &str) -> bool) -> Self {
        let gateway: Gateway =
            units.first().and_then(|unit| unit.manifest.gateway.clone()).unwrap_or_default();
        let resolved = desired::resolve(units, machine);
        let names = units.iter().flat_map(|unit| unit.manifest.servers.keys());
        let servers = names.filter_map(|name| {
            let chosen = desired::server(units, machine, name)?;
            let is_there = chosen.enabled && is_agreed(None, name);
            let chosen = is_there.then_some(chosen)?;
            Some((name.clone(), sieve(&chosen)))
        });
        let clients = resolved.targets.iter().map(|target| {
            let enabled = target
                .servers
                .iter()
                .filter(|chosen| chosen.enabled && is_agreed(Some(&target.key), &chosen.name));
            let servers = enabled.map(|chosen| (chosen.name.clone(), sieve(chosen))).collect();
            (target.key.clone(), Client { id: target.client.id().to_owned(), servers })
        });
        let duration = |text: Option<String>, usual: u64| {
            text.as_deref().and_then(values::duration).unwrap_or(Duration::from_secs(usual))
        };
        let small = |texts: &[String]| texts.iter().map(|text| text.to_ascii_lowercase()).collect();
        let audit = gateway.audit.clone().unwrap_or_default();
        Self {
            servers: servers.collect(),
            clients: clients.collect(),
            policies: Arc::new(units.iter().flat_map(|unit| unit.manifest.policies.clone()).collect()),
            names: gateway.names.unwrap_or_default(),
            rate: gateway.rate_limit.as_deref().and_then(values::rate),
            hosts: small(&gateway.hosts),
            origins: small(&gateway.origins),
            trust: gateway.trust.unwrap_or_default(),
            expire: duration(gateway.approvals.clone().and_then(|approvals| approvals.expire), 600),
            arguments: audit.arguments.unwrap_or_default(),
            keep: duration(audit.keep, 90 * 24 * 3600),
        }
    }
}

fn sieve(chosen: &desired::Chosen) -> Sieve {
    Sieve::new(&Filter { allow: chosen.tools.allow.clone(), deny: chosen.tools.deny.clone() })
}
