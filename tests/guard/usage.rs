use super::*;

#[test]
fn shows_what_each_tool_cost_and_how_that_is_counted() {
    let home = home();
    let ledger = ledger(&home, AuditArguments::Hash);
    (0..10).for_each(|_| ledger.record(call("search", "{}", Outcome::Ok)));
    ledger.record(call("create_issue", "{}", Outcome::ToolError));
    ledger.record(call("delete_repo", "{}", Outcome::Denied));
    drop(ledger);
    let usage = json_of(&home, &["usage", "--period", "day"]);
    assert_eq!(usage["total"]["calls"], 11);
    assert_eq!(usage["tools"][0]["name"], "search");
    assert_eq!(
        (&usage["tools"][0]["tokens_in"], &usage["tools"][0]["tokens_out"]),
        (&100.into(), &10_000.into())
    );
    assert_eq!((&usage["tools"][1]["errors"], &usage["tools"][1]["p95_ms"]), (&1.into(), &3.0.into()));
    let ran = home.run(&["usage"]).exits(0);
    assert!(ran.out.contains("divided by 4.5") && ran.out.contains("3.0 ms"), "{}", ran.out);
    assert!(ran.out.lines().any(|line| line.starts_with("total") && line.contains("11")), "{}", ran.out);
    assert_eq!(json_of(&home, &["usage", "--client", "zed"])["total"]["calls"], 0);
    assert_eq!(json_of(&home, &["usage", "--client", "laptop", "--server", "github"])["total"]["calls"], 11);
    assert!(home.run(&["usage", "--period", "year"]).exits(64).out.is_empty());
}

#[test]
fn looking_makes_no_database() {
    let home = home();
    for args in
        [&["usage"][..], &["token", "list"], &["approval", "list"], &["lock", "diff"], &["lock", "accept"]]
    {
        let ran = home.run(args).exits(0);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}: {}", ran.out);
    }
    assert!(!home.exists(".local/state/mcpkeel"));
}
