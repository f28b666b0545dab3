//! The files of a revision, as plain files.
//!
//! Invariant: nothing is written outside the revision's own directory, and no link in it leads out.

use std::path::Path;

use super::Problem;
use crate::system::{At, FileError, Kind, System, found};

/// The most that one file may hold, in bytes.
pub(super) const MOST_IN_FILE: u64 = 16 << 20;

/// The most that all of them may hold, in bytes.
pub(super) const MOST_IN_ALL: u64 = 64 << 20;

/// How many files and directories there may be.
pub(super) const MOST_ENTRIES: usize = 20_000;

/// How deep directories may lie in each other.
pub(super) const DEEPEST: usize = 64;

/// A file of a revision.
pub(super) struct File {
    /// With `/` between its parts; each part is a plain name.
    pub path: String,
    pub what: What,
}

pub(super) enum What {
    Dir,
    /// Its content by its id, and whether it may be run.
    File {
        blob: String,
        may_run: bool,
    },
    /// Where it leads, by the id of what holds that.
    Link {
        blob: String,
    },
}

/// Whether a name may become a file's.
pub(super) fn is_plain(name: &str) -> bool {
    let is_special = matches!(name, "" | "." | "..") || name.eq_ignore_ascii_case(".git");
    !is_special && !name.contains(['/', '\\', ':']) && !name.contains(char::is_control)
}

/// Whether a link at this path inside a tree stays inside, whatever other links it passes: it climbs only at its
/// beginning, where the directories above it are known to be real ones.
pub(super) fn stays_inside(path: &str, target: &str) -> bool {
    let depth = path.matches('/').count();
    let steps: Vec<&str> =
        target.strip_suffix('/').unwrap_or(target).split('/').filter(|step| *step != ".").collect();
    let climbs = steps.iter().take_while(|step| **step == "..").count();
    climbs <= depth && !target.is_empty() && steps[climbs..].iter().all(|step| is_plain(step))
}

/// Writes files into a new directory.
pub(super) fn write(
    system: &dyn System,
    dir: &Path,
    files: &[File],
    content: &dyn Fn(&str) -> Result<Vec<u8>, Problem>,
) -> Result<(), Problem> {
    system.create_dir(dir, 0o700).at(dir, "create")?;
    for file in files {
        let path = dir.join(&file.path);
        match &file.what {
            What::Dir => system.create_dir(&path, 0o700).at(&path, "create")?,
            What::File { blob, may_run } => {
                let mode = if *may_run { 0o700 } else { 0o600 };
                system.create_new(&path, &content(blob)?, mode).at(&path, "create")?;
                system.sync(&path).at(&path, "flush")?;
            }
            What::Link { blob } => {
                let target = String::from_utf8(content(blob)?).unwrap_or_default();
                if !stays_inside(&file.path, &target) {
                    let message = format!("the link `{}` in the repository leads out of it", file.path);
                    let hint = "let it lead to a file of the repository, with a relative path";
                    return Err(Problem::new("LeadsOut", message, hint));
                }
                system.create_link(Path::new(&target), &path).at(&path, "create")?;
            }
        }
    }
    let dirs = files.iter().filter(|file| matches!(file.what, What::Dir)).map(|file| dir.join(&file.path));
    for dir in dirs.chain([dir.to_owned()]) {
        system.sync(&dir).at(&dir, "flush")?;
    }
    Ok(())
}

/// Removes a tree of ours, links as links; nothing when it is not there.
pub(super) fn remove(system: &dyn System, path: &Path) -> Result<(), FileError> {
    let Some(meta) = found(system.meta(path)).at(path, "look at")? else { return Ok(()) };
    if meta.kind != Kind::Dir {
        return system.remove_file(path).at(path, "remove");
    }
    for name in system.list(path).at(path, "list")? {
        remove(system, &path.join(name))?;
    }
    system.remove_dir(path).at(path, "remove")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_or_is_refused() {
        for (path, target) in
            [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../x/y"), ("a", "./b"), ("a", "b/"), ("d/a", "..")]
        {
            assert!(stays_inside(path, target), "{path} -> {target}");
        }
        for (path, target) in [
            ("a", ""),
            ("a", "/"),
            ("a", "/etc/passwd"),
            ("a", "../b"),
            ("d/a", "../../b"),
            // `b` may be a link itself, and then `..` is not where it seems to be.
            ("d/a", "b/../c"),
            ("a", "b//c"),
            ("a", ".git/config"),
            ("a", "C:\\x"),
        ] {
            assert!(!stays_inside(path, target), "{path} -> {target}");
        }
    }

    #[test]
    fn only_plain_names_become_files() {
        assert!(is_plain("mcp.yaml") && is_plain(".gitignore"));
        for name in ["", ".", "..", ".git", ".GIT", "a/b", "a\\b", "c:", "\u{1b}[2J"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
