//! Clients that reach their servers at the gateway: that there is one, and that its entry has a name to itself.

use super::{Names, pointer};
use crate::base::Diagnostic;
use crate::manifest::model::Delivery;
use crate::manifest::tree::shown;
use crate::manifest::{GATEWAY_ENTRY, On, Parsed};

/// Looks at all files together: settings, gateway, servers and clients may stand in different ones.
pub fn gateway(files: &[Parsed], names: &Names<'_>, found: &mut Vec<Diagnostic>) {
    let read = |parsed: &Parsed| parsed.manifest.is_some() || parsed.partial.is_some();
    let manifests = || {
        files.iter().filter(|parsed| read(parsed)).filter_map(|parsed| {
            Some((parsed, parsed.file.as_deref()?, parsed.manifest.as_ref().or(parsed.partial.as_ref())?))
        })
    };
    let is_usual = manifests()
        .any(|(parsed, _, manifest)| !parsed.is_sourced && manifest.settings.delivery == Delivery::Gateway);
    let uses = |delivery: Option<Delivery>| delivery.map_or(is_usual, |it| it == Delivery::Gateway);
    let first = manifests().find_map(|(_, file, manifest)| {
        let (name, _) = manifest.clients.iter().find(|(_, client)| uses(client.delivery))?;
        Some((file, name))
    });
    let Some((file, name)) = first else { return };
    let client = pointer(&["clients", name]);
    let says = format!("{client}/delivery");
    let place = if file.has(&says) { file.place(&says, On::Value) } else { file.place(&client, On::Key) };
    if let Some(file) = names.servers.get(GATEWAY_ENTRY) {
        let message = format!("The server `{GATEWAY_ENTRY}` has the name of the gateway's entry.");
        let problem = Diagnostic::error("reserved-name", message)
            .at(file.place(&pointer(&["servers", GATEWAY_ENTRY]), On::Key))
            .related(format!("`{}` reaches its servers through that entry", shown(name)), place.clone())
            .hint("rename the server");
        found.push(problem);
    }
    let is_there =
        files.iter().filter(|parsed| !parsed.is_sourced).filter_map(|parsed| parsed.file.as_deref());
    if names.complete && !is_there.into_iter().any(|file| file.has("/gateway")) {
        let message = format!("`{}` reaches its servers at the gateway, and there is none.", shown(name));
        let hint = "add `gateway: {}`; `mcpkeel up` then runs it";
        found.push(Diagnostic::warning("no-gateway", message).at(place).hint(hint));
    }
}
