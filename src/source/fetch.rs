use std::path::Path;
use std::time::Duration;

use super::repo::Repo;
use super::{Checkout, Good, Problem, Revision, Trust, head, transport, tree, verify};
use crate::manifest::values::Repository;
use crate::store::rfc3339;
use crate::system::{At, made};

/// How long another fetch is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// How many submodules are named that are left out.
const MOST_NOTES: usize = 5;

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The newest good revision.
    pub revision: Revision,
    /// Whether it was not known before.
    pub is_new: bool,
    /// What is worth knowing about it, a sentence each.
    pub notes: Vec<String>,
}

impl Checkout<'_> {
    /// Asks the repository for the branch's tip, and makes it the newest good revision if all holds: it follows
    /// from the last one, is signed where that is asked for, and `check` finds that its manifest holds.
    ///
    /// # Errors
    /// Why there is no new revision; the last good one stays, and the problem is remembered.
    pub fn fetch(&self, check: &dyn Fn(&Revision) -> Result<(), Problem>) -> Result<Fetched, Problem> {
        head::create(self.system, &self.dir)?;
        let busy = |error: crate::system::FileError| match error.source.kind() {
            std::io::ErrorKind::ResourceBusy => {
                Problem::new("Busy", "another run has been fetching for too long", "look at it with `ps`")
            }
            _ => error.into(),
        };
        let _held = head::wait_for(self.system, &self.dir.join("fetch.lock"), PATIENCE).map_err(busy)?;
        let outcome = self.advance(check);
        if let Err(problem) = &outcome {
            let (url, branch) = (self.address(), &self.branch);
            head::change(self.system, &self.dir, |head| {
                if head.fetched.is_none() {
                    head.url = url.to_owned();
                    head.branch = branch.clone();
                }
                head.fail(self.system, problem);
            })?;
        }
        outcome
    }

    fn advance(&self, check: &dyn Fn(&Revision) -> Result<(), Problem>) -> Result<Fetched, Problem> {
        transport::register(self.system, &self.dir)?;
        let known = self.head()?;
        let repo = Repo::open(self.system, &self.dir.join("repo.git"))?;
        self.is_there()?;
        let (id, branch) = repo.bring(&self.address, self.branch.as_deref())?;
        let before = known.fetched.as_ref().filter(|_| self.is_about(&known));
        if let Some(before) = before
            && !repo.follows(&id, &before.id)?
        {
            let message = format!(
                "the branch `{branch}` of {} was rewritten: {} does not follow from {}",
                self.address(),
                super::short(&id),
                super::short(&before.id)
            );
            let hint = "if this was meant, and you trust who did it: remove the \
                        directory `source` in the state directory, and run `mcpkeel plan --fetch`";
            return Err(Problem::new("NotFastForward", message, hint));
        }
        let verified = self.trust.as_ref().map(Trust::to_string);
        let signer = match (&self.trust, before) {
            // Nothing new, and it was held against the same file already.
            (Some(_), Some(before)) if before.id == id && before.verified == verified => {
                before.signer.clone()
            }
            (Some(trust), _) => Some(verify::signer(self.system, &self.dir, &repo, &id, trust)?),
            (None, _) => None,
        };
        let good = Good { id, branch, signer, verified };
        if !repo.has_manifest(&good.id, &self.path)? {
            let message = format!("{} of {} has no file `{}`", good.revision(), self.address(), self.path);
            let hint = "commit it, or name the manifest's place with `path:` under `source`";
            return Err(Problem::new("NoManifest", message, hint));
        }
        // Of those that do not hold only the last stays, so that it is not written anew at every fetch.
        self.prune(&good.id)?;
        let notes = self.write_tree(&repo, &good.id)?;
        let revision = good.revision();
        check(&revision)?;
        let is_new = before.is_none_or(|before| before.id != good.id);
        repo.keep(&good.id)?;
        let url = self.address().to_owned();
        head::change(self.system, &self.dir, |head| {
            head.url = url;
            head.branch = self.branch.clone();
            head.fetched = Some(good);
            head.fetched_at = Some(rfc3339(self.system.now()));
            head.problem = None;
        })?;
        self.prune(&revision.id)?;
        Ok(Fetched { revision, is_new, notes })
    }

    /// git's library takes a directory that is not there for an address of a kind that it does not know.
    fn is_there(&self) -> Result<(), Problem> {
        let Repository::Path(path) = &self.address else { return Ok(()) };
        if self.system.meta(Path::new(path)).is_ok() {
            return Ok(());
        }
        let hint = "the last good revision stays; mend `git:` under `source`, or bring it back";
        Err(Problem::new("FetchFailed", format!("{path} cannot be fetched: there is nothing there"), hint))
    }

    /// Says what was left out.
    fn write_tree(&self, repo: &Repo, id: &str) -> Result<Vec<String>, Problem> {
        let trees = self.dir.join("trees");
        made(self.system.create_dir(&trees, 0o700)).at(&trees, "create")?;
        if self.has_tree(id) {
            return Ok(Vec::new());
        }
        let (files, submodules) = repo.files(id)?;
        // Whole or not there: under its own name it stands only when every file is written.
        let unfinished = trees.join(format!(".{id}.new"));
        tree::remove(self.system, &unfinished)?;
        tree::write(self.system, &unfinished, &files, &|blob| repo.blob(blob))?;
        let tree = self.tree(id);
        self.system.rename_new(&unfinished, &tree).at(&tree, "create")?;
        self.system.sync(&trees).at(&trees, "flush")?;
        let mut notes: Vec<String> = submodules
            .iter()
            .take(MOST_NOTES)
            .map(|path| format!("the submodule `{path}` is not fetched"))
            .collect();
        if submodules.len() > MOST_NOTES {
            notes.push(format!("nor are {} other submodules", submodules.len() - MOST_NOTES));
        }
        Ok(notes)
    }
}
