//! mcpkeel in somebody's CI: the team's repository of the examples, the comment on a pull request, findings for machines.

mod findings;
mod plan_comment;
#[cfg(unix)]
mod scripts;
mod team;

use std::path::{Path, PathBuf};

use crate::support::{Sandbox, repo};

/// The team's repository as a fresh clone in a home of its own: nothing was ever applied there.
fn clone() -> (Sandbox, PathBuf) {
    let home = Sandbox::new();
    let to = home.path("team");
    copy(&repo().join("examples/team-ci"), &to);
    (home, to)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("readable") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() { copy(&path, &to) } else { std::fs::copy(&path, &to).map(drop).expect("copied") }
    }
}
