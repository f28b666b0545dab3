//! `secret rekey`: for the recipients of today, all files or none.

use super::{VALUE, home, identity, manifest, run, run_with, says};
use crate::support::Sandbox;

/// Who reads what: whether this identity opens every secret of the home.
fn opens(home: &Sandbox, private: &str) -> bool {
    let mut command = home.command(&["secret", "verify"]);
    command.env("MCPKEEL_AGE_IDENTITY", private);
    super::finish(command, "").code == 0
}

#[test]
fn a_new_colleague_can_read_after_it_and_not_before() {
    let home = home(" a: { age: a.age }, b: { age: sub/b.age }, e: { env: E } ");
    for name in ["a", "b"] {
        run_with(&home, &["secret", "set", name], VALUE).exits(0);
    }
    let (private, public) = identity();
    let mine =
        home.read("mcp.yaml").lines().last().expect("a recipient").trim().trim_start_matches("- ").to_owned();
    home.write("mcp.yaml", manifest(" a: { age: a.age }, b: { age: sub/b.age } ", &[&mine, &public]));
    assert!(!opens(&home, &private));
    let before = home.read("a.age");
    let ran = run(&home, &["secret", "rekey", "--dry-run"]).exits(0);
    says(&ran, "would encrypt ~/a.age anew: for 2 X25519, before for 1 X25519");
    assert_eq!(home.read("a.age"), before);
    let ran = run(&home, &["secret", "rekey"]).exits(0);
    says(&ran, "encrypted ~/sub/b.age anew: for 2 X25519, before for 1 X25519");
    assert!(opens(&home, &private));
    run(&home, &["secret", "verify"]).exits(0);
    run(&home, &["undo", "--yes"]).exits(0);
    assert_eq!(home.read("a.age"), before);
}

#[test]
fn only_the_named_files_change() {
    let home = home(" a: { age: a.age }, b: { age: b.age }, e: { env: E } ");
    for name in ["a", "b"] {
        run_with(&home, &["secret", "set", name], VALUE).exits(0);
    }
    let (a, b) = (home.read("a.age"), home.read("b.age"));
    run(&home, &["secret", "rekey", "b"]).exits(0);
    assert!(home.read("a.age") == a && home.read("b.age") != b);
    says(&run(&home, &["secret", "rekey", "e"]).exits(64), "in no age file");
    says(&run(&home, &["secret", "rekey", "bb"]).exits(64), "no secret `bb`");
}

#[test]
fn a_file_that_does_not_open_leaves_all_as_they_are() {
    let home = home(" a: { age: a.age }, b: { age: b.age } ");
    run_with(&home, &["secret", "set", "a"], VALUE).exits(0);
    let a = home.read("a.age");
    says(&run(&home, &["secret", "rekey"]).exits(1), "b.age is not there");
    home.write("b.age", "no age");
    says(&run(&home, &["secret", "rekey"]).exits(1), "b.age is no age file");
    assert_eq!(home.read("a.age"), a);
}

#[test]
fn locking_yourself_out_takes_force() {
    let home = home(" a: { age: a.age } ");
    run_with(&home, &["secret", "set", "a"], VALUE).exits(0);
    let (private, public) = identity();
    home.write("mcp.yaml", manifest(" a: { age: a.age } ", &[&public]));
    says(&run(&home, &["secret", "rekey"]).exits(6), "none of the recipients is you");
    run(&home, &["secret", "verify"]).exits(0);
    run(&home, &["secret", "rekey", "--force"]).exits(0);
    run(&home, &["secret", "verify"]).exits(1);
    assert!(opens(&home, &private));
}

#[test]
fn encrypting_for_nobody_is_refused() {
    let home = home(" a: { age: a.age } ");
    run_with(&home, &["secret", "set", "a"], VALUE).exits(0);
    home.write("mcp.yaml", "version: 1\nsecrets: { a: { age: a.age } }\nservers: {}\nclients: {}\n");
    says(&run(&home, &["secret", "rekey"]).exits(1), "nobody to encrypt for");
}
