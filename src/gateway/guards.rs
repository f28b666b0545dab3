//! What watches over every request: tokens, rates, approvals, the record of it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::approvals::{Answer as Agreed, Desk, Question};
use super::caller::Caller;
use super::entrance::refusal;
use super::exchange::{Visit, json_of};
use super::house::{House, lock};
use super::ledger::{Ledger, Remember};
use super::limit::{Allowance, Limiter};
use super::page::Page;
use super::pinned::Pinned;
use super::setup::Setup;
use super::tokens::{Refused, Tokens};
use super::view::Gate;
use crate::bridge::json::{self, Members};
use crate::guard::Verdict;
use crate::store::Store;
use crate::store::db::{Call, Outcome};
use crate::system::{System, ticks};
use crate::upstream::{Answer, Envelope};

/// The longest wait for a person that a caller may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// After so many requests memory is given back.
const RUSH: u64 = 10_000;

/// What watches over every request.
pub struct Guards {
    system: Arc<dyn System>,
    ledger: Arc<Ledger>,
    tokens: Tokens,
    desk: Desk,
    limiter: Mutex<Option<Arc<Limiter>>>,
    pub(super) pinned: Pinned,
    methods: [Arc<str>; 3],
    /// How many requests there were of late.
    calls: AtomicU64,
}

/// Why a request does not go to its server.
pub enum Refusal {
    /// A policy says no.
    Denied(String),
    /// The tool is held.
    Held,
    /// The token is not good for this method.
    Scope(String),
    /// The server cannot be reached.
    Offline(String),
    /// A person must agree first; the question's id.
    Pending(String),
    /// A person said no; the question's id, and why.
    Rejected(String, Option<String>),
    /// Nobody answered in time; the question's id.
    Expired(String),
    /// Something of ours is broken.
    Broken(String),
}

impl Refusal {
    /// As the answer to the request with this id.
    pub fn response(&self, id: &str) -> Response<Page> {
        let approval = match self {
            Self::Pending(approval) | Self::Rejected(approval, _) | Self::Expired(approval) => Some(approval),
            _ => None,
        };
        let (code, word, why) = match self {
            Self::Denied(policy) => (-31003, "POLICY_DENIED", format!("the policy `{policy}` denies it")),
            Self::Held => {
                let why = "its definition is new or is not the one that was accepted; `mcpkeel lock diff` shows it, \
                           `mcpkeel lock accept` releases it";
                (-31007, "TOOL_HELD", why.to_owned())
            }
            Self::Scope(method) => {
                (-31008, "INSUFFICIENT_SCOPE", format!("the token is not good for {method}"))
            }
            Self::Offline(why) => (-31001, "SERVER_OFFLINE", why.clone()),
            Self::Pending(id) => {
                let why = format!(
                    "a person must agree: `mcpkeel approval approve {id}`, then make the same call again"
                );
                (-31004, "APPROVAL_REQUIRED", why)
            }
            Self::Rejected(_, reason) => {
                let why = reason
                    .as_ref()
                    .map_or_else(|| "a person said no".to_owned(), |why| format!("a person said no: {why}"));
                (-31005, "APPROVAL_REJECTED", why)
            }
            Self::Expired(_) => {
                (-31006, "APPROVAL_EXPIRED", "nobody agreed in time; the same call asks anew".to_owned())
            }
            Self::Broken(why) => (-32603, "INTERNAL_ERROR", why.clone()),
        };
        let status = if matches!(self, Self::Scope(_)) { StatusCode::FORBIDDEN } else { StatusCode::OK };
        let mut data = vec![("code", json::quote(word))];
        data.extend(approval.map(|id| ("approvalId", json::quote(id))));
        let message = json::quote(&format!("{word}: {why}"));
        let error =
            json::object([("code", code.to_string()), ("message", message), ("data", json::object(data))]);
        json_of(status, json::object([("jsonrpc", "\"2.0\""), ("id", id), ("error", &error)]))
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Denied(_) => Outcome::Denied,
            Self::Held => Outcome::Held,
            Self::Scope(_) => Outcome::OutOfScope,
            Self::Offline(_) => Outcome::Offline,
            Self::Pending(_) => Outcome::Parked,
            Self::Rejected(..) | Self::Expired(_) => Outcome::Rejected,
            Self::Broken(_) => Outcome::Error,
        }
    }
}

impl Guards {
    /// Opens the database, and finds the lock beside the manifest.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn open(system: &Arc<dyn System>, store: &Store, manifest: &Path, setup: &Setup) -> io::Result<Self> {
        let key = match store.known_machine_key(&**system).map_err(io::Error::other)? {
            Some(key) => key,
            None => {
                let lock =
                    store.lock(&**system, "up").map_err(|error| io::Error::other(error.to_string()))?;
                store.machine_key(&**system, &lock).map_err(io::Error::other)?
            }
        };
        let failed = |error: crate::system::FileError| io::Error::other(error.to_string());
        let remember = Remember { arguments: setup.arguments, keep: setup.keep };
        let ledger = Arc::new(Ledger::open(Arc::clone(system), store, key, remember).map_err(failed)?);
        let tokens = Tokens::open(&**system, store, key, Arc::clone(&ledger)).map_err(failed)?;
        let desk = Desk::open(Arc::clone(system), store, key, setup.expire).map_err(failed)?;
        let pinned = Pinned::beside(&**system, manifest, store).map_err(failed)?;
        let methods = ["tools/call", "resources/read", "prompts/get"].map(Into::into);
        let limiter = Mutex::new(setup.rate.map(|rate| Arc::new(Limiter::new(rate))));
        Ok(Self {
            system: Arc::clone(system),
            ledger,
            tokens,
            desk,
            limiter,
            pinned,
            methods,
            calls: AtomicU64::new(0),
        })
    }

    /// The manifest says something else now.
    pub fn set(&self, setup: &Setup, before: &Setup) {
        self.ledger.remember(Remember { arguments: setup.arguments, keep: setup.keep });
        self.desk.last(setup.expire);
        if setup.rate != before.rate {
            *lock(&self.limiter) = setup.rate.map(|rate| Arc::new(Limiter::new(rate)));
        }
    }

    /// Counts a request of a token; how many are left.
    ///
    /// # Errors
    /// The answer, when there are none left.
    pub fn count(&self, caller: &Caller) -> Result<Option<Allowance>, Box<Response<Page>>> {
        let limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(limiter) = limiter.filter(|_| caller.is_token) else { return Ok(None) };
        let allowance = limiter.take(&caller.name, ticks());
        let Some(wait) = allowance.retry_after else { return Ok(Some(allowance)) };
        let seconds = wait.as_secs_f64().ceil().max(1.0).to_string();
        let details = [("retry_after", seconds.clone())];
        let why = format!("this token may make {} requests in that time", allowance.limit);
        let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", &why, &details);
        write(allowance, response.headers_mut());
        if let Ok(seconds) = HeaderValue::try_from(seconds) {
            response.headers_mut().insert("retry-after", seconds);
        }
        Err(Box::new(response))
    }

    /// Who holds a token.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn holder(&self, house: &House, token: &str) -> Result<Arc<Caller>, String> {
        let principal = self.tokens.check(token, self.system.now()).map_err(|why| match why {
            Refused::Unknown => "this token is not known; `mcpkeel token create` makes one".to_owned(),
            Refused::Expired => "this token has expired; `mcpkeel token create` makes a new one".to_owned(),
            Refused::Revoked => "this token was revoked".to_owned(),
        })?;
        let servers = || principal.servers.as_ref().map(|servers| servers.iter().cloned().collect());
        // Its rights may have changed.
        let fits = |caller: &Caller| {
            caller.source.as_ref().is_some_and(|known| Arc::ptr_eq(known, &principal) || known == &principal)
        };
        Ok(house.caller(&principal.name, fits, |number| Caller {
            number,
            name: format!("token:{}", principal.name).into(),
            client: None,
            scopes: principal.scopes,
            servers: servers(),
            is_token: true,
            source: Some(Arc::clone(&principal)),
        }))
    }

    /// Whether there were many requests since this was asked last.
    pub fn had_a_rush(&self) -> bool {
        self.calls.swap(0, Ordering::Relaxed) > RUSH
    }

    /// Whether a caller's token is still good, with the same rights.
    pub fn knows(&self, caller: &Caller) -> bool {
        caller.source.as_ref().is_none_or(|principal| self.tokens.is_good(principal, self.system.now()))
    }

    /// Everything is written.
    pub fn finish(&self) {
        self.ledger.flush();
    }

    /// Another process has answered a question or made a token.
    pub fn look(&self) {
        self.desk.changed();
        // What cannot be read stays as it was, and is read again within a second.
        let _ = self.tokens.reload();
    }

    /// Something that a person should know.
    pub fn note(&self, message: String) {
        self.ledger.note(message);
    }

    /// Whether a request may go on; the approval that it used up.
    ///
    /// # Errors
    /// Why not.
    pub async fn pass(
        &self,
        visit: &Visit,
        gate: &Gate,
        server: &str,
        what: &str,
        envelope: &Envelope,
    ) -> Result<Option<String>, Refusal> {
        let policy = match gate {
            Gate::Open => return Ok(None),
            Gate::Denied(policy) => return Err(Refusal::Denied(policy.clone())),
            Gate::Held => return Err(Refusal::Held),
            Gate::Asks(policy) => policy,
        };
        let params = envelope.params.as_ref().map_or("{}", |params| envelope.part(params));
        let arguments = Members::of(params).and_then(|params| params.get("arguments")).unwrap_or("{}");
        let question = Question { principal: &visit.caller.name, server, tool: what, arguments, policy };
        let broken = |error: crate::system::FileError| Refusal::Broken(error.to_string());
        let mut answer = self.desk.ask(&question).map_err(broken)?;
        if let (Agreed::Pending { id }, Some(wait)) = (&answer, visit.waits) {
            answer = self.desk.wait(id, wait.min(LONGEST_WAIT)).await.map_err(broken)?;
        }
        match answer {
            Agreed::Approved { id } => Ok(Some(id)),
            Agreed::Pending { id } => Err(Refusal::Pending(id)),
            Agreed::Rejected { id, reason } => Err(Refusal::Rejected(id, reason)),
            Agreed::Expired { id } => Err(Refusal::Expired(id)),
            Agreed::TooMany => {
                Err(Refusal::Broken("too many questions of this caller wait for a person already".to_owned()))
            }
        }
    }

    /// A request begins.
    pub fn begin(
        self: &Arc<Self>,
        caller: &Caller,
        server: &Arc<str>,
        method: &str,
        what: &Arc<str>,
        envelope: &Envelope,
    ) -> Meter {
        let params = envelope.params.as_ref().map(|params| envelope.part(params));
        let arguments = match method {
            "tools/call" => params.and_then(Members::of).and_then(|params| params.get("arguments")),
            _ => None,
        };
        let call = Call {
            at: self.system.now(),
            principal: Arc::clone(&caller.name),
            client: caller.client.clone(),
            method: self.method(method),
            server: Arc::clone(server),
            name: Arc::clone(what),
            verdict: Verdict::Allow,
            policy: None,
            approval: None,
            arguments: arguments.map(Into::into),
            outcome: Outcome::Cancelled,
            bytes_in: params.map_or(0, str::len) as u64,
            bytes_out: 0,
            took: Duration::ZERO,
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        Meter { guards: Arc::clone(self), call: Some(call), began: ticks() }
    }

    /// The name of a method; those that are asked for most are made once.
    fn method(&self, method: &str) -> Arc<str> {
        let known = self.methods.iter().find(|known| &***known == method);
        known.map_or_else(|| method.into(), Arc::clone)
    }

    /// A request for something that this caller does not have.
    pub fn unknown(self: &Arc<Self>, caller: &Caller, method: &str, envelope: &Envelope) {
        let name = envelope.members().and_then(|params| params.text("name").or_else(|| params.text("uri")));
        let mut meter = self.begin(caller, &"".into(), method, &name.unwrap_or_default().into(), envelope);
        meter.end(Outcome::Unknown, 0);
    }
}

/// What is left, as headers.
pub fn write(allowance: Allowance, headers: &mut HeaderMap) {
    let reset = allowance.reset.as_secs_f64().ceil() as u64;
    for (name, value) in [
        ("x-ratelimit-limit", u64::from(allowance.limit)),
        ("x-ratelimit-remaining", u64::from(allowance.remaining)),
        ("x-ratelimit-reset", reset),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

/// Measures one request, and writes the record of it; one that is dropped was taken back.
pub struct Meter {
    guards: Arc<Guards>,
    call: Option<Call>,
    began: Duration,
}

impl Meter {
    /// It may go on, by this approval.
    pub fn approved(&mut self, gate: &Gate, approval: Option<String>) {
        if let (Some(call), Gate::Asks(policy)) = (&mut self.call, gate) {
            call.verdict = Verdict::RequireApproval;
            call.policy = Some(policy.as_str().into());
            call.approval = approval.map(Into::into);
        }
    }

    /// It may not.
    pub fn refused(mut self, gate: &Gate, refusal: &Refusal) {
        if let Some(call) = &mut self.call {
            (call.verdict, call.policy) = match gate {
                Gate::Asks(policy) => (Verdict::RequireApproval, Some(policy.as_str().into())),
                Gate::Denied(policy) => (Verdict::Deny, Some(policy.as_str().into())),
                Gate::Held => (Verdict::Deny, None),
                Gate::Open => (Verdict::Allow, None),
            };
            call.approval = match refusal {
                Refusal::Pending(id) | Refusal::Rejected(id, _) | Refusal::Expired(id) => {
                    Some(id.as_str().into())
                }
                _ => None,
            };
        }
        self.end(refusal.outcome(), 0);
    }

    /// It was answered.
    pub fn answered(mut self, answer: &Answer) {
        let result = answer.result.clone().map(|result| &answer.text[result]);
        let outcome = match result {
            None if answer.is_real => Outcome::Error,
            None => Outcome::Offline,
            Some(result) if says_error(result) => Outcome::ToolError,
            Some(_) => Outcome::Ok,
        };
        self.end(outcome, result.map_or(0, str::len) as u64);
    }

    /// No answer came in time.
    pub fn timed_out(mut self) {
        self.end(Outcome::TimedOut, 0);
    }

    /// It could not be asked.
    pub fn failed(mut self) {
        self.end(Outcome::Offline, 0);
    }

    fn end(&mut self, outcome: Outcome, bytes_out: u64) {
        if let Some(mut call) = self.call.take() {
            call.outcome = outcome;
            call.bytes_out = bytes_out;
            call.took = ticks().saturating_sub(self.began);
            self.guards.ledger.record(call);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled, 0);
    }
}

/// Whether a tool says that it failed; most results are told apart without being read.
fn says_error(result: &str) -> bool {
    memchr::memmem::find(result.as_bytes(), b"isError").is_some()
        && Members::of(result).is_some_and(|result| result.get("isError") == Some("true"))
}
