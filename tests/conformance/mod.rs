//! The protocol's own conformance suites, and what of the protocol passes through the gateway.
//!
//! `run` beside this file is the way by hand; it needs what `.ci/install-clients` installs, without which these tests
//! say that they skip.
//!
//! Invariant: what is known to fail stands in `suite.mjs` with the reason, and fails here when it passes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::bridge::real::{installed, node};
use crate::support::repo;

#[test]
fn the_fixture_itself_passes_every_suite() {
    let Some(said) = ask("run", &["--direct"]) else { return };
    assert_eq!(said.matches("| 30 of 30 |").count(), 2, "{said}");
    assert_eq!(said.matches("| 37 of 37 |").count(), 1, "{said}");
}

#[test]
fn the_gateway_passes_every_suite_over_stdio_and_over_http() {
    let Some(said) = ask("run", &[]) else { return };
    assert_eq!(said.matches("| 30 of 30 |").count(), 4, "{said}");
    assert_eq!(said.matches("| 37 of 37 |").count(), 2, "{said}");
}

/// What an AI client starts, `mcpkeel exec`, as the client; where the client is to sign in, `conformance-client`, which
/// this builds.
#[test]
fn the_client_passes_every_client_suite() {
    let Some(said) = ask("run", &["--clients"]) else { return };
    assert_eq!(said.matches("| 18 of 18 |").count(), 1, "{said}");
    assert_eq!(said.matches("| 32 of 32 |").count(), 1, "{said}");
}

#[test]
fn every_column_passes_where_nothing_stands_between() {
    assert_eq!(columns("--direct").map(|columns| columns.len()), columns_if_installed(4));
}

/// Each client, each server; at the server's own address, among all, and through `mcpkeel connect`.
#[test]
fn every_column_passes_through_the_gateway() {
    assert_eq!(columns("--gateway").map(|columns| columns.len()), columns_if_installed(24));
}

/// The tables of the pass-through checks, in which every column must be yes.
fn columns(way: &str) -> Option<BTreeMap<String, BTreeMap<String, serde_json::Value>>> {
    let said = ask("passthrough/main.mjs", &[way])?;
    let json = said.find('{').map_or("", |start| &said[start..]);
    let tables: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::Deserializer::from_str(json).into_iter().next().expect("a table").expect("JSON");
    for (way, columns) in &tables {
        let missing: Vec<_> = columns.iter().filter(|(_, passed)| **passed != true).collect();
        assert!(missing.is_empty(), "{way}: {missing:?}");
        assert_eq!(columns.len(), 14, "{way}");
    }
    Some(tables)
}

/// What a script beside this file prints, which must end well. None if something is not installed, having said so.
fn ask(script: &str, args: &[&str]) -> Option<String> {
    if !is_installed() {
        return None;
    }
    let path = repo().join("tests/conformance").join(script);
    let mut command = match path.extension() {
        Some(_) => with_node(&path),
        None => Command::new(&path),
    };
    command.args(args).env("MCPKEEL_INSTALLED", "1").env("MCPKEEL_BIN", env!("CARGO_BIN_EXE_mcpkeel"));
    let output = command.output().expect("it runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    Some(said)
}

fn with_node(script: &Path) -> Command {
    let mut command = Command::new(node());
    command.arg(script);
    command
}

fn is_installed() -> bool {
    let package = |name: &str, package: &str| {
        installed(name, &format!("@modelcontextprotocol/{package}/package.json")).is_some()
    };
    package("conformance", "conformance")
        && package("conformance-next", "conformance")
        && package("server-sdk", "server")
        && package("client-sdk", "client")
        && package("sdk-1", "sdk")
}

fn columns_if_installed(count: usize) -> Option<usize> {
    is_installed().then_some(count)
}
