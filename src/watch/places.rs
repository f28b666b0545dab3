use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::system::{FileId, Kind, System};

/// How many links are followed on the way to one file.
const MOST_LINKS: u32 = 40;

/// Directories that are to be watched, and which names in them matter.
///
/// A file is watched through its directory, since a file that is replaced takes its watch with it; so
/// is every link and every directory on the way to it, up to the home directory; and where the way
/// ends, the last directory that is there is watched for the next name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<PathBuf, Names>);

/// What matters in one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    /// Which directory it is.
    id: Option<FileId>,
    /// Names in small letters: on some systems `MCP.json` is `mcp.json`.
    names: BTreeSet<String>,
    /// Whether every name matters.
    any: bool,
}

impl Places {
    /// For these files, and for these directories with everything in them.
    pub fn of(system: &dyn System, files: &BTreeSet<PathBuf>, dirs: &BTreeSet<PathBuf>) -> Self {
        let mut finding = Finding { system, home: system.home(), places: Self::default() };
        for file in files {
            finding.walk(file, MOST_LINKS);
        }
        for dir in dirs {
            if let Some(real) = finding.walk(dir, MOST_LINKS) {
                finding.names_in(&real).any = true;
            }
        }
        finding.places
    }

    /// Whether a name in a watched directory matters.
    pub fn matter(&self, path: &Path) -> bool {
        let Some(names) = path.parent().and_then(|dir| self.0.get(dir)) else {
            // A watched directory itself: it went away.
            return self.0.contains_key(path);
        };
        // Our own files beside those that matter do not.
        let is_ours = |name: &str| name.starts_with(".mcpkeel-");
        path.file_name()
            .map(folded)
            .is_some_and(|name| names.names.contains(&name) || names.any && !is_ours(&name))
    }

    /// The directories, each with which one it is.
    pub fn dirs(&self) -> BTreeMap<PathBuf, Option<FileId>> {
        self.0.iter().map(|(dir, names)| (dir.clone(), names.id)).collect()
    }
}

struct Finding<'a> {
    system: &'a dyn System,
    home: Option<PathBuf>,
    places: Places,
}

impl Finding<'_> {
    /// Walks down to a path, links followed. Returns the real path if something is there.
    fn walk(&mut self, path: &Path, links: u32) -> Option<PathBuf> {
        let mut here = PathBuf::new();
        let mut rest = path.components();
        while let Some(step) = rest.next() {
            let name = match step {
                Component::Prefix(_) | Component::RootDir => {
                    here.push(step);
                    continue;
                }
                Component::CurDir => continue,
                Component::ParentDir => {
                    here.pop();
                    continue;
                }
                Component::Normal(name) => name,
            };
            if self.is_worth_watching(&here) {
                self.names_in(&here).names.insert(folded(name));
            }
            let next = here.join(name);
            let kind = self.system.meta(&next).ok()?.kind;
            if kind == Kind::Link {
                let links = links.checked_sub(1)?;
                let target = here.join(self.system.read_link(&next).ok()?);
                return self.walk(&target.join(rest.as_path()), links);
            }
            here = next;
        }
        Some(here)
    }

    fn names_in(&mut self, dir: &Path) -> &mut Names {
        let system = self.system;
        self.places.0.entry(dir.to_owned()).or_insert_with(|| Names {
            id: system.meta(dir).ok().and_then(|meta| meta.id),
            ..Names::default()
        })
    }

    /// Neither the root, nor what lies above the home directory: nothing of ours happens there.
    fn is_worth_watching(&self, dir: &Path) -> bool {
        let is_above_home = self.home.as_ref().is_some_and(|home| home != dir && home.starts_with(dir));
        dir.parent().is_some() && !is_above_home
    }
}

fn folded(name: &OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Memory;

    fn of(memory: &Memory, files: &[&str]) -> Vec<(String, Vec<String>)> {
        let files = files.iter().map(PathBuf::from).collect();
        let places = Places::of(memory, &files, &BTreeSet::new());
        let dirs = places.0.into_iter();
        dirs.map(|(dir, names)| (dir.display().to_string(), names.names.into_iter().collect())).collect()
    }

    fn dir(path: &str, names: &[&str]) -> (String, Vec<String>) {
        (path.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn every_directory_on_the_way_is_watched_for_the_next_name() {
        let memory = Memory::default();
        memory.write(Path::new("/home/me/.config/zed/settings.json"), b"{}");
        assert_eq!(
            of(&memory, &["/home/me/.config/zed/settings.json", "/home/me/.claude.json"]),
            [
                dir("/home/me", &[".claude.json", ".config"]),
                dir("/home/me/.config", &["zed"]),
                dir("/home/me/.config/zed", &["settings.json"]),
            ]
        );
    }

    #[test]
    fn a_way_that_ends_is_watched_where_it_ends() {
        let memory = Memory::default();
        memory.make_dirs(Path::new("/home/me/.config"));
        let expected = [dir("/home/me", &[".config"]), dir("/home/me/.config", &["zed"])];
        assert_eq!(of(&memory, &["/home/me/.config/zed/settings.json"]), expected);
    }

    #[test]
    fn links_are_followed_and_watched_themselves() {
        let memory = Memory::default();
        memory.write(Path::new("/home/me/dotfiles/ai/mcp.json"), b"{}");
        memory.link(Path::new("/home/me/.cursor"), Path::new("dotfiles/ai"));
        assert_eq!(
            of(&memory, &["/home/me/.cursor/mcp.json"]),
            [
                dir("/home/me", &[".cursor", "dotfiles"]),
                dir("/home/me/dotfiles", &["ai"]),
                dir("/home/me/dotfiles/ai", &["mcp.json"]),
            ]
        );
        memory.link(Path::new("/home/me/loop"), Path::new("loop"));
        assert_eq!(of(&memory, &["/home/me/loop"]), [dir("/home/me", &["loop"])]);
    }

    #[test]
    fn a_name_that_differs_in_case_alone_matters() {
        let memory = Memory::default();
        memory.write(Path::new("/home/me/.cursor/mcp.json"), b"{}");
        let files = BTreeSet::from([PathBuf::from("/home/me/.cursor/mcp.json")]);
        let places = Places::of(&memory, &files, &BTreeSet::new());
        assert!(places.matter(Path::new("/home/me/.cursor/MCP.json")));
        assert!(!places.matter(Path::new("/home/me/.cursor/mcp.json.tmp")));
        assert!(!places.matter(Path::new("/home/me/.bashrc")));
        assert!(places.matter(Path::new("/home/me/.cursor")));
    }
}
