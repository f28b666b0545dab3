//! `mcpkeel service`: what it writes, what it asks the service manager for, and a real one that does it.
//!
//! `offline` and `unit` have no manager, `manager` a fake `systemctl` for the words and a real `systemd --user` for the deeds,
//! `notify` the protocol. What is written for macOS and Windows is pinned beside its rendering, in
//! `src/cli/cmd/service`.

mod notify;
mod offline;
#[cfg(target_os = "linux")]
mod manager;
#[cfg(target_os = "linux")]
mod unit;

use crate::support::Sandbox;

const MANIFEST: &str = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n";

#[cfg(target_os = "linux")]
const UNIT: &str = ".config/systemd/user/mcpkeel.service";

/// A home with a manifest in it.
fn home() -> Sandbox {
    let home = Sandbox::new();
    home.write("mcp.yaml", MANIFEST);
    home
}
