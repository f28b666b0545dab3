//! Which names exist, and that each means one thing.

use indexmap::IndexMap;

use super::{Section, chain, loops, meant, pointer};
use crate::base::Diagnostic;
use crate::manifest::tree::shown;
use crate::manifest::{File, On, Parsed};

/// Every defined name with the file that defines it, even those whose definition is faulty.
pub struct Names<'a> {
    pub servers: IndexMap<&'a str, &'a File>,
    pub groups: IndexMap<&'a str, &'a File>,
    pub secrets: IndexMap<&'a str, &'a File>,
    pub vars: IndexMap<&'a str, &'a File>,
    pub clients: IndexMap<&'a str, &'a File>,
    /// Whether every file could be read, so that a name that is missing is really missing.
    pub complete: bool,
}

impl<'a> Names<'a> {
    /// Collects names, and complains about those that two files define.
    pub fn of(files: &'a [Parsed], found: &mut Vec<Diagnostic>) -> Self {
        let readable: Vec<&File> = files.iter().filter_map(|parsed| parsed.file.as_deref()).collect();
        let mut collect = |section: &str| {
            let mut names: IndexMap<&str, &File> = IndexMap::new();
            for file in &readable {
                for name in file.keys(&format!("/{section}")) {
                    match names.get(name) {
                        // Twice in one file is the tree's business.
                        Some(earlier) if std::ptr::eq(*earlier, *file) => {}
                        Some(earlier) => found.push(twice(section, name, earlier, file)),
                        None => drop(names.insert(name, file)),
                    }
                }
            }
            names
        };
        let names = Self {
            servers: collect("servers"),
            groups: collect("groups"),
            secrets: collect("secrets"),
            vars: collect("vars"),
            clients: collect("clients"),
            complete: files.iter().all(|parsed| parsed.manifest.is_some() || parsed.partial.is_some()),
        };
        for section in ["gateway", "supervisor", "settings"] {
            let local = files.iter().filter(|parsed| !parsed.is_sourced);
            let mut having = local
                .filter_map(|parsed| parsed.file.as_deref())
                .filter(|file| file.has(&format!("/{section}")));
            if let Some(first) = having.next() {
                found.extend(having.map(|file| twice_section(section, first, file)));
            }
        }
        names
    }

    /// Whether a name stands for servers.
    pub fn is_target(&self, name: &str) -> bool {
        name == "*" || self.servers.contains_key(name) || self.groups.contains_key(name)
    }

    /// Everything that can stand in a list of servers.
    pub fn targets(&self) -> impl Iterator<Item = &'a str> {
        self.servers.keys().chain(self.groups.keys()).copied()
    }
}

fn twice(section: &str, name: &str, earlier: &File, file: &File) -> Diagnostic {
    let at = pointer(&[section, name]);
    let singular = section.strip_suffix('s').unwrap_or(section);
    Diagnostic::error("duplicate-name", format!("The {singular} `{}` is defined in two files.", shown(name)))
        .at(file.place(&at, On::Key))
        .related("first defined here", earlier.place(&at, On::Key))
        .hint("remove one of the two, or give it another name")
}

fn twice_section(section: &str, earlier: &File, file: &File) -> Diagnostic {
    let at = pointer(&[section]);
    Diagnostic::error("duplicate-name", format!("`{section}` stands in two files."))
        .at(file.place(&at, On::Key))
        .related("first given here", earlier.place(&at, On::Key))
        .hint("keep it in one file")
}

impl Section<'_> {
    pub fn names(&mut self) {
        for name in self.manifest.groups.keys() {
            if let Some(file) = self.names.servers.get(name.as_str()) {
                let message = format!("`{}` is both a server and a group.", shown(name));
                let diagnostic = Diagnostic::error("ambiguous-name", message)
                    .related("the server", file.place(&pointer(&["servers", name]), On::Key))
                    .hint("rename one of the two");
                self.say(diagnostic, &pointer(&["groups", name]), On::Key);
            }
        }
        for (name, members) in &self.manifest.groups {
            self.targets(&pointer(&["groups", name]), members);
        }
        let edges: IndexMap<&str, Vec<&str>> = self
            .manifest
            .groups
            .iter()
            .map(|(name, members)| (name.as_str(), members.iter().map(String::as_str).collect()))
            .collect();
        for names in loops(&edges) {
            let message = format!("The group contains itself: {}.", chain(&names));
            let diagnostic = Diagnostic::error("group-cycle", message).hint("remove one of the links");
            self.say(diagnostic, &pointer(&["groups", names[0]]), On::Key);
        }
    }

    /// Names in a list must be servers or groups.
    pub fn targets(&mut self, at: &str, names: &[String]) {
        for (index, name) in names.iter().enumerate() {
            if !self.names.is_target(name) && self.names.complete && self.takes(at) {
                let message = format!("There is no server or group `{}`.", shown(name));
                let hint = meant(name, self.names.targets())
                    .unwrap_or_else(|| "add it under `servers`, or remove it here".into());
                let diagnostic = Diagnostic::error("unknown-name", message).hint(hint);
                self.say(diagnostic, &format!("{at}/{index}"), On::Value);
            }
        }
    }

    /// A name must be a server's.
    pub fn server(&mut self, at: &str, on: On, name: &str) {
        if !self.names.servers.contains_key(name) && self.names.complete && self.takes(at) {
            let message = if self.names.groups.contains_key(name) {
                format!("`{}` is a group; here the name of a server is needed.", shown(name))
            } else {
                format!("There is no server `{}`.", shown(name))
            };
            let mut diagnostic = Diagnostic::error("unknown-name", message);
            diagnostic.hint = meant(name, self.names.servers.keys().copied());
            self.say(diagnostic, at, on);
        }
    }
}
