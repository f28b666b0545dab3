use serde_json::{Value, json};

use super::super::args::Format;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table;
use crate::clients::catalog;
use crate::guard::{self, Ask, Verdict};
use crate::manifest::model::{ClientRef, Policy, ResourceType};
use crate::reconcile::Loaded;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the manifest's policies
    List(List),
    /// Say whether something may be used, by which policy, and why
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct List {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when it may be used, with 6 when it may not or when a person must agree first.\n\
A denial beats an approval, and that beats an allowance; what no policy is about may be used."
)]
struct Test {
    /// The client block or client that asks; left out: one that no policy names
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// The server
    #[arg(long, value_name = "SERVER")]
    server: String,
    #[command(flatten)]
    what: What,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What of the server; left out: the server itself.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct What {
    /// A tool of the server, by its own name
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// A resource of the server, by its address
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// A prompt of the server
    #[arg(long, value_name = "PROMPT")]
    prompt: Option<String>,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::List(args) => list(session, args),
        Command::Test(args) => test(session, args),
    }
}

fn policies(loaded: &Loaded) -> impl Iterator<Item = &Policy> {
    loaded.units.iter().flat_map(|unit| &unit.manifest.policies)
}

fn list(session: &mut Session<'_>, args: &List) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    for unit in &loaded.units {
        for policy in &unit.manifest.policies {
            let scope = policy.scope.as_deref().unwrap_or("global");
            let kind = policy.resource_type.map_or("any", word);
            let action = Verdict::from(policy.action).word();
            rows.push(vec![
                policy.name.clone(),
                action.to_owned(),
                scope.to_owned(),
                kind.to_owned(),
                policy.pattern.clone(),
                policy.priority.to_string(),
                if policy.enabled { "yes" } else { "no" }.to_owned(),
                unit.file.name.clone(),
            ]);
            records.push(json!({
                "name": policy.name, "action": action, "scope": scope, "pattern": policy.pattern,
                "resource_type": policy.resource_type.map(word), "priority": policy.priority,
                "enabled": policy.enabled, "file": unit.file.name,
            }));
        }
    }
    let header = ["NAME", "ACTION", "SCOPE", "ABOUT", "PATTERN", "PRIORITY", "ENABLED", "FILE"];
    match args.format {
        Format::Json => session.out.data(json!({"format_version": 1, "policies": records}).to_string()),
        Format::Text if rows.is_empty() => {
            session.out.say("The manifest has no policies: everything may be used.");
        }
        format => table::of(format, &header, &rows).into_iter().for_each(|line| session.out.data(line)),
    }
    Ok(0)
}

fn test(session: &mut Session<'_>, args: &Test) -> Result<u8, Failure> {
    let loaded = session.load()?;
    super::check_server(&loaded, &args.server)?;
    let (client, client_id) = match &args.client {
        Some(name) => caller(&loaded, name)?,
        None => (None, None),
    };
    let (kind, name) = match &args.what {
        What { tool: Some(tool), .. } => {
            let prefix = format!("{}__", args.server);
            (ResourceType::Tool, tool.strip_prefix(&prefix).unwrap_or(tool))
        }
        What { resource: Some(resource), .. } => (ResourceType::Resource, resource.as_str()),
        What { prompt: Some(prompt), .. } => (ResourceType::Prompt, prompt.as_str()),
        _ => (ResourceType::Server, args.server.as_str()),
    };
    let ask = Ask { client, client_id, server: &args.server, kind, name };
    let explained = guard::explain(policies(&loaded), &ask);
    let judgement = &explained.judgement;
    match args.format {
        Format::Json => {
            let considered: Vec<Value> = explained
                .considered
                .iter()
                .map(|one| {
                    json!({
                        "policy": one.policy, "action": one.verdict.word(), "matches": one.is_about,
                        "why": one.why,
                    })
                })
                .collect();
            let document = json!({
                "format_version": 1, "verdict": judgement.verdict.word(), "policy": judgement.by,
                "considered": considered,
            });
            session.out.data(document.to_string());
        }
        format => {
            session.out.data(sentence(&ask, args.client.as_deref(), judgement));
            let row = |one: &guard::Considered| {
                let matches = if one.is_about { "yes" } else { "no" };
                vec![
                    one.policy.clone(),
                    one.verdict.word().to_owned(),
                    matches.to_owned(),
                    format!("it {}", one.why),
                ]
            };
            let rows: Vec<Vec<String>> = explained.considered.iter().map(row).collect();
            if !rows.is_empty() {
                session.out.data("");
                let header = ["POLICY", "ACTION", "MATCHES", "WHY"];
                table::of(format, &header, &rows).into_iter().for_each(|line| session.out.data(line));
            }
        }
    }
    Ok(if judgement.verdict == Verdict::Allow { 0 } else { 6 })
}

fn sentence(ask: &Ask<'_>, client: Option<&str>, judgement: &guard::Judgement) -> String {
    let who = client.map_or("Any other client".to_owned(), |client| format!("`{client}`"));
    let what = match ask.kind {
        ResourceType::Server => format!("the server `{}`", ask.server),
        kind => format!("the {} `{}` of `{}`", word(kind), ask.name, ask.server),
    };
    let may = match judgement.verdict {
        Verdict::Allow => format!("{who} may use {what}"),
        Verdict::Deny => format!("{who} may not use {what}"),
        Verdict::RequireApproval => format!("{who} may use {what} once a person agrees"),
    };
    match &judgement.by {
        Some(policy) => format!("{}: {may}: policy `{policy}`.", judgement.verdict),
        None => format!("{}: {may}: no policy is about it.", judgement.verdict),
    }
}

/// The client block of this name and its client, or the client alone.
fn caller<'a>(loaded: &'a Loaded, name: &'a str) -> Result<(Option<&'a str>, Option<&'a str>), Failure> {
    let blocks = || loaded.units.iter().flat_map(|unit| &unit.manifest.clients);
    if let Some((key, block)) = blocks().find(|(key, _)| *key == name) {
        let id = match &block.client {
            Some(ClientRef::Id(id)) => Some(id.as_str()),
            Some(ClientRef::Row(_)) => None,
            None => Some(key.as_str()),
        };
        return Ok((Some(key), id));
    }
    if catalog::ids().contains(&name) {
        return Ok((None, Some(name)));
    }
    let keys = blocks().map(|(key, _)| key.as_str());
    let hint = match crate::base::closest(name, keys.chain(catalog::ids().iter().copied())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`mcpkeel client list` shows the clients that are known".to_owned(),
    };
    Err(Failure::Usage { message: format!("there is no client `{name}`"), hint })
}

fn word(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::Tool => "tool",
        ResourceType::Resource => "resource",
        ResourceType::Prompt => "prompt",
        ResourceType::Server => "server",
    }
}
