//! What watches over every request: rights, policies, approvals, the record of it.

use std::sync::Arc;

use hyper::{Response, StatusCode};

use super::caller::Caller;
use super::exchange::{Visit, json_of};
use super::house::House;
use super::page::Page;
use super::view::Gate;
use crate::bridge::json;
use crate::upstream::{Answer, Envelope};

/// What watches over every request.
pub struct Guards {}

/// How many requests a caller has left.
pub struct Rate {}

impl Rate {
    /// As headers.
    pub fn write(&self, _headers: &mut hyper::header::HeaderMap) {}
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
}

impl Refusal {
    /// As the answer to the request with this id.
    pub fn response(&self, id: &str) -> Response<Page> {
        let (code, word, why, status) = match self {
            Self::Denied(policy) => {
                (-31003, "POLICY_DENIED", format!("the policy `{policy}` denies it"), StatusCode::OK)
            }
            Self::Held => (
                -31007,
                "TOOL_HELD",
                "the tool is held: its definition is not the one that was accepted; `mcpkeel lock diff` shows it"
                    .to_owned(),
                StatusCode::OK,
            ),
            Self::Scope(method) => (
                -31008,
                "INSUFFICIENT_SCOPE",
                format!("the token is not good for {method}"),
                StatusCode::FORBIDDEN,
            ),
            Self::Offline(why) => (-31001, "SERVER_OFFLINE", why.clone(), StatusCode::OK),
        };
        let data = json::object([("code", json::quote(word))]);
        let message = json::quote(&format!("{word}: {why}"));
        let error = json::object([("code", code.to_string()), ("message", message), ("data", data)]);
        json_of(status, json::object([("jsonrpc", "\"2.0\""), ("id", id), ("error", &error)]))
    }
}

impl Guards {
    /// Opens the database.
    pub fn open(
        _system: &Arc<dyn crate::system::System>,
        _store: &crate::store::Store,
        _setup: &super::Setup,
    ) -> Result<Self, String> {
        Ok(Self {})
    }

    /// Counts a request of a caller; how many are left.
    ///
    /// # Errors
    /// The answer, when there are none left.
    pub fn count(&self, _house: &House, _caller: &Caller) -> Result<Option<Rate>, Box<Response<Page>>> {
        Ok(None)
    }

    /// Who holds a token.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn holder(&self, house: &House, _token: &str) -> Result<Arc<Caller>, String> {
        Ok(house.caller(
            "token:x",
            |_| true,
            |number| Caller {
                number,
                name: "token:x".to_owned(),
                client: None,
                scopes: crate::guard::Scopes::ALL,
                servers: None,
            },
        ))
    }

    /// Everything is written.
    pub fn finish(&self) {}

    /// A request begins.
    pub fn begin(
        &self,
        _caller: &Caller,
        _server: &str,
        _method: &str,
        _what: &str,
        _envelope: &Envelope,
    ) -> Meter {
        Meter {}
    }

    /// Whether it may go on.
    ///
    /// # Errors
    /// Why not.
    pub async fn pass(
        &self,
        _house: &Arc<House>,
        _visit: &Visit,
        gate: &Gate,
        _is_call: bool,
        _server: &str,
        _what: &str,
        _envelope: &Envelope,
    ) -> Result<Option<String>, Refusal> {
        match gate {
            Gate::Open | Gate::Asks(_) => Ok(None),
            Gate::Denied(policy) => Err(Refusal::Denied(policy.clone())),
            Gate::Held => Err(Refusal::Held),
        }
    }
}

/// Measures one request, and writes the record of it.
pub struct Meter {}

impl Meter {
    /// It may go on, by this approval.
    pub fn approved(&mut self, _gate: &Gate, _approval: Option<String>) {}
    /// It may not.
    pub fn refused(self, _gate: &Gate, _refusal: &Refusal) {}
    /// It was answered.
    pub fn answered(self, _answer: &Answer) {}
    /// It came to nothing.
    pub fn failed(self) {}
}
