//! A request on its way to a server: which one, whether it may go, and what comes back.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::{Response, StatusCode};
use tokio::time::Sleep;

use super::exchange::{METHOD_NOT_FOUND, Modern, Visit, json_of, streamed};
use super::guards::{Meter, Refusal};
use super::house::House;
use super::page::{Message, Page, Source};
use super::session::{Flying, Session};
use super::translate::{self, Flight, Request};
use super::view::{Endpoint, Gate, Way};
use crate::bridge::json::{self, Members};
use crate::bridge::message::{INTERNAL, INVALID_PARAMS, INVALID_REQUEST, UNREACHABLE};
use crate::upstream::{Answer, Ear, Envelope, Era, Kind, Peer, Question, Told, error_for};

/// How long an answer may take before the caller is shown that something is happening.
const SHOW: Duration = Duration::from_secs(15);

/// How long one server may take to say whether it has a resource that nobody lists, while others wait to be asked.
const ANYBODY: Duration = Duration::from_secs(10);

/// Where a request goes.
struct Target {
    server: Arc<str>,
    /// What it is about, as the server calls it; for the record.
    what: Arc<str>,
    /// Parts of the request to replace.
    edits: Vec<(Range<usize>, String)>,
    gate: Gate,
}

/// A request that a server must answer.
pub async fn request(
    house: &Arc<House>,
    visit: &Visit,
    session: Option<&Arc<Session>>,
    modern: Option<Modern>,
    envelope: &Envelope,
) -> Response<Page> {
    let Kind::Request { id: id_at, method } = &envelope.kind else {
        return json_of(StatusCode::BAD_REQUEST, error_for("null", INVALID_REQUEST, "this is no request"));
    };
    let id = envelope.part(id_at);
    let say = |refusal: Refusal| refusal.response(id);
    if !visit.caller.scopes.allow(method) {
        return say(Refusal::Scope(method.clone()));
    }
    if method == "resources/read"
        && let Some(response) = anybody(house, visit, modern.is_some(), id, envelope).await
    {
        return response;
    }
    let target = match target(house, visit, method, envelope) {
        Ok(target) => target,
        Err((code, why)) => {
            house.guards.unknown(&visit.caller, method, envelope);
            let status = match (&modern, code) {
                (Some(_), METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
                _ => StatusCode::OK,
            };
            return json_of(status, error_for(id, code, &why));
        }
    };
    let mut meter = house.guards.begin(&visit.caller, &target.server, method, &target.what, envelope);
    let passed = house.guards.pass(visit, &target.gate, &target.server, &target.what, envelope).await;
    let passed = match passed {
        // Whoever agreed may have taken their time.
        Ok(Some(approval)) => still(house, visit, method, envelope).map(|()| Some(approval)),
        passed => passed,
    };
    match passed {
        Ok(approval) => meter.approved(&target.gate, approval),
        Err(refusal) => {
            meter.refused(&target.gate, &refusal);
            return say(refusal);
        }
    }
    let peer = match reach(house, &target.server).await {
        Ok(peer) => peer,
        Err(why) => {
            let refusal = Refusal::Offline(why);
            meter.refused(&target.gate, &refusal);
            return say(refusal);
        }
    };
    let is_modern = modern.is_some();
    let peer = match is_modern && peer.wants_twin() {
        // The first process translates where the second cannot be had.
        true => reach(house, &super::twin(&target.server)).await.unwrap_or(peer),
        false => peer,
    };
    let started = start(house, visit, session, modern, envelope, id_at, &target, &peer);
    let (ear, flight) = match started {
        Ok(started) => started,
        Err(text) => {
            meter.failed();
            return json_of(StatusCode::OK, text);
        }
    };
    let seat = session.map(|session| (Arc::clone(session), id.to_owned()));
    let patience = house.patience(&target.server);
    house.warm.begins();
    let under_way = UnderWay {
        house: Arc::clone(house),
        caller: Arc::clone(&visit.caller.name),
        server: target.server,
        ear,
        flight,
        seat,
        meter: Some(meter),
        id: id.to_owned(),
        patience,
        silence: None,
        lists_tasks: method == "tasks/list",
    };
    reply(under_way, is_modern).await
}

/// Whether what a person has agreed to is still there for this caller, and neither denied nor held by now.
fn still(house: &Arc<House>, visit: &Visit, method: &str, envelope: &Envelope) -> Result<(), Refusal> {
    if !house.guards.knows(&visit.caller) {
        return Err(Refusal::Scope(method.to_owned()));
    }
    match target(house, visit, method, envelope) {
        Ok(Target { gate: Gate::Open | Gate::Asks(_), .. }) => Ok(()),
        Ok(Target { gate: Gate::Denied(policy), .. }) => Err(Refusal::Denied(policy)),
        Ok(Target { gate: Gate::Held, .. }) => Err(Refusal::Held),
        Err((_, why)) => Err(Refusal::Offline(why)),
    }
}

fn target(
    house: &Arc<House>,
    visit: &Visit,
    method: &str,
    envelope: &Envelope,
) -> Result<Target, (i64, String)> {
    let params = envelope.members();
    if let Some(params) = &params {
        refuse_two_readings(params)?;
    }
    let text = |name: &str| params.as_ref().and_then(|params| params.text(name));
    let place = |part: Option<&str>| part.map(|part| envelope.place(part));
    let at = |name: &str| place(params.as_ref().and_then(|params| params.get(name)));
    let view = house.view(&visit.caller, &visit.endpoint);
    let to = |way: &Way, at: Option<Range<usize>>| Target {
        server: Arc::clone(&way.server),
        what: Arc::clone(&way.bare),
        edits: at.map(|at| (at, way.name.clone())).into_iter().collect(),
        gate: way.gate.clone(),
    };
    let no = |what: &str, name: &str| {
        let near = match what {
            "tool" => crate::base::closest(name, view.tools.keys().map(String::as_str)),
            _ => crate::base::closest(name, view.prompts.keys().map(String::as_str)),
        };
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        (INVALID_PARAMS, format!("Unknown {what}: {name}{hint}"))
    };
    match method {
        "tools/call" => {
            let name = text("name").ok_or((INVALID_PARAMS, "Invalid params: no name".to_owned()))?;
            // A server may know tools that it does not list; but what was not seen was not accepted either.
            view.tools.get(&name).map(|way| to(way, at("name"))).ok_or_else(|| no("tool", &name))
        }
        "prompts/get" => {
            let name = text("name").ok_or((INVALID_PARAMS, "Invalid params: no name".to_owned()))?;
            view.prompts.get(&name).map(|way| to(way, at("name"))).ok_or_else(|| no("prompt", &name))
        }
        "resources/read" => {
            let uri = text("uri").ok_or((INVALID_PARAMS, "Invalid params: no uri".to_owned()))?;
            resource(&view, &uri)
                .map(|way| to(&way, None))
                .ok_or((-32002, format!("Resource not found: {uri}")))
        }
        "completion/complete" => {
            let reference = params.as_ref().and_then(|params| params.object("ref"));
            reference.as_ref().map_or(Ok(()), refuse_two_readings)?;
            let get = |name: &str| reference.as_ref().and_then(|reference| reference.get(name));
            if let Some(name) = get("name").and_then(json::text) {
                let way = view.prompts.get(&name).ok_or_else(|| no("prompt", &name))?;
                return Ok(to(way, place(get("name"))));
            }
            let uri = get("uri").and_then(json::text);
            let uri = uri.ok_or((INVALID_PARAMS, "Invalid params: no ref".to_owned()))?;
            resource(&view, &uri)
                .map(|way| to(&way, None))
                .ok_or((-32002, format!("Resource not found: {uri}")))
        }
        _ => {
            let task = method.strip_prefix("tasks/").and_then(|_| house.task(&text("taskId")?));
            let server = match (&visit.endpoint, task) {
                // Servers see one client, so they cannot tell whose a task is.
                (_, Some((whose, _))) if whose != visit.caller.name => None,
                // One that began before we did is known to its server alone.
                (Endpoint::One(server), _) => Some(server.clone()),
                (Endpoint::All, Some((_, server))) => Some(server),
                (Endpoint::All, None) => None,
            };
            let server = server.filter(|server| view.servers.contains(server));
            let server = server.ok_or((METHOD_NOT_FOUND, "Method not found".to_owned()))?;
            Ok(Target { server: server.into(), what: "".into(), edits: Vec::new(), gate: Gate::Open })
        }
    }
}

/// A resource that no list and no template names: the servers are asked one after the other, since tools may speak of
/// resources that are not listed. None when only one can have it, or its server is known.
async fn anybody(
    house: &Arc<House>,
    visit: &Visit,
    is_modern: bool,
    id: &str,
    envelope: &Envelope,
) -> Option<Response<Page>> {
    let uri = envelope.members()?.text("uri")?;
    let view = house.view(&visit.caller, &visit.endpoint);
    if resource(&view, &uri).is_some() {
        return None;
    }
    let params = json::object([("uri", json::quote(&uri))]);
    for server in &view.with_resources {
        let way = view.unlisted(server, &uri);
        if way.gate != Gate::Open {
            continue;
        }
        let Ok(peer) = reach(house, server).await else { continue };
        let meter = house.guards.begin(&visit.caller, &way.server, "resources/read", &way.bare, envelope);
        match peer.request("resources/read", Some(&params), house.patience(server).min(ANYBODY)).await {
            Ok(result) => {
                let result = match is_modern {
                    true => translate::complete(&result, true),
                    false => result,
                };
                let text = super::exchange::result_for(id, &result);
                let at = text.len() - 1 - result.len()..text.len() - 1;
                meter.answered(&Answer { text: text.clone(), result: Some(at), is_real: true });
                return Some(json_of(StatusCode::OK, text));
            }
            Err(_) => meter.failed(),
        }
    }
    None
}

fn resource(view: &super::view::View, uri: &str) -> Option<Way> {
    view.resource(uri).or_else(|| match view.with_resources.as_slice() {
        // Its gate is that of anything with this address.
        [server] => Some(view.unlisted(server, uri)),
        _ => None,
    })
}

/// Servers that read names without regard to case would see another tool than we do.
fn refuse_two_readings(params: &Members<'_>) -> Result<(), (i64, String)> {
    if let Some(name) = params.repeated() {
        return Err((INVALID_REQUEST, format!("Invalid request: the parameters have two members `{name}`")));
    }
    match params.misspelt(&["name", "uri", "ref", "arguments", "taskId", "_meta"]) {
        Some((name, _)) => {
            Err((INVALID_REQUEST, format!("Invalid request: `{name}` could be read in two ways")))
        }
        None => Ok(()),
    }
}

async fn reach(house: &House, name: &str) -> Result<Arc<Peer>, String> {
    let server = house.supervisor().and_then(|supervisor| supervisor.server(name));
    let server = server.ok_or_else(|| format!("`{name}` is not run here"))?;
    if let Some(peer) = server.peer() {
        return Ok(peer);
    }
    server.ready().await.map_err(|error| error.to_string())
}

#[expect(clippy::too_many_arguments, reason = "one request, seen from both sides")]
fn start(
    house: &Arc<House>,
    visit: &Visit,
    session: Option<&Arc<Session>>,
    modern: Option<Modern>,
    envelope: &Envelope,
    id_at: &Range<usize>,
    target: &Target,
    peer: &Arc<Peer>,
) -> Result<(Ear, Option<Flight>), String> {
    let id = envelope.part(id_at);
    let caller = session.map_or(visit.caller.number, |session| session.number);
    let edited = || {
        let mut edits: Vec<(Range<usize>, &str)> =
            target.edits.iter().map(|(at, new)| (at.clone(), new.as_str())).collect();
        Request { text: envelope.with(&mut edits), caller }
    };
    match (session, modern) {
        (Some(session), _) if !peer.speaks(Era::Legacy) => {
            let (ear, mouth) = translate::up(Arc::clone(session), Arc::clone(peer), edited());
            session.begins(id, Flying::Task(mouth));
            Ok((ear, None))
        }
        (None, Some(modern)) if !peer.speaks(Era::Modern) => {
            let state = envelope.members().and_then(|params| params.text("requestState"));
            if let Some(state) = state {
                return match translate::resume(house, caller, &state, &envelope.text) {
                    Some(ear) => Ok((ear, None)),
                    None => Err(error_for(id, INVALID_PARAMS, "Invalid params: unknown requestState")),
                };
            }
            if let Some(level) = &modern.level {
                super::news::set_level(house, &[target.server.to_string()], level);
            }
            Ok((translate::down(house, Arc::clone(peer), edited(), modern.capabilities), None))
        }
        (session, _) => {
            let token = envelope.members().and_then(|params| {
                let meta = params.object("_meta")?;
                Some(envelope.place(meta.get("progressToken")?))
            });
            let question = Question {
                text: &envelope.text,
                id: id_at.clone(),
                token,
                edits: target.edits.clone(),
                caller,
            };
            let (number, ear) = peer.ask(question).map_err(|gone| error_for(id, UNREACHABLE, &gone.0))?;
            if let Some(session) = session {
                session.begins(id, Flying::Peer(Arc::downgrade(peer), number));
            }
            Ok((ear, Some(Flight::new(Arc::clone(peer), number))))
        }
    }
}

/// A request under way, and what hangs on it.
struct UnderWay {
    house: Arc<House>,
    caller: Arc<str>,
    server: Arc<str>,
    ear: Ear,
    /// Dropped, it takes the request back.
    flight: Option<Flight>,
    seat: Option<(Arc<Session>, String)>,
    meter: Option<Meter>,
    id: String,
    /// How long it may be silent.
    patience: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    /// Whether the answer tells of tasks, those of other callers among them.
    lists_tasks: bool,
}

/// The answer as it is when nothing comes before it; else a stream that ends with it.
async fn reply(mut under_way: UnderWay, is_modern: bool) -> Response<Page> {
    let first = tokio::time::timeout(SHOW.min(under_way.patience), under_way.ear.next()).await;
    match first {
        Ok(Told::Answer(answer)) => {
            let status =
                if is_modern && answer.result.is_none() { status_of(&answer.text) } else { StatusCode::OK };
            json_of(status, under_way.done(answer))
        }
        Ok(Told::Note(text)) => streamed(Page::stream(vec![Message { text, id: None }], Box::new(under_way))),
        Ok(Told::Ended) => streamed(Page::stream(Vec::new(), Box::new(under_way))),
        Err(_) => streamed(Page::stream(Vec::new(), Box::new(under_way))),
    }
}

/// The status that 2026 wants with some errors.
fn status_of(text: &str) -> StatusCode {
    let error = Members::of(text).and_then(|message| message.object("error"));
    match error.as_ref().and_then(|error| error.get("code")) {
        Some("-32601") => StatusCode::NOT_FOUND,
        Some("-32020" | "-32021" | "-32022") => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// The id of a task that a result speaks of.
fn task_in(answer: &Answer) -> Option<String> {
    let result = &answer.text[answer.result.clone()?];
    memchr::memmem::find(result.as_bytes(), b"\"taskId\"")?;
    let result = Members::of(result)?;
    result.object("task").and_then(|task| task.text("taskId")).or_else(|| result.text("taskId"))
}

impl UnderWay {
    fn done(&mut self, answer: Answer) -> String {
        self.flight = None;
        if let Some(meter) = self.meter.take() {
            meter.answered(&answer);
        }
        if self.lists_tasks {
            return self.own_tasks(&answer).unwrap_or(answer.text);
        }
        if let Some(task) = task_in(&answer) {
            self.house.keep_task(&task, &self.caller, &self.server);
        }
        answer.text
    }

    /// A list of tasks without those that are not known to be the caller's.
    fn own_tasks(&self, answer: &Answer) -> Option<String> {
        let list = Members::of(&answer.text[answer.result.clone()?])?.get("tasks")?;
        let is_own = |task: &&str| {
            let id = Members::of(task).and_then(|task| task.text("taskId"));
            id.and_then(|id| self.house.task(&id)).is_some_and(|(whose, _)| whose == self.caller)
        };
        let own: Vec<&str> = json::elements(list)?.into_iter().filter(is_own).collect();
        Some(json::splice(&answer.text, list, &format!("[{}]", own.join(","))))
    }
}

impl Source for UnderWay {
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        if self.meter.is_none() {
            return Poll::Ready(None);
        }
        match self.ear.poll(context) {
            Poll::Ready(Told::Note(text)) => {
                self.silence = None;
                Poll::Ready(Some(Message { text, id: None }))
            }
            Poll::Ready(Told::Answer(answer)) => {
                let text = self.done(answer);
                Poll::Ready(Some(Message { text, id: None }))
            }
            Poll::Ready(Told::Ended) => Poll::Ready(None),
            Poll::Pending => {
                let patience = self.patience;
                let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                if silence.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                let why = format!("no answer and no progress for {} s", patience.as_secs());
                let text = error_for(&self.id, INTERNAL, &why);
                self.flight = None;
                if let Some(meter) = self.meter.take() {
                    meter.timed_out();
                }
                Poll::Ready(Some(Message { text, id: None }))
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.house.warm.ends();
        if let Some((session, id)) = self.seat.take() {
            session.ends(&id);
        }
    }
}
