//! Links, modes, and things in the way.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::{apply, home, says};
use crate::support::Sandbox;

const TEXT: &str = "version: 1\nservers:\n  a: { command: a }\nclients:\n  cursor: { servers: [a] }\n  kiro: { servers: [a] }\n";
const CURSOR: &str = ".cursor/mcp.json";
const KIRO: &str = ".kiro/settings/mcp.json";

fn mode(home: &Sandbox, path: &str) -> u32 {
    fs::metadata(home.path(path)).expect("there").permissions().mode() & 0o777
}

fn set_mode(home: &Sandbox, path: &str, mode: u32) {
    fs::set_permissions(home.path(path), fs::Permissions::from_mode(mode)).expect("set");
}

#[test]
fn a_chain_of_links_is_followed_and_kept() {
    let home = home(TEXT);
    home.write("dotfiles/cursor.json", "{}\n");
    home.write(".cursor/.keep", "");
    symlink("../dotfiles/cursor.json", home.path("middle")).expect("a link");
    fs::rename(home.path("middle"), home.path(".cursor/middle")).expect("moved");
    symlink("middle", home.path(CURSOR)).expect("a link");
    apply(&home).exits(0);
    assert!(home.path(CURSOR).is_symlink() && home.path(".cursor/middle").is_symlink());
    assert!(home.read("dotfiles/cursor.json").contains("\"a\""));
    home.run(&["verify"]).exits(0);
    home.run(&["undo", "--yes"]).exits(0);
    assert_eq!(home.read("dotfiles/cursor.json"), "{}\n");
    assert!(home.path(CURSOR).is_symlink());
}

#[test]
fn a_dangling_link_gets_the_file_it_points_to() {
    let home = home(TEXT);
    home.write("dotfiles/.keep", "");
    home.write(".cursor/.keep", "");
    symlink(home.path("dotfiles/cursor.json"), home.path(CURSOR)).expect("a link");
    says(&home.run(&["doctor"]), "not there");
    apply(&home).exits(0);
    assert!(home.path(CURSOR).is_symlink());
    assert!(home.read("dotfiles/cursor.json").contains("\"a\""));
}

#[test]
fn a_link_loop_is_refused_and_the_others_go_on() {
    let home = home(TEXT);
    home.write(".cursor/.keep", "");
    symlink("mcp.json", home.path(CURSOR)).expect("a link");
    says(&apply(&home).exits(1), "link");
    assert!(home.path(CURSOR).is_symlink());
    assert!(home.exists(KIRO));
    home.run(&["doctor"]).exits(1);
}

#[test]
fn a_directory_in_the_files_place_is_refused_and_the_others_go_on() {
    let home = home(TEXT);
    home.write(".cursor/mcp.json/inside", "x");
    says(&apply(&home).exits(1), "not a regular file");
    assert_eq!(home.read(".cursor/mcp.json/inside"), "x");
    assert!(home.exists(KIRO));
}

#[test]
fn a_file_in_the_directorys_place_is_refused_and_touches_nothing() {
    let home = home(TEXT);
    home.write(".cursor", "a file");
    let ran = apply(&home);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(home.read(".cursor"), "a file");
}

#[test]
fn modes_are_kept() {
    for wanted in [0o600, 0o640, 0o644] {
        let home = home(TEXT);
        home.write(CURSOR, "{}");
        set_mode(&home, CURSOR, wanted);
        apply(&home).exits(0);
        assert_eq!(mode(&home, CURSOR), wanted);
        home.run(&["undo", "--yes"]).exits(0);
        assert_eq!(mode(&home, CURSOR), wanted);
    }
}

#[test]
fn an_unreadable_file_is_refused_and_the_others_go_on() {
    let home = home(TEXT);
    home.write(CURSOR, "{}");
    set_mode(&home, CURSOR, 0);
    if fs::read(home.path(CURSOR)).is_ok() {
        return; // root reads everything
    }
    says(&apply(&home).exits(1), "cannot be read");
    set_mode(&home, CURSOR, 0o644);
    assert_eq!(home.read(CURSOR), "{}");
    assert!(home.exists(KIRO));
}

#[test]
fn the_manifest_may_be_a_link_and_stays_one() {
    let home = Sandbox::new();
    home.write(
        "dotfiles/mcp.yaml",
        "version: 1\nservers:\n      a: {command: a}\nclients:\n  cursor: { servers: [a] }\n",
    );
    symlink("dotfiles/mcp.yaml", home.path("mcp.yaml")).expect("a link");
    home.run(&["fmt"]).exits(0);
    assert!(home.path("mcp.yaml").is_symlink());
    apply(&home).exits(0);
    assert!(home.exists(CURSOR));
}
