//! Callers that read nothing, and many that do nothing.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Up;

#[test]
fn callers_that_do_not_read_delay_no_other_and_fill_no_memory() {
    let Some(up) = Up::faulty("") else { return };
    let before = up.megabytes();
    // Answers that nobody reads, and news that nobody reads.
    let caller = up.caller("a");
    let large = caller.message(&json!(1), "large", &json!({ "megabytes": 8 }), None);
    let unread: Vec<_> = (0..8).map(|_| caller.begin("POST", Some(&large))).collect();
    let listener = up.caller("a").greeted();
    let stream = listener.begin("GET", None);
    listener.post(
        &json!({ "jsonrpc": "2.0", "id": 7, "method": "logging/setLevel", "params": { "level": "debug" } }),
    );
    let chatter = up.caller("a").text("chatter", &json!({ "text": "said", "times": 50_000 }));
    assert_eq!(chatter.as_deref(), Ok("said"));
    let begun = Instant::now();
    for server in ["a", "b"] {
        assert_eq!(up.caller(server).text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let after = up.megabytes();
    assert!(after < before + 150, "{before} MB, then {after} MB");
    drop((unread, stream));
    up.answers("a");
}

#[test]
fn a_caller_who_leaves_takes_its_call_along() {
    let Some(up) = Up::faulty("") else { return };
    let caller = up.caller("a");
    for _ in 0..200 {
        let call = caller.message(&json!(1), "hang", &json!({}), None);
        drop(caller.begin("POST", Some(&call)));
    }
    up.answers("a");
}

#[test]
fn a_thousand_sessions_that_do_nothing_cost_little() {
    let Some(up) = Up::faulty("") else { return };
    for _ in 0..50 {
        up.caller("a").greeted();
    }
    let before = up.megabytes();
    let greeters: Vec<_> = (0..4)
        .map(|_| {
            let caller = up.caller("a");
            thread::spawn(move || (0..250).for_each(|_| drop(caller.clone().greeted())))
        })
        .collect();
    greeters.into_iter().for_each(|greeter| greeter.join().expect("no panic"));
    let after = up.megabytes();
    assert!(after <= before + 50, "a thousand sessions cost {} MB", after - before);
    assert_eq!(up.caller("a").text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
}

#[test]
fn requests_that_never_end_hold_up_no_other() {
    let Some(up) = Up::faulty("") else { return };
    let mut slow: Vec<_> =
        (0..64).map(|_| TcpStream::connect(("127.0.0.1", up.port)).expect("the gateway listens")).collect();
    for stream in &mut slow {
        stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le").expect("sent");
    }
    let begun = Instant::now();
    assert_eq!(up.caller("a").text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
