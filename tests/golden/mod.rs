//! Every client row against golden files: create, foreign content, update, drift, remove, malformed.
//!
//! A directory `tests/golden/cases/ID` holds the inputs (`mcp.yaml`, `mcp.update.yaml`, `before.*`,
//! `malformed.*`) and what must come out (`create.*`, `foreign.*`, `update.*`, `plan.txt`).
//! `tests/golden/gateway` has the same for clients that reach their servers at the gateway.
//! `MCPKEEL_BLESS=1 cargo test golden` writes the latter; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Sandbox, repo};

/// What each case's client file is called inside the sandbox.
const LIVE: &str = "live";

struct Case {
    dir: PathBuf,
    sandbox: Sandbox,
    /// The client file, in the sandbox's home.
    live: String,
    /// Everything that was planned, for `plan.txt`.
    plans: String,
}

fn cases() -> Vec<PathBuf> {
    let listed = |dir| fs::read_dir(repo().join(dir)).expect("the cases");
    let entries = listed("tests/golden/cases").chain(listed("tests/golden/gateway"));
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    cases
}

fn input(dir: &Path, stem: &str) -> PathBuf {
    let found = fs::read_dir(dir).expect("a case").map(|entry| entry.expect("a file").path());
    let found = found.into_iter().find(|path| path.file_stem().is_some_and(|name| name == stem));
    found.unwrap_or_else(|| panic!("{} has no {stem}.*", dir.display()))
}

impl Case {
    fn new(dir: PathBuf) -> Self {
        let extension = input(&dir, "before").extension().expect("an ending").to_string_lossy().into_owned();
        let live = format!("{LIVE}.{extension}");
        Self { dir, sandbox: Sandbox::new(), live, plans: String::new() }
    }

    fn manifest(&self, name: &str) {
        let text = fs::read_to_string(self.dir.join(name)).expect("a manifest");
        self.sandbox.write("mcp.yaml", text);
    }

    fn plan(&mut self, title: &str) {
        let ran = self.sandbox.run(&["plan", "-v"]);
        let said = self.neutral(&format!("{}{}", ran.out, ran.err));
        assert!(ran.code == 0, "plan for {title}: {said}");
        self.plans.push_str(&format!("== {title}\n{said}\n"));
    }

    /// Applies, and returns the exit code: 6 where a part of the manifest is refused.
    fn apply(&self) -> i32 {
        let ran = self.sandbox.run(&["apply", "--yes", "--allow-prune", "--quiet"]);
        assert!(
            matches!(ran.code, 0 | 6),
            "{}: exit {}\n{}{}",
            self.dir.display(),
            ran.code,
            ran.out,
            ran.err
        );
        ran.code
    }

    fn bytes(&self) -> Option<String> {
        fs::read(self.sandbox.path(&self.live)).ok().map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    }

    /// Without the paths that differ from run to run.
    fn neutral(&self, text: &str) -> String {
        let home = self.sandbox.home().display().to_string();
        text.replace(env!("CARGO_BIN_EXE_mcpkeel"), "/usr/bin/mcpkeel").replace(&home, "/home/tester")
    }

    #[track_caller]
    fn expect(&self, name: &str, actual: &str) {
        let actual = &self.neutral(actual);
        let path = self.dir.join(name);
        if std::env::var_os("MCPKEEL_BLESS").is_some() {
            fs::write(&path, actual).expect("blessed");
            return;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == *actual,
            "{} differs.\n--- expected\n{expected}\n--- actual\n{actual}",
            path.display()
        );
    }

    fn run(mut self) {
        let extension = self.live.rsplit_once('.').expect("an ending").1.to_owned();
        let named = |stem: &str| format!("{stem}.{extension}");
        let before = fs::read_to_string(input(&self.dir, "before")).expect("UTF-8");
        let malformed = fs::read_to_string(input(&self.dir, "malformed")).expect("UTF-8");

        self.manifest("mcp.yaml");
        self.plan("create");
        self.apply();
        let created = self.bytes().expect("a new file");
        self.expect(&named("create"), &created);
        assert_eq!(self.sandbox.run(&["apply", "--yes", "-q"]).out, "", "a second apply has nothing to do");
        self.nothing_wanted();
        assert!(self.apply() == 0 && self.bytes().is_none(), "the file that we made goes when it is empty");

        self.sandbox.write(&self.live, &before);
        self.manifest("mcp.yaml");
        self.plan("foreign");
        self.apply();
        let foreign = self.bytes().expect("still there");
        self.expect(&named("foreign"), &foreign);

        self.manifest("mcp.update.yaml");
        self.plan("update");
        self.apply();
        self.expect(&named("update"), &self.bytes().expect("still there"));
        self.manifest("mcp.yaml");
        self.apply();
        assert_eq!(self.bytes().expect("still there"), foreign, "taking the update back restores the bytes");

        // Somebody changes an argument of ours.
        let ours = ["/srv/files", "connect"].into_iter().find(|ours| foreign.contains(ours));
        let ours = ours.expect("the case needs `/srv/files` in an entry, or one of the gateway");
        self.sandbox.write(&self.live, foreign.replace(ours, "/by/hand"));
        self.plan("drift");
        self.apply();
        assert_eq!(self.bytes().expect("still there"), foreign, "drift is repaired byte for byte");

        self.nothing_wanted();
        self.plan("remove");
        self.apply();
        assert_eq!(self.bytes().expect("still there"), before, "no trace is left of us");

        self.sandbox.write(&self.live, &malformed);
        self.manifest("mcp.yaml");
        self.plan("malformed");
        let ran = self.sandbox.run(&["apply", "--yes"]);
        assert!(ran.code == 1, "a malformed file is refused: exit {}\n{}{}", ran.code, ran.out, ran.err);
        assert_eq!(self.bytes().expect("still there"), malformed, "a malformed file keeps every byte");

        let plans = std::mem::take(&mut self.plans);
        self.expect("plan.txt", &plans);
    }

    /// The same client block without servers.
    fn nothing_wanted(&self) {
        let text = fs::read_to_string(self.dir.join("mcp.yaml")).expect("a manifest");
        let (head, _) = text.split_once("clients:").expect("a client block");
        let block = &text[head.len()..];
        let block = block.replace("servers: [\"*\"]", "servers: []");
        assert!(block.contains("servers: []"), "the case's client takes all servers");
        self.sandbox.write("mcp.yaml", format!("version: 1\n{block}"));
    }
}

#[test]
fn every_client_is_written_as_its_golden_files_say() {
    let cases = cases();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(dir) = cases.get(at) else { return };
                        Case::new(dir.clone()).run();
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn every_client_has_its_golden_files() {
    let stems = |dir: &Path| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .expect("a directory")
            .map(|entry| {
                entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(stems(&repo().join("tests/golden/cases")), stems(&repo().join("manifests/clients")));
}
