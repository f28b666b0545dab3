use super::*;

/// In pieces, so that no failure message can hide one.
fn canaries() -> [String; 2] {
    [["ghp", "_Canary0123456789abcdefABCDEF"].concat(), ["canary", "-no-look-77"].concat()]
}

const LOOKS: &[&[&str]] = &[
    &["approval", "list"],
    &["approval", "list", "--all", "--format", "json"],
    &["approval", "list", "--all", "--format", "markdown"],
    &["usage"],
    &["usage", "--format", "json"],
    &["usage", "--format", "markdown"],
    &["events"],
    &["events", "--format", "json"],
    &["history"],
    &["status"],
    &["doctor"],
];

#[test]
fn a_secret_among_the_arguments_of_a_call_shows_nowhere() {
    for canary in canaries() {
        for how in [AuditArguments::Hash, AuditArguments::Keep] {
            let home = home();
            let arguments = format!(
                "{{\"repo\":\"me/kept-by-choice\",\"api_key\":\"{canary}\",\"list\":[{{\"password\":\"{canary}\"}}]}}"
            );
            let desk = desk(&home, Duration::from_secs(600));
            let (approved, rejected) =
                (ask(&desk, &arguments), ask(&desk, &arguments.replace("list", "other")));
            let ledger = ledger(&home, how);
            ledger.record(call("create_issue", &arguments, Outcome::Ok));
            ledger.flush();
            let approve: &[&str] = &["approval", "approve", &approved];
            let reject: &[&str] = &["approval", "reject", &rejected];
            for args in LOOKS.iter().chain([&approve, &reject]).chain(LOOKS) {
                let ran = home.run(args);
                assert!(!ran.out.contains(&canary) && !ran.err.contains(&canary), "{args:?} shows it");
            }
            drop((desk, ledger));
            assert!(files_with(&home, &canary).is_empty(), "{how:?}: {:?}", files_with(&home, &canary));
        }
    }
}

#[test]
fn plain_arguments_are_kept_only_where_that_is_asked_for() {
    // The preview of an approval is there to be looked at; the audit log is what `audit.arguments` is about.
    for (how, kept) in [(AuditArguments::Hash, 0), (AuditArguments::Keep, 1)] {
        let home = home();
        let ledger = ledger(&home, how);
        ledger.record(call("search", "{\"query\":\"plain-and-long-enough\"}", Outcome::Ok));
        drop(ledger);
        assert_eq!(files_with(&home, "plain-and-long-enough").len().min(1), kept, "{how:?}");
    }
}
