//! A manifest in a repository: what is pushed arrives, and nothing that should not.

use std::fs;

use super::{CURSOR, Watching};
use crate::source::{ME, Team, manifest};
use crate::support::Ran;

/// Who signs by ssh, as `verify` wants it. Returns the arguments for a signed commit.
fn signer(team: &Team) -> Vec<String> {
    let key = team.home.path("signer");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", ME, "-f"])
        .arg(&key)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen");
    let public = team.home.read("signer.pub");
    team.home.write("allowed_signers", format!("{ME} namespaces=\"git\" {public}"));
    let key = format!("user.signingkey={}", key.display());
    ["-c", "gpg.format=ssh", "-c", &key, "-c", "commit.gpgsign=true"].map(str::to_owned).to_vec()
}

fn push_signed(team: &Team, signed: &[String], text: &str) -> String {
    let signed: Vec<&str> = signed.iter().map(String::as_str).collect();
    let id = team.commit_with(&[("mcp.yaml", text)], &signed);
    team.push();
    id
}

/// What Cursor would start.
fn start(watching: &Watching) -> Ran {
    let file: serde_json::Value = serde_json::from_str(&watching.home.read(CURSOR)).expect("JSON");
    let args = file["mcpServers"]["hello"]["args"].as_array().cloned().unwrap_or_default();
    let args: Vec<&str> = args.iter().filter_map(serde_json::Value::as_str).collect();
    watching.run(&args)
}

#[test]
fn without_signatures_what_is_pushed_waits_for_a_person() {
    let team = Team::new(&manifest(1));
    let watching = Watching::of(team.home.clone());
    watching.until_stands("cursor", "Stalled", "AwaitingApproval");
    assert!(!watching.home.exists(CURSOR));
    let first = team.stands_at().0;
    let said = watching.run(&["plan"]).exits(0);
    assert!(said.out.contains(&format!("revision {} (main)", &first[..12])), "{}", said.out);
    watching.run(&["approve", &first[..10]]).exits(0);
    watching.until_stands("cursor", "Ready", "InSync");
    assert_eq!(start(&watching).exits(0).out, "version 1\n");

    // The next one changes what is run: it is there, and is not applied; what runs goes on.
    let second = team.publish(&manifest(2));
    watching.signal("HUP");
    watching.until("it was fetched", || {
        watching.told(|event| event["event"] == "revision" && event["revision"] == second.as_str())
    });
    watching.until_stands("cursor", "Stalled", "AwaitingApproval");
    assert_eq!(start(&watching).exits(0).out, "version 1\n");
    watching.run(&["apply", "--yes"]).exits(0);
    watching.until_stands("cursor", "Ready", "InSync");
    assert_eq!(start(&watching).exits(0).out, "version 2\n");
    assert_eq!(watching.condition("cursor")["revision"], second.as_str());

    // One that only takes something out goes through.
    let third = team
        .publish(&(manifest(2).replace("servers: [hello]", "servers: []") + "  codex: { servers: [] }\n"));
    watching.signal("HUP");
    watching.until("it was fetched", || watching.told(|event| event["revision"] == third.as_str()));
    watching.until_stands("cursor", "Stalled", "PruneGuard");
    let said = watching.run(&["history"]).exits(0).out;
    assert!(said.contains(&second[..12]) && said.contains("approved"), "{said}");
}

#[test]
fn what_is_signed_is_applied_and_the_last_good_one_stays_whatever_comes() {
    let team = Team::without_commits();
    let signed = signer(&team);
    push_signed(&team, &signed, &manifest(1));
    team.stub("  verify: { ssh: allowed_signers }\n");
    let watching = Watching::of(team.home.clone());
    watching.until_file(CURSOR, |text| text.contains("exec"));
    assert_eq!(start(&watching).exits(0).out, "version 1\n");

    let second = push_signed(&team, &signed, &manifest(2));
    watching.signal("HUP");
    watching.until("it is applied", || start(&watching).out == "version 2\n");
    watching.until("it says so", || watching.manifest_stands()["revision"] == second.as_str());
    let history = watching.json(&["history"]);
    assert_eq!(history["history"][0]["revision"], second.as_str(), "{history}");

    // Unsigned.
    team.publish(&manifest(3));
    watching.signal("HUP");
    watching.until_manifest("Stalled", "Unverified");
    assert_eq!(start(&watching).exits(0).out, "version 2\n");

    // Signed, and broken.
    push_signed(&team, &signed, "version: 1\nservers: [oops\n");
    watching.signal("HUP");
    watching.until_manifest("Stalled", "InvalidManifest");

    // Signed, and not what follows.
    team.git(&["reset", "--quiet", "--hard", "HEAD~3"]);
    push_signed(&team, &signed, &manifest(4));
    watching.signal("HUP");
    watching.until_manifest("Stalled", "NotFastForward");

    // Nobody there: that passes, and drift is mended all the same.
    fs::rename(team.remote(), watching.path("away")).expect("moved");
    watching.signal("HUP");
    watching.until_manifest("Reconciling", "FetchFailed");
    watching.edit(CURSOR, "\"exec\"", "\"evil\"");
    watching.until_file(CURSOR, |text| !text.contains("evil"));
    assert_eq!(start(&watching).exits(0).out, "version 2\n");
    fs::rename(watching.path("away"), team.remote()).expect("moved back");

    team.git(&["reset", "--quiet", "--hard", &second]);
    push_signed(&team, &signed, &manifest(5));
    watching.signal("HUP");
    watching.until_manifest("Ready", "InSync");
    watching.until("it is applied", || start(&watching).out == "version 5\n");
}

#[test]
fn a_single_look_fetches() {
    let team = Team::without_commits();
    let signed = signer(&team);
    push_signed(&team, &signed, &manifest(1));
    team.stub("  verify: { ssh: allowed_signers }\n");
    let once = || team.home.run(&["watch", "--once"]);
    once().exits(0);
    assert!(team.home.read(CURSOR).contains("exec"));
    let second = push_signed(&team, &signed, &(manifest(1) + "  codex: { servers: [hello] }\n"));
    once().exits(0);
    assert_eq!(team.stands_at().0, second);
    assert!(team.home.read(".codex/config.toml").contains("hello"));
    team.publish(&manifest(2));
    let ran = once().exits(1);
    assert!(ran.out.contains("manifest: Stalled (Unverified)"), "{}", ran.out);
}

#[test]
fn a_repository_that_is_not_there_yet_is_asked_again() {
    let team = Team::new(&manifest(1));
    fs::rename(team.remote(), team.home.path("away")).expect("moved");
    let watching = Watching::of(team.home.clone());
    watching.until_manifest("Reconciling", "FetchFailed");
    fs::rename(watching.path("away"), team.remote()).expect("moved back");
    // After about ten seconds, by itself.
    watching.until_stands("cursor", "Stalled", "AwaitingApproval");
}
