//! `secret set`, `list`, `verify`, `where` and `remove`, on stores that every machine has.

use super::{VALUE, home, run, run_with, says};
use crate::support::Sandbox;

fn manifest_of(home: &Sandbox) -> String {
    home.read("mcp.yaml")
}

#[test]
fn a_new_secret_goes_into_an_age_file_and_into_the_manifest() {
    let home = home(" db: { env: DB } ");
    let ran = run_with(&home, &["secret", "set", "token", "--age"], &format!("{VALUE}\n")).exits(0);
    assert_eq!(ran.out, "`token` is now kept in the age file ~/secrets/token.age\n");
    says(&ran, "Took 17 characters.");
    assert!(home.read("secrets/token.age").starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
    let text = manifest_of(&home);
    assert!(text.contains("# Kept elsewhere.") && text.contains("# references only"), "{text}");
    assert!(text.contains("token:") && text.contains("secrets/token.age"), "{text}");
    run(&home, &["validate"]).exits(0);
    assert_eq!(
        run(&home, &["secret", "verify", "token"]).exits(0).out,
        "NAME   STORE  STATE\ntoken  age    ok\n"
    );
}

#[test]
fn undo_takes_a_new_age_file_back_with_the_manifest() {
    let home = home(" db: { env: DB } ");
    let before = manifest_of(&home);
    run_with(&home, &["secret", "set", "token", "--age", "deep/er/t.age"], VALUE).exits(0);
    run(&home, &["undo", "--yes"]).exits(0);
    assert_eq!(manifest_of(&home), before);
    assert!(!home.exists("deep"));
}

#[test]
fn a_secret_of_the_manifest_is_set_where_it_says() {
    let home = home(" a: { age: a.age }, f: { file: ~/private/f } ");
    let before = manifest_of(&home);
    for name in ["a", "f", "a", "f"] {
        run_with(&home, &["secret", "set", name], VALUE).exits(0);
    }
    assert_eq!(manifest_of(&home), before);
    assert_eq!(home.read("private/f"), VALUE);
    run(&home, &["secret", "verify"]).exits(0);
    #[cfg(unix)]
    for (path, wanted) in [("private/f", 0o600), ("private", 0o700)] {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = std::fs::metadata(home.path(path)).expect("there");
        assert_eq!(meta.permissions().mode() & 0o777, wanted, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_behind_a_link_is_replaced_and_the_link_stays() {
    let home = home(" f: { file: f }, a: { age: a.age } ");
    home.write("real/f", "old");
    home.write("real/a.age", "old");
    for name in ["f", "a.age"] {
        std::os::unix::fs::symlink(format!("real/{name}"), home.path(name)).expect("a link");
    }
    run_with(&home, &["secret", "set", "f"], VALUE).exits(0);
    run_with(&home, &["secret", "set", "a"], VALUE).exits(0);
    assert!(home.path("f").is_symlink() && home.path("a.age").is_symlink());
    assert_eq!(home.read("real/f"), VALUE);
    run(&home, &["secret", "verify"]).exits(0);
    run(&home, &["secret", "remove", "f", "--yes"]).exits(0);
    assert!(!home.exists("f") && !home.exists("real/f"));
}

#[test]
fn a_value_is_kept_to_the_last_line_end() {
    let home = home(" f: { file: f } ");
    run_with(&home, &["secret", "set", "f"], &format!("{VALUE}\r\n\n")).exits(0);
    assert_eq!(home.read("f"), format!("{VALUE}\r\n\n"));
}

#[test]
fn an_empty_value_is_refused_and_nothing_is_written() {
    let home = home(" db: { env: DB } ");
    let before = manifest_of(&home);
    for input in ["", "\n"] {
        says(&run_with(&home, &["secret", "set", "x", "--file", "x"], input).exits(1), "the value is empty");
    }
    assert_eq!(manifest_of(&home), before);
    assert!(!home.exists("x"));
}

#[test]
fn a_secret_that_is_not_ours_to_set_says_whose_it_is() {
    let home = home(" db: { env: DB }, op: { command: [op, read, x] } ");
    says(&run_with(&home, &["secret", "set", "db"], VALUE).exits(64), "set DB where the clients are started");
    says(&run_with(&home, &["secret", "set", "op"], VALUE).exits(64), "the program behind `op`");
    says(
        &run_with(&home, &["secret", "set", "new"], VALUE).exits(64),
        "`--keyring`, `--age` or `--file PATH`",
    );
    says(&run_with(&home, &["secret", "set", "dbb"], VALUE).exits(64), "did you mean `db`?");
    says(&run_with(&home, &["secret", "set", "db", "--age"], VALUE).exits(64), "in the variable DB already");
    run_with(&home, &["secret", "set", "x", "--age", "--file", "x"], VALUE).exits(64);
    // No value is ever taken from the command line.
    run(&home, &["secret", "set", "x", "value", "--file", "x"]).exits(64);
}

#[test]
fn a_name_that_the_manifest_cannot_take_is_refused_before_anything_is_stored() {
    let home = home(" db: { env: DB } ");
    let before = manifest_of(&home);
    run_with(&home, &["secret", "set", "a name}", "--file", "x"], VALUE).exits(64);
    assert_eq!(manifest_of(&home), before);
    assert!(!home.exists("x"));
}

#[test]
fn encrypting_for_nobody_is_refused_before_the_value_is_asked_for() {
    let home = Sandbox::new();
    home.write("mcp.yaml", "version: 1\nsecrets: { x: { age: x.age } }\nservers: {}\nclients: {}\n");
    let ran = run_with(&home, &["secret", "set", "x"], VALUE).exits(1);
    says(&ran, "there is nobody to encrypt for");
    says(&ran, "age-keygen -y");
    assert!(!ran.err.contains("Took"));
}

#[test]
fn list_looks_nothing_up() {
    let home =
        home(" db: { env: DB }, op: { command: [./never, --token, hush-hush-value-7] }, k: { keyring: k } ");
    let ran = run(&home, &["secret", "list"]).exits(0);
    for line in ["NAME  STORE    PLACE", "db    env      DB", "k     keyring  k"] {
        says(&ran, line);
    }
    let ran = run(&home, &["secret", "list", "--format", "json"]).exits(0);
    let list: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(list["format_version"], 1);
    assert_eq!(list["secrets"][0]["name"], "db");
    assert_eq!(list["secrets"][0]["store"], "env");
    says(&run(&home, &["secret", "list", "--format", "markdown"]).exits(0), "| db | env | DB | 0 |");
}

#[cfg(unix)]
#[test]
fn verify_says_what_is_wrong_with_each_and_shows_no_value() {
    use std::os::unix::fs::PermissionsExt;
    let home = home(
        " good: { env: GOOD }, none: { env: NONE }, cmd: { command: [./get] }, open: { file: open }, gone: { age: gone.age } ",
    );
    let script = home.write("get", format!("#!/bin/sh\necho {VALUE}\necho no {VALUE} for you >&2\nexit 4\n"));
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).expect("set");
    let open = home.write("open", VALUE);
    std::fs::set_permissions(open, PermissionsExt::from_mode(0o644)).expect("set");
    let verify = |args: &[&str]| {
        let mut command = home.command(&[&["secret", "verify"], args].concat());
        command.env("GOOD", VALUE);
        super::finish(command, "")
    };
    let ran = verify(&[]).exits(1);
    for line in [
        "good  env      ok",
        "none  env      the variable NONE is not set here",
        "cmd   command  the command `./get` ended with exit code 4",
        "can be read by others (its mode is 0644)",
        "gone.age is not there",
    ] {
        says(&ran, line);
    }
    let json: serde_json::Value =
        serde_json::from_str(&verify(&["--format", "json"]).exits(1).out).expect("JSON");
    assert_eq!(json["ok"], false);
    assert_eq!(json["secrets"][0]["ok"], true);
    assert_eq!(json["secrets"][1]["problem"]["code"], "no-variable");
    verify(&["good"]).exits(0);
    says(&verify(&["god"]).exits(64), "did you mean `good`?");
}

#[cfg(unix)]
#[test]
fn a_command_runs_beside_the_manifest_without_shell_or_input() {
    use std::os::unix::fs::PermissionsExt;
    let home = home("");
    let script =
        home.write("dots/get", "#!/bin/sh\nread line && exit 9\n[ \"$1\" = '$(x) *' ] && cat value\n");
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).expect("set");
    home.write("dots/value", VALUE);
    home.write(
        "dots/mcp.yaml",
        "version: 1\nsecrets: { x: { command: [./get, '$(x) *'] } }\nservers: {}\nclients: {}\n",
    );
    run(&home, &["secret", "verify", "-f", "dots/mcp.yaml"]).exits(0);
}

#[test]
fn where_leads_from_a_secret_to_servers_and_clients() {
    let home = Sandbox::new();
    home.write(
        "mcp.yaml",
        "version: 1\ninclude: [more.yaml]\nvars: { auth: \"Bearer ${secret:t}\" }\nsecrets: { t: { keyring: t }, lonely: { env: L } }\n\
         servers:\n  a: { command: a, env: { T: \"${secret:t}\" } }\nclients:\n  cursor: { servers: [a, b] }\n  kiro: { servers: [b] }\n",
    );
    home.write("more.yaml", "version: 1\nservers:\n  b:\n    url: https://b.example/mcp\n    headers: { Authorization: \"${var:auth}\" }\n");
    assert_eq!(
        run(&home, &["secret", "where", "t"]).exits(0).out,
        "SERVER  WHERE        CLIENTS\na       mcp.yaml:6   cursor\nb       more.yaml:5  cursor, kiro\n"
    );
    let ran = run(&home, &["secret", "where", "t", "--format", "json"]).exits(0);
    let json: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(json["uses"][1]["clients"], serde_json::json!(["cursor", "kiro"]));
    says(&run(&home, &["secret", "where", "lonely"]).exits(0), "Nothing uses");
    says(&run(&home, &["secret", "where", "lonly"]).exits(64), "did you mean `lonely`?");
}

#[test]
fn remove_takes_value_and_name_but_asks_first() {
    let home = home(" a: { age: a.age }, f: { file: f }, e: { env: E } ");
    run_with(&home, &["secret", "set", "a"], VALUE).exits(0);
    run_with(&home, &["secret", "set", "f"], VALUE).exits(0);
    says(&run(&home, &["secret", "remove", "a"]).exits(6), "secret remove a --yes");
    assert!(home.exists("a.age"));
    for name in ["a", "f", "e"] {
        run(&home, &["secret", "remove", name, "--yes"]).exits(0);
    }
    assert!(!home.exists("a.age") && !home.exists("f"));
    let text = manifest_of(&home);
    assert!(!text.contains("a.age") && text.contains("# Kept elsewhere."), "{text}");
    run(&home, &["validate"]).exits(0);
    says(&run(&home, &["secret", "remove", "a", "--yes"]).exits(64), "no secret `a`");
}

#[test]
fn a_secret_in_use_is_removed_by_force_only() {
    let home = Sandbox::new();
    home.write(
        "mcp.yaml",
        "version: 1\nsecrets: { t: { file: t } }\nservers:\n  a: { command: a, env: { T: \"${secret:t}\" } }\nclients: {}\n",
    );
    run_with(&home, &["secret", "set", "t"], VALUE).exits(0);
    says(&run(&home, &["secret", "remove", "t", "--yes"]).exits(6), "`t` is used by `a` (mcp.yaml:4)");
    assert!(home.exists("t"));
    says(&run(&home, &["secret", "remove", "t", "--yes", "--force"]).exits(0), "still refers to it");
    assert!(!home.exists("t"));
}

#[test]
fn a_value_that_two_secrets_share_stays_until_the_last_goes() {
    let home = home(" one: { age: a.age }, two: { age: ./a.age } ");
    run_with(&home, &["secret", "set", "one"], VALUE).exits(0);
    run(&home, &["secret", "remove", "one", "--yes"]).exits(0);
    assert!(home.exists("a.age"));
    run(&home, &["secret", "remove", "two", "--yes"]).exits(0);
    assert!(!home.exists("a.age"));
}

#[test]
fn no_command_leaves_the_value_in_the_state_directory() {
    let home = home(" a: { age: a.age }, f: { file: f } ");
    for name in ["a", "f", "a", "f"] {
        run_with(&home, &["secret", "set", name], VALUE).exits(0);
    }
    run(&home, &["secret", "rekey"]).exits(0);
    run(&home, &["secret", "remove", "a", "--yes"]).exits(0);
    run(&home, &["secret", "remove", "f", "--yes"]).exits(0);
    assert_eq!(holding(&home.home()), [""; 0]);
}

/// Files below a directory that hold the value.
fn holding(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => holding(&path),
            false => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                let holds = bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes());
                holds.then(|| path.display().to_string()).into_iter().collect()
            }
        })
        .collect()
}
