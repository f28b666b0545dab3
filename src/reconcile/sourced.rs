//! A manifest's source, brought up to date; and what a repository's files may not say.

use std::path::Path;

use super::load::{Care, Loaded, Which, load};
use crate::base::{Diagnostic, Pointer};
use crate::manifest::text::{self, Builtin, Part};
use crate::manifest::{On, Parsed};
use crate::source::{self, Checkout, Fetched, Head, Problem, Revision};
use crate::system::{FileError, System};

/// Fetches the source of a loaded manifest. A new revision counts only when its manifest holds together with the
/// local one.
///
/// # Errors
/// Why there is no new revision; the last good one stays.
pub fn fetch(system: &dyn System, loaded: &Loaded, state_dir: &Path) -> Result<Fetched, Problem> {
    let Some(checkout) = loaded.units.first().and_then(|main| source::of(system, state_dir, main)) else {
        let hint = "write `source: { git: .. }` into it";
        return Err(Problem::new("NoSource", "the manifest names no source to fetch", hint));
    };
    checkout.fetch(&|revision| {
        let candidate = load(system, &loaded.path, state_dir, Which::Exactly(revision), Care::Quick);
        let errors: Vec<&Diagnostic> =
            candidate.diagnostics.iter().filter(|found| found.is_error()).collect();
        match errors.first() {
            Some(first) => Err(invalid(revision, first, errors.len())),
            None => Ok(()),
        }
    })
}

fn invalid(revision: &Revision, first: &Diagnostic, count: usize) -> Problem {
    let place =
        first.place.as_ref().map(|place| format!("{}:{}: ", place.file, place.line)).unwrap_or_default();
    let more = match count {
        1 => String::new(),
        2 => " (and one error more)".to_owned(),
        count => format!(" (and {} errors more)", count - 1),
    };
    let message =
        format!("the manifest of {} does not hold: {place}{}{more}", revision.short(), first.message);
    let hint = match &first.hint {
        Some(hint) => format!("{hint}; mend it in the repository and push"),
        None => "mend it in the repository and push".to_owned(),
    };
    Problem::new("InvalidManifest", message, hint)
}

/// Remembers that what is loaded was applied, whole or in part. Says no when the files of its revision are gone by
/// now, since a newer one was fetched meanwhile.
///
/// # Errors
/// When the state cannot be written.
pub fn mark_applied(
    system: &dyn System,
    loaded: &Loaded,
    state_dir: &Path,
    whole: bool,
) -> Result<bool, FileError> {
    let checkout = loaded.units.first().and_then(|main| source::of(system, state_dir, main));
    match (checkout, loaded.sourced()) {
        (Some(checkout), Some(revision)) => checkout.mark_applied(revision, whole),
        _ => Ok(true),
    }
}

/// That there is no revision to read.
pub(super) fn not_fetched(checkout: &Checkout<'_>, head: &Head) -> Diagnostic {
    let message = match (&head.fetched, &head.problem) {
        (_, Some(problem)) => {
            format!("there is no revision of {} that can be used: {}", checkout.address(), problem.message)
        }
        (Some(_), None) => {
            format!(
                "what was fetched of {} was not verified in the way that is asked for now",
                checkout.address()
            )
        }
        (None, None) => format!("{} was not fetched yet", checkout.address()),
    };
    Diagnostic::error("not-fetched", message).hint("`mcpkeel plan --fetch` fetches it")
}

/// Everything in a repository's file that leads to other files of the machine than the repository's own.
pub(super) fn strays(parsed: &Parsed) -> Vec<Diagnostic> {
    let (Some(file), Some(manifest)) = (&parsed.file, &parsed.manifest) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, pattern) in manifest.include.iter().enumerate() {
        if !is_inside(pattern) {
            let message = "A repository includes only files of its own.";
            let hint = "write a path below the manifest's directory, without `..` and `~`";
            let place = file.place(&Pointer::of(["include", &index.to_string()]).to_string(), On::Value);
            found.push(Diagnostic::error("leads-out", message).at(place).hint(hint));
        }
    }
    for (name, secret) in &manifest.secrets {
        for (store, path) in [("age", &secret.age), ("file", &secret.file)] {
            if path.as_ref().is_some_and(|path| !is_inside_text(path)) {
                let message = "A repository names no secret in a file that is not its own.";
                let hint = format!("declare `{name}` under `secrets` in this machine's own manifest");
                let place = file.place(&Pointer::of(["secrets", name, store]).to_string(), On::Value);
                found.push(Diagnostic::error("leads-out", message).at(place).hint(hint));
            }
        }
    }
    found
}

/// Whether a path stays below the directory it starts from.
pub(super) fn is_inside(path: &str) -> bool {
    !path.starts_with(['/', '~']) && !path.contains(['\\', ':']) && path.split('/').all(|step| step != "..")
}

/// The same of a text that may start with `${manifest_dir}`.
fn is_inside_text(text: &str) -> bool {
    match text::parse(text).as_deref() {
        Ok([Part::Literal(path)]) => is_inside(path),
        Ok([Part::Builtin(Builtin::ManifestDir), Part::Literal(path)]) => {
            path.strip_prefix('/').is_some_and(is_inside)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_paths_stay_inside() {
        for text in ["secrets/x.age", "./x.age", "${manifest_dir}/x.age", "..x"] {
            assert!(is_inside_text(text), "{text}");
        }
        for text in [
            "/etc/passwd",
            "~/x",
            "../x",
            "a/../../x",
            "${home}/x",
            "${env:HOME}/x",
            "${manifest_dir}/../x",
            "${manifest_dir}x",
            "${var:place}/x",
            "C:\\x",
        ] {
            assert!(!is_inside_text(text), "{text}");
        }
    }
}
