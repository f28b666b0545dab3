use std::collections::BTreeSet;

use serde_json::Value;

use super::edits::ManifestEdit;
use super::load::Loaded;
use super::phrase::{self, Secrets};
use super::survey;
use crate::base::{Pointer, Step as At};
use crate::clients::{Filter, Found, Launch};
use crate::desired::{self, Chosen, Machine, Target, Unit};
use crate::document::{Document, Format, Op};
use crate::manifest::GATEWAY_ENTRY;
use crate::plan::{Action, FilePlan, Plan, Step};
use crate::system::System;

/// What adopting changes in the manifest.
pub struct Adoption {
    /// One line per server.
    pub lines: Vec<String>,
    /// The manifests' new texts.
    pub edits: Vec<ManifestEdit>,
}

/// Steps whose live side could go into the manifest, in words.
pub fn adoptable(plan: &Plan) -> Vec<String> {
    plan.steps()
        .filter(|step| concerns(step, true))
        .map(|step| format!("{}: `{}`: {}", step.target, step.server, step.why))
        .chain(leaks(plan))
        .collect()
}

/// What is never adopted, in words.
fn leaks(plan: &Plan) -> impl Iterator<Item = String> {
    plan.steps().filter(|step| step.leak).map(|step| {
        format!(
            "{}: `{}`: holds the value of a secret, which never goes into a manifest; `mcpkeel apply` takes it out",
            step.target, step.server
        )
    })
}

/// `asked`: the user asked for it, so drift under every policy and conflicts count as well.
fn concerns(step: &Step, asked: bool) -> bool {
    match step.action {
        _ if step.leak => false,
        Action::Adopt => true,
        Action::Restore | Action::Repair | Action::UpdateDrift | Action::Report | Action::Conflict => asked,
        _ => false,
    }
}

/// Works out how the manifest must change to say what is live.
///
/// # Errors
/// A sentence when a manifest cannot be edited in place.
pub fn adopt(system: &dyn System, loaded: &Loaded, plan: &Plan, asked: bool) -> Result<Adoption, String> {
    let mut adopting = Adopting {
        units: &loaded.units,
        secrets: Secrets::beside(&loaded.units),
        lines: Vec::new(),
        ops: loaded.units.iter().map(|_| Vec::new()).collect(),
        done: BTreeSet::new(),
    };
    crate::secrets::with_machine(system, &loaded.units, |machine| {
        let desired = desired::resolve(&loaded.units, machine);
        for file in &plan.files {
            for step in file.steps.iter().filter(|step| concerns(step, asked)) {
                let target = desired.targets.iter().find(|target| target.key == step.target);
                let chosen = target.and_then(|target| {
                    target
                        .servers
                        .iter()
                        .find(|chosen| chosen.name == step.server)
                        .map(|chosen| (target, chosen))
                });
                let Some((target, chosen)) = chosen else {
                    if step.server == GATEWAY_ENTRY {
                        let line = "is the way to the gateway, so its entry says nothing to adopt";
                        adopting.lines.push(format!("{}: `{}`: {line}", step.target, step.server));
                    }
                    continue;
                };
                let line = match live(file, step, target, system) {
                    Live::Gone => adopting.except(step),
                    Live::Odd => "what is live cannot be said in the manifest; it stays as it is".to_owned(),
                    Live::Found(found, entry) => {
                        adopting.follow(step, target, chosen, &found, &entry, machine)
                    }
                };
                adopting.lines.push(format!("{}: `{}`: {line}", step.target, step.server));
            }
        }
    });
    let Adopting { secrets, mut lines, mut ops, .. } = adopting;
    if asked {
        lines.extend(leaks(plan));
    }
    lines.extend(secrets.report.iter().cloned());
    if let Some(first) = ops.first_mut() {
        first.splice(0..0, secrets.ops());
    }
    let mut edits = Vec::new();
    for (unit, ops) in loaded.units.iter().zip(ops).filter(|(_, ops)| !ops.is_empty()) {
        let before = unit.file.text.clone().into_bytes();
        let name = &unit.file.name;
        let edited = Document::parse(Format::Yaml, before.clone())
            .and_then(|document| document.edit(&ops))
            .map_err(|fault| format!("{name}:{}:{}: {}", fault.line, fault.column, fault.message))?;
        edits.push(ManifestEdit { path: unit.path.clone(), before: Some(before), after: edited.bytes });
    }
    Ok(Adoption { lines, edits })
}

struct Adopting<'a> {
    units: &'a [Unit],
    secrets: Secrets,
    lines: Vec<String>,
    /// By unit.
    ops: Vec<Vec<Op>>,
    /// Servers that one client's file has spoken for.
    done: BTreeSet<String>,
}

impl Adopting<'_> {
    fn except(&mut self, step: &Step) -> String {
        let block = Pointer::of(["clients", &step.target]);
        self.put_in_list(step, block.key("except"));
        "was removed by hand; now in `except`".to_owned()
    }

    /// Makes the manifest say what is live. Returns what was done, as the end of a sentence.
    fn follow(
        &mut self,
        step: &Step,
        target: &Target,
        chosen: &Chosen,
        found: &Found,
        entry: &Value,
        machine: &Machine<'_>,
    ) -> String {
        if found.launch.is_ours() {
            return "is reached through mcpkeel, so its entry says nothing to adopt".to_owned();
        }
        // A directory that cannot be worked out is no drift, so it does not come here.
        let Ok(launch) = desired::reach(&chosen.server, self.units, chosen.unit, machine) else {
            return "cannot be compared here; it stays as it is".to_owned();
        };
        let mut ops =
            phrase::changes(&step.server, &chosen.server, &launch, &found.launch, &mut self.secrets);
        ops.extend(self.extra(chosen, target, entry));
        let follows = !ops.is_empty();
        if follows && !self.done.insert(step.server.clone()) {
            return "was taken from another client already".to_owned();
        }
        self.ops[chosen.unit].append(&mut ops);
        let switched = self.switch(step, chosen, found.enabled);
        let filtered = self.tools(step, target, chosen, found, &launch);
        match (follows || switched == Some(true) || filtered == Some(true), switched, filtered) {
            (_, Some(false), _) => {
                "is switched on there, but `enabled: false` holds for every client; change it by hand"
                    .to_owned()
            }
            (_, _, Some(false)) => {
                "its tools are filtered both at the server and at the client; change that by hand".to_owned()
            }
            (true, ..) => "the manifest now says what is live".to_owned(),
            (false, ..) => "what differs has no word in the manifest; it stays as it is".to_owned(),
        }
    }

    /// Fields that the manifest has for this client alone.
    fn extra(&self, chosen: &Chosen, target: &Target, entry: &Value) -> Vec<Op> {
        let id = target.client.id();
        let at = Pointer::of(["servers", &chosen.name, "extra", id]);
        let extra = chosen.server.extra.get(id).into_iter().flatten();
        let changed = extra.filter(|(key, value)| entry.get(key.as_str()) != Some(*value));
        changed
            .map(|(key, _)| match entry.get(key.as_str()) {
                Some(value) => Op::Put { at: at.key(key), value: value.clone() },
                None => Op::Drop { at: at.key(key) },
            })
            .collect()
    }

    /// None when nothing changes, false when the manifest cannot say it here.
    fn switch(&mut self, step: &Step, chosen: &Chosen, enabled: bool) -> Option<bool> {
        if enabled == chosen.enabled {
            return None;
        }
        let list = Pointer::of(["clients", &step.target, "disabled"]);
        if !enabled {
            self.put_in_list(step, list);
            return Some(true);
        }
        let unit = self.unit_of(step)?;
        let is_listed = self.units[unit].manifest.clients[&step.target].disabled.contains(&step.server);
        if !is_listed || !chosen.server.enabled {
            return Some(false);
        }
        self.ops[unit].push(Op::Drop { at: list.then(At::Element(step.server.clone())) });
        Some(true)
    }

    /// None when nothing changes, false when the manifest says it in two places.
    fn tools(
        &mut self,
        step: &Step,
        target: &Target,
        chosen: &Chosen,
        found: &Found,
        launch: &Launch,
    ) -> Option<bool> {
        let wanted = Filter { allow: chosen.tools.allow.clone(), deny: chosen.tools.deny.clone() };
        // A filter that the manifest does not ask for is the user's own, in the client's file.
        if wanted.is_empty() || target.client.says(launch, &wanted)? == found.tools {
            return None;
        }
        let unit = self.unit_of(step)?;
        let in_client = self.units[unit].manifest.clients[&step.target].tools.contains_key(&step.server);
        let (unit, at) = match (chosen.server.tools.is_some(), in_client) {
            (true, true) => return Some(false),
            (true, false) => (chosen.unit, Pointer::of(["servers", &step.server, "tools"])),
            (false, _) => (unit, Pointer::of(["clients", &step.target, "tools", &step.server])),
        };
        for (word, names) in [("allow", &found.tools.allow), ("deny", &found.tools.deny)] {
            let at = at.key(word);
            self.ops[unit].push(match names.is_empty() {
                true => Op::Drop { at },
                false => Op::Put { at, value: Value::from(names.clone()) },
            });
        }
        Some(true)
    }

    fn put_in_list(&mut self, step: &Step, list: Pointer) {
        if let Some(unit) = self.unit_of(step) {
            let at = list.then(At::Element(step.server.clone()));
            self.ops[unit].push(Op::Put { at, value: Value::from(step.server.as_str()) });
        }
    }

    fn unit_of(&self, step: &Step) -> Option<usize> {
        self.units.iter().position(|unit| unit.manifest.clients.contains_key(&step.target))
    }
}

/// The live side of a step.
enum Live {
    Gone,
    /// Something that is no server, or none that can be said.
    Odd,
    /// Understood, and as it stands there.
    Found(Box<Found>, Value),
}

fn live(file: &FilePlan, step: &Step, target: &Target, system: &dyn System) -> Live {
    let wish = file.wishes.wishes.iter().find(|wish| wish.target == step.target);
    let at = wish
        .and_then(|wish| wish.entries.iter().find(|entry| entry.server == step.server))
        .map(|entry| &entry.at);
    let Some(at) = at else { return Live::Odd };
    let whole = match &file.old {
        Some(document) => document.get(&Pointer::root()),
        None => return Live::Gone,
    };
    let Ok(Some(whole)) = whole else { return Live::Gone };
    let Some(entry) = at.get(&whole) else { return Live::Gone };
    let place = survey::place_of(system, target).ok();
    match place.and_then(|place| target.client.read(&place, at, &whole)) {
        Some(found) => Live::Found(Box::new(found), entry.clone()),
        None => Live::Odd,
    }
}
