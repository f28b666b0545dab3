use std::collections::BTreeSet;

use crate::base::Place;
use crate::desired::Unit;
use crate::manifest::text::{self, Part};
use crate::manifest::{self, On};

/// A text that needs a secret, itself or by a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The secret.
    pub secret: String,
    /// The server, or who is told: `settings.notify[0]`.
    pub server: String,
    /// Where the text stands.
    pub place: Place,
}

/// Every use of a secret, in the order of the manifests.
pub fn uses(units: &[Unit]) -> Vec<Use> {
    let mut found = Vec::new();
    for unit in units {
        let servers = unit.manifest.servers.iter();
        let servers = servers.map(|(name, server)| (name.clone(), manifest::texts_of(name, server)));
        let notify = unit.manifest.settings.notify.iter().enumerate();
        let notify = notify.map(|(index, notify)| {
            (format!("settings.notify[{index}]"), manifest::texts_of_notify(index, notify))
        });
        for (user, texts) in servers.chain(notify) {
            for (at, text) in texts {
                for (secret, fragment) in secrets_in(text, units) {
                    let place = match fragment {
                        Some(fragment) => unit.file.place_of(&at, &fragment),
                        None => unit.file.place(&at, On::Value),
                    };
                    found.push(Use { secret, server: user.clone(), place });
                }
            }
        }
    }
    found
}

/// The secrets that a text needs, with the reference in it that leads there.
fn secrets_in(text: &str, units: &[Unit]) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for part in text::parse(text).unwrap_or_default() {
        let fragment = Some(part.to_string());
        match part {
            Part::Secret(name) => found.push((name, fragment)),
            Part::Var(name) => {
                let mut behind = BTreeSet::new();
                behind_variable(&name, units, 0, &mut behind);
                found.extend(behind.into_iter().map(|secret| (secret, fragment.clone())));
            }
            Part::Literal(_) | Part::Env(_) | Part::Builtin(_) => {}
        }
    }
    found
}

fn behind_variable(name: &str, units: &[Unit], depth: usize, found: &mut BTreeSet<String>) {
    // `manifest::check` refuses cycles; the bound keeps this total on its own.
    let Some(text) = units.iter().find_map(|unit| unit.manifest.vars.get(name)).filter(|_| depth < 16) else {
        return;
    };
    for part in text::parse(text).unwrap_or_default() {
        match part {
            Part::Secret(name) => drop(found.insert(name)),
            Part::Var(name) => behind_variable(&name, units, depth + 1, found),
            Part::Literal(_) | Part::Env(_) | Part::Builtin(_) => {}
        }
    }
}
