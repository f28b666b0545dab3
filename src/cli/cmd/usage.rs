use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::poke::write_calls_down;
use super::super::session::Session;
use super::super::table;
use crate::guard::{self, METHOD, visible};
use crate::store::db::{Database, Sum, Wanted};
use crate::store::rfc3339;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Only calls that reached a server count. TOKENS IN are those of the arguments, TOKENS OUT those of\n\
the results; half of the calls took no longer than P50, 95 of 100 no longer than P95."
)]
pub struct Args {
    /// The last 24 hours, 7 days or 30 days
    #[arg(long, value_enum, default_value_t)]
    period: Period,
    /// Only calls of this client block or token
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only calls to this server
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How far to look back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Period {
    /// 24 hours.
    Day,
    /// 7 days.
    #[default]
    Week,
    /// 30 days.
    Month,
}

impl Period {
    fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    fn length(self) -> Duration {
        let days = match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
        };
        Duration::from_secs(days * 86_400)
    }
}

/// The figures of some calls together.
#[derive(Default)]
struct Total {
    calls: u64,
    errors: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Total {
    fn add(&mut self, sum: &Sum) {
        self.calls += sum.calls;
        self.errors += sum.errors;
        self.bytes_in = self.bytes_in.saturating_add(sum.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(sum.bytes_out);
    }

    fn record(&self) -> Value {
        json!({
            "calls": self.calls, "errors": self.errors,
            "tokens_in": guard::tokens(self.bytes_in), "tokens_out": guard::tokens(self.bytes_out),
            "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
        })
    }

    fn cells(&self) -> Vec<String> {
        let numbers = [
            self.calls,
            self.errors,
            guard::tokens(self.bytes_in),
            guard::tokens(self.bytes_out),
            self.bytes_in,
            self.bytes_out,
        ];
        numbers.iter().map(u64::to_string).collect()
    }
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    write_calls_down(session);
    let now = session.system.now();
    let since = now.checked_sub(args.period.length()).unwrap_or(std::time::SystemTime::UNIX_EPOCH);
    let wanted = Wanted { since, client: args.client.as_deref(), server: args.server.as_deref() };
    let mut sums = match Database::look(session.system, &session.store())? {
        Some(database) => database.usage(&wanted)?,
        None => Vec::new(),
    };
    // What costs most comes first.
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.bytes_in.saturating_add(sum.bytes_out)));
    let mut total = Total::default();
    sums.iter().for_each(|sum| total.add(sum));
    match args.format {
        Format::Json => {
            let document = json!({
                "format_version": 1, "period": args.period.word(), "since": rfc3339(since), "method": METHOD,
                "total": total.record(), "tools": sums.iter().map(record).collect::<Vec<Value>>(),
            });
            session.out.data(document.to_string());
        }
        Format::Text if sums.is_empty() => {
            session.out.say(format!("No calls since {}.", rfc3339(since)));
        }
        format => {
            let header = [
                "SERVER",
                "TOOL",
                "CALLS",
                "ERRORS",
                "TOKENS IN",
                "TOKENS OUT",
                "BYTES IN",
                "BYTES OUT",
                "P50",
                "P95",
            ];
            let mut rows: Vec<Vec<String>> = sums.iter().map(row).collect();
            rows.push([vec!["total".to_owned(), String::new()], total.cells()].concat());
            table::of(format, &header, &rows).into_iter().for_each(|line| session.out.data(line));
            session.out.data("");
            session.out.data(format!("Since {}; {METHOD}.", rfc3339(since)));
        }
    }
    Ok(0)
}

fn row(sum: &Sum) -> Vec<String> {
    let mut own = Total::default();
    own.add(sum);
    let name = match sum.method.as_str() {
        "tools/call" => visible(&sum.name),
        method => format!("{} ({method})", visible(&sum.name)),
    };
    let times = vec![time(sum.p50), time(sum.p95)];
    [vec![sum.server.clone(), name], own.cells(), times].concat()
}

fn record(sum: &Sum) -> Value {
    let mut own = Total::default();
    own.add(sum);
    let mut record = own.record();
    record["server"] = sum.server.as_str().into();
    record["name"] = sum.name.as_str().into();
    record["method"] = sum.method.as_str().into();
    record["p50_ms"] = (sum.p50.as_secs_f64() * 1e3).into();
    record["p95_ms"] = (sum.p95.as_secs_f64() * 1e3).into();
    record["last"] = rfc3339(sum.last).into();
    record
}

fn time(time: Duration) -> String {
    match time.as_micros() {
        0..1_000 => format!("{} us", time.as_micros()),
        1_000..10_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
