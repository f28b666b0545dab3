//! Clients: known ones, in a place that exists, with choices that go together.

use indexmap::IndexMap;

use super::references::Used;
use super::{Section, meant, pointer};
use crate::base::Diagnostic;
use crate::manifest::On;
use crate::manifest::model::{Client, ClientRef, Scope, Unmanaged};
use crate::manifest::tree::shown;

impl Section<'_> {
    pub fn clients(&mut self, used: &mut Used) {
        let mut targets: IndexMap<String, &str> = IndexMap::new();
        for (name, client) in &self.manifest.clients {
            let at = pointer(&["clients", name]);
            self.id(&at, name, client);
            self.place_of_client(&at, client);
            for (field, names) in
                [("servers", &client.servers), ("except", &client.except), ("disabled", &client.disabled)]
            {
                self.targets(&format!("{at}/{field}"), names);
                used.groups.extend(names.iter().cloned());
            }
            for server in client.tools.keys() {
                self.server(&format!("{at}{}", pointer(&["tools", server])), On::Key, server);
            }
            if client.unmanaged == Some(Unmanaged::Remove) && !client.exclusive {
                let message = "`unmanaged: remove` would delete servers that are not ours.";
                let hint = "add `exclusive: true` to say that only our servers may stand there";
                self.say(
                    Diagnostic::error("needs-exclusive", message).hint(hint),
                    &format!("{at}/unmanaged"),
                    On::Key,
                );
            }
            if client.when.is_none() {
                self.same_target(&mut targets, name, client);
            }
        }
    }

    fn id(&mut self, at: &str, name: &str, client: &Client) {
        match &client.client {
            None => self.known_client(at, On::Key, name),
            Some(ClientRef::Id(id)) => {
                self.known_client(&format!("{at}/client"), On::Value, id);
                if id != name && self.clients.contains(&name) {
                    let message = format!("The block `{name}` describes another client than its name says.");
                    let hint = "give the block a name of your own, such as `my-client`";
                    self.say(Diagnostic::warning("misleading-name", message).hint(hint), at, On::Key);
                }
            }
            Some(ClientRef::Row(row)) => {
                let at = format!("{at}/client");
                if row.stdio.is_none() && row.http.is_none() && row.sse.is_none() {
                    let message = "The description does not say what an entry looks like.";
                    let hint = "add `stdio: { command: \"{command}\", args: \"{args}\", env: \"{env}\" }`";
                    self.say(Diagnostic::error("client-row", message).hint(hint), &at, On::Key);
                }
                let has_path =
                    self.file.has(&format!("{at}/path")) || client.path.is_some() || row.project.is_some();
                if !has_path {
                    let message = "The description does not say where the client's file is.";
                    let hint = "add `path: { all: ~/.my/mcp.json }`";
                    self.say(Diagnostic::error("client-row", message).hint(hint), &at, On::Key);
                }
            }
        }
    }

    /// An id must be one that is known.
    pub fn known_client(&mut self, at: &str, on: On, id: &str) {
        let is_own = self.manifest.clients.get(id).is_some_and(|own| own.client.is_some());
        if self.clients.is_empty() || self.clients.contains(&id) || is_own || !self.takes(at) {
            return;
        }
        let message = format!("mcpkeel knows no client `{}`.", shown(id));
        let hint = meant(id, self.clients.iter().copied()).unwrap_or_else(|| {
            "`mcpkeel client list` shows the known ones; describe another with `client: { format, path, root, .. }`".into()
        });
        self.say(Diagnostic::error("unknown-client", message).hint(hint), at, on);
    }

    fn place_of_client(&mut self, at: &str, client: &Client) {
        let scope = match client.scope {
            Some(Scope::Project) => "project",
            Some(Scope::Local) => "local",
            _ => "user",
        };
        if client.root.is_some() && client.scope == Some(Scope::User) {
            let message = "`root` has no meaning in the scope `user`.";
            let hint = "remove it, or write `scope: project`";
            self.say(Diagnostic::error("scope-root", message).hint(hint), &format!("{at}/root"), On::Key);
        }
        if client.root.is_none() && client.path.is_none() && scope != "user" {
            let message = format!("The scope `{scope}` needs the project's directory.");
            let hint = "add `root: ~/src/PROJECT`";
            self.say(Diagnostic::error("scope-root", message).hint(hint), &format!("{at}/scope"), On::Value);
        }
        for (field, text) in [("root", &client.root), ("path", &client.path)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                self.empty(&format!("{at}/{field}"));
            }
        }
    }

    /// Two blocks must not claim the same file.
    fn same_target<'m>(&mut self, targets: &mut IndexMap<String, &'m str>, name: &'m str, client: &Client) {
        let id = match &client.client {
            None => name,
            Some(ClientRef::Id(id)) => id,
            Some(ClientRef::Row(_)) => return,
        };
        let scope = client.scope.unwrap_or(if client.root.is_some() { Scope::Project } else { Scope::User });
        let target = format!("{id}\0{scope:?}\0{:?}\0{:?}", client.root, client.path);
        match targets.get(&target) {
            None => drop(targets.insert(target, name)),
            Some(earlier) => {
                let message = format!(
                    "`{}` and `{}` write the same file of the same client.",
                    shown(earlier),
                    shown(name)
                );
                let diagnostic = Diagnostic::error("same-target", message)
                    .related("the other block", self.file.place(&pointer(&["clients", earlier]), On::Key))
                    .hint("join the two, or give one of them another `root`, `path` or `when`");
                self.say(diagnostic, &pointer(&["clients", name]), On::Key);
            }
        }
    }
}
