use std::time::Instant;

use super::*;

const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_call_waits_until_a_person_says_yes_and_then_goes_on_at_once() {
    let home = home();
    let desk = desk(&home, LONG);
    let id = ask(&desk, r#"{"title":"one","token":"hush-hush"}"#);
    let listed = home.run(&["approval", "list"]).exits(0);
    assert!(listed.out.contains(&id) && listed.out.contains("\"title\":\"one\""), "{}", listed.out);
    assert!(!listed.out.contains("hush-hush"), "{}", listed.out);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (answer, late) = runtime.block_on(async {
        let approving = async {
            let approved = home.command(&["approval", "approve", &id]).output().expect("runs");
            assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
            Instant::now()
        };
        let waiting = async { (desk.wait(&id, LONG).await.expect("waited"), Instant::now()) };
        let (approved, (answer, heard)) = tokio::join!(approving, waiting);
        (answer, heard.saturating_duration_since(approved))
    });
    assert_eq!(answer, Answer::Approved { id: id.clone() });
    assert!(late < Duration::from_secs(2), "{late:?}");
    // It is used up.
    home.run(&["approval", "approve", &id]).exits(6);
    assert_eq!(json_of(&home, &["approval", "list", "--all"])["approvals"][0]["status"], "used");
    assert!(json_of(&home, &["approval", "list"])["approvals"].as_array().is_some_and(Vec::is_empty));
    let events = home.run(&["events"]).exits(0).out;
    for kind in ["approval-new", "approval-updated"] {
        assert!(events.contains(kind), "{events}");
    }
}

#[test]
fn a_no_reaches_whoever_asked_with_its_reason() {
    let home = home();
    let desk = desk(&home, LONG);
    let id = ask(&desk, "{}");
    let ran = home.run(&["approval", "reject", &id, "--reason", "not today"]).exits(0);
    assert!(
        ran.out.starts_with(&format!("{id}: rejected: `create_issue` of `github` for `laptop`, until ")),
        "{}",
        ran.out
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(desk.wait(&id, LONG)).expect("waited");
    assert_eq!(answer, Answer::Rejected { id: id.clone(), reason: Some("not today".to_owned()) });
    let ran = home.run(&["approval", "approve", &id]).exits(6);
    assert!(ran.err.contains(&format!("`{id}` is rejected already")), "{}", ran.err);
    home.run(&["approval", "reject", "ap-none"]).exits(64);
}

#[test]
fn nobody_can_agree_to_what_is_over() {
    let home = home();
    let id = ask(&desk(&home, Duration::from_millis(1)), "{}");
    let ran = home.run(&["approval", "approve", &id]).exits(6);
    assert!(ran.err.contains(&format!("`{id}` is expired already")), "{}", ran.err);
}
