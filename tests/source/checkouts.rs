//! What a repository may hold, and where it lies.

use super::{Team, manifest};
use crate::stories::says;

#[cfg(unix)]
#[test]
fn files_are_private_and_no_program_of_the_repository_runs() {
    use std::os::unix::fs::PermissionsExt;
    let team = Team::without_commits();
    team.home.write("team/work/run.sh", "#!/bin/sh\n");
    let script = team.home.path("team/work/run.sh");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("may be run");
    // A filter and a hook that would leave a trace.
    let trace = team.home.path("trace").display().to_string();
    team.git(&["config", "--global", "filter.trace.smudge", &format!("touch {trace}; cat")]);
    team.home.write(".templates/hooks/post-checkout", format!("#!/bin/sh\ntouch {trace}\n"));
    team.git(&[
        "config",
        "--global",
        "init.templateDir",
        &team.home.path(".templates").display().to_string(),
    ]);
    team.commit(&[("mcp.yaml", &manifest(1)), (".gitattributes", "* filter=trace\n"), ("deep/er/x", "x\n")]);
    team.push();
    team.home.run(&["plan"]).exits(0);
    assert!(!team.home.exists("trace"), "something of the repository was run");
    let (id, _) = team.stands_at();
    let mode = |path: &str| {
        let path = team.home.path(&format!(".local/state/mcpkeel/source/{path}"));
        path.symlink_metadata().expect("there").permissions().mode() & 0o777
    };
    let modes = ["mcp.yaml", "run.sh", "deep", "deep/er", "deep/er/x"]
        .map(|path| mode(&format!("trees/{id}/{path}")));
    assert_eq!(modes, [0o600, 0o700, 0o700, 0o700, 0o600]);
    assert_eq!(["..", "", "trees", "head.json", "repo.git"].map(mode), [0o700, 0o700, 0o700, 0o600, 0o700]);
    assert!(!team.home.exists(".local/state/mcpkeel/source/repo.git/hooks/post-checkout"));
}

#[test]
fn only_revisions_that_are_needed_are_kept() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    let (first, _) = team.stands_at();
    let second = team.publish(&manifest(2));
    team.fetch().exits(0);
    let mut kept = vec![first.clone(), second];
    kept.sort();
    assert_eq!(team.trees(), kept);
    let third = team.publish(&manifest(3));
    team.fetch().exits(0);
    let mut kept = vec![first, third];
    kept.sort();
    assert_eq!(team.trees(), kept);
    // What was applied before is kept for `undo`, as far as that may go.
    for version in 4..12 {
        team.home.run(&["apply", "--yes"]).exits(0);
        team.publish(&manifest(version));
        team.fetch().exits(0);
        assert!(team.trees().len() <= 6, "{:?}", team.trees());
    }
}

#[test]
fn revisions_that_do_not_hold_do_not_pile_up() {
    let team = Team::new(&manifest(1));
    team.fetch().exits(0);
    let (good, _) = team.stands_at();
    for round in 0..3 {
        let bad = team.publish(&format!("version: 1\nnonsense: {round}\n"));
        team.fetch().exits(0);
        team.fetch().exits(0);
        let mut kept = vec![good.clone(), bad];
        kept.sort();
        assert_eq!(team.trees(), kept);
    }
    let mended = team.publish(&manifest(2));
    team.fetch().exits(0);
    assert_eq!(team.trees(), [mended]);
}

#[test]
fn refuses_a_huge_file() {
    let team = Team::new(&manifest(1));
    team.fetch().exits(0);
    let (good, _) = team.stands_at();
    team.commit(&[("huge", &"x".repeat((16 << 20) + 1))]);
    team.push();
    says(&team.fetch().exits(0), "the file `huge` in the repository is larger than 16 MiB");
    assert_eq!(team.stands_at(), (good.clone(), Some("TooBig".to_owned())));
    assert_eq!(team.trees(), [good]);
}

#[test]
fn refuses_too_many_files() {
    let team = Team::new(&manifest(1));
    team.fetch().exits(0);
    let blob = team.git(&["rev-parse", "HEAD:mcp.yaml"]);
    let list: String = (0..20_001).map(|n| format!("100644 blob {blob}\tf{n}\n")).collect();
    team.home.write("list", list);
    let feed = |args: &[&str], file: &str| {
        let input = std::fs::File::open(team.home.path(file)).expect("a list");
        let ran = team.git_command(args).stdin(input).output().expect("git starts");
        String::from_utf8(ran.stdout).expect("an id").trim().to_owned()
    };
    let tree = feed(&["mktree"], "list");
    let commit = team.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "Many"]);
    team.git(&["push", "--quiet", "origin", &format!("{commit}:main")]);
    // It has no manifest either, but that is not what matters here.
    team.home.write("list2", format!("100644 blob {blob}\tmcp.yaml\n040000 tree {tree}\tmany\n"));
    let tree = feed(&["mktree"], "list2");
    let commit = team.git(&["commit-tree", &tree, "-p", &commit, "-m", "Many and a manifest"]);
    team.git(&["push", "--quiet", "origin", &format!("{commit}:main")]);
    says(&team.fetch().exits(0), "more than 20000 files");
    assert_eq!(team.stands_at().1.as_deref(), Some("TooBig"));
}

#[cfg(unix)]
#[test]
fn a_link_may_stay_inside_and_never_lead_out() {
    let team = Team::without_commits();
    team.home.write("outside.yaml", manifest(9));
    team.home.write("team/work/real/mcp.yaml", manifest(1));
    std::os::unix::fs::symlink("real/mcp.yaml", team.work().join("mcp.yaml")).expect("a link");
    let first = team.commit(&[]);
    team.push();
    assert!(team.home.run(&["plan"]).exits(0).out.contains("echo version 1"));
    for target in ["../outside.yaml", "/etc/passwd", "real/../../../../outside.yaml"] {
        std::fs::remove_file(team.work().join("mcp.yaml")).expect("removed");
        std::os::unix::fs::symlink(target, team.work().join("mcp.yaml")).expect("a link");
        team.commit(&[]);
        team.push();
        says(&team.fetch().exits(0), "the link `mcp.yaml` in the repository leads out of it");
        assert_eq!(team.stands_at(), (first.clone(), Some("LeadsOut".to_owned())), "{target}");
    }
}

#[test]
fn what_leads_to_other_files_of_the_machine_is_refused() {
    let team = Team::new(&manifest(1));
    team.fetch().exits(0);
    team.home.write("outside.yaml", manifest(9));
    for (line, place) in [
        ("include: [../../../../../../outside.yaml]", "2"),
        ("include: [~/outside.yaml]", "2"),
        ("include: [/etc/passwd]", "2"),
        ("secrets: { k: { age: ../k.age } }", "2"),
        ("secrets: { k: { file: ~/.ssh/id_ed25519 } }", "2"),
        ("secrets: { k: { file: \"${home}/key\" } }", "2"),
    ] {
        let broken = team.publish(&manifest(2).replacen('\n', &format!("\n{line}\n"), 1));
        let plan = team.fetch().exits(0);
        says(&plan, &format!("{}:mcp.yaml:{place}: A repository ", &broken[..12]));
        assert_eq!(team.stands_at().1.as_deref(), Some("InvalidManifest"), "{line}");
    }
}

#[test]
fn includes_inside_the_repository_are_read() {
    let team = Team::without_commits();
    team.commit(&[
        ("ai/mcp.yaml", "version: 1\ninclude: [more/*.yaml]\nclients: { cursor: { servers: [\"*\"] } }\n"),
        ("ai/more/a.yaml", "version: 1\nservers: { a: { command: \"${manifest_dir}/run.sh\" } }\n"),
        ("ai/more/b.yaml", "version: 1\nservers: { b: { command: b } }\n"),
    ]);
    team.push();
    team.stub("  path: ai/mcp.yaml\n");
    let plan = team.home.run(&["plan"]).exits(0);
    let (id, _) = team.stands_at();
    says(&plan, &format!("/.local/state/mcpkeel/source/trees/{id}/ai/more/run.sh"));
}

#[test]
fn a_submodule_is_left_out_with_a_note() {
    let team = Team::new(&manifest(1));
    let tip = team.git(&["rev-parse", "HEAD"]);
    team.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{tip},vendor/other")]);
    team.git(&["commit", "--quiet", "--message", "A submodule"]);
    team.push();
    says(&team.home.run(&["plan"]).exits(0), "the submodule `vendor/other` is not fetched");
}

#[cfg(target_os = "linux")]
#[test]
fn a_repository_of_another_user_is_explained() {
    let team = Team::new(&manifest(1));
    if std::os::unix::fs::chown(team.remote(), Some(65_534), None).is_err() {
        println!("skipped: only root may give a directory away");
        return;
    }
    let plan = team.home.run(&["plan"]).exits(1);
    says(&plan, "it belongs to another user");
    says(&plan, &format!("git config --global --add safe.directory {}", team.remote()));
    team.git(&["config", "--global", "--add", "safe.directory", &team.remote()]);
    team.home.run(&["plan"]).exits(0);
}
