//! Whoever asks gets the answer, and nobody else.
//!
//! Every client uses the same ids and the same progress tokens on purpose, and servers answer in any order.

use std::thread;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Up;
use super::http::{Caller, follow};

/// One call of a client.
#[derive(Clone, Debug)]
struct Call {
    id: Value,
    server: &'static str,
    delay: u64,
    steps: u64,
    /// Its own token, as unlucky as its id.
    token: Option<Value>,
}

fn call() -> impl Strategy<Value = Call> {
    // A number and its text are two ids; zero and the largest that keeps its value everywhere are ids, too.
    let id = prop_oneof![
        Just(json!(1)),
        Just(json!("1")),
        Just(json!(0)),
        Just(json!(9_007_199_254_740_991_u64)),
        Just(json!("\u{1F40E}"))
    ];
    let token = prop_oneof![Just(json!(1)), Just(json!("1")), Just(json!("token"))];
    (id, prop_oneof![Just("a"), Just("b")], 0..30_u64, 0..3_u64, token).prop_map(
        |(id, server, delay, steps, token)| Call {
            id,
            server,
            delay,
            steps,
            token: (steps > 0).then_some(token),
        },
    )
}

#[test]
fn no_client_is_given_what_another_asked_for() {
    let Some(up) = Up::faulty("") else { return };
    let other = up.home.run(&["-q", "token", "create", "other"]).exits(0).out.trim().to_owned();
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let clients = proptest::collection::vec(proptest::collection::vec(call(), 1..6), 2..6);
    runner
        .run(&clients, |clients| {
            let threads: Vec<_> = clients
                .into_iter()
                .enumerate()
                .map(|(number, calls)| {
                    let token = if number % 2 == 0 { &up.token } else { &other };
                    let callers = ["a", "b"].map(|server| {
                        let caller = Caller::new(up.port, token, &format!("/mcp/{server}"));
                        // Half of them of each era.
                        if number / 2 % 2 == 0 { caller } else { caller.greeted() }
                    });
                    thread::spawn(move || client(number, &callers, &calls))
                })
                .collect();
            for thread in threads {
                thread
                    .join()
                    .map_err(|_| TestCaseError::fail("a client panicked"))?
                    .map_err(TestCaseError::fail)?;
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// All calls of a client at once. Says what was not its own.
fn client(number: usize, callers: &[Caller; 2], calls: &[Call]) -> Result<(), String> {
    // A client may not use an id twice at the same time; within one, calls of an id follow each other.
    let mut ids: Vec<&Value> = calls.iter().map(|call| &call.id).collect();
    ids.sort_by_key(|id| id.to_string());
    ids.dedup();
    thread::scope(|scope| {
        let lanes: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let mine: Vec<_> = calls.iter().enumerate().filter(|(_, call)| call.id == *id).collect();
                scope.spawn(move || {
                    mine.into_iter().try_for_each(|(nth, call)| one(number, nth, callers, call))
                })
            })
            .collect();
        lanes.into_iter().try_for_each(|lane| lane.join().map_err(|_| "a call panicked".to_owned())?)
    })
}

fn one(number: usize, nth: usize, callers: &[Caller; 2], call: &Call) -> Result<(), String> {
    let text = format!("client {number}, call {nth}");
    let caller = &callers[usize::from(call.server == "b")];
    let arguments = json!({ "text": text, "ms": call.delay, "steps": call.steps });
    let answer = caller.call(&call.id, "echo", &arguments, call.token.as_ref());
    let said = answer.text(&call.id)?;
    if said != text {
        return Err(format!("{text} was given {said:?}"));
    }
    let answers = answer.messages.iter().filter(|message| message.get("method").is_none()).count();
    let steps: Vec<_> = answer.messages.iter().filter(|message| message.get("method").is_some()).collect();
    if answers != 1 || steps.len() as u64 != call.steps {
        return Err(format!("{text} was given {:?}", answer.messages));
    }
    for step in steps {
        let params = &step["params"];
        if params["message"] != *text || Some(&params["progressToken"]) != call.token.as_ref() {
            return Err(format!("{text}, whose token is {:?}, was told {step}", call.token));
        }
    }
    Ok(())
}

#[test]
fn a_session_is_of_use_to_its_own_token_alone() {
    let Some(up) = Up::faulty("") else { return };
    let other = up.home.run(&["-q", "token", "create", "other"]).exits(0).out.trim().to_owned();
    let mine = up.caller("a").greeted();
    let stolen = mine.clone().with_token(&other);
    let answer = stolen.call(&json!(1), "echo", &json!({ "text": "x" }), None);
    assert_eq!(answer.status, 404, "{:?}", answer.messages);
    assert_eq!(mine.text("echo", &json!({ "text": "x" })).as_deref(), Ok("x"));
}

/// Over stdio a server of the older era does not say on whose behalf it asks. Either the one who called is asked, or nobody.
#[test]
fn a_question_of_a_server_reaches_nobody_but_the_one_who_called() {
    let Some(up) = Up::faulty("") else { return };
    let other = up.home.run(&["-q", "token", "create", "other"]).exits(0).out.trim().to_owned();
    for others_call in [false, true] {
        let mine = up.caller("a").greeted();
        let theirs = up.caller("a").with_token(&other).greeted();
        let their_news = follow(theirs.begin("GET", None)).expect("a stream");
        let pending = theirs.message(&json!(1), "echo", &json!({ "text": "theirs", "ms": 1500 }), None);
        let pending = others_call.then(|| theirs.begin("POST", Some(&pending)));
        let call = mine.message(&json!(1), "asks", &json!({ "text": "what is mine?" }), None);
        let mut coming = follow(mine.begin("POST", Some(&call))).expect("a stream");
        let mut was_asked = false;
        let answer = loop {
            let message = coming.next().expect("a message").expect("an answer at the end");
            if message["method"] == "sampling/createMessage" {
                assert!(message.to_string().contains("what is mine?"));
                was_asked = true;
                let said = json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "said by me" } });
                let reply = mine.post(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": said }));
                assert_eq!(reply.status, 202);
            } else if message["id"] == 1 {
                break message;
            }
        };
        assert_eq!(was_asked, answer.to_string().contains("said by me"), "{answer}");
        assert!(was_asked || others_call, "nobody else had called: {answer}");
        if let Some(pending) = pending {
            let heard = super::http::read(pending).expect("an answer");
            assert_eq!(heard.text(&json!(1)).as_deref(), Ok("theirs"), "{:?}", heard.messages);
            assert_eq!(heard.messages.len(), 1, "{:?}", heard.messages);
        }
        // What came on their other stream is there by now, and must not be a question.
        drop(theirs);
        their_news.says_nothing_of("sampling/createMessage");
    }
}

/// Numbers that no library keeps, fields that no revision knows, spaces, escapes and their order.
#[test]
fn what_is_not_ours_passes_byte_for_byte() {
    let Some(up) = Up::faulty("") else { return };
    let wanted = r#"{"content":[],"big":12345678901234567890123,"far":1e400,"one":1.0,"x-vendor":{"b":[ 1 ],"a":"\u00e9\/"}}"#;
    let arguments =
        r#"{"z":98765432109876543210,"a":-1E-400,"s":"\u00e9\/ \ud83d\udc0e","l":[ 1.0 , 2 ],"x":{}}"#;
    let old = up.caller("a").greeted();
    for id in ["7", "\"7\"", "18446744073709551615"] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"raw","arguments":{{}}}},"id":{id}}}"#
        );
        let answer = old.post_as_it_is(&text, &json!({}));
        assert!(answer.contains(wanted) && answer.contains(&format!("\"id\":{id}")), "{answer}");
    }
    let text = format!(
        r#"{{"id":7,"x-top":1.50,"jsonrpc":"2.0","method":"tools/call","params":{{"arguments":{arguments},"name":"heard"}}}}"#
    );
    let answer = old.post_as_it_is(&text, &json!({}));
    let answer: Value = serde_json::from_str(answer.trim().trim_start_matches("data:")).expect("JSON");
    let heard = answer["result"]["content"][0]["text"].as_str().expect("what the server heard");
    assert!(heard.contains(arguments) && heard.contains(r#""x-top":1.50"#), "{heard}");
}
