//! Without a service manager: what is written, refused and said.

use super::home;
use crate::support::{Ran, Sandbox};

/// Where no manager can be reached: no variable that leads to one is set in a sandbox.
pub fn run(home: &Sandbox, args: &[&str]) -> Ran {
    home.run(&[&["service"], args].concat())
}

#[test]
fn printing_writes_nothing() {
    let home = home();
    let ran = run(&home, &["install", "--print"]).exits(0);
    let manifest = home.path("mcp.yaml");
    // Each way of writing it has the path in it, if only with its separators doubled.
    let name = manifest.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(ran.out.contains("watch") && ran.out.contains(&name), "{}", ran.out);
    let left: Vec<_> = std::fs::read_dir(home.home()).expect("the home").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_missing_or_broken_manifest_is_not_installed() {
    let empty = Sandbox::new();
    assert!(run(&empty, &["install"]).exits(3).err.contains("mcp.yaml"));
    empty.write("mcp.yaml", "version: 1\nserverz: {}\n");
    assert!(run(&empty, &["install", "--print"]).exits(3).err.contains("serverz"));
    assert!(!empty.exists(".config") && !empty.exists("Library"));
}

#[test]
fn nothing_to_uninstall_is_no_failure() {
    let home = home();
    if cfg!(windows) {
        // A scheduled task belongs to the machine, not to the sandbox.
        return;
    }
    assert!(run(&home, &["uninstall"]).exits(0).out.contains("not installed"));
    assert!(run(&home, &["status"]).exits(0).out.contains("not installed"));
}
