//! A client of one era and a real server of the other.

use mcpkeel::bridge::Upstream;
use mcpkeel::clients::Filter;
use serde_json::json;

use super::client::{Client, first_text, modern, names, remote, run, tools};
use super::real::{Listening, everything, modern_script, script, sdk};

const TOKEN: &[(&str, &str)] = &[("Authorization", "Bearer open-sesame")];

async fn old_client_new_server(mut client: Client) {
    let opened = client.initialize().await;
    assert_eq!(opened["serverInfo"]["name"], "modern", "{opened}");
    assert_eq!(
        (&opened["protocolVersion"], &opened["instructions"]),
        (&json!("2025-11-25"), &json!("be kind"))
    );
    assert_eq!(client.ask("ping", json!({})).await["result"], json!({}));

    let listed = client.ask("tools/list", json!({})).await;
    assert!(names(&listed).contains(&"echo"));
    assert!(
        listed["result"].get("resultType").is_none() && listed["result"].get("ttlMs").is_none(),
        "{listed}"
    );
    assert_eq!(client.call("echo", json!({"text": "hü"})).await, "hü");
    assert_eq!(client.call("regional", json!({"region": "Zürich"})).await, "in Zürich");

    client.ask("logging/setLevel", json!({"level": "debug"})).await;
    let call = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": 7}});
    assert_eq!(first_text(&client.ask("tools/call", call).await), "done");
    client.hear("notifications/message").await;
    let progress = client.heard.iter().filter(|message| message["params"]["progressToken"] == 7).count();
    assert_eq!(progress, 3, "{:?}", client.heard);

    // What the server asks with its result becomes a question, and a second request.
    let greeted = client.request("tools/call", json!({"name": "greet", "arguments": {}})).await;
    let question = client.hear("elicitation/create").await;
    assert_eq!(question["params"]["message"], "Who is there?");
    let answer = json!({"action": "accept", "content": {"name": "you"}});
    client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer})).await;
    assert_eq!(first_text(&client.answer(greeted).await), "hello you");
    assert_eq!(client.close().await, 0);
}

#[test]
fn an_old_client_uses_a_new_server_over_http() {
    run(async {
        let Some(server) = Listening::modern().await else { return };
        old_client_new_server(Client::http(&server.url("/mcp"), TOKEN)).await;
    });
}

#[test]
fn an_old_client_uses_a_new_server_over_stdio() {
    run(async {
        let Some(sdk) = sdk() else { return };
        let program = script(&modern_script(), &["stdio"], &[("SDK", sdk.to_str().expect("UTF-8"))]);
        old_client_new_server(Client::of(Upstream::Stdio(program), Filter::default())).await;
    });
}

#[test]
fn an_old_client_hears_of_changes_and_cancels() {
    run(async {
        let Some(mut server) = Listening::modern().await else { return };
        let upstream = Upstream::Http(remote(&server.url("/mcp"), TOKEN));
        let mut client = Client::of(upstream, tools("", "delete_*"));
        client.initialize().await;
        assert!(!names(&client.ask("tools/list", json!({})).await).contains(&"delete_all"));
        let hidden = client.ask("tools/call", json!({"name": "delete_all", "arguments": {}})).await;
        assert_eq!(hidden["error"]["message"], "Unknown tool: delete_all");
        client.call("change", json!({})).await;
        client.hear("notifications/tools/list_changed").await;

        let slow = client.request("tools/call", json!({"name": "slow", "arguments": {}})).await;
        server.says("slow begins").await;
        client.notify("notifications/cancelled", json!({"requestId": slow})).await;
        server.says("slow cancelled").await;
        client.close().await;
    });
}

async fn new_client_old_server(mut client: Client) {
    let discovered = client.ask_modern("server/discover", json!({})).await;
    let result = &discovered["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]), "{discovered}; {:?}", client.notes());
    assert_eq!((&result["resultType"], &result["ttlMs"]), (&json!("complete"), &json!(0)));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "mcp-servers/everything");

    let listed = client.ask_modern("tools/list", json!({})).await;
    assert!(names(&listed).contains(&"echo"));
    assert_eq!(listed["result"]["cacheScope"], "private");
    let echo = json!({"name": "echo", "arguments": {"message": "hü"}});
    assert!(first_text(&client.ask_modern("tools/call", echo).await).ends_with("hü"));

    let call = json!({
        "name": "trigger-long-running-operation",
        "arguments": {"duration": 0.2, "steps": 2},
        "_meta": {"progressToken": "p"},
    });
    client.ask_modern("tools/call", call).await;
    assert_eq!(client.hear("notifications/progress").await["params"]["progressToken"], "p");

    for (tool, arguments, method, answer, said) in [
        (
            "trigger-elicitation-request",
            json!({}),
            "elicitation/create",
            json!({"action": "decline"}),
            "declined",
        ),
        (
            "trigger-sampling-request",
            json!({"prompt": "p", "maxTokens": 5}),
            "sampling/createMessage",
            json!({"role": "assistant", "content": {"type": "text", "text": "sampled"}, "model": "m"}),
            "sampled",
        ),
    ] {
        let call = json!({"name": tool, "arguments": arguments});
        let asked = client.ask_modern("tools/call", call.clone()).await;
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let inputs = asked["result"]["inputRequests"].as_object().expect("inputs");
        let (name, input) = inputs.iter().next().expect("one");
        assert_eq!(input["method"], method);
        let mut again = call;
        again["inputResponses"] = json!({name: answer});
        again["requestState"] = asked["result"]["requestState"].clone();
        let answered = client.ask_modern("tools/call", again).await;
        assert_eq!(answered["result"]["resultType"], "complete");
        assert!(answered.to_string().contains(said), "{tool}: {answered}");
    }

    let uri = "demo://resource/dynamic/text/1";
    let listen = modern(json!({"notifications": {"resourceSubscriptions": [uri]}}));
    let listen = client.request("subscriptions/listen", listen).await;
    let acknowledged = client.hear("notifications/subscriptions/acknowledged").await;
    assert_eq!(acknowledged["params"]["notifications"]["resourceSubscriptions"], json!([uri]));
    client.ask_modern("tools/call", json!({"name": "toggle-subscriber-updates", "arguments": {}})).await;
    let updated = client.hear("notifications/resources/updated").await;
    assert_eq!(updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], listen);
    client.close().await;
}

#[test]
fn a_new_client_uses_an_old_server_over_http() {
    run(async {
        let Some(server) = Listening::everything("streamableHttp").await else { return };
        new_client_old_server(Client::http(&server.url("/mcp"), &[])).await;
    });
}

#[test]
fn a_new_client_uses_an_old_server_over_stdio() {
    run(async {
        let Some(server) = everything() else { return };
        let program = script(&server, &["stdio"], &[]);
        new_client_old_server(Client::of(Upstream::Stdio(program), Filter::default())).await;
    });
}

#[test]
fn a_new_client_uses_an_old_server_over_the_old_sse() {
    run(async {
        let Some(server) = Listening::everything("sse").await else { return };
        let upstream = Upstream::Sse(remote(&server.url("/sse"), &[]));
        new_client_old_server(Client::of(upstream, Filter::default())).await;
    });
}
