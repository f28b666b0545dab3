use mcpkeel::store::db::Database;
use mcpkeel::system::Real;

use super::*;

#[test]
fn a_token_is_shown_once_and_stands_nowhere() {
    let home = home();
    let ran = home.run(&["token", "create", "laptop", "--server", "github", "--expires", "30d"]).exits(0);
    let token = ran.out.trim();
    assert!(token.starts_with("mck_") && token.len() == 68 && ran.out.lines().count() == 1, "{}", ran.out);
    assert!(!ran.err.contains(token) && ran.err.contains("the only time"), "{}", ran.err);
    assert!(files_with(&home, token).is_empty() && files_with(&home, &token[4..]).is_empty());
    for args in [&["token", "list"][..], &["token", "list", "--format", "json"], &["events"], &["history"]] {
        let ran = home.run(args).exits(0);
        assert!(!ran.out.contains(token) && !ran.err.contains(token), "{args:?}");
    }
    let listed = &json_of(&home, &["token", "list"])["tokens"][0];
    assert_eq!((listed["name"].as_str(), listed["state"].as_str()), (Some("laptop"), Some("active")));
    assert_eq!(listed["servers"], serde_json::json!(["github"]));
    assert!(listed.get("hash").is_none() && listed["last_used"].is_null());
}

#[test]
fn the_gateway_knows_a_token_until_it_is_revoked() {
    use mcpkeel::gateway::tokens::{Refused, Tokens};
    let home = home();
    let first = home.run(&["token", "create", "laptop", "--scope", "tools:read"]).exits(0).out;
    let key = store(&home).known_machine_key(&Real).expect("read").expect("made");
    let ledger = Arc::new(ledger(&home, AuditArguments::Hash));
    let tokens = Tokens::open(&Real, &store(&home), key, ledger).expect("opened");
    let principal = tokens.check(first.trim(), Real.now()).expect("good");
    assert_eq!((&*principal.name, principal.scopes.to_string().as_str()), ("laptop", "tools:read"));
    let second = home.run(&["token", "create", "desk"]).exits(0).out;
    home.run(&["token", "revoke", "laptop"]).exits(0);
    // What another process does counts after a second at the latest; the clock is ours.
    let later = Real.now() + Duration::from_secs(2);
    assert_eq!(tokens.check(first.trim(), later), Err(Refused::Revoked));
    assert!(tokens.check(second.trim(), later).is_ok());
}

#[test]
fn names_and_servers_must_make_sense() {
    let home = home();
    for (args, said) in [
        (&["token", "create", "a b"][..], "letters, digits"),
        (&["token", "create", "a", "--scope", "tool:read"], "did you mean `tools:read`?"),
        (&["token", "create", "a", "--server", "githib"], "did you mean `github`?"),
        (&["token", "create", "a", "--expires", "400d"], "at most `365d`"),
        (&["token", "revoke", "a"], "there is no token `a`"),
    ] {
        let ran = home.run(args).exits(64);
        assert!(ran.out.is_empty() && ran.err.contains(said), "{args:?}: {}", ran.err);
    }
    home.run(&["token", "create", "a"]).exits(0);
    home.run(&["token", "create", "a"]).exits(64);
    home.run(&["token", "revoke", "a"]).exits(0);
    home.run(&["token", "create", "a"]).exits(0);
    assert_eq!(json_of(&home, &["token", "list"])["tokens"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_database_that_cannot_be_used_is_said_to_be_once() {
    let home = home();
    drop(Database::open(&Real, &store(&home)).expect("made"));
    home.write(".local/state/mcpkeel/mcpkeel.db", "no database at all, whatever it may be ".repeat(99));
    let ran = home.run(&["token", "list"]).exits(1);
    assert!(
        ran.err.contains("mcpkeel.db: it is damaged; move it away") && ran.err.lines().count() == 1,
        "{}",
        ran.err
    );
}
