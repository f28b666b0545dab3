//! References inside texts: that they are ones, and that what they name exists.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::{Section, chain, loops, meant, pointer};
use crate::base::Diagnostic;
use crate::manifest::model::{Manifest, Notify, Server};
use crate::manifest::text::{self, Builtin, Mistake, MistakeKind, Part};
use crate::manifest::tree::shown;
use crate::manifest::{MAX_PROBLEMS, On, Parsed};

/// Names that something refers to.
#[derive(Default)]
pub struct Used {
    pub secrets: HashSet<String>,
    pub vars: HashSet<String>,
    pub groups: HashSet<String>,
}

impl Section<'_> {
    pub fn references(&mut self, used: &mut Used) {
        for (at, text) in texts(self.manifest) {
            match text::parse(text) {
                Ok(parts) => parts.iter().for_each(|part| self.reference(&at, part, used)),
                Err(mistakes) => {
                    mistakes.iter().take(MAX_PROBLEMS).for_each(|mistake| self.mistake(&at, text, mistake));
                }
            }
        }
        let edges: IndexMap<&str, Vec<&str>> =
            self.manifest.vars.iter().map(|(name, text)| (name.as_str(), vars_in(text))).collect();
        for names in loops(&edges) {
            let message = format!("The variable needs itself: {}.", chain(&names));
            let diagnostic =
                Diagnostic::error("var-cycle", message).hint("write the value out in one of them");
            self.say(diagnostic, &pointer(&["vars", names[0]]), On::Key);
        }
        let groups = self.manifest.groups.values().flatten();
        used.groups.extend(groups.cloned());
    }

    fn reference(&mut self, at: &str, part: &Part, used: &mut Used) {
        let (what, name, names, set) = match part {
            Part::Secret(name) => ("secret", name, &self.names.secrets, &mut used.secrets),
            Part::Var(name) => ("var", name, &self.names.vars, &mut used.vars),
            Part::Literal(_) | Part::Env(_) | Part::Builtin(_) => return,
        };
        set.insert(name.clone());
        let is_known = names.contains_key(name.as_str());
        if is_known || !self.names.complete || self.found.len() >= MAX_PROBLEMS {
            return;
        }
        let word = if what == "var" { "variable" } else { what };
        let add = if what == "var" {
            format!("add `{name}: ..` under `vars`")
        } else {
            format!("add `{name}: {{ keyring: {name} }}` under `secrets`")
        };
        let hint = meant(name, names.keys().copied()).unwrap_or(add);
        let diagnostic = Diagnostic::error(
            if what == "var" { "unknown-var" } else { "unknown-secret" },
            format!("There is no {word} `{}`.", shown(name)),
        );
        self.say_of(diagnostic.hint(hint), at, &part.to_string());
    }

    fn mistake(&mut self, at: &str, text: &str, mistake: &Mistake) {
        if !self.takes(at) {
            return;
        }
        let forms = "known are ${secret:NAME}, ${env:NAME}, ${var:NAME}, ${home}, ${manifest_dir}, ${host}, ${os} and ${user}; write `$${` for a literal `${`";
        let (message, hint) = match &mistake.kind {
            MistakeKind::Unclosed => (
                "A `${` is never closed.".to_owned(),
                "add the `}`, or write `$${` for a literal `${`".to_owned(),
            ),
            MistakeKind::BadName(_) => ("The reference does not name anything.".to_owned(), forms.to_owned()),
            MistakeKind::Unknown(inner) => (
                format!("`${{{}}}` is no reference that mcpkeel knows.", shown(inner)),
                self.guess(inner).unwrap_or_else(|| forms.to_owned()),
            ),
        };
        let diagnostic = Diagnostic::error("unknown-reference", message).hint(hint);
        self.say_of(diagnostic, at, &text[mistake.span.clone()]);
    }

    /// What was probably meant by the inside of an unknown `${..}`.
    fn guess(&self, inner: &str) -> Option<String> {
        if self.names.secrets.contains_key(inner) {
            return Some(format!("write `${{secret:{inner}}}`"));
        }
        if self.names.vars.contains_key(inner) {
            return Some(format!("write `${{var:{inner}}}`"));
        }
        let is_variable = |text: &str| {
            text.len() <= 64
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        if !inner.is_empty() && is_variable(inner) {
            return Some(format!(
                "write `${{env:{inner}}}` for the environment variable, or `$${{{inner}}}` for the text itself"
            ));
        }
        if let Some((name, _)) = inner.split_once(":-").filter(|(name, _)| is_variable(name)) {
            return Some(format!("defaults are not supported here; write `${{env:{name}}}`"));
        }
        if let Some((kind, name)) = inner.split_once(':') {
            let kind = super::suggest(kind, ["secret", "env", "var"])?;
            return Some(format!("did you mean `${{{kind}:{}}}`?", shown(name)));
        }
        let builtin = super::suggest(inner, Builtin::ALL.map(Builtin::name))?;
        Some(format!("did you mean `${{{builtin}}}`?"))
    }
}

/// Notes about what nothing refers to.
pub fn unused(files: &[Parsed], used: &Used, found: &mut Vec<Diagnostic>) {
    for parsed in files {
        let (Some(file), Some(manifest)) = (&parsed.file, &parsed.manifest) else { continue };
        let secrets = manifest
            .secrets
            .keys()
            .filter(|name| !used.secrets.contains(*name))
            .map(|name| ("secrets", name));
        let vars = manifest.vars.keys().filter(|name| !used.vars.contains(*name)).map(|name| ("vars", name));
        let groups =
            manifest.groups.keys().filter(|name| !used.groups.contains(*name)).map(|name| ("groups", name));
        for (section, name) in secrets.chain(vars).chain(groups).take(super::MAX_PROBLEMS) {
            let message = format!("Nothing uses `{section}.{}`.", shown(name));
            let place = file.place(&pointer(&[section, name]), On::Key);
            found.push(Diagnostic::note("unused", message).at(place).hint("use it, or remove it"));
        }
    }
}

fn vars_in(text: &str) -> Vec<&str> {
    let part = |piece: &'_ str| piece.find('}').map(|end| piece[..end].len());
    text.match_indices("${var:")
        .filter(|(at, _)| !text[..*at].ends_with('$'))
        .filter_map(|(at, sign)| {
            let rest = &text[at + sign.len()..];
            part(rest).map(|end| &rest[..end])
        })
        .collect()
}

/// Every text in which references are resolved, with its JSON pointer.
fn texts(manifest: &Manifest) -> Vec<(String, &str)> {
    let mut all: Vec<(String, &str)> = Vec::new();
    all.extend(manifest.vars.iter().map(|(name, text)| (pointer(&["vars", name]), text.as_str())));
    for (name, server) in &manifest.servers {
        in_server(&pointer(&["servers", name]), server, &mut all);
    }
    for (name, client) in &manifest.clients {
        for (field, text) in [("root", &client.root), ("path", &client.path)] {
            all.extend(text.as_deref().map(|text| (pointer(&["clients", name, field]), text)));
        }
    }
    for (name, secret) in &manifest.secrets {
        for (field, text) in [("age", &secret.age), ("file", &secret.file)] {
            all.extend(text.as_deref().map(|text| (pointer(&["secrets", name, field]), text)));
        }
    }
    for (index, notify) in manifest.settings.notify.iter().enumerate() {
        all.extend(texts_of_notify(index, notify));
    }
    all
}

/// Every text of an item of `settings.notify` in which references are resolved, with its JSON pointer.
pub fn texts_of_notify(index: usize, notify: &Notify) -> Vec<(String, &str)> {
    let at = pointer(&["settings", "notify", &index.to_string()]);
    let mut all = Vec::new();
    for (field, text) in [("webhook", &notify.webhook), ("key", &notify.key)] {
        all.extend(text.as_deref().map(|text| (format!("{at}/{field}"), text)));
    }
    let command = notify.command.iter().flatten().enumerate();
    all.extend(command.map(|(index, text)| (format!("{at}/command/{index}"), text.as_str())));
    all
}

/// Every text of a server in which references are resolved, with its JSON pointer.
pub fn texts_of<'m>(name: &str, server: &'m Server) -> Vec<(String, &'m str)> {
    let mut all = Vec::new();
    in_server(&pointer(&["servers", name]), server, &mut all);
    all
}

fn in_server<'m>(at: &str, server: &'m Server, all: &mut Vec<(String, &'m str)>) {
    fn list<'m>(at: &str, items: &'m [String]) -> impl Iterator<Item = (String, &'m str)> {
        items.iter().enumerate().map(move |(index, text)| (format!("{at}/{index}"), text.as_str()))
    }
    for (field, text) in [("command", &server.command), ("cwd", &server.cwd), ("url", &server.url)] {
        all.extend(text.as_deref().map(|text| (format!("{at}/{field}"), text)));
    }
    all.extend(list(&format!("{at}/args"), &server.args));
    for (field, map) in [("env", &server.env), ("headers", &server.headers)] {
        all.extend(
            map.iter().map(|(key, text)| (format!("{at}{}", pointer(&[field, key])), text.0.as_str())),
        );
    }
    if let Some(package) = &server.package {
        let fields = [
            ("npm", &package.npm),
            ("pypi", &package.pypi),
            ("oci", &package.oci),
            ("mcpb", &package.mcpb),
            ("registry", &package.registry),
            ("version", &package.version),
        ];
        for (field, text) in fields {
            all.extend(text.as_deref().map(|text| (format!("{at}/package/{field}"), text)));
        }
        all.extend(list(&format!("{at}/package/args"), &package.args));
    }
    if let Some(source) = &server.source {
        all.push((format!("{at}/source/git"), &source.git));
        all.extend(list(&format!("{at}/source/run"), &source.run));
        for (index, command) in source.build.iter().enumerate() {
            all.extend(list(&format!("{at}/source/build/{index}"), command));
        }
    }
}
