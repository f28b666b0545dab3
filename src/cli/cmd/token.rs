use std::time::Duration;

use serde_json::{Value, json};

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::poke::poke;
use super::super::session::Session;
use super::super::table;
use crate::guard::{Scope, Scopes, make_token, token_hash};
use crate::manifest::values;
use crate::reconcile::{Care, Which};
use crate::store::db::{Database, Token};
use crate::store::rfc3339;
use crate::system::At as _;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token; it is printed once, and never again
    Create(Create),
    /// List tokens: what each is good for, and when it was used last
    List(List),
    /// Have a token be good for nothing from now on
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The token alone goes to standard output, once; a keyed hash of it is all that is kept.\n\
Scopes: tools:read, tools:execute, resources:read, prompts:read, admin."
)]
struct Create {
    /// What to call it: who or what will use it
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// What it is good for; may be repeated [default: everything but admin]
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// A server it is good for; may be repeated [default: all of them]
    #[arg(long = "server", value_name = "SERVER", value_delimiter = ',')]
    servers: Vec<String>,
    /// After how long it ends (`30d`, `12h`) [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct List {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The token's name
    #[arg(value_name = "NAME")]
    name: String,
}

fn name(text: &str) -> Result<String, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match !text.is_empty() && text.len() <= 64 && text.chars().all(is_part) {
        true => Ok(text.to_owned()),
        false => Err("a name has 1 to 64 letters, digits, `-`, `_` and `.`".to_owned()),
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse()
}

fn duration(text: &str) -> Result<Duration, String> {
    values::duration(text)
        .ok_or_else(|| "write it like `30d`, at most `365d`; the units are ms, s, m, h and d".to_owned())
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::Create(args) => create(session, args),
        Command::List(args) => list(session, args),
        Command::Revoke(args) => revoke(session, args),
    }
}

fn create(session: &mut Session<'_>, args: &Create) -> Result<u8, Failure> {
    check_servers(session, &args.servers)?;
    let (store, system) = (session.store(), session.system);
    system.keep_memory_private();
    let key = session.machine_key("token create")?;
    let random = system.random().at(store.dir(), "make a token for")?;
    let plain = make_token(&random);
    let now = system.now();
    let token = Token {
        id: 0,
        name: args.name.clone(),
        hash: token_hash(&key, plain.expose()),
        scopes: match args.scopes.as_slice() {
            [] => Scopes::USE,
            scopes => scopes.iter().copied().collect(),
        },
        servers: (!args.servers.is_empty()).then(|| args.servers.clone()),
        created: now,
        expires: args.expires.and_then(|expires| now.checked_add(expires)),
        last_used: None,
        revoked: None,
    };
    if !Database::open(system, &store)?.add_token(&token)? {
        return Err(Failure::Usage {
            message: format!("there is a token `{}` already", args.name),
            hint: format!("take another name, or `mcpkeel token revoke {}` first", args.name),
        });
    }
    poke(session, "tokens");
    match args.format {
        Format::Json => {
            let mut document = json!({"format_version": 1, "token": record(&token, now)});
            document["plaintext"] = plain.expose().as_str().into();
            session.out.data(document.to_string());
        }
        Format::Text | Format::Markdown => session.out.data(plain.expose()),
    }
    let end = token.expires.map_or("it never ends".to_owned(), |end| format!("it ends {}", rfc3339(end)));
    session.out.say(format!(
        "`{}` is good for {} on {}; {end}. This is the only time it is shown.",
        token.name,
        token.scopes.to_string().replace(',', ", "),
        servers(&token),
    ));
    Ok(0)
}

/// Servers that the manifest does not name are most likely typing errors.
fn check_servers(session: &mut Session<'_>, servers: &[String]) -> Result<(), Failure> {
    if servers.is_empty() {
        return Ok(());
    }
    let loaded = session.read(Which::Newest, Care::Quick);
    if !loaded.is_valid() {
        session.out.say("note: the manifest cannot be read, so the servers' names are taken as they are");
        return Ok(());
    }
    servers.iter().try_for_each(|server| super::check_server(&loaded, server))
}

fn list(session: &mut Session<'_>, args: &List) -> Result<u8, Failure> {
    let now = session.system.now();
    let tokens = match Database::look(session.system, &session.store())? {
        Some(database) => database.tokens()?,
        None => Vec::new(),
    };
    let at = |time: Option<_>| time.map(rfc3339).unwrap_or_default();
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            vec![
                token.name.clone(),
                token.standing(now).to_owned(),
                token.scopes.to_string(),
                servers(token),
                at(token.expires),
                token.last_used.map_or("never".to_owned(), rfc3339),
            ]
        })
        .collect();
    let header = ["NAME", "STATE", "SCOPES", "SERVERS", "EXPIRES", "LAST USED"];
    match args.format {
        Format::Json => {
            let records: Vec<Value> = tokens.iter().map(|token| record(token, now)).collect();
            session.out.data(json!({"format_version": 1, "tokens": records}).to_string());
        }
        Format::Text if rows.is_empty() => {
            session.out.say("There are no tokens. `mcpkeel token create NAME` makes one.");
        }
        format => table::of(format, &header, &rows).into_iter().for_each(|line| session.out.data(line)),
    }
    Ok(0)
}

fn revoke(session: &mut Session<'_>, args: &Revoke) -> Result<u8, Failure> {
    let now = session.system.now();
    let Some(mut database) = Database::look(session.system, &session.store())? else {
        return Err(unknown(&args.name, &[]));
    };
    let Some(before) = database.revoke_token(&args.name, now)? else {
        return Err(unknown(&args.name, &database.tokens()?));
    };
    poke(session, "tokens");
    match before.revoked {
        Some(at) => session.out.say(format!("`{}` was revoked {}", args.name, rfc3339(at))),
        None => session.out.data(format!("{}: revoked", args.name)),
    }
    Ok(0)
}

fn unknown(name: &str, tokens: &[Token]) -> Failure {
    let hint = match crate::base::closest(name, tokens.iter().map(|token| token.name.as_str())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`mcpkeel token list` shows them".to_owned(),
    };
    Failure::Usage { message: format!("there is no token `{name}`"), hint }
}

fn servers(token: &Token) -> String {
    token.servers.as_ref().map_or("all servers".to_owned(), |servers| servers.join(", "))
}

fn record(token: &Token, now: std::time::SystemTime) -> Value {
    let scopes: Vec<&str> = token.scopes.iter().map(Scope::word).collect();
    json!({
        "name": token.name, "state": token.standing(now), "scopes": scopes, "servers": token.servers,
        "created": rfc3339(token.created), "expires": token.expires.map(rfc3339),
        "last_used": token.last_used.map(rfc3339), "revoked": token.revoked.map(rfc3339),
    })
}
