use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use serde_json::json;

use super::super::super::failure::Failure;
use super::super::super::session::Session;
use super::Format;
use crate::manifest::values;
use crate::store::from_rfc3339;
use crate::supervise::{Level, Line, logs};
use crate::system::{FileId, Meta, found};

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// How many lines are shown when nothing else is said.
const USUAL: usize = 100;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Shows what the server wrote to its standard error (`stderr`), what it said that is no message of\n\
the protocol (`protocol`), and when it came and went (`mcpkeel`). Levels of its own lines are\n\
guessed from their words. The newest 2 to 3 MiB are kept; secrets that the manifest gives it are\n\
hidden. Works whether `mcpkeel up` runs or not. Times are UTC."
)]
pub struct Args {
    /// The server, as the manifest names it
    #[arg(value_name = "SERVER")]
    name: String,
    /// Go on with new lines as they come
    #[arg(short = 'F', long)]
    follow: bool,
    /// Only what was written since then: `10m`, `2026-11-21`, `2026-11-21T08:00:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what is at least as bad as this
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<AtLeast>,
    /// How many of the newest to show [default: 100; with --since, all]
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<usize>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AtLeast {
    Debug,
    Info,
    Warn,
    Error,
}

impl From<AtLeast> for Level {
    fn from(level: AtLeast) -> Self {
        match level {
            AtLeast::Debug => Self::Debug,
            AtLeast::Info => Self::Info,
            AtLeast::Warn => Self::Warn,
            AtLeast::Error => Self::Error,
        }
    }
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let since = args.since.as_deref().map(|text| since(session, text)).transpose()?;
    let least = args.level.map_or(Level::Debug, Level::from);
    let is_wanted = |line: &Line| {
        // What has no time that can be read is better shown than missed.
        line.level >= least && since.is_none_or(|since| line.time().is_none_or(|at| at >= since))
    };
    let mut reading = Reading::default();
    let mut lines = reading.next(session, &args.name)?;
    let is_there = !lines.is_empty();
    lines.retain(is_wanted);
    let tail = args.tail.unwrap_or(if since.is_some() { usize::MAX } else { USUAL });
    print(session, args.format, &lines[lines.len().saturating_sub(tail)..]);
    if lines.is_empty() && !args.follow {
        session.out.say(match is_there {
            true => format!("nothing of that kind in the log of `{}`", args.name),
            false => format!("`{}` has no log; `mcpkeel up` makes it when the server is started", args.name),
        });
    }
    while args.follow && !session.out.is_broken() && !session.system.is_reader_gone() {
        session.system.sleep(PAUSE);
        let mut lines = reading.next(session, &args.name)?;
        lines.retain(is_wanted);
        print(session, args.format, &lines);
    }
    Ok(0)
}

fn print(session: &mut Session<'_>, format: Format, lines: &[Line]) {
    for line in lines {
        session.out.data(match format {
            Format::Json => json!(line).to_string(),
            Format::Text => {
                format!("{}  {:<5}  {:<8}  {}", line.at, line.level.word(), line.source, line.text)
            }
        });
    }
}

/// How far a log was read, also when its files are renamed meanwhile.
#[derive(Default)]
struct Reading {
    /// The newest file, and how much of it was read.
    newest: Option<(Option<FileId>, u64)>,
}

impl Reading {
    /// Whole lines that were not read yet, the oldest first.
    fn next(&mut self, session: &Session<'_>, name: &str) -> Result<Vec<Line>, Failure> {
        let there = |path: PathBuf| {
            let meta = found(session.system.meta(&path)).map_err(|error| failed(&path, &error));
            meta.transpose().map(|meta| meta.map(|meta| (path, meta)))
        };
        let files: Vec<(PathBuf, Meta)> =
            logs::files(&session.store(), name).into_iter().filter_map(there).collect::<Result<_, _>>()?;
        // When so much was written that it is gone, everything is new.
        let known = self.newest.filter(|(id, _)| files.iter().any(|(_, meta)| meta.id == *id));
        let (mut fresh, mut is_new) = (Vec::new(), known.is_none());
        for (path, meta) in files {
            let start = match known {
                Some((id, read)) if id == meta.id => {
                    is_new = true;
                    read
                }
                _ if is_new => 0,
                _ => continue,
            };
            if meta.len <= start {
                continue;
            }
            let bytes = found(session.system.read(&path)).map_err(|error| failed(&path, &error))?;
            let bytes = bytes.unwrap_or_default();
            let end = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(end);
            let text = String::from_utf8_lossy(&bytes[start..end]);
            fresh.extend(text.lines().filter_map(Line::read));
            self.newest = Some((meta.id, end as u64));
        }
        Ok(fresh)
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot read {}: {error}", path.display()))
}

/// A time, a day, or how long ago.
fn since(session: &Session<'_>, text: &str) -> Result<SystemTime, Failure> {
    if let Some(ago) = values::duration(text) {
        return Ok(session.system.now() - ago);
    }
    let time = from_rfc3339(text).or_else(|| from_rfc3339(&format!("{text}T00:00:00Z")));
    time.ok_or_else(|| Failure::Usage {
        message: format!("`--since {text}` is neither a time nor a duration"),
        hint: "write it like `10m`, `2h`, `2026-11-21` or `2026-11-21T08:00:00Z`".to_owned(),
    })
}
