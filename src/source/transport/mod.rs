//! The ways to a repository that git's library does not know by itself: ssh by the program of that name, https
//! by the TLS that the rest of the program uses.
//!
//! Invariant: every wait ends; a password is never in a message.

mod credentials;
mod http;
mod ssh;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use git2::transport::Transport;

use super::Problem;
use crate::system::{System, register_transport};

/// How many seconds a repository may be silent.
const TIMEOUT: &str = "MCPKEEL_FETCH_TIMEOUT";

/// The most that is read of one answer, in bytes: somewhat more than a fetch may bring.
const MOST: u64 = 300 << 20;

/// What every connection needs to know.
struct Ways {
    /// The program that is `ssh` here.
    ssh: String,
    /// A directory that other programs are started in.
    dir: PathBuf,
    /// How long the other side may be silent.
    patience: Duration,
}

/// Makes them known, once in a process: what the environment says at that time holds.
pub(super) fn register(system: &dyn System, dir: &Path) -> Result<(), Problem> {
    static DONE: OnceLock<Result<(), Problem>> = OnceLock::new();
    DONE.get_or_init(|| {
        let seconds = system.env(TIMEOUT).and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
        let ways = Arc::new(Ways {
            ssh: system.env("GIT_SSH").unwrap_or_else(|| "ssh".to_owned()),
            dir: dir.to_owned(),
            patience: Duration::from_secs(seconds.unwrap_or(60)),
        });
        let failed = |error: git2::Error| {
            let message = format!("no repository can be fetched: {}", error.message());
            Problem::new("FetchFailed", message, "this should not happen; please report it")
        };
        let way = Arc::clone(&ways);
        let ssh =
            move |remote: &git2::Remote<'_>| Transport::smart(remote, false, ssh::Ssh(Arc::clone(&way)));
        register_transport("ssh", ssh).map_err(failed)?;
        for scheme in ["https", "http"] {
            let way = Arc::clone(&ways);
            let http = move |remote: &git2::Remote<'_>| {
                Transport::smart(remote, true, http::Http::new(Arc::clone(&way))?)
            };
            register_transport(scheme, http).map_err(failed)?;
        }
        Ok(())
    })
    .clone()
}

/// What went wrong on the way, for git's library to hand back.
fn trouble(message: impl AsRef<str>) -> git2::Error {
    git2::Error::new(git2::ErrorCode::GenericError, git2::ErrorClass::Net, message)
}
