//! Who comes in.

use serde_json::json;

use super::{Up, tool};

fn up() -> Up {
    Up::start(&[("a", &[tool("echo", "Says it again")])], "")
}

#[test]
fn answers_nothing_without_a_token_that_is_good() {
    let up = up();
    for token in ["", "mck_wrong"] {
        let answer = up.ask(token, "/mcp", "tools/list", json!({}));
        assert_eq!((answer.status, answer.refusal()), (401, "INVALID_TOKEN"), "{answer:?}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{answer:?}");
    }
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo"]);
    up.home.run(&["token", "revoke", "laptop"]).exits(0);
    up.until("the token is refused", || up.ask(&token, "/mcp", "tools/list", json!({})).status == 401);
}

#[test]
fn answers_nothing_under_another_name_or_for_a_page_of_somebody_else() {
    let up = up();
    let token = up.token(&["laptop"]);
    for (head, status) in [
        ("Host: evil.example\r\n", 403),
        ("Host: 127.0.0.1.evil.example\r\n", 403),
        ("Host: localhost:1\r\n", 200),
        ("Host: [::1]\r\n", 200),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://localhost.evil.example\r\n", 403),
        ("Origin: http://localhost:6274\r\n", 200),
    ] {
        let answer = up.ask_with(&token, "/mcp", "tools/list", json!({}), head);
        assert_eq!(answer.status, status, "{head} {answer:?}");
    }
}

#[test]
fn names_and_pages_of_the_manifest_come_in() {
    let more =
        "gateway: { listen: 127.0.0.1:PORT, hosts: [mcp.example], origins: ['https://page.example'] }\n";
    let up = Up::start(&[("a", &[tool("echo", "Says it again")])], more);
    let token = up.token(&["laptop"]);
    let head = "Host: mcp.example:8080\r\nOrigin: https://page.example\r\n";
    let answer = up.ask_with(&token, "/mcp", "tools/list", json!({}), head);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("access-control-allow-origin: https://page.example"), "{answer:?}");
}

#[test]
fn refuses_what_is_too_large_or_of_another_kind() {
    let up = up();
    let token = up.token(&["laptop"]);
    let answer = up.call(&token, "a__echo", &"x".repeat(1 << 20));
    assert_eq!((answer.status, answer.refusal()), (413, "PAYLOAD_TOO_LARGE"), "{answer:?}");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let text = format!("{bearer}Content-Type: text/plain\r\n");
    assert_eq!(up.send("POST", "/mcp", &text, "{}").status, 415);
    assert_eq!(up.send("GET", "/mcp", &bearer, "").status, 405);
    assert_eq!(up.send("GET", "/etc/passwd", &bearer, "").status, 404);
    assert_eq!(
        up.send("POST", "/mcp", &format!("{bearer}Content-Type: application/json\r\n"), "{").status,
        400
    );
}

#[test]
fn a_request_could_be_read_in_one_way_only() {
    let up = up();
    let token = up.token(&["laptop"]);
    up.until_tools(&token, &["a__echo"]);
    let head = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let modern = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: a__echo\r\n";
    for params in [
        format!(r#"{{"name":"a__echo","name":"b",{meta}}}"#),
        format!(r#"{{"name":"a__echo","Name":"b",{meta}}}"#),
        format!(r#"{{"name":"a__echo","argumentſ":{{}},{meta}}}"#),
        format!(r#"{{"name":"a__echo","_Meta":{{"progressToken":1}},{meta}}}"#),
        format!(r#"{{"name":"a__echo",{meta}}},"Params":{{"name":"b"}}"#),
        format!(r#"{{"name":"a__echo",{meta}}}"#)
            .replace("{}}}", r#"{},"progressToken":1,"progressToken":2}}"#),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let answer = up.send("POST", "/mcp", &format!("{head}{modern}"), &body);
        assert_eq!(answer.json["error"]["code"], -32600, "{body} {answer:?}");
    }
    let other = modern.replace("a__echo", "a__other");
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a__echo",{meta}}}}}"#);
    let answer = up.send("POST", "/mcp", &format!("{head}{other}"), &body);
    assert_eq!((answer.status, &answer.json["error"]["code"]), (400, &json!(-32020)), "{answer:?}");
}

#[test]
fn a_token_makes_so_many_requests_and_is_told_how_many_are_left() {
    let more = "gateway: { listen: 127.0.0.1:PORT, rate_limit: 3/min }\n";
    let up = Up::start(&[("a", &[tool("echo", "Says it again")])], more);
    let (token, other) = (up.token(&["laptop"]), up.token(&["desk"]));
    for left in ["2", "1", "0"] {
        let answer = up.ask(&token, "/mcp", "tools/list", json!({}));
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains(&format!("x-ratelimit-remaining: {left}")), "{answer:?}");
        assert!(answer.head.contains("x-ratelimit-limit: 3") && answer.head.contains("x-ratelimit-reset: "));
    }
    let answer = up.ask(&token, "/mcp", "tools/list", json!({}));
    assert_eq!((answer.status, answer.refusal()), (429, "RATE_LIMITED"), "{answer:?}");
    assert!(answer.head.contains("retry-after: "), "{answer:?}");
    assert!(answer.json["error"]["details"]["retry_after"].is_u64(), "{answer:?}");
    assert_eq!(up.ask(&other, "/mcp", "tools/list", json!({})).status, 200);
}
