use std::path::Path;

use super::{Machine, Target, Unit};
use crate::clients::{Launch, Text};
use crate::manifest::model::Scope;

/// How a client starts us.
pub(super) struct Us<'a> {
    pub(super) target: &'a Target,
    pub(super) units: &'a [Unit],
    pub(super) machine: &'a Machine<'a>,
}

impl Us<'_> {
    /// With these arguments, and these variables passed on.
    pub(super) fn launch(&self, args: Vec<String>, variables: &[String]) -> Launch {
        Launch::Stdio {
            command: Text::from(self.program()),
            args: args.into_iter().map(Text::from).collect(),
            env: variables.iter().map(|name| (name.clone(), Text::env(name))).collect(),
            cwd: None,
        }
    }

    /// By which command the client starts us: a file of one user names the program, one that a
    /// project shares leaves it to each machine's PATH.
    fn program(&self) -> String {
        let settings = self.units.first().map(|unit| &unit.manifest.settings);
        match settings.and_then(|settings| settings.program.as_ref()) {
            Some(program) => program.clone(),
            None if self.target.scope == Scope::Project => "mcpkeel".to_owned(),
            None => (self.machine.program)().display().to_string(),
        }
    }

    /// A project's clients run in its root, so a manifest inside is named from there.
    pub(super) fn manifest(&self) -> [String; 2] {
        let path = self.units.first().map_or(Path::new("mcp.yaml"), |unit| &unit.path);
        let inside = self.target.root.as_deref().and_then(|root| path.strip_prefix(root).ok());
        let path = inside.filter(|_| self.target.scope == Scope::Project).unwrap_or(path);
        ["--manifest".to_owned(), path.display().to_string()]
    }

    /// The state directory, where it is not the usual one.
    pub(super) fn state_dir(&self) -> Vec<String> {
        match self.units.first().and_then(|unit| unit.state_dir.as_ref()) {
            Some(dir) => vec!["--state-dir".to_owned(), dir.display().to_string()],
            None => Vec::new(),
        }
    }
}
