use serde_json::json;

use super::super::super::args::Format;
use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::reconcile;
use crate::secrets::Vault;

#[derive(Debug, clap::Args)]
#[command(after_help = "No value is looked up.")]
pub struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    let vault = Vault::new(session.system, &loaded.units);
    let used = reconcile::secret_uses(session.system, &loaded.units);
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    for name in super::names(&loaded) {
        let (store, place) = super::kept(session.system, &vault, name);
        let mut servers: Vec<&str> =
            used.iter().filter(|found| found.secret == name).map(|found| found.server.as_str()).collect();
        servers.dedup();
        records.push(json!({"name": name, "store": store, "place": place, "servers": servers}));
        rows.push(vec![name.to_owned(), store.to_owned(), place, servers.len().to_string()]);
    }
    match args.format {
        Format::Json => session.out.data(json!({"format_version": 1, "secrets": records}).to_string()),
        _ if rows.is_empty() => session.out.say(
            "The manifest has no secrets yet. `mcpkeel secret set NAME --keyring` stores one in the keyring.",
        ),
        format => super::print_table(session, format, &["NAME", "STORE", "PLACE", "SERVERS"], &rows),
    }
    Ok(0)
}
