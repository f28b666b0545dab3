//! Calls that wait for a person.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::guard;
use crate::manifest::model::Gateway;
use crate::manifest::values;
use crate::store::db::{self, Approval, Database, Decided, Found, Status};
use crate::store::{Event, EventKind, Store};
use crate::system::{At as _, FileError, System};

/// How often a call that waits looks whether another process has answered.
const LOOK: Duration = Duration::from_millis(100);

/// How many characters of the arguments a person is shown.
const SHOWN: usize = 2_000;

/// Where questions lie until a person has answered. All of it is in the database, so that a question outlives the
/// process, and another process can answer.
///
/// Everything but [`Desk::wait`] takes one transaction of the database: some milliseconds, and up to five seconds
/// while another process writes.
pub struct Desk {
    system: Arc<dyn System>,
    store: Store,
    database: Mutex<Database>,
    key: [u8; 32],
    /// In milliseconds.
    lasting: AtomicU64,
    answered: Notify,
}

/// A call that a person must agree to.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who wants to make it.
    pub principal: &'a str,
    /// The server.
    pub server: &'a str,
    /// The tool, resource or prompt.
    pub tool: &'a str,
    /// Its arguments as JSON. An answer holds for these only.
    pub arguments: &'a str,
    /// The policy that asks for it.
    pub policy: &'a str,
}

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may be made, now and once: the approval is used up by this answer.
    Approved {
        /// The approval.
        id: String,
    },
    /// It may not.
    Rejected {
        /// The question.
        id: String,
        /// Why, if the person said so.
        reason: Option<String>,
    },
    /// Nobody has answered yet.
    Pending {
        /// The question.
        id: String,
    },
    /// Nobody answered in time, or an equal call has used the approval up. The next one asks anew.
    Expired {
        /// The question.
        id: String,
    },
    /// The caller has too many questions open.
    TooMany,
}

/// How long a question stays open, as the manifest says; ten minutes where it says nothing.
pub fn lasting(gateway: Option<&Gateway>) -> Duration {
    let approvals = gateway.and_then(|gateway| gateway.approvals.as_ref());
    let expire = approvals.and_then(|approvals| approvals.expire.as_deref()).and_then(values::duration);
    expire.unwrap_or(Duration::from_secs(600))
}

impl Desk {
    /// Opens the database. A question stays open for `lasting`, and so long holds an answer. `key` is the machine's.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(
        system: Arc<dyn System>,
        store: &Store,
        key: [u8; 32],
        lasting: Duration,
    ) -> Result<Self, FileError> {
        let database = Mutex::new(Database::open(&*system, store)?);
        let (lasting, answered) = (AtomicU64::new(millis(lasting)), Notify::new());
        Ok(Self { system, store: store.clone(), database, key, lasting, answered })
    }

    /// Questions stay open for so long from now on.
    pub fn last(&self, lasting: Duration) {
        self.lasting.store(millis(lasting), Ordering::Relaxed);
    }

    /// Whether a call may be made; asks if that was not asked yet.
    ///
    /// # Errors
    /// When the database cannot be written: then it may not.
    pub fn ask(&self, question: &Question<'_>) -> Result<Answer, FileError> {
        self.tidy()?;
        let asked = db::Question {
            principal: question.principal.to_owned(),
            server: question.server.to_owned(),
            tool: question.tool.to_owned(),
            digest: guard::digest_of(&self.key, question.arguments).to_string(),
            preview: guard::preview(question.arguments, SHOWN),
            policy: question.policy.to_owned(),
        };
        let lasting = Duration::from_millis(self.lasting.load(Ordering::Relaxed));
        let id = self.new_id()?;
        let found = self.database().ask_approval(&asked, &id, self.system.now(), lasting)?;
        Ok(match found {
            Found::Approved(used) => {
                tell(&*self.system, &self.store, &used)?;
                Answer::Approved { id: used.id }
            }
            Found::Rejected(no) => Answer::Rejected { id: no.id, reason: no.reason },
            Found::Pending(open) => Answer::Pending { id: open.id },
            Found::Asked(open) => {
                tell(&*self.system, &self.store, &open)?;
                Answer::Pending { id: open.id }
            }
            Found::TooMany => Answer::TooMany,
        })
    }

    /// Waits for an answer, at most so long; [`Answer::Pending`] when there is none yet. An approval is used up by
    /// this, as by [`Desk::ask`].
    ///
    /// # Errors
    /// When the database cannot be used: then the call may not be made.
    pub async fn wait(&self, id: &str, patience: Duration) -> Result<Answer, FileError> {
        let end = self.system.ticks().saturating_add(patience);
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            // From here on no answer is missed.
            answered.as_mut().enable();
            let answer = self.look(id)?;
            let left = end.saturating_sub(self.system.ticks());
            if !matches!(answer, Answer::Pending { .. }) || left.is_zero() {
                return Ok(answer);
            }
            tokio::select! {
                () = answered => {}
                () = tokio::time::sleep(LOOK.min(left)) => {}
            }
        }
    }

    fn look(&self, id: &str) -> Result<Answer, FileError> {
        let (id, now) = (id.to_owned(), self.system.now());
        let Some(found) = self.database().approval(&id)? else { return Ok(Answer::Expired { id }) };
        Ok(match found.status_at(now) {
            Status::Pending => Answer::Pending { id },
            Status::Rejected => Answer::Rejected { id, reason: found.reason },
            Status::Approved if self.database().use_approval(&id, now)? => {
                tell(&*self.system, &self.store, &Approval { status: Status::Used, ..found })?;
                Answer::Approved { id }
            }
            Status::Expired => {
                self.tidy()?;
                Answer::Expired { id }
            }
            Status::Approved | Status::Used => Answer::Expired { id },
        })
    }

    /// Agrees to a call.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn approve(&self, id: &str) -> Result<Decided, FileError> {
        self.decide(id, Ok(()))
    }

    /// Says no to a call.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn reject(&self, id: &str, reason: Option<&str>) -> Result<Decided, FileError> {
        self.decide(id, Err(reason))
    }

    fn decide(&self, id: &str, answer: Result<(), Option<&str>>) -> Result<Decided, FileError> {
        let decided = decide(&*self.system, &self.store, &mut self.database(), id, answer)?;
        self.changed();
        Ok(decided)
    }

    /// The newest questions, newest first, whatever became of them.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn list(&self, limit: usize) -> Result<Vec<Approval>, FileError> {
        self.tidy()?;
        self.database().approvals(limit)
    }

    /// Another process has answered something: whoever waits looks now instead of soon.
    pub fn changed(&self) {
        self.answered.notify_waiters();
    }

    /// Notes what is over, as events. Done before every question; where nobody asks, whoever wants to see such events
    /// in time calls it.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn tidy(&self) -> Result<(), FileError> {
        let over = self.database().expire_approvals(self.system.now())?;
        over.iter().try_for_each(|over| tell(&*self.system, &self.store, over))
    }

    /// `ap-` and ten letters and digits that are not easily mistaken.
    fn new_id(&self) -> Result<String, FileError> {
        const DIGITS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let random = self.system.random().at(self.store.dir(), "make a name for an approval in")?;
        let mut id = "ap-".to_owned();
        for byte in &random[..10] {
            // Writing to a String cannot fail.
            let _ = write!(id, "{}", char::from(DIGITS[usize::from(byte % 32)]));
        }
        Ok(id)
    }

    fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a question, from whichever process, and says so as an event.
///
/// # Errors
/// When the database or the log of events cannot be written.
pub fn decide(
    system: &dyn System,
    store: &Store,
    database: &mut Database,
    id: &str,
    answer: Result<(), Option<&str>>,
) -> Result<Decided, FileError> {
    let decided = database.decide_approval(id, answer, system.now())?;
    if let Decided::Done(done) = &decided {
        tell(system, store, done)?;
    }
    Ok(decided)
}

/// Makes an event of how a question stands.
fn tell(system: &dyn System, store: &Store, approval: &Approval) -> Result<(), FileError> {
    let Approval { id, question, .. } = approval;
    let call =
        format!("`{}` of `{}` for `{}`", guard::visible(&question.tool), question.server, question.principal);
    let (kind, word, message) = match approval.status {
        Status::Pending => {
            (EventKind::ApprovalNew, "Asked", format!("{call} waits for you: mcpkeel approval approve {id}"))
        }
        Status::Approved => (EventKind::ApprovalUpdated, "Approved", format!("{id}: {call} is approved")),
        Status::Rejected => (EventKind::ApprovalUpdated, "Rejected", format!("{id}: {call} is rejected")),
        Status::Expired => {
            (EventKind::ApprovalUpdated, "Expired", format!("{id}: {call} is no longer asked for"))
        }
        Status::Used => (EventKind::ApprovalUpdated, "Used", format!("{id}: {call} was made")),
    };
    let event = Event { reason: Some(word.to_owned()), ..Event::new(system, kind, message) };
    store.add_event(system, &event)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Real;

    const KEY: [u8; 32] = [1; 32];

    fn desk(lasting: Duration) -> (tempfile::TempDir, Desk) {
        let dir = tempfile::tempdir().expect("a directory");
        let desk = Desk::open(Arc::new(Real), &Store::at(dir.path()), KEY, lasting).expect("opened");
        (dir, desk)
    }

    fn question(arguments: &str) -> Question<'_> {
        Question {
            principal: "laptop",
            server: "github",
            tool: "delete_repo",
            arguments,
            policy: "ask first",
        }
    }

    fn pending(desk: &Desk, arguments: &str) -> String {
        match desk.ask(&question(arguments)).expect("asked") {
            Answer::Pending { id } => id,
            other => panic!("{other:?}"),
        }
    }

    fn events(desk: &Desk) -> Vec<String> {
        let events = desk.store.events(&Real).expect("read");
        events
            .into_iter()
            .map(|event| format!("{} {}", event.event.word(), event.reason.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_yes_is_good_once_for_these_arguments() {
        let (_dir, desk) = desk(Duration::from_secs(600));
        let id = pending(&desk, r#"{"repo": "me/x", "force": true}"#);
        assert_eq!(pending(&desk, r#"{"force":true,"repo":"me/x"}"#), id);
        assert!(matches!(desk.approve(&id), Ok(Decided::Done(_))));
        let other = pending(&desk, r#"{"repo":"me/y","force":true}"#);
        let made = desk.ask(&question(r#"{"force":true,"repo":"me/x"}"#)).expect("asked");
        assert_eq!(made, Answer::Approved { id: id.clone() });
        assert_ne!(pending(&desk, r#"{"force":true,"repo":"me/x"}"#), id);
        desk.reject(&other, Some("not that one")).expect("rejected");
        let no = desk.ask(&question(r#"{"repo":"me/y","force":true}"#)).expect("asked");
        assert_eq!(no, Answer::Rejected { id: other, reason: Some("not that one".to_owned()) });
        assert_eq!(
            events(&desk),
            [
                "approval-new Asked",
                "approval-updated Approved",
                "approval-new Asked",
                "approval-updated Used",
                "approval-new Asked",
                "approval-updated Rejected",
            ]
        );
    }

    #[test]
    fn a_yes_is_good_once_however_many_ask_at_once() {
        let (dir, desk) = desk(Duration::from_secs(600));
        let id = pending(&desk, "{}");
        desk.approve(&id).expect("approved");
        let granted = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let desk =
                        Desk::open(Arc::new(Real), &Store::at(dir.path()), KEY, Duration::from_secs(600));
                    if let Answer::Approved { .. } =
                        desk.expect("opened").ask(&question("{}")).expect("asked")
                    {
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(granted.into_inner(), 1);
        assert_eq!(lasting(None), Duration::from_secs(600));
    }

    #[test]
    fn a_question_is_over_by_the_clock() {
        let (_dir, desk) = desk(Duration::from_millis(30));
        let id = pending(&desk, "{}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answer = runtime.block_on(desk.wait(&id, Duration::from_secs(30))).expect("waited");
        assert_eq!(answer, Answer::Expired { id: id.clone() });
        assert!(matches!(desk.approve(&id), Ok(Decided::Already(late)) if late.status == Status::Expired));
        assert_eq!(events(&desk), ["approval-new Asked", "approval-updated Expired"]);
        assert_ne!(pending(&desk, "{}"), id);
    }

    #[test]
    fn who_waits_hears_of_an_answer_from_another_process() {
        let (_dir, desk) = desk(Duration::from_secs(600));
        let id = pending(&desk, r#"{"password":"hush-hush"}"#);
        let seen = desk.list(9).expect("read").remove(0);
        assert_eq!(seen.question.preview, r#"{"password":"••••••"}"#);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let nothing = runtime.block_on(desk.wait(&id, Duration::from_millis(1))).expect("waited");
        assert_eq!(nothing, Answer::Pending { id: id.clone() });
        let answer = runtime.block_on(async {
            let answering = async {
                tokio::task::yield_now().await;
                let mut other = Database::open(&Real, &desk.store).expect("opened");
                decide(&Real, &desk.store, &mut other, &id, Ok(())).expect("decided");
            };
            // Two equal calls wait; one of them may be made.
            let (one, other, ()) = tokio::join!(
                desk.wait(&id, Duration::from_secs(30)),
                desk.wait(&id, Duration::from_secs(30)),
                answering
            );
            [one.expect("waited"), other.expect("waited")]
        });
        assert!(answer.contains(&Answer::Approved { id: id.clone() }), "{answer:?}");
        assert!(answer.contains(&Answer::Expired { id }), "{answer:?}");
    }
}
