//! A client of 2025 and a server of 2026-07-28.
//!
//! Each request gets what the era wants in `_meta`; a result that asks for input becomes questions to the
//! client, and the request is made again with the answers; changes are listened for.

use std::collections::{BTreeMap, BTreeSet};

use super::super::json::{self, Members};
use super::super::message::{self, INTERNAL, INVALID_REQUEST, Id, Kind, Message};
use super::super::middle::Steps;
use super::super::mirror::VERSION;
use super::{CLIENT_CAPABILITIES, CLIENT_INFO, Counter, LEGACY, LOG_LEVEL, MODERN, SERVER_INFO, with_id};

/// How often a server may ask for more before a request is given up.
const ROUNDS: u32 = 32;

/// The versions that a client may ask for.
const KNOWN: &[&str] = &["2024-11-05", "2025-03-26", "2025-06-18", LEGACY];

/// What is known of the two.
pub struct Up {
    /// `_meta` of every request.
    meta: String,
    /// The log level the client has set, as JSON.
    level: Option<String>,
    /// What changes the server tells of.
    changes: Vec<&'static str>,
    /// The resources the client wants to hear of.
    resources: BTreeSet<String>,
    listening: Option<Id>,
    requests: BTreeMap<String, Request>,
    /// Our questions to the client: the request they are for, and their name in it.
    questions: BTreeMap<String, (String, String)>,
    counter: Counter,
}

/// A request of the client, by the id the server knows it by.
struct Request {
    client: Id,
    message: Message,
    rounds: u32,
    /// Of a server that waits for input: its state, and the answers so far.
    state: Option<String>,
    answers: Vec<(String, String)>,
    open: usize,
}

impl Up {
    /// The `_meta` of a client, from its `initialize`.
    pub fn meta_of(initialize: &Message) -> String {
        let params = initialize.params();
        let get = |name: &str| params.as_ref().and_then(|params| params.get(name));
        let version = json::quote(MODERN);
        let mut meta = vec![(VERSION, version.as_str())];
        meta.extend(get("clientInfo").map(|info| (CLIENT_INFO, info)));
        meta.push((CLIENT_CAPABILITIES, get("capabilities").unwrap_or("{}")));
        json::object(meta)
    }

    /// From the client's `initialize` and the server's answer to `server/discover`; and the answer that the
    /// client waits for.
    pub fn new(initialize: &Message, discovery: &Message) -> (Self, String) {
        let result = discovery.member("result").and_then(Members::of);
        let get = |name: &str| result.as_ref().and_then(|result| result.get(name));
        let wanted = initialize.params().and_then(|params| params.text("protocolVersion"));
        let version = wanted.filter(|version| KNOWN.contains(&version.as_str()));
        let version = json::quote(version.as_deref().unwrap_or(LEGACY));
        let info = get("_meta").and_then(Members::of).and_then(|meta| meta.get(SERVER_INFO));
        let info = info.or(get("serverInfo")).unwrap_or(r#"{"name":"unknown","version":"0"}"#);
        let capabilities = get("capabilities").unwrap_or("{}");
        let mut opened =
            vec![("protocolVersion", version.as_str()), ("capabilities", capabilities), ("serverInfo", info)];
        opened.extend(get("instructions").map(|text| ("instructions", text)));
        let id = if let Kind::Request(id, _) = &initialize.kind { id.clone() } else { Id::of("") };
        let capabilities = Members::of(capabilities);
        let tells = |what: &str| {
            let capability = capabilities.as_ref().and_then(|all| all.object(what));
            capability.and_then(|capability| capability.get("listChanged")) == Some("true")
        };
        let changes = [
            ("tools", "toolsListChanged"),
            ("prompts", "promptsListChanged"),
            ("resources", "resourcesListChanged"),
        ];
        let up = Self {
            meta: Self::meta_of(initialize),
            level: None,
            changes: changes.into_iter().filter(|(what, _)| tells(what)).map(|(_, name)| name).collect(),
            resources: BTreeSet::new(),
            listening: None,
            requests: BTreeMap::new(),
            questions: BTreeMap::new(),
            counter: Counter::default(),
        };
        (up, message::result(&id, &json::object(opened)))
    }

    /// The client sent this.
    pub fn client_says(&mut self, message: Message) -> Steps {
        match message.kind.clone() {
            Kind::Request(id, method) => self.request(&id, &method, message),
            Kind::Notification(method) => match method.as_str() {
                "notifications/initialized" => self.listen(),
                "notifications/cancelled" => self.cancel(&message),
                // The era knows neither.
                "notifications/roots/list_changed" | "notifications/progress" => Steps::default(),
                _ => Message::own(self.with_meta(&message.text)).map(Steps::to_server).unwrap_or_default(),
            },
            Kind::Result(id) => {
                let result = message.member("result").unwrap_or("{}").to_owned();
                self.answered(&id, Ok(result))
            }
            Kind::Error(Some(id)) => {
                let error = message.member("error").unwrap_or("{}").to_owned();
                self.answered(&id, Err(error))
            }
            Kind::Error(None) => Steps::default(),
        }
    }

    fn request(&mut self, id: &Id, method: &str, message: Message) -> Steps {
        let params = message.params();
        let get = |name: &str| params.as_ref().and_then(|params| params.get(name));
        let done = || Steps::to_client(message::result(id, "{}"));
        match method {
            "ping" => done(),
            "initialize" => {
                Steps::to_client(message::error(Some(id), INVALID_REQUEST, "already initialised", None))
            }
            "logging/setLevel" => {
                self.level = get("level").map(str::to_owned);
                done()
            }
            "resources/subscribe" | "resources/unsubscribe" => {
                if let Some(uri) = get("uri").map(str::to_owned) {
                    if method == "resources/subscribe" {
                        self.resources.insert(uri);
                    } else {
                        self.resources.remove(&uri);
                    }
                }
                let mut steps = self.listen_no_more();
                steps.append(self.listen());
                steps.append(done());
                steps
            }
            _ => {
                let mut steps = self.listen_again();
                let Some(decorated) = Message::own(self.with_meta(&message.text)) else { return steps };
                let request = Request {
                    client: id.clone(),
                    message: decorated.clone(),
                    rounds: 0,
                    state: None,
                    answers: Vec::new(),
                    open: 0,
                };
                self.requests.insert(id.as_json().to_owned(), request);
                steps.to_server.push(decorated);
                steps
            }
        }
    }

    fn with_meta(&self, text: &str) -> String {
        let params = Members::of(text).and_then(|message| message.get("params")).unwrap_or("{}");
        let given = Members::of(params).and_then(|params| params.get("_meta")).unwrap_or("{}");
        let mut meta = given.to_owned();
        for (name, value) in Members::of(&self.meta).iter().flat_map(Members::iter) {
            meta = json::set(&meta, name, value);
        }
        if let Some(level) = &self.level {
            meta = json::set(&meta, LOG_LEVEL, level);
        }
        let params = json::set(params, "_meta", &meta);
        json::set(text, "params", &params)
    }

    /// The server may know the request by another id by now, or wait for the client's answers.
    fn cancel(&mut self, message: &Message) -> Steps {
        let Some(client) = message.cancels() else { return Steps::default() };
        let Some(known) = self.requests.iter().find(|(_, request)| request.client == client) else {
            return Steps::default();
        };
        let (known, is_asking) = (known.0.clone(), known.1.open > 0);
        self.requests.remove(&known);
        if is_asking {
            return self.withdraw(&known);
        }
        cancellation(&known).map(Steps::to_server).unwrap_or_default()
    }

    /// Takes back the questions that were asked for a request.
    fn withdraw(&mut self, known: &str) -> Steps {
        let mut steps = Steps::default();
        self.questions.retain(|question, (request, _)| {
            if request == known {
                steps.to_client.extend(cancellation(question).map(|message| message.text));
            }
            request != known
        });
        steps
    }

    /// The client answered a question of ours.
    fn answered(&mut self, id: &Id, answer: Result<String, String>) -> Steps {
        let Some((known, name)) = self.questions.remove(id.as_json()) else { return Steps::default() };
        let Some(request) = self.requests.get_mut(&known) else { return Steps::default() };
        request.open -= 1;
        match answer {
            Ok(result) => {
                request.answers.push((name, result));
                if request.open == 0 { self.again(&known) } else { Steps::default() }
            }
            Err(error) => {
                let id = request.client.clone();
                self.requests.remove(&known);
                let mut steps = self.withdraw(&known);
                steps.to_client.push(json::object([
                    ("jsonrpc", "\"2.0\""),
                    ("id", id.as_json()),
                    ("error", error.as_str()),
                ]));
                steps
            }
        }
    }

    /// Makes a request again, with what the server asked for.
    fn again(&mut self, known: &str) -> Steps {
        let Some(mut request) = self.requests.remove(known) else { return Steps::default() };
        let answers = std::mem::take(&mut request.answers);
        let params = request.message.member("params").unwrap_or("{}");
        let mut params = match Members::of(params) {
            Some(members) => members.without(&["inputResponses", "requestState"]),
            None => "{}".to_owned(),
        };
        let answers = answers.iter().map(|(name, answer)| (name.as_str(), answer));
        params = json::set(&params, "inputResponses", &json::object(answers));
        if let Some(state) = request.state.take() {
            params = json::set(&params, "requestState", &state);
        }
        let id = self.counter.next("again");
        let text = json::set(&json::set(&request.message.text, "params", &params), "id", id.as_json());
        let Some(message) = Message::own(text) else { return Steps::default() };
        self.requests.insert(id.as_json().to_owned(), request);
        Steps::to_server(message)
    }

    /// The server sent this.
    pub fn server_says(&mut self, message: Message) -> Steps {
        if let Some(id) = message.answers() {
            if self.listening.as_ref() == Some(id) {
                self.listening = None;
                if matches!(message.kind, Kind::Error(_)) {
                    // It does not do that; asking again and again would not help.
                    self.changes.clear();
                    self.resources.clear();
                }
                return Steps::default();
            }
            return self.result(id, &message);
        }
        match message.method() {
            Some("notifications/subscriptions/acknowledged") => Steps::default(),
            Some("notifications/cancelled")
                if message.cancels().is_some_and(|id| Some(&id) == self.listening.as_ref()) =>
            {
                self.listening = None;
                Steps::default()
            }
            _ if matches!(message.kind, Kind::Notification(_)) => Steps::to_client(message.text),
            // The era knows no requests of servers.
            _ => Steps::default(),
        }
    }

    fn result(&mut self, id: &Id, message: &Message) -> Steps {
        let known = id.as_json();
        let Some(request) = self.requests.get_mut(known) else { return Steps::default() };
        let client = request.client.clone();
        let result = message.member("result").and_then(Members::of);
        let Some(result) = result else {
            self.requests.remove(known);
            return Steps::to_client(with_id(message, &client));
        };
        match result.text("resultType").as_deref() {
            None | Some("complete") => {
                self.requests.remove(known);
                let plain = result.without(&["resultType", "ttlMs", "cacheScope"]);
                Steps::to_client(json::set(&with_id(message, &client), "result", &plain))
            }
            Some("input_required") if request.rounds < ROUNDS => {
                request.rounds += 1;
                request.state = result.get("requestState").map(str::to_owned);
                let inputs = result.object("inputRequests");
                let inputs: Vec<(&str, &str)> = inputs.iter().flat_map(Members::iter).collect();
                self.ask(known, &inputs)
            }
            Some(kind) => {
                let why = format!(
                    "the server answered with a result of the kind `{kind}`, which this client cannot take"
                );
                self.requests.remove(known);
                Steps::to_client(message::error(Some(&client), INTERNAL, &why, None))
            }
        }
    }

    /// Asks the client what the server wants to know.
    fn ask(&mut self, known: &str, inputs: &[(&str, &str)]) -> Steps {
        let mut steps = Steps::default();
        for (name, input) in inputs {
            let Some(input) = Members::of(input) else { continue };
            let Some(method) = input.text("method") else { continue };
            let id = self.counter.next("input");
            let mut params = input.get("params").map(str::to_owned);
            if let Some(text) = &params
                && let Some(members) = Members::of(text)
                && members.text("mode").as_deref() == Some("url")
                && members.get("elicitationId").is_none()
            {
                // 2025 wants one, 2026 has none.
                params = Some(json::set(text, "elicitationId", id.as_json()));
            }
            steps.to_client.push(message::request(&id, &method, params.as_deref()));
            self.questions.insert(id.as_json().to_owned(), (known.to_owned(), (*name).to_owned()));
        }
        let open = steps.to_client.len();
        if let Some(request) = self.requests.get_mut(known) {
            request.open = open;
        }
        if open == 0 { self.again(known) } else { steps }
    }

    /// Listens for changes, if there are any to listen for.
    fn listen(&mut self) -> Steps {
        if self.changes.is_empty() && self.resources.is_empty() {
            return Steps::default();
        }
        let resources =
            format!("[{}]", self.resources.iter().map(String::as_str).collect::<Vec<_>>().join(","));
        let mut wanted: Vec<(&str, &str)> = self.changes.iter().map(|change| (*change, "true")).collect();
        if !self.resources.is_empty() {
            wanted.push(("resourceSubscriptions", &resources));
        }
        let params = json::object([("notifications", json::object(wanted))]);
        let id = self.counter.next("listen");
        let listen = self.with_meta(&message::request(&id, "subscriptions/listen", Some(&params)));
        self.listening = Some(id);
        Message::own(listen).map(Steps::to_server).unwrap_or_default()
    }

    /// The same, when the server has ended the last one.
    fn listen_again(&mut self) -> Steps {
        if self.listening.is_none() { self.listen() } else { Steps::default() }
    }

    fn listen_no_more(&mut self) -> Steps {
        let cancelled = self.listening.take().and_then(|id| cancellation(id.as_json()));
        cancelled.map(Steps::to_server).unwrap_or_default()
    }
}

/// `id` is JSON.
fn cancellation(id: &str) -> Option<Message> {
    let params = json::object([("requestId", id)]);
    Message::own(message::notification("notifications/cancelled", Some(&params)))
}
