use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::{Options, Step};
use super::ledger::Ledger;
use super::view::Plan;
use crate::base::Fingerprint;

/// A plan as `plan --out` writes it: what was agreed to, as fingerprints and steps, never contents.
///
/// Applying it makes the plan again and refuses unless it comes out the same, byte for byte. The
/// fingerprints are keyed with the machine's key, so that nobody who is given the file can try likely
/// contents against them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedPlan {
    kind: String,
    /// The manifest it was made from.
    pub manifest: PathBuf,
    /// The choices it was made with.
    pub options: Options,
    /// The client or client block it was limited to.
    pub only: Option<String>,
    ledger: Fingerprint,
    files: Vec<SavedFile>,
}

const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedFile {
    path: PathBuf,
    before: Option<Fingerprint>,
    after: Option<Fingerprint>,
    steps: Vec<Step>,
}

const KIND: &str = "mcpkeel-plan";

/// What is looked at before the rest of a file is.
#[derive(Deserialize)]
struct Head {
    format_version: u32,
    kind: String,
}

impl SavedPlan {
    /// The version that stands in the file beside it.
    pub const FORMAT: u32 = FORMAT;

    /// Of a plan made now, on the machine with this key.
    pub fn of(
        plan: &Plan,
        ledger: &Ledger,
        manifest: &Path,
        options: Options,
        only: Option<&str>,
        key: &[u8; 32],
    ) -> Self {
        Self {
            kind: KIND.to_owned(),
            manifest: manifest.to_owned(),
            options,
            only: only.map(str::to_owned),
            ledger: ledger_print(ledger, key),
            files: files(plan, key),
        }
    }

    /// From the bytes of a file.
    ///
    /// # Errors
    /// A sentence when it is not a plan of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Ok(head) = serde_json::from_slice::<Head>(bytes) else {
            return Err("it is not a plan".to_owned());
        };
        if head.kind != KIND {
            return Err("it is not a plan".to_owned());
        }
        if head.format_version != FORMAT {
            return Err(format!(
                "its format version is {}, this program reads {FORMAT}",
                head.format_version
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Whether a plan made now would do exactly the same.
    ///
    /// # Errors
    /// A sentence that names the first difference.
    pub fn still_holds(&self, plan: &Plan, ledger: &Ledger, key: &[u8; 32]) -> Result<(), String> {
        let now = files(plan, key);
        for saved in &self.files {
            let name = saved.path.display();
            let Some(file) = now.iter().find(|file| file.path == saved.path) else {
                return Err(format!("the manifest no longer concerns {name}"));
            };
            if file.before != saved.before {
                return Err(format!("{name} changed since the plan was made"));
            }
            if file.after != saved.after || file.steps != saved.steps {
                return Err(format!(
                    "the manifest asks for something else in {name} than when the plan was made"
                ));
            }
        }
        if let Some(new) = now.iter().find(|file| !self.files.iter().any(|saved| saved.path == file.path)) {
            return Err(format!("the manifest now also concerns {}", new.path.display()));
        }
        if ledger_print(ledger, key) != self.ledger {
            return Err("another apply ran since the plan was made".to_owned());
        }
        Ok(())
    }
}

fn files(plan: &Plan, key: &[u8; 32]) -> Vec<SavedFile> {
    let sealed = |print: Option<Fingerprint>| print.map(|print| print.sealed(key));
    plan.files
        .iter()
        .map(|file| SavedFile {
            path: file.wishes.path.clone(),
            before: sealed(file.before),
            after: sealed(file.after()),
            steps: file.steps.clone(),
        })
        .map(|mut file| {
            file.steps.iter_mut().for_each(|step| step.problem = None);
            file
        })
        .collect()
}

fn ledger_print(ledger: &Ledger, key: &[u8; 32]) -> Fingerprint {
    // A ledger is made of maps with text keys, which always serialise.
    Fingerprint::keyed(key, &serde_json::to_vec(ledger).unwrap_or_default())
}
