use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::super::super::args::Format;
use super::super::super::failure::Failure;
use super::super::super::out::{Look, Out};
use super::super::super::session::Session;
use super::{Survey, Which, which};
use crate::gateway::pinned::Seen;
use crate::guard::{Digest, Examined, State, describe, visible};
use crate::reconcile::shown;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Works on what the servers listed last; nothing needs to run. Characters that do not show are written\n\
out, such as <U+200B>. With the digest, `lock accept SERVER/TOOL@DIGEST` accepts what you saw and\n\
nothing else."
)]
pub struct Args {
    /// Only tools of these servers, or these tools
    #[arg(value_name = "SERVER[/TOOL]", value_parser = which)]
    which: Vec<Which>,
    /// Exit with 2 when a tool is held
    #[arg(long)]
    exit_code: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A held tool, or one whose server is seen first.
struct Difference<'s> {
    server: &'s str,
    one: &'s Examined,
    /// What was accepted, if its text is known.
    before: Option<String>,
    after: String,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let survey = super::survey(session)?;
    survey.check(&args.which)?;
    let found = differences(&survey, &args.which);
    let gone: Vec<(String, String)> = survey
        .gone()
        .into_iter()
        .filter(|(server, tool)| {
            let is_meant = |which: &Which| {
                which.server == *server && which.tool.as_ref().is_none_or(|wanted| wanted == tool)
            };
            args.which.is_empty() || args.which.iter().any(is_meant)
        })
        .collect();
    let held = found.iter().filter(|difference| difference.one.is_held()).count();
    let is_wrong = |difference: &&Difference<'_>| matches!(difference.one.state, State::Suspicious { .. });
    let wrong = found.iter().filter(is_wrong).count();
    match args.format {
        Format::Json => {
            let gone: Vec<Value> =
                gone.iter().map(|(server, tool)| json!({"server": server, "tool": tool})).collect();
            let document = json!({
                "format_version": 1, "lock": survey.pinned.path(), "held": held,
                "tools": found.iter().map(record).collect::<Vec<Value>>(), "gone": gone,
            });
            session.out.data(document.to_string());
        }
        format => {
            for difference in &found {
                print(&mut session.out, format, difference);
            }
            for (server, tool) in &gone {
                session.out.data(format!("{server}/{}: accepted, and no longer there", visible(tool)));
            }
            let path = shown(session.system, survey.pinned.path());
            match held {
                0 if survey.servers.is_empty() => {
                    session.out.say("No tools were seen yet: `mcpkeel up` starts the servers.");
                }
                0 if !found.is_empty() => session.out.say("No tool is held."),
                0 => session.out.say(format!("Every tool is as {path} has it.")),
                held => session.out.say(next_step(held, wrong)),
            }
        }
    }
    Ok(if args.exit_code && held > 0 { 2 } else { 0 })
}

fn next_step(held: usize, wrong: usize) -> String {
    let tools = |count: usize| if count == 1 { "1 tool is".to_owned() } else { format!("{count} tools are") };
    let mut said = format!("{} held.", tools(held));
    if held > wrong {
        said.push_str(" `mcpkeel lock accept` releases what does not look wrong.");
    }
    if wrong > 0 {
        said.push_str(" What looks wrong is accepted only by its name: `mcpkeel lock accept SERVER/TOOL`.");
    }
    said
}

fn differences<'s>(survey: &'s Survey, asked: &[Which]) -> Vec<Difference<'s>> {
    let mut found = Vec::new();
    for server in &survey.servers {
        for (one, definition) in server.examined.iter().zip(&server.seen.definitions) {
            let name = server.seen.server.as_str();
            let is_meant = asked.is_empty() || asked.iter().any(|which| which.means(name, one));
            if is_meant && one.state != State::Accepted {
                let before = pinned(one).and_then(|digest| text_of(&server.seen, &digest));
                found.push(Difference { server: name, one, before, after: describe(definition) });
            }
        }
    }
    found
}

fn pinned(one: &Examined) -> Option<Digest> {
    match one.state {
        State::Changed { pinned } => Some(pinned),
        State::Suspicious { pinned } => pinned,
        State::Accepted | State::First | State::New => None,
    }
}

fn text_of(seen: &Seen, digest: &Digest) -> Option<String> {
    seen.text_of(digest).map(describe)
}

fn print(out: &mut Out, format: Format, difference: &Difference<'_>) {
    let Difference { server, one, .. } = difference;
    let digest = one.digest.map_or(String::new(), |digest| format!("@{}", digest.short()));
    let title = format!("{server}/{}{digest}: {}", visible(&one.tool), words(&one.state));
    let is_markdown = format == Format::Markdown;
    let title = if is_markdown { format!("### {title}\n") } else { out.look(Look::Bold, &title) };
    out.data(title);
    if one.state == State::First && !out.verbose {
        return;
    }
    for reason in &one.reasons {
        let line = format!("! {reason}");
        out.data(if is_markdown { format!("- **{reason}**") } else { out.look(Look::Red, &line) });
    }
    if pinned(one).is_some() && difference.before.is_none() {
        out.data("  what was accepted is not known on this machine; this is what it is now:");
    }
    if is_markdown {
        out.data("\n```diff");
    }
    for line in diff(difference) {
        let look = match line.as_bytes().first() {
            Some(b'+') => Look::Green,
            Some(b'-') => Look::Red,
            _ => Look::Dim,
        };
        out.data(if is_markdown { line } else { out.look(look, &line) });
    }
    out.data(if is_markdown { "```\n" } else { "" });
}

fn words(state: &State) -> &'static str {
    match state {
        State::Accepted => "accepted",
        State::First => "its server is seen first, so it is accepted when that runs",
        State::New => "held, it is new",
        State::Changed { .. } => "held, it has changed",
        State::Suspicious { .. } => "held, it looks wrong",
    }
}

/// Lines with `+`, `-` or a space in front, and three unchanged ones around each change.
fn diff(difference: &Difference<'_>) -> Vec<String> {
    let before = difference.before.as_deref().unwrap_or_default();
    let diff = TextDiff::from_lines(before, &difference.after);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            lines.push("  ..".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("{sign} {}", change.value().trim_end_matches('\n')));
        }
    }
    lines
}

fn record(difference: &Difference<'_>) -> Value {
    let one = difference.one;
    json!({
        "server": difference.server, "tool": one.tool, "state": one.state.word(), "held": one.is_held(),
        "reasons": one.reasons, "digest": one.digest.map(|digest| digest.to_string()),
        "accepted": pinned(one).map(|digest| digest.to_string()),
        "before": difference.before, "after": difference.after,
    })
}
