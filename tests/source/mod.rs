//! The manifest in a repository: a real remote, made and changed with the real `git`.
//!
//! Start at `revisions`; whose signature counts is in `signatures`, the ways to a remote in `ways`.

mod checkouts;
mod edits;
mod revisions;
mod running;
mod signatures;
mod ways;

use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

use serde_json::Value;

use crate::support::{Ran, Sandbox};

/// Who commits.
pub const ME: &str = "me@example.org";

/// A manifest with one server that says its version.
pub fn manifest(version: u32) -> String {
    format!(
        "version: 1\nservers:\n  hello: {{ command: /bin/sh, args: [-c, \"echo version {version}\"] }}\n\
         clients:\n  cursor: {{ servers: [hello], delivery: exec }}\n"
    )
}

/// A home whose manifest is in a repository beside it.
pub struct Team {
    pub home: Rc<Sandbox>,
}

impl Team {
    /// With this manifest committed and pushed, and a stub that names the repository.
    pub fn new(manifest: &str) -> Self {
        let team = Self::without_commits();
        team.commit(&[("mcp.yaml", manifest)]);
        team.push();
        team
    }

    /// A repository with nothing in it yet.
    pub fn without_commits() -> Self {
        let team = Self { home: Rc::new(Sandbox::new()) };
        team.stub("");
        std::fs::create_dir_all(team.work()).expect("a directory");
        team.git(&["init", "--quiet", "--bare", "--initial-branch=main", &team.remote()]);
        team.git(&["init", "--quiet", "--initial-branch=main"]);
        team.git(&["remote", "add", "origin", &team.remote()]);
        team
    }

    /// Where the team works.
    pub fn work(&self) -> PathBuf {
        self.home.path("team/work")
    }

    /// Where the team pushes to.
    pub fn remote(&self) -> String {
        self.home.path("team/team.git").display().to_string()
    }

    /// Writes the local manifest: the source, with more of it (indented), and nothing else.
    pub fn stub(&self, more: &str) {
        self.home.write("mcp.yaml", format!("version: 1\nsource:\n  git: file://{}\n{more}", self.remote()));
    }

    /// Runs git in the team's work; its output, without the last line end.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        let ran = self.git_command(args).output().expect("git starts");
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "git {args:?}: {out}{err}");
        out.trim_end().to_owned()
    }

    pub fn git_command(&self, args: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.args(args)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.home())
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for (role, name) in [("AUTHOR", "Me"), ("COMMITTER", "Me")] {
            git.env(format!("GIT_{role}_NAME"), name).env(format!("GIT_{role}_EMAIL"), ME);
        }
        git
    }

    /// Commits these files; the commit's id.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        self.commit_with(files, &[])
    }

    /// The same, with arguments in front of `commit`, such as `-c KEY=VALUE`.
    pub fn commit_with(&self, files: &[(&str, &str)], args: &[&str]) -> String {
        for (path, text) in files {
            self.home.write(&format!("team/work/{path}"), text);
        }
        self.git(&["add", "--all"]);
        self.git(&[args, &["commit", "--quiet", "--message", "A change"]].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn push(&self) {
        self.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    }

    /// Commits and pushes a manifest; the commit's id.
    pub fn publish(&self, manifest: &str) -> String {
        let id = self.commit(&[("mcp.yaml", manifest)]);
        self.push();
        id
    }

    /// Fetches and plans.
    pub fn fetch(&self) -> Ran {
        self.home.run(&["plan", "--fetch"])
    }

    /// What is remembered about the repository.
    #[track_caller]
    pub fn head(&self) -> Value {
        serde_json::from_str(&self.home.read(".local/state/mcpkeel/source/head.json")).expect("JSON")
    }

    /// The revision that is good, and why there is no newer one.
    #[track_caller]
    pub fn stands_at(&self) -> (String, Option<String>) {
        let head = self.head();
        let word = |value: &Value| value.as_str().map(str::to_owned);
        (word(&head["fetched"]["id"]).unwrap_or_default(), word(&head["problem"]["reason"]))
    }

    /// The revisions whose files are kept.
    pub fn trees(&self) -> Vec<String> {
        let trees = std::fs::read_dir(self.home.path(".local/state/mcpkeel/source/trees")).expect("trees");
        let mut names: Vec<String> =
            trees.map(|tree| tree.expect("a tree").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
