use std::path::Path;
use std::time::UNIX_EPOCH;

use ssh_key::{HashAlg, PublicKey, SshSig};

use super::allowed::{self, Line};
use super::{Refusal, expect};
use crate::source::repo::Signed;
use crate::system::System;

/// What git signs for.
const NAMESPACE: &str = "git";

/// The committer, if the commit is signed with a key that the file allows for that address: at the time of the
/// commit, and now, since the time of a commit is whatever its maker says.
pub(super) fn signer(system: &dyn System, file: &Path, signed: &Signed) -> Result<String, Refusal> {
    expect(&signed.signature, "ssh")?;
    let name = file.display();
    let text = system.read(file).map_err(|error| {
        let hint = "it lies beside the manifest, one line for each: `me@example.org ssh-ed25519 AAAA..`";
        Refusal::new(format!("cannot be verified: {name} cannot be read: {error}"), hint)
    })?;
    let lines = allowed::parse(&String::from_utf8_lossy(&text)).map_err(|mistake| {
        let why = format!("cannot be verified: {name}:{}: {}", mistake.line, mistake.message);
        Refusal::new(why, mistake.hint)
    })?;
    let broken =
        |_| Refusal::new("has a damaged signature", "sign it again (`git commit --amend -S`) and push it");
    let signature = SshSig::from_pem(&signed.signature).map_err(broken)?;
    let key = PublicKey::from(signature.public_key().clone());
    key.verify(NAMESPACE, &signed.data, &signature).map_err(broken)?;
    let print = key.fingerprint(HashAlg::Sha256);
    let now = system.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut why = format!("is signed by {print}, a key that {name} does not have");
    for line in lines.iter().filter(|line| line.key.key_data() == key.key_data()) {
        match objection(line, signed, now) {
            None => return Ok(signed.email.clone()),
            Some(objection) => why = format!("is signed by {print}, {objection} ({name}:{})", line.number),
        }
    }
    Err(Refusal::new(why, "if you trust this key and address, add them to that file"))
}

fn objection(line: &Line, signed: &Signed, now: i64) -> Option<String> {
    if !line.allows_namespace(NAMESPACE) {
        return Some("which is not allowed for `git`".to_owned());
    }
    if !line.allows_principal(&signed.email) {
        let email: String = signed.email.chars().filter(|c| !c.is_control()).collect();
        return Some(format!("which is not allowed for the committer {email}"));
    }
    if [signed.time, now].iter().any(|time| line.valid_after.is_some_and(|after| *time < after)) {
        return Some("which is not valid yet".to_owned());
    }
    if [signed.time, now].iter().any(|time| line.valid_before.is_some_and(|before| *time >= before)) {
        return Some("which is no longer valid".to_owned());
    }
    None
}
