//! Where a client keeps its file.
//!
//! Invariant: paths are computed from the row and the [`Env`] alone, by the rules of the system that
//! `Env::os` names, not of the one that this program runs on.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Client;
use super::spec::{Candidates, PerOs};
use crate::base::{Diagnostic, Pointer, Step};
use crate::document::Format;

/// What must be known of the machine.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// `linux`, `macos` or `windows`.
    pub os: &'a str,
    /// The home directory.
    pub home: &'a str,
    /// The value of an environment variable.
    pub var: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a file or directory is there.
    pub exists: &'a dyn Fn(&str) -> bool,
}

/// Which of a client's places is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The user's own file.
    User,
    /// A file inside a project.
    Project,
    /// The user's own settings for one project.
    Local,
}

/// Where servers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// How it is written.
    pub format: Format,
    /// The container of the servers.
    pub root: Pointer,
    /// For a list: the member that identifies a server.
    pub list: Option<String>,
}

/// Why a client has no place for servers here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// A stable name for machines.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// What to do next.
    pub hint: &'static str,
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unplaced {}

impl From<Unplaced> for Diagnostic {
    fn from(why: Unplaced) -> Self {
        Self::error(why.code, why.message).hint(why.hint)
    }
}

impl Client {
    /// The place of a scope. `root` is the project's directory, which scopes other than the user's need.
    pub fn locate(&self, env: &Env<'_>, scope: Scope, root: Option<&Path>) -> Result<Place, Unplaced> {
        match scope {
            Scope::User => Ok(self.at(self.user_file(env)?)),
            Scope::Project => self.in_project(env, self.needed(root, scope)?),
            Scope::Local => self.local(env, self.needed(root, scope)?),
        }
    }

    /// The user's place, in a file of the user's own choice.
    pub fn at(&self, file: PathBuf) -> Place {
        let row = self.row();
        Place { file, format: row.format, root: row.root.clone(), list: row.list.clone() }
    }

    /// Paths of which one shows that the client is installed.
    pub fn signs(&self, env: &Env<'_>) -> Vec<PathBuf> {
        let given = &self.row().detect;
        if !given.is_empty() {
            return given.iter().filter_map(|path| expand(path, env).ok()).map(PathBuf::from).collect();
        }
        let file = self.user_file(env).ok();
        file.and_then(|file| Some(PathBuf::from(directory(file.to_str()?, env)?))).into_iter().collect()
    }

    /// Whether one of its [`signs`](Self::signs) is there.
    pub fn is_installed(&self, env: &Env<'_>) -> bool {
        self.signs(env).iter().filter_map(|path| path.to_str()).any(|path| (env.exists)(path))
    }

    fn user_file(&self, env: &Env<'_>) -> Result<PathBuf, Unplaced> {
        let candidates = self.row().path.on(env.os);
        if candidates.is_empty() {
            let message = format!("{} keeps no file for a user on {}", self.name(), called(env.os));
            let hint = "give the client's block a `path`, or `scope: project` and `root`";
            return Err(Unplaced { code: "no-place", message, hint });
        }
        let mut reason = String::new();
        for candidate in candidates {
            let (path, only_if_there) = match candidate.strip_prefix('?') {
                Some(path) => (path, true),
                None => (candidate.as_str(), false),
            };
            match expand(path, env) {
                Ok(path) if !only_if_there || (env.exists)(&path) => return Ok(PathBuf::from(path)),
                Ok(_) => {}
                Err(why) => reason = why,
            }
        }
        let message = format!("the place of {}'s file cannot be told: {reason}", self.name());
        Err(Unplaced { code: "no-place", message, hint: "give the client's block a `path`" })
    }

    fn in_project(&self, env: &Env<'_>, root: &Path) -> Result<Place, Unplaced> {
        let row = self.row();
        let Some(project) = &row.project else {
            let message = format!("{} has no file for a project", self.name());
            let hint = "leave out `scope` and `root` to write the user's file";
            return Err(Unplaced { code: "no-scope", message, hint });
        };
        let root = root.to_string_lossy();
        let path = |relative: &String| join(&root, relative, env);
        let there = project.path.as_slice().iter().map(path).find(|path| (env.exists)(path));
        let first = || project.path.as_slice().first().map(path);
        let Some(file) = there.or_else(first) else {
            let message = format!("{} names no file for a project", self.name());
            return Err(Unplaced {
                code: "no-scope",
                message,
                hint: "give `project.path` in the client's row",
            });
        };
        Ok(Place {
            file: PathBuf::from(file),
            format: project.format.unwrap_or(row.format),
            root: project.root.clone().unwrap_or_else(|| row.root.clone()),
            list: row.list.clone(),
        })
    }

    fn local(&self, env: &Env<'_>, root: &Path) -> Result<Place, Unplaced> {
        let local = self.row().project.as_ref().and_then(|project| project.local.as_ref());
        let Some(pointer) = local.and_then(|local| local.parse::<Pointer>().ok()) else {
            let message = format!("{} keeps no settings of its user for one project", self.name());
            return Err(Unplaced {
                code: "no-scope",
                message,
                hint: "use `scope: project` or `scope: user`",
            });
        };
        let root = root.to_string_lossy();
        let step = |step: Step| match step {
            Step::Key(key) => Step::Key(key.replace("{root}", &root)),
            other => other,
        };
        let root = Pointer(pointer.0.into_iter().map(step).collect());
        Ok(Place { root, ..self.at(self.user_file(env)?) })
    }

    fn needed<'p>(&self, root: Option<&'p Path>, scope: Scope) -> Result<&'p Path, Unplaced> {
        root.ok_or_else(|| {
            let scope = if scope == Scope::Local { "local" } else { "project" };
            let message = format!("{} in scope `{scope}` needs the project's directory", self.name());
            Unplaced { code: "needs-root", message, hint: "give the client's block a `root`" }
        })
    }
}

impl PerOs {
    /// The candidates of a system.
    pub fn on(&self, os: &str) -> &[String] {
        let own = match os {
            "linux" => self.linux.as_slice(),
            "macos" => self.macos.as_slice(),
            "windows" => self.windows.as_slice(),
            _ => &[],
        };
        if own.is_empty() { self.all.as_slice() } else { own }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        [&self.all, &self.linux, &self.macos, &self.windows].iter().all(|paths| paths.as_slice().is_empty())
    }
}

impl Candidates {
    /// As a slice.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

fn called(os: &str) -> &str {
    match os {
        "linux" => "Linux",
        "macos" => "macOS",
        "windows" => "Windows",
        other => other,
    }
}

/// An absolute path with `~` and variables filled in and the system's separators, or what is missing.
fn expand(path: &str, env: &Env<'_>) -> Result<String, String> {
    let path = fill(path, env)?;
    let path = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '\\']) => format!("{}{rest}", env.home),
        _ => path,
    };
    let path = if env.os == "windows" { path.replace('/', "\\") } else { path };
    if is_absolute(&path, env) { Ok(path) } else { Err(format!("`{path}` is not an absolute path")) }
}

/// Fills in `${NAME}` and `${NAME:-default}`; a variable that is set to nothing counts as not set.
fn fill(path: &str, env: &Env<'_>) -> Result<String, String> {
    let Some((before, rest)) = path.split_once("${") else { return Ok(path.to_owned()) };
    let end = closing(rest).ok_or_else(|| format!("`{path}` lacks a closing brace"))?;
    let (inside, after) = (&rest[..end], &rest[end + 1..]);
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let value = match ((env.var)(name).filter(|value| !value.is_empty()), default) {
        (Some(value), _) => value,
        (None, Some(default)) => fill(default, env)?,
        (None, None) => return Err(format!("{name} is not set")),
    };
    Ok(format!("{before}{value}{}", fill(after, env)?))
}

/// Where the brace is closed that was open before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    text.char_indices().find_map(|(at, c)| {
        open += i32::from(c == '{') - i32::from(c == '}');
        (open == 0).then_some(at)
    })
}

fn is_absolute(path: &str, env: &Env<'_>) -> bool {
    match env.os {
        "windows" => path.starts_with("\\\\") || path.get(1..3) == Some(":\\"),
        _ => path.starts_with('/'),
    }
}

fn join(root: &str, relative: &str, env: &Env<'_>) -> String {
    let separator = if env.os == "windows" { "\\" } else { "/" };
    let relative = relative.replace('/', separator);
    format!("{}{separator}{relative}", root.trim_end_matches(['/', separator.chars().next().unwrap_or('/')]))
}

fn directory(path: &str, env: &Env<'_>) -> Option<String> {
    let separator = if env.os == "windows" { '\\' } else { '/' };
    let (directory, _) = path.rsplit_once(separator)?;
    Some(directory.to_owned())
}
