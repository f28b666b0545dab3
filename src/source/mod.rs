//! The manifest's git source: revisions of a repository, brought here and kept as plain files.
//!
//! ```text
//! source/repo.git          what was fetched, bare
//! source/trees/ID/         the files of one revision, written by us
//! source/head.json         which revision is good, which was applied, what went wrong last
//! source/fetch.lock        one fetch at a time
//! source/head.lock         held while head.json is changed
//! ```
//!
//! Only the tip of the branch is looked at: it must follow from the last good revision, be signed where that is
//! asked for, fit into the bounds of `tree.rs` and be a manifest that holds. What lies between the two need not
//! be signed: whoever signs the tip signs its whole history with it.
//!
//! Invariant: whatever goes wrong, the last good revision stays; nothing of a repository is ever run here: no
//! hook, no filter, no program that it names.
//!
//! Start reading at [`Checkout::fetch`].

mod fetch;
mod head;
mod repo;
mod transport;
mod tree;
mod verify;

use std::fmt;
use std::path::{Path, PathBuf};

pub use fetch::Fetched;
pub use head::{Good, Head, Trouble};

use crate::desired::Unit;
use crate::manifest::model::ManifestSource;
use crate::manifest::values::{self, Repository};
use crate::system::{At, FileError, System, found};

/// Which state of the manifest is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The commit, 40 digits; of a manifest without a repository `local-` and a digest of its texts.
    pub id: String,
    /// The branch it was the tip of; none without a repository.
    pub branch: Option<String>,
    /// Who signed it, where a signature was asked for.
    pub signer: Option<String>,
}

impl Revision {
    /// As it is shown: 12 digits.
    pub fn short(&self) -> &str {
        short(&self.id)
    }
}

impl fmt::Display for Revision {
    /// `0123456789ab (main, signed by me@example.org)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())?;
        let signed = self.signer.as_ref().map(|signer| format!("signed by {signer}"));
        let about: Vec<&str> = [self.branch.as_deref(), signed.as_deref()].into_iter().flatten().collect();
        if about.is_empty() { Ok(()) } else { write!(f, " ({})", about.join(", ")) }
    }
}

/// The first 12 digits of a commit; anything else whole.
pub fn short(id: &str) -> &str {
    match id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => &id[..12],
        false => id,
    }
}

/// Why there is no new revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable name for machines: `FetchFailed`, `NotFastForward`, `Unverified` ..
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl Problem {
    /// A reason, what happened, what to do next.
    pub fn new(reason: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason, message: message.into(), hint: hint.into() }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        Self::new("StateFailed", error.to_string(), "`mcpkeel doctor` looks at the state directory")
    }
}

/// Whose signature is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trust {
    /// A file of allowed signers.
    Ssh(PathBuf),
    /// An OpenPGP keyring.
    Pgp(PathBuf),
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(path) => write!(f, "ssh {}", path.display()),
            Self::Pgp(path) => write!(f, "pgp {}", path.display()),
        }
    }
}

/// A manifest's source with the place where its revisions are kept.
pub struct Checkout<'a> {
    system: &'a dyn System,
    /// `source` in the state directory.
    dir: PathBuf,
    address: Repository,
    branch: Option<String>,
    path: String,
    trust: Option<Trust>,
}

/// The source of a manifest, if it names one.
pub fn of<'a>(system: &'a dyn System, state_dir: &Path, unit: &Unit) -> Option<Checkout<'a>> {
    unit.manifest.source.as_ref().and_then(|source| Checkout::new(system, state_dir, &unit.dir, source))
}

impl<'a> Checkout<'a> {
    /// What a manifest in this directory says; none when its address is none, which the manifest's checks say.
    pub fn new(
        system: &'a dyn System,
        state_dir: &Path,
        manifest_dir: &Path,
        source: &ManifestSource,
    ) -> Option<Self> {
        let place = |text: &str| match text.strip_prefix("~/") {
            Some(rest) => system.home().unwrap_or_default().join(rest),
            None => manifest_dir.join(text),
        };
        let address = match values::repository(&source.git).ok()? {
            Repository::Path(text) => Repository::Path(place(&text).display().to_string()),
            other => other,
        };
        let trust = source.verify.as_ref().and_then(|verify| match (&verify.ssh, &verify.pgp) {
            (Some(file), _) => Some(Trust::Ssh(place(file))),
            (None, Some(file)) => Some(Trust::Pgp(place(file))),
            (None, None) => None,
        });
        let path = source.path.clone().unwrap_or_else(|| "mcp.yaml".to_owned());
        let dir = state_dir.join("source");
        Some(Self { system, dir, address, branch: source.branch.clone(), path, trust })
    }

    /// The repository, as it is shown.
    pub fn address(&self) -> &str {
        match &self.address {
            Repository::Http(text) | Repository::Ssh(text) | Repository::Path(text) => text,
        }
    }

    /// The manifest inside a revision.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the files of a revision lie.
    pub fn tree(&self, id: &str) -> PathBuf {
        self.dir.join("trees").join(id)
    }

    /// What is known about the repository so far; empty before the first fetch.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn head(&self) -> Result<Head, FileError> {
        head::load(self.system, &self.dir)
    }

    /// The newest good revision, as far as it may be used: it was verified the way that is asked for now, and
    /// its files are there.
    pub fn newest<'h>(&self, head: &'h Head) -> Option<&'h Good> {
        let trust = self.trust.as_ref().map(Trust::to_string);
        head.fetched
            .as_ref()
            .filter(|good| trust.is_none() || good.verified == trust)
            .filter(|good| self.has_tree(&good.id))
    }

    /// Whether the newest good revision is one of what the manifest names now.
    pub fn is_current(&self, head: &Head) -> bool {
        self.newest(head).is_some() && self.is_about(head)
    }

    /// Revisions whose files are kept, the one that was applied first, each once.
    pub fn kept(&self, head: &Head) -> Vec<Good> {
        let mut kept: Vec<Good> = Vec::new();
        let needed = head.applied.iter().chain(&head.partly).chain(self.newest(head)).chain(&head.before);
        for good in needed {
            if kept.iter().all(|known| known.id != good.id) && self.has_tree(&good.id) {
                kept.push(good.clone());
            }
        }
        kept
    }

    /// Remembers that a revision was applied: whole, or to some clients only. Its files are kept from then on. Says
    /// no when they are gone by now, since a newer one was fetched meanwhile.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn mark_applied(&self, revision: &Revision, whole: bool) -> Result<bool, FileError> {
        let mut is_kept = false;
        head::change(self.system, &self.dir, |head| {
            let known = head.applied.iter().chain(&head.partly).chain(&head.fetched);
            let found = known.filter(|good| good.id == revision.id).find(|good| self.has_tree(&good.id));
            let Some(good) = found.cloned() else { return };
            is_kept = true;
            if whole {
                let before = head.applied.replace(good.clone()).into_iter().chain(head.partly.drain(..));
                head.before.splice(0..0, before);
                let mut seen = vec![good.id];
                head.before.retain(|other| {
                    let is_new = !seen.contains(&other.id);
                    seen.push(other.id.clone());
                    is_new
                });
                head.before.truncate(MOST_BEFORE);
            } else if head.applied.as_ref() != Some(&good) {
                head.partly.retain(|other| other.id != good.id);
                head.partly.insert(0, good);
                head.partly.truncate(MOST_PARTLY);
            }
        })?;
        Ok(is_kept)
    }

    /// The same repository and branch as what was fetched.
    fn is_about(&self, head: &Head) -> bool {
        head.url == self.address() && head.branch == self.branch
    }

    fn has_tree(&self, id: &str) -> bool {
        self.system.meta(&self.tree(id)).is_ok()
    }

    /// Removes the files of revisions that nothing needs any more; `wanted` is about to be looked at.
    fn prune(&self, wanted: &str) -> Result<(), FileError> {
        // So that none goes that is being marked as applied.
        let _held = head::lock(self.system, &self.dir)?;
        let kept = self.kept(&self.head()?).into_iter().map(|good| good.id);
        let needed: Vec<String> = kept.chain([wanted.to_owned()]).collect();
        let trees = self.dir.join("trees");
        for name in found(self.system.list(&trees)).at(&trees, "list")?.unwrap_or_default() {
            if !needed.contains(&name) {
                tree::remove(self.system, &trees.join(name))?;
            }
        }
        Ok(())
    }
}

/// How many revisions are kept that were applied to some clients only.
const MOST_PARTLY: usize = 16;

/// How many revisions are kept that were applied before: an undo or two later, clients still start.
const MOST_BEFORE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Memory;

    const STATE: &str = "/home/me/state";

    fn good(digit: char) -> Good {
        let id = digit.to_string().repeat(40);
        Good { id, branch: "main".to_owned(), signer: None, verified: None }
    }

    fn checkout(memory: &Memory) -> Checkout<'_> {
        let source = ManifestSource {
            git: "/srv/dots".to_owned(),
            branch: None,
            path: None,
            interval: None,
            verify: None,
        };
        let checkout = Checkout::new(memory, Path::new(STATE), Path::new("/home/me"), &source);
        checkout.expect("a repository")
    }

    /// Makes it the newest good one, and what is left over goes.
    fn fetch(checkout: &Checkout<'_>, memory: &Memory, good: &Good) {
        memory.make_dirs(&checkout.tree(&good.id));
        let newest = good.clone();
        head::change(memory, &checkout.dir, |head| head.fetched = Some(newest)).expect("changed");
        checkout.prune(&good.id).expect("pruned");
    }

    #[test]
    fn what_is_being_applied_stays_whatever_is_fetched() {
        let memory = Memory::default();
        let checkout = checkout(&memory);
        let [one, two, three] = ['1', '2', '3'].map(good);
        fetch(&checkout, &memory, &one);
        assert!(checkout.mark_applied(&one.revision(), false).expect("marked"));
        fetch(&checkout, &memory, &two);
        assert!(checkout.mark_applied(&one.revision(), true).expect("marked"));
        fetch(&checkout, &memory, &three);
        let kept: Vec<Good> = checkout.kept(&checkout.head().expect("read"));
        assert_eq!(kept, [one.clone(), three.clone()]);
        // Two was overtaken before anybody applied it.
        assert!(!checkout.mark_applied(&two.revision(), false).expect("looked"));
        assert!(checkout.mark_applied(&three.revision(), false).expect("marked"));
        assert!(checkout.mark_applied(&three.revision(), true).expect("marked"));
        // `undo` leads back to one.
        assert_eq!(checkout.kept(&checkout.head().expect("read")), [three, one]);
    }

    #[test]
    fn what_was_applied_long_ago_goes() {
        let memory = Memory::default();
        let checkout = checkout(&memory);
        let all = ['1', '2', '3', '4', '5', '6', '7', '8'].map(good);
        for revision in &all {
            fetch(&checkout, &memory, revision);
            assert!(checkout.mark_applied(&revision.revision(), true).expect("marked"));
        }
        let ids: Vec<String> =
            checkout.kept(&checkout.head().expect("read")).into_iter().map(|kept| kept.id).collect();
        let newest: Vec<String> =
            all.iter().rev().take(1 + MOST_BEFORE).map(|known| known.id.clone()).collect();
        assert_eq!(ids, newest);
    }

    #[test]
    fn shows_a_revision_in_a_few_words() {
        let mut revision = good('a').revision();
        assert_eq!(revision.to_string(), "aaaaaaaaaaaa (main)");
        revision.signer = Some("me@x.org".to_owned());
        assert_eq!(revision.to_string(), "aaaaaaaaaaaa (main, signed by me@x.org)");
        let local = Revision { id: "local-0123456789ab".to_owned(), branch: None, signer: None };
        assert_eq!(local.to_string(), "local-0123456789ab");
    }
}
