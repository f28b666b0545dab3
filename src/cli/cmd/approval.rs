use std::time::SystemTime;

use serde_json::{Value, json};

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::poke::poke;
use super::super::session::Session;
use super::super::table;
use crate::gateway::approvals;
use crate::guard::visible;
use crate::store::db::{Approval, Database, Decided};
use crate::store::rfc3339;

/// How many are listed with `--all`.
const MOST: usize = 200;

/// How much of the arguments fits into a table.
const SHOWN: usize = 60;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List calls that wait for you
    List(List),
    /// Let a call be made, once, with the arguments it was asked for
    Approve(Approve),
    /// Say no to a call
    Reject(Reject),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "What looks like a secret in the arguments is hidden. Times are UTC.")]
struct List {
    /// Also those that were answered, or are over
    #[arg(long)]
    all: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The approval holds for the same caller, server, tool and arguments, for one call, as long as\n\
the question would have stayed open (`gateway.approvals.expire`)."
)]
struct Approve {
    /// What `approval list` calls it
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, clap::Args)]
struct Reject {
    /// What `approval list` calls it
    #[arg(value_name = "ID")]
    id: String,
    /// Why, for whoever asked
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::List(args) => list(session, args),
        Command::Approve(args) => decide(session, &args.id, Ok(())),
        Command::Reject(args) => decide(session, &args.id, Err(args.reason.as_deref())),
    }
}

fn list(session: &mut Session<'_>, args: &List) -> Result<u8, Failure> {
    let now = session.system.now();
    let approvals = match Database::look(session.system, &session.store())? {
        Some(database) if args.all => database.approvals(MOST)?,
        Some(database) => database.open_approvals(now)?,
        None => Vec::new(),
    };
    match args.format {
        Format::Json => {
            let records: Vec<Value> = approvals.iter().map(|one| record(one, now)).collect();
            session.out.data(json!({"format_version": 1, "approvals": records}).to_string());
        }
        Format::Text if approvals.is_empty() => session.out.say("Nothing waits for you."),
        format => {
            let header = ["ID", "STATUS", "CALLER", "SERVER", "TOOL", "ARGUMENTS", "POLICY", "UNTIL"];
            let rows: Vec<Vec<String>> = approvals.iter().map(|one| row(one, now)).collect();
            table::of(format, &header, &rows).into_iter().for_each(|line| session.out.data(line));
        }
    }
    Ok(0)
}

fn decide(session: &mut Session<'_>, id: &str, answer: Result<(), Option<&str>>) -> Result<u8, Failure> {
    let (store, system) = (session.store(), session.system);
    let decided = match Database::look(system, &store)? {
        Some(mut database) => approvals::decide(system, &store, &mut database, id, answer)?,
        None => Decided::Unknown,
    };
    match decided {
        Decided::Done(done) => {
            poke(session, "approvals");
            let Approval { question, status, .. } = &done;
            let (tool, until) = (visible(&question.tool), rfc3339(done.expires));
            session.out.data(format!(
                "{id}: {}: `{tool}` of `{}` for `{}`, until {until}",
                status.word(),
                question.server,
                question.principal,
            ));
            session.out.say(format!("  with {}", question.preview));
            Ok(0)
        }
        Decided::Already(late) => Err(Failure::Refused {
            message: format!("`{id}` is {} already", late.status.word()),
            hint: "`mcpkeel approval list` shows what waits; the caller can ask again".to_owned(),
        }),
        Decided::Unknown => Err(Failure::Usage {
            message: format!("there is no question `{id}`"),
            hint: "`mcpkeel approval list` shows what waits".to_owned(),
        }),
    }
}

fn row(approval: &Approval, now: SystemTime) -> Vec<String> {
    let question = &approval.question;
    let mut arguments: String = question.preview.chars().take(SHOWN).collect();
    if arguments.len() < question.preview.len() {
        arguments.push('…');
    }
    vec![
        approval.id.clone(),
        approval.status_at(now).word().to_owned(),
        question.principal.clone(),
        question.server.clone(),
        visible(&question.tool),
        arguments,
        question.policy.clone(),
        rfc3339(approval.expires),
    ]
}

fn record(approval: &Approval, now: SystemTime) -> Value {
    let question = &approval.question;
    json!({
        "id": approval.id, "status": approval.status_at(now).word(), "caller": question.principal,
        "server": question.server, "tool": question.tool, "arguments": question.preview,
        "digest": question.digest, "policy": question.policy, "created": rfc3339(approval.created),
        "expires": rfc3339(approval.expires), "decided": approval.decided.map(rfc3339),
        "reason": approval.reason,
    })
}
