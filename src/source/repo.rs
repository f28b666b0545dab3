//! What git's library is asked for.
//!
//! Invariant: reads objects and refs, and writes only inside its own bare repository; a message never shows
//! more of an address than the manifest does.

use std::cell::Cell;
use std::path::Path;

use git2::{
    Direction, ErrorCode, FetchOptions, ObjectType, Oid, RemoteCallbacks, Repository as Bare,
    RepositoryInitOptions, RepositoryOpenFlags,
};

use super::Problem;
use super::tree::{self, DEEPEST, File, MOST_ENTRIES, MOST_IN_ALL, MOST_IN_FILE, What, is_plain};
use crate::manifest::values::{self, Repository};
use crate::system::{At, System, found};

/// The most that may come over the line at once, in bytes.
const MOST_RECEIVED: usize = 256 << 20;

/// How many files of packs there may be: two or three for each fetch that brought something.
const MOST_PACK_FILES: usize = 500;

/// What holds the newest good revision, so that the next fetch asks only for what is new.
const GOOD: &str = "refs/mcpkeel/good";

/// A commit that is signed by somebody.
pub(super) struct Signed {
    /// As it stands in the commit.
    pub signature: Vec<u8>,
    /// What it is over.
    pub data: Vec<u8>,
    /// The committer's address.
    pub email: String,
    /// When it was committed, in seconds since 1970, as the committer says.
    pub time: i64,
}

/// The bare repository that holds what was fetched.
pub(super) struct Repo(Bare);

impl Repo {
    /// Opens it, or makes it: anew when it is damaged, or holds so many small packs that it gets slow. Nobody else
    /// uses it meanwhile.
    pub fn open(system: &dyn System, path: &Path) -> Result<Self, Problem> {
        // Left by a run that was cut off; the library would wait for its owner for ever.
        let lock = path.join(format!("{GOOD}.lock"));
        found(system.remove_file(&lock)).at(&lock, "remove")?;
        let packs = path.join("objects/pack");
        let packs = found(system.list(&packs)).at(&packs, "list")?.unwrap_or_default().len();
        let flags = RepositoryOpenFlags::BARE | RepositoryOpenFlags::NO_SEARCH;
        if packs < MOST_PACK_FILES
            && let Ok(repo) = Bare::open_ext(path, flags, std::iter::empty::<&str>())
        {
            return Ok(Self(repo));
        }
        tree::remove(system, path)?;
        let mut options = RepositoryInitOptions::new();
        options
            .bare(true)
            .no_reinit(true)
            .external_template(false)
            .mode(git2::RepositoryInitMode::from_bits_retain(0o700));
        Bare::init_opts(path, &options).map(Self).map_err(|error| {
            let message = format!("{} cannot be made: {}", path.display(), error.message());
            Problem::new("StateFailed", message, "`mcpkeel doctor` looks at the state directory")
        })
    }

    /// Fetches the tip of a branch, or of the repository's default one, with its history. Says its id and the
    /// branch's name.
    pub fn bring(&self, address: &Repository, branch: Option<&str>) -> Result<(String, String), Problem> {
        let (Repository::Http(url) | Repository::Ssh(url) | Repository::Path(url)) = address;
        let failed = |error: git2::Error| fetch_failed(url, &error);
        // The longer word for the same way.
        let address = url.strip_prefix("git+").unwrap_or(url);
        let mut remote = self.0.remote_anonymous(address).map_err(failed)?;
        remote.connect(Direction::Fetch).map_err(failed)?;
        let name = match branch {
            Some(branch) => format!("refs/heads/{branch}"),
            None => remote
                .default_branch()
                .ok()
                .and_then(|name| name.as_str().ok().map(str::to_owned))
                .ok_or_else(|| {
                    let message = format!("{url} does not say which of its branches is the default one");
                    Problem::new("NoBranch", message, "name one with `branch:` under `source`")
                })?,
        };
        let shown =
            name.strip_prefix("refs/heads/").filter(|name| values::is_branch(name)).map(str::to_owned);
        let shown = shown.ok_or_else(|| {
            let message = format!("the default branch of {url} has a name that cannot be one");
            Problem::new("NoBranch", message, "name a branch with `branch:` under `source`")
        })?;
        let heads = remote.list().map_err(failed)?;
        let tip = heads.iter().find(|head| head.name() == name).map(git2::RemoteHead::oid);
        let Some(tip) = tip else {
            let branches = heads.iter().filter_map(|head| head.name().strip_prefix("refs/heads/"));
            let hint = match crate::base::closest(&shown, branches) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "push it, or name another with `branch:` under `source`".to_owned(),
            };
            return Err(Problem::new("NoBranch", format!("{url} has no branch `{shown}`"), hint));
        };
        // What is here is here with all that it needs: a fetch that is cut off leaves nothing.
        if !self.has(tip) {
            let is_too_much = Cell::new(false);
            let mut callbacks = RemoteCallbacks::new();
            callbacks.transfer_progress(|progress| {
                is_too_much.set(progress.received_bytes() > MOST_RECEIVED);
                !is_too_much.get()
            });
            let mut options = FetchOptions::new();
            options.remote_callbacks(callbacks).download_tags(git2::AutotagOption::None);
            let done = remote.download(&[&name], Some(&mut options));
            drop(options);
            if is_too_much.get() {
                let message = format!("{url} sent more than {} MiB", MOST_RECEIVED >> 20);
                let hint = "keep the manifest in a repository of its own, without large files";
                return Err(Problem::new("TooBig", message, hint));
            }
            done.map_err(failed)?;
        }
        // Nothing hangs on how the other side takes our leave.
        let _ = remote.disconnect();
        Ok((tip.to_string(), shown))
    }

    /// Whether a revision is another or comes after it.
    pub fn follows(&self, id: &str, before: &str) -> Result<bool, Problem> {
        let (id, before) = (oid(id)?, oid(before)?);
        if id == before {
            return Ok(true);
        }
        // Without the old one here, the new history does not hold it.
        Ok(self.has(before) && self.0.graph_descendant_of(id, before).map_err(|error| damaged(&error))?)
    }

    /// Keeps a revision as the one that the next fetch builds on.
    pub fn keep(&self, id: &str) -> Result<(), Problem> {
        let kept = self.0.reference(GOOD, oid(id)?, true, "newest good revision");
        kept.map(drop).map_err(|error| damaged(&error))
    }

    /// Whether a revision has a file or a link at this path.
    pub fn has_manifest(&self, id: &str, path: &str) -> Result<bool, Problem> {
        let tree = self.tree(id)?;
        Ok(tree.get_path(Path::new(path)).is_ok_and(|entry| entry.kind() == Some(ObjectType::Blob)))
    }

    /// Every file of a revision, directories before what is in them; and its submodules, which are other
    /// repositories and left out.
    ///
    /// # Errors
    /// When there is too much of it, or a name that cannot be a file's.
    pub fn files(&self, id: &str) -> Result<(Vec<File>, Vec<String>), Problem> {
        let mut listing = Listing { repo: self, files: Vec::new(), submodules: Vec::new(), total: 0 };
        listing.add(&self.tree(id)?, "", 0)?;
        Ok((listing.files, listing.submodules))
    }

    /// What a file holds.
    pub fn blob(&self, id: &str) -> Result<Vec<u8>, Problem> {
        let blob = self.0.find_blob(oid(id)?).map_err(|error| damaged(&error))?;
        Ok(blob.content().to_vec())
    }

    /// A commit's signature; none when it has none.
    pub fn signed(&self, id: &str) -> Result<Option<Signed>, Problem> {
        let id = oid(id)?;
        let (signature, data) = match self.0.extract_signature(&id, None) {
            Ok((signature, data)) => (signature.to_vec(), data.to_vec()),
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(damaged(&error)),
        };
        let commit = self.0.find_commit(id).map_err(|error| damaged(&error))?;
        let committer = commit.committer();
        let email = String::from_utf8_lossy(committer.email_bytes()).into_owned();
        Ok(Some(Signed { signature, data, email, time: committer.when().seconds() }))
    }

    fn tree(&self, id: &str) -> Result<git2::Tree<'_>, Problem> {
        let commit = self.0.find_commit(oid(id)?);
        commit.and_then(|commit| commit.tree()).map_err(|error| damaged(&error))
    }

    fn has(&self, id: Oid) -> bool {
        self.0.odb().is_ok_and(|odb| odb.exists(id))
    }
}

struct Listing<'r> {
    repo: &'r Repo,
    files: Vec<File>,
    submodules: Vec<String>,
    total: u64,
}

impl Listing<'_> {
    fn add(&mut self, tree: &git2::Tree<'_>, under: &str, depth: usize) -> Result<(), Problem> {
        let hint = "keep the manifest in a repository of its own";
        if depth > DEEPEST {
            let message = format!("the repository has more than {DEEPEST} directories in each other");
            return Err(Problem::new("TooBig", message, hint));
        }
        for entry in tree {
            let name = entry.name().ok().filter(|name| is_plain(name));
            let Some(name) = name else {
                let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                let message = format!("the name {name:?} in the repository cannot be a file's");
                return Err(Problem::new("BadTree", message, "rename it"));
            };
            let path = if under.is_empty() { name.to_owned() } else { format!("{under}/{name}") };
            let id = entry.id().to_string();
            if self.files.len() + self.submodules.len() >= MOST_ENTRIES {
                let message = format!("the repository has more than {MOST_ENTRIES} files");
                return Err(Problem::new("TooBig", message, hint));
            }
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let inner = self.repo.0.find_tree(entry.id()).map_err(|error| damaged(&error))?;
                    self.files.push(File { path: path.clone(), what: What::Dir });
                    self.add(&inner, &path, depth + 1)?;
                }
                Some(ObjectType::Blob) => {
                    self.weigh(&path, entry.id())?;
                    let what = match entry.filemode() {
                        0o120_000 => What::Link { blob: id },
                        mode => What::File { blob: id, may_run: mode & 0o100 != 0 },
                    };
                    self.files.push(File { path, what });
                }
                _ => self.submodules.push(path),
            }
        }
        Ok(())
    }

    fn weigh(&mut self, path: &str, id: Oid) -> Result<(), Problem> {
        let header = self.repo.0.odb().and_then(|odb| odb.read_header(id));
        let (length, _) = header.map_err(|error| damaged(&error))?;
        self.total += length as u64;
        let message = if length as u64 > MOST_IN_FILE {
            format!("the file `{path}` in the repository is larger than {} MiB", MOST_IN_FILE >> 20)
        } else if self.total > MOST_IN_ALL {
            format!("the repository's files are larger than {} MiB in all", MOST_IN_ALL >> 20)
        } else {
            return Ok(());
        };
        Err(Problem::new(
            "TooBig",
            message,
            "keep the manifest in a repository of its own, without large files",
        ))
    }
}

fn oid(text: &str) -> Result<Oid, Problem> {
    Oid::from_str(text).map_err(|error| damaged(&error))
}

fn damaged(error: &git2::Error) -> Problem {
    let message = format!("what was fetched cannot be read: {}", error.message());
    Problem::new(
        "StateFailed",
        message,
        "remove `source/repo.git` in the state directory; the next fetch makes it again",
    )
}

fn fetch_failed(url: &str, error: &git2::Error) -> Problem {
    // Part of it may be what the other side says.
    let said: String = error.message().chars().filter(|c| !c.is_control()).take(500).collect();
    let message = format!("{url} cannot be fetched: {said}");
    // The library loses the code on its way out of the transport.
    if error.code() == ErrorCode::Owner || error.message().contains("not owned by current user") {
        let message = format!("{url} cannot be fetched: it belongs to another user");
        let hint = format!("if you trust its owner: `git config --global --add safe.directory {}`", url);
        return Problem::new("FetchFailed", message, hint);
    }
    let hint = match error.class() {
        git2::ErrorClass::Ssh => "try `ssh` and `git ls-remote` with the same address",
        _ => "`git ls-remote` with the same address shows more",
    };
    Problem::new("FetchFailed", message, hint)
}
