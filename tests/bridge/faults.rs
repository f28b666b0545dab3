//! Servers that fail, and what the client hears of it: always an answer, never a secret.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcpkeel::bridge::Upstream;
use mcpkeel::clients::Filter;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{Client, remote, run};
use super::fake::{Answer, Asked, CUT, Fake};

/// Answers what every test needs, and asks `rest` for the rest.
fn with_handshake(rest: impl Fn(&Asked) -> Answer + Send + Sync) -> impl Fn(&Asked) -> Answer + Send + Sync {
    move |asked| match asked.what().as_str() {
        "initialize" => opening(asked, "one"),
        "notifications/initialized" => Answer::status(202),
        "GET" if asked.header("last-event-id").is_none() => Answer::status(405),
        "DELETE" => Answer::status(204),
        _ => rest(asked),
    }
}

fn opening(asked: &Asked, session: &str) -> Answer {
    let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "f", "version": "1"}});
    Answer::json(answer_to(asked, &result)).with("Mcp-Session-Id", session)
}

fn answer_to(asked: &Asked, result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": asked.json()["id"], "result": result}).to_string()
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

#[test]
fn the_handshake_is_that_of_the_specification() {
    run(async {
        let server = Fake::start(with_handshake(|asked| Answer::json(answer_to(asked, &json!({}))))).await;
        let mut client = Client::http(&server.url("/mcp?key=k"), &[("Authorization", "Bearer t")]);
        client.initialize().await;
        client.ask("ping", json!({})).await;
        assert_eq!(client.close().await, 0);
        let asked = server.asked();
        assert!(asked.iter().all(|asked| asked.header("authorization") == Some("Bearer t")));
        assert!(asked.iter().all(|asked| asked.path == "/mcp?key=k"));
        let told = |what: &str| {
            let asked =
                asked.iter().find(|asked| asked.what() == what).unwrap_or_else(|| panic!("no {what}"));
            (asked.header("mcp-session-id"), asked.header("mcp-protocol-version"))
        };
        assert_eq!(told("initialize"), (None, None));
        for later in ["notifications/initialized", "GET", "ping", "DELETE"] {
            assert_eq!(told(later), (Some("one"), Some("2025-11-25")), "{later}");
        }
    });
}

#[test]
fn a_client_that_does_not_wait_is_served_in_order() {
    run(async {
        let server = Fake::start(with_handshake(|asked| Answer::json(answer_to(asked, &json!({}))))).await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        let opening = client.request("initialize", json!({"protocolVersion": "2025-11-25"})).await;
        client.notify("notifications/initialized", json!({})).await;
        let ping = client.request("ping", json!({})).await;
        client.answer(opening).await;
        client.answer(ping).await;
        client.close().await;
        let asked: Vec<String> = server.methods().into_iter().filter(|what| what != "GET").collect();
        assert_eq!(asked, ["initialize", "notifications/initialized", "ping", "DELETE"]);
    });
}

#[test]
fn a_lost_session_is_opened_anew_and_the_request_sent_once_more() {
    run(async {
        let sessions = AtomicUsize::new(0);
        let server = Fake::start(move |asked| match asked.what().as_str() {
            "initialize" => {
                let number = sessions.fetch_add(1, Ordering::Relaxed);
                opening(asked, if number == 0 { "one" } else { "two" })
            }
            "notifications/initialized" => Answer::status(202),
            "GET" => Answer::status(405),
            "DELETE" => Answer::status(204),
            _ if asked.header("mcp-session-id") == Some("one") => Answer::status(404),
            _ => Answer::json(answer_to(asked, &json!({"session": asked.header("mcp-session-id")}))),
        })
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        // Both lose it; one new session serves both.
        let ids = [client.request("a", json!({})).await, client.request("b", json!({})).await];
        for id in ids {
            assert_eq!(client.answer(id).await["result"]["session"], "two");
        }
        assert!(client.heard.is_empty(), "{:?}", client.heard);
        client.close().await;
        let methods = server.methods();
        assert_eq!(methods.iter().filter(|what| *what == "initialize").count(), 2, "{methods:?}");
        assert_eq!(methods.iter().filter(|what| *what == "notifications/initialized").count(), 2);
    });
}

#[test]
fn refusals_are_answers_in_words() {
    run(async {
        let server = Fake::start(with_handshake(|asked| {
            let html =
                |status| Answer::status(status).with("Content-Type", "text/html").body("<h1>s3cret</h1>");
            match asked.what().as_str() {
                "403" => html(403),
                "500" => html(500),
                "429" => html(429).with("Retry-After", "17"),
                "302" => html(302).with("Location", "https://elsewhere.example/s3cret"),
                "html" => html(200),
                "202" => Answer::status(202),
                "400" => Answer::status(400).body(
                    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32021,"message":"no","data":1e400}}"#,
                ),
                "broken" => Answer::json(r#"{"jsonrpc":"2.0","id":1,"#),
                "other" => Answer::json(r#"{"jsonrpc":"2.0","id":"other","result":{}}"#),
                what => panic!("{what}"),
            }
        }))
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[("X-Key", "s3cret")]);
        client.initialize().await;
        for (method, says) in [
            ("403", "answered 403 Forbidden: the token may not be allowed"),
            ("500", "answered 500 Internal Server Error"),
            ("429", "answered 429 Too Many Requests: asks to wait: 17"),
            ("302", "answered 302 Found: it redirects, which is not followed"),
            ("html", "answered with text/html instead of JSON"),
            ("202", "answered 202 Accepted and nothing else"),
            ("broken", "sent something that is not JSON-RPC"),
        ] {
            let answer = client.ask(method, json!({})).await;
            let text = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
            assert!(
                text.starts_with("`srv` at http://127.0.0.1:") && text.contains(says),
                "{method}: {text}"
            );
            assert_eq!(answer["error"]["code"], -31001);
        }
        let id = client.request("400", json!({})).await;
        let line = client.line().await.expect("an answer");
        let expected = r#""error":{"code":-32021,"message":"no","data":1e400}"#;
        assert!(line.contains(expected) && line.contains(&format!("\"id\":{id}")), "{line}");
        assert!(!client.notes().iter().any(|note| note.contains("s3cret")), "{:?}", client.notes());
        // Each was asked once.
        assert_eq!(server.methods().iter().filter(|what| *what == "429").count(), 1);
        client.close().await;
    });
}

#[test]
fn a_server_that_is_not_there_is_an_answer() {
    run(async {
        let url = Fake::start(|_| Answer::status(500)).await.url("/mcp?key=s3cret");
        let mut client = Client::http(&url, &[]);
        let answer = client.ask("initialize", json!({})).await;
        let text = answer["error"]["message"].as_str().expect("a message");
        assert!(text.contains("/… could not be reached: ") && !text.contains("s3cret"), "{text}");
        assert_eq!(client.close().await, 0);
    });
}

#[test]
fn a_dropped_stream_is_resumed_where_it_broke_off() {
    run(async {
        let server = Fake::start(with_handshake(|asked| match asked.what().as_str() {
            "GET" => {
                assert_eq!(asked.header("last-event-id"), Some("e1"));
                Answer::events(&[&event(r#"{"jsonrpc":"2.0","id":2,"result":{"resumed":true}}"#)])
            }
            "dropped" => Answer::events(&["id: e1\nretry: 1\ndata:\n\n", CUT]),
            "lost" => Answer::events(&[": nothing to resume from\n\n", CUT]),
            what => panic!("{what}"),
        }))
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        assert_eq!(client.ask("dropped", json!({})).await["result"], json!({"resumed": true}));
        let answer = client.ask("lost", json!({})).await;
        let text = answer["error"]["message"].as_str().expect("a message");
        assert!(text.ends_with("closed the stream before it answered"), "{text}");
        assert_eq!(server.methods().iter().filter(|what| *what == "lost").count(), 1);
        client.close().await;
    });
}

#[test]
fn the_servers_own_stream_is_kept_open() {
    run(async {
        let connects = AtomicUsize::new(0);
        let hold = Mutex::new(None);
        let server = Fake::start(move |asked| match asked.what().as_str() {
            "initialize" => opening(asked, "one"),
            "GET" => match connects.fetch_add(1, Ordering::Relaxed) {
                0 => Answer::events(&[
                    "id: a\nretry: 1\n",
                    &event(r#"{"jsonrpc":"2.0","method":"first"}"#),
                    CUT,
                ]),
                _ => {
                    assert_eq!(asked.header("last-event-id"), Some("a"));
                    let (send, answer) = Answer::stream();
                    let question = "{\n\"jsonrpc\": \"2.0\",\n\"id\": \"q\", \"method\": \"second\"}";
                    let lines: Vec<String> = question.lines().map(|line| format!("data: {line}\n")).collect();
                    send.send(format!("{}\n", lines.concat())).expect("kept");
                    *hold.lock().expect("not poisoned") = Some(send);
                    answer
                }
            },
            _ => Answer::status(202),
        })
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        client.hear("first").await;
        let question = client.hear("second").await;
        client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"ok": 1}})).await;
        client.close().await;
        let answered = server.asked().iter().any(|asked| asked.json()["result"] == json!({"ok": 1}));
        assert!(answered, "{:?}", server.methods());
    });
}

#[test]
fn pretty_printed_answers_become_one_line() {
    run(async {
        let server = Fake::start(with_handshake(|_| {
            Answer::json("{\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": 2,\n  \"result\": {\"big\": 123456789012345678901234567890}\n}\n")
        }))
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        client.request("x", json!({})).await;
        let line = client.line().await.expect("an answer");
        assert!(line.contains("123456789012345678901234567890"), "{line}");
        client.close().await;
    });
}

#[test]
fn an_answer_that_is_too_long_is_an_error() {
    run(async {
        let server = Fake::start(with_handshake(|_| {
            let (send, answer) = Answer::stream();
            let piece = "x".repeat(1 << 20);
            send.send("data: ".to_owned()).expect("kept");
            for _ in 0..66 {
                send.send(piece.clone()).expect("kept");
            }
            answer
        }))
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        let answer = client.ask("huge", json!({})).await;
        assert!(answer["error"]["message"].as_str().expect("a message").contains("64 MiB"), "{answer}");
        client.close().await;
    });
}

#[test]
fn a_cancelled_request_gets_no_answer_and_no_stream() {
    run(async {
        let hold = Mutex::new(Vec::new());
        let (say, mut begun) = mpsc::unbounded_channel();
        let mut server = Fake::start(with_handshake(move |asked| {
            if asked.what() == "notifications/cancelled" {
                return Answer::status(202);
            }
            let (send, answer) = Answer::stream();
            hold.lock().expect("not poisoned").push(send);
            say.send(()).expect("heard");
            answer
        }))
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        let slow = client.request("slow", json!({})).await;
        begun.recv().await.expect("it was asked");
        client.notify("notifications/cancelled", json!({"requestId": slow})).await;
        assert_eq!(server.hung_up().await, "slow");
        assert!(server.methods().contains(&"notifications/cancelled".to_owned()));
        assert_eq!(client.close().await, 0);
    });
}

#[test]
fn a_client_that_leaves_gets_the_answer_that_is_due() {
    run(async {
        let hold = Mutex::new(None);
        let (say, mut begun) = mpsc::unbounded_channel();
        let server = Fake::start(with_handshake(move |asked| match asked.what().as_str() {
            "slow" => {
                let (send, answer) = Answer::stream();
                *hold.lock().expect("not poisoned") = Some(send);
                say.send(()).expect("heard");
                answer
            }
            _ => {
                let send = hold.lock().expect("not poisoned").take().expect("slow came first");
                send.send(event(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#)).expect("kept");
                Answer::status(202)
            }
        }))
        .await;
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        let slow = client.request("slow", json!({})).await;
        begun.recv().await.expect("it was asked");
        client.notify("go", json!({})).await;
        // Closed before the answer came.
        let (lines, code) = client.leave().await;
        assert_eq!(code, 0);
        assert!(lines.iter().any(|line| line.contains(&format!("\"id\":{slow}"))), "{lines:?}");
        assert_eq!(server.methods().last().map(String::as_str), Some("DELETE"));
    });
}

#[test]
fn the_old_sse_posts_only_to_its_own_server() {
    run(async {
        let server =
            Fake::start(|_| Answer::events(&["event: endpoint\ndata: http://evil.example/post\n\n"])).await;
        let upstream = Upstream::Sse(remote(&server.url("/sse"), &[("Authorization", "Bearer t")]));
        let mut client = Client::of(upstream, Filter::default());
        let answer = client.ask("initialize", json!({})).await;
        let text = answer["error"]["message"].as_str().expect("a message");
        assert!(text.ends_with("wants messages to be posted to another server, which is refused"), "{text}");
        client.close().await;
    });
}

#[test]
fn the_old_sse_opens_a_new_session_when_the_stream_is_lost() {
    run(async {
        let streams: &'static Mutex<Vec<mpsc::UnboundedSender<String>>> = Box::leak(Box::default());
        let server = Fake::start(move |asked| {
            let mut streams = streams.lock().expect("not poisoned");
            match asked.what().as_str() {
                "GET" => {
                    let (send, answer) = Answer::stream();
                    send.send(format!("event: endpoint\ndata: /post?{}\n\n", streams.len())).expect("kept");
                    streams.push(send);
                    return answer;
                }
                "initialize" | "x" => {
                    let result = json!({"protocolVersion": "2024-11-05", "post": asked.path});
                    let _ = streams.last().expect("open").send(event(&answer_to(asked, &result)));
                }
                "die" => {
                    let _ = streams.last().expect("open").send(CUT.to_owned());
                }
                _ => {}
            }
            Answer::status(202)
        })
        .await;
        let mut client = Client::of(Upstream::Sse(remote(&server.url("/sse"), &[])), Filter::default());
        client.initialize().await;
        let answer = client.ask("die", json!({})).await;
        let text = answer["error"]["message"].as_str().expect("a message");
        assert!(text.ends_with("closed the stream before it answered"), "{text}");
        assert_eq!(client.ask("x", json!({})).await["result"]["post"], "/post?1");
        let opened = server.methods().iter().filter(|what| *what == "initialize").count();
        assert_eq!(opened, 2);
        client.close().await;
    });
}

#[test]
fn what_cannot_be_sent_is_refused_without_showing_it() {
    run(async {
        for (url, headers, says) in [
            ("not a url s3cret", ("X", "y"), "the address of `srv` is not a URL"),
            ("ftp://s3cret", ("X", "y"), "begins with ftp://"),
            ("http://127.0.0.1/", ("X Y", "s3cret"), "`X Y` of `srv` cannot be the name of a header"),
            ("http://127.0.0.1/", ("X", "s3\ncret"), "the header X of `srv` has a value that cannot be sent"),
        ] {
            let error = Client::http(url, &[headers]).ended().await.expect_err("refused").to_string();
            assert!(error.contains(says) && !error.contains("cret"), "{error}");
        }
    });
}
