//! Servers: one kind each, with the fields that go with it, and no secret in plain sight.

use serde_json::Value;

use super::{Section, pointer};
use crate::base::{Diagnostic, mask};
use crate::manifest::On;
use crate::manifest::excerpt::{flag_name, is_secret_query, is_secret_text};
use crate::manifest::model::{Package, Server, Source};
use crate::manifest::tree::shown;
use crate::manifest::validate::and;
use crate::manifest::values;

impl Section<'_> {
    pub fn servers(&mut self) {
        for (name, server) in &self.manifest.servers {
            let at = pointer(&["servers", name]);
            self.kind(&at, name, server);
            self.fields(&at, server);
            self.variables(&at, server);
            self.secrets_in(&at, server);
            for client in server.extra.keys() {
                self.known_client(&format!("{at}{}", pointer(&["extra", client])), On::Key, client);
            }
            if let Some(package) = &server.package {
                self.package(&at, package);
            }
            if let Some(source) = &server.source {
                self.source(&at, source);
            }
            if let Some(url) = &server.url {
                self.url(&at, url);
            }
            if let Some(command) = &server.command {
                self.command(&at, command);
            }
        }
        for (name, text) in &self.manifest.vars {
            self.literal(&pointer(&["vars", name]), name, text);
        }
        for (name, secret) in &self.manifest.secrets {
            let fields = [
                ("keyring", &secret.keyring),
                ("age", &secret.age),
                ("env", &secret.env),
                ("file", &secret.file),
            ];
            for (field, text) in fields {
                if text.as_ref().is_some_and(String::is_empty) {
                    self.empty(&pointer(&["secrets", name, field]));
                }
                if text.as_ref().is_some_and(|text| mask::looks_secret("", text)) {
                    self.literal(
                        &pointer(&["secrets", name, field]),
                        "token",
                        text.as_deref().unwrap_or_default(),
                    );
                }
            }
        }
    }

    fn kind(&mut self, at: &str, name: &str, server: &Server) {
        let given: Vec<&str> = [
            ("command", server.command.is_some()),
            ("url", server.url.is_some()),
            ("package", server.package.is_some()),
            ("source", server.source.is_some()),
        ]
        .iter()
        .filter_map(|(field, given)| given.then_some(*field))
        .collect();
        match given[..] {
            [_] => {}
            [] => {
                let message = format!("The server `{}` does not say how it is reached.", shown(name));
                let hint = "add one of `command`, `url`, `package` or `source`";
                self.say(Diagnostic::error("server-kind", message).hint(hint), at, On::Key);
            }
            [first, second, ..] => {
                let all: Vec<String> = given.iter().map(|field| format!("`{field}`")).collect();
                let message = format!("The server `{}` has {} at once.", shown(name), and(&all));
                let diagnostic = Diagnostic::error("server-kind", message)
                    .related("the other one", self.file.place(&format!("{at}/{first}"), On::Key))
                    .hint("keep exactly one of them");
                self.say(diagnostic, &format!("{at}/{second}"), On::Key);
            }
        }
    }

    /// Fields that only go with one kind of server.
    fn fields(&mut self, at: &str, server: &Server) {
        let kinds = [&server.command, &server.url];
        if kinds.iter().all(|kind| kind.is_none()) && server.package.is_none() && server.source.is_none() {
            return;
        }
        let runs = server.command.is_some() || server.package.is_some() || server.source.is_some();
        let args_hint = if server.package.is_some() {
            "write them under `package.args`"
        } else if server.source.is_some() {
            "write them under `source.run`"
        } else {
            "a remote server takes no arguments; remove them"
        };
        let rules = [
            ("args", !server.args.is_empty(), server.command.is_some(), "command", args_hint),
            (
                "env",
                !server.env.is_empty(),
                runs,
                "command",
                "a remote server has no environment; use `headers`",
            ),
            ("cwd", server.cwd.is_some(), runs, "command", "a remote server has no directory; remove it"),
            (
                "headers",
                !server.headers.is_empty(),
                server.url.is_some(),
                "url",
                "a local server gets no headers; use `env`",
            ),
            (
                "transport",
                server.transport.is_some(),
                server.url.is_some(),
                "url",
                "a local server always speaks stdio; remove it",
            ),
        ];
        for (field, given, fits, needs, hint) in rules {
            if given && !fits {
                let message = format!("`{field}` has no meaning without `{needs}`.");
                self.say(
                    Diagnostic::error("field-kind", message).hint(hint),
                    &format!("{at}/{field}"),
                    On::Key,
                );
            }
        }
    }

    fn package(&mut self, at: &str, package: &Package) {
        let at = format!("{at}/package");
        let registries = [
            ("npm", &package.npm),
            ("pypi", &package.pypi),
            ("oci", &package.oci),
            ("mcpb", &package.mcpb),
            ("registry", &package.registry),
        ];
        let given: Vec<(&str, &str)> =
            registries.iter().filter_map(|(field, text)| Some((*field, text.as_deref()?))).collect();
        let names = "`npm`, `pypi`, `oci`, `mcpb` or `registry`";
        match given[..] {
            [(field, "")] => self.empty(&format!("{at}/{field}")),
            [_] => {}
            [] => {
                let message = "The package does not say which registry it is from.";
                let diagnostic =
                    Diagnostic::error("package-registry", message).hint(format!("add one of {names}"));
                self.say(diagnostic, &at, On::Key);
            }
            [(first, _), (second, _), ..] => {
                let message = "The package names more than one registry.";
                let diagnostic = Diagnostic::error("package-registry", message)
                    .related("the other one", self.file.place(&format!("{at}/{first}"), On::Key))
                    .hint(format!("leave exactly one of {names}"));
                self.say(diagnostic, &format!("{at}/{second}"), On::Key);
            }
        }
    }

    fn source(&mut self, at: &str, source: &Source) {
        if source.git.is_empty() {
            self.empty(&format!("{at}/source/git"));
        }
        for (index, command) in source.build.iter().enumerate() {
            if command.first().is_none_or(String::is_empty) {
                self.empty(&format!("{at}/source/build/{index}"));
            }
        }
        if values::url(&source.git).is_ok_and(|url| url.has_login && !source.git.contains("${")) {
            self.say_literal(&format!("{at}/source/git"), "The address holds a user name or password.");
        }
    }

    fn url(&mut self, at: &str, text: &str) {
        let at = format!("{at}/url");
        if text.starts_with("${") || text.starts_with("$${") {
            return;
        }
        let url = match values::url(text) {
            Ok(url) => url,
            Err(wrong) => {
                let message = format!("This is no address of a remote server: {wrong}.");
                let hint = "write it like `https://example.com/mcp`";
                return self.say(Diagnostic::error("bad-url", message).hint(hint), &at, On::Value);
            }
        };
        if !url.is_tls && !url.host.is_empty() && !values::is_loopback(url.host) {
            let message = "Plain `http`: everyone on the way can read and change what is said.";
            let hint = "use `https` if the server offers it";
            self.say(Diagnostic::warning("plain-http", message).hint(hint), &at, On::Value);
        }
        if url.has_login && !text.contains("${") {
            self.say_literal(&at, "The address holds a user name or password.");
        }
        if is_secret_query(text) {
            self.say_literal(&at, "The address holds what looks like a secret.");
        }
    }

    fn command(&mut self, at: &str, command: &str) {
        let at = format!("{at}/command");
        if command.trim().is_empty() {
            return self.empty(&at);
        }
        let first = command.split(' ').next().unwrap_or_default();
        if command.contains(' ') && !first.is_empty() && !first.contains(['/', '\\', '$', '~', '%']) {
            let message = "`command` is one program; a space is taken as part of its name.";
            let hint = "move what follows the first word into `args`";
            self.say(Diagnostic::warning("command-with-arguments", message).hint(hint), &at, On::Value);
        }
    }

    /// Names of variables and headers must be such.
    fn variables(&mut self, at: &str, server: &Server) {
        for name in server.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            let message = format!("`{}` cannot be the name of an environment variable.", shown(name));
            let hint = "a name is not empty and has no `=`";
            let at = format!("{at}{}", pointer(&["env", name]));
            self.say(Diagnostic::error("bad-variable-name", message).hint(hint), &at, On::Key);
        }
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        for name in server.headers.keys().filter(|name| name.is_empty() || !name.bytes().all(is_token)) {
            let message = format!("`{}` cannot be the name of a header.", shown(name));
            let hint = "a header's name has letters, digits and `-`; what follows the `:` is its value";
            let at = format!("{at}{}", pointer(&["headers", name]));
            self.say(Diagnostic::error("bad-header-name", message).hint(hint), &at, On::Key);
        }
    }

    fn secrets_in(&mut self, at: &str, server: &Server) {
        for (field, map) in [("env", &server.env), ("headers", &server.headers)] {
            for (key, text) in map {
                self.literal(&format!("{at}{}", pointer(&[field, key])), key, &text.0);
            }
        }
        let package = server.package.as_ref().map(|package| &package.args[..]).unwrap_or_default();
        for (field, args) in [("args", &server.args[..]), ("package/args", package)] {
            let mut flag = "";
            for (index, arg) in args.iter().enumerate() {
                let name = flag_name(flag, arg);
                self.literal(&format!("{at}/{field}/{index}"), name, arg);
                flag = arg;
            }
        }
        for (client, fields) in &server.extra {
            for (key, value) in fields {
                self.foreign(&format!("{at}{}", pointer(&["extra", client, key])), key, value);
            }
        }
    }

    /// Values that go to a client as they are.
    fn foreign(&mut self, at: &str, key: &str, value: &Value) {
        match value {
            Value::String(text) => self.literal(at, key, text),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.foreign(&format!("{at}/{index}"), key, item);
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    self.foreign(&format!("{at}{}", pointer(&[key])), key, value);
                }
            }
            _ => {}
        }
    }

    fn literal(&mut self, at: &str, name: &str, text: &str) {
        if is_secret_text(name, text) {
            self.say_literal(at, "This looks like a secret, written out in the manifest.");
        }
    }

    fn say_literal(&mut self, at: &str, message: &str) {
        let hint = "keep it elsewhere: `mcpkeel secret set NAME`, then write `${secret:NAME}` here";
        self.say(Diagnostic::warning("literal-secret", message).hint(hint), at, On::Value);
    }

    pub fn empty(&mut self, at: &str) {
        let field = at.rsplit('/').next().unwrap_or_default().to_owned();
        let what = if field.bytes().all(|b| b.is_ascii_digit()) {
            "The command".into()
        } else {
            format!("`{field}`")
        };
        let diagnostic = Diagnostic::error("empty", format!("{what} must not be empty."));
        self.say(diagnostic.hint("write a value, or delete the line"), at, On::Value);
    }
}
