//! The same on the real file system.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use mcpkeel::reconcile::transaction::Problem;
use mcpkeel::store::LockError;
use mcpkeel::system::{Kind, Meta, Quiet, Real};

use super::*;

struct Home {
    dir: tempfile::TempDir,
    store: Store,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(fs::canonicalize(dir.path()).expect("there").join("state"));
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).expect("there").join(name)
    }

    fn change(&self, name: &str, text: Option<&str>) -> Change {
        let after = write(&format!("{}mcpkeel\n", text.unwrap_or_default()));
        let before = text.and_then(print);
        Change { path: self.path(name), before, after, client_lock: None, create_dirs: true }
    }

    fn run(&self, changes: Vec<Change>) -> Result<Outcome, Box<Failure>> {
        let lock = self.store.lock(&Real, "apply").expect("free");
        let mut keys = Keys { removed: None, merges: 0 };
        let mut commit = |_: &Outcome| Ok(vec![StateFile { name: "ledger.json".into(), text: "{}".into() }]);
        run(&Real, &self.store, &lock, &meta(false), changes, &mut keys, &mut commit)
    }

    fn names(&self) -> Vec<String> {
        Real.list(&self.path("")).expect("listed")
    }
}

#[cfg(unix)]
#[test]
fn keeps_mode_owner_attributes_and_links() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    let home = Home::new();
    fs::create_dir(home.path("dots")).expect("made");
    let real = home.path("dots/real.json");
    fs::write(&real, "linked\n").expect("written");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("set");
    // Only root may give files away, and not every file system has attributes.
    let owner = if chown(&real, Some(1234), Some(99)).is_ok() {
        Some((1234, 99))
    } else {
        Real.meta(&real).expect("there").owner
    };
    let has_attributes = xattr::set(&real, "user.note", b"mine").is_ok();
    symlink("dots/real.json", home.path("two")).expect("linked");
    symlink("two", home.path("one.json")).expect("linked");

    let outcome = home
        .run(vec![home.change("one.json", Some("linked\n")), home.change("a/b/new.json", None)])
        .expect("applied");
    assert_eq!(outcome.files[0].real, real);
    assert_eq!(fs::read_to_string(&real).expect("there"), "linked\nmcpkeel\n");
    let meta = Real.meta(&real).expect("there");
    assert_eq!((meta.mode, meta.owner), (0o640, owner));
    if has_attributes {
        assert_eq!(xattr::get(&real, "user.note").expect("read").as_deref(), Some(&b"mine"[..]));
    }
    assert_eq!(Real.meta(&home.path("one.json")).expect("there").kind, Kind::Link);
    assert_eq!(Real.meta(&home.path("two")).expect("there").kind, Kind::Link);
    assert_eq!(Real.meta(&home.path("a/b/new.json")).expect("there").mode & 0o600, 0o600);
    assert_eq!(Real.list(&home.path("dots")).expect("listed"), ["real.json"]);
    for path in ["state", "state/journal", "state/backups"] {
        assert_eq!(Real.meta(&home.path(path)).expect("there").mode, 0o700);
    }
    assert_eq!(Real.meta(&home.path("state/ledger.json")).expect("there").mode, 0o600);
}

#[test]
fn a_lock_held_by_another_process_says_by_whom() {
    let home = Home::new();
    let held = home.store.lock(&Real, "watch").expect("free");
    let error = home.store.lock(&Real, "apply").expect_err("held");
    let LockError::Held(Some(holder)) = error else { panic!("{error}") };
    assert_eq!((holder.pid, holder.command.as_str()), (std::process::id(), "watch"));
    assert!(Real.is_running(holder.pid));
    drop(held);
    drop(home.store.lock(&Real, "apply").expect("free again"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_lease_is_refused_while_someone_writes_and_shows_who_waits() {
    use std::io::Write;
    let home = Home::new();
    let path = home.path("file");
    fs::write(&path, "one").expect("written");
    let mut writer = fs::OpenOptions::new().append(true).open(&path).expect("open");
    assert!(matches!(Real.lease(&path).expect("asked"), Quiet::Busy));
    writer.write_all(b"two").expect("written");
    drop(writer);

    let Quiet::Leased(lease) = Real.lease(&path).expect("asked") else { panic!("no leases here") };
    assert_eq!(lease.read().expect("read"), b"onetwo");
    assert!(!lease.is_wanted());
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || fs::write(path, "three").expect("written")
    });
    while !lease.is_wanted() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(fs::read(&path).expect("read"), b"onetwo", "the writer waits");
    drop(lease);
    waiting.join().expect("no panic");
    assert_eq!(fs::read(&path).expect("read"), b"three");
}

#[test]
fn names_are_exchanged_and_never_overwritten() {
    let home = Home::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| home.path(name));
    fs::write(&a, "a").expect("written");
    fs::write(&b, "b").expect("written");
    let ids = |meta: &Meta| meta.id;
    let before = ids(&Real.meta(&a).expect("there"));
    Real.exchange(&a, &b).expect("exchanged");
    assert_eq!(fs::read_to_string(&a).expect("there"), "b");
    assert_eq!(ids(&Real.meta(&b).expect("there")), before);
    let error = Real.rename_new(&a, &b).expect_err("taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    Real.rename_new(&a, &c).expect("moved");
    assert!(!a.exists() && c.exists());
    Real.touch(&home.path("")).expect("a directory too");
    assert_ne!(Real.random().expect("random"), Real.random().expect("random"));
}

/// How the racing program writes.
#[derive(Clone, Copy, Debug)]
enum Style {
    InPlace,
    Rename,
    Both,
}

/// Reads the file, adds a key, writes it back, waits a little; over and over.
fn add_keys(path: &Path, style: Style, pause: Duration, stop: &AtomicBool, count: &AtomicU32) {
    let mut n = 0;
    // The file must not outgrow the test on a slow machine.
    while n < 20_000 && !stop.load(Ordering::Relaxed) {
        let mut text = fs::read_to_string(path).expect("always there");
        text += &format!("theirs{n}\n");
        let by_rename = match style {
            Style::InPlace => false,
            Style::Rename => true,
            Style::Both => n % 2 == 0,
        };
        if by_rename {
            let temp = path.with_extension("theirs");
            fs::write(&temp, text).expect("written");
            fs::rename(&temp, path).expect("renamed");
        } else {
            fs::write(path, text).expect("written");
        }
        n += 1;
        count.store(n, Ordering::Relaxed);
        std::thread::sleep(pause * (n % 3));
    }
}

/// Runs against such a program; returns how many of them gave way.
fn race(style: Style, pause: Duration, runs: u32) -> u32 {
    let home = Home::new();
    let path = home.path("shared.json");
    fs::write(&path, "start\n").expect("written");
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let writer = std::thread::spawn({
        let (path, stop, count) = (path.clone(), stop.clone(), count.clone());
        move || add_keys(&path, style, pause, &stop, &count)
    });
    let mut kept = String::new();
    let mut gave_way = 0;
    let mut reworked = 0;
    for run in 0..runs {
        let lock = home.store.lock(&Real, "apply").expect("free");
        let mut rework = Adds { key: format!("ours{run}"), keys: Keys { removed: None, merges: 0 } };
        let mut commit = |_: &Outcome| Ok(Vec::new());
        let change = Change {
            path: path.clone(),
            before: print("never"),
            after: After::Remove,
            client_lock: None,
            create_dirs: false,
        };
        match mcpkeel::reconcile::transaction::run(
            &Real,
            &home.store,
            &lock,
            &meta(false),
            vec![change],
            &mut rework,
            &mut commit,
        ) {
            Ok(outcome) => {
                reworked += outcome.files[0].reworked;
                assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
            }
            Err(failure) => {
                assert!(matches!(failure.problem, Problem::Contended { .. }), "{failure:?}");
                // What it had kept aside is not lost either.
                for (_, print) in failure.undone.expect("undone").strays {
                    let bytes = home.store.load_object(&Real, print).expect("kept");
                    kept += &String::from_utf8(bytes).expect("text");
                }
                gave_way += 1;
            }
        }
        home.store.prune_backups(&Real, &lock, 50).expect("pruned");
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("the writer always found its file");
    let mut text = fs::read_to_string(&path).expect("there");
    text += &kept;
    let keys: HashSet<&str> = text.lines().collect();
    let is_lost = |n: &u32| !keys.contains(&*format!("theirs{n}"));
    let lost: Vec<u32> = (0..count.load(Ordering::Relaxed)).filter(is_lost).collect();
    println!(
        "{style:?}: {} updates, {reworked} reworked, {gave_way} of {runs} runs gave way",
        count.load(Ordering::Relaxed)
    );
    assert!(lost.is_empty(), "{lost:?} of {}", count.load(Ordering::Relaxed));
    assert_eq!(home.names(), ["shared.json", "state"]);
    gave_way
}

/// Adds one key of ours.
struct Adds {
    key: String,
    keys: Keys,
}

impl Rework for Adds {
    fn rework(&mut self, _: usize, found: Option<&[u8]>) -> Result<Option<After>, Box<Diagnostic>> {
        let text = String::from_utf8_lossy(found.unwrap_or_default()).into_owned();
        Ok((!text.lines().any(|key| key == self.key)).then(|| write(&format!("{text}{}\n", self.key))))
    }

    fn merge(&mut self, file: usize, base: &[u8], one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        self.keys.merge(file, base, one, other)
    }
}

#[test]
fn no_update_is_lost_to_a_program_that_renames() {
    assert!(race(Style::Rename, Duration::from_millis(5), 200) < 100);
}

#[cfg(target_os = "linux")]
#[test]
fn no_update_is_lost_to_a_program_that_writes_in_place() {
    assert!(race(Style::InPlace, Duration::from_millis(5), 200) < 100);
}

#[cfg(target_os = "linux")]
#[test]
fn no_update_is_lost_to_a_program_that_never_rests() {
    race(Style::Both, Duration::ZERO, 10);
}
