//! A client of 2026-07-28 and a server of 2025.
//!
//! The handshake is made in the client's place. A question of the server becomes the result of a request that
//! is under way, and the request that comes back with the answer waits for the server's result in its place.
//! What a listener asked for is picked out of what the server tells everyone.

use std::collections::{BTreeMap, BTreeSet};

use super::super::json::{self, Members};
use super::super::link::Origin;
use super::super::message::{self, INTERNAL, INVALID_PARAMS, Id, Kind, Message};
use super::super::middle::Steps;
use super::super::mirror::VERSION;
use super::{
    CLIENT_CAPABILITIES, CLIENT_INFO, Counter, LEGACY, LOG_LEVEL, MODERN, SERVER_INFO, SUBSCRIPTION, with_id,
};

/// Requests whose result may ask for input.
const ASKING: &[&str] = &["tools/call", "prompts/get", "resources/read"];

/// Requests whose result says how long it may be kept.
const CACHED: &[&str] = &[
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "server/discover",
];

/// The changes that can be listened for: their capability, the name in a filter, and the notification.
const CHANGES: &[(&str, &str, &str)] = &[
    ("tools", "toolsListChanged", "notifications/tools/list_changed"),
    ("prompts", "promptsListChanged", "notifications/prompts/list_changed"),
    ("resources", "resourcesListChanged", "notifications/resources/list_changed"),
];

/// What is known of the two.
pub struct Down {
    capabilities: String,
    info: String,
    instructions: Option<String>,
    /// The log level the server was told, as JSON.
    level: Option<String>,
    /// By the id the server knows it by, as JSON.
    requests: BTreeMap<String, Request>,
    /// Questions of the server that the client was told of, by the state it will give back.
    told: BTreeMap<String, Told>,
    listeners: Vec<Listener>,
    counter: Counter,
}

/// A request of the client.
struct Request {
    /// None while the client has a question to answer.
    client: Option<Id>,
    method: String,
    /// The server's answer, when it came while the client had a question to answer.
    answer: Option<Message>,
    /// Questions of the server that the client has not been told of.
    questions: Vec<Asked>,
    /// Counts up, to find the newest.
    number: u64,
}

/// A question of the server: its id, and the whole of it.
struct Asked(Id, Message);

/// Questions the client was told of, and the request they came with.
struct Told {
    request: String,
    /// Their names, and the ids the server knows them by.
    questions: Vec<(String, Id)>,
}

/// A `subscriptions/listen` of the client.
struct Listener {
    id: Id,
    notifications: BTreeSet<&'static str>,
    resources: BTreeSet<String>,
}

impl Down {
    /// The `initialize` that stands for a client's first request.
    pub fn initialize(id: &Id, first: &Message) -> String {
        let params = first.params();
        let meta = params.as_ref().and_then(|params| params.object("_meta"));
        let get = |name: &str| meta.as_ref().and_then(|meta| meta.get(name));
        let version = json::quote(LEGACY);
        let params = json::object([
            ("protocolVersion", version.as_str()),
            ("capabilities", get(CLIENT_CAPABILITIES).unwrap_or("{}")),
            ("clientInfo", get(CLIENT_INFO).unwrap_or(r#"{"name":"mcpkeel","version":"0"}"#)),
        ]);
        message::request(id, "initialize", Some(&params))
    }

    /// From the server's answer to that.
    pub fn new(opened: &Message) -> Self {
        let result = opened.member("result").and_then(Members::of);
        let get = |name: &str| result.as_ref().and_then(|result| result.get(name)).map(str::to_owned);
        Self {
            capabilities: get("capabilities").unwrap_or_else(|| "{}".to_owned()),
            info: get("serverInfo").unwrap_or_else(|| r#"{"name":"unknown","version":"0"}"#.to_owned()),
            instructions: get("instructions"),
            level: None,
            requests: BTreeMap::new(),
            told: BTreeMap::new(),
            listeners: Vec::new(),
            counter: Counter::default(),
        }
    }

    /// The client sent this.
    pub fn client_says(&mut self, message: Message) -> Steps {
        match message.kind.clone() {
            Kind::Request(id, method) => match method.as_str() {
                "server/discover" => Steps::to_client(message::result(&id, &self.discovered())),
                "subscriptions/listen" => self.listen(id, &message),
                _ => self.request(id, method, &message),
            },
            Kind::Notification(method) if method == "notifications/cancelled" => self.cancel(&message),
            Kind::Notification(_) => without_era(&message).map(Steps::to_server).unwrap_or_default(),
            // The era knows no answers of clients.
            Kind::Result(_) | Kind::Error(_) => Steps::default(),
        }
    }

    fn discovered(&self) -> String {
        let mut result = json::object([
            ("supportedVersions", format!("[{}]", json::quote(MODERN))),
            ("capabilities", self.capabilities.clone()),
        ]);
        if let Some(instructions) = &self.instructions {
            result = json::set(&result, "instructions", instructions);
        }
        self.completed(&result, "server/discover")
    }

    /// A result with what 2026 wants in it.
    fn completed(&self, result: &str, method: &str) -> String {
        let Some(members) = Members::of(result) else { return result.to_owned() };
        let mut completed = result.to_owned();
        let mut add = |name: &str, value: &str| {
            if members.get(name).is_none() {
                completed = json::set(&completed, name, value);
            }
        };
        add("resultType", "\"complete\"");
        if CACHED.contains(&method) {
            add("ttlMs", "0");
            add("cacheScope", "\"private\"");
        }
        let meta = json::set(members.get("_meta").unwrap_or("{}"), SERVER_INFO, &self.info);
        json::set(&completed, "_meta", &meta)
    }

    fn request(&mut self, id: Id, method: String, message: &Message) -> Steps {
        let params = message.params();
        let state = params.as_ref().and_then(|params| params.text("requestState"));
        if let Some(state) = state {
            return self.resume(
                id,
                &state,
                params.as_ref().and_then(|params| params.object("inputResponses")),
            );
        }
        let level = params.and_then(|params| params.object("_meta")?.get(LOG_LEVEL).map(str::to_owned));
        let mut steps = self.set_level(level);
        let Some(plain) = without_era(message) else { return steps };
        let request = Request {
            client: Some(id.clone()),
            method,
            answer: None,
            questions: Vec::new(),
            number: self.counter.count(),
        };
        self.requests.insert(id.as_json().to_owned(), request);
        steps.to_server.push(plain);
        steps
    }

    /// Each request may ask for a level; the server keeps the last.
    fn set_level(&mut self, level: Option<String>) -> Steps {
        let can_log = Members::of(&self.capabilities).is_some_and(|all| all.get("logging").is_some());
        if !can_log || level.is_none() || level == self.level {
            return Steps::default();
        }
        self.level = level;
        let params = json::object([("level", self.level.as_deref().unwrap_or("\"info\""))]);
        let id = self.counter.next("level");
        Message::own(message::request(&id, "logging/setLevel", Some(&params)))
            .map(Steps::to_server)
            .unwrap_or_default()
    }

    /// A request comes back with the answers to the server's questions.
    fn resume(&mut self, id: Id, state: &str, answers: Option<Members>) -> Steps {
        let Some(Told { request: known, questions }) = self.told.remove(state) else {
            return Steps::to_client(message::error(Some(&id), INVALID_PARAMS, "unknown requestState", None));
        };
        let mut steps = Steps::default();
        for (name, question) in questions {
            let answer = match answers.as_ref().and_then(|answers| answers.get(&name)) {
                Some(answer) => message::result(&question, answer),
                None => message::error(Some(&question), INTERNAL, "the client gave no answer", None),
            };
            steps.to_server.extend(Message::own(answer));
        }
        let Some(request) = self.requests.get_mut(&known) else { return steps };
        request.client = Some(id);
        if let Some(answer) = request.answer.take() {
            steps.append(self.answered(&known, answer));
        } else if !request.questions.is_empty() {
            steps.append(self.tell(&known));
        }
        steps
    }

    fn cancel(&mut self, message: &Message) -> Steps {
        let Some(id) = message.cancels() else { return Steps::default() };
        if let Some(at) = self.listeners.iter().position(|listener| listener.id == id) {
            let gone = self.listeners.remove(at);
            let still = |uri: &String| self.listeners.iter().any(|other| other.resources.contains(uri));
            let unwanted: Vec<String> = gone.resources.into_iter().filter(|uri| !still(uri)).collect();
            return self.subscriptions("resources/unsubscribe", &unwanted);
        }
        let known = self.requests.iter().find(|(_, request)| request.client.as_ref() == Some(&id));
        let Some(known) = known.map(|(known, _)| known.clone()) else { return Steps::default() };
        self.requests.remove(&known);
        let Some(params) = message.member("params") else { return Steps::default() };
        let text =
            message::notification("notifications/cancelled", Some(&json::set(params, "requestId", &known)));
        Message::own(text).map(Steps::to_server).unwrap_or_default()
    }

    fn listen(&mut self, id: Id, message: &Message) -> Steps {
        let wanted = message.params().and_then(|params| params.object("notifications"));
        let wants = |name: &str| wanted.as_ref().and_then(|wanted| wanted.get(name));
        let capabilities = Members::of(&self.capabilities);
        let can = |what: &str, how: &str| {
            let capability = capabilities.as_ref().and_then(|all| all.object(what));
            capability.and_then(|capability| capability.get(how)) == Some("true")
        };
        let agreed: Vec<_> = CHANGES
            .iter()
            .filter(|(what, name, _)| wants(name) == Some("true") && can(what, "listChanged"))
            .collect();
        let uris = wants("resourceSubscriptions").filter(|_| can("resources", "subscribe"));
        let uris: Vec<String> =
            uris.and_then(json::elements).unwrap_or_default().iter().map(|uri| (*uri).to_owned()).collect();
        let mut filter: Vec<(&str, String)> =
            agreed.iter().map(|(_, name, _)| (*name, "true".to_owned())).collect();
        if !uris.is_empty() {
            filter.push(("resourceSubscriptions", format!("[{}]", uris.join(","))));
        }
        let meta = json::object([(SUBSCRIPTION, id.as_json())]);
        let params = json::object([("_meta", meta), ("notifications", json::object(filter))]);
        let mut steps = Steps::to_client(message::notification(
            "notifications/subscriptions/acknowledged",
            Some(&params),
        ));
        let heard = |uri: &String| self.listeners.iter().any(|other| other.resources.contains(uri));
        let new: Vec<String> = uris.iter().filter(|uri| !heard(uri)).cloned().collect();
        let notifications = agreed.iter().map(|(_, _, notification)| *notification).collect();
        self.listeners.push(Listener { id, notifications, resources: uris.into_iter().collect() });
        steps.append(self.subscriptions("resources/subscribe", &new));
        steps
    }

    /// `uris` are JSON.
    fn subscriptions(&mut self, method: &str, uris: &[String]) -> Steps {
        let mut steps = Steps::default();
        for uri in uris {
            let id = self.counter.next("subscription");
            steps.to_server.extend(Message::own(message::request(
                &id,
                method,
                Some(&json::object([("uri", uri)])),
            )));
        }
        steps
    }

    /// The server, or the transport in its place, sent this.
    pub fn server_says(&mut self, message: Message, origin: &Origin) -> Steps {
        match message.kind.clone() {
            Kind::Result(id) | Kind::Error(Some(id)) => {
                let known = id.as_json().to_owned();
                self.answered(&known, message)
            }
            Kind::Error(None) => Steps::default(),
            Kind::Request(id, method) => match method.as_str() {
                "ping" => Message::own(message::result(&id, "{}")).map(Steps::to_server).unwrap_or_default(),
                _ => self.asked(id, message, origin),
            },
            Kind::Notification(method) => self.told_everyone(&method, message),
        }
    }

    fn answered(&mut self, known: &str, answer: Message) -> Steps {
        let Some(request) = self.requests.get_mut(known) else { return Steps::default() };
        let Some(client) = request.client.clone() else {
            request.answer = Some(answer);
            return Steps::default();
        };
        let method = request.method.clone();
        self.requests.remove(known);
        let mut text = with_id(&answer, &client);
        if let Some(result) = answer.member("result") {
            text = json::set(&text, "result", &self.completed(result, &method));
        } else if let Some(error) = answer.member("error")
            && Members::of(error).and_then(|error| error.get("code")) == Some("-32002")
        {
            // What 2025 has for a resource that is not there.
            text = json::set(&text, "error", &json::set(error, "code", &INVALID_PARAMS.to_string()));
        }
        Steps::to_client(text)
    }

    /// The server wants to know something: of the request it names, else of the newest one.
    fn asked(&mut self, id: Id, question: Message, origin: &Origin) -> Steps {
        let named = match origin {
            Origin::Server(Some(about)) => {
                self.requests.contains_key(about.as_json()).then(|| about.as_json().to_owned())
            }
            _ => None,
        };
        let can_ask = |(_, request): &(&String, &Request)| ASKING.contains(&request.method.as_str());
        let newest = || {
            let newest = self.requests.iter().filter(can_ask);
            newest
                .max_by_key(|(_, request)| (request.client.is_some(), request.number))
                .map(|(known, _)| known.clone())
        };
        let Some(known) = named.or_else(newest) else {
            let why = "there is no request under way that could carry the question";
            let answer = message::error(Some(&id), INTERNAL, why, None);
            return Message::own(answer).map(Steps::to_server).unwrap_or_default();
        };
        if let Some(request) = self.requests.get_mut(&known) {
            request.questions.push(Asked(id, question));
            if request.client.is_some() {
                return self.tell(&known);
            }
        }
        Steps::default()
    }

    /// Tells the client what the server wants to know.
    fn tell(&mut self, known: &str) -> Steps {
        let Some(request) = self.requests.get_mut(known) else { return Steps::default() };
        let Some(client) = request.client.take() else { return Steps::default() };
        let mut inputs = Vec::new();
        let mut questions = Vec::new();
        for (number, Asked(id, question)) in std::mem::take(&mut request.questions).into_iter().enumerate() {
            let Some(method) = question.member("method") else { continue };
            let mut input = vec![("method", method)];
            input.extend(question.member("params").map(|params| ("params", params)));
            let name = format!("input-{}", number + 1);
            inputs.push((name.clone(), json::object(input)));
            questions.push((name, id));
        }
        let state = self.counter.next_text("state");
        let inputs = json::object(inputs.iter().map(|(name, input)| (name.as_str(), input)));
        let quoted = json::quote(&state);
        let result = json::object([
            ("resultType", "\"input_required\""),
            ("inputRequests", inputs.as_str()),
            ("requestState", quoted.as_str()),
        ]);
        self.told.insert(state, Told { request: known.to_owned(), questions });
        Steps::to_client(message::result(&client, &result))
    }

    fn told_everyone(&mut self, method: &str, message: Message) -> Steps {
        let is_change = CHANGES.iter().any(|(_, _, notification)| *notification == method);
        if is_change || method == "notifications/resources/updated" {
            let params = message.member("params").unwrap_or("{}");
            let uri = Members::of(params).and_then(|params| params.get("uri"));
            let meta = Members::of(params).and_then(|params| params.get("_meta")).unwrap_or("{}");
            let hears = |listener: &&Listener| {
                listener.notifications.contains(method)
                    || uri.is_some_and(|uri| listener.resources.contains(uri))
            };
            let copy = |listener: &Listener| {
                let meta = json::set(meta, SUBSCRIPTION, listener.id.as_json());
                message::notification(method, Some(&json::set(params, "_meta", &meta)))
            };
            let to_client = self.listeners.iter().filter(hears).map(copy).collect();
            return Steps { to_client, ..Steps::default() };
        }
        match method {
            // Nobody asked for it.
            "notifications/message" if self.level.is_none() => Steps::default(),
            // The client cannot take back what it was told; its answer will find nobody.
            "notifications/cancelled" => {
                if let Some(id) = message.cancels() {
                    for request in self.requests.values_mut() {
                        request.questions.retain(|Asked(question, _)| *question != id);
                    }
                }
                Steps::default()
            }
            _ => Steps::to_client(message.text),
        }
    }
}

impl Counter {
    fn count(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Without what only 2026 has in `_meta`.
fn without_era(message: &Message) -> Option<Message> {
    let own = &[VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, LOG_LEVEL];
    let params = message.member("params").unwrap_or("{}");
    let Some(meta) = Members::of(params).and_then(|params| params.object("_meta")) else {
        return Some(message.clone());
    };
    let meta = meta.without(own);
    let params = if meta == "{}" {
        Members::of(params)?.without(&["_meta"])
    } else {
        json::set(params, "_meta", &meta)
    };
    Message::own(json::set(&message.text, "params", &params))
}
