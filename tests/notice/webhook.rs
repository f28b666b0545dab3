//! Webhooks, received by a real server on this machine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcpkeel::notice::{Target, targets};
use mcpkeel::reconcile::{self, Care, Which};
use mcpkeel::store::{Event, Stand};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use super::{KEY, LONG, TOKEN, Told, all_targets, event, machine};
use crate::bridge::fake::{Answer, Asked, Fake};
use crate::bridge::real;

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

/// One webhook at this server, its token in the address.
fn hook(server: &Fake, rest: &str) -> Vec<Target> {
    let url = server.url("/${var:port-word}?token=${secret:token}");
    let memory = machine(&format!("    - {{ webhook: \"{url}\"{rest} }}\n"));
    all_targets(&memory, Path::new("/home/me/mcp.yaml"))
}

/// Tells this and waits until it is told; what could not be.
async fn tell(events: &[Event], targets: impl Fn() -> Vec<Target>) -> Vec<String> {
    let told = Told::start();
    for event in events {
        told.tell(event, targets());
    }
    // The server runs on this thread, which must not wait for it.
    tokio::task::spawn_blocking(|| told.finish(LONG)).await.expect("it ends")
}

/// HMAC-SHA-256 as RFC 2104 writes it down, by other means than the product's.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    assert!(key.len() <= 64);
    let pad =
        |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or_default() ^ with).collect() };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

#[track_caller]
fn is_signed(asked: &Asked, key: &[u8]) {
    let header = |name| asked.header(name).unwrap_or_else(|| panic!("no {name}"));
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), asked.body);
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(hmac(key, &signed))));
}

#[test]
fn a_webhook_gets_the_event_signed() {
    run(async {
        let server = Fake::start(|_| Answer::status(204)).await;
        let stalled = event(Stand::Stalled, "~/.cursor/mcp.json is malformed: line 3.");
        let problems =
            tell(std::slice::from_ref(&stalled), || hook(&server, ", key: \"${secret:hook-key}\"")).await;
        assert_eq!(problems, [""; 0]);
        let [asked] = &server.asked()[..] else { panic!("{:?}", server.asked()) };
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", &*format!("/hook?token={TOKEN}")));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        is_signed(asked, &STANDARD.decode(&KEY[6..]).expect("base64"));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("now").as_secs();
        let timestamp: u64 =
            asked.header("webhook-timestamp").and_then(|text| text.parse().ok()).expect("one");
        assert!(now.abs_diff(timestamp) < 60, "{timestamp}");
        let body = asked.json();
        assert_eq!(body["type"], "mcpkeel.condition");
        assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
        assert!(body["host"].is_string());
        for (name, value) in serde_json::to_value(&stalled).expect("JSON").as_object().expect("members") {
            assert_eq!(body[name], *value);
        }
    });
}

#[test]
fn without_a_key_there_is_no_signature() {
    run(async {
        let server = Fake::start(|_| Answer::status(200)).await;
        assert_eq!(tell(&[event(Stand::Ready, "x")], || hook(&server, "")).await, [""; 0]);
        let asked = server.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].header("webhook-signature"), None);
        assert!(asked[0].header("webhook-id").is_some_and(|id| id.starts_with("msg_")));
    });
}

#[test]
fn a_busy_server_is_asked_again_with_the_same_id() {
    run(async {
        let server = Fake::start({
            let tries = std::sync::atomic::AtomicUsize::new(0);
            move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Answer::status(503).with("Retry-After", "0"),
                1 => Answer::status(429).with("Retry-After", "0"),
                _ => Answer::status(200),
            }
        })
        .await;
        let events = [event(Stand::Stalled, "one"), event(Stand::Stalled, "two")];
        assert_eq!(tell(&events, || hook(&server, ", key: \"${secret:hook-key}\"")).await, [""; 0]);
        let asked = server.asked();
        let ids: Vec<_> = asked.iter().map(|asked| asked.header("webhook-id").expect("one")).collect();
        assert_eq!(asked.len(), 4);
        assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
        asked.iter().for_each(|asked| is_signed(asked, &STANDARD.decode(&KEY[6..]).expect("base64")));
    });
}

#[test]
fn after_three_tries_it_is_said_and_left() {
    run(async {
        let server = Fake::start(|_| Answer::status(500).with("Retry-After", "0")).await;
        let problems = tell(&[event(Stand::Stalled, "x")], || hook(&server, "")).await;
        assert_eq!(server.asked().len(), 3);
        assert_eq!(
            problems,
            ["the webhook of settings.notify[0] (127.0.0.1) was not told that cursor is stalled: \
              it answered 500 Internal Server Error, the third time"]
        );
    });
}

#[test]
fn a_refusal_and_another_address_are_final() {
    for (status, why) in [
        (404, "it answered 404 Not Found"),
        (302, "it answered 302 Found, and another address is not followed"),
    ] {
        run(async {
            let server = Fake::start(move |_| Answer::status(status).with("Location", "/elsewhere")).await;
            let problems = tell(&[event(Stand::Contended, "x")], || hook(&server, "")).await;
            assert_eq!(server.asked().len(), 1, "{status}");
            assert!(problems.len() == 1 && problems[0].ends_with(why), "{problems:?}");
        });
    }
}

#[test]
fn an_address_where_nobody_answers_is_said_without_its_token() {
    run(async {
        let server = Fake::start(|_| Answer::status(200)).await;
        let gone = hook(&server, "");
        drop(server);
        // Whoever listened is gone once its task is.
        tokio::task::yield_now().await;
        let told = Told::start();
        told.tell(&event(Stand::Stalled, "x"), gone);
        let problems = tokio::task::spawn_blocking(|| told.finish(LONG)).await.expect("it ends");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("(127.0.0.1) was not told that cursor is stalled: it cannot be reached")
        );
    });
}

#[test]
fn only_conditions_that_were_asked_for_are_told() {
    run(async {
        let server = Fake::start(|_| Answer::status(200)).await;
        let events = [Stand::Stalled, Stand::Reconciling, Stand::Contended, Stand::Ready]
            .map(|stand| event(stand, "x"));
        assert_eq!(tell(&events, || hook(&server, ", on: [ready, contended]")).await, [""; 0]);
        let told: Vec<Value> = server.asked().iter().map(|asked| asked.json()["condition"].clone()).collect();
        assert_eq!(told, ["Contended", "Ready"]);
    });
}

#[test]
fn a_server_that_never_answers_holds_nobody_up() {
    run(async {
        // It takes connections, and that is all.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let memory = machine(&format!("    - {{ webhook: \"http://127.0.0.1:{port}/\" }}\n"));
        let told = Told::start();
        let targets: Vec<_> =
            (0..200).map(|_| all_targets(&memory, Path::new("/home/me/mcp.yaml"))).collect();
        let mut targets = targets.into_iter();
        told.tell(&event(Stand::Stalled, "x"), targets.next().expect("one"));
        let _connection = listener.accept().await.expect("the first");
        let start = Instant::now();
        for targets in targets {
            told.tell(&event(Stand::Stalled, "x"), targets);
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        let start = Instant::now();
        let patience = Duration::from_millis(100);
        let problems = tokio::task::spawn_blocking(move || told.finish(patience)).await.expect("it ends");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(problems[0].ends_with("was not told that cursor is stalled: there was no time left"));
        assert!(problems[1].ends_with("notices dropped: telling takes longer than news takes to come"));
        assert!(problems[2].ends_with("notices not told: there was no time left"), "{problems:?}");
        assert_eq!(problems.len(), 3, "{problems:?}");
    });
}

#[test]
fn what_cannot_be_had_is_named_and_the_others_are_told() {
    let memory = machine(
        "    - { webhook: \"https://hooks.example.com/?t=${secret:token}\", key: \"${env:NO_SUCH}\" }\n    - { desktop: true }\n",
    );
    let loaded = reconcile::load(
        &memory,
        Path::new("/home/me/mcp.yaml"),
        Path::new("/state"),
        Which::Newest,
        Care::Quick,
    );
    assert!(loaded.is_valid(), "{:?}", loaded.diagnostics);
    let (targets, problems) = targets(&memory, &loaded.units);
    assert_eq!(targets.len(), 1);
    assert_eq!(problems.len(), 1);
    let message = "settings.notify[0] cannot be told: the variable NO_SUCH is not set here";
    assert_eq!(problems[0].message, message);
    assert_eq!(problems[0].place.as_ref().map(|place| place.line), Some(10));
}

/// The library that most receivers use takes what we send, and nothing that was tampered with.
#[test]
fn the_library_of_standard_webhooks_agrees() {
    let Some(package) = real::installed("standardwebhooks", "standardwebhooks/package.json") else { return };
    let module = package.parent().expect("a directory").to_string_lossy().into_owned();
    run(async {
        let server = Fake::start(|_| Answer::status(200)).await;
        let text = "half a ü, a \"quote\"\nand a line";
        tell(&[event(Stand::Stalled, text)], || hook(&server, ", key: \"${secret:hook-key}\"")).await;
        let asked = server.asked().remove(0);
        let script = "const { Webhook } = require(process.argv[1]);
            const [key, body, headers] = process.argv.slice(2);
            process.stdout.write(new Webhook(key).verify(body, JSON.parse(headers)).message);";
        let headers: serde_json::Map<String, Value> =
            asked.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let verify = |body: &str| {
            Command::new(real::node())
                .args(["-e", script, &module, KEY, body, &Value::Object(headers.clone()).to_string()])
                .stderr(Stdio::null())
                .output()
                .expect("node starts")
        };
        let verified = verify(&asked.body);
        assert!(verified.status.success());
        assert_eq!(String::from_utf8_lossy(&verified.stdout), text);
        assert!(!verify(&asked.body.replace("Stalled", "Ready")).status.success());
    });
}

#[test]
fn a_manifest_that_posts_in_the_open_or_refers_to_nothing_is_refused() {
    for (notify, code) in [
        ("{ webhook: \"http://hooks.example.com/\" }", "plain-http"),
        ("{ command: [tell, \"${var:nobody}\"] }", "unknown-var"),
        ("{ webhook: \"https://hooks.example.com/\", key: \"${secret:nobody}\" }", "unknown-secret"),
    ] {
        let memory = machine(&format!("    - {notify}\n"));
        let loaded = reconcile::load(
            &memory,
            Path::new("/home/me/mcp.yaml"),
            Path::new("/state"),
            Which::Newest,
            Care::Quick,
        );
        let errors: Vec<_> = loaded.diagnostics.iter().filter(|problem| problem.is_error()).collect();
        assert!(errors.len() == 1 && errors[0].code == code, "{notify}: {errors:?}");
    }
}
