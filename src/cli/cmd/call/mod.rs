//! Calls a tool through the gateway. Start at [`run`]; `arguments` makes texts into values, `shown` is the result.

mod arguments;
mod shown;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::session::Session;
use crate::bridge::{self, Asking, Unanswered};
use crate::manifest::values;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Asks the running `mcpkeel up`, over its control socket. TOOL is as the gateway names it\n\
(`github__create_issue`); the tool's own name will do where only one server has it.\n\
The values of --arg become what the tool's schema says: numbers, booleans, lists and objects are\n\
written as JSON.\n\n\
  mcpkeel call time__get_current_time --arg timezone=Europe/Berlin\n\
  mcpkeel call create_issue --server github --args @issue.json --json\n\n\
Exits with 1 where the tool failed, with 6 where a policy, a pin or a person stands in the way."
)]
pub struct Args {
    /// The tool
    #[arg(value_name = "TOOL")]
    tool: String,
    /// An argument; may be repeated
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    arg: Vec<String>,
    /// All arguments as JSON, in a file, or on standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    args: Option<String>,
    /// As this client block: what it may not use is not there
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// This server's tools alone, by their own names
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// How long it may take, such as 30s
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// If a person must agree first, wait that long for it
    #[arg(long, value_name = "TIME")]
    wait: Option<String>,
    /// Print the result as it came, as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let whole = arguments::whole(session, args.args.as_deref())?;
    let given = arguments::given(&args.arg)?;
    let patience = args.timeout.as_deref().map(|text| time(text, "--timeout")).transpose()?;
    if let Some(wait) = &args.wait {
        time(wait, "--wait")?;
    }
    let runs = session.store().watching(session.system)?;
    if runs.is_none() {
        return Err(Failure::Failed {
            message: "the gateway does not run here".to_owned(),
            hint: Some("`mcpkeel up` runs it".to_owned()),
        });
    }
    let path = match &args.server {
        Some(server) => format!("/mcp/{server}"),
        None => "/mcp".to_owned(),
    };
    let mut near = super::connect::near(session, &path, args.client.as_deref())?;
    near.wake = std::sync::Arc::new(|| Err("does not run any more: run `mcpkeel up`".to_owned()));
    near.headers.extend(args.wait.iter().map(|wait| ("Mcpkeel-Wait".to_owned(), wait.clone())));
    let asked = async |asking: &mut Asking| call(asking, args, whole, &given, patience).await;
    let result = bridge::consult(near, "the gateway", asked)
        .map_err(|error| Failure::Failed { message: error.to_string(), hint: None })??;
    let value: Value = serde_json::from_str(&result).unwrap_or_default();
    let has_failed = value["isError"] == true;
    if args.json {
        session.out.data(&result);
    } else if has_failed {
        session.out.complain(format!("error: `{}` failed: {}", args.tool, shown::result(&value)));
    } else {
        session.out.data(shown::result(&value));
    }
    Ok(u8::from(has_failed))
}

fn time(text: &str, flag: &str) -> Result<Duration, Failure> {
    values::duration(text).ok_or_else(|| Failure::Usage {
        message: format!("`{text}` is no duration for {flag}"),
        hint: "write it like `30s`; the units are ms, s, m, h and d".to_owned(),
    })
}

/// Finds the tool, makes its arguments, and calls it. The result as JSON.
async fn call(
    asking: &mut Asking,
    args: &Args,
    mut arguments: Map<String, Value>,
    given: &[(String, String)],
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let tools = tools(asking, patience).await?;
    let found = find(&tools, &args.tool)?;
    let schema = found.map(|tool| &tool["inputSchema"]);
    for (name, text) in given {
        arguments.insert(name.clone(), arguments::typed(schema, name, text)?);
    }
    let name = found.and_then(|tool| tool["name"].as_str()).unwrap_or(&args.tool);
    let params = json!({ "name": name, "arguments": arguments }).to_string();
    // What is not listed may be there all the same, and the gateway says best why it is not.
    asking.ask("tools/call", &params, patience).await.map_err(|why| match why {
        Unanswered::Refused(error) if found.is_none() => unknown(&tools, &args.tool, &error),
        why => failure(why),
    })
}

/// Every tool that is listed.
async fn tools(asking: &mut Asking, patience: Option<Duration>) -> Result<Vec<Value>, Failure> {
    let (mut tools, mut params) = (Vec::new(), json!({}));
    loop {
        let page = asking.ask("tools/list", &params.to_string(), patience).await.map_err(failure)?;
        let mut page: Value = serde_json::from_str(&page).unwrap_or_default();
        if let Some(Value::Array(listed)) = page.get_mut("tools").map(Value::take) {
            tools.extend(listed);
        }
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(cursor) if params["cursor"] != *cursor => params = json!({ "cursor": cursor }),
            _ => return Ok(tools),
        }
    }
}

/// The tool with this name; or with this name behind its server's, if there is only one.
fn find<'t>(tools: &'t [Value], name: &str) -> Result<Option<&'t Value>, Failure> {
    if let Some(tool) = tools.iter().find(|tool| tool["name"] == *name) {
        return Ok(Some(tool));
    }
    let is_it = |tool: &&Value| own_name(tool) == Some(name);
    let named: Vec<&Value> = tools.iter().filter(is_it).collect();
    match named.as_slice() {
        [] => Ok(None),
        [tool] => Ok(Some(tool)),
        several => {
            let names: Vec<&str> = several.iter().filter_map(|tool| tool["name"].as_str()).collect();
            Err(Failure::Usage {
                message: format!("several servers have a tool `{name}`"),
                hint: format!("name one of {}", names.join(", ")),
            })
        }
    }
}

/// A tool's name without its server's.
fn own_name(tool: &Value) -> Option<&str> {
    tool["name"].as_str()?.split_once("__").map(|(_, name)| name)
}

fn unknown(tools: &[Value], name: &str, error: &str) -> Failure {
    let failure = refused(error);
    // A tool that is there and may not be used is another matter.
    if matches!(failure, Failure::Refused { .. }) {
        return failure;
    }
    let names = tools.iter().filter_map(|tool| tool["name"].as_str());
    let known = names.chain(tools.iter().filter_map(own_name));
    let hint = match crate::base::closest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if tools.is_empty() => {
            "no tool is listed: `mcpkeel server status` shows how the servers stand".to_owned()
        }
        None => format!("{} tools are listed; `mcpkeel server tools` shows them", tools.len()),
    };
    Failure::Usage { message: format!("there is no tool `{name}` here"), hint }
}

fn failure(why: Unanswered) -> Failure {
    match why {
        Unanswered::Refused(error) => refused(&error),
        Unanswered::Silent => Failure::Failed {
            message: "no answer came in time; the call was taken back".to_owned(),
            hint: Some("`--timeout` gives it longer".to_owned()),
        },
        Unanswered::Lost => Failure::failed("the connection to the gateway was lost"),
    }
}

/// A JSON-RPC error, with its next step.
fn refused(error: &str) -> Failure {
    let error: Value = serde_json::from_str(error).unwrap_or_default();
    let message = error["message"].as_str().unwrap_or("it failed, and does not say why").to_owned();
    let word = error["data"]["code"].as_str().or_else(|| message.split(':').next()).unwrap_or_default();
    let id = ["id", "approval", "approvalId", "approval_id"];
    let id = id.into_iter().find_map(|name| error["data"][name].as_str()).unwrap_or("ID");
    let hint = match word {
        "APPROVAL_REQUIRED" => {
            format!("`mcpkeel approval approve {id}`, then call again; `--wait 10m` waits for it")
        }
        "POLICY_DENIED" => "`mcpkeel policy test` explains the verdict".to_owned(),
        "TOOL_HELD" => "`mcpkeel lock diff` shows what is new; `mcpkeel lock accept` agrees to it".to_owned(),
        "INSUFFICIENT_SCOPE" => "this caller may not do that".to_owned(),
        _ => {
            let code = error["code"].as_i64().map(|code| format!(" ({code})")).unwrap_or_default();
            return Failure::failed(format!("{message}{code}"));
        }
    };
    Failure::Refused { message, hint }
}
