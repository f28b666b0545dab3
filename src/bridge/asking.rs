//! A client of our own, that asks the gateway one thing after the other.
//!
//! It stands at the client's end of a bridge, so that what the transport does for clients it does for us.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;

use super::lines::{Line, Lines};
use super::link::Note;
use super::message::{self, Id, Kind, Message};
use super::{Bridge, Near, Upstream, eras, json};
use crate::clients::Filter;

/// How much may wait in either direction, in bytes.
const ROOM: usize = 64 << 10;

/// The client.
pub struct Asking {
    to: DuplexStream,
    from: Lines<DuplexStream>,
    next: u64,
}

/// Why there is no result.
pub enum Unanswered {
    /// The server says so: the error object, as JSON.
    Refused(String),
    /// No answer came in time.
    Silent,
    /// The connection is gone.
    Lost,
}

/// Does some work with a client that was greeted.
///
/// # Errors
/// When the greeting was refused, or nobody is there; the text says what to do.
pub fn consult<T>(near: Near, name: &str, work: impl AsyncFnOnce(&mut Asking) -> T) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let (to, input) = tokio::io::duplex(ROOM);
        let (output, from) = tokio::io::duplex(ROOM);
        // What is remarked about trouble stands in the answer, too.
        let note: Note = std::sync::Arc::new(|_| {});
        let bridge =
            Bridge { name: name.to_owned(), upstream: Upstream::Near(near), tools: Filter::default() };
        let bridge = tokio::spawn(super::bridge(bridge, input, output, note, std::future::pending()));
        let mut asking = Asking { to, from: Lines::new(from), next: 0 };
        asking.greet().await?;
        let done = work(&mut asking).await;
        drop(asking);
        // It says goodbye to the server, which ends the session.
        bridge.await.map_err(io::Error::other)??;
        Ok(done)
    });
    runtime.shutdown_background();
    outcome
}

impl Asking {
    async fn greet(&mut self) -> io::Result<()> {
        let info = json::object([
            ("name", json::quote("mcpkeel")),
            ("version", json::quote(env!("CARGO_PKG_VERSION"))),
        ]);
        let params = json::object([
            ("protocolVersion", json::quote(eras::LEGACY)),
            ("capabilities", "{}".to_owned()),
            ("clientInfo", info),
        ]);
        match self.ask("initialize", &params, None).await {
            Ok(_) => self.tell("notifications/initialized", None).await,
            Err(Unanswered::Refused(error)) => {
                let text = json::Members::of(&error).and_then(|error| error.text("message"));
                Err(io::Error::other(text.unwrap_or(error)))
            }
            Err(Unanswered::Silent | Unanswered::Lost) => Err(io::Error::other("it says nothing")),
        }
    }

    /// Asks; the result as JSON. `params` is JSON. A question that is not answered in time is taken back.
    ///
    /// # Errors
    /// When there is no result.
    pub async fn ask(
        &mut self,
        method: &str,
        params: &str,
        patience: Option<Duration>,
    ) -> Result<String, Unanswered> {
        self.next += 1;
        let Some(id) = Id::read(&self.next.to_string()) else { return Err(Unanswered::Lost) };
        self.say(message::request(&id, method, Some(params))).await.map_err(|_| Unanswered::Lost)?;
        let answer = self.answer(&id);
        let answer = match patience {
            Some(patience) => timeout(patience, answer).await,
            None => Ok(answer.await),
        };
        if answer.is_err() {
            let params = json::object([("requestId", id.as_json())]);
            // Who does not answer may not read either.
            let _ = self.tell("notifications/cancelled", Some(&params)).await;
        }
        let answer = answer.map_err(|_| Unanswered::Silent)?.ok_or(Unanswered::Lost)?;
        let part = |name| answer.member(name).unwrap_or("null").to_owned();
        match answer.kind {
            Kind::Error(_) => Err(Unanswered::Refused(part("error"))),
            _ => Ok(part("result")),
        }
    }

    async fn answer(&mut self, id: &Id) -> Option<Message> {
        loop {
            let Line::Text(line) = self.from.next().await.ok()?? else { continue };
            let text = String::from_utf8_lossy(&line).into_owned();
            for message in Message::read(&text).into_iter().flatten() {
                match &message.kind {
                    Kind::Result(_) | Kind::Error(_) if message.answers() == Some(id) => {
                        return Some(message);
                    }
                    Kind::Request(asked, method) => {
                        let answer = match method.as_str() {
                            "ping" => message::result(asked, "{}"),
                            _ => message::error(Some(asked), -32601, "this client cannot do that", None),
                        };
                        self.say(answer).await.ok()?;
                    }
                    // Nothing that is said by the way is waited for.
                    _ => {}
                }
            }
        }
    }

    async fn tell(&mut self, method: &str, params: Option<&str>) -> io::Result<()> {
        self.say(message::notification(method, params)).await
    }

    async fn say(&mut self, text: String) -> io::Result<()> {
        let mut line = text.into_bytes();
        line.push(b'\n');
        self.to.write_all(&line).await
    }
}
