//! Servers that die, hang, flood and talk nonsense.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Up, faulty_server, is_alive};

#[test]
fn a_server_that_dies_in_a_call_fails_that_call_and_no_other() {
    for way in ["die", "die_in_a_line"] {
        let Some(up) = Up::faulty("") else { return };
        let (here, there) = (up.caller("a"), up.caller("b"));
        let meanwhile = thread::spawn({
            let there = there.clone();
            move || there.text("echo", &json!({ "text": "late", "ms": 1000 }))
        });
        let begun = Instant::now();
        let error = here.text(way, &json!({})).expect_err("it died");
        assert!(error.contains("error") || error.contains("isError"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        up.answers("a");
        assert_eq!(meanwhile.join().expect("no panic").as_deref(), Ok("late"));
    }
}

#[test]
fn a_session_outlives_a_server_that_dies() {
    let Some(up) = Up::faulty("") else { return };
    let caller = up.caller("a").greeted();
    let before = caller.text("pid", &json!({})).expect("it runs");
    caller.text("die", &json!({})).expect_err("it died");
    let mut after = before.clone();
    up.wait_for("another process answers in the same session", || {
        if let Ok(pid) = caller.text("pid", &json!({})) {
            after = pid;
        }
        after != before
    });
    assert!(!is_alive(&before) && is_alive(&after));
}

#[test]
fn a_server_that_hangs_delays_neither_its_other_callers_nor_other_servers() {
    let Some(up) = Up::faulty("supervisor: { call_timeout: 3s }\n") else { return };
    let hanging = thread::spawn({
        let caller = up.caller("a");
        move || (Instant::now(), caller.text("hang", &json!({})), Instant::now())
    });
    for server in ["a", "b"] {
        let begun = Instant::now();
        assert_eq!(up.caller(server).text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
        assert!(begun.elapsed() < Duration::from_secs(2), "{server}: {:?}", begun.elapsed());
    }
    let (begun, answer, ended) = hanging.join().expect("no panic");
    answer.expect_err("it never answers");
    let waited = ended - begun;
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(10), "{waited:?}");
}

#[test]
fn a_server_that_reads_nothing_any_more_delays_no_other() {
    let Some(up) = Up::faulty("supervisor: { call_timeout: 3s, health_check: { enabled: false } }\n") else {
        return;
    };
    let caller = up.caller("a");
    // More than a pipe holds.
    let text = "x".repeat(200_000);
    let calls = ["deaf", "echo", "echo"].map(|tool| {
        let (caller, text) = (caller.clone(), text.clone());
        thread::spawn(move || (tool, caller.text(tool, &json!({ "text": text }))))
    });
    assert_eq!(up.caller("b").text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
    for call in calls {
        // The others may have been read before it became deaf. Each ends, one way or the other.
        let (tool, answer) = call.join().expect("no panic");
        assert!(tool != "deaf" || answer.is_err(), "{answer:?}");
    }
}

#[test]
fn servers_that_never_greet_or_never_start_delay_no_other() {
    let Some(first) = Up::faulty("") else { return };
    drop(first);
    let server = faulty_server();
    let mute = server.replace(" }", ", env: { NEVER_GREETS: '1' } }");
    let begun = Instant::now();
    let up = Up::of(&format!(
        "servers:\n  a: {server}\n  mute: {mute}\n  none: {{ command: /does/not/exist }}\n  ends: {{ command: 'false' }}\n  sleeps: {{ command: sleep, args: ['987'] }}\n"
    ));
    up.answers("a");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    } } });
    let begun = Instant::now();
    let answer = super::http::Caller::new(up.port, &up.token, "/mcp").post(&list);
    assert!(answer.messages[0].to_string().contains("a__echo"), "{:?}", answer.messages);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_flood_of_errors_is_kept_within_bounds() {
    let Some(up) = Up::faulty("") else { return };
    let before = up.megabytes();
    assert_eq!(
        up.caller("a").text("flood", &json!({ "text": "done", "megabytes": 100 })).as_deref(),
        Ok("done")
    );
    assert_eq!(up.caller("a").text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
    let after = up.megabytes();
    assert!(after < before + 50, "{before} MB, then {after} MB");
    let kept = size_of(&up.home.path(".local/state"));
    assert!(kept < 40 << 20, "{kept} bytes are kept of the flood");
}

#[test]
fn nonsense_between_messages_is_skipped() {
    let Some(up) = Up::faulty("") else { return };
    for _ in 0..20 {
        assert_eq!(up.caller("a").text("garbage", &json!({ "text": "sense" })).as_deref(), Ok("sense"));
    }
    assert_eq!(up.caller("a").text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
}

#[test]
fn a_line_of_a_hundred_megabytes_takes_nobody_down() {
    let Some(up) = Up::faulty("") else { return };
    let large = thread::spawn({
        let caller = up.caller("a");
        move || caller.text("large", &json!({ "megabytes": 100 }))
    });
    assert_eq!(up.caller("b").text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
    // Whole, or refused in words; never silence.
    match large.join().expect("no panic") {
        Ok(text) => assert_eq!(text.len(), 100 << 20),
        Err(error) => assert!(error.contains("error"), "{error:.300}"),
    }
    up.answers("a");
    up.answers("b");
    let memory = up.megabytes();
    assert!(memory < 400, "{memory} MB stay");
}

fn size_of(directory: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let size = |path: std::path::PathBuf| match path.is_dir() {
        true => size_of(&path),
        false => path.metadata().map_or(0, |data| data.len()),
    };
    entries.filter_map(Result::ok).map(|entry| size(entry.path())).sum()
}
