//! Who is told, for real: an HTTP server, a program, a desktop.
//!
//! Invariant: no problem that is said and no file of the state holds a key or the token of an address.

#![cfg(unix)]

mod command;
#[cfg(target_os = "linux")]
mod desktop;
mod webhook;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcpkeel::notice::{Notifier, Target, targets};
use mcpkeel::reconcile::{self, Care, Which};
use mcpkeel::store::{Event, EventKind, Stand};
use mcpkeel::system::{Memory, System};

/// The key of the webhooks here.
const KEY: &str = "whsec_Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeQ==";

/// A part of their address that nobody may see.
const TOKEN: &str = "canary-token-99";

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// That cursor stands like this.
fn event(condition: Stand, message: &str) -> Event {
    let mut event = Event::new(&Memory::default(), EventKind::Condition, message);
    event.client = Some("cursor".to_owned());
    event.condition = Some(condition);
    event.reason = Some("Malformed".to_owned());
    event
}

/// A manifest with these items under `notify`.
fn manifest(notify: &str) -> String {
    format!(
        "version: 1\nvars: {{ port-word: hook }}\nsecrets:\n  hook-key: {{ keyring: the-key }}\n  token: {{ keyring: the-token }}\n\
         servers: {{}}\nclients: {{}}\nsettings:\n  notify:\n{notify}"
    )
}

/// A machine whose keyring has the key and the token, with this manifest.
fn machine(notify: &str) -> Memory {
    let memory = Memory::default();
    memory.put_into_keyring("the-key", KEY);
    memory.put_into_keyring("the-token", TOKEN);
    memory.write(Path::new("/home/me/mcp.yaml"), manifest(notify).as_bytes());
    memory
}

/// Whom the manifest wants told, all of which must be possible.
#[track_caller]
fn all_targets(system: &dyn System, manifest: &Path) -> Vec<Target> {
    let loaded = reconcile::load(system, manifest, Path::new("/state"), Which::Newest, Care::Quick);
    assert!(loaded.is_valid(), "{:?}", loaded.diagnostics);
    let (targets, problems) = targets(system, &loaded.units);
    assert_eq!(problems, []);
    assert!(!format!("{targets:?}").contains(TOKEN));
    targets
}

/// A notifier, and what it could not tell.
struct Told {
    notifier: Notifier,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Told {
    fn start() -> Self {
        let problems = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&problems);
        let notifier = Notifier::start(move |problem| heard.lock().expect("not poisoned").push(problem));
        Self { notifier: notifier.expect("a thread"), problems }
    }

    fn tell(&self, event: &Event, targets: Vec<Target>) {
        self.notifier.tell(event, targets);
    }

    /// Ends it after this time at the latest; what could not be told.
    fn finish(self, patience: Duration) -> Vec<String> {
        self.notifier.finish(patience);
        let problems = self.problems.lock().expect("not poisoned").clone();
        for problem in &problems {
            assert!(!problem.contains(TOKEN) && !problem.contains(&KEY[6..]), "a secret is said");
        }
        problems
    }
}
