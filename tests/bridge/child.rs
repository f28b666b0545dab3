//! Programs that speak on their standard input and output.

use mcpkeel::bridge::Upstream;
use mcpkeel::clients::Filter;
use serde_json::json;

use super::client::{Client, first_text, names, run, tools};
use super::real::{everything, filesystem, program, script};

/// A program in the shell's language.
fn shell(text: &str) -> Upstream {
    Upstream::Stdio(program("sh", &["-c", text], &[("SECRET", "s3cret")]))
}

#[test]
fn a_real_server_keeps_all_but_what_is_hidden() {
    run(async {
        let Some(server) = everything() else { return };
        let upstream = Upstream::Stdio(script(&server, &["stdio"], &[("GREETING", "hello")]));
        let mut client = Client::of(upstream, tools("", "get-sum"));
        client.initialize().await;
        let listed = client.ask("tools/list", json!({})).await;
        assert!(names(&listed).contains(&"get-env") && !names(&listed).contains(&"get-sum"));
        let environment = client.call("get-env", json!({})).await;
        assert!(environment.contains("\"GREETING\": \"hello\""), "{environment}");
        let answer =
            client.ask("tools/call", json!({"name": "get-sum", "arguments": {"a": 1, "b": 2}})).await;
        assert_eq!(answer["error"]["code"], -32602);
        // This one does not end with its input: it is asked to.
        assert_eq!(client.close().await, 143);
    });
}

#[test]
fn the_file_server_lists_what_it_lists_without_us() {
    run(async {
        let Some(server) = filesystem() else { return };
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("a.txt"), "text").expect("written");
        let path = std::fs::canonicalize(dir.path()).expect("there");
        let path = path.to_str().expect("UTF-8");
        let mut client =
            Client::of(Upstream::Stdio(script(&server, &[path], &[])), tools("read_* list_*", ""));
        // It asks for roots, and gets them from the client.
        client.initialize().await;
        let question = client.hear("roots/list").await;
        let roots = json!({"roots": [{"uri": format!("file://{path}")}]});
        client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": roots})).await;
        let read = json!({"name": "read_text_file", "arguments": {"path": format!("{path}/a.txt")}});
        let answer = client.ask("tools/call", read).await;
        assert_eq!(first_text(&answer), "text");
        let write =
            json!({"name": "write_file", "arguments": {"path": format!("{path}/b.txt"), "content": "x"}});
        assert_eq!(client.ask("tools/call", write).await["error"]["code"], -32602);
        assert!(!dir.path().join("b.txt").exists());
        assert_eq!(client.close().await, 0);
    });
}

#[test]
fn bytes_pass_as_they_are() {
    run(async {
        // `cat` says what it hears.
        let mut client = Client::of(Upstream::Stdio(program("cat", &[], &[])), tools("a*", ""));
        for line in [
            r#"{"jsonrpc":"2.0","id":12345678901234567890123,"result":{"x":1e400,"y":[ 1.50 ,{"ü":"\u00fc"}]}}"#,
            r#"{"vendor":{},"jsonrpc":"2.0","method":"notifications/x","params":{"n":-0.0}}"#,
            r#"{ "id" : "z" , "result" : { "tools" : [ { "name" : "ab", "k":1e400 }] , "nextCursor":"n" } }"#,
        ] {
            client.send_line(line).await;
            assert_eq!(client.line().await.as_deref(), Some(line));
        }
        client.send_line(r#"{"id":1,"result":{"tools":[{"name":"b"},{"name":"a"}],"nextCursor":"n"}}"#).await;
        let strained = r#"{"id":1,"result":{"tools":[{"name":"a"}],"nextCursor":"n"}}"#;
        assert_eq!(client.line().await.as_deref(), Some(strained));
        assert_eq!(client.close().await, 0);
    });
}

#[test]
fn what_might_slip_past_the_filter_is_refused() {
    run(async {
        let mut client = Client::of(Upstream::Stdio(program("cat", &[], &[])), tools("", "b"));
        for (line, code) in [
            (r#"{"id":1,"method":"tools/call","params":{"name":"b"}}"#, -32602),
            (r#"{"id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#, -32600),
            (r#"{"id":1,"method":"tools/call","method":"ping","params":{"name":"b"}}"#, -32600),
            (r#"{"id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#, -32600),
            (r#"[{"id":1,"method":"tools/call","params":{"name":"b"}}]"#, -32602),
            (r#"["2.0",1,"tools/call",{"name":"b"}]"#, -32600),
            ("nonsense", -32700),
        ] {
            client.send_line(line).await;
            let answer = client.message().await;
            assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
            // Three further elements of the array, each refused.
            if line.starts_with("[\"2.0\"") {
                for _ in 0..3 {
                    client.message().await;
                }
            }
        }
        // A call that wants no answer gets none, and goes nowhere.
        client.send_line(r#"{"method":"tools/call","params":{"name":"b"}}"#).await;
        client
            .send_line(
                r#"[{"method":"notifications/x"},{"id":2,"method":"tools/call","params":{"name":"a"}}]"#,
            )
            .await;
        assert_eq!(client.message().await["method"], "notifications/x");
        assert_eq!(client.message().await["params"]["name"], "a");
        client.close().await;
    });
}

#[test]
fn ends_with_the_programs_exit_code() {
    run(async {
        assert_eq!(Client::of(shell("exit 7"), Filter::default()).ended().await.expect("ran"), 7);
        assert_eq!(Client::of(shell("kill -9 $$"), Filter::default()).ended().await.expect("ran"), 137);
        assert_eq!(Client::of(shell("cat >/dev/null; exit 3"), Filter::default()).close().await, 3);
    });
}

#[test]
fn says_which_program_does_not_start() {
    run(async {
        let upstream = Upstream::Stdio(program("/nowhere/at-all", &["s3cret"], &[]));
        let error = Client::of(upstream, Filter::default()).ended().await.expect_err("it does not start");
        assert!(error.to_string().starts_with("`srv` does not start: "), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    });
}

#[test]
fn what_the_program_says_last_still_arrives() {
    run(async {
        let last = r#"read line; echo '{"id":1,"result":{}}'; echo '{"id":2,"result":{}}'; exit 4"#;
        let mut client = Client::of(shell(last), Filter::default());
        client.send(&json!({"id": 1, "method": "ping"})).await;
        assert_eq!(client.message().await["id"], 1);
        assert_eq!(client.message().await["id"], 2);
        assert_eq!(client.ended().await.expect("ran"), 4);
    });
}

/// The client is gone and the program does not care: it is asked, then forced, and its own children with it.
#[test]
fn a_deaf_program_and_its_children_are_ended() {
    run(async {
        let deaf = r#"trap '' TERM; sh -c 'trap "" TERM; echo "{\"method\":\"pid\",\"params\":{\"pid\":$$}}"; while :; do sleep 60; done' & while :; do sleep 60; done"#;
        let mut client = Client::of(shell(deaf), Filter::default());
        let pid = client.hear("pid").await["params"]["pid"].as_i64().expect("a number");
        // No patience: asked at once, forced two seconds later.
        assert_eq!(client.stop().await, 137);
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("small")).expect("not 0");
        for _ in 0..200 {
            if rustix::process::test_kill_process(pid).is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{pid:?} still runs");
    });
}

#[test]
fn noise_is_left_out_and_a_torn_answer_is_an_error() {
    run(async {
        let noise = r#"echo starting; read line; echo '{"id":1,"result":{"a":'; read line; printf '{"id":2,"result":"\377"}\n'; cat >/dev/null"#;
        let mut client = Client::of(shell(noise), Filter::default());
        client.send(&json!({"id": 1, "method": "a"})).await;
        let answer = client.message().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-31001)), "{answer}");
        client.send(&json!({"id": 2, "method": "a"})).await;
        assert_eq!(client.message().await["id"], 2);
        assert_eq!(client.notes()[0], "`srv` sent something that is not JSON-RPC");
        client.close().await;
    });
}

#[test]
fn messages_that_are_too_long_are_answered() {
    run(async {
        let mut client = Client::of(Upstream::Stdio(program("cat", &[], &[])), Filter::default());
        let huge = format!(r#"{{"method":"a","params":{{"x":"{}"}},"id":5}}"#, "x".repeat(64 << 20));
        client.send_line(&huge).await;
        let answer = client.message().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(5), &json!(-32600)));
        client.close().await;

        let huge = r#"read line; printf '{"result":{"x":"'; head -c 67108864 /dev/zero | tr '\0' x; echo '"},"id":6}'; cat"#;
        let mut client = Client::of(shell(huge), Filter::default());
        client.send(&json!({"id": 6, "method": "a"})).await;
        let answer = client.message().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(6), &json!(-31001)));
        client.send(&json!({"id": 7, "method": "still there"})).await;
        assert_eq!(client.message().await["id"], 7);
        client.close().await;
    });
}
