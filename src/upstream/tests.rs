//! A peer and a server at the other end of its pipes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;

use super::*;
use crate::bridge::json::Members;

const PATIENCE: Duration = Duration::from_secs(10);

/// The server's side: what it hears, line by line, and where it speaks.
struct Server {
    hears: tokio::io::Lines<BufReader<pipe::Receiver>>,
    says: pipe::Sender,
}

impl Server {
    async fn hear(&mut self) -> String {
        self.hears.next_line().await.expect("readable").expect("a line")
    }

    async fn say(&mut self, text: &str) {
        self.says.write_all(format!("{text}\n").as_bytes()).await.expect("written");
    }

    /// Answers a request with something of its own.
    async fn answer(&mut self, request: &str, result: &str) {
        let id =
            Members::of(request).and_then(|message| message.get("id").map(str::to_owned)).expect("an id");
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)).await;
    }
}

/// A greeted server of 2025, and what it says by itself.
async fn greeted() -> (Arc<Peer>, Server, Arc<Mutex<Vec<String>>>) {
    let (to_server, server_hears) = pipe::pipe().expect("a pipe");
    let (server_says, from_server) = pipe::pipe().expect("a pipe");
    let mut server = Server { hears: BufReader::new(server_hears).lines(), says: server_says };
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let hear: Hear = Arc::new(move |said| {
        let text = match said {
            Heard::Notification(envelope, mouths) => format!("{} for {}", envelope.text, mouths.len()),
            Heard::Request(envelope, mouths) => format!("{} to {}", envelope.text, mouths.len()),
            Heard::Fault(fault) => fault,
        };
        notes.lock().expect("whole").push(text);
    });
    let opening = tokio::spawn(async move {
        Peer::open("s", Line::Pipes(to_server, from_server), Ways::Any, hear, PATIENCE).await
    });
    let discover = server.hear().await;
    assert!(discover.contains("server/discover"), "{discover}");
    let id = Members::of(&discover).and_then(|message| message.get("id").map(str::to_owned)).expect("an id");
    server.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"?"}}}}"#)).await;
    let initialize = server.hear().await;
    let result =
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;
    server.answer(&initialize, result).await;
    assert!(server.hear().await.contains("notifications/initialized"));
    let peer = opening.await.expect("no panic").expect("greeted");
    assert_eq!((peer.era(), peer.says_it_is().as_str()), (Era::Legacy, "s 1"));
    (peer, server, heard)
}

fn ask(peer: &Peer, text: &str, caller: u64) -> (u64, Ear) {
    let (kind, params) = Envelope::look(text).expect("a request");
    let Kind::Request { id, .. } = kind else { panic!("a request") };
    let token = params.and_then(|params| {
        let token = Members::of(&text[params])?.object("_meta")?.get("progressToken")?;
        let start = token.as_ptr() as usize - text.as_ptr() as usize;
        Some(start..start + token.len())
    });
    peer.ask(Question { text, id, token, edits: Vec::new(), caller }).expect("asked")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

async fn answer_of(ear: &mut Ear) -> String {
    match tokio::time::timeout(PATIENCE, ear.next()).await.expect("in time") {
        Told::Answer(answer) => answer.text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_rest_of_a_message_stays_as_it_was_written() {
    block_on(async {
        let (peer, mut server, _) = greeted().await;
        let text = r#"{"jsonrpc":"2.0", "x-vendor":1e400 ,"id":"a\u0062","method":"tools/call","params":{ "n":12345678901234567890123}}"#;
        let (_, mut ear) = ask(&peer, text, 2);
        let request = server.hear().await;
        assert!(request.contains(r#""x-vendor":1e400 ,"#) && request.contains("12345678901234567890123"));
        server.answer(&request, r#"{ "big" : 1e400,"é":[ ]}"#).await;
        let answer = answer_of(&mut ear).await;
        assert_eq!(answer, r#"{"jsonrpc":"2.0","id":"a\u0062","result":{ "big" : 1e400,"é":[ ]}}"#);
    });
}

#[test]
fn progress_comes_before_the_answer_under_the_callers_own_token() {
    block_on(async {
        let (peer, mut server, _) = greeted().await;
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"progressToken":"t"}}}"#;
        let (_, mut ear) = ask(&peer, text, 2);
        let request = server.hear().await;
        let meta = Members::of(&request).and_then(|all| all.object("params")?.object("_meta")).expect("meta");
        let token = meta.get("progressToken").expect("a token");
        let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"progressToken":@}}"#;
        server.say(&note.replace('@', token)).await;
        server.answer(&request, "{}").await;
        let Told::Note(note) = ear.next().await else { panic!("a note first") };
        assert!(note.contains(r#""progressToken":"t""#), "{note}");
        assert!(answer_of(&mut ear).await.contains(r#""id":1"#));
    });
}

#[test]
fn a_request_that_is_taken_back_ends_and_the_server_is_told() {
    block_on(async {
        let (peer, mut server, _) = greeted().await;
        let (number, mut ear) = ask(&peer, r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#, 2);
        let request = server.hear().await;
        peer.cancel(number, "enough");
        assert!(matches!(ear.next().await, Told::Ended));
        let told = server.hear().await;
        assert!(told.contains("notifications/cancelled") && told.contains("enough"), "{told}");
        // A late answer reaches nobody.
        server.answer(&request, "{}").await;
        assert_eq!(peer.use_of().0, 0);
    });
}

#[test]
fn a_question_of_our_own_that_nobody_waits_for_any_more_is_taken_back() {
    block_on(async {
        let (peer, mut server, _) = greeted().await;
        tokio::select! {
            _ = peer.request("resources/read", None, PATIENCE) => panic!("answered"),
            request = server.hear() => assert!(request.contains("resources/read"), "{request}"),
        }
        let told = server.hear().await;
        assert!(told.contains("notifications/cancelled"), "{told}");
    });
}

#[test]
fn what_we_ask_by_ourselves_is_no_use_of_a_server() {
    block_on(async {
        let (peer, mut server, _) = greeted().await;
        let quiet = Duration::from_millis(20);
        while peer.use_of().1 < quiet {
            tokio::task::yield_now().await;
        }
        let (asked, ()) = tokio::join!(peer.request("tools/list", None, PATIENCE), async {
            let request = server.hear().await;
            server.answer(&request, "{}").await;
        });
        assert!(asked.is_ok() && peer.use_of().1 >= quiet);
    });
}

#[test]
fn whoever_waits_for_a_server_that_goes_is_told() {
    block_on(async {
        let (peer, mut server, _) = greeted().await;
        let (_, mut ear) = ask(&peer, r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#, 2);
        server.hear().await;
        drop(server);
        let answer = answer_of(&mut ear).await;
        assert!(answer.contains("-31001") && answer.contains(r#""id":1"#), "{answer}");
        assert!(peer.is_gone());
        let text = r#"{"jsonrpc":"2.0","id":2,"method":"x"}"#;
        let question = Question { text, id: 21..22, token: None, edits: Vec::new(), caller: 2 };
        assert!(peer.ask(question).is_err());
    });
}

#[test]
fn what_is_no_message_is_a_fault_and_its_request_fails() {
    block_on(async {
        let (peer, mut server, heard) = greeted().await;
        let (_, mut ear) = ask(&peer, r#"{"jsonrpc":"2.0","id":"mine","method":"x"}"#, 2);
        let request = server.hear().await;
        let id =
            Members::of(&request).and_then(|message| message.get("id").map(str::to_owned)).expect("an id");
        server.say("starting up...").await;
        server.say("[info] it starts").await;
        server.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"broken}}}}"#)).await;
        assert!(answer_of(&mut ear).await.contains(r#""id":"mine""#));
        assert_eq!(heard.lock().expect("whole").len(), 3);
    });
}

#[test]
fn a_slow_server_that_takes_both_greetings_and_keeps_to_the_older_one_wants_a_twin() {
    block_on(async {
        let (to_server, server_hears) = pipe::pipe().expect("a pipe");
        let (server_says, from_server) = pipe::pipe().expect("a pipe");
        let mut server = Server { hears: BufReader::new(server_hears).lines(), says: server_says };
        let opening = tokio::spawn(async move {
            Peer::open("s", Line::Pipes(to_server, from_server), Ways::Any, Arc::new(|_| {}), PATIENCE).await
        });
        let discover = server.hear().await;
        // It is silent for so long that it is greeted in the older way as well.
        let initialize = server.hear().await;
        assert!(initialize.contains(r#""initialize""#), "{initialize}");
        let meta = r#"{"supportedVersions":["2026-07-28"],"capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;
        server.answer(&discover, meta).await;
        let older =
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;
        server.answer(&initialize, older).await;
        assert!(server.hear().await.contains("notifications/initialized"));
        let again = server.hear().await;
        server.answer(&again, "{}").await;
        let peer = opening.await.expect("no panic").expect("greeted");
        assert!(peer.speaks(Era::Legacy) && !peer.speaks(Era::Modern) && peer.wants_twin());
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(40)
    })]

    /// Callers that all use the same ids, and a server that answers in any order.
    #[test]
    fn every_answer_finds_the_one_who_asked(
        asks in proptest::collection::vec((0_u64..4, 0_u64..3), 1..40),
        order in proptest::collection::vec(0_usize..1000, 40),
    ) {
        block_on(async {
            let (peer, mut server, _) = greeted().await;
            let mut ears = Vec::new();
            let mut requests = Vec::new();
            for (at, (caller, id)) in asks.iter().enumerate() {
                let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x","params":{{"secret":"{caller}-{at}"}}}}"#);
                ears.push((format!("{caller}-{at}"), *id, ask(&peer, &text, *caller + 2).1));
                requests.push(server.hear().await);
            }
            for pick in order.iter().take(requests.len()) {
                let request = requests.swap_remove(pick % requests.len());
                let secret = Members::of(&request).and_then(|all| all.object("params")?.text("secret"));
                server.answer(&request, &format!(r#"{{"for":"{}"}}"#, secret.expect("a secret"))).await;
            }
            for (secret, id, mut ear) in ears {
                let expected = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"for":"{secret}"}}}}"#);
                assert_eq!(answer_of(&mut ear).await, expected);
            }
        });
    }
}
