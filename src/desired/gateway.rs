//! One entry in place of many: a client that reaches its servers at the gateway.
//!
//! Invariant: the entry's pin changes with everything that decides what is run for the client behind it.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::delivery::starts;
use super::ours::Us;
use super::wish::{Behind, Entry, usual_place};
use super::{Machine, Target, Unit, pin};
use crate::base::{Diagnostic, Fingerprint};
use crate::clients::{Filter, Launch, Place, Wanted};
use crate::manifest::GATEWAY_ENTRY;

/// What a client block that reaches its servers at the gateway wants to stand in its file: one entry, and the
/// servers that this version cannot run, each with the reason.
pub(super) fn entries(
    target: &Target,
    place: &Place,
    units: &[Unit],
    machine: &Machine<'_>,
    notes: &mut Vec<Diagnostic>,
) -> Vec<Entry> {
    if target.servers.is_empty() {
        return Vec::new();
    }
    let (mut behind, mut refused) = (IndexMap::new(), Vec::new());
    for chosen in target.servers.iter().filter(|chosen| chosen.enabled) {
        let pin = pin(chosen, true, units);
        match starts(target, chosen, place, units, machine) {
            Ok(starts) => drop(behind.insert(chosen.name.clone(), Behind { pin, starts })),
            Err(problem) => {
                let at = usual_place(&chosen.name, place);
                let problem = problem.at(target.place.clone());
                refused.push(Entry { blocked: Some(problem), pin, ..Entry::new(&chosen.name, at) });
            }
        }
    }
    let mut entries = vec![entry(target, behind, place, units, machine, notes)];
    if let Some(only) = entries.first_mut().filter(|entry| entry.behind.is_empty() && !refused.is_empty()) {
        let problem = Diagnostic::error("nothing-behind", "none of its servers can be run by this version");
        only.blocked.get_or_insert(problem.at(target.place.clone()));
    }
    entries.append(&mut refused);
    entries
}

fn entry(
    target: &Target,
    behind: IndexMap<String, Behind>,
    place: &Place,
    units: &[Unit],
    machine: &Machine<'_>,
    notes: &mut Vec<Diagnostic>,
) -> Entry {
    let us = Us { target, units, machine };
    let mut args = vec!["connect".to_owned(), "--client".to_owned(), target.key.clone()];
    args.extend(us.manifest());
    args.extend(us.state_dir());
    let wanted = Wanted {
        name: GATEWAY_ENTRY.to_owned(),
        description: None,
        launch: us.launch(args, &[]),
        // Where everything is switched off, so is the way to it.
        enabled: !behind.is_empty() || target.servers.iter().any(|chosen| chosen.enabled),
        tools: Filter::default(),
        extra: IndexMap::new(),
    };
    let mut rendered = target.client.render(&wanted, place);
    for problem in &mut rendered.problems {
        say_how(target, &wanted.launch, problem);
    }
    let names: Vec<&str> = behind.keys().map(String::as_str).collect();
    let why = format!("gateway, as asked: {}", names.join(", "));
    let entry = Entry {
        why,
        pin: digest(&behind),
        behind,
        ..Entry::new(GATEWAY_ENTRY, usual_place(GATEWAY_ENTRY, place))
    };
    entry.rendered(rendered, target, notes)
}

/// A client that starts no programs needs the address itself.
fn say_how(target: &Target, launch: &Launch, problem: &mut Diagnostic) {
    if problem.code == "no-stdio" && matches!(launch, Launch::Stdio { .. }) {
        problem.message =
            format!("{} starts no programs, so not `mcpkeel connect` either", target.client.name());
        problem.hint = Some(
            "write a server with the gateway's address as its `url`, and a token of `mcpkeel token create` in its headers"
                .to_owned(),
        );
    }
}

/// Which servers can be reached, and what is run for each.
fn digest(behind: &IndexMap<String, Behind>) -> String {
    let mut pins: Vec<(&str, &str)> =
        behind.iter().map(|(name, server)| (name.as_str(), server.pin.as_str())).collect();
    pins.sort_unstable();
    let said: Value = json!({ "behind": pins });
    Fingerprint::of(said.to_string().as_bytes()).to_string()[..32].to_owned()
}
