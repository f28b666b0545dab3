use std::time::Duration;

use super::*;
use crate::guard::{Scopes, TokenHash, Verdict};
use crate::system::Real;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW + Duration::from_secs(seconds)
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::at(dir.path().join("state"));
    (dir, store)
}

fn open(store: &Store) -> Database {
    Database::open(&Real, store).expect("opened")
}

fn token(name: &str) -> Token {
    Token {
        id: 0,
        name: name.to_owned(),
        hash: TokenHash::from_bytes([7; 32]),
        scopes: Scopes::USE,
        servers: Some(vec!["github".to_owned()]),
        created: at(0),
        expires: Some(at(60)),
        last_used: None,
        revoked: None,
    }
}

fn question(arguments: &str) -> Question {
    Question {
        principal: "cursor".to_owned(),
        server: "github".to_owned(),
        tool: "delete_repo".to_owned(),
        digest: arguments.to_owned(),
        preview: "{}".to_owned(),
        policy: "ask".to_owned(),
    }
}

fn call(seconds: u64, name: &str, outcome: Outcome, micros: u64) -> (Call, Kept) {
    let call = Call {
        at: at(seconds),
        principal: "laptop".into(),
        client: Some("cursor".into()),
        method: "tools/call".into(),
        server: "github".into(),
        name: name.into(),
        verdict: Verdict::Allow,
        policy: None,
        approval: None,
        arguments: Some("{\"not\":\"stored\"}".into()),
        outcome,
        bytes_in: 9,
        bytes_out: 90,
        took: Duration::from_micros(micros),
    };
    (call, Kept { digest: Some("d".to_owned()), text: None })
}

#[test]
fn looking_makes_nothing_and_what_is_made_is_closed_to_others() {
    let (_dir, store) = store();
    assert!(Database::look(&Real, &store).expect("looked").is_none());
    assert!(Real.meta(store.dir()).is_err());
    let mut database = open(&store);
    database.add_token(&token("a")).expect("added");
    for name in Real.list(store.dir()).expect("listed") {
        let meta = Real.meta(&store.path(&name)).expect("there");
        assert!(meta.owner.is_none() || meta.mode & 0o077 == 0, "{name}: {:o}", meta.mode);
    }
    assert!(Database::look(&Real, &store).expect("looked").is_some());
}

#[test]
fn a_damaged_or_newer_database_is_one_clear_error() {
    let (_dir, damaged) = store();
    damaged.prepare(&Real).expect("made");
    let path = damaged.path(FILE);
    Real.create_new(&path, &b"this is no database, but long enough for one ".repeat(99), 0o600)
        .expect("written");
    let error = Database::open(&Real, &damaged).err().expect("damaged").to_string();
    assert!(
        error.starts_with(&format!("cannot open {}: it is damaged; move it away", path.display())),
        "{error}"
    );

    let (_dir, newer) = store();
    open(&newer).connection.pragma_update(None, "user_version", 99).expect("set");
    let error = Database::open(&Real, &newer).err().expect("newer").to_string();
    assert!(
        error.ends_with("its format is version 99, and this program knows version 1: use a newer mcpkeel"),
        "{error}"
    );
}

#[test]
fn many_may_open_it_for_the_first_time_at_once() {
    let (_dir, store) = store();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let mut database = open(store);
                assert!(database.add_token(&token(&format!("t{number}"))).expect("added"));
            });
        }
    });
    assert_eq!(open(&store).tokens().expect("read").len(), 8);
}

#[test]
fn a_tokens_name_is_taken_until_it_is_revoked() {
    let (_dir, store) = store();
    let (mut one, other) = (open(&store), open(&store));
    let before = other.data_version().expect("a number");
    assert!(one.add_token(&token("a")).expect("added"));
    assert_ne!(other.data_version().expect("a number"), before);
    assert!(!one.add_token(&token("a")).expect("looked"));
    let stored = other.tokens().expect("read").remove(0);
    assert_eq!(stored, Token { id: stored.id, ..token("a") });
    assert_eq!((stored.standing(at(59)), stored.standing(at(60))), ("active", "expired"));

    one.tokens_used(&[(stored.id, at(9)), (stored.id, at(3))]).expect("written");
    assert_eq!(other.tokens().expect("read")[0].last_used, Some(at(9)));
    assert!(one.revoke_token("b", at(10)).expect("looked").is_none());
    assert!(one.revoke_token("a", at(10)).expect("revoked").is_some_and(|before| before.revoked.is_none()));
    assert!(one.revoke_token("a", at(11)).expect("revoked").is_some());
    assert_eq!(other.tokens().expect("read")[0].revoked, Some(at(10)));
    assert!(one.add_token(&token("a")).expect("added"));
    assert_eq!(other.tokens().expect("read")[0].revoked, None);
}

#[test]
fn usage_counts_what_reached_a_server() {
    let (_dir, store) = store();
    let mut database = open(&store);
    let mut calls: Vec<_> = (1..=100).map(|n| call(n, "search", Outcome::Ok, n * 10)).collect();
    calls.push(call(200, "delete", Outcome::Denied, 5));
    calls.push(call(201, "delete", Outcome::ToolError, 7));
    calls.push(call(202, "delete", Outcome::Cancelled, 8));
    database.add_calls(&calls).expect("stored");
    let all = Wanted { since: at(0), client: None, server: None };
    let sums = database.usage(&all).expect("read");
    let figures = |sum: &Sum| (sum.name.clone(), sum.calls, sum.errors, sum.bytes_out, sum.p50, sum.p95);
    let micros = Duration::from_micros;
    assert_eq!(
        sums.iter().map(figures).collect::<Vec<_>>(),
        [
            ("delete".to_owned(), 2, 1, 180, micros(7), micros(8)),
            ("search".to_owned(), 100, 0, 9_000, micros(500), micros(950)),
        ]
    );
    assert_eq!(database.usage(&Wanted { since: at(100), ..all }).expect("read")[1].calls, 1);
    assert!(database.usage(&Wanted { client: Some("zed"), ..all }).expect("read").is_empty());
    assert_eq!(
        database
            .usage(&Wanted { client: Some("laptop"), server: Some("github"), ..all })
            .expect("read")
            .len(),
        2
    );

    let newest = database.calls(&all, None, 2).expect("read");
    let seen: Vec<_> = newest.iter().map(|row| (row.call.outcome, row.call.arguments.is_none())).collect();
    assert_eq!(seen, [(Outcome::Cancelled, true), (Outcome::ToolError, true)]);
    let older = database.calls(&all, Some(newest[1].id), 1).expect("read");
    assert_eq!((older[0].call.outcome, older[0].kept.digest.as_deref()), (Outcome::Denied, Some("d")));

    assert_eq!(database.prune(at(101)).expect("pruned"), 100);
    assert_eq!(database.calls(&all, None, 999).expect("read").len(), 3);
}

#[test]
fn an_approval_is_good_for_one_call_with_the_same_arguments() {
    let (_dir, store) = store();
    let mut database = open(&store);
    let lasting = Duration::from_secs(600);
    let ask = |database: &mut Database, arguments: &str, id: &str, seconds: u64| {
        database.ask_approval(&question(arguments), id, at(seconds), lasting).expect("asked")
    };
    assert!(matches!(ask(&mut database, "a", "ap-1", 0), Found::Asked(asked) if asked.expires == at(600)));
    assert!(matches!(ask(&mut database, "a", "ap-2", 1), Found::Pending(asked) if asked.id == "ap-1"));
    assert!(matches!(database.decide_approval("ap-1", Ok(()), at(500)).expect("decided"),
        Decided::Done(done) if done.expires == at(1100) && done.status == Status::Approved));
    assert!(matches!(
        database.decide_approval("ap-1", Err(None), at(501)).expect("decided"),
        Decided::Already(_)
    ));
    assert!(matches!(ask(&mut database, "other", "ap-3", 502), Found::Asked(_)));
    assert!(matches!(ask(&mut database, "a", "ap-4", 503), Found::Approved(used) if used.id == "ap-1"));
    assert!(matches!(ask(&mut database, "a", "ap-5", 504), Found::Asked(asked) if asked.id == "ap-5"));

    database.decide_approval("ap-5", Err(Some("no")), at(505)).expect("decided");
    assert!(
        matches!(ask(&mut database, "a", "ap-6", 506), Found::Rejected(no) if no.reason.as_deref() == Some("no"))
    );
    assert_eq!(database.open_approvals(at(506)).expect("read").len(), 1);
    let over = database.expire_approvals(at(1102)).expect("noted");
    assert_eq!(
        over.iter().map(|one| (one.id.as_str(), one.status)).collect::<Vec<_>>(),
        [("ap-3", Status::Expired)]
    );
    assert!(database.expire_approvals(at(1102)).expect("noted").is_empty());
    assert!(matches!(
        database.decide_approval("ap-3", Ok(()), at(1103)).expect("decided"),
        Decided::Already(_)
    ));
    assert_eq!(database.decide_approval("ap-9", Ok(()), at(1103)).expect("decided"), Decided::Unknown);
}

#[test]
fn one_caller_cannot_bury_a_person_in_questions() {
    let (_dir, store) = store();
    let mut database = open(&store);
    database.relax().expect("relaxed");
    let mut last = None;
    for number in 0..101 {
        let question = question(&number.to_string());
        last = Some(
            database
                .ask_approval(&question, &format!("ap-{number}"), at(0), Duration::from_secs(9))
                .expect("asked"),
        );
    }
    assert_eq!(last, Some(Found::TooMany));
    assert!(matches!(
        database.ask_approval(&question("x"), "ap-x", at(10), Duration::from_secs(9)),
        Ok(Found::Asked(_))
    ));
}
