//! The apply protocol against crashes, full disks and other writers.
//!
//! Contents are lists of keys, one a line; what we write is the key `mcpkeel`. Start at [`Scene`].

mod crashes;
mod errors;
mod real;
mod writers;

use std::path::{Path, PathBuf};

use mcpkeel::base::{Diagnostic, Fingerprint};
use mcpkeel::reconcile::recover::{Recovered, recover};
use mcpkeel::reconcile::transaction::{
    Access, After, Change, ClientLock, Done, Failure, Outcome, Rework, RunMeta, restore, run,
};
use mcpkeel::store::{StateFile, Store};
use mcpkeel::system::{Fault, Loss, Memory, System};

/// Adds our key to what is found; takes the key `gone` out of the file that is to be removed.
pub struct Keys {
    pub removed: Option<usize>,
    pub merges: u32,
}

impl Rework for Keys {
    fn rework(&mut self, file: usize, found: Option<&[u8]>) -> Result<Option<After>, Box<Diagnostic>> {
        let text = String::from_utf8_lossy(found.unwrap_or_default()).into_owned();
        if self.removed == Some(file) {
            let rest: String =
                text.lines().filter(|key| *key != "gone").map(|key| format!("{key}\n")).collect();
            return Ok(if found.is_some() && rest.is_empty() {
                Some(After::Remove)
            } else {
                (rest != text).then(|| write(&rest))
            });
        }
        Ok((!text.lines().any(|key| key == "mcpkeel")).then(|| write(&format!("{text}mcpkeel\n"))))
    }

    fn merge(&mut self, _file: usize, base: &[u8], one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        self.merges += 1;
        let [base, one, other] = [base, one, other].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let [in_base, in_one, in_other] =
            [&base, &one, &other].map(|text| text.lines().collect::<std::collections::HashSet<_>>());
        let kept = other.lines().filter(|key| in_one.contains(key) || !in_base.contains(key));
        let new = one.lines().filter(|key| !in_base.contains(key) && !in_other.contains(key));
        Some(kept.chain(new).map(|key| format!("{key}\n")).collect::<String>().into_bytes())
    }
}

pub fn write(text: &str) -> After {
    After::Write { bytes: text.as_bytes().to_vec(), access: Access::Keep }
}

pub fn print(text: &str) -> Option<Fingerprint> {
    Some(Fingerprint::of(text.as_bytes()))
}

pub fn meta(keep_going: bool) -> RunMeta {
    RunMeta { command: "apply".into(), summary: "4 files".into(), revision: None, keep_going }
}

pub const LINK: &str = "/home/me/.linked.json";
pub const REAL: &str = "/home/me/dots/linked.json";
pub const NEW: &str = "/home/me/.config/new/deep/mcp.json";
pub const OLD: &str = "/home/me/old.json";
pub const GONE: &str = "/home/me/gone.json";
pub const LOCK: &str = "/home/me/old.json.lock";

/// A home with a linked file, an ordinary one that its client locks, one to be removed, and a place
/// for a new one.
pub struct Scene {
    pub memory: Memory,
    pub store: Store,
    start: u64,
}

impl Scene {
    pub fn new() -> Self {
        let memory = Memory::default();
        memory.write(Path::new(REAL), b"linked\n");
        memory.link(Path::new("/home/me/.link2"), Path::new("dots/linked.json"));
        memory.link(Path::new(LINK), Path::new(".link2"));
        memory.write(Path::new(OLD), b"old\n");
        memory.write(Path::new(GONE), b"gone\n");
        let store = Store::at("/home/me/.local/state/mcpkeel");
        // The state directory of an earlier run.
        drop(store.lock(&memory, "apply").expect("free"));
        memory.write(&store.path("ledger.json"), b"ledger 1");
        memory.reboot(Loss::Data);
        let start = memory.calls();
        Self { memory, store, start }
    }

    /// How many calls were made since the scene was set.
    pub fn calls(&self) -> u64 {
        self.memory.calls() - self.start
    }

    /// The last call made.
    pub fn last_call(&self) -> String {
        self.memory.trace().last().cloned().unwrap_or_default()
    }

    pub fn changes(&self) -> Vec<Change> {
        let lock = ClientLock { dir: LOCK.into(), stale_seconds: 10 };
        let change = |path: &str, before, after, client_lock| Change {
            path: path.into(),
            before,
            after,
            client_lock,
            create_dirs: true,
        };
        vec![
            change(LINK, print("linked\n"), write("linked\nmcpkeel\n"), None),
            change(NEW, None, write("mcpkeel\n"), None),
            change(OLD, print("old\n"), write("old\nmcpkeel\n"), Some(lock)),
            change(GONE, print("gone\n"), After::Remove, None),
        ]
    }

    pub fn run(&self) -> Result<Outcome, Option<Box<Failure>>> {
        self.run_with(&mut Keys { removed: Some(3), merges: 0 }, false)
    }

    /// `Err(None)`: it did not even come to start.
    pub fn run_with(
        &self,
        rework: &mut dyn Rework,
        keep_going: bool,
    ) -> Result<Outcome, Option<Box<Failure>>> {
        let lock = self.store.lock(&self.memory, "apply").map_err(|_| None)?;
        let mut commit =
            |_: &Outcome| Ok(vec![StateFile { name: "ledger.json".into(), text: "ledger 2".into() }]);
        run(&self.memory, &self.store, &lock, &meta(keep_going), self.changes(), rework, &mut commit)
            .map_err(Some)
    }

    pub fn recover(&self) -> Option<Recovered> {
        let lock = self.store.lock(&self.memory, "apply").ok()?;
        recover(&self.memory, &self.store, &lock).ok()
    }

    pub fn text(&self, path: &str) -> Option<String> {
        self.memory.contents(Path::new(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn texts(&self) -> [Option<String>; 5] {
        let ledger = self.store.path("ledger.json");
        [LINK, NEW, OLD, GONE, ledger.to_str().expect("text")].map(|path| self.text(path))
    }

    pub fn is_old(&self) -> bool {
        self.texts() == old()
    }

    pub fn is_new(&self) -> bool {
        self.texts() == new()
    }

    /// Names of ours, and of half-done things, that are still lying about.
    pub fn litter(&self) -> Vec<PathBuf> {
        let is_litter = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(".mcpkeel")
                || name.ends_with(".jsonl") && name != "history.jsonl"
                || name.ends_with(".lock")
        };
        self.memory.tree(Path::new("/home/me")).into_iter().filter(is_litter).collect()
    }

    /// Panics unless every file is wholly old or wholly new, before anything was recovered.
    pub fn check_whole(&self, at: &str) {
        for ((text, old), new) in self.texts().into_iter().zip(old()).zip(new()) {
            assert!(text == old || text == new, "{at}: {text:?}");
        }
        assert!(
            self.memory.about(Path::new(LINK)).is_some_and(|meta| meta.kind == mcpkeel::system::Kind::Link)
        );
    }

    /// Panics unless the next run converges, leaves nothing behind, and the backup holds the old bytes.
    pub fn check_next_run(&self, at: &str) {
        let was_new = self.is_new();
        let outcome = self.run().unwrap_or_else(|failure| panic!("{at}: {failure:?}"));
        assert!(self.is_new(), "{at}: {:?}", self.texts());
        assert_eq!(self.litter(), Vec::<PathBuf>::new(), "{at}");
        let is_unchanged =
            |file: &mcpkeel::reconcile::transaction::FileOutcome| matches!(file.done, Done::Unchanged);
        assert_eq!(outcome.files.iter().all(is_unchanged), was_new, "{at}: {:?}", outcome.files);
        let id = self.store.backup_ids(&self.memory).expect("listed").pop().expect("a backup");
        let backup = self.store.load_backup(&self.memory, &id).expect("whole").expect("there");
        let before = backup.files.iter().map(|file| {
            let bytes = self.store.load_object(&self.memory, file.before?.fingerprint).expect("kept");
            Some(String::from_utf8(bytes).expect("text"))
        });
        assert_eq!(before.collect::<Vec<_>>(), old()[..4], "{at}");
        assert_eq!(
            self.store.history(&self.memory).expect("read").last().map(|entry| entry.id.clone()),
            Some(id)
        );
    }
}

/// One in seven of many cases, starting anywhere; all of them when `MCPKEEL_EXHAUSTIVE` is set.
pub fn some(cases: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = u64> {
    static START: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let step = if std::env::var_os("MCPKEEL_EXHAUSTIVE").is_some() { 1 } else { 7 };
    let start = START.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % step;
    cases.skip(start as usize).step_by(step as usize)
}

pub fn old() -> [Option<String>; 5] {
    [Some("linked\n"), None, Some("old\n"), Some("gone\n"), Some("ledger 1")]
        .map(|text| text.map(str::to_owned))
}

pub fn new() -> [Option<String>; 5] {
    [Some("linked\nmcpkeel\n"), Some("mcpkeel\n"), Some("old\nmcpkeel\n"), None, Some("ledger 2")]
        .map(|text| text.map(str::to_owned))
}

#[test]
fn replaces_creates_and_removes_as_one() {
    let scene = Scene::new();
    scene.memory.dress(Path::new(REAL), 0o640, (1234, 99), ("user.note", b"mine"));
    let outcome = scene.run().expect("applied");
    assert!(scene.is_new(), "{:?}", scene.texts());
    assert_eq!(scene.litter(), Vec::<PathBuf>::new());
    assert!(matches!(
        &outcome.files.iter().map(|file| &file.done).collect::<Vec<_>>()[..],
        [Done::Written, Done::Written, Done::Written, Done::Removed]
    ));
    assert_eq!(outcome.files[0].real, Path::new("/home/me/dots/linked.json"));
    let about = scene.memory.about(Path::new(REAL)).expect("there");
    assert_eq!((about.mode, about.owner), (0o640, Some((1234, 99))));
    assert_eq!(scene.memory.xattr(Path::new(REAL), "user.note").as_deref(), Some(&b"mine"[..]));
    assert_eq!(scene.memory.about(Path::new(NEW)).expect("there").mode, 0o644);
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let scene = Scene::new();
    scene.run().expect("applied");
    let calls = scene.calls();
    let outcome = scene.run().expect("applied");
    assert!(outcome.files.iter().all(|file| matches!(file.done, Done::Unchanged)), "{outcome:?}");
    assert_eq!(scene.store.history(&scene.memory).expect("read").len(), 1);
    println!("calls: first run {calls}, second {}", scene.calls() - calls);
}

#[test]
fn a_private_file_is_narrowed_even_when_its_content_is_right() {
    let scene = Scene::new();
    let bytes = b"old\n".to_vec();
    let change = Change {
        path: OLD.into(),
        before: print("old\n"),
        after: After::Write { bytes, access: Access::Private },
        client_lock: None,
        create_dirs: false,
    };
    let lock = scene.store.lock(&scene.memory, "apply").expect("free");
    let mut commit = |_: &Outcome| Ok(Vec::new());
    let mut keys = Keys { removed: None, merges: 0 };
    run(&scene.memory, &scene.store, &lock, &meta(false), vec![change], &mut keys, &mut commit)
        .expect("applied");
    assert_eq!(scene.memory.about(Path::new(OLD)).expect("there").mode, 0o600);
}

#[test]
fn links_in_a_circle_and_directories_are_errors_that_name_the_path() {
    for (make, why) in [
        (
            Box::new(|memory: &Memory| {
                memory.delete(Path::new(OLD));
                memory.link(Path::new(OLD), Path::new("other"));
                memory.link(Path::new("/home/me/other"), Path::new("old.json"));
            }) as Box<dyn Fn(&Memory)>,
            "cannot follow /home/me/old.json: too many levels of symbolic links",
        ),
        (
            Box::new(|memory: &Memory| {
                memory.delete(Path::new(OLD));
                memory.make_dirs(Path::new(OLD));
            }),
            "cannot read /home/me/old.json: it is a directory",
        ),
    ] {
        let scene = Scene::new();
        make(&scene.memory);
        let failure = scene.run().expect_err("refused").expect("started");
        assert!(failure.to_string().starts_with(why), "{failure}");
        assert_eq!(failure.path.as_deref(), Some(Path::new(OLD)));
        assert_eq!(scene.text(LINK).as_deref(), Some("linked\n"));
        assert_eq!(scene.litter(), Vec::<PathBuf>::new());
        assert!(scene.memory.about(Path::new("/home/me/.config")).is_none());
    }
}

#[test]
fn keep_going_changes_what_can_be_changed() {
    let scene = Scene::new();
    scene.memory.delete(Path::new(OLD));
    scene.memory.make_dirs(Path::new(OLD));
    let mut keys = Keys { removed: Some(3), merges: 0 };
    let outcome = scene.run_with(&mut keys, true).expect("applied in part");
    assert!(matches!(outcome.files[2].done, Done::Failed(_)));
    assert_eq!(scene.text(LINK).as_deref(), Some("linked\nmcpkeel\n"));
    assert_eq!(scene.text(GONE), None);
    assert_eq!(scene.litter(), Vec::<PathBuf>::new());
}

#[test]
fn a_dangling_link_gets_its_target() {
    let scene = Scene::new();
    scene.memory.delete(Path::new(REAL));
    scene.memory.delete(Path::new("/home/me/dots"));
    scene.run().expect("applied");
    assert_eq!(scene.text(REAL).as_deref(), Some("mcpkeel\n"));
    assert!(scene.memory.about(Path::new(LINK)).is_some_and(|meta| meta.kind == mcpkeel::system::Kind::Link));
}

#[test]
fn further_hard_links_are_warned_about() {
    let scene = Scene::new();
    scene.memory.hard_link(Path::new(OLD), Path::new("/home/me/second-name"));
    let outcome = scene.run().expect("applied");
    assert_eq!(outcome.warnings, ["/home/me/old.json has further hard links; they keep the old content"]);
    assert_eq!(scene.text("/home/me/second-name").as_deref(), Some("old\n"));
}

#[test]
fn waits_for_a_clients_lock_and_takes_over_a_stale_one() {
    // Held and let go after a while.
    let scene = Scene::new();
    scene.memory.make_dirs(Path::new(LOCK));
    scene.memory.before(120, |memory| memory.delete(Path::new(LOCK)));
    scene.run().expect("applied");
    assert!(scene.is_new() && scene.litter().is_empty());

    // Left behind with its owner's mark in it.
    let scene = Scene::new();
    scene.memory.write(&Path::new(LOCK).join("owner.1"), b"");
    let before = scene.memory.now();
    scene.run().expect("applied");
    let waited = scene.memory.now().duration_since(before).expect("later");
    assert!((10..12).contains(&waited.as_secs()), "{waited:?}");
    assert!(scene.is_new() && scene.litter().is_empty(), "{:?}", scene.litter());

    // Held by someone who keeps touching it.
    let scene = Scene::new();
    scene.memory.make_dirs(Path::new(LOCK));
    for n in 1..2000 {
        scene.memory.before(n, |memory| {
            memory.delete(Path::new(LOCK));
            memory.make_dirs(Path::new(LOCK));
        });
    }
    let failure = scene.run().expect_err("locked").expect("started");
    assert_eq!(
        failure.to_string(),
        "the client holds its lock /home/me/old.json.lock and did not let go of it in 20 seconds"
    );
    assert!(scene.is_old());
}

#[test]
fn a_file_held_open_for_writing_is_given_up_on() {
    let scene = Scene::new();
    let writer = scene.memory.open_for_writing(Path::new(OLD)).expect("there");
    writer.write(b"old\n");
    let failure = scene.run().expect_err("busy").expect("started");
    assert!(failure.to_string().contains("another program keeps it open for writing"), "{failure}");
    drop(writer);
    assert!(scene.is_old() && scene.litter().is_empty());
}

#[test]
fn undo_puts_back_what_a_run_replaced() {
    let scene = Scene::new();
    scene.memory.dress(Path::new(GONE), 0o640, (1000, 1000), ("user.note", b""));
    let id = scene.run().expect("applied").id;
    let backup = scene.store.load_backup(&scene.memory, &id).expect("whole").expect("there");
    scene.memory.write(Path::new(OLD), b"old\nmcpkeel\ntheirs\n");
    let gentle = restore(&scene.memory, &scene.store, &backup, false).expect("planned");
    assert_eq!((gentle.changes.len(), gentle.changed_since), (3, vec![PathBuf::from(OLD)]));
    let forced = restore(&scene.memory, &scene.store, &backup, true).expect("planned");

    let lock = scene.store.lock(&scene.memory, "undo").expect("free");
    let mut keys = Keys { removed: None, merges: 0 };
    let mut commit = |_: &Outcome| Ok(Vec::new());
    run(&scene.memory, &scene.store, &lock, &meta(false), forced.changes, &mut keys, &mut commit)
        .expect("undone");
    assert_eq!(&scene.texts()[..4], &old()[..4]);
    assert_eq!(scene.memory.about(Path::new(GONE)).expect("back").mode, 0o640);
    let again = restore(&scene.memory, &scene.store, &backup, false).expect("planned");
    assert_eq!((again.changes.len(), again.unchanged.len()), (0, 4));
}
