use super::super::failure::Failure;
use super::super::session::Session;
use crate::manifest;
use crate::reconcile::{self, ManifestEdit};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write nothing; exit with 2 when the layout is not in order
    #[arg(long)]
    check: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let path = session.manifest_path();
    let name = reconcile::shown(session.system, &path);
    let bytes = session
        .system
        .read(&path)
        .map_err(|error| Failure::failed(format!("`{name}` cannot be read: {error}")))?;
    let parsed = manifest::parse(&name, bytes);
    let Some(file) = parsed.file else { return Err(Failure::Invalid(parsed.diagnostics)) };
    let tidy = manifest::fmt::format(&file.text).map_err(|problem| Failure::Invalid(vec![*problem]))?;
    if tidy == file.text {
        session.out.say(format!("{name} is in order"));
        return Ok(0);
    }
    if args.check {
        session.out.data(format!("{name} is not in order; `mcpkeel fmt` mends it"));
        return Ok(2);
    }
    let edit = ManifestEdit { path, before: Some(file.text.clone().into_bytes()), after: tidy.into_bytes() };
    session.write_manifests("fmt", vec![edit])?;
    session.out.data(format!("{name} was brought in order"));
    Ok(0)
}
