//! The doctor: what is in order on this machine, and what wants mending.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::load::{Care, Which, load};
use super::observe::{follow, observe};
use super::survey::{is_installed, places};
use crate::base::mask;
use crate::document::Document;
use crate::plan::{Ledger, State};
use crate::source::{self, Checkout, Head};
use crate::store::{Store, load_json};
use crate::system::{Kind, System};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub what: String,
    /// Whether it wants mending.
    trouble: bool,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    fn good(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), what: what.into(), trouble: false, hint: None }
    }

    fn bad(subject: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { subject: subject.into(), what: what.into(), trouble: true, hint: Some(hint.into()) }
    }

    /// Whether it wants mending.
    pub fn is_trouble(&self) -> bool {
        self.trouble
    }
}

/// Looks at the manifest, the state directory and every client's file. Writes nothing.
pub fn examine(system: &dyn System, store: &Store, manifest: &Path) -> Vec<Finding> {
    let mut findings = examine_manifest(system, store, manifest);
    findings.extend(examine_state(system, store));
    let ledger: Ledger = load_json(system, &store.path("ledger.json"), 1).ok().flatten().unwrap_or_default();
    for (client, place) in places(system) {
        let Some(place) = place else { continue };
        let managed = ledger.files.contains_key(&place.file.display().to_string());
        if managed || is_installed(system, client) {
            findings.extend(examine_file(system, client.name(), &place.file, place.format));
        }
    }
    findings
}

fn examine_manifest(system: &dyn System, store: &Store, path: &Path) -> Vec<Finding> {
    let name = super::shown(system, path);
    let loaded = load(system, path, store.dir(), Which::Newest, Care::Full);
    let is_own = |problem: &&crate::base::Diagnostic| problem.is_error() && problem.code != "not-fetched";
    let finding = match loaded.diagnostics.iter().filter(is_own).count() {
        0 => Finding::good(format!("manifest {name}"), "valid"),
        _ if system.meta(path).is_err() => Finding::bad(
            format!("manifest {name}"),
            "not there",
            "`mcpkeel init` writes one from what your clients have",
        ),
        errors => Finding::bad(
            format!("manifest {name}"),
            format!("{errors} errors"),
            "`mcpkeel validate` shows them",
        ),
    };
    let source = loaded.units.first().and_then(|main| source::of(system, store.dir(), main));
    std::iter::once(finding).chain(source.map(|source| examine_source(&source))).collect()
}

fn examine_source(source: &Checkout<'_>) -> Finding {
    let subject = format!("source {}", source.address());
    match source.head() {
        Err(error) => Finding::bad(subject, error.to_string(), "remove it; the next fetch makes it again"),
        Ok(Head { problem: Some(problem), .. }) => Finding::bad(
            subject,
            format!("{} since {}: {}", problem.reason, problem.since, problem.message),
            problem.hint,
        ),
        Ok(head) => match source.newest(&head) {
            Some(good) => Finding::good(subject, format!("revision {}", good.revision())),
            None => Finding::bad(subject, "not fetched yet", "`mcpkeel plan --fetch` fetches it"),
        },
    }
}

fn examine_state(system: &dyn System, store: &Store) -> Vec<Finding> {
    let subject = format!("state {}", super::tilde(system, store.dir()));
    let mut findings = Vec::new();
    match system.meta(store.dir()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.push(Finding::good(&subject, "not there yet; the first apply makes it"));
        }
        Err(error) => {
            findings.push(Finding::bad(&subject, error.to_string(), "check the permissions of its parents"))
        }
        Ok(meta) if system.os() != "windows" && meta.mode & 0o077 != 0 => findings.push(Finding::bad(
            &subject,
            format!("others can look into it (mode {:o})", meta.mode & 0o777),
            format!("chmod 700 {}", store.dir().display()),
        )),
        Ok(_) => findings.push(Finding::good(&subject, "private")),
    }
    if let Err(error) = load_json::<Ledger>(system, &store.path("ledger.json"), 1) {
        findings.push(Finding::bad(
            "ledger",
            error.to_string(),
            "remove it; entries that are as the manifest says become ours again at the next apply",
        ));
    }
    if store.journal_ids(system).is_ok_and(|ids| !ids.is_empty()) {
        findings.push(Finding::bad(
            "journal",
            "an apply was interrupted",
            "the next `mcpkeel apply` finishes or undoes it",
        ));
    }
    findings
}

fn examine_file(
    system: &dyn System,
    name: &str,
    path: &Path,
    format: crate::document::Format,
) -> Vec<Finding> {
    let subject = format!("{name} {}", super::tilde(system, path));
    let real = match follow(system, path) {
        Ok(real) => real,
        Err(error) => {
            return vec![Finding::bad(
                subject,
                format!("the link cannot be followed: {error}"),
                "mend or remove the link",
            )];
        }
    };
    let is_link = system.meta(path).is_ok_and(|meta| meta.kind == Kind::Link);
    if is_link && system.meta(&real).is_err() {
        return vec![Finding::bad(
            subject,
            format!("a link to {}, which is not there", real.display()),
            "restore the file it points to, or remove the link; apply would create the file",
        )];
    }
    let observed = observe(system, path, format);
    let mut findings = Vec::new();
    match observed.state {
        State::Absent => findings.push(Finding::good(&subject, "not there yet")),
        State::Refused(problem) => {
            let place = problem.place.as_ref().filter(|place| place.line > 0);
            let at = place
                .map_or(String::new(), |place| format!(" at line {}, column {}", place.line, place.column));
            let hint = problem.hint.unwrap_or_default();
            findings.push(Finding::bad(&subject, format!("{}{at}", problem.message), hint));
        }
        State::Present(document, _) => {
            let link =
                if is_link { format!(", a link to {}", super::tilde(system, &real)) } else { String::new() };
            findings.push(Finding::good(&subject, format!("readable{link}")));
            findings.extend(examine_privacy(system, &subject, &real, &document));
        }
    }
    let dir = real.parent().unwrap_or(Path::new("/"));
    match system.meta(dir) {
        Ok(meta) if meta.kind == Kind::Dir && meta.mode & 0o200 == 0 => findings.push(Finding::bad(
            &subject,
            "its directory is read-only, so it cannot be exchanged",
            format!("chmod u+w {}", dir.display()),
        )),
        Ok(meta) if meta.kind != Kind::Dir => {
            findings.push(Finding::bad(
                &subject,
                format!("{} is not a directory", dir.display()),
                "move it out of the way",
            ));
        }
        _ => {}
    }
    findings
}

/// A file that others can read should hold no literal secret.
fn examine_privacy(system: &dyn System, subject: &str, real: &Path, document: &Document) -> Option<Finding> {
    let meta = system.meta(real).ok()?;
    if system.os() == "windows" || meta.mode & 0o044 == 0 {
        return None;
    }
    let value = document.get(&crate::base::Pointer::root()).ok().flatten()?;
    let mut masker = mask::Masker::default();
    masker.learn(&value);
    masker.knows_any().then(|| {
        Finding::bad(
            subject,
            format!("holds what looks like a secret, and others can read it (mode {:o})", meta.mode & 0o777),
            format!("chmod 600 {}; then move the secret into `secrets:` of the manifest", real.display()),
        )
    })
}
