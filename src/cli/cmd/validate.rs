use std::path::Path;

use clap::ValueEnum;

use super::super::diagnostics;
use super::super::failure::Failure;
use super::super::findings::{self, Paths};
use super::super::session::Session;
use crate::base::{Diagnostic, Severity};
use crate::reconcile::{self, Care, Which};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exits with 0 when the manifest can be used and with 3 when it cannot.")]
pub struct Args {
    /// How to print the findings
    #[arg(long, value_enum, default_value_t)]
    format: Shape,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Shape {
    /// For a person.
    #[default]
    Text,
    /// For a program.
    Json,
    /// For a pull request.
    Markdown,
    /// For code scanning, such as GitHub's.
    Sarif,
    /// For GitLab: a code quality report.
    Gitlab,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.read(Which::Newest, Care::Full);
    let mut found = loaded.diagnostics.clone();
    // What is not here cannot be judged, and the file by itself may be right.
    for problem in found.iter_mut().filter(|problem| problem.code == "not-fetched") {
        problem.severity = Severity::Note;
    }
    if !session.out.verbose && matches!(args.format, Shape::Text) {
        found.retain(|problem| problem.severity != Severity::Note);
    }
    let invalid = found
        .iter()
        .any(|problem| problem.is_error() || args.strict && problem.severity == Severity::Warning);
    match args.format {
        Shape::Json => session.out.data(diagnostics::json(&found)),
        Shape::Sarif | Shape::Gitlab => report(session, args.format, &found, &loaded),
        Shape::Markdown => session.out.data(diagnostics::markdown(&found)),
        Shape::Text => print(session, &found, &loaded),
    }
    Ok(if invalid { 3 } else { 0 })
}

/// Paths are those of the repository that the working directory lies in, if it lies in one.
fn report(session: &mut Session<'_>, format: Shape, found: &[Diagnostic], loaded: &reconcile::Loaded) {
    let system = session.system;
    let cwd = system.cwd().unwrap_or_default();
    let root = cwd.ancestors().find(|dir| system.meta(&dir.join(".git")).is_ok());
    let below = root.and_then(|root| cwd.strip_prefix(root).ok()).unwrap_or(Path::new(""));
    let (home, below) = (system.home().unwrap_or_default(), below.display().to_string());
    let manifest = reconcile::shown(system, &loaded.path);
    let paths = Paths { manifest: &manifest, home: &home.display().to_string(), below: &below };
    let text = match format {
        Shape::Gitlab => findings::gitlab(found, paths),
        _ => findings::sarif(found, env!("CARGO_PKG_VERSION"), paths),
    };
    session.out.raw(&text);
}

fn print(session: &mut Session<'_>, found: &[Diagnostic], loaded: &reconcile::Loaded) {
    if !found.is_empty() {
        let text = diagnostics::text(found, session.out.colors_errors());
        session.out.complain(text.trim_end());
    }
    if !found.iter().any(Diagnostic::is_error) {
        let name = reconcile::shown(session.system, &loaded.path);
        let count = |of: &dyn Fn(&crate::manifest::model::Manifest) -> usize| -> usize {
            loaded.units.iter().map(|unit| of(&unit.manifest)).sum()
        };
        let of = match (loaded.sourced(), &loaded.source) {
            (Some(revision), _) => format!(" with revision {revision} of its source"),
            (None, Some(_)) => " (its source was not fetched yet: `mcpkeel plan` does)".to_owned(),
            (None, None) => String::new(),
        };
        session.out.data(format!(
            "{name} is valid{of}: {} servers, {} clients",
            count(&|manifest| manifest.servers.len()),
            count(&|manifest| manifest.clients.len())
        ));
    }
}
