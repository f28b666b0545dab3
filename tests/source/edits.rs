//! Commands that edit the manifest never edit a checkout.

use super::{Team, manifest};
use crate::stories::says;

const REFUSAL: &str = "edit it in the repository, commit and push";

#[test]
fn adopting_drift_is_refused() {
    let direct = manifest(1).replace(", delivery: exec", "");
    let team = Team::new(&direct);
    team.home.run(&["apply", "--yes"]).exits(0);
    let drifted = team.home.read(".cursor/mcp.json").replace("version 1", "version 0");
    team.home.write(".cursor/mcp.json", &drifted);
    let (id, _) = team.stands_at();
    says(&team.home.run(&["adopt"]).exits(6), REFUSAL);
    let tree = format!(".local/state/mcpkeel/source/trees/{id}/mcp.yaml");
    assert_eq!(team.home.read(&tree), direct);
    team.publish(&direct.replace("servers: [hello]", "servers: [hello], drift: adopt"));
    says(&team.home.run(&["apply", "--yes", "--fetch"]).exits(6), REFUSAL);
    assert_eq!(team.home.read(".cursor/mcp.json"), drifted);
}

#[test]
fn secrets_of_the_source_are_not_edited() {
    let team =
        Team::new("version: 1\nsecrets: { k: { age: k.age }, e: { env: E } }\nservers: {}\nclients: {}\n");
    team.stub(
        "settings: { age: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p] } }\n",
    );
    let set = team.home.path("value");
    std::fs::write(&set, "x\n").expect("a value");
    let mut command = team.home.command(&["secret", "set", "k"]);
    let ran = command.stdin(std::fs::File::open(&set).expect("a value")).output().expect("it starts");
    says(&crate::support::Ran::from(ran).exits(6), REFUSAL);
    says(&team.home.run(&["secret", "remove", "e", "--yes"]).exits(6), REFUSAL);
}

#[test]
fn fmt_of_a_checkout_is_refused_and_of_the_stub_is_not() {
    let team = Team::new("version: 1\nservers:\n      a:\n           command: a\n");
    team.home.run(&["plan"]).exits(0);
    let (id, _) = team.stands_at();
    let tree = team.home.path(&format!(".local/state/mcpkeel/source/trees/{id}/mcp.yaml"));
    says(&team.home.run(&["-f", &tree.display().to_string(), "fmt"]).exits(6), REFUSAL);
    team.home.write("mcp.yaml", team.home.read("mcp.yaml").replace("  git:", "       git:"));
    team.home.run(&["fmt"]).exits(0);
}

#[test]
fn imports_go_into_the_stub() {
    let team = Team::new(&manifest(1));
    team.home
        .write(".codeium/windsurf/mcp_config.json", r#"{"mcpServers": {"other": {"command": "other"}}}"#);
    team.home.run(&["import"]).exits(0);
    assert!(team.home.read("mcp.yaml").contains("other"), "{}", team.home.read("mcp.yaml"));
}
