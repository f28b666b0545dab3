//! Which revision counts: the newest that follows from the last good one and holds.

use std::process::Stdio;
#[cfg(unix)]
use std::time::Duration;

use super::{Team, manifest};
use crate::stories::{json_of, says};

#[test]
fn the_first_plan_fetches_and_shows_the_revision() {
    let team = Team::new(&manifest(1));
    let tip = team.git(&["rev-parse", "HEAD"]);
    let plan = team.home.run(&["plan"]).exits(0);
    assert!(plan.err.contains("fetching "), "{}", plan.err);
    assert!(plan.out.starts_with(&format!("revision {} (main)\n", &tip[..12])), "{}", plan.out);
    assert!(plan.out.contains("echo version 1"), "{}", plan.out);
    assert_eq!(team.stands_at(), (tip, None));
    let again = team.home.run(&["plan"]).exits(0);
    assert!(!again.err.contains("fetching"), "what is there is not fetched again: {}", again.err);
}

#[test]
fn a_new_revision_is_used_once_it_was_fetched() {
    let team = Team::new(&manifest(1));
    team.fetch().exits(0);
    let second = team.publish(&manifest(2));
    assert!(team.home.run(&["plan"]).exits(0).out.contains("echo version 1"));
    let plan = team.fetch().exits(0);
    assert!(plan.out.contains("echo version 2"), "{}", plan.out);
    assert_eq!(team.stands_at(), (second, None));
}

#[test]
fn applies_and_shows_the_revision_everywhere() {
    let team = Team::new(&manifest(1));
    let tip = team.git(&["rev-parse", "HEAD"]);
    let applied = team.home.run(&["apply", "--yes"]).exits(0);
    says(&applied, &format!("revision {} (main)", &tip[..12]));
    assert_eq!(team.head()["applied"]["id"], tip.as_str());
    assert_eq!(json_of(&team.home, &["plan"])["revision"]["id"], tip.as_str());
    assert_eq!(json_of(&team.home, &["status"])["revision"]["branch"], "main");
    says(&team.home.run(&["status"]).exits(0), &format!("revision {}", &tip[..12]));
    assert_eq!(json_of(&team.home, &["history"])["history"][0]["revision"], tip.as_str());
    let history = team.home.run(&["history"]).exits(0);
    assert!(history.out.contains("REVISION") && history.out.contains(&tip[..12]), "{}", history.out);
    let id = json_of(&team.home, &["history"])["history"][0]["id"].as_str().expect("an id").to_owned();
    assert!(team.home.read(&format!(".local/state/mcpkeel/backups/{id}.json")).contains(&tip));
}

#[test]
fn a_home_without_a_source_shows_no_revision() {
    let home = crate::stories::applied(
        "version: 1\nservers: { a: { command: a } }\nclients: { cursor: { servers: [a] } }\n",
    );
    let history = home.run(&["history"]).exits(0);
    assert!(!history.out.contains("REVISION"), "{}", history.out);
    assert!(!home.run(&["plan"]).exits(0).out.contains("revision"));
    assert!(!home.exists(".local/state/mcpkeel/source"));
    says(&home.run(&["plan", "--fetch"]).exits(0), "the manifest has no source to fetch");
}

#[test]
fn refuses_a_forced_push_and_keeps_the_last_good_revision() {
    let team = Team::new(&manifest(1));
    team.fetch().exits(0);
    let second = team.publish(&manifest(2));
    team.fetch().exits(0);
    team.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    team.publish(&manifest(3));
    let plan = team.fetch().exits(0);
    says(&plan, "was rewritten");
    assert!(plan.out.contains("echo version 2"), "{}", plan.out);
    assert_eq!(team.stands_at(), (second.clone(), Some("NotFastForward".to_owned())));
    // Back to an older revision is no way forward either.
    team.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    team.push();
    team.fetch().exits(0);
    assert_eq!(team.stands_at(), (second.clone(), Some("NotFastForward".to_owned())));
    // The last good one and what follows from it counts again.
    team.git(&["reset", "--quiet", "--hard", &second]);
    let fourth = team.publish(&manifest(4));
    team.fetch().exits(0);
    assert_eq!(team.stands_at(), (fourth, None));
}

#[test]
fn a_broken_manifest_never_becomes_the_newest_one() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    let before = team.home.read(".cursor/mcp.json");
    let (good, _) = team.stands_at();
    let broken = team.publish("version: 1\nservers:\n  hello: { comand: x }\n");
    let plan = team.fetch().exits(0);
    says(&plan, &format!("{}:mcp.yaml:3", &broken[..12]));
    assert_eq!(team.stands_at(), (good.clone(), Some("InvalidManifest".to_owned())));
    team.home.run(&["apply", "--yes"]).exits(0);
    assert_eq!(team.home.read(".cursor/mcp.json"), before);
    let doctor = team.home.run(&["doctor"]).exits(1);
    says(&doctor, "InvalidManifest since ");
    says(&team.home.run(&["status"]).exits(0), "source: InvalidManifest since ");
    assert_eq!(json_of(&team.home, &["status"])["source_problem"]["reason"], "InvalidManifest");
    let mended = team.publish(&manifest(2));
    team.fetch().exits(0);
    assert_eq!(team.stands_at(), (mended, None));
}

#[test]
fn without_a_good_revision_nothing_is_planned() {
    let team = Team::new("version: 1\nservers: [\n");
    let plan = team.home.run(&["plan"]);
    assert_eq!(plan.code, 3, "{}{}", plan.out, plan.err);
    team.home.run(&["apply", "--yes"]).exits(3);
    let missing = Team::without_commits();
    says(&missing.home.run(&["plan"]).exits(1), "which of its branches is the default one");
}

#[test]
fn says_that_the_manifest_or_the_branch_is_missing() {
    let team = Team::new(&manifest(1));
    team.stub("  path: ai/mcp.yaml\n");
    says(&team.home.run(&["plan"]).exits(1), "has no file `ai/mcp.yaml`");
    assert_eq!(team.stands_at().1.as_deref(), Some("NoManifest"));
    team.stub("  branch: mian\n");
    says(&team.home.run(&["plan"]).exits(1), "did you mean `main`?");
    assert_eq!(team.stands_at().1.as_deref(), Some("NoBranch"));
}

#[test]
fn a_remote_that_vanished_and_returned_is_no_harm() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    let (good, _) = team.stands_at();
    std::fs::rename(team.remote(), team.home.path("away")).expect("moved");
    let plan = team.fetch().exits(0);
    says(&plan, "cannot be fetched");
    says(&plan, &format!("{} is used", &good[..12]));
    assert_eq!(team.stands_at(), (good, Some("FetchFailed".to_owned())));
    let since = team.head()["problem"]["since"].clone();
    team.fetch().exits(0);
    assert_eq!(team.head()["problem"]["since"], since, "the same problem keeps its time");
    std::fs::rename(team.home.path("away"), team.remote()).expect("moved back");
    let second = team.publish(&manifest(2));
    team.fetch().exits(0);
    assert_eq!(team.stands_at(), (second, None));
}

#[test]
fn another_branch_counts_once_it_is_good() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    let (first, _) = team.stands_at();
    team.git(&["checkout", "--quiet", "--orphan", "next"]);
    team.commit(&[("mcp.yaml", "version: 1\nnonsense: 1\n")]);
    team.git(&["push", "--quiet", "origin", "next"]);
    team.stub("  branch: next\n");
    let plan = team.home.run(&["plan"]).exits(0);
    says(&plan, &format!("{} is used", &first[..12]));
    assert_eq!(team.stands_at(), (first, Some("InvalidManifest".to_owned())));
    // It does not follow from the other branch, and need not.
    let other = team.commit(&[("mcp.yaml", &manifest(7))]);
    team.git(&["push", "--quiet", "origin", "next"]);
    let plan = team.home.run(&["plan"]).exits(0);
    assert!(plan.out.starts_with(&format!("revision {} (next)", &other[..12])), "{}", plan.out);
    assert_eq!(team.stands_at(), (other, None));
}

#[test]
fn another_repository_counts_once_it_is_good() {
    let team = Team::new(&manifest(1));
    team.fetch().exits(0);
    let (first, _) = team.stands_at();
    team.home.write("mcp.yaml", "version: 1\nsource: { git: other/repo }\n");
    says(&team.home.run(&["plan"]).exits(0), &format!("{} is used", &first[..12]));
    team.git(&[
        "clone",
        "--quiet",
        "--bare",
        &team.remote(),
        &team.home.path("other/repo").display().to_string(),
    ]);
    let plan = team.home.run(&["plan"]).exits(0);
    assert!(plan.err.contains("fetching "), "{}", plan.err);
    assert!(team.head()["url"].as_str().expect("a url").ends_with("/other/repo"), "{}", team.head());
    assert_eq!(team.stands_at(), (first, None));
}

#[test]
fn a_directory_that_somebody_works_in_is_a_repository_too() {
    let team = Team::new(&manifest(1));
    team.home.write("mcp.yaml", "version: 1\nsource: { git: ~/team/work }\n");
    team.home.write("team/work/mcp.yaml", manifest(9));
    let plan = team.home.run(&["plan"]).exits(0);
    assert!(plan.out.contains("echo version 1"), "only what is committed counts: {}", plan.out);
}

#[test]
fn a_lost_state_is_fetched_again() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    let (id, _) = team.stands_at();
    for lost in ["trees", "repo.git"] {
        std::fs::remove_dir_all(team.home.path(&format!(".local/state/mcpkeel/source/{lost}")))
            .expect("removed");
        team.fetch().exits(0);
        assert_eq!(team.stands_at(), (id.clone(), None), "{lost}");
    }
    team.home.write(".local/state/mcpkeel/source/head.json", "{");
    says(&team.home.run(&["plan"]).exits(3), "head.json");
}

#[test]
fn settings_of_the_source_are_not_used() {
    let team = Team::new(&format!("{}settings: {{ drift: report }}\ngateway: {{}}\n", manifest(1)));
    team.home.write(
        "mcp.yaml",
        format!("version: 1\nsource: {{ git: \"{}\" }}\nsettings: {{ drift: repair }}\n", team.remote()),
    );
    let plan = team.home.run(&["plan", "-v"]).exits(0);
    says(&plan, "the settings of the source are not used; write them in mcp.yaml");
    says(&plan, "the gateway of the source is not used; write it in mcp.yaml");
}

#[test]
fn a_source_in_an_included_file_is_refused() {
    let team = Team::new(&manifest(1));
    team.home.write("more.yaml", format!("version: 1\nsource: {{ git: \"{}\" }}\n", team.remote()));
    team.home.write("mcp.yaml", "version: 1\ninclude: [more.yaml]\n");
    says(&team.home.run(&["plan"]).exits(3), "`source` stands in a file that is only included.");
}

#[test]
fn the_stub_and_the_source_are_one_manifest() {
    let team = Team::new(
        "version: 1\nservers:\n  hello: { command: hello, env: { KEY: \"${secret:mine}\" } }\n\
         groups: { all: [hello] }\n",
    );
    team.stub("secrets: { mine: { file: ~/key } }\nclients: { cursor: { servers: [all] } }\n");
    let plan = team.home.run(&["plan"]).exits(0);
    assert!(plan.out.contains("hello"), "{}", plan.out);
    says(&team.home.run(&["validate"]).exits(0), "of its source: 1 servers, 1 clients");
    team.stub("secrets: { mine: { file: ~/key } }\nclients: { cursor: { servers: [al] } }\n");
    says(&team.home.run(&["validate"]).exits(3), "did you mean `all`?");
}

#[test]
fn validate_judges_what_is_here() {
    let team = Team::new(&manifest(1));
    team.stub("clients: { cursor: { servers: [what-is-in-there] } }\n");
    let ran = team.home.run(&["validate", "--strict"]).exits(0);
    says(&ran, "its source was not fetched yet");
    assert!(!team.home.exists(".local/state/mcpkeel"), "validate fetches nothing");
}

#[test]
fn runs_at_the_same_time_fetch_one_after_the_other() {
    let team = Team::new(&manifest(1));
    for version in 2..5 {
        let id = team.publish(&manifest(version));
        let start = || {
            team.home
                .command(&["plan", "--fetch"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts")
        };
        let runs: Vec<_> = (0..4).map(|_| start()).collect();
        for mut run in runs {
            assert!(run.wait().expect("it ends").success());
        }
        assert_eq!(team.stands_at(), (id, None));
    }
}

/// However far a fetch came before it was ended, the next one finds its way.
#[cfg(unix)]
#[test]
fn a_fetch_that_is_cut_off_leaves_the_last_good_revision() {
    let team = Team::new(&manifest(1));
    team.home.run(&["apply", "--yes"]).exits(0);
    for round in 0..25 {
        let (before, _) = team.stands_at();
        let files: Vec<(String, String)> =
            (0..20).map(|file| (format!("data/{file}"), format!("{round} {file}\n"))).collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let next = team.commit(&[&files[..], &[("mcp.yaml", &manifest(round))]].concat());
        team.push();
        let mut run = team
            .home
            .command(&["plan", "--fetch"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // No synchronisation: where it is cut off is left to chance.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 1500));
        run.kill().expect("ended");
        run.wait().expect("ended");
        let (now, _) = team.stands_at();
        assert!(now == before || now == next, "{now}");
        team.home.run(&["exec", "hello"]).exits(0);
        team.fetch().exits(0);
        assert_eq!(team.stands_at(), (next, None), "round {round}");
    }
    assert!(team.trees().iter().all(|name| name.len() == 40), "{:?}", team.trees());
}
