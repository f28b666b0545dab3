use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{Database, millis, time};
use crate::system::FileError;

/// How many questions of one principal may be open at once.
const MOST_OPEN: i64 = 100;

/// A call that a person must agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who wants to make it.
    pub principal: String,
    /// The server.
    pub server: String,
    /// The tool, resource or prompt.
    pub tool: String,
    /// Tells these arguments apart from others.
    pub digest: String,
    /// The arguments as a person may see them.
    pub preview: String,
    /// The policy that asks for it.
    pub policy: String,
}

/// A question with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// What it is called: `ap-` and ten letters and digits.
    pub id: String,
    /// The call.
    pub question: Question,
    /// How it stands.
    pub status: Status,
    /// When it was asked.
    pub created: SystemTime,
    /// When it is over: the question, or the answer.
    pub expires: SystemTime,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// When it was answered.
    pub decided: Option<SystemTime>,
}

/// How a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody has answered.
    Pending,
    /// The call may be made, once.
    Approved,
    /// It may not.
    Rejected,
    /// Nobody answered, or nobody made the call, in time.
    Expired,
    /// It was approved, and the call was made.
    Used,
}

/// What is known when a call is about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It may be made; the approval is used up by this.
    Approved(Approval),
    /// It may not.
    Rejected(Approval),
    /// It was asked before, and nobody has answered.
    Pending(Approval),
    /// It was asked just now.
    Asked(Approval),
    /// Its caller has too many questions open.
    TooMany,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It counts from now on.
    Done(Approval),
    /// It came too late, or somebody else was faster.
    Already(Approval),
    /// There is no such question.
    Unknown,
}

impl Status {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Used => "used",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "pending" => Self::Pending,
            "approved" => Self::Approved,
            "rejected" => Self::Rejected,
            "used" => Self::Used,
            _ => Self::Expired,
        }
    }
}

impl Approval {
    /// How it stands at that time: what is over counts as expired, whether that was noted or not.
    pub fn status_at(&self, now: SystemTime) -> Status {
        let is_open = matches!(self.status, Status::Pending | Status::Approved);
        if is_open && self.expires <= now { Status::Expired } else { self.status }
    }
}

impl Database {
    /// What is known of a call that is about to be made; asks if nothing is.
    ///
    /// An answer holds for the same principal, server, tool, policy and arguments only.
    pub fn ask_approval(
        &mut self,
        question: &Question,
        new_id: &str,
        now: SystemTime,
        lasting: Duration,
    ) -> Result<Found, FileError> {
        self.write(|transaction| {
            let open = transaction
                .query_row(
                    "SELECT * FROM approvals WHERE principal = ? AND server = ? AND tool = ? AND digest = ?
                     AND policy = ? AND status IN ('pending', 'approved', 'rejected') AND expires > ?
                     ORDER BY created DESC, rowid DESC LIMIT 1",
                    params![
                        question.principal,
                        question.server,
                        question.tool,
                        question.digest,
                        question.policy,
                        millis(now)
                    ],
                    approval,
                )
                .optional()?;
            match open {
                Some(found) if found.status == Status::Approved => {
                    set(transaction, &found.id, Status::Used)?;
                    Ok(Found::Approved(Approval { status: Status::Used, ..found }))
                }
                Some(found) if found.status == Status::Rejected => Ok(Found::Rejected(found)),
                Some(found) => Ok(Found::Pending(found)),
                None => ask(transaction, question, new_id, now, lasting),
            }
        })
    }

    /// Answers a question. The answer holds as long as the question would have stayed open.
    pub fn decide_approval(
        &mut self,
        id: &str,
        answer: Result<(), Option<&str>>,
        now: SystemTime,
    ) -> Result<Decided, FileError> {
        self.write(|transaction| {
            let Some(found) = by_id(transaction, id)? else { return Ok(Decided::Unknown) };
            if found.status_at(now) != Status::Pending {
                return Ok(Decided::Already(Approval { status: found.status_at(now), ..found }));
            }
            let (status, reason) = match answer {
                Ok(()) => (Status::Approved, None),
                Err(reason) => (Status::Rejected, reason),
            };
            transaction.execute(
                "UPDATE approvals SET status = ?, reason = ?, decided = ?3, expires = ?3 + lasting WHERE id = ?4",
                params![status.word(), reason, millis(now), id],
            )?;
            Ok(by_id(transaction, id)?.map_or(Decided::Unknown, Decided::Done))
        })
    }

    /// Uses up an approval; whether it was there to be used.
    pub fn use_approval(&mut self, id: &str, now: SystemTime) -> Result<bool, FileError> {
        self.write(|transaction| {
            let used = transaction.execute(
                "UPDATE approvals SET status = 'used' WHERE id = ? AND status = 'approved' AND expires > ?",
                params![id, millis(now)],
            )?;
            Ok(used == 1)
        })
    }

    /// Notes which questions and answers are over; those that were not noted before.
    pub fn expire_approvals(&mut self, now: SystemTime) -> Result<Vec<Approval>, FileError> {
        let over = "status IN ('pending', 'approved') AND expires <= ?";
        let found: Vec<Approval> = self.read(|connection| {
            let mut query = connection.prepare(&format!("SELECT * FROM approvals WHERE {over}"))?;
            query.query_map([millis(now)], approval)?.collect()
        })?;
        if found.is_empty() {
            return Ok(found);
        }
        self.write(|transaction| {
            let mut noted = Vec::new();
            for found in found {
                // Another process may note the same ones.
                let sql = format!("UPDATE approvals SET status = 'expired' WHERE id = ? AND {over}");
                if transaction.execute(&sql, params![found.id, millis(now)])? == 1 {
                    noted.push(Approval { status: Status::Expired, ..found });
                }
            }
            Ok(noted)
        })
    }

    /// One of them.
    pub fn approval(&self, id: &str) -> Result<Option<Approval>, FileError> {
        self.read(|connection| by_id(connection, id))
    }

    /// All of them, newest first, at most so many.
    pub fn approvals(&self, limit: usize) -> Result<Vec<Approval>, FileError> {
        self.read(|connection| {
            let sql = "SELECT * FROM approvals ORDER BY created DESC, rowid DESC LIMIT ?";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            connection.prepare(sql)?.query_map([limit], approval)?.collect()
        })
    }

    /// Those that nobody has answered, newest first.
    pub fn open_approvals(&self, now: SystemTime) -> Result<Vec<Approval>, FileError> {
        self.read(|connection| {
            let sql = "SELECT * FROM approvals WHERE status = 'pending' AND expires > ?
                       ORDER BY created DESC, rowid DESC";
            connection.prepare(sql)?.query_map([millis(now)], approval)?.collect()
        })
    }
}

fn ask(
    transaction: &Transaction<'_>,
    question: &Question,
    id: &str,
    now: SystemTime,
    lasting: Duration,
) -> rusqlite::Result<Found> {
    let open: i64 = transaction.query_row(
        "SELECT count(*) FROM approvals WHERE principal = ? AND status = 'pending' AND expires > ?",
        params![question.principal, millis(now)],
        |row| row.get(0),
    )?;
    if open >= MOST_OPEN {
        return Ok(Found::TooMany);
    }
    let lasting = i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX / 2);
    transaction.execute(
        "INSERT INTO approvals (id, created, expires, lasting, principal, server, tool, digest, preview, policy, status)
         VALUES (?1, ?2, ?2 + ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'pending')",
        params![
            id,
            millis(now),
            lasting,
            question.principal,
            question.server,
            question.tool,
            question.digest,
            question.preview,
            question.policy
        ],
    )?;
    let asked = by_id(transaction, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Found::Asked(asked))
}

fn set(transaction: &Transaction<'_>, id: &str, status: Status) -> rusqlite::Result<usize> {
    transaction.execute("UPDATE approvals SET status = ? WHERE id = ?", params![status.word(), id])
}

fn by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<Approval>> {
    connection.prepare("SELECT * FROM approvals WHERE id = ?")?.query_row([id], approval).optional()
}

fn approval(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let status: String = row.get("status")?;
    Ok(Approval {
        id: row.get("id")?,
        question: Question {
            principal: row.get("principal")?,
            server: row.get("server")?,
            tool: row.get("tool")?,
            digest: row.get("digest")?,
            preview: row.get("preview")?,
            policy: row.get("policy")?,
        },
        status: Status::from_word(&status),
        created: time(row.get("created")?),
        expires: time(row.get("expires")?),
        reason: row.get("reason")?,
        decided: row.get::<_, Option<i64>>("decided")?.map(time),
    })
}
