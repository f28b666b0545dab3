use std::path::{Path, PathBuf};

use serde::Serialize;

use super::merge;
use super::transaction::{self, Access, After, Change, ClientLock, Done, Outcome, Rework, RunMeta};
use crate::base::{Diagnostic, Fingerprint};
use crate::clients::catalog;
use crate::document::Document;
use crate::plan::{FilePlan, Ledger, Observed, Options, Plan, State, Step, plan_file};
use crate::store::{StateFile, StateLock, Store};
use crate::system::{FileError, System};

/// What apply did.
#[derive(Debug, Default)]
pub struct Applied {
    /// The run's name, if it changed a file.
    pub id: Option<String>,
    /// File by file.
    pub files: Vec<FileReport>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What became of one file.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// As configured.
    pub path: PathBuf,
    /// One or a few words.
    pub outcome: String,
    /// Whether it could not be changed.
    pub failed: bool,
    /// The clients whose file it is.
    pub clients: Vec<String>,
    /// What is there now; none if there is no file.
    #[serde(skip)]
    pub after: Option<Fingerprint>,
    /// Whether it has other bytes now than before.
    #[serde(skip)]
    pub changed: bool,
    /// What stood in the way, if it could not be changed.
    #[serde(skip)]
    pub hindrance: Option<Hindrance>,
}

/// What stood in the way of changing a file, as far as that matters for trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Another program would not stop writing it.
    Contended,
    /// Another program changed it into something that nobody has looked at yet.
    Overtaken,
    /// Its client holds its own lock.
    Locked,
    /// Anything else.
    Failed,
}

impl Hindrance {
    fn of(problem: &transaction::Problem) -> Self {
        use transaction::Problem;
        match problem {
            Problem::Contended { .. } => Self::Contended,
            Problem::ClientLocked { .. } => Self::Locked,
            Problem::Refused(problem) if problem.code == "changed-meanwhile" => Self::Overtaken,
            Problem::Refused(_) | Problem::File(_) => Self::Failed,
        }
    }
}

/// How a plan is carried out.
pub struct Manner<'a> {
    /// What was asked for, for the history: `apply`, `watch`.
    pub command: &'a str,
    /// The manifest's revision, where it has one.
    pub revision: Option<String>,
    /// Whether a file that cannot be changed leaves the others changed.
    pub keep_going: bool,
}

/// Everything that carrying out a plan needs besides the plan.
pub struct Site<'a> {
    /// The machine.
    pub system: &'a dyn System,
    /// The state directory.
    pub store: &'a Store,
    /// Proof that no other run is under way.
    pub lock: &'a StateLock,
}

/// Carries a plan out: all of its files, or none (unless [`Manner::keep_going`]).
///
/// # Errors
/// When a file could not be changed; then every file is as it was, and the failure says so.
pub fn apply(
    site: &Site<'_>,
    plan: &Plan,
    ledger: &Ledger,
    key: &[u8; 32],
    options: Options,
    manner: Manner<'_>,
) -> Result<Applied, Box<transaction::Failure>> {
    let writing: Vec<&FilePlan> = plan.files.iter().filter(|file| file.writes()).collect();
    let mut replan = Replan {
        key,
        options,
        ledger,
        records: writing.iter().map(|file| file.record.clone()).collect(),
        files: writing,
    };
    let changes: Vec<Change> = replan.files.iter().map(|file| change(file)).collect();
    if changes.is_empty() && ledger_after(plan, &replan, ledger, &[]) == *ledger {
        return Ok(Applied::default());
    }
    let Manner { command, revision, keep_going } = manner;
    let meta = RunMeta { command: command.to_owned(), summary: summary(plan), revision, keep_going };
    // `commit` reads what `rework` wrote, one after the other.
    let replan = std::cell::RefCell::new(&mut replan);
    let mut commit = |outcome: &Outcome| {
        let replan = replan.borrow();
        let failed: Vec<&Path> = outcome
            .files
            .iter()
            .filter(|file| matches!(file.done, Done::Failed(_)))
            .map(|file| file.path.as_path())
            .collect();
        let after = ledger_after(plan, &replan, ledger, &failed);
        Ok(vec![ledger_file(&after)?, ledger_before(ledger, &outcome.id)?])
    };
    let mut rework = Shared(&replan);
    let outcome =
        transaction::run(site.system, site.store, site.lock, &meta, changes, &mut rework, &mut commit)?;
    Ok(report(plan, outcome))
}

struct Shared<'r, 'p>(&'r std::cell::RefCell<&'r mut Replan<'p>>);

impl Rework for Shared<'_, '_> {
    fn rework(&mut self, file: usize, found: Option<&[u8]>) -> Result<Option<After>, Box<Diagnostic>> {
        self.0.borrow_mut().again(file, found)
    }

    fn merge(&mut self, file: usize, base: &[u8], one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        merge::merge(self.0.borrow().files[file].wishes.format, base, one, other)
    }
}

/// The ledger as a state file.
pub fn ledger_file(ledger: &Ledger) -> Result<StateFile, FileError> {
    Ok(StateFile { name: "ledger.json".to_owned(), text: text_of(ledger)? })
}

/// The ledger as it was before a run, kept beside the run's backup.
pub fn ledger_before(ledger: &Ledger, id: &str) -> Result<StateFile, FileError> {
    Ok(StateFile { name: format!("backups/{id}.ledger"), text: text_of(ledger)? })
}

fn text_of(ledger: &Ledger) -> Result<String, FileError> {
    crate::store::json_text(Path::new("ledger.json"), 1, ledger)
}

/// Makes the plan of one file again over the bytes that another writer left.
struct Replan<'a> {
    key: &'a [u8; 32],
    options: Options,
    ledger: &'a Ledger,
    files: Vec<&'a FilePlan>,
    records: Vec<Option<crate::plan::FileRecord>>,
}

impl Replan<'_> {
    fn again(&mut self, index: usize, found: Option<&[u8]>) -> Result<Option<After>, Box<Diagnostic>> {
        let agreed = self.files[index];
        let wishes = agreed.wishes.clone();
        let state = match found {
            None => State::Absent,
            Some(bytes) => match Document::parse(wishes.format, bytes.to_vec()) {
                Ok(document) => State::Present(document, Fingerprint::of(bytes)),
                Err(fault) => {
                    let name = wishes.path.display();
                    return Err(Box::new(Diagnostic::error(
                        "malformed-file",
                        format!(
                            "another program just wrote {name}, and line {}: {}",
                            fault.line, fault.message
                        ),
                    )));
                }
            },
        };
        let record = self.ledger.files.get(&wishes.path.display().to_string());
        let observed = Observed { real: agreed.real.clone(), state, is_open: false };
        let again = plan_file(wishes, observed, record, self.key, self.options);
        if let Some(problem) = again.refused {
            return Err(Box::new(problem));
        }
        // What was agreed to is what the entry says in the end, however it came to say something else.
        let is_agreed = |step: &Step| {
            !step.action.is_change() && !step.action.is_refused()
                || agreed.steps.iter().any(|known| {
                    let is_same = known.target == step.target && known.server == step.server;
                    is_same && (known.action == step.action || known.action.writes() && step.action.writes())
                })
        };
        if let Some(new) = again.steps.iter().find(|step| !is_agreed(step)) {
            return Err(Box::new(
                Diagnostic::error(
                    "changed-meanwhile",
                    format!(
                        "another program just changed `{}` in {}: {}",
                        new.server,
                        again.wishes.path.display(),
                        new.why
                    ),
                )
                .hint("look at a fresh plan with `mcpkeel plan`"),
            ));
        }
        let after = after(&again);
        self.records[index] = again.record;
        Ok(after)
    }
}

fn after(file: &FilePlan) -> Option<After> {
    match &file.new {
        Some(bytes) => {
            let access = if file.is_private() { Access::Private } else { Access::Keep };
            Some(After::Write { bytes: bytes.clone(), access })
        }
        None if file.removes_file => Some(After::Remove),
        None => None,
    }
}

fn change(file: &FilePlan) -> Change {
    let path = &file.wishes.path;
    let wished = file.wishes.wishes.iter().find_map(|wish| wish.lock.as_ref());
    let wished = wished.map(|(dir, stale_seconds)| lock_beside(path, dir, *stale_seconds));
    Change {
        path: path.clone(),
        before: file.before,
        // Only files that write are asked for.
        after: after(file).unwrap_or(After::Remove),
        // A client whose block is gone still takes its lock.
        client_lock: wished.or_else(|| file.steps.iter().find_map(|step| client_lock(&step.client, path))),
        create_dirs: true,
    }
}

/// The lock that a known client takes around its writes to a file.
pub fn client_lock(client: &str, path: &Path) -> Option<ClientLock> {
    let rule = catalog::find(client)?.row().lock.as_ref()?;
    Some(lock_beside(path, &rule.dir, rule.stale_seconds))
}

fn lock_beside(path: &Path, dir: &str, stale_seconds: u32) -> ClientLock {
    ClientLock { dir: PathBuf::from(dir.replace("{file}", &path.display().to_string())), stale_seconds }
}

/// The ledger once the plan is carried out, except in the files that failed.
fn ledger_after(plan: &Plan, replan: &Replan<'_>, ledger: &Ledger, failed: &[&Path]) -> Ledger {
    let mut after = ledger.clone();
    for file in &plan.files {
        if file.refused.is_some() || failed.contains(&file.wishes.path.as_path()) {
            continue;
        }
        let written = replan.files.iter().position(|other| other.wishes.path == file.wishes.path);
        let record = written.map_or(&file.record, |index| &replan.records[index]);
        let key = file.wishes.path.display().to_string();
        match record {
            Some(record) => after.files.insert(key, record.clone()),
            None => after.files.remove(&key),
        };
    }
    after
}

fn summary(plan: &Plan) -> String {
    let counts = plan.counts();
    let parts = [
        (counts.create, "created"),
        (counts.update, "updated"),
        (counts.repair, "repaired"),
        (counts.remove, "removed"),
        (counts.record, "adopted as ours"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if said.is_empty() { "books brought up to date".to_owned() } else { said.join(", ") }
}

fn report(plan: &Plan, outcome: Outcome) -> Applied {
    let files = outcome
        .files
        .iter()
        .map(|file| {
            let planned = plan.files.iter().find(|planned| planned.wishes.path == file.path);
            let clients =
                planned.into_iter().flat_map(|planned| &planned.steps).map(|step| step.client.clone());
            let clients: std::collections::BTreeSet<String> = clients.collect();
            let (outcome, failed) = match &file.done {
                Done::Written if file.before.is_none() => ("created".to_owned(), false),
                Done::Written => ("written".to_owned(), false),
                Done::Removed => ("removed".to_owned(), false),
                Done::Unchanged => ("unchanged".to_owned(), false),
                Done::Failed(problem) => (format!("failed ({problem})"), true),
            };
            let changed = matches!(file.done, Done::Written | Done::Removed);
            let hindrance = match &file.done {
                Done::Failed(problem) => Some(Hindrance::of(problem)),
                _ => None,
            };
            let clients = clients.into_iter().collect();
            FileReport {
                path: file.path.clone(),
                outcome,
                failed,
                clients,
                after: file.after,
                changed,
                hindrance,
            }
        })
        .collect();
    Applied { id: Some(outcome.id), files, warnings: outcome.warnings }
}
