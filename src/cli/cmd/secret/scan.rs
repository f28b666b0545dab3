use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::super::args::Format;
use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::plan::{Action, Options, Step};
use crate::reconcile::scan::{self, Finding, Move, Moving, Next, Owner, Scan};
use crate::reconcile::{self, Care, Loaded, Stash, Which};
use crate::secrets::Source;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Looks at the manifest with its includes, at every known client's file on this machine and those\n\
that the manifest names, and at the backups. Writes nothing without --move, and never shows a\n\
value.\n\
\n\
With --move, each literal becomes a secret of the manifest, kept in that store: in the manifest\n\
where it stands, and in clients' files by taking the server over, as `import` does. The clients'\n\
files themselves are rewritten by the next `mcpkeel apply`. What stood in a file may have been\n\
seen by others: replace it where it was issued."
)]
pub struct Args {
    /// Only this client's files
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Move what was found into this store
    #[arg(long = "move", value_enum, value_name = "STORE")]
    into: Option<Store>,
    /// Move without asking
    #[arg(short, long, requires = "into")]
    yes: bool,
    /// Exit with 2 when something was found
    #[arg(long)]
    exit_code: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Store {
    /// The operating system's keyring
    Keyring,
    /// An age file each, beside the manifest
    Age,
    /// A file each in ~/.config/mcpkeel/secrets, which only you can read
    File,
}

impl Store {
    fn stash(self) -> Stash {
        match self {
            Self::Keyring => Stash::Keyring,
            Self::Age => Stash::Age,
            Self::File => Stash::File,
        }
    }

    fn spoken(self) -> &'static str {
        match self {
            Self::Keyring => "the keyring",
            Self::Age => "age files",
            Self::File => "files of their own",
        }
    }
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    session.system.keep_memory_private();
    // Not by the session, which would warn of every literal that is about to be listed.
    let loaded = session.read(Which::Newest, Care::Quick);
    if args.into.is_some() && !loaded.is_valid() {
        return Err(Failure::Invalid(loaded.diagnostics));
    }
    let scan = scan::scan(session.system, &loaded, &session.store(), args.client.as_deref())?;
    let Some(into) = args.into else {
        print(session, args, &loaded, &scan);
        return Ok(if args.exit_code && is_found(&scan) { 2 } else { 0 });
    };
    let choice = Move { into: into.stash(), only: args.client.as_deref() };
    let moving = scan::moving(session.system, &loaded, &scan, choice)?;
    move_all(session, args, into, &loaded, &scan, moving)
}

fn is_found(scan: &Scan) -> bool {
    !scan.findings.is_empty() || !scan.backups.is_empty()
}

fn print(session: &mut Session<'_>, args: &Args, loaded: &Loaded, scan: &Scan) {
    if args.format == Format::Json {
        session.out.data(as_json(session, scan).to_string());
        return;
    }
    let rows: Vec<Vec<String>> = scan.findings.iter().map(|finding| row(session, finding)).collect();
    if !rows.is_empty() {
        super::print_table(
            session,
            args.format,
            &["WHERE", "SERVER", "FIELD", "LOOKS LIKE", "FILE", "GOES BY"],
            &rows,
        );
    }
    for note in &scan.notes {
        session.out.complain(format!("note: {note}"));
    }
    let counted = match (rows.len(), scan.files) {
        (0, files) => format!("No literal secrets in {}.", count(files, "file")),
        (found, files) => format!("{} in {}.", count(found, "literal secret"), count(files, "file")),
    };
    session.out.say(counted);
    backups(session, args, loaded, scan);
    hints(session, loaded, scan);
}

fn row(session: &Session<'_>, finding: &Finding) -> Vec<String> {
    let spot = &finding.spot;
    vec![
        format!("{}:{}:{}", reconcile::shown(session.system, &finding.path), spot.line, spot.column),
        spot.server.clone().unwrap_or_default(),
        spot.field.clone(),
        spot.looks.to_owned(),
        match finding.mode {
            Some(mode) if finding.is_open() => format!("{mode:04o}, others can read it"),
            Some(mode) => format!("{mode:04o}"),
            None => String::new(),
        },
        finding.next.word().to_owned(),
    ]
}

fn backups(session: &mut Session<'_>, args: &Args, loaded: &Loaded, scan: &Scan) {
    if scan.backups.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = scan
        .backups
        .iter()
        .map(|copy| {
            let files: Vec<String> =
                copy.files.iter().map(|path| reconcile::tilde(session.system, path)).collect();
            let mode = if copy.is_open { "others can read it" } else { "0600" };
            vec![copy.id.clone(), copy.at.clone(), copy.command.clone(), mode.to_owned(), files.join(" ")]
        })
        .collect();
    if args.format == Format::Markdown || !scan.findings.is_empty() {
        session.out.data("");
    }
    super::print_table(session, args.format, &["BACKUP", "WHEN", "COMMAND", "MODE", "HOLDS ONE FROM"], &rows);
    let keep = loaded.settings().backups.keep;
    session.out.say(format!(
        "{} a literal secret. The newest {keep} backups are kept (`settings.backups.keep`); each goes when \
         newer ones take its place.",
        match rows.len() {
            1 => "1 backup holds".to_owned(),
            more => format!("{more} backups hold"),
        }
    ));
}

fn hints(session: &mut Session<'_>, loaded: &Loaded, scan: &Scan) {
    let has = |next: Next| scan.findings.iter().any(|finding| finding.next == next);
    if has(Next::Move) {
        session.out.say("Next: mcpkeel secret scan --move keyring (or age, or file)");
    }
    if has(Next::Apply) {
        session
            .out
            .say("The manifest has a reference where some of them stand: mcpkeel apply takes these out.");
    }
    if has(Next::Hand) {
        let why = if loaded.is_valid() {
            "it stands in a comment, beside the servers, or in a file that is not taken over"
        } else {
            "there is no manifest that could take it over; `mcpkeel init` writes one"
        };
        session.out.say(format!("\"by hand\": {why}."));
    }
    if is_found(scan) {
        session.out.say(
            "Replace what others may have seen where it was issued: a moved secret is still the same one.",
        );
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

fn as_json(session: &Session<'_>, scan: &Scan) -> Value {
    let findings: Vec<Value> = scan.findings.iter().map(finding_json).collect();
    let backups: Vec<Value> = scan
        .backups
        .iter()
        .map(|copy| {
            json!({
                "id": copy.id,
                "at": copy.at,
                "command": copy.command,
                "files": copy.files,
                "readable_by_others": copy.is_open,
            })
        })
        .collect();
    json!({
        "format_version": 1,
        "findings": findings,
        "backups": backups,
        "notes": scan.notes,
        "files": scan.files,
        "state_dir": session.store().dir(),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let spot = &finding.spot;
    let (kind, clients) = match &finding.owner {
        Owner::Manifest(_) => ("manifest", Vec::new()),
        Owner::Clients(clients) => ("client", clients.clone()),
    };
    json!({
        "file": finding.path,
        "kind": kind,
        "clients": clients,
        "line": spot.line,
        "column": spot.column,
        "server": spot.server,
        "field": spot.field,
        "looks": spot.looks,
        "mode": finding.mode.map(|mode| format!("{mode:04o}")),
        "readable_by_others": finding.is_open(),
        "next": match finding.next {
            Next::Move => "move",
            Next::Apply => "apply",
            Next::Hand => "hand",
        },
    })
}

fn move_all(
    session: &mut Session<'_>,
    args: &Args,
    into: Store,
    loaded: &Loaded,
    scan: &Scan,
    moving: Moving,
) -> Result<u8, Failure> {
    if moving.edits.is_empty() {
        if args.format == Format::Json {
            session.out.data(json!({"format_version": 1, "moved": [], "left": moving.left}).to_string());
        } else {
            moving.left.iter().for_each(|line| session.out.data(format!("left: {line}")));
        }
        session.out.say("Nothing to move.");
        hints(session, loaded, scan);
        return Ok(0);
    }
    for kept in &moving.kept {
        // Asking comes after everything that is known to be in the way.
        super::check_room(session, loaded, kept)?;
    }
    let question = format!(
        "Move {} into {} and write {} instead?",
        count(moving.kept.len(), "secret"),
        into.spoken(),
        if moving.kept.len() == 1 { "a reference" } else { "references" },
    );
    if !args.yes {
        for line in &moving.lines {
            session.out.complain(line);
        }
        let unless = "`mcpkeel secret scan --move STORE --yes` moves without asking";
        session.agree(&question, "not moved", unless)?;
    }
    let files: Vec<String> =
        moving.edits.iter().map(|edit| reconcile::shown(session.system, &edit.path)).collect();
    super::keep_all(session, "secret scan", loaded, &moving.kept, moving.edits)?;
    let places: Vec<(String, String)> = moving
        .kept
        .iter()
        .map(|kept| {
            let source = Source::said(session.system, &loaded.units, 0, &kept.source);
            let place =
                source.map_or_else(|_| String::new(), |source| super::spoken(session.system, &source));
            (kept.name.clone(), place)
        })
        .collect();
    if args.format == Format::Json {
        let moved: Vec<Value> =
            places.iter().map(|(name, place)| json!({"name": name, "place": place})).collect();
        session.out.data(
            json!({"format_version": 1, "moved": moved, "manifests": files, "left": moving.left}).to_string(),
        );
    } else {
        moving.lines.iter().for_each(|line| session.out.data(line));
        for (name, place) in &places {
            session.out.data(format!("`{name}` is now kept in {place}"));
        }
        moving.left.iter().for_each(|line| session.out.data(format!("left: {line}")));
    }
    session.out.say(format!("{} changed; `mcpkeel undo` takes that back.", files.join(", ")));
    say_next(session, scan);
    Ok(0)
}

/// What brings the clients' files in step: entries that were taken over are not ours yet, and what else
/// is in the way of the same flag.
fn say_next(session: &mut Session<'_>, scan: &Scan) {
    let loaded = session.read(Which::Newest, Care::Quick);
    let Ok(plan) = session.plan(&loaded, Options::default(), None) else {
        return session.out.say("Next: mcpkeel plan");
    };
    let concerns =
        |server: &str| scan.findings.iter().any(|finding| finding.spot.server.as_deref() == Some(server));
    let conflicts = plan.steps().filter(|step| step.action == Action::Conflict);
    let (ours, others): (Vec<&Step>, Vec<&Step>) = conflicts.partition(|step| concerns(&step.server));
    if ours.is_empty() {
        session.out.say("Next: mcpkeel plan; the clients' files hold the literals until mcpkeel apply.");
        return;
    }
    session.out.say(
        "Next: mcpkeel plan --adopt, then mcpkeel apply --adopt: the clients' files still hold the literals, in \
         entries that are not ours yet.",
    );
    if !others.is_empty() {
        let names: Vec<String> =
            others.iter().map(|step| format!("`{}` of {}", step.server, step.target)).collect();
        session.out.say(format!("That also takes over {}.", names.join(", ")));
    }
}
