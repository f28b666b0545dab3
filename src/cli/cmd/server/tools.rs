use serde_json::Value;

use super::super::super::failure::Failure;
use super::super::super::session::Session;
use super::super::super::table;
use super::Format;
use super::ask::{Verb, ask, running};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server, as the manifest names it
    #[arg(value_name = "SERVER")]
    name: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let said = ask(&running(session)?, Verb::Get, &format!("/{}/tools", args.name))?;
    if args.format == Format::Json {
        session.out.data(said.to_string());
        return Ok(0);
    }
    let tools = said["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tools.is_empty() {
        session.out.say(format!("`{}` offers no tools", args.name));
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = tools.iter().map(row).collect();
    table::table(&["TOOL", "ARGUMENTS", "WHAT IT DOES"], &rows)
        .iter()
        .for_each(|line| session.out.data(line));
    Ok(0)
}

/// Arguments that must be given stand first, others in brackets.
fn row(tool: &Value) -> Vec<String> {
    let schema = &tool["inputSchema"];
    let is_needed = |name: &str| {
        schema["required"].as_array().is_some_and(|needed| needed.iter().any(|needed| needed == name))
    };
    let names =
        schema["properties"].as_object().map(|all| all.keys().collect::<Vec<_>>()).unwrap_or_default();
    let (needed, others): (Vec<&String>, Vec<&String>) =
        names.into_iter().partition(|name| is_needed(name.as_str()));
    let arguments: Vec<String> =
        needed.into_iter().cloned().chain(others.into_iter().map(|name| format!("[{name}]"))).collect();
    let text = |text: &str| text.replace(char::is_control, " ");
    let described = tool["description"].as_str().or(tool["title"].as_str()).unwrap_or_default();
    let first = described.lines().next().unwrap_or_default();
    let mut short: String = first.chars().take(80).collect();
    if short.len() < first.len() {
        short.push('…');
    }
    vec![text(tool["name"].as_str().unwrap_or_default()), text(&arguments.join(" ")), text(&short)]
}
