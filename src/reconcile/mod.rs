//! The shell around the plan: read the world, carry the plan out, keep the books.
//!
//! Invariant: every decision is the plan's; nothing here chooses what a file should say.
//!
//! Start at [`make_plan`], then [`apply`].

mod adopt;
mod apply;
mod edits;
mod examine;
mod import;
mod load;
mod merge;
pub mod observe;
mod phrase;
pub mod recover;
pub mod scan;
mod secrets;
mod sourced;
mod survey;
pub mod transaction;
mod undo;

use std::path::Path;

pub use adopt::{Adoption, adopt, adoptable};
pub use apply::{Applied, FileReport, Hindrance, Manner, Site, apply};
pub use edits::{ManifestEdit, write_manifests};
pub use examine::{Finding, examine};
pub use import::{ImportError, Imported, import, skeleton};
pub use load::{Care, Loaded, Sourcing, Which, load};
pub use phrase::{Kept, Stash};
pub use secrets::{
    KeepError, UsedBy, can_keep, declare_secret, drop_secret, forget_secret, keep_secret, keep_secrets,
    keeps_another, replace_age_files, secret_uses,
};
pub use sourced::{fetch, mark_applied};
pub use survey::{Scene, is_installed, make_plan, places};
pub use undo::{RestoreError, Restored, backup, clients_of, restore};

use crate::system::System;

/// A path as a person would write it: relative to the working directory if inside, else with `~`.
pub fn shown(system: &dyn System, path: &Path) -> String {
    if let Ok(rest) =
        system.cwd().and_then(|cwd| path.strip_prefix(cwd).map(Path::to_owned).map_err(std::io::Error::other))
    {
        return rest.display().to_string();
    }
    tilde(system, path)
}

/// A path with the home directory written as `~`.
pub fn tilde(system: &dyn System, path: &Path) -> String {
    match system.home().and_then(|home| path.strip_prefix(home).map(Path::to_owned).ok()) {
        Some(rest) => format!("~{}{}", std::path::MAIN_SEPARATOR, rest.display()),
        None => path.display().to_string(),
    }
}
