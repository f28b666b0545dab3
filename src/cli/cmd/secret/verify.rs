use serde_json::json;

use super::super::super::args::Format;
use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::secrets::Vault;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each value is looked up as a server's start would do it, and not shown. A passphrase of an age\n\
identity is asked for once, or taken from MCPKEEL_AGE_PASSPHRASE. Exits with 1 when a secret\n\
cannot be had."
)]
pub struct Args {
    /// Only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let vault = Vault::new(session.system, &loaded.units);
    let (mut rows, mut records, mut hints) = (Vec::new(), Vec::new(), Vec::new());
    let mut bad = 0;
    for name in super::chosen(&loaded, &args.names)? {
        let (store, place) = super::kept(session.system, &vault, name);
        let problem = vault.get(name).err();
        bad += usize::from(problem.is_some());
        records.push(json!({
            "name": name, "store": store, "place": place, "ok": problem.is_none(), "problem": problem,
        }));
        let said = problem.as_ref().map_or("ok", |problem| problem.message.as_str());
        // The table says already which secret it is.
        let said = said.strip_prefix(&format!("the secret `{name}` cannot be had: ")).unwrap_or(said);
        rows.push(vec![name.to_owned(), store.to_owned(), said.to_owned()]);
        if let Some(hint) = problem.and_then(|problem| problem.hint) {
            hints.push(format!("  hint: {name}: {hint}"));
        }
    }
    match args.format {
        Format::Json => {
            session.out.data(json!({"format_version": 1, "ok": bad == 0, "secrets": records}).to_string());
        }
        _ if rows.is_empty() => session.out.say("The manifest has no secrets."),
        format => super::print_table(session, format, &["NAME", "STORE", "STATE"], &rows),
    }
    for hint in hints {
        session.out.say(hint);
    }
    Ok(u8::from(bad > 0))
}
