use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::ear::{self, Answer, Ear, Mouth, Told};
use super::envelope::{Envelope, Kind, with};
use super::open::{Opening, Openings, Out};
use crate::bridge::json;
use crate::bridge::message::{self, UNREACHABLE};
use crate::system::ticks;

/// Which era a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// With a handshake, up to 2025-11-25.
    Legacy,
    /// Without, since 2026-07-28.
    Modern,
}

/// Gets what a server says by itself, in order. Must not block.
pub type Hear = Arc<dyn Fn(Heard) + Send + Sync>;

/// What a server said by itself.
pub enum Heard {
    /// It wants no answer; with the callers whose requests are under way.
    Notification(Envelope, Vec<Mouth>),
    /// It wants an answer, by [`Peer::tell`]; and the callers it can be meant for: the one on whose request it
    /// came, else all whose requests are under way.
    Request(Envelope, Vec<Mouth>),
    /// Something that is not a message, in a sentence: for the log.
    Fault(String),
}

/// No answer came in time.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

/// The server cannot be asked any more; the sentence says why.
#[derive(Clone, Debug)]
pub struct Gone(pub String);

/// What is asked.
pub struct Question<'a> {
    /// The whole request, on one line.
    pub text: &'a str,
    /// Where its id is.
    pub id: Range<usize>,
    /// Where its progress token is, if it has one.
    pub token: Option<Range<usize>>,
    /// Other parts to replace.
    pub edits: Vec<(Range<usize>, String)>,
    /// Who asks.
    pub caller: u64,
}

/// A server that was greeted.
pub struct Peer {
    pub(super) name: String,
    pub(super) out: Out,
    pub(super) hear: Hear,
    pub(super) openings: OnceLock<Openings>,
    table: Mutex<Table>,
    gone: watch::Sender<Option<String>>,
}

#[derive(Default)]
struct Table {
    last: u64,
    asked: HashMap<u64, Asked>,
    used: Duration,
}

/// A request under way.
struct Asked {
    mouth: Mouth,
    /// Its id and its progress token as the caller wrote them.
    id: String,
    token: Option<String>,
}

impl Peer {
    pub(super) fn new(name: &str, out: Out, hear: Hear) -> Arc<Self> {
        let table = Mutex::new(Table { used: ticks(), ..Table::default() });
        let (gone, _) = watch::channel(None);
        Arc::new(Self { name: name.to_owned(), out, hear, openings: OnceLock::new(), table, gone })
    }

    /// Its era; the newer one of two.
    pub fn era(&self) -> Era {
        if self.speaks(Era::Modern) { Era::Modern } else { Era::Legacy }
    }

    /// Whether it speaks this era.
    pub fn speaks(&self, era: Era) -> bool {
        self.openings.get().is_some_and(|openings| match era {
            Era::Modern => openings.modern.is_some(),
            Era::Legacy => openings.legacy.is_some(),
        })
    }

    /// Whether it speaks 2026's way as well, but only on a line of its own.
    pub fn wants_twin(&self) -> bool {
        self.openings.get().is_some_and(|openings| openings.wants_twin)
    }

    /// What it said of itself.
    pub fn opening(&self) -> &Opening {
        static NOTHING: OnceLock<Opening> = OnceLock::new();
        let openings = self.openings.get();
        let said = openings.and_then(|openings| openings.modern.as_ref().or(openings.legacy.as_ref()));
        said.unwrap_or_else(|| NOTHING.get_or_init(Opening::default))
    }

    /// Its name and version as it says them, such as `everything 1.0.0`.
    pub fn says_it_is(&self) -> String {
        let info = json::Members::of(&self.opening().info);
        let get = |name: &str| info.as_ref().and_then(|info| info.text(name)).unwrap_or_default();
        format!("{} {}", get("name"), get("version")).trim().to_owned()
    }

    /// Asks something. Dropping the ear does not take the question back; [`Peer::cancel`] does.
    ///
    /// # Errors
    /// When the server cannot be asked any more.
    pub fn ask(&self, question: Question<'_>) -> Result<(u64, Ear), Gone> {
        let (mouth, ear) = ear::pair(question.caller);
        let text = question.text;
        let number = {
            let mut table = self.lock();
            table.last += 1;
            // What we ask by ourselves is no use of it.
            if question.caller != 0 {
                table.used = ticks();
            }
            let id = text[question.id.clone()].to_owned();
            let token = question.token.clone().map(|token| text[token].to_owned());
            let number = table.last;
            table.asked.insert(number, Asked { mouth, id, token });
            number
        };
        let own = number.to_string();
        let mut edits: Vec<(Range<usize>, &str)> = vec![(question.id, &own)];
        edits.extend(question.token.map(|token| (token, own.as_str())));
        edits.extend(question.edits.iter().map(|(range, new)| (range.clone(), new.as_str())));
        if let Err(error) = self.out.send(with(text, &mut edits)) {
            self.lock().asked.remove(&number);
            let why = self.why_gone().unwrap_or_else(|| match error.kind() {
                std::io::ErrorKind::BrokenPipe => format!("`{}` ended", self.name),
                _ => format!("`{}` cannot be asked: {error}", self.name),
            });
            return Err(Gone(why));
        }
        if let Some(why) = self.why_gone() {
            self.lock().asked.remove(&number);
            return Err(Gone(why));
        }
        Ok((number, ear))
    }

    /// Takes a question back: the server is told, and no answer comes.
    pub fn cancel(&self, number: u64, reason: &str) {
        let asked = self.lock().asked.remove(&number);
        if let Some(Asked { mouth, .. }) = asked {
            mouth.end();
            let params = json::object([("requestId", number.to_string()), ("reason", json::quote(reason))]);
            self.tell(message::notification("notifications/cancelled", Some(&params)));
        }
    }

    /// Says something that wants no answer, or answers.
    pub fn tell(&self, text: String) {
        // A server that is gone hears nothing; whoever waits for it is told so.
        let _ = self.out.send(text);
    }

    /// Asks something of our own that only the older era has. Returns the result.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    pub async fn request_older(
        &self,
        method: &str,
        params: &str,
        patience: Duration,
    ) -> Result<String, String> {
        self.ask_own(&message::request(&message::Id::of("mcpkeel"), method, Some(params)), method, patience)
            .await
    }

    /// Asks something of our own. Returns the result.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    pub async fn request(
        &self,
        method: &str,
        params: Option<&str>,
        patience: Duration,
    ) -> Result<String, String> {
        let text = self.dressed(&message::request(&message::Id::of("mcpkeel"), method, params));
        self.ask_own(&text, method, patience).await
    }

    async fn ask_own(&self, text: &str, method: &str, patience: Duration) -> Result<String, String> {
        let answer = self.question_with(text, patience).await.map_err(|why| match why {
            Unanswered::Silent => format!("`{}` did not answer {method} in time", self.name),
            Unanswered::Gone(why) => why,
        })?;
        match &answer.result {
            Some(result) => Ok(answer.text[result.clone()].to_owned()),
            None => {
                let members = json::Members::of(&answer.text);
                let error = members.as_ref().and_then(|members| members.object("error"));
                let why = error.and_then(|error| error.text("message")).unwrap_or_default();
                Err(format!("`{}` refused {method}: {why}", self.name))
            }
        }
    }

    /// Asks something of our own that is answered late or never, such as `subscriptions/listen`.
    ///
    /// # Errors
    /// When the server cannot be asked any more.
    pub fn begin(&self, method: &str, params: &str) -> Result<(u64, Ear), Gone> {
        let text = self.dressed(&message::request(&message::Id::of("mcpkeel"), method, Some(params)));
        let id = own_id(&text);
        self.ask(Question { text: &text, id, token: None, edits: Vec::new(), caller: 0 })
    }

    pub(super) async fn question(
        &self,
        method: &str,
        params: Option<&str>,
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let text = self.dressed(&message::request(&message::Id::of("mcpkeel"), method, params));
        self.question_with(&text, patience).await
    }

    async fn question_with(&self, text: &str, patience: Duration) -> Result<Answer, Unanswered> {
        let question = Question { text, id: own_id(text), token: None, edits: Vec::new(), caller: 0 };
        let (number, mut ear) = self.ask(question).map_err(|Gone(why)| Unanswered::Gone(why))?;
        let _until_answered = TakenBack { peer: self, number };
        let answer = async {
            loop {
                match ear.next().await {
                    Told::Answer(answer) => return Some(answer),
                    Told::Ended => return None,
                    Told::Note(_) => {}
                }
            }
        };
        match tokio::time::timeout(patience, answer).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) | Err(_) => Err(Unanswered::Silent),
        }
    }

    /// With what a server of 2026 wants in every request.
    fn dressed(&self, text: &str) -> String {
        match self.era() {
            Era::Modern => super::open::with_meta(text),
            Era::Legacy => text.to_owned(),
        }
    }

    /// Asks whether it is there (`server/discover` or `ping`); how long the answer took.
    ///
    /// # Errors
    /// When no answer came in time, or the server is gone.
    pub async fn ping(&self, patience: Duration) -> Result<Duration, Silent> {
        let method = if self.era() == Era::Modern { "server/discover" } else { "ping" };
        let began = ticks();
        match self.question(method, None, patience).await {
            // A refusal comes from a server that is there.
            Ok(answer) if answer.is_real => Ok(ticks().saturating_sub(began)),
            _ => Err(Silent),
        }
    }

    /// Comes when nothing more can be said to it or heard from it: its output ended, or it was closed. Says why.
    pub async fn gone(&self) -> String {
        let mut gone = self.gone.subscribe();
        let outcome = gone.wait_for(Option::is_some).await;
        outcome.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Whether [`Peer::gone`] has come.
    pub fn is_gone(&self) -> bool {
        self.gone.borrow().is_some()
    }

    /// How many requests of callers are under way, and how long ago the last one began or ended.
    pub fn use_of(&self) -> (usize, Duration) {
        let table = self.lock();
        let of_callers = table.asked.values().filter(|asked| asked.mouth.caller != 0).count();
        (of_callers, ticks().saturating_sub(table.used))
    }

    /// Closes our side, the process's input among it. Requests under way fail.
    pub fn close(&self) {
        self.out.close();
        self.end(&format!("`{}` was stopped", self.name));
    }

    /// Nothing more comes from it.
    pub(super) fn end(&self, why: &str) {
        let is_first = self.gone.send_if_modified(|gone| {
            let is_first = gone.is_none();
            gone.get_or_insert_with(|| why.to_owned());
            is_first
        });
        if !is_first {
            return;
        }
        let asked = std::mem::take(&mut self.lock().asked);
        for Asked { mouth, id, .. } in asked.into_values() {
            let text = error_for(&id, UNREACHABLE, why);
            mouth.answer(Answer { text, result: None, is_real: false });
        }
    }

    /// The server said this; on the response to this request of ours, where that is known.
    pub(super) fn hears(&self, envelope: Envelope, about: Option<u64>, is_real: bool) {
        match &envelope.kind {
            Kind::Answer { id: Some(id), result } => {
                let number = envelope.part(id).parse::<u64>().ok();
                let asked = number.and_then(|number| {
                    let mut table = self.lock();
                    let asked = table.asked.remove(&number)?;
                    if asked.mouth.caller != 0 {
                        table.used = ticks();
                    }
                    Some(asked)
                });
                let Some(Asked { mouth, id: own, .. }) = asked else { return };
                let grown = own.len() as isize - id.len() as isize;
                let moved = |range: &Range<usize>| match range.start >= id.end {
                    true => range.start.wrapping_add_signed(grown)..range.end.wrapping_add_signed(grown),
                    false => range.clone(),
                };
                let result = result.as_ref().map(moved);
                let text = envelope.with(&mut [(id.clone(), &own)]);
                mouth.answer(Answer { text, result, is_real });
            }
            Kind::Answer { id: None, .. } => {
                (self.hear)(Heard::Fault("it answered with an error that names no request".to_owned()));
            }
            Kind::Notification { method } if method == "notifications/progress" => {
                self.progress(&envelope);
            }
            Kind::Notification { .. } => {
                // Of a request, when it came on the response to it.
                let mouth =
                    about.and_then(|number| self.lock().asked.get(&number).map(|asked| asked.mouth.clone()));
                match mouth {
                    Some(mouth) if is_about_request(&envelope) => {
                        mouth.note(envelope.text);
                    }
                    _ => (self.hear)(Heard::Notification(envelope, self.askers(about))),
                }
            }
            Kind::Request { .. } => {
                let mouths = self.askers(about);
                (self.hear)(Heard::Request(envelope, mouths));
            }
        }
    }

    /// Who asked this; else everyone who waits for an answer, oldest first.
    fn askers(&self, about: Option<u64>) -> Vec<Mouth> {
        let table = self.lock();
        if let Some(asked) = about.and_then(|number| table.asked.get(&number)) {
            return vec![asked.mouth.clone()];
        }
        // Questions of our own have nobody behind them.
        let mut all: Vec<(&u64, &Asked)> =
            table.asked.iter().filter(|(_, asked)| asked.mouth.caller != 0).collect();
        all.sort_by_key(|(number, _)| **number);
        all.into_iter().map(|(_, asked)| asked.mouth.clone()).collect()
    }

    /// Says the caller's own token again.
    fn progress(&self, envelope: &Envelope) {
        let Some(params) = envelope.members() else { return };
        let Some(token) = params.get("progressToken") else { return };
        let table = self.lock();
        let asked = token.parse::<u64>().ok().and_then(|number| table.asked.get(&number));
        let Some((mouth, own)) = asked.and_then(|asked| Some((asked.mouth.clone(), asked.token.clone()?)))
        else {
            return;
        };
        drop(table);
        mouth.note(envelope.with(&mut [(envelope.place(token), &own)]));
    }

    fn why_gone(&self) -> Option<String> {
        self.gone.borrow().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question of our own, taken back when nobody waits for its answer any more.
struct TakenBack<'p> {
    peer: &'p Peer,
    number: u64,
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        // Does nothing when the answer came.
        self.peer.cancel(self.number, "no answer in time");
    }
}

/// Where the id of a request of our own is.
fn own_id(text: &str) -> Range<usize> {
    match Envelope::look(text) {
        Ok((Kind::Request { id, .. }, _)) => id,
        _ => 0..0,
    }
}

/// Why there is no answer.
pub(super) enum Unanswered {
    Silent,
    Gone(String),
}

/// An error in place of an answer. `id` is JSON.
pub fn error_for(id: &str, code: i64, why: &str) -> String {
    let error = json::object([("code", code.to_string()), ("message", json::quote(why))]);
    json::object([("jsonrpc", "\"2.0\""), ("id", id), ("error", error.as_str())])
}

/// What a server may say on the response to a request belongs to that request, but for news for everyone.
fn is_about_request(envelope: &Envelope) -> bool {
    !envelope.method().is_some_and(|method| {
        method.ends_with("/list_changed") || method == "notifications/resources/updated"
    })
}
