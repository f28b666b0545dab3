use serde_json::{Value, json};

use super::*;

fn read(value: &Value) -> Message {
    Message::own(value.to_string()).expect("a message")
}

fn values(steps: Steps) -> (Vec<Value>, Vec<Value>) {
    let parse = |text: &str| serde_json::from_str(text).expect("JSON");
    let to_server = steps.to_server.iter().map(|message| parse(&message.text)).collect();
    (to_server, steps.to_client.iter().map(|text| parse(text)).collect())
}

/// What goes to the server and to the client when the client says this.
fn say(eras: &mut Eras, value: &Value) -> (Vec<Value>, Vec<Value>) {
    values(eras.client_says(read(value)))
}

/// The same when the server says this.
fn hear(eras: &mut Eras, value: &Value) -> (Vec<Value>, Vec<Value>) {
    values(eras.server_says(read(value), &Origin::Server(None)))
}

fn initialize() -> Value {
    json!({"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
        "capabilities": {"elicitation": {}}, "clientInfo": {"name": "c", "version": "1"}}})
}

fn modern(id: u64, method: &str, mut params: Value) -> Value {
    params["_meta"][mirror::VERSION] = json!(MODERN);
    params["_meta"][CLIENT_CAPABILITIES] = json!({"elicitation": {}});
    json!({"id": id, "method": method, "params": params})
}

/// Eras with a client of 2025 and a server of 2026.
fn up() -> Eras {
    let mut eras = Eras::default();
    say(&mut eras, &initialize());
    let refusal = json!({"id": 1, "error": {"code": -32022, "message": "no"}});
    let (asked, _) = hear(&mut eras, &refusal);
    assert_eq!(asked[0]["method"], "server/discover");
    let (_, waiting) = say(&mut eras, &json!({"method": "notifications/initialized"}));
    assert!(waiting.is_empty());
    let discovery = json!({"id": asked[0]["id"], "result": {"resultType": "complete", "supportedVersions": [MODERN],
        "capabilities": {"tools": {"listChanged": true}}, "instructions": "i",
        "_meta": {SERVER_INFO: {"name": "s", "version": "2"}}}});
    let (to_server, to_client) = hear(&mut eras, &discovery);
    assert_eq!(to_server[0]["params"]["notifications"], json!({"toolsListChanged": true}));
    assert_eq!(
        to_client,
        [json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18",
            "capabilities": {"tools": {"listChanged": true}}, "serverInfo": {"name": "s", "version": "2"},
            "instructions": "i"}})]
    );
    eras
}

/// Eras with a client of 2026 and a server of 2025.
fn down() -> Eras {
    let mut eras = Eras::default();
    say(&mut eras, &modern(1, "server/discover", json!({})));
    let (asked, _) = hear(&mut eras, &json!({"id": 1, "error": {"code": -32601, "message": "no"}}));
    assert_eq!(
        (&asked[0]["method"], &asked[0]["params"]["protocolVersion"]),
        (&json!("initialize"), &json!(LEGACY))
    );
    let opened = json!({"id": asked[0]["id"], "result": {"protocolVersion": LEGACY, "serverInfo": {"name": "s"},
        "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}}}});
    let (to_server, to_client) = hear(&mut eras, &opened);
    assert_eq!(to_server, [json!({"jsonrpc": "2.0", "method": "notifications/initialized"})]);
    assert_eq!(to_client[0]["result"]["supportedVersions"], json!([MODERN]));
    eras
}

#[test]
fn two_of_one_era_pass_as_they_are() {
    let mut eras = Eras::default();
    assert_eq!(say(&mut eras, &initialize()).0, [initialize()]);
    let (held, _) = say(&mut eras, &json!({"id": 2, "method": "x"}));
    assert!(held.is_empty());
    let answer = json!({"id": 1, "result": {"protocolVersion": LEGACY}});
    let (to_server, to_client) = hear(&mut eras, &answer);
    assert_eq!((to_server, to_client), (vec![json!({"id": 2, "method": "x"})], vec![answer]));

    let mut eras = Eras::default();
    let call = modern(1, "tools/call", json!({"name": "a"}));
    let (asked, _) = say(&mut eras, &call);
    assert_eq!(asked[0]["method"], "server/discover");
    let (to_server, to_client) =
        hear(&mut eras, &json!({"id": asked[0]["id"], "result": {"supportedVersions": []}}));
    assert_eq!((to_server, to_client), (vec![call], vec![]));
}

#[test]
fn what_only_failed_to_arrive_says_nothing_of_the_era() {
    let mut eras = Eras::default();
    say(&mut eras, &modern(1, "tools/list", json!({})));
    let failure = json!({"id": "mcpkeel:discover", "error": {"code": -31001, "message": "401"}});
    let (to_server, to_client) = values(eras.server_says(read(&failure), &Origin::Transport(Some(401))));
    assert_eq!((to_server.len(), &to_client[0]["id"]), (0, &json!(1)));
    // The next request asks again.
    assert_eq!(say(&mut eras, &modern(2, "tools/list", json!({}))).0[0]["method"], "server/discover");
}

#[test]
fn an_old_client_speaks_to_a_new_server() {
    let mut eras = up();
    let call =
        json!({"id": 2, "method": "tools/call", "params": {"name": "t", "_meta": {"progressToken": 9}}});
    let (to_server, _) = say(&mut eras, &call);
    let meta = &to_server[0]["params"]["_meta"];
    assert_eq!(meta["progressToken"], 9);
    assert_eq!((&meta[mirror::VERSION], &meta[CLIENT_INFO]["name"]), (&json!(MODERN), &json!("c")));
    let result = json!({"id": 2, "result": {"resultType": "complete", "ttlMs": 1, "cacheScope": "public", "content": []}});
    assert_eq!(hear(&mut eras, &result).1, [json!({"id": 2, "result": {"content": []}})]);

    assert_eq!(say(&mut eras, &json!({"id": 3, "method": "ping"})).1[0]["result"], json!({}));
    say(&mut eras, &json!({"id": 4, "method": "logging/setLevel", "params": {"level": "debug"}}));
    let (to_server, _) = say(&mut eras, &json!({"id": 5, "method": "tools/list"}));
    assert_eq!(to_server[0]["params"]["_meta"][LOG_LEVEL], "debug");
}

#[test]
fn input_is_asked_of_an_old_client_and_given_with_a_second_request() {
    let mut eras = up();
    say(&mut eras, &json!({"id": 2, "method": "tools/call", "params": {"name": "t"}}));
    let elicit = json!({"method": "elicitation/create", "params": {"message": "?"}});
    let wanted = json!({"id": 2, "result": {"resultType": "input_required", "requestState": "opaque",
        "inputRequests": {"a": elicit, "b": {"method": "roots/list"}}}});
    let (_, asked) = hear(&mut eras, &wanted);
    assert_eq!(
        (asked.len(), &asked[0]["method"], &asked[1]["method"]),
        (2, &json!("elicitation/create"), &json!("roots/list"))
    );
    let (to_server, _) = say(&mut eras, &json!({"id": asked[1]["id"], "result": {"roots": []}}));
    assert!(to_server.is_empty());
    let (to_server, _) = say(&mut eras, &json!({"id": asked[0]["id"], "result": {"action": "decline"}}));
    let again = &to_server[0];
    assert_ne!(again["id"], 2);
    assert_eq!(again["params"]["requestState"], "opaque");
    assert_eq!(again["params"]["inputResponses"], json!({"a": {"action": "decline"}, "b": {"roots": []}}));
    // The client cancels what it knows as 2.
    let (to_server, _) =
        say(&mut eras, &json!({"method": "notifications/cancelled", "params": {"requestId": 2}}));
    assert_eq!(to_server[0]["params"]["requestId"], again["id"]);
}

#[test]
fn a_new_client_speaks_to_an_old_server() {
    let mut eras = down();
    let list = modern(2, "tools/list", json!({"cursor": "c"}));
    assert_eq!(
        say(&mut eras, &list).0,
        [json!({"id": 2, "method": "tools/list", "params": {"cursor": "c"}})]
    );
    let (_, to_client) = hear(&mut eras, &json!({"id": 2, "result": {"tools": []}}));
    let result = &to_client[0]["result"];
    assert_eq!(
        (&result["resultType"], &result["ttlMs"], &result["cacheScope"]),
        (&json!("complete"), &json!(0), &json!("private"))
    );

    let (_, acknowledged) = say(
        &mut eras,
        &modern(
            3,
            "subscriptions/listen",
            json!({"notifications":
        {"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["file:///a"]}}),
        ),
    );
    assert_eq!(
        acknowledged[0]["params"]["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": ["file:///a"]})
    );
    let (_, heard) = hear(&mut eras, &json!({"method": "notifications/tools/list_changed"}));
    assert_eq!(heard[0]["params"]["_meta"][SUBSCRIPTION], 3);
    assert!(hear(&mut eras, &json!({"method": "notifications/prompts/list_changed"})).1.is_empty());
    let (unsubscribed, _) =
        say(&mut eras, &json!({"method": "notifications/cancelled", "params": {"requestId": 3}}));
    assert_eq!(unsubscribed[0]["method"], "resources/unsubscribe");
    assert!(hear(&mut eras, &json!({"method": "notifications/tools/list_changed"})).1.is_empty());
}

#[test]
fn a_question_of_an_old_server_is_answered_with_a_second_request() {
    let mut eras = down();
    say(&mut eras, &modern(2, "tools/call", json!({"name": "t"})));
    let question = json!({"id": 77, "method": "elicitation/create", "params": {"message": "?"}});
    let (_, asked) = hear(&mut eras, &question);
    let result = &asked[0]["result"];
    assert_eq!((&asked[0]["id"], &result["resultType"]), (&json!(2), &json!("input_required")));
    let (name, input) =
        result["inputRequests"].as_object().and_then(|inputs| inputs.iter().next()).expect("one");
    assert_eq!(input["method"], "elicitation/create");
    // Another question, while the client thinks.
    assert!(hear(&mut eras, &json!({"id": 78, "method": "roots/list"})).1.is_empty());

    let again = json!({"name": "t", "requestState": result["requestState"], "inputResponses": {name: {"action": "accept"}}});
    let (to_server, to_client) = say(&mut eras, &modern(3, "tools/call", again));
    assert_eq!(to_server, [json!({"jsonrpc": "2.0", "id": 77, "result": {"action": "accept"}})]);
    let state = &to_client[0]["result"]["requestState"];
    // The server's answer comes before the client's.
    hear(&mut eras, &json!({"id": 2, "result": {"content": []}}));
    let again = json!({"name": "t", "requestState": state, "inputResponses": {}});
    let (_, to_client) = say(&mut eras, &modern(4, "tools/call", again));
    assert_eq!((&to_client[0]["id"], &to_client[0]["result"]["content"]), (&json!(4), &json!([])));
    // Nobody can replay it.
    let again = json!({"name": "t", "requestState": state, "inputResponses": {}});
    assert_eq!(say(&mut eras, &modern(5, "tools/call", again)).1[0]["error"]["code"], -32602);
}

#[test]
fn a_silent_server_is_taken_for_an_old_one() {
    let mut eras = Eras::default();
    say(&mut eras, &modern(1, "server/discover", json!({})));
    let question = eras.awaits().expect("a question");
    assert!(eras.awaits().is_none());
    let (to_server, _) = values(eras.give_up(&question));
    assert_eq!(to_server[0]["method"], "initialize");
    // It was slow, not old.
    let (to_server, _) = hear(&mut eras, &json!({"id": 1, "result": {"supportedVersions": [MODERN]}}));
    assert_eq!(to_server[0]["method"], "server/discover");
    assert!(hear(&mut eras, &json!({"id": "mcpkeel:initialize", "error": {}})).1.is_empty());
}
