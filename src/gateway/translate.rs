//! A caller of one era and a server of the other: one request, said in the server's words, and its answer in
//! the caller's.
//!
//! Each such request has a task of its own, which reads like the conversation it stands for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::house::House;
use super::session::{Asked, Session};
use crate::bridge::eras::{CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, MODERN, SERVER_INFO};
use crate::bridge::json::{self, Members};
use crate::bridge::message::{self, INTERNAL, INVALID_PARAMS, Id};
use crate::bridge::mirror::VERSION;
use crate::upstream::{Answer, Ear, Envelope, Kind, Mouth, Peer, Question, Told, error_for, pair};

/// How often a server may ask for more before a request is given up.
const ROUNDS: u32 = 32;

/// How long a client may think about a question.
const PATIENCE: Duration = Duration::from_secs(600);

/// A request as the caller wrote it, with the edits that the way to the server asks for already made.
pub struct Request {
    /// The whole of it.
    pub text: String,
    /// Who asks.
    pub caller: u64,
}

/// A caller of 2025 asks a server of 2026. What the caller hears comes from the ear.
pub fn up(session: Arc<Session>, peer: Arc<Peer>, request: Request) -> (Ear, Mouth) {
    let (mouth, ear) = pair(request.caller);
    let end = mouth.clone();
    tokio::spawn(async move {
        let gone = mouth.clone();
        tokio::select! {
            answer = ask_up(&session, &peer, &request, &mouth) => mouth.answer(answer),
            // Whatever is under way is taken back by being dropped.
            () = gone.deaf() => {}
        }
    });
    (ear, end)
}

async fn ask_up(session: &Arc<Session>, peer: &Arc<Peer>, request: &Request, mouth: &Mouth) -> Answer {
    let id = id_of(&request.text);
    let mut text = with_meta(session, &request.text);
    for _ in 0..ROUNDS {
        let (_flight, mut ear) = match ask(peer, &text, mouth.caller) {
            Ok(asked) => asked,
            Err(answer) => return answer,
        };
        let answer = loop {
            match ear.next().await {
                Told::Note(note) => {
                    mouth.note(note);
                }
                Told::Answer(answer) => break answer,
                Told::Ended => return refusal(&id, "the request was taken back"),
            }
        };
        let Some(result) = answer.result.clone().and_then(|at| Members::of(&answer.text[at])) else {
            return answer;
        };
        match result.text("resultType").as_deref() {
            None | Some("complete") => {
                let plain = result.without(&["resultType", "ttlMs", "cacheScope"]);
                return completed(&id, &plain, answer.is_real);
            }
            Some("input_required") => {
                let inputs = result.object("inputRequests");
                let inputs: Vec<(&str, &str)> = inputs.iter().flat_map(Members::iter).collect();
                let answers = match inputs_of(session, mouth, &inputs).await {
                    Ok(answers) => answers,
                    Err(error) => return failed(&id, &error),
                };
                let params = Members::of(&text).and_then(|message| message.object("params"));
                let mut params = params.map_or_else(
                    || "{}".to_owned(),
                    |params| params.without(&["inputResponses", "requestState"]),
                );
                let answers = answers.iter().map(|(name, answer)| (name.as_str(), answer));
                params = json::set(&params, "inputResponses", &json::object(answers));
                if let Some(state) = result.get("requestState") {
                    params = json::set(&params, "requestState", state);
                }
                text = json::set(&text, "params", &params);
            }
            Some(kind) => {
                let why = format!(
                    "the server answered with a result of the kind `{kind}`, which clients of 2025 cannot take"
                );
                return refusal(&id, &why);
            }
        }
    }
    refusal(&id, "the server asked for input again and again")
}

/// Asks the client what the server wants to know; its answers by their names.
async fn inputs_of(
    session: &Arc<Session>,
    mouth: &Mouth,
    inputs: &[(&str, &str)],
) -> Result<Vec<(String, String)>, String> {
    let mut open = Vec::new();
    for (name, input) in inputs {
        let Some(input) = Members::of(input) else { continue };
        let Some(method) = input.text("method") else { continue };
        if !session.can(&method) {
            let why = json::quote(&format!("the client cannot do {method}, which the server asks for"));
            return Err(json::object([("code", "-32601"), ("message", why.as_str())]));
        }
        let (to, answer) = oneshot::channel();
        let Some(number) = session.ask(Asked::Us(to)) else {
            return Err(r#"{"code":-32603,"message":"too many questions are open"}"#.to_owned());
        };
        let mut params = input.get("params").map(str::to_owned);
        if let Some(text) = &params
            && let Some(members) = Members::of(text)
            && members.text("mode").as_deref() == Some("url")
            && members.get("elicitationId").is_none()
        {
            // 2025 wants one, 2026 has none.
            params = Some(json::set(text, "elicitationId", &json::quote(&number.to_string())));
        }
        let id = Id::read(&number.to_string()).unwrap_or_else(|| Id::of(""));
        mouth.note(message::request(&id, &method, params.as_deref()));
        open.push(((*name).to_owned(), answer));
    }
    let mut answers = Vec::new();
    for (name, answer) in open {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answers.push((name, answer?)),
            Ok(Err(_)) | Err(_) => {
                return Err(r#"{"code":-32603,"message":"the client did not answer"}"#.to_owned());
            }
        }
    }
    Ok(answers)
}

fn with_meta(session: &Session, text: &str) -> String {
    let opening = Members::of(&session.opening).and_then(|message| message.object("params"));
    let get = |name: &str| opening.as_ref().and_then(|opening| opening.get(name));
    let params = Members::of(text).and_then(|message| message.get("params")).unwrap_or("{}");
    let mut meta = Members::of(params).and_then(|params| params.get("_meta")).unwrap_or("{}").to_owned();
    meta = json::set(&meta, VERSION, &json::quote(MODERN));
    if let Some(info) = get("clientInfo") {
        meta = json::set(&meta, CLIENT_INFO, info);
    }
    meta = json::set(&meta, CLIENT_CAPABILITIES, get("capabilities").unwrap_or("{}"));
    if let Some(level) = session.level() {
        meta = json::set(&meta, LOG_LEVEL, &level);
    }
    json::set(text, "params", &json::set(params, "_meta", &meta))
}

/// A request of a caller of 2026 that waits for the answers to a server's questions.
pub struct Parked {
    /// Whose it is.
    pub caller: u64,
    /// The answers, and where the outcome is to be said.
    resume: oneshot::Sender<Resumed>,
}

/// What a caller comes back with.
struct Resumed {
    /// The answers by their names.
    answers: Vec<(String, String)>,
    /// The id of the request that brings them.
    id: String,
    /// Where the outcome is to be said.
    mouth: Mouth,
}

/// A caller of 2026 asks a server of 2025. What the caller hears comes from the ear.
pub fn down(house: &Arc<House>, peer: Arc<Peer>, request: Request, capabilities: String) -> Ear {
    let (mouth, ear) = pair(request.caller);
    let house = Arc::clone(house);
    tokio::spawn(async move { ask_down(&house, &peer, request, capabilities, mouth).await });
    ear
}

/// The caller comes back with answers. None when nobody waits for them.
pub fn resume(house: &House, caller: u64, state: &str, text: &str) -> Option<Ear> {
    let parked = house.unpark(state, caller)?;
    let params = Members::of(text).and_then(|message| message.object("params"));
    let answers = params.as_ref().and_then(|params| params.object("inputResponses"));
    let answers = answers.iter().flat_map(Members::iter);
    let answers = answers.map(|(name, answer)| (name.to_owned(), answer.to_owned())).collect();
    let (mouth, ear) = pair(caller);
    parked.resume.send(Resumed { answers, id: id_of(text), mouth }).ok()?;
    Some(ear)
}

async fn ask_down(
    house: &Arc<House>,
    peer: &Arc<Peer>,
    request: Request,
    capabilities: String,
    mut mouth: Mouth,
) {
    let method = Members::of(&request.text).and_then(|message| message.text("method")).unwrap_or_default();
    let mut id = id_of(&request.text);
    let plain = without_era(&request.text);
    let (_flight, mut ear) = match ask(peer, &plain, request.caller) {
        Ok(asked) => asked,
        Err(answer) => return mouth.answer(answer),
    };
    loop {
        let told = tokio::select! {
            told = ear.next() => told,
            () = mouth.deaf() => return,
        };
        let note = match told {
            Told::Answer(answer) => return mouth.answer(modern(peer, &method, &id, answer)),
            Told::Ended => return mouth.end(),
            Told::Note(note) => note,
        };
        let Ok(envelope) = Envelope::read(note) else { continue };
        let Kind::Request { id: question, method: asks } = &envelope.kind else {
            mouth.note(envelope.text);
            continue;
        };
        let question = envelope.part(question).to_owned();
        if !can(&capabilities, asks) {
            peer.tell(error_for(&question, -32601, &format!("the client cannot do {asks}")));
            continue;
        }
        // Each question on its own: a second one waits its turn in the ear.
        let mut input = vec![("method", json::quote(asks))];
        input.extend(envelope.params.as_ref().map(|params| ("params", envelope.part(params).to_owned())));
        let (to, back) = oneshot::channel();
        let state = house.park(Parked { caller: request.caller, resume: to });
        let Some(state) = state else {
            peer.tell(error_for(&question, INTERNAL, "too many questions are open"));
            continue;
        };
        let inputs = json::object([("input-1", json::object(input))]);
        let quoted = json::quote(&state);
        let result = json::object([
            ("resultType", "\"input_required\""),
            ("inputRequests", inputs.as_str()),
            ("requestState", quoted.as_str()),
        ]);
        mouth.answer(completed(&id, &result, true));
        let Ok(Ok(resumed)) = tokio::time::timeout(PATIENCE, back).await else {
            house.unpark(&state, request.caller);
            peer.tell(error_for(&question, INTERNAL, "the client did not answer"));
            return;
        };
        let answer =
            resumed.answers.into_iter().find(|(name, _)| name == "input-1").map(|(_, answer)| answer);
        peer.tell(match answer {
            Some(answer) => {
                json::object([("jsonrpc", "\"2.0\""), ("id", question.as_str()), ("result", answer.as_str())])
            }
            None => error_for(&question, INTERNAL, "the client gave no answer"),
        });
        (id, mouth) = (resumed.id, resumed.mouth);
    }
}

/// An answer of a server of 2025 with what 2026 wants in it.
fn modern(peer: &Peer, method: &str, id: &str, answer: Answer) -> Answer {
    let Some(result) = &answer.result else {
        let error = Members::of(&answer.text).and_then(|message| message.get("error").map(str::to_owned));
        let Some(error) = error else { return answer };
        let is_missing = Members::of(&error).and_then(|error| error.get("code").map(|code| code == "-32002"));
        let error = match is_missing {
            // What 2025 has for a resource that is not there.
            Some(true) => json::set(&error, "code", &INVALID_PARAMS.to_string()),
            _ => error,
        };
        let text = json::object([("jsonrpc", "\"2.0\""), ("id", id), ("error", error.as_str())]);
        return Answer { text, result: None, is_real: answer.is_real };
    };
    let mut result = complete(&answer.text[result.clone()], method == "resources/read");
    let meta = Members::of(&result).and_then(|members| members.get("_meta").map(str::to_owned));
    let meta = json::set(meta.as_deref().unwrap_or("{}"), SERVER_INFO, &peer.opening().info);
    result = json::set(&result, "_meta", &meta);
    completed(id, &result, answer.is_real)
}

/// A result with what 2026 wants in it.
pub fn complete(result: &str, is_kept: bool) -> String {
    let Some(members) = Members::of(result) else { return result.to_owned() };
    let mut text = result.to_owned();
    if members.get("resultType").is_none() {
        text = json::set(&text, "resultType", "\"complete\"");
    }
    if is_kept {
        for (name, value) in [("ttlMs", "0"), ("cacheScope", "\"private\"")] {
            if members.get(name).is_none() {
                text = json::set(&text, name, value);
            }
        }
    }
    text
}

/// Whether a client with these capabilities, as JSON, can do what this method of a server asks for.
pub fn can(capabilities: &str, method: &str) -> bool {
    let capability = match method {
        "sampling/createMessage" => "sampling",
        "elicitation/create" => "elicitation",
        "roots/list" => "roots",
        _ => return true,
    };
    Members::of(capabilities).is_some_and(|all| all.get(capability).is_some())
}

/// Without what only 2026 has in `_meta`.
pub fn without_era(text: &str) -> String {
    let own = &[VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, LOG_LEVEL];
    let Some(params) = Members::of(text).and_then(|message| message.get("params")) else {
        return text.to_owned();
    };
    let Some(meta) = Members::of(params).and_then(|params| params.object("_meta")) else {
        return text.to_owned();
    };
    let meta = meta.without(own);
    let params = match meta.as_str() {
        "{}" => Members::of(params).map_or_else(|| "{}".to_owned(), |params| params.without(&["_meta"])),
        meta => json::set(params, "_meta", meta),
    };
    json::set(text, "params", &params)
}

/// A request under way at a server; dropping it takes the request back.
pub struct Flight {
    peer: Arc<Peer>,
    number: u64,
}

impl Flight {
    /// The request with this number.
    pub fn new(peer: Arc<Peer>, number: u64) -> Self {
        Self { peer, number }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Does nothing when the answer came.
        self.peer.cancel(self.number, "the client is gone");
    }
}

fn ask(peer: &Arc<Peer>, text: &str, caller: u64) -> Result<(Flight, Ear), Answer> {
    let own = id_of(text);
    let asked = question(text, caller)
        .ok_or_else(|| refusal(&own, "this is no request"))
        .and_then(|question| peer.ask(question).map_err(|gone| refusal(&own, &gone.0)));
    asked.map(|(number, ear)| (Flight::new(Arc::clone(peer), number), ear))
}

fn question(text: &str, caller: u64) -> Option<Question<'_>> {
    let (kind, params) = Envelope::look(text).ok()?;
    let Kind::Request { id, .. } = kind else { return None };
    let token = params.and_then(|params| {
        let token = Members::of(&text[params])?.object("_meta")?.get("progressToken")?;
        let start = (token.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        Some(start..start + token.len())
    });
    Some(Question { text, id, token, edits: Vec::new(), caller })
}

fn id_of(text: &str) -> String {
    Members::of(text)
        .and_then(|message| message.get("id").map(str::to_owned))
        .unwrap_or_else(|| "null".to_owned())
}

fn completed(id: &str, result: &str, is_real: bool) -> Answer {
    let before = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":");
    let at = before.len()..before.len() + result.len();
    Answer { text: format!("{before}{result}}}"), result: Some(at), is_real }
}

fn failed(id: &str, error: &str) -> Answer {
    let text = json::object([("jsonrpc", "\"2.0\""), ("id", id), ("error", error)]);
    Answer { text, result: None, is_real: true }
}

fn refusal(id: &str, why: &str) -> Answer {
    Answer { text: error_for(id, INTERNAL, why), result: None, is_real: false }
}
