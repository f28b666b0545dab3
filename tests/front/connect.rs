//! `connect`: it starts the gateway, shows a client its own, and outlives a gateway that is killed.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Client, GATEWAY, House, is_running, manifest, wait_for};

const TOOLS: [&str; 4] = ["small__echo", "small__fail", "small__forecast", "small__hang"];

#[test]
fn a_client_starts_the_gateway_and_sees_what_is_its_own() {
    let Some(house) = House::new(GATEWAY) else { return };
    let mut client = Client::start(&house, "cursor");
    client.greet();
    assert_eq!(client.tools(4), TOOLS);
    let said = client.ask("tools/call", json!({ "name": "small__echo", "arguments": { "text": "x" } }));
    assert_eq!(said["result"]["content"][0]["text"], "{\"text\": \"x\"}", "{said}");
    let up = house.up();
    assert_eq!(client.close(), Some(0));
    assert!(is_running(up), "it stays when its first client goes");
    // The next one finds it.
    let mut next = Client::start(&house, "kiro");
    next.greet();
    assert_eq!(next.tools(10).len(), 10);
    assert_eq!(house.up(), up);
    assert_eq!(next.close(), Some(0));
}

#[test]
fn two_clients_at_once_start_one_gateway() {
    let Some(house) = House::new(GATEWAY) else { return };
    let mut clients: Vec<Client> = (0..4).map(|_| Client::start(&house, "cursor")).collect();
    clients.iter_mut().for_each(Client::greet);
    for client in &mut clients {
        assert_eq!(client.tools(4), TOOLS);
    }
    let up = house.up();
    let state = house.home.path(".local/state/mcpkeel").display().to_string();
    let others = processes_with(&state).into_iter().filter(|pid| *pid != up).collect::<Vec<_>>();
    assert!(others.is_empty(), "beside {up} there are {others:?}");
}

/// Processes that were started as `up` for this state directory.
fn processes_with(state: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_one = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = line.split('\0').collect();
        words.contains(&"up") && words.contains(&state) && is_running(*pid)
    };
    pids.filter(is_one).collect()
}

#[test]
fn a_killed_gateway_comes_back_and_the_client_need_not_know() {
    let Some(house) = House::new(GATEWAY) else { return };
    let mut client = Client::start(&house, "cursor");
    client.greet();
    client.tools(4);
    for _ in 0..3 {
        let killed = house.kill(Signal::KILL);
        let answer = client.ask("tools/list", json!({}));
        assert_eq!(answer["result"]["tools"].as_array().map(Vec::len), Some(4), "{answer}");
        let said = client.ask("tools/call", json!({ "name": "small__echo", "arguments": {} }));
        assert_eq!(said["result"]["content"][0]["text"], "{}", "{said}");
        assert_ne!(house.up(), killed);
    }
    assert_eq!(client.close(), Some(0));
}

#[test]
fn a_call_that_was_under_way_fails_and_is_not_made_twice() {
    let Some(house) = House::new(GATEWAY) else { return };
    let mut client = Client::start(&house, "cursor");
    client.greet();
    client.tools(4);
    let mark = house.home.path("mark");
    let arguments = json!({ "mark": mark.display().to_string() });
    let call = client.request("tools/call", json!({ "name": "small__hang", "arguments": arguments }));
    wait_for("the tool runs", || std::fs::read(&mark).ok().filter(|text| !text.is_empty()));
    house.kill(Signal::KILL);
    let answer = client.answer(call);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("went away before it answered"), "{answer}");
    client.tools(4);
    assert_eq!(house.home.read("mark"), "called\n");
}

#[test]
fn an_idle_client_does_not_bring_back_what_was_stopped() {
    let Some(house) = House::new(GATEWAY) else { return };
    let mut client = Client::start(&house, "cursor");
    client.greet();
    client.tools(4);
    house.kill(Signal::TERM);
    // Longer than its stream waits before it looks again.
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!(house.running(), None);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.tools(4), TOOLS);
}

#[test]
fn where_it_may_not_start_one_it_says_so_to_both() {
    for (gateway, said) in [
        ("gateway: { autostart: false }\n", "`gateway.autostart` is off: run `mcpkeel up`"),
        ("", "has no `gateway`"),
        ("gateway: { listen: nowhere }\n", "look with `mcpkeel validate`"),
    ] {
        let Some(house) = House::new(gateway) else { return };
        let mut client = Client::start(&house, "cursor");
        let answer = client.ask("initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {} }));
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(said), "{gateway}: {answer}");
        client.close();
        let remarks = wait_for("it is said", || Some(client.remarks()).filter(|said| !said.is_empty()));
        assert!(remarks.concat().contains(said), "{remarks:?}");
        assert_eq!(house.running(), None);
    }
}

#[test]
fn a_gateway_that_ends_at_once_is_told_with_its_reason() {
    let Some(house) = House::new("gateway: { listen: \"192.0.2.1:9\" }\n") else { return };
    let mut client = Client::start(&house, "cursor");
    let answer = client.ask("initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {} }));
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("ended with exit code 1: error:"), "{answer}");
}

#[test]
fn a_watch_without_a_gateway_is_told_apart() {
    let Some(house) = House::new(GATEWAY) else { return };
    let mut watch = house.home.command(&["watch"]);
    let mut watch = watch.stderr(std::process::Stdio::null()).spawn().expect("it starts");
    house.up();
    let mut client = Client::start(&house, "cursor");
    let answer = client.ask("initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {} }));
    watch.kill().expect("it runs");
    watch.wait().expect("it ends");
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("`mcpkeel watch` runs here, which has no gateway"), "{answer}");
}

#[test]
fn a_client_of_the_new_era_listens_on_through_a_restart() {
    let Some(house) = House::new(GATEWAY) else { return };
    let mut client = Client::start(&house, "cursor");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = client.ask("server/discover", json!({ "_meta": meta }));
    assert!(found["result"]["supportedVersions"].is_array(), "{found}");
    let listen = json!({ "_meta": meta, "notifications": { "toolsListChanged": true } });
    let listening = client.request("subscriptions/listen", listen);
    let heard = |client: &mut Client, wanted: &str| loop {
        let line = client.from.recv_timeout(super::PATIENCE).expect(wanted);
        let message: Value = serde_json::from_str(&line).expect("JSON");
        assert_ne!(message["method"], "notifications/cancelled", "{message}");
        if message["id"] == listening {
            panic!("it ended: {message}");
        }
        if message["method"].as_str().is_some_and(|method| method.ends_with(wanted)) {
            return message;
        }
    };
    heard(&mut client, "subscriptions/acknowledged");
    house.kill(Signal::KILL);
    heard(&mut client, "subscriptions/acknowledged");
    // What changes afterwards is heard.
    wait_for("the first server is there", || {
        let list = client.ask("tools/list", json!({ "_meta": meta }));
        (list["result"]["tools"].as_array().map(Vec::len) == Some(4)).then_some(())
    });
    house.home.write("mcp.yaml", manifest(GATEWAY).replace("deny: [image]", "deny: [echo]"));
    heard(&mut client, "tools/list_changed");
}
