use std::collections::BTreeSet;

use serde_json::Value;

use super::edits::ManifestEdit;
use super::load::Loaded;
use super::phrase::{self, Secrets};
use super::survey;
use crate::base::{Pointer, Step as At};
use crate::desired;
use crate::document::{Document, Format, Op};
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
        .collect()
}

/// `asked`: the user asked for it, so drift under every policy and conflicts count as well.
fn concerns(step: &Step, asked: bool) -> bool {
    match step.action {
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
    let taken = loaded.units.iter().flat_map(|unit| unit.manifest.secrets.keys().cloned());
    let mut secrets = Secrets::beside(taken);
    let mut lines = Vec::new();
    let mut ops: Vec<Vec<Op>> = loaded.units.iter().map(|_| Vec::new()).collect();
    let mut done = BTreeSet::new();
    survey::with_machine(system, |machine| {
        let desired = desired::resolve(&loaded.units, machine);
        for file in &plan.files {
            for step in file.steps.iter().filter(|step| concerns(step, asked)) {
                let Some(target) = desired.targets.iter().find(|target| target.key == step.target) else {
                    continue;
                };
                let found = live(file, step, target, system);
                let Some(found) = found else {
                    if let Some(unit) =
                        loaded.units.iter().position(|unit| unit.manifest.clients.contains_key(&step.target))
                    {
                        let at = Pointer::of(["clients", &step.target, "except"])
                            .then(At::Element(step.server.clone()));
                        ops[unit].push(Op::Put { at, value: Value::from(step.server.as_str()) });
                        lines.push(format!(
                            "{}: `{}` was removed by hand: now in `except`",
                            step.target, step.server
                        ));
                    }
                    continue;
                };
                let Some(chosen) = target.servers.iter().find(|chosen| chosen.name == step.server) else {
                    continue;
                };
                let Ok(launch) = desired::launch(target, chosen, &loaded.units, machine) else { continue };
                if !done.insert(step.server.clone()) {
                    lines.push(format!(
                        "{}: `{}` was taken from another client already",
                        step.target, step.server
                    ));
                    continue;
                }
                ops[chosen.unit].extend(phrase::changes(&step.server, &launch, &found.launch, &mut secrets));
                lines.push(format!("{}: `{}`: the manifest now says what is live", step.target, step.server));
            }
        }
    });
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

/// The live entry behind a step, understood.
fn live(
    file: &FilePlan,
    step: &Step,
    target: &desired::Target,
    system: &dyn System,
) -> Option<crate::clients::Found> {
    let wish = file.wishes.wishes.iter().find(|wish| wish.target == step.target)?;
    let at = &wish.entries.iter().find(|entry| entry.server == step.server)?.at;
    let value = file.old.as_ref()?.get(&Pointer::root()).ok().flatten()?;
    let place = survey::place_of(system, target).ok()?;
    target.client.read(&place, at, &value)
}
