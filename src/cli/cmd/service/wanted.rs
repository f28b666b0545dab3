//! What is to be kept running, as values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::super::failure::Failure;
use super::super::super::session::Session;
use crate::clients::{Env, Scope, catalog};
use crate::reconcile::{Care, Which};
use crate::store::Store;

/// `mcpkeel watch` or `mcpkeel up` for one manifest.
///
/// Invariant: no text in it has a control character, so that each can stand in a line and in XML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// This program.
    pub program: String,
    /// The manifest, absolute.
    pub manifest: String,
    /// The state directory, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<String>,
    /// Whether it is `up`: the manifest has a `gateway`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_up: bool,
    /// What it needs in its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// What stands in front of the record.
const RECORD: &str = "Written by `mcpkeel service install`: ";

impl Service {
    /// For the manifest, the state directory and the environment of this run.
    pub fn of(session: &Session<'_>) -> Result<Self, Failure> {
        let store = session.store();
        let is_usual = Store::usual_dir(session.system).is_some_and(|usual| usual == store.dir());
        Ok(Self {
            program: own_path(session)?,
            manifest: said(&session.manifest_path())?,
            state_dir: if is_usual { None } else { Some(said(store.dir())?) },
            is_up: session
                .read(Which::Applied, Care::Quick)
                .units
                .first()
                .is_some_and(|unit| unit.manifest.gateway.is_some()),
            variables: variables(session),
        })
    }

    /// The arguments of the program.
    pub fn args(&self) -> Vec<&str> {
        let command = if self.is_up { "up" } else { "watch" };
        let mut args = vec![command, "--manifest", &self.manifest];
        if let Some(dir) = &self.state_dir {
            args.extend(["--state-dir", dir]);
        }
        args
    }

    /// The line that says whose work a description is, and of what it was made. Fit for a comment in XML, where two
    /// hyphens may not stand together.
    pub fn record(&self) -> String {
        // Texts and maps of texts always have a JSON form.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{RECORD}{}", json.replace("--", "-\\u002d"))
    }

    /// Of what an earlier description was made; none if it is not ours.
    pub fn recorded(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(RECORD)?;
        serde_json::Deserializer::from_str(rest).into_iter().next()?.ok()
    }
}

/// The path of this program.
pub fn own_path(session: &Session<'_>) -> Result<String, Failure> {
    let path = session.system.own_path();
    let path =
        path.map_err(|error| Failure::failed(format!("cannot tell where this program lies: {error}")))?;
    said(&path)
}

/// A path as a text that can be written down.
pub fn said(path: &Path) -> Result<String, Failure> {
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err(Failure::Failed {
            message: format!("{} holds a character that a service's description cannot hold", path.display()),
            hint: Some("move it to a path in plain text".to_owned()),
        }),
    }
}

/// PATH, for the programs that secrets come from, and what moves the files of clients or our own. Nothing else: a
/// variable may hold a secret.
fn variables(session: &Session<'_>) -> BTreeMap<String, String> {
    let system = session.system;
    if system.os() == "windows" {
        // A task has the user's own environment, and its description no place for another one.
        return BTreeMap::new();
    }
    let asked =
        RefCell::new(vec!["PATH".to_owned(), "XDG_STATE_HOME".to_owned(), "XDG_CONFIG_HOME".to_owned()]);
    let var = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        system.env(name)
    };
    let home = system.home().unwrap_or_default().display().to_string();
    let env = Env { os: system.os(), home: &home, var: &var, exists: &|_| false };
    for client in catalog::all() {
        // Only the questions are of interest here.
        let _ = client.locate(&env, Scope::User, None);
    }
    let value = |name: &String| Some((name.clone(), system.env(name)?));
    let set: BTreeMap<String, String> = asked.borrow().iter().filter_map(value).collect();
    set.into_iter().filter(|(_, value)| !value.contains(char::is_control)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back() {
        let service = Service {
            program: "/opt/my --- tools/mcpkeel".to_owned(),
            manifest: "/home/me/\"a\"\\b.yaml".to_owned(),
            state_dir: Some("/x-->y".to_owned()),
            is_up: true,
            variables: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
        };
        let record = service.record();
        assert!(!record.contains("--") && !record.contains('\n'), "{record}");
        assert_eq!(Service::recorded(&format!("# {record}\n[Unit]\n")), Some(service.clone()));
        assert_eq!(Service::recorded(&format!("<!-- {record} -->")), Some(service));
        assert_eq!(Service::recorded("[Unit]\nDescription=mcpkeel"), None);
    }
}
