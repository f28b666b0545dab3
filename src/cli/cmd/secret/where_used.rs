use serde_json::json;

use super::super::super::args::Format;
use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::reconcile;
use crate::secrets::Vault;

#[derive(Debug, clap::Args)]
#[command(after_help = "The clients are those that get the server on this machine.")]
pub struct Args {
    /// The secret
    #[arg(value_name = "NAME")]
    name: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let loaded = session.load()?;
    super::unit_of(&loaded, &args.name)?;
    let vault = Vault::new(session.system, &loaded.units);
    let (store, place) = super::kept(session.system, &vault, &args.name);
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    for used in reconcile::secret_uses(session.system, &loaded.units) {
        if used.secret != args.name {
            continue;
        }
        records.push(json!({
            "server": used.server, "file": used.place.file, "line": used.place.line,
            "column": used.place.column, "clients": used.clients,
        }));
        let at = format!("{}:{}", used.place.file, used.place.line);
        rows.push(vec![used.server, at, used.clients.join(", ")]);
    }
    match args.format {
        Format::Json => {
            let whole = json!({
                "format_version": 1, "name": args.name, "store": store, "place": place, "uses": records,
            });
            session.out.data(whole.to_string());
        }
        _ if rows.is_empty() => session.out.say(format!("Nothing uses the secret `{}`.", args.name)),
        format => super::print_table(session, format, &["SERVER", "WHERE", "CLIENTS"], &rows),
    }
    Ok(0)
}
