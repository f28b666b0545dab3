//! Whose signature counts, with keys that `ssh-keygen` and `gpg` made.
#![cfg(unix)]

use std::process::Command;

use super::{ME, Team, manifest};
use crate::secrets::tools::are_there;
use crate::stories::says;
use crate::support::repo;

/// Makes an SSH key; its public half.
fn ssh_key(team: &Team, name: &str) -> String {
    let path = team.home.path(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&path)
        .status()
        .expect("ssh-keygen starts");
    assert!(made.success());
    team.home.read(&format!("{name}.pub")).trim().to_owned()
}

/// Commits a manifest, signed with an SSH key, and pushes it; the commit's id.
fn publish_signed(team: &Team, version: u32, key: &str) -> String {
    let key = format!("user.signingkey={}", team.home.path(key).display());
    let signed = ["-c", "gpg.format=ssh", "-c", &key, "-c", "commit.gpgsign=true"];
    let id = team.commit_with(&[("mcp.yaml", &manifest(version))], &signed);
    team.push();
    id
}

/// A team whose first revision is signed, and the stub asks for that.
fn team() -> Option<Team> {
    if !are_there(&["ssh-keygen"]) {
        return None;
    }
    let team = Team::without_commits();
    let key = ssh_key(&team, "mine");
    team.home.write("signers", format!("# who may\n{ME} namespaces=\"git\" {key}\n"));
    publish_signed(&team, 1, "mine");
    team.stub("  verify: { ssh: signers }\n");
    Some(team)
}

#[test]
fn a_revision_that_one_of_us_signed_is_used_and_shows_who() {
    let Some(team) = team() else { return };
    let plan = team.home.run(&["plan"]).exits(0);
    let (first, _) = team.stands_at();
    assert!(
        plan.out.starts_with(&format!("revision {} (main, signed by {ME})\n", &first[..12])),
        "{}",
        plan.out
    );
    // What lies between need not be signed, the tip must be.
    team.commit(&[("mcp.yaml", &manifest(2))]);
    let third = publish_signed(&team, 3, "mine");
    team.fetch().exits(0);
    assert_eq!(team.stands_at(), (third, None));
}

#[test]
fn the_example_works_with_a_repository_of_ones_own() {
    let Some(team) = team() else { return };
    let example = std::fs::read_to_string(repo().join("examples/source/mcp.yaml")).expect("an example");
    let address = "git: git@github.com:ada/dotfiles";
    assert!(example.contains(address), "{example}");
    let key = team.home.read("mine.pub");
    team.home.write("allowed_signers", format!("{ME} namespaces=\"git\" {key}"));
    team.home.write("mcp.yaml", example.replace(address, &format!("git: {}", team.remote())));
    let text = manifest(2).replace("args:", "env: { TOKEN: \"${secret:github-token}\" }, args:");
    team.home.write("team/work/ai/mcp.yaml", text);
    publish_signed(&team, 2, "mine");
    let plan = team.home.run(&["plan", "--fetch"]).exits(0);
    says(&plan, &format!("(main, signed by {ME})"));
    says(&plan, "secrets: github-token from the keyring's `github-token`");
}

#[test]
fn the_very_first_revision_must_be_signed() {
    let Some(team) = team() else { return };
    team.publish(&manifest(2));
    says(&team.home.run(&["plan"]).exits(6), "is not signed");
    team.home.run(&["apply", "--yes"]).exits(6);
    assert!(!team.home.exists(".cursor/mcp.json"));
}

#[track_caller]
fn stays(team: &Team, why: &str) {
    let (good, _) = team.stands_at();
    says(&team.fetch().exits(0), why);
    assert_eq!(team.stands_at(), (good, Some("Unverified".to_owned())));
}

#[test]
fn an_unsigned_revision_never_becomes_the_newest_one() {
    let Some(team) = team() else { return };
    team.fetch().exits(0);
    team.publish(&manifest(2));
    stays(&team, "is not signed");
}

#[test]
fn a_key_that_is_not_allowed_counts_for_nothing() {
    let Some(team) = team() else { return };
    team.fetch().exits(0);
    let other = ssh_key(&team, "other");
    publish_signed(&team, 2, "other");
    stays(&team, "a key that ");
    team.home.write("signers", format!("someone@example.org {other}\n"));
    stays(&team, &format!("which is not allowed for the committer {ME}"));
    team.home.write("signers", format!("{ME} namespaces=\"file\" {other}\n"));
    stays(&team, "which is not allowed for `git`");
    team.home.write("signers", format!("{ME} valid-before=\"20200101\" {other}\n"));
    stays(&team, "which is no longer valid");
    team.home.write("signers", format!("{ME} valid-after=\"29990101Z\" {other}\n"));
    stays(&team, "which is not valid yet");
    team.home.write("signers", format!("{ME} cert-authority {other}\n"));
    stays(&team, "signers:1: certificates (`cert-authority`) are not supported");
    std::fs::remove_file(team.home.path("signers")).expect("removed");
    stays(&team, "cannot be read");
    team.home.write("signers", format!("*@example.org valid-before=\"29990101\" {other}\n"));
    team.fetch().exits(0);
    assert_eq!(team.stands_at().1, None);
}

#[test]
fn a_commit_from_before_its_key_expired_is_no_way_in() {
    let Some(team) = team() else { return };
    team.fetch().exits(0);
    let key = ssh_key(&team, "old");
    team.home.write("signers", format!("{ME} valid-before=\"20200101\" {key}\n"));
    team.home.write("team/work/mcp.yaml", manifest(2));
    team.git(&["add", "--all"]);
    let signing = format!("user.signingkey={}", team.home.path("old").display());
    let args = ["-c", "gpg.format=ssh", "-c", &signing, "commit", "-S", "--quiet", "-m", "Backdated"];
    let mut commit = team.git_command(&args);
    let made = commit.env("GIT_COMMITTER_DATE", "2019-06-01T00:00:00Z").status().expect("git starts");
    assert!(made.success());
    team.push();
    stays(&team, "which is no longer valid");
}

#[test]
fn a_signature_over_something_else_counts_for_nothing() {
    let Some(team) = team() else { return };
    team.fetch().exits(0);
    publish_signed(&team, 2, "mine");
    // The same signature on another tree.
    team.home.write("team/work/mcp.yaml", manifest(666));
    team.git(&["add", "--all"]);
    let tree = team.git(&["write-tree"]);
    let commit = team.git(&["cat-file", "commit", "HEAD"]);
    let (_, rest) = commit.split_once('\n').expect("a commit");
    team.home.write("forged", format!("tree {tree}\n{rest}\n"));
    let input = std::fs::File::open(team.home.path("forged")).expect("there");
    let args = ["hash-object", "-t", "commit", "-w", "--stdin"];
    let made = team.git_command(&args).stdin(input).output().expect("git starts");
    let id = String::from_utf8(made.stdout).expect("an id").trim().to_owned();
    team.git(&["push", "--quiet", "--force", "origin", &format!("{id}:main")]);
    stays(&team, "has a damaged signature");
}

#[test]
fn what_was_fetched_unverified_is_not_used_once_that_is_asked_for() {
    let Some(team) = team() else { return };
    team.stub("");
    let unsigned = team.publish(&manifest(2));
    team.fetch().exits(0);
    team.stub("  verify: { ssh: signers }\n");
    says(&team.home.run(&["plan"]).exits(6), "is not signed");
    assert_eq!(team.stands_at(), (unsigned, Some("Unverified".to_owned())));
    let signed = publish_signed(&team, 3, "mine");
    team.home.run(&["plan"]).exits(0);
    assert_eq!(team.stands_at(), (signed, None));
}

#[test]
fn gpgv_says_whose_openpgp_signature_it_is() {
    if !are_there(&["gpg", "gpgv"]) {
        return;
    }
    let team = Team::without_commits();
    let gnupg = team.home.path("gnupg");
    std::fs::create_dir(&gnupg).expect("a directory");
    std::fs::set_permissions(&gnupg, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("private");
    let gpg = |args: &[&str]| {
        let ran = Command::new("gpg")
            .args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(args)
            .env("GNUPGHOME", &gnupg)
            .output()
            .expect("gpg starts");
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout
    };
    for who in ["Me <me@example.org>", "Other <other@example.org>"] {
        gpg(&["--quick-generate-key", who, "ed25519", "sign", "never"]);
    }
    std::fs::write(team.home.path("ring.gpg"), gpg(&["--export", "me@example.org"])).expect("written");
    team.stub("  verify: { pgp: ring.gpg }\n");
    let publish = |version: u32, who: &str| {
        team.home.write("team/work/mcp.yaml", manifest(version));
        team.git(&["add", "--all"]);
        let key = format!("user.signingkey={who}");
        let args = ["-c", &key, "commit", "-S", "--quiet", "-m", "Signed"];
        let made = team.git_command(&args).env("GNUPGHOME", &gnupg).output().expect("git starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        team.push();
    };
    publish(1, "me@example.org");
    says(&team.home.run(&["plan"]).exits(0), "(main, signed by Me <me@example.org>)");
    publish(2, "other@example.org");
    stays(&team, "is not signed by a key of ");
    std::fs::write(team.home.path("ring.gpg"), gpg(&["--export"])).expect("written");
    says(&team.fetch().exits(0), "signed by Other <other@example.org>)");
    // Without the program there is no way around it.
    publish(3, "me@example.org");
    let mut command = team.home.command(&["plan", "--fetch"]);
    let ran = command.env("PATH", team.home.path("nothing")).output().expect("it starts");
    says(&crate::support::Ran::from(ran).exits(0), "the program gpgv is not installed");
    let left = std::fs::read_dir(team.home.path(".local/state/mcpkeel/source")).expect("there");
    let left: Vec<String> =
        left.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.contains("verify")), "{left:?}");
    drop(Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", &gnupg).status());
}
