//! The servers that `mcpkeel up` runs. Start at [`run`]; `ask` is the way to it, `logs` needs none.

mod ask;
mod logs;
mod tools;

use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use clap::ValueEnum;

use ask::{Verb, ask, running};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start a server, also one that was given up
    Start(Named),
    /// Stop a server until it is started again
    Stop(Named),
    /// Stop a server and start it again
    Restart(Named),
    /// Show what the servers are doing
    Status(Shown),
    /// Show how well the servers are; exits with 1 if one is unhealthy
    Health(Shown),
    /// Show what a server complained about
    Logs(logs::Args),
    /// List what a server offers
    Tools(tools::Args),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The servers, as the manifest names them
    #[arg(value_name = "SERVER", required = true)]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Shown {
    /// Only this server
    #[arg(value_name = "SERVER")]
    name: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person.
    #[default]
    Text,
    /// For a program: JSON with `format_version`.
    Json,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::Start(args) => change(session, args, "start", "is running"),
        Command::Stop(args) => change(session, args, "stop", "is stopped"),
        Command::Restart(args) => change(session, args, "restart", "is running"),
        Command::Status(args) => status(session, args),
        Command::Health(args) => health(session, args),
        Command::Logs(args) => logs::run(session, args),
        Command::Tools(args) => tools::run(session, args),
    }
}

/// One after the other; what cannot be done with one does not hold up the rest.
fn change(session: &mut Session<'_>, args: &Named, verb: &str, done: &str) -> Result<u8, Failure> {
    let (mut code, running) = (0, running(session)?);
    for name in &args.names {
        match ask(&running, Verb::Post, &format!("/{name}/{verb}")) {
            Ok(now) => {
                let process = now["pid"].as_u64().map(|pid| format!(" (process {pid})")).unwrap_or_default();
                session.out.say(format!("`{name}` {done}{process}"));
            }
            Err(failure) => code = failure.report(session),
        }
    }
    Ok(code)
}

fn status(session: &mut Session<'_>, args: &Shown) -> Result<u8, Failure> {
    let servers = standings(session, args)?;
    if args.format == Format::Json {
        session.out.data(json!({ "format_version": 1, "servers": servers }).to_string());
        return Ok(0);
    }
    if servers.is_empty() {
        session.out.say("the manifest has no server that runs here");
        return Ok(0);
    }
    let header = ["SERVER", "STATE", "SINCE", "PROCESS", "RESTARTS", "VERSION"];
    let rows = rows(&servers, &["name", "state", "since", "pid", "restarts", "version"]);
    table::table(&header, &rows).iter().for_each(|line| session.out.data(line));
    for server in servers.iter().filter(|server| is_in_trouble(server)) {
        session.out.say(trouble(server));
    }
    Ok(0)
}

fn health(session: &mut Session<'_>, args: &Shown) -> Result<u8, Failure> {
    let servers = standings(session, args)?;
    let code = u8::from(servers.iter().any(|server| server["health"] == "unhealthy"));
    if args.format == Format::Json {
        session.out.data(json!({ "format_version": 1, "servers": servers }).to_string());
        return Ok(code);
    }
    let header = ["SERVER", "HEALTH", "STATE", "ANSWERS IN MS", "ERRORS", "WARNINGS", "RESTARTS"];
    let fields = ["name", "health", "state", "latency_ms", "errors", "warnings", "restarts"];
    table::table(&header, &rows(&servers, &fields)).iter().for_each(|line| session.out.data(line));
    for server in servers.iter().filter(|server| is_in_trouble(server)) {
        session.out.say(trouble(server));
    }
    Ok(code)
}

fn standings(session: &mut Session<'_>, args: &Shown) -> Result<Vec<Value>, Failure> {
    let running = running(session)?;
    Ok(match &args.name {
        Some(name) => {
            let mut one = ask(&running, Verb::Get, &format!("/{name}"))?;
            if let Some(members) = one.as_object_mut() {
                members.remove("format_version");
            }
            vec![one]
        }
        None => match ask(&running, Verb::Get, "")?["servers"].take() {
            Value::Array(servers) => servers,
            _ => Vec::new(),
        },
    })
}

fn rows(servers: &[Value], fields: &[&str]) -> Vec<Vec<String>> {
    let cell = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    };
    servers.iter().map(|server| fields.iter().map(|field| cell(&server[*field])).collect()).collect()
}

fn is_in_trouble(server: &Value) -> bool {
    server["health"] == "unhealthy" || server["health"] == "degraded" && server["last_error"].is_string()
}

/// What happened to it, and what to do.
fn trouble(server: &Value) -> String {
    let text = |field: &str| server[field].as_str().unwrap_or_default().replace(char::is_control, " ");
    let (name, last) = (text("name"), text("last_error"));
    let next = match (text("state").as_str(), server["next_start_s"].as_f64()) {
        ("failed", _) => format!("`mcpkeel server start {name}` tries again"),
        ("backoff", Some(seconds)) => format!("it is started again in {seconds} s"),
        _ => format!("see `mcpkeel server logs {name}`"),
    };
    format!("{name}: {last}; {next}")
}
