//! Changes to the manifest's own files: through the same transaction as every other file.

use std::path::{Path, PathBuf};

use super::apply::Site;
use super::recover::Undone;
use super::transaction::{self, Access, After, Change, Rework, RunMeta};
use crate::base::{Diagnostic, Fingerprint};

/// A new text for a manifest.
#[derive(Clone, Debug)]
pub struct ManifestEdit {
    /// The file.
    pub path: PathBuf,
    /// What it was made from; none for a new file.
    pub before: Option<Vec<u8>>,
    /// What it becomes.
    pub after: Vec<u8>,
}

/// Refuses to write over anything that was not there when the work began.
pub struct Refuse;

impl Rework for Refuse {
    fn rework(&mut self, _: usize, _: Option<&[u8]>) -> Result<Option<After>, Box<Diagnostic>> {
        Err(Box::new(
            Diagnostic::error("changed-meanwhile", "another program changed the file at the same moment")
                .hint("look at it, and run the command again"),
        ))
    }
}

/// Refuses files of a repository's revision: the next one would undo what is written there.
///
/// # Errors
/// Names the first.
pub(super) fn refuse_sourced<'p>(
    site: &Site<'_>,
    paths: impl IntoIterator<Item = &'p Path>,
) -> Result<(), Box<transaction::Failure>> {
    let trees = site.store.path("source").join("trees");
    let Some((path, inside)) =
        paths.into_iter().find_map(|path| Some((path, path.strip_prefix(&trees).ok()?)))
    else {
        return Ok(());
    };
    let inside: PathBuf = inside.components().skip(1).collect();
    let message =
        format!("it is `{}` of a revision of the manifest's source, which is not edited", inside.display());
    let hint = "edit it in the repository, commit and push; nothing was changed";
    let problem = Diagnostic::error("sourced", message).hint(hint);
    Err(Box::new(transaction::Failure {
        problem: transaction::Problem::Refused(Box::new(problem)),
        path: Some(path.to_owned()),
        undone: Ok(Undone::default()),
    }))
}

/// Writes new texts of manifests, as one.
///
/// # Errors
/// When one of them changed since, or could not be written; then all are as they were.
pub fn write_manifests(
    site: &Site<'_>,
    command: &str,
    edits: Vec<ManifestEdit>,
) -> Result<(), Box<transaction::Failure>> {
    refuse_sourced(site, edits.iter().map(|edit| edit.path.as_path()))?;
    let names: Vec<String> = edits.iter().map(|edit| super::tilde(site.system, &edit.path)).collect();
    let meta = RunMeta {
        command: command.to_owned(),
        summary: format!("manifest {}", names.join(", ")),
        revision: None,
        keep_going: false,
    };
    let changes = edits
        .into_iter()
        .map(|edit| Change {
            path: edit.path,
            before: edit.before.as_deref().map(Fingerprint::of),
            after: After::Write { bytes: edit.after, access: Access::Keep },
            client_lock: None,
            create_dirs: true,
        })
        .collect();
    let mut nothing = |_: &transaction::Outcome| Ok(Vec::new());
    transaction::run(site.system, site.store, site.lock, &meta, changes, &mut Refuse, &mut nothing)
        .map(|_| ())
}
