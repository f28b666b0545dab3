//! The guard as its user sees it: tokens, policies, approvals, pinned tools, usage.
//!
//! What the gateway would do is done here through the library, in the state directory of the sandbox; the commands
//! are the program's own.

mod approvals;
mod canary;
mod lock;
mod policies;
mod tokens;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use mcpkeel::gateway::approvals::{Answer, Desk, Question};
use mcpkeel::gateway::ledger::{Ledger, Remember};
use mcpkeel::guard::Verdict;
use mcpkeel::manifest::model::AuditArguments;
use mcpkeel::store::Store;
use mcpkeel::store::db::{Call, Outcome};
use mcpkeel::system::{Real, System as _};
use serde_json::Value;

use crate::support::Sandbox;

const KEY: [u8; 32] = [3; 32];

const MANIFEST: &str = "version: 1
servers:
  github: { command: gh-mcp }
  time: { command: uvx }
clients:
  cursor-work: { client: cursor, servers: [github] }
policies:
  - { name: no deletes, scope: global, resourceType: tool, pattern: '*delete*', action: deny, priority: 100 }
  - { name: ask first, scope: 'client:cursor', resourceType: tool, pattern: 'github/create_*', action: require_approval }
";

fn home() -> Sandbox {
    let home = Sandbox::new();
    home.write("mcp.yaml", MANIFEST);
    home
}

/// The state directory that the program uses in this home.
fn store(home: &Sandbox) -> Store {
    Store::at(home.path(".local/state/mcpkeel"))
}

fn desk(home: &Sandbox, lasting: Duration) -> Desk {
    Desk::open(Arc::new(Real), &store(home), KEY, lasting).expect("opened")
}

/// Asks for a call of `create_issue`, and returns the question's name.
fn ask(desk: &Desk, arguments: &str) -> String {
    let question = Question {
        principal: "laptop",
        server: "github",
        tool: "create_issue",
        arguments,
        policy: "ask first",
    };
    match desk.ask(&question).expect("asked") {
        Answer::Pending { id } => id,
        other => panic!("{other:?}"),
    }
}

fn ledger(home: &Sandbox, arguments: AuditArguments) -> Ledger {
    let remember = Remember { arguments, keep: Duration::from_secs(90 * 86_400) };
    Ledger::open(Arc::new(Real), &store(home), KEY, remember).expect("opened")
}

fn call(name: &str, arguments: &str, outcome: Outcome) -> Call {
    Call {
        at: Real.now(),
        principal: "laptop".into(),
        client: Some("cursor-work".into()),
        method: "tools/call".into(),
        server: "github".into(),
        name: name.into(),
        verdict: Verdict::Allow,
        policy: None,
        approval: None,
        arguments: Some(arguments.into()),
        outcome,
        bytes_in: 45,
        bytes_out: 4_500,
        took: Duration::from_millis(3),
    }
}

/// What a command prints with `--format json`.
#[track_caller]
fn json_of(home: &Sandbox, args: &[&str]) -> Value {
    let ran = home.run(&[args, &["--format", "json"]].concat());
    serde_json::from_str(&ran.out)
        .unwrap_or_else(|error| panic!("{args:?}: {error}\n{}\n{}", ran.out, ran.err))
}

/// Every file below the home that holds this text.
fn files_with(home: &Sandbox, text: &str) -> Vec<std::path::PathBuf> {
    fn walk(dir: &std::path::Path, text: &[u8], found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, text, found);
            } else if std::fs::read(&path).expect("a file").windows(text.len()).any(|window| window == text) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&home.home(), text.as_bytes(), &mut found);
    found
}
