//! Whose signature a commit has.
//!
//! Invariant: what cannot be decided is no good signature. Nobody gets past here but who is in the user's own file.
//!
//! Start reading at [`signer`]; `allowed.rs` reads OpenSSH's file of allowed signers.

mod allowed;
mod pgp;
mod ssh;

use std::path::Path;

use super::repo::Repo;
use super::{Problem, Trust, short};
use crate::system::System;

/// Who signed a commit, if that is one of those who may. `dir` is a directory of ours for files of a moment.
pub(super) fn signer(
    system: &dyn System,
    dir: &Path,
    repo: &Repo,
    id: &str,
    trust: &Trust,
) -> Result<String, Problem> {
    let unverified = |Refusal { why, hint }: Refusal| {
        Problem::new("Unverified", format!("the revision {} {why}", short(id)), hint)
    };
    let Some(signed) = repo.signed(id)? else {
        let hint = "sign it (`git commit -S`) and push it again";
        return Err(unverified(Refusal::new("is not signed", hint)));
    };
    let signer = match trust {
        Trust::Ssh(file) => ssh::signer(system, file, &signed),
        Trust::Pgp(file) => pgp::signer(system, dir, file, &signed),
    };
    signer.map(|signer| signer.chars().filter(|c| !c.is_control()).collect()).map_err(unverified)
}

/// Why a signature does not count.
struct Refusal {
    /// The end of a sentence about the revision.
    why: String,
    hint: String,
}

impl Refusal {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }
}

/// What a signature begins with, by its kind.
fn kind(signature: &[u8]) -> &'static str {
    let begins = |with: &str| signature.trim_ascii_start().starts_with(with.as_bytes());
    if begins("-----BEGIN SSH SIGNATURE-----") {
        "ssh"
    } else if begins("-----BEGIN PGP ") {
        "OpenPGP"
    } else {
        "X.509"
    }
}

/// Refuses a signature of another kind than the one that is asked for.
fn expect(signature: &[u8], wanted: &str) -> Result<(), Refusal> {
    match kind(signature) {
        found if found == wanted => Ok(()),
        found => Err(Refusal::new(
            format!("is signed with {found}, and the manifest asks for a signature of {wanted}"),
            "sign it the other way, or change `verify` under `source`",
        )),
    }
}
