//! Servers of the 2025 era over HTTP, and over the SSE of 2024.

use mcpkeel::bridge::Upstream;
use mcpkeel::clients::Filter;
use serde_json::{Value, json};

use super::client::{Client, names, remote, run, tools};
use super::real::Listening;

/// What the client can be asked by the server, and answers.
async fn serve_questions(client: &mut Client, id: u64) -> Value {
    loop {
        let message = client.message().await;
        let answer = match message["method"].as_str() {
            Some("sampling/createMessage") => json!({
                "role": "assistant", "content": {"type": "text", "text": "sampled"}, "model": "m",
            }),
            Some("elicitation/create") => json!({"action": "decline"}),
            Some("roots/list") => json!({"roots": [{"uri": "file:///tmp", "name": "tmp"}]}),
            Some(_) => {
                client.heard.push(message);
                continue;
            }
            None if message["id"] == id => return message,
            None => panic!("{message}"),
        };
        client.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": answer})).await;
    }
}

async fn passes_everything(mut client: Client) {
    client.initialize().await;
    let listed = client.ask("tools/list", json!({})).await;
    assert!(names(&listed).contains(&"echo"), "{listed}");
    assert!(client.call("echo", json!({"message": "hü"})).await.ends_with("hü"));

    let call = json!({
        "name": "trigger-long-running-operation",
        "arguments": {"duration": 0.4, "steps": 4},
        "_meta": {"progressToken": "p"},
    });
    let answer = client.ask("tools/call", call).await;
    assert!(answer["result"].is_object(), "{answer}");
    let progress =
        client.heard.iter().filter(|message| message["method"] == "notifications/progress").count();
    assert_eq!(progress, 4, "{:?}", client.heard);

    for (tool, arguments, said) in [
        ("trigger-sampling-request", json!({"prompt": "p", "maxTokens": 5}), "sampled"),
        ("trigger-elicitation-request", json!({}), "declined"),
        ("get-roots-list", json!({}), "file:///tmp"),
    ] {
        let id = client.request("tools/call", json!({"name": tool, "arguments": arguments})).await;
        let answer = serve_questions(&mut client, id).await.to_string();
        assert!(answer.contains(said), "{tool}: {answer}");
    }

    // Concurrent requests are answered as they come.
    let slow = json!({"name": "trigger-long-running-operation", "arguments": {"duration": 60, "steps": 1}});
    let slow = client.request("tools/call", slow).await;
    let ids = [client.request("ping", json!({})).await, client.request("ping", json!({})).await];
    for id in ids {
        assert_eq!(client.answer(id).await["result"], json!({}));
    }
    client.notify("notifications/cancelled", json!({"requestId": slow, "reason": "enough"})).await;
    assert_eq!(client.ask("ping", json!({})).await["result"], json!({}));
    assert_eq!(client.close().await, 0);
}

#[test]
fn streamable_http_passes_everything() {
    run(async {
        let Some(server) = Listening::everything("streamableHttp").await else { return };
        passes_everything(Client::http(&server.url("/mcp"), &[])).await;
    });
}

#[test]
fn the_old_sse_passes_everything() {
    run(async {
        let Some(server) = Listening::everything("sse").await else { return };
        let upstream = Upstream::Sse(remote(&server.url("/sse"), &[]));
        passes_everything(Client::of(upstream, Filter::default())).await;
    });
}

#[test]
fn the_session_is_ended_with_the_client() {
    run(async {
        let Some(mut server) = Listening::everything("streamableHttp").await else { return };
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        assert_eq!(client.close().await, 0);
        server.says("Received session termination request").await;
    });
}

#[test]
fn a_server_that_was_started_anew_is_initialised_anew() {
    run(async {
        let Some(server) = Listening::everything("streamableHttp").await else { return };
        let mut client = Client::http(&server.url("/mcp"), &[]);
        client.initialize().await;
        assert!(client.call("echo", json!({"message": "one"})).await.ends_with("one"));
        let server = server.again("streamableHttp").await;
        assert!(client.call("echo", json!({"message": "two"})).await.ends_with("two"));
        // The stream of its own messages is there again, too.
        client.ask("tools/call", json!({"name": "toggle-simulated-logging", "arguments": {}})).await;
        client.hear("notifications/message").await;
        assert!(client.notes().iter().any(|note| note.contains("lost the session")), "{:?}", client.notes());
        client.close().await;
        drop(server);
    });
}

#[test]
fn hidden_tools_are_neither_listed_nor_callable() {
    run(async {
        let Some(server) = Listening::everything("streamableHttp").await else { return };
        let upstream = Upstream::Http(remote(&server.url("/mcp"), &[]));
        let mut client = Client::of(upstream, tools("get-* echo", "get-env"));
        client.initialize().await;
        let listed = client.ask("tools/list", json!({})).await;
        let listed = names(&listed);
        assert!(listed.contains(&"echo") && listed.contains(&"get-sum"), "{listed:?}");
        assert!(listed.iter().all(|name| *name == "echo" || name.starts_with("get-")), "{listed:?}");
        assert!(!listed.contains(&"get-env"));
        let answer = client.ask("tools/call", json!({"name": "get-env", "arguments": {}})).await;
        assert_eq!(answer["error"], json!({"code": -32602, "message": "Unknown tool: get-env"}));
        client.close().await;
    });
}
