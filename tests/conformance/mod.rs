//! The protocol's own conformance suites, and what of the protocol passes through the gateway.
//!
//! `run` beside this file is the way by hand; it needs what `.ci/install-clients` installs, without which these tests
//! say that they skip.
//!
//! Invariant: nothing here is known to fail. There is no list of expected failures.

use std::process::Command;

use crate::bridge::real::installed;
use crate::support::repo;

#[test]
fn the_fixture_itself_passes_every_suite() {
    let Some(said) = run(&["--direct"]) else { return };
    assert_eq!(said.matches("| 30 of 30 |").count(), 2, "{said}");
    assert_eq!(said.matches("| 37 of 37 |").count(), 1, "{said}");
}

/// What `run` prints, which must end well. None if something is not installed, having said so.
fn run(args: &[&str]) -> Option<String> {
    for suite in ["conformance", "conformance-next"] {
        installed(suite, ".bin/conformance")?;
    }
    installed("server-sdk", "@modelcontextprotocol/server/package.json")?;
    let output = Command::new(repo().join("tests/conformance/run"))
        .args(args)
        .env("MCPKEEL_INSTALLED", "1")
        .env("MCPKEEL_BIN", env!("CARGO_BIN_EXE_mcpkeel"))
        .output()
        .expect("bash runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    Some(said)
}
