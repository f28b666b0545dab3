use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Row, params};

use super::{Database, millis, time};
use crate::guard::Verdict;
use crate::system::FileError;

/// One call, whatever became of it: what the audit log and the usage figures are made of.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it came.
    pub at: SystemTime,
    /// Who made it: a token's name, or `client:ID`.
    pub principal: Arc<str>,
    /// The client block it belongs to.
    pub client: Option<Arc<str>>,
    /// `tools/call`, `resources/read`, `prompts/get` ..
    pub method: Arc<str>,
    /// The server.
    pub server: Arc<str>,
    /// The tool, resource or prompt, without the server's name.
    pub name: Arc<str>,
    /// What the policies said.
    pub verdict: Verdict,
    /// The policy that said it.
    pub policy: Option<Arc<str>>,
    /// The approval that was asked for or used.
    pub approval: Option<Arc<str>>,
    /// The arguments as JSON. Never stored as they are: see [`Kept`].
    pub arguments: Option<Box<str>>,
    /// What became of it.
    pub outcome: Outcome,
    /// Bytes of its parameters.
    pub bytes_in: u64,
    /// Bytes of its result.
    pub bytes_out: u64,
    /// How long it took.
    pub took: Duration,
}

/// What is stored of a call's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Tells equal ones apart from others.
    pub digest: Option<String>,
    /// The arguments with what looks like a secret hidden.
    pub text: Option<String>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered.
    Ok,
    /// The tool says that it failed (`isError`).
    ToolError,
    /// The server answered with an error.
    Error,
    /// The caller went away or took it back.
    Cancelled,
    /// No answer came in time.
    TimedOut,
    /// The server could not be reached; it got nothing.
    Offline,
    /// A policy forbids it.
    Denied,
    /// It waits for a person.
    Parked,
    /// A person said no, or nobody said anything in time.
    Rejected,
    /// The token is not good for it.
    OutOfScope,
    /// The tool is held until a person has looked at it.
    Held,
    /// The token made too many.
    Limited,
    /// There is no such server, tool, resource or prompt, for this caller.
    Unknown,
}

impl Outcome {
    const ALL: [(Self, &'static str); 13] = [
        (Self::Ok, "ok"),
        (Self::ToolError, "tool-error"),
        (Self::Error, "error"),
        (Self::Cancelled, "cancelled"),
        (Self::TimedOut, "timed-out"),
        (Self::Offline, "offline"),
        (Self::Denied, "denied"),
        (Self::Parked, "parked"),
        (Self::Rejected, "rejected"),
        (Self::OutOfScope, "out-of-scope"),
        (Self::Held, "held"),
        (Self::Limited, "limited"),
        (Self::Unknown, "unknown"),
    ];

    /// As it is written.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).map_or("unknown", |(_, word)| word)
    }

    fn from_word(word: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == word).map_or(Self::Unknown, |(outcome, _)| *outcome)
    }
}

/// A call as it was stored.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its number: later calls have higher ones.
    pub id: i64,
    /// The call; without its arguments.
    pub call: Call,
    /// What is stored of them.
    pub kept: Kept,
}

/// Which calls are meant.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// From then on.
    pub since: SystemTime,
    /// Of this client block or principal.
    pub client: Option<&'a str>,
    /// To this server.
    pub server: Option<&'a str>,
}

/// What was used of one tool, resource or prompt. Only calls that reached the server count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The server.
    pub server: String,
    /// The method.
    pub method: String,
    /// The tool, resource or prompt.
    pub name: String,
    /// How many calls.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Bytes of all parameters.
    pub bytes_in: u64,
    /// Bytes of all results.
    pub bytes_out: u64,
    /// Half of the calls took no longer.
    pub p50: Duration,
    /// 95 of 100 calls took no longer.
    pub p95: Duration,
    /// When the last one came.
    pub last: SystemTime,
}

/// Outcomes of calls that reached their server.
const REACHED: &str = "outcome IN ('ok', 'tool-error', 'error', 'cancelled', 'timed-out')";

impl Database {
    /// Stores calls, all or none.
    pub fn add_calls(&mut self, calls: &[(Call, Kept)]) -> Result<(), FileError> {
        self.write(|transaction| {
            let mut insert = transaction.prepare(
                "INSERT INTO calls (at, principal, client, method, server, name, verdict, policy, approval, digest,
                 arguments, outcome, bytes_in, bytes_out, micros)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for (call, kept) in calls {
                insert.execute(params![
                    millis(call.at),
                    &*call.principal,
                    call.client.as_deref(),
                    &*call.method,
                    &*call.server,
                    &*call.name,
                    call.verdict.word(),
                    call.policy.as_deref(),
                    call.approval.as_deref(),
                    kept.digest,
                    kept.text,
                    call.outcome.word(),
                    i64::try_from(call.bytes_in).unwrap_or(i64::MAX),
                    i64::try_from(call.bytes_out).unwrap_or(i64::MAX),
                    i64::try_from(call.took.as_micros()).unwrap_or(i64::MAX),
                ])?;
            }
            Ok(())
        })
    }

    /// The newest calls, newest first; `before` is a number to go on from.
    pub fn calls(
        &self,
        wanted: &Wanted<'_>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Recorded>, FileError> {
        self.read(|connection| {
            let mut query = connection.prepare(
                "SELECT * FROM calls WHERE at >= ?1 AND (?2 IS NULL OR client = ?2 OR principal = ?2)
                 AND (?3 IS NULL OR server = ?3) AND id < ?4 ORDER BY id DESC LIMIT ?5",
            )?;
            let before = before.unwrap_or(i64::MAX);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = query.query_map(
                params![millis(wanted.since), wanted.client, wanted.server, before, limit],
                recorded,
            )?;
            found.collect()
        })
    }

    /// What was used, per tool, resource or prompt, by server and name.
    pub fn usage(&self, wanted: &Wanted<'_>) -> Result<Vec<Sum>, FileError> {
        self.read(|connection| {
            let mut query = connection.prepare(&format!(
                "SELECT server, method, name, outcome, bytes_in, bytes_out, micros, at FROM calls
                 WHERE at >= ?1 AND (?2 IS NULL OR client = ?2 OR principal = ?2)
                 AND (?3 IS NULL OR server = ?3) AND {REACHED} ORDER BY server, method, name, micros",
            ))?;
            let mut rows = query.query(params![millis(wanted.since), wanted.client, wanted.server])?;
            let mut sums: Vec<Sum> = Vec::new();
            let mut times: Vec<i64> = Vec::new();
            while let Some(row) = rows.next()? {
                let text = |index: usize| row.get_ref(index)?.as_str().map_err(rusqlite::Error::from);
                let (server, method, name) = (text(0)?, text(1)?, text(2)?);
                let is_same = |sum: &Sum| sum.server == server && sum.method == method && sum.name == name;
                if !sums.last().is_some_and(is_same) {
                    close(&mut sums, &mut times);
                    sums.push(Sum {
                        server: server.to_owned(),
                        method: method.to_owned(),
                        name: name.to_owned(),
                        calls: 0,
                        errors: 0,
                        bytes_in: 0,
                        bytes_out: 0,
                        p50: Duration::ZERO,
                        p95: Duration::ZERO,
                        last: SystemTime::UNIX_EPOCH,
                    });
                }
                let Some(sum) = sums.last_mut() else { continue };
                sum.calls += 1;
                sum.errors += u64::from(!matches!(text(3)?, "ok" | "cancelled"));
                sum.bytes_in = sum.bytes_in.saturating_add(unsigned(row.get(4)?));
                sum.bytes_out = sum.bytes_out.saturating_add(unsigned(row.get(5)?));
                times.push(row.get(6)?);
                sum.last = sum.last.max(time(row.get(7)?));
            }
            close(&mut sums, &mut times);
            Ok(sums)
        })
    }

    /// Forgets calls and decided approvals that are older; how many rows went.
    pub fn prune(&mut self, before: SystemTime) -> Result<usize, FileError> {
        let before = millis(before);
        self.write(|transaction| {
            let calls = transaction.execute("DELETE FROM calls WHERE at < ?", [before])?;
            let decided = "DELETE FROM approvals WHERE expires < ? AND status <> 'pending'";
            Ok(calls + transaction.execute(decided, [before])?)
        })
    }
}

/// Takes the sorted times of the last sum.
fn close(sums: &mut [Sum], times: &mut Vec<i64>) {
    if let Some(sum) = sums.last_mut() {
        let at = |share: usize| {
            let rank = (times.len() * share).div_ceil(100).max(1) - 1;
            Duration::from_micros(unsigned(times.get(rank).copied().unwrap_or_default()))
        };
        (sum.p50, sum.p95) = (at(50), at(95));
    }
    times.clear();
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let text = |name: &str| row.get::<_, String>(name).map(Arc::<str>::from);
    let maybe = |name: &str| row.get::<_, Option<String>>(name).map(|text| text.map(Arc::<str>::from));
    let verdict = match &*text("verdict")? {
        "allow" => Verdict::Allow,
        "require_approval" => Verdict::RequireApproval,
        _ => Verdict::Deny,
    };
    let call = Call {
        at: time(row.get("at")?),
        principal: text("principal")?,
        client: maybe("client")?,
        method: text("method")?,
        server: text("server")?,
        name: text("name")?,
        verdict,
        policy: maybe("policy")?,
        approval: maybe("approval")?,
        arguments: None,
        outcome: Outcome::from_word(&text("outcome")?),
        bytes_in: unsigned(row.get("bytes_in")?),
        bytes_out: unsigned(row.get("bytes_out")?),
        took: Duration::from_micros(unsigned(row.get("micros")?)),
    };
    Ok(Recorded {
        id: row.get("id")?,
        call,
        kept: Kept { digest: row.get("digest")?, text: row.get("arguments")? },
    })
}
