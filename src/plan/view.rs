use std::fmt::Write as _;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::decide::Action;
use super::file::{FilePlan, Step};
use super::ledger::Ledger;
use crate::base::mask::Masker;
use crate::base::{Diagnostic, Fingerprint};
use crate::document::Document;

/// The longest line that a diff shows; longer ones are cut around the change.
const WIDTH: usize = 240;

/// What would be done to every file.
#[derive(Debug, Default)]
pub struct Plan {
    /// File by file, in the manifest's order.
    pub files: Vec<FilePlan>,
    /// What the user should know besides.
    pub notes: Vec<Diagnostic>,
}

/// How many entries meet which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// New entries.
    pub create: usize,
    /// Entries that change because the manifest did.
    pub update: usize,
    /// Entries that somebody else changed or removed, and that are put right.
    pub repair: usize,
    /// Entries taken out.
    pub remove: usize,
    /// Entries that become ours as they are.
    pub record: usize,
    /// Drift that stays (`drift: report`) or goes into the manifest (`drift: adopt`).
    pub drift: usize,
    /// Conflicts and entries that cannot be written.
    pub refused: usize,
    /// Changes of what is run that wait for a person.
    #[serde(skip_serializing_if = "is_zero")]
    pub held: usize,
    /// Entries in step.
    pub in_sync: usize,
    /// Servers of other people.
    pub foreign: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Plan {
    /// Every step of every file.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.files.iter().flat_map(|file| &file.steps)
    }

    /// The steps counted.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for step in self.steps() {
            let slot = match step.action {
                Action::Create => &mut counts.create,
                Action::Update => &mut counts.update,
                Action::Restore | Action::Repair | Action::UpdateDrift => &mut counts.repair,
                Action::Remove | Action::RemoveForeign => &mut counts.remove,
                Action::Record => &mut counts.record,
                Action::Report | Action::Adopt => &mut counts.drift,
                Action::Conflict | Action::Blocked => &mut counts.refused,
                Action::Held => &mut counts.held,
                Action::Keep | Action::Protected => &mut counts.in_sync,
                Action::Foreign => &mut counts.foreign,
                Action::Forget | Action::Nothing => continue,
            };
            *slot += 1;
        }
        counts
    }

    /// Whether apply would change a file, the manifest, or what is run for a client.
    pub fn has_changes(&self) -> bool {
        // What is behind an entry of the gateway may change while no byte of the file does.
        self.files.iter().any(FilePlan::writes)
            || self.steps().any(|step| matches!(step.action, Action::Adopt | Action::Update))
    }

    /// Whether the ledger would say something else once this is carried out, if only of what is ours.
    pub fn changes_books(&self, ledger: &Ledger) -> bool {
        self.files
            .iter()
            .any(|file| ledger.files.get(&file.wishes.path.display().to_string()) != file.record.as_ref())
    }

    /// Whether a client block could not be resolved, so that nothing of it is planned.
    pub fn has_failed_blocks(&self) -> bool {
        self.notes.iter().any(Diagnostic::is_error)
    }

    /// Whether something the user asked for will not happen, or a live file is not as it should be.
    pub fn is_in_sync(&self) -> bool {
        !self.has_changes()
            && !self.has_failed_blocks()
            && self.files.iter().all(|file| file.refused.is_none())
            && !self
                .steps()
                .any(|step| step.action.is_refused() || matches!(step.action, Action::Report | Action::Held))
    }
}

impl FilePlan {
    /// The fingerprint of the file once this is done; none when it will not exist.
    pub fn after(&self) -> Option<Fingerprint> {
        match &self.new {
            Some(bytes) => Some(Fingerprint::of(bytes)),
            None if self.removes_file => None,
            None => self.before,
        }
    }
}

/// The unified diff of one file, with everything that looks like a secret hidden. Empty when its
/// bytes stay.
pub fn diff_text(file: &FilePlan) -> String {
    if !file.writes() || file.only_closes() {
        return String::new();
    }
    let parse = |bytes: &Vec<u8>| Document::parse(file.wishes.format, bytes.clone()).ok();
    let after = file.new.as_ref().and_then(parse);
    let old = String::from_utf8_lossy(file.old.as_ref().map_or(&[], Document::bytes));
    let new = String::from_utf8_lossy(file.new.as_deref().unwrap_or_default());
    let mut masker = Masker::default();
    for document in [&file.old, &after].into_iter().flatten() {
        if let Ok(Some(value)) = document.get(&crate::base::Pointer::root()) {
            masker.learn(&value);
        }
    }
    for entry in file.wishes.wishes.iter().flat_map(|wish| &wish.entries) {
        for value in entry.hidden.iter() {
            masker.know(value.expose());
            // In a block of text its lines stand by themselves.
            value.expose().lines().for_each(|line| masker.know(line.trim()));
        }
    }
    let name = file.wishes.path.display();
    let mut out = String::new();
    let (from, to) = (
        if file.before.is_some() { format!("a{name}") } else { "/dev/null".to_owned() },
        if file.removes_file { "/dev/null".to_owned() } else { format!("b{name}") },
    );
    // Writing to a String cannot fail.
    let _ = writeln!(out, "--- {from}\n+++ {to}");
    let diff = TextDiff::from_lines(old.as_ref(), new.as_ref());
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        let _ = writeln!(out, "{}", hunk.header());
        let changes: Vec<_> = hunk.iter_changes().collect();
        let focus = first_difference(&changes);
        for change in &changes {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value();
            let text = masker.hide(line.trim_end_matches(['\n', '\r']));
            let _ = writeln!(out, "{sign}{}", cut(&text, focus));
            if !line.ends_with('\n') {
                let _ = writeln!(out, "\\ No newline at end of file");
            }
        }
    }
    out
}

/// In which character the first changed pair of lines of a hunk starts to differ.
fn first_difference(changes: &[similar::Change<&str>]) -> usize {
    let of = |tag| changes.iter().find(|change| change.tag() == tag).map(|change| change.value());
    match (of(ChangeTag::Delete), of(ChangeTag::Insert)) {
        (Some(old), Some(new)) => old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    }
}

/// A line short enough to read: the part around the change.
fn cut(line: &str, focus: usize) -> String {
    let length = line.chars().count();
    if length <= WIDTH {
        return line.to_owned();
    }
    let start = focus.saturating_sub(WIDTH / 4).min(length - WIDTH);
    let part: String = line.chars().skip(start).take(WIDTH).collect();
    let (before, after) = (if start > 0 { "…" } else { "" }, if start + WIDTH < length { "…" } else { "" });
    format!("{before}{part}{after}")
}
