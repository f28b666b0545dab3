use super::*;
use crate::guard::Verdict;
use crate::store::db::{Outcome, Wanted};
use crate::system::Real;

const HASH: Remember = Remember { arguments: AuditArguments::Hash, keep: Duration::from_secs(3600) };

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::at(dir.path().join("state"));
    (dir, store)
}

fn ledger(store: &Store, remember: Remember) -> Ledger {
    Ledger::open(Arc::new(Real), store, [1; 32], remember).expect("opened")
}

fn call(arguments: &str) -> Call {
    Call {
        at: Real.now(),
        principal: "laptop".into(),
        client: None,
        method: "tools/call".into(),
        server: "github".into(),
        name: "search".into(),
        verdict: Verdict::Allow,
        policy: None,
        approval: None,
        arguments: Some(arguments.into()),
        outcome: Outcome::Ok,
        bytes_in: arguments.len() as u64,
        bytes_out: 10,
        took: Duration::from_micros(50),
    }
}

fn stored(store: &Store) -> Vec<crate::store::db::Recorded> {
    let database = Database::look(&Real, store).expect("opened").expect("there");
    let all = Wanted { since: SystemTime::UNIX_EPOCH, client: None, server: None };
    database.calls(&all, None, usize::MAX).expect("read")
}

#[test]
fn nothing_is_lost_with_many_callers_and_a_full_queue() {
    let (_dir, store) = store();
    let ledger = ledger(&store, HASH);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5_000).for_each(|_| ledger.record(call("{}"))));
        }
    });
    ledger.flush();
    assert_eq!(stored(&store).len(), 20_000);
    // More bytes than may wait at once.
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(1 << 20));
    (0..70).for_each(|_| ledger.record(call(&large)));
    drop(ledger);
    assert_eq!(stored(&store).len(), 20_070);
}

#[test]
fn arguments_are_stored_as_a_digest_or_masked() {
    let (dir, store) = store();
    let canary = r#"{"password":"hush-canary-1","repo":"me/plain","key":"ghp_Canary0123456789abcdefAB"}"#;
    let ledger = ledger(&store, HASH);
    ledger.record(call(canary));
    ledger.flush();
    assert!(!text_of(dir.path()).contains("me/plain"));
    ledger.remember(Remember { arguments: AuditArguments::Keep, ..HASH });
    ledger.record(call(canary));
    drop(ledger);
    let text = text_of(dir.path());
    assert!(text.contains("me/plain"));
    for secret in ["hush-canary-1", "ghp_Canary"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let rows = stored(&store);
    assert_eq!(rows[0].kept.digest, rows[1].kept.digest);
    assert!(rows[0].kept.digest.is_some() && rows[1].kept.text.is_none());
}

#[test]
fn what_cannot_be_written_is_counted_and_said() {
    let (_dir, store) = store();
    let ledger = ledger(&store, HASH);
    let other = rusqlite::Connection::open(store.path("mcpkeel.db")).expect("opened");
    other.execute_batch("DROP TABLE calls").expect("dropped");
    ledger.record(call("{}"));
    ledger.record(call("{}"));
    ledger.note("the same");
    ledger.note("the same");
    ledger.flush();
    assert_eq!(ledger.lost(), 2);
    let said: Vec<String> =
        store.events(&Real).expect("read").into_iter().map(|event| event.message).collect();
    assert!(said[0].starts_with("2 calls could not be written down: cannot write "), "{said:?}");
    assert_eq!(said.iter().filter(|message| *message == "the same").count(), 1);
}

#[test]
fn old_calls_are_forgotten() {
    let (_dir, store) = store();
    let old = Call { at: Real.now() - Duration::from_secs(7200), ..call("{}") };
    let ledger = ledger(&store, HASH);
    ledger.record(old);
    ledger.record(call("{}"));
    drop(ledger);
    assert_eq!(stored(&store).len(), 1);
}

/// Everything in the directory, as text.
fn text_of(dir: &std::path::Path) -> String {
    let mut text = String::new();
    for name in Real.list(dir).expect("listed") {
        let path = dir.join(name);
        match Real.list(&path) {
            Ok(_) => text.push_str(&text_of(&path)),
            Err(_) => text.push_str(&String::from_utf8_lossy(&Real.read(&path).expect("read"))),
        }
    }
    text
}

#[test]
fn the_manifest_says_what_is_remembered() {
    let of = |text: &str| Remember::of(Some(&serde_json::from_str::<Gateway>(text).expect("a gateway")));
    let days = |days: u32| days * Duration::from_secs(86_400);
    assert_eq!(Remember::of(None), Remember { arguments: AuditArguments::Hash, keep: days(90) });
    assert_eq!(of(r#"{"audit":{"keep":"7d"}}"#), Remember { arguments: AuditArguments::Hash, keep: days(7) });
    let kept = of(r#"{"audit":{"arguments":"keep"}}"#);
    assert_eq!(kept, Remember { arguments: AuditArguments::Keep, keep: days(90) });
}
