//! Moving literals into a store: the values arrive, references take their place, nothing is lost.

use std::io::Read as _;

use super::{MANIFEST, fill, found, holders, leaky, plain, planted, run, run_with, scan, token};
use crate::support::Sandbox;

/// The manifest after a move; `PLACE(x)` stands for where the secret x is kept.
const MOVED: &str = r#"version: 1
# before: TOKEN
vars: { api-key: "${secret:api-key}" }
secrets:
  kept: { env: KEPT } # stays
  api-key:PLACE(api-key)
  gh-api-key:PLACE(gh-api-key)
  gh-token:PLACE(gh-token)
  github-token:PLACE(github-token)
  lin-api_key:PLACE(lin-api_key)
  lin-token:PLACE(lin-token)
  own-password:PLACE(own-password)
servers:
  gh:
    command: gh-mcp
    args:
      - --api-key=${secret:gh-api-key} # a comment
      - "--token"
      - '${secret:gh-token}'
    env: { GITHUB_TOKEN: "${secret:github-token}", LEVEL: debug }
  web:
    url: https://example.com/mcp
    headers: { Authorization: "Bearer ${secret:kept}" }
  lin:
    url: https://lin.example.com/mcp?api_key=${secret:lin-api_key}&mode=ro
    headers:
      Authorization: Bearer ${secret:lin-token} # mine
  own:
    command: own
    env:
      DB_URL: "postgres://me:${secret:own-password}@db/x"
      SAME: "${secret:github-token}"
      LEVEL: debug
clients:
  cursor: { servers: [gh, web, own] }
"#;

const NAMES: [&str; 7] =
    ["api-key", "gh-api-key", "gh-token", "github-token", "lin-api-key", "lin-token", "own-password"];

fn values() -> [String; 7] {
    [plain(1), plain(2), plain(3), token(), plain(4), plain(5), plain(7)]
}

fn moved(place: impl Fn(&str) -> String) -> String {
    NAMES.iter().fold(fill(MOVED).replace("lin-api_key", "lin-api-key"), |text, name| {
        text.replace(&format!("PLACE({name})"), &place(name))
    })
}

/// Whatever else holds one of the moved values: the live file until the next apply, the backup of the
/// manifest, and what cannot be moved.
#[track_caller]
fn holds_no_other(home: &Sandbox, stores: &str) {
    for value in values() {
        for file in holders(home, &value) {
            let is_expected = file.starts_with(stores)
                || file == ".cursor/mcp.json"
                || file.starts_with(".local/state/mcpkeel/backups/objects/")
                || file == "mcp.yaml" && value == token();
            assert!(is_expected, "{file}");
        }
    }
}

#[test]
fn into_files() {
    let home = leaky();
    let live = home.read(".cursor/mcp.json");
    let ran = run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(0);
    assert!(
        ran.out.contains("`own-password` is now kept in the file ~/.config/mcpkeel/secrets/own-password"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("Next: mcpkeel plan"), "{}", ran.err);
    let manifest = home.read("mcp.yaml");
    assert_eq!(manifest, moved(|name| format!("\n    file: ~/.config/mcpkeel/secrets/{name}")));
    assert_eq!(home.read(".cursor/mcp.json"), live, "clients' files are rewritten by apply");
    for (name, value) in NAMES.iter().zip(values()) {
        assert_eq!(home.read(&format!(".config/mcpkeel/secrets/{name}")), value);
    }
    holds_no_other(&home, ".config/mcpkeel/secrets/");
    run_with(&home, &["secret", "verify"], &[("KEPT", "x")]).exits(0);
    run(&home, &["validate", "--strict"]);

    let again = run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(0);
    assert!(again.err.contains("Nothing to move."), "{}", again.err);
    assert_eq!(home.read("mcp.yaml"), manifest);
    let scan = scan(&home);
    assert!(
        scan["findings"].as_array().expect("findings").iter().all(|finding| finding["next"] != "move"),
        "{scan}"
    );
    assert_eq!(scan["backups"].as_array().expect("backups").len(), 1);

    run(&home, &["undo", "--yes"]).exits(0);
    assert_eq!(home.read("mcp.yaml"), fill(MANIFEST));
    // What is stored already is taken as it is.
    run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(0);
    assert_eq!(home.read("mcp.yaml"), manifest);
}

#[test]
fn into_age_files() {
    use age::secrecy::ExposeSecret as _;
    let home = leaky();
    let identity = age::x25519::Identity::generate();
    let settings = format!("settings: {{ age: {{ recipients: [{}] }} }}\n", identity.to_public());
    home.write("mcp.yaml", fill(MANIFEST) + &settings);
    home.write("identity.txt", identity.to_string().expose_secret());
    run(&home, &["secret", "scan", "--move", "age", "--yes", "--format", "json"]).exits(0);
    for (name, value) in NAMES.iter().zip(values()) {
        let bytes = std::fs::read(home.path(&format!("secrets/{name}.age"))).expect("an age file");
        let armored = age::armor::ArmoredReader::new(&bytes[..]);
        let decryptor = age::Decryptor::new_buffered(armored).expect("an age file");
        let mut text = String::new();
        let key: &dyn age::Identity = &identity;
        decryptor.decrypt([key].into_iter()).expect("ours").read_to_string(&mut text).expect("text");
        assert_eq!(text, value);
    }
    holds_no_other(&home, "nowhere");
    let path = home.path("identity.txt").display().to_string();
    run_with(&home, &["secret", "verify"], &[("KEPT", "x"), ("MCPKEEL_AGE_IDENTITY", &path)]).exits(0);
    let listed = run(&home, &["secret", "list"]).exits(0);
    assert!(listed.out.contains("secrets/lin-token.age"), "{}", listed.out);
}

#[test]
fn asks_first_and_without_a_terminal_refuses() {
    let home = leaky();
    let ran = run(&home, &["secret", "scan", "--move", "file"]).exits(6);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert_eq!(home.read("mcp.yaml"), fill(MANIFEST));
    assert!(!home.exists(".config/mcpkeel"));
}

#[test]
fn writes_over_nothing_that_a_store_has() {
    let home = leaky();
    home.write(".config/mcpkeel/secrets/lin-token", "somebody's");
    let ran = run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(6);
    assert!(ran.err.contains("lin-token holds another value already"), "{}", ran.err);
    assert_eq!(home.read("mcp.yaml"), fill(MANIFEST));
    assert_eq!(home.read(".config/mcpkeel/secrets/lin-token"), "somebody's");
    assert!(!home.exists(".config/mcpkeel/secrets/gh-token"));
}

#[test]
fn when_a_store_fails_the_values_stay_where_they_were() {
    let home = leaky();
    // Nobody to encrypt for.
    let ran = run(&home, &["secret", "scan", "--move", "age", "--yes"]).exits(1);
    assert!(ran.err.contains("hint:"), "{}", ran.err);
    assert_eq!(home.read("mcp.yaml"), fill(MANIFEST));
    // Half-way: the last of the files cannot be written.
    std::fs::create_dir_all(home.path(".config/mcpkeel/secrets/own-password")).expect("made");
    let ran = run(&home, &["secret", "scan", "--move", "file", "--yes"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(home.read("mcp.yaml"), fill(MANIFEST));
    assert!(holders(&home, &plain(7)).contains(&".cursor/mcp.json".to_owned()));
    // The keyring of a machine without one.
    let ran = run(&home, &["secret", "scan", "--move", "keyring", "--yes"]).exits(1);
    assert!(ran.err.contains("keyring"), "{}", ran.err);
    assert_eq!(home.read("mcp.yaml"), fill(MANIFEST));
}

#[test]
fn literals_in_included_files_move_and_are_declared_in_the_main_one() {
    let home = Sandbox::new();
    home.write("mcp.yaml", "version: 1\ninclude: [team.yaml]\nclients: { cursor: { servers: ['*'] } }\n");
    home.write(
        "team.yaml",
        fill("version: 1\nservers:\n  base: { command: b, env: &env { A_TOKEN: PLAIN1 } } # ours\n  other: { command: o, env: *env }\n  block:\n    command: c\n    env:\n      B_TOKEN: >-\n        PLAIN2\n      C_TOKEN: \"PLAIN3\\u0021\"\n"),
    );
    run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(0);
    assert_eq!(
        home.read("team.yaml"),
        "version: 1\nservers:\n  base: { command: b, env: &env { A_TOKEN: \"${secret:base-a-token}\" } } # ours\n  other: { command: o, env: *env }\n  block:\n    command: c\n    env:\n      B_TOKEN: >-\n        ${secret:block-b-token}\n      C_TOKEN: \"${secret:block-c-token}\"\n"
    );
    let manifest = home.read("mcp.yaml");
    assert!(manifest.contains("base-a-token:") && manifest.contains("block-c-token:"), "{manifest}");
    assert_eq!(home.read(".config/mcpkeel/secrets/block-c-token"), plain(3) + "!");
    run(&home, &["secret", "verify"]).exits(0);
    for value in planted().iter().take(2) {
        assert!(
            holders(&home, value).iter().all(|file| !file.ends_with("yaml")),
            "{:?}",
            holders(&home, value)
        );
    }
}

#[test]
fn import_can_store_what_it_finds() {
    let home = Sandbox::new();
    home.write("mcp.yaml", "version: 1\n");
    home.write(".cursor/mcp.json", fill(super::CURSOR));
    let dry = run(&home, &["import", "--secrets", "file", "--dry-run"]).exits(0);
    assert!(dry.out.contains("${secret:own-password}") && !home.exists(".config/mcpkeel"), "{}", dry.out);
    run(&home, &["import", "--secrets", "file"]).exits(0);
    assert_eq!(home.read(".config/mcpkeel/secrets/own-password"), plain(7));
    run(&home, &["secret", "verify"]).exits(0);
    holds_no_other(&home, ".config/mcpkeel/secrets/");
}

#[test]
fn after_the_next_apply_no_clients_file_holds_one() {
    let home = leaky();
    let ran = run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(0);
    assert!(ran.err.contains("Next: mcpkeel plan --adopt"), "{}", ran.err);
    run(&home, &["plan", "--adopt"]).exits(0);
    run_with(&home, &["apply", "--yes", "--adopt"], &[("KEPT", "x")]).exits(0);
    for value in values().iter().chain([&plain(6)]) {
        for file in holders(&home, value) {
            let is_expected = file.starts_with(".config/mcpkeel/secrets/")
                || file.starts_with(".local/state/mcpkeel/backups/objects/")
                || file == "mcp.yaml" && *value == token();
            assert!(is_expected, "{file}");
        }
    }
    let scan = scan(&home);
    assert_eq!(found(&scan, ".cursor/mcp.json"), [""; 0]);
    assert_eq!(scan["backups"].as_array().expect("backups").len(), 2);
    run(&home, &["apply", "--yes"]).exits(0);
}

#[test]
fn what_is_ours_already_needs_no_word_more() {
    let home = Sandbox::new();
    let manifest = fill(
        "version: 1\nservers:\n  a: { command: a, env: { A_TOKEN: PLAIN1 } }\nclients: { cursor: { servers: [a] } }\n",
    );
    home.write("mcp.yaml", manifest);
    run(&home, &["apply", "--yes"]).exits(0);
    assert!(holders(&home, &plain(1)).contains(&".cursor/mcp.json".to_owned()));
    let ran = run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(0);
    assert!(!ran.err.contains("--adopt"), "{}", ran.err);
    run(&home, &["apply", "--yes"]).exits(0);
    assert!(!holders(&home, &plain(1)).contains(&".cursor/mcp.json".to_owned()));
}

#[test]
fn a_secret_that_waits_for_a_variable_gets_the_value_that_a_client_has() {
    let home = Sandbox::new();
    let file = |value: &str| {
        format!(
            "{{\"mcpServers\": {{\"gh\": {{\"command\": \"x\", \"env\": {{\"API_TOKEN\": \"{value}\"}}}}}}}}\n"
        )
    };
    home.write(".cursor/mcp.json", file(&plain(1)));
    run(&home, &["init"]).exits(0);
    assert!(home.read("mcp.yaml").contains("env: API_TOKEN"), "as `init` writes it");
    // Where the variable is set it is taken at its word.
    let ran = run_with(&home, &["secret", "scan"], &[("API_TOKEN", "set")]).exits(0);
    assert!(ran.out.contains("next apply"), "{}", ran.out);
    assert!(run(&home, &["secret", "scan"]).exits(0).out.contains("move"));

    run(&home, &["secret", "scan", "--move", "file", "--yes"]).exits(0);
    let manifest = home.read("mcp.yaml");
    assert!(manifest.contains("file: ") && !manifest.contains("env: API_TOKEN"), "{manifest}");
    run(&home, &["secret", "verify"]).exits(0);
    run(&home, &["apply", "--yes", "--adopt"]).exits(0);
    assert!(!home.read(".cursor/mcp.json").contains(&plain(1)));
    let stores = holders(&home, &plain(1));
    assert!(
        stores
            .iter()
            .all(|file| file.contains("backups/objects") || file.starts_with(".config/mcpkeel/secrets")),
        "{stores:?}"
    );
}

#[test]
fn init_can_store_what_it_finds() {
    let home = Sandbox::new();
    home.write(
        ".cursor/mcp.json",
        format!(
            "{{\"mcpServers\": {{\"gh\": {{\"command\": \"x\", \"env\": {{\"API_TOKEN\": \"{}\"}}}}}}}}\n",
            plain(1)
        ),
    );
    run(&home, &["init", "--secrets", "age"]).exits(1);
    assert!(!home.exists("mcp.yaml"), "nobody could read an age file yet");
    run(&home, &["init", "--secrets", "file"]).exits(0);
    run(&home, &["secret", "verify"]).exits(0);
    run(&home, &["apply", "--yes", "--adopt"]).exits(0);
    assert!(!home.read(".cursor/mcp.json").contains(&plain(1)));
}
