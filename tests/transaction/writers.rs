use super::*;

/// Another program reads the file and writes it with one more key, at one moment.
pub fn add_key(memory: &Memory, path: &Path, key: &str, style: &str) {
    let line = format!("{key}\n");
    let edit = move |mut bytes: Vec<u8>| {
        bytes.extend_from_slice(line.as_bytes());
        bytes
    };
    if style == "rename" || memory.about(path).is_none() {
        memory.write(path, &edit(memory.contents(path).unwrap_or_default()));
    } else {
        memory.edit(path, edit);
    }
}

fn real_of(path: &str) -> &str {
    if path == LINK { REAL } else { path }
}

fn check_keys(scene: &Scene, path: &str, keys: &[&str], at: &str, ours: bool) {
    let text = scene.text(path).unwrap_or_default();
    for key in keys {
        assert!(
            text.lines().any(|line| line == *key),
            "{at}: {key} is lost: {text:?}\n{:#?}",
            scene.memory.trace()
        );
    }
    let has_ours = text.contains("mcpkeel\n") || path == GONE;
    assert!(!ours || has_ours, "{at}: ours is lost: {text:?}");
    assert_eq!(scene.litter(), Vec::<PathBuf>::new(), "{at}");
}

fn calls() -> u64 {
    let scene = Scene::new();
    scene.run().expect("applied");
    scene.calls()
}

#[test]
fn an_update_between_any_two_calls_is_kept() {
    let mut points = 0;
    let calls = calls();
    for platform in [|_: &Memory| {}, Memory::without_leases] {
        for path in [LINK, NEW, OLD, GONE] {
            for style in ["rename", "in place"] {
                for n in some(1..=calls) {
                    let scene = Scene::new();
                    platform(&scene.memory);
                    scene
                        .memory
                        .before(n, move |memory| add_key(memory, Path::new(real_of(path)), "theirs", style));
                    let at = format!("{path} {style} before call {n}");
                    scene.run().unwrap_or_else(|failure| panic!("{at}: {failure:?}"));
                    points += 1;
                    let is_early = n < calls / 2;
                    check_keys(&scene, path, &["theirs"], &at, is_early);
                }
            }
        }
    }
    println!("{points} moments for one update");
}

#[test]
fn two_updates_between_any_calls_are_kept() {
    let mut points = 0;
    for path in [LINK, OLD, GONE] {
        for style in ["rename", "in place"] {
            for n in some(1..=calls()) {
                for m in [1, 2, 3, 4, 5, 7, 9, 12, 20] {
                    let scene = Scene::new();
                    let real = Path::new(real_of(path));
                    scene.memory.before(n, move |memory| add_key(memory, real, "one", style));
                    scene.memory.before(n + m, move |memory| add_key(memory, real, "two", style));
                    let at = format!("{path} {style} before calls {n} and {m} later");
                    let result = scene.run();
                    points += 1;
                    // The second one may come after the run is over.
                    let came = scene.calls() >= n + m;
                    result.unwrap_or_else(|failure| panic!("{at}: {failure:?}"));
                    check_keys(&scene, path, if came { &["one", "two"] } else { &["one"] }, &at, false);
                }
            }
        }
    }
    println!("{points} moments for two updates");
}

/// The slow kind: opens the file and empties it, writes calls later, closes calls later.
#[test]
fn a_writer_that_opened_the_file_before_the_exchange_loses_nothing() {
    let mut points = 0;
    for path in [LINK, OLD, GONE] {
        for n in some(1..=calls()) {
            for m in [1, 2, 3, 5, 8, 13] {
                let scene = Scene::new();
                let real = Path::new(real_of(path));
                let writer = std::sync::Arc::new(std::sync::Mutex::new(None));
                let hand = writer.clone();
                scene.memory.before(n, move |memory| {
                    let text = String::from_utf8(memory.contents(real).unwrap_or_default()).expect("text");
                    let file = memory.open_for_writing(real);
                    *hand.lock().expect("free") = file.map(|file| (file, text + "theirs\n"));
                });
                let hand = writer.clone();
                scene.memory.before(n + m, move |memory| match hand.lock().expect("free").as_ref() {
                    Some((file, text)) => file.write(text.as_bytes()),
                    None => add_key(memory, real, "theirs", "rename"),
                });
                let hand = writer.clone();
                scene.memory.before(n + m + 1, move |_| drop(hand.lock().expect("free").take()));
                let at = format!("{path} opened before call {n}, written {m} later");
                let result = scene.run();
                if scene.calls() < n + m + 1 {
                    break;
                }
                points += 1;
                result.unwrap_or_else(|failure| panic!("{at}: {failure:?}"));
                check_keys(&scene, path, &["theirs"], &at, false);
            }
        }
    }
    println!("{points} moments for a slow in-place writer");
}

/// Reads at one call, replaces the file calls later: it may overwrite us, never the other way round.
#[test]
fn a_writer_that_read_before_the_exchange_and_writes_after_keeps_its_update() {
    let mut points = 0;
    for path in [LINK, OLD] {
        for n in some(1..=calls()) {
            for m in [1, 2, 4, 8, 16, 32] {
                let scene = Scene::new();
                let real = Path::new(real_of(path));
                let text = std::sync::Arc::new(std::sync::Mutex::new(None));
                let hand = text.clone();
                scene.memory.before(n, move |memory| *hand.lock().expect("free") = memory.contents(real));
                scene.memory.before(n + m, move |memory| {
                    let mut bytes = text.lock().expect("free").take().unwrap_or_default();
                    bytes.extend_from_slice(b"theirs\n");
                    memory.write(real, &bytes);
                });
                let at = format!("{path} read before call {n}, written {m} later");
                let result = scene.run();
                if scene.calls() < n + m {
                    break;
                }
                points += 1;
                result.unwrap_or_else(|failure| panic!("{at}: {failure:?}"));
                check_keys(&scene, path, &["theirs"], &at, false);
            }
        }
    }
    println!("{points} moments for a slow renaming writer");
}

#[test]
fn a_program_that_rewrites_the_file_at_every_exchange_is_given_way_to() {
    let scene = Scene::new();
    let mut count = 0;
    scene.memory.before_exchange(move |memory| {
        if memory.trace().last().is_some_and(|call| call.ends_with("old.json")) {
            count += 1;
            add_key(memory, Path::new(OLD), &format!("theirs{count}"), "rename");
        }
    });
    let failure = scene.run().expect_err("contended").expect("started");
    assert!(
        failure.to_string().starts_with("another program keeps rewriting /home/me/old.json"),
        "{failure}"
    );
    // It read our content while it was there for a moment, and so dropped its own update of before:
    // that one is kept in the object store.
    scene.memory.reboot(Loss::Nothing);
    scene.recover().expect("recovered");
    let objects = scene.memory.tree(&scene.store.path("backups/objects"));
    let mut texts: Vec<String> = objects.iter().filter_map(|path| scene.text(path.to_str()?)).collect();
    texts.push(scene.text(OLD).expect("there"));
    for n in 1..40 {
        assert!(texts.iter().any(|text| text.contains(&format!("theirs{n}\n"))), "{n}: {texts:?}");
    }
    assert_eq!(scene.text(LINK).as_deref(), Some("linked\n"));
    assert_eq!(scene.litter(), Vec::<PathBuf>::new());
}
