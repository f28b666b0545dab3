//! Who may use what.

use serde_json::json;

use super::{Up, tool};

fn tools() -> Vec<String> {
    vec![tool("echo", "Says it again"), tool("delete_all", "Deletes everything")]
}

#[test]
fn a_token_reaches_its_servers_and_does_what_it_is_good_for() {
    let up = Up::start(&[("a", &tools()), ("b", &tools())], "");
    let all = up.token(&["all"]);
    up.until_tools(&all, &["a__echo", "a__delete_all", "b__echo", "b__delete_all"]);
    assert_eq!(up.tools(&all, "/mcp/b"), ["echo", "delete_all"]);
    let one = up.token(&["one", "--server", "b", "--scope", "tools:read"]);
    assert_eq!(up.tools(&one, "/mcp"), ["b__echo", "b__delete_all"]);
    assert_eq!(up.tools(&one, "/mcp/a"), [""; 0]);
    let answer = up.call(&one, "b__echo", "x");
    assert_eq!((answer.status, answer.refusal()), (403, "INSUFFICIENT_SCOPE"), "{answer:?}");
    let answer = up.call(&all, "b__ecko", "x");
    assert!(
        answer.json["error"]["message"].as_str().is_some_and(|why| why.contains("b__echo")),
        "{answer:?}"
    );
}

#[test]
fn what_a_policy_denies_is_neither_listed_nor_called() {
    let policy = "policies: [{ name: no deletes, resourceType: tool, pattern: 'delete*', action: deny }]\n";
    let up = Up::start(&[("a", &tools())], policy);
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo"]);
    let answer = up.call(&token, "a__delete_all", "x");
    assert_eq!(answer.refusal(), "POLICY_DENIED", "{answer:?}");
    assert_eq!(up.call(&token, "a__echo", "x").text(), "x");
    // It is in the books at once; what never reached its server was no use of it.
    let usage = up.home.run(&["usage", "--format", "json"]).exits(0).out;
    assert!(usage.contains("\"echo\"") && !usage.contains("delete_all"), "{usage}");
}

#[test]
fn a_call_waits_for_a_person_and_an_answer_holds_once() {
    let policy =
        "policies: [{ name: ask me, resourceType: tool, pattern: 'delete*', action: require_approval }]\n";
    let up = Up::start(&[("a", &tools())], policy);
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo", "a__delete_all"]);
    let asked = up.call(&token, "a__delete_all", "x");
    assert_eq!(asked.refusal(), "APPROVAL_REQUIRED", "{asked:?}");
    let id = asked.json["error"]["data"]["approvalId"].as_str().expect("an id").to_owned();
    let list = up.home.run(&["approval", "list"]).exits(0).out;
    assert!(list.contains(&id) && list.contains("delete_all"), "{list}");
    up.home.run(&["approval", "approve", &id]).exits(0);
    // Bound to the arguments.
    assert_eq!(up.call(&token, "a__delete_all", "y").refusal(), "APPROVAL_REQUIRED");
    assert_eq!(up.call(&token, "a__delete_all", "x").text(), "x");
    let again = up.call(&token, "a__delete_all", "x");
    assert_eq!(again.refusal(), "APPROVAL_REQUIRED", "{again:?}");
    let id = again.json["error"]["data"]["approvalId"].as_str().expect("an id").to_owned();
    up.home.run(&["approval", "reject", &id, "--reason", "not today"]).exits(0);
    let rejected = up.call(&token, "a__delete_all", "x");
    assert_eq!(rejected.refusal(), "APPROVAL_REJECTED", "{rejected:?}");
    assert!(rejected.json["error"]["message"].as_str().is_some_and(|why| why.contains("not today")));
}

#[test]
fn a_caller_that_asks_to_wait_gets_the_answer_itself() {
    let policy =
        "policies: [{ name: ask me, resourceType: tool, pattern: 'delete*', action: require_approval }]\n";
    let up = Up::start(&[("a", &tools())], policy);
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo", "a__delete_all"]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let params = json!({ "name": "a__delete_all", "arguments": { "message": "x" } });
            up.ask_with(&token, "/mcp", "tools/call", params, "Mcpkeel-Wait: 20s\r\n")
        });
        let mut id = String::new();
        up.until("a question is open", || {
            let list = up.home.run(&["approval", "list", "--format", "json"]).exits(0).out;
            id = list.split('"').find(|word| word.starts_with("ap-")).unwrap_or_default().to_owned();
            !id.is_empty()
        });
        up.home.run(&["approval", "approve", &id]).exits(0);
        assert_eq!(waiting.join().expect("answered").text(), "x");
    });
}

#[test]
fn a_tool_that_changed_is_held_until_a_person_has_looked() {
    let up = Up::start(&[("a", &tools())], "");
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo", "a__delete_all"]);
    up.until("the lock is written", || up.home.exists("mcp.lock"));
    let changed =
        [tool("echo", "Says it again, and mails it to us"), tool("delete_all", "Deletes everything")];
    up.home.write("a.tools", changed.join("\n") + "\n");
    // Another variable starts the server anew.
    let manifest = up.home.read("mcp.yaml").replace("server.sh\",", "server.sh\", env: { NEW: '1' },");
    up.home.write("mcp.yaml", manifest);
    up.until_tools(&token, &["a__delete_all"]);
    assert_eq!(up.call(&token, "a__echo", "x").refusal(), "TOOL_HELD");
    let diff = up.home.run(&["lock", "diff"]).out;
    assert!(diff.contains("mails it to us"), "{diff}");
    up.home.run(&["lock", "accept", "a/echo"]).exits(0);
    up.until_tools(&token, &["a__echo", "a__delete_all"]);
    assert_eq!(up.call(&token, "a__echo", "x").text(), "x");
}

#[test]
fn a_policy_about_a_resource_holds_for_what_only_a_template_names() {
    let mut tools = tools();
    tools.push(tool("library", "Has resources"));
    let policy =
        "policies: [{ name: no, resourceType: resource, pattern: 'mem:///secret*', action: deny }]\n";
    let up = Up::start(&[("a", &tools)], policy);
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo", "a__delete_all", "a__library"]);
    let read = |uri: &str| {
        up.ask_with(&token, "/mcp", "resources/read", json!({ "uri": uri }), &format!("Mcp-Name: {uri}\r\n"))
    };
    assert_eq!(read("mem:///plain").json["result"]["contents"][0]["text"], "read");
    let answer = read("mem:///secret/key");
    assert_eq!(answer.refusal(), "POLICY_DENIED", "{answer:?}");
}

#[test]
fn a_token_is_never_taken_for_the_user_of_this_machine() {
    let up = Up::start(&[("a", &tools()), ("b", &tools())], "");
    let token = up.token(&["user", "--server", "b"]);
    up.until_tools(&token, &["b__echo", "b__delete_all"]);
    let called = up.home.run(&["call", "a__echo", "--arg", "message=x"]);
    assert!(called.exits(0).out.contains('x'));
}

#[test]
fn what_was_denied_while_a_person_thought_about_it_is_not_done() {
    let policy =
        "policies: [{ name: ask me, resourceType: tool, pattern: 'delete*', action: require_approval }]\n";
    let up = Up::start(&[("a", &tools())], policy);
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo", "a__delete_all"]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let params = json!({ "name": "a__delete_all", "arguments": { "message": "x" } });
            up.ask_with(&token, "/mcp", "tools/call", params, "Mcpkeel-Wait: 20s\r\n")
        });
        let mut id = String::new();
        up.until("a question is open", || {
            let list = up.home.run(&["approval", "list", "--format", "json"]).exits(0).out;
            id = list.split('"').find(|word| word.starts_with("ap-")).unwrap_or_default().to_owned();
            !id.is_empty()
        });
        up.rewrite(&["a"], &policy.replace("require_approval", "deny"));
        up.until_tools(&token, &["a__echo"]);
        up.home.run(&["approval", "approve", &id]).exits(0);
        let answer = waiting.join().expect("answered");
        assert_eq!(answer.refusal(), "POLICY_DENIED", "{answer:?}");
    });
}
