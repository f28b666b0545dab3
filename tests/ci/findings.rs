//! What validate found, for machines: SARIF as its schema says, GitLab's code quality report.
//!
//! The schema is the one of OASIS in the copy that the npm package @microsoft/jest-sarif 1.0.0-beta.0 ships (MIT).

use serde_json::Value;

use crate::support::{Ran, Sandbox};

/// Errors of several kinds, one of them twice, one behind characters that are long in UTF-8 and in UTF-16.
const BAD: &str = "version: 1\nservers:\n  a: { comand: x }\n  b: { comand: x }\n  c: { description: \"ü 𝄞\", comand: x }\nclients:\n  cursor: { servers: [a, nobody] }\n";

fn report(home: &Sandbox, dir: &str, format: &str) -> Value {
    let mut command = home.command(&["validate", "--format", format]);
    let ran = Ran::from(command.current_dir(home.path(dir)).output().expect("it starts")).exits(3);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

fn results(sarif: &Value) -> &Vec<Value> {
    sarif["runs"][0]["results"].as_array().expect("results")
}

#[test]
fn sarif_is_as_its_schema_says() {
    // A bracket too many makes this pattern no regular expression; nothing of ours names a language.
    let text = include_str!("sarif-2.1.0-rtm.5.json").replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for manifest in
        [BAD, "version: 1\n  bad: [\n", "version: 1\nservers: {}\nclients: {}\ninclude: [../*.yaml]\n"]
    {
        let home = Sandbox::new();
        home.write("repo/mcp.yaml", manifest);
        home.write("b.yaml", BAD);
        let sarif = report(&home, "repo", "sarif");
        let problems: Vec<String> =
            schema.iter_errors(&sarif).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(problems.is_empty(), "{problems:#?}\n{sarif:#}");
        assert!(!results(&sarif).is_empty());
    }
    // The schema means something.
    assert!(!schema.is_valid(&serde_json::json!({ "version": "2.1.0", "runs": [{ "results": [] }] })));
}

#[test]
fn columns_count_characters_and_say_so() {
    let home = Sandbox::new();
    home.write("mcp.yaml", BAD);
    let sarif = report(&home, "", "sarif");
    assert_eq!(sarif["runs"][0]["columnKind"], "unicodeCodePoints");
    let line = "  c: { description: \"ü 𝄞\", comand: x }";
    let before = line[..line.find("comand").expect("there")].chars().count() as u64;
    let region = results(&sarif)
        .iter()
        .map(|result| &result["locations"][0]["physicalLocation"]["region"])
        .find(|region| region["startLine"] == 5)
        .expect("a finding in line 5");
    assert_eq!(region["startColumn"], before + 1);
    assert_eq!(region["endColumn"], before + 1 + "comand".len() as u64);
}

#[test]
fn paths_are_those_of_the_repository() {
    let home = Sandbox::new();
    home.write("repo/.git/HEAD", "ref: refs/heads/main\n");
    home.write("repo/team one/mcp.yaml", BAD);
    let artifact =
        |sarif: &Value| results(sarif)[0]["locations"][0]["physicalLocation"]["artifactLocation"].clone();
    let inside = artifact(&report(&home, "repo/team one", "sarif"));
    assert_eq!(inside, serde_json::json!({ "uri": "team%20one/mcp.yaml", "uriBaseId": "%SRCROOT%" }));
    home.write("outside.yaml", "version: 1\nserverz: {}\n");
    home.write("repo/two/mcp.yaml", "version: 1\nservers: {}\nclients: {}\ninclude: [../../outside.yaml]\n");
    let outside = artifact(&report(&home, "repo/two", "sarif"));
    let uri = outside["uri"].as_str().expect("a uri");
    assert!(uri.starts_with("file:///") && uri.ends_with("/outside.yaml") && !uri.contains('~'), "{uri}");
    let gitlab = report(&home, "repo/team one", "gitlab");
    assert_eq!(gitlab[0]["location"]["path"], "team one/mcp.yaml", "{gitlab:#}");
}

#[test]
fn a_finding_keeps_its_fingerprint_when_lines_move() {
    let home = Sandbox::new();
    let prints = |manifest: &str| -> Vec<Vec<String>> {
        home.write("mcp.yaml", manifest);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let sarif = report(&home, "", "sarif");
        let gitlab = report(&home, "", "gitlab");
        vec![
            results(&sarif)
                .iter()
                .map(|result| text(&result["partialFingerprints"]["mcpkeelFinding/v1"]))
                .collect(),
            gitlab.as_array().expect("a list").iter().map(|finding| text(&finding["fingerprint"])).collect(),
        ]
    };
    let before = prints(BAD);
    assert_eq!(prints(&format!("# one more line\n{BAD}")), before);
    for list in &before {
        let different: std::collections::BTreeSet<&String> = list.iter().collect();
        assert_eq!(different.len(), list.len(), "{list:?}");
        assert!(list.len() >= 4);
    }
    assert_ne!(prints(&BAD.replace("nobody", "somebody")), before);
}

#[test]
fn gitlab_gets_what_its_report_needs() {
    let home = Sandbox::new();
    home.write("mcp.yaml", BAD);
    let report = report(&home, "", "gitlab");
    for finding in report.as_array().expect("a list") {
        let text =
            |name: &str| finding[name].as_str().unwrap_or_else(|| panic!("{name}: {finding}")).to_owned();
        assert!(!text("description").is_empty() && !text("check_name").is_empty());
        assert!(["info", "minor", "major", "critical", "blocker"].contains(&text("severity").as_str()));
        assert_eq!(finding["location"]["path"], "mcp.yaml");
        assert!(finding["location"]["lines"]["begin"].as_u64() >= Some(1));
    }
    home.write(
        "mcp.yaml",
        "version: 1\nservers: { a: { command: a } }\nclients: { cursor: { servers: [a] } }\n",
    );
    assert_eq!(home.run(&["validate", "--format", "gitlab"]).exits(0).out.trim(), "[]");
}
