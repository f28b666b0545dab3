use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use serde_json::json;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::manifest::values;
use crate::store::{Event, Reader, Stand, from_rfc3339};

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// How many are shown when nothing else is said.
const USUAL: usize = 20;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "`mcpkeel watch` keeps the log; its newest 2 to 4 MiB are there to be read. Times are UTC.\n\
With `--follow` it is looked at five times a second, until you interrupt it or nobody reads it\n\
any more."
)]
pub struct Args {
    /// Go on with new events as they come
    #[arg(long)]
    follow: bool,
    /// How many of the newest to show [default: 20; with --since, all]
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// Only what happened since then: `2h`, `2026-11-21`, `2026-11-21T08:00:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what is about this client block
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How events are printed: one by one, since there may be more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person: a line for each.
    #[default]
    Text,
    /// For a program: JSON Lines, a document for each event.
    Json,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let since = args.since.as_deref().map(|text| since(session, text)).transpose()?;
    let is_wanted = |event: &Event| {
        let is_of_client = args.client.is_none() || event.client == args.client;
        // What has no time that can be read is better shown than missed.
        let is_after = since.is_none_or(|since| from_rfc3339(&event.at).is_none_or(|at| at >= since));
        is_of_client && is_after
    };
    let (store, mut reader) = (session.store(), Reader::default());
    let mut events = reader.next(session.system, &store)?;
    events.retain(is_wanted);
    let limit = args.limit.unwrap_or(if since.is_some() { usize::MAX } else { USUAL });
    let mut lines = Lines { format: args.format, client: 0 };
    lines.print(session, &events[events.len().saturating_sub(limit)..]);
    if events.is_empty() && !args.follow {
        session.out.say("no events; `mcpkeel watch` makes them");
    }
    while args.follow && !session.out.is_broken() && !session.system.is_reader_gone() {
        session.system.sleep(PAUSE);
        let mut events = reader.next(session.system, &store)?;
        events.retain(is_wanted);
        lines.print(session, &events);
    }
    Ok(0)
}

/// A time, a day, or how long ago.
fn since(session: &Session<'_>, text: &str) -> Result<SystemTime, Failure> {
    if let Some(ago) = values::duration(text) {
        return Ok(session.system.now() - ago);
    }
    let time = from_rfc3339(text).or_else(|| from_rfc3339(&format!("{text}T00:00:00Z")));
    time.ok_or_else(|| Failure::Usage {
        message: format!("`--since {text}` is neither a time nor a duration"),
        hint: "write it like `30m`, `2h`, `1d`, `2026-11-21` or `2026-11-21T08:00:00Z`".to_owned(),
    })
}

/// Lines that stay aligned although the next ones are not known yet.
struct Lines {
    format: Format,
    /// The width of the widest client so far.
    client: usize,
}

impl Lines {
    fn print(&mut self, session: &mut Session<'_>, events: &[Event]) {
        let width = |event: &Event| subject(event).chars().count();
        self.client = events.iter().map(width).max().unwrap_or(0).max(self.client);
        for event in events {
            session.out.data(match self.format {
                Format::Json => json!(event).to_string(),
                Format::Text => self.line(event),
            });
        }
    }

    fn line(&self, event: &Event) -> String {
        let (when, client, what) = (&event.at, subject(event), what(event));
        let width = self.client;
        let line = format!("{when:<24}  {client:<width$}  {what:<20}  {}", event.message);
        // A message is one line, whoever wrote it.
        line.replace(char::is_control, " ")
    }
}

fn subject(event: &Event) -> &str {
    event.client.as_deref().unwrap_or("-")
}

/// `Stalled Malformed`; else the kind of event.
fn what(event: &Event) -> String {
    match (event.condition, &event.reason) {
        (Some(condition), Some(reason)) => format!("{} {reason}", Stand::word(condition)),
        (Some(condition), None) => condition.word().to_owned(),
        (None, _) => event.event.word().to_owned(),
    }
}
