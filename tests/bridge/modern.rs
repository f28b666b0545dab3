//! Servers of the 2026-07-28 era.

use mcpkeel::bridge::Upstream;
use serde_json::json;

use super::client::{Client, first_text, modern, names, remote, run, tools};
use super::real::Listening;

const TOKEN: &[(&str, &str)] = &[("Authorization", "Bearer open-sesame")];

#[test]
fn a_modern_client_and_server_get_everything_through() {
    run(async {
        let Some(mut server) = Listening::modern().await else { return };
        let mut client = Client::http(&server.url("/mcp"), TOKEN);
        let discovered = client.ask_modern("server/discover", json!({})).await;
        assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]), "{discovered}");

        let echo = json!({"name": "echo", "arguments": {"text": "hü"}});
        assert_eq!(first_text(&client.ask_modern("tools/call", echo).await), "hü");

        let call = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": 7}});
        assert_eq!(first_text(&client.ask_modern("tools/call", call).await), "done");
        let progress: Vec<_> =
            client.heard.drain(..).map(|message| message["params"]["progress"].clone()).collect();
        assert_eq!(progress, [1, 2, 3]);

        let greet = json!({"name": "greet", "arguments": {}});
        let asked = client.ask_modern("tools/call", greet).await;
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let who = json!({"who": {"action": "accept", "content": {"name": "you"}}});
        let greet = json!({"name": "greet", "arguments": {}, "inputResponses": who});
        assert_eq!(first_text(&client.ask_modern("tools/call", greet).await), "hello you");

        // On stdio a message cancels, on HTTP the end of the stream.
        let slow = client.request("tools/call", modern(json!({"name": "slow", "arguments": {}}))).await;
        server.says("slow begins").await;
        client.notify("notifications/cancelled", json!({"requestId": slow})).await;
        server.says("slow cancelled").await;

        assert_eq!(client.close().await, 0);
    });
}

#[test]
fn changes_are_listened_for() {
    run(async {
        let Some(server) = Listening::modern().await else { return };
        let mut client = Client::http(&server.url("/mcp"), TOKEN);
        let listen = modern(json!({"notifications": {"toolsListChanged": true}}));
        let listen = client.request("subscriptions/listen", listen).await;
        client.hear("notifications/subscriptions/acknowledged").await;
        client.ask_modern("tools/call", json!({"name": "change", "arguments": {}})).await;
        let changed = client.hear("notifications/tools/list_changed").await;
        assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], listen);
        client.close().await;
    });
}

/// The server refuses a call whose marked parameters are not in its headers.
#[test]
fn parameters_are_said_again_in_headers() {
    run(async {
        let Some(server) = Listening::modern().await else { return };
        let call = || json!({"name": "regional", "arguments": {"region": "Zürich"}});
        // Without having seen the list, it is asked for when the server refuses.
        let mut client = Client::http(&server.url("/mcp"), TOKEN);
        assert_eq!(first_text(&client.ask_modern("tools/call", call()).await), "in Zürich");
        client.close().await;

        let mut client = Client::http(&server.url("/mcp"), TOKEN);
        assert!(names(&client.ask_modern("tools/list", json!({})).await).contains(&"regional"));
        assert_eq!(first_text(&client.ask_modern("tools/call", call()).await), "in Zürich");
        client.close().await;
    });
}

#[test]
fn hidden_tools_are_hidden_in_this_era_too() {
    run(async {
        let Some(server) = Listening::modern().await else { return };
        let upstream = Upstream::Http(remote(&server.url("/mcp"), TOKEN));
        let mut client = Client::of(upstream, tools("", "delete_*"));
        let listed = client.ask_modern("tools/list", json!({})).await;
        assert!(names(&listed).contains(&"echo") && !names(&listed).contains(&"delete_all"));
        assert_eq!(listed["result"]["resultType"], "complete");
        let answer = client.ask_modern("tools/call", json!({"name": "delete_all", "arguments": {}})).await;
        assert_eq!(answer["error"], json!({"code": -32602, "message": "Unknown tool: delete_all"}));
        client.close().await;
    });
}

#[test]
fn an_error_of_the_server_passes_as_it_is() {
    run(async {
        let Some(server) = Listening::modern().await else { return };
        let mut client = Client::http(&server.url("/mcp"), TOKEN);
        let params = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "1999-01-01",
            "io.modelcontextprotocol/clientCapabilities": {}}});
        let answer = client.ask("server/discover", params).await;
        assert_eq!(answer["error"]["code"], -32022, "{answer}");
        assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]));
        client.close().await;
    });
}

#[test]
fn a_wrong_token_is_said_in_a_sentence() {
    run(async {
        let Some(server) = Listening::modern().await else { return };
        let url = format!("{}?key=s3cret", server.url("/mcp").replace("//", "//user:s3cret@"));
        let mut client = Client::http(&url, &[("X-Token", "s3cret")]);
        let answer = client.ask_modern("server/discover", json!({})).await;
        let text = answer["error"]["message"].as_str().expect("a message");
        let expected = format!(
            "`srv` at {} answered 401 Unauthorized: the token may be wrong; `mcpkeel secret verify` looks",
            server.url("/…")
        );
        assert_eq!(text, expected);
        assert_eq!(answer["error"]["data"], json!({"status": 401}));
        assert_eq!(client.notes(), [expected]);
        client.close().await;
    });
}
