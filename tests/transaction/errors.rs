use std::io::ErrorKind;

use super::*;

/// A failing call anywhere leaves all files old or all new, now or after the next run.
#[test]
fn an_error_at_any_call_undoes_everything() {
    let mut points = 0;
    let mut undone_later = 0;
    let once = [
        ErrorKind::StorageFull,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::PermissionDenied,
        ErrorKind::Other,
    ];
    let once = once.map(Fault::Once);
    let from = [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem].map(Fault::From);
    for fault in once.into_iter().chain(from) {
        let without_faults = Scene::new();
        without_faults.run().expect("applied");
        let calls = without_faults.calls();
        for n in 1..=calls {
            let scene = Scene::new();
            scene.memory.fault(n, fault);
            let result = scene.run();
            let at = format!(
                "{fault:?} at call {n} of {calls}: {}",
                scene.memory.trace()[scene
                    .memory
                    .trace()
                    .len()
                    .min((without_faults.memory.calls() - calls + n) as usize)
                    - 1]
            );
            points += 1;
            scene.check_whole(&at);
            match &result {
                Ok(_) => assert_eq!(&scene.texts()[..4], &new()[..4], "{at}"),
                Err(Some(failure)) if failure.undone.is_ok() => {
                    assert!(scene.is_old(), "{at}: {failure:?} {:?}", scene.texts())
                }
                Err(Some(_)) => undone_later += 1,
                Err(None) => assert!(scene.is_old(), "{at}"),
            }
            if let Err(Some(failure)) = &result {
                let text = failure.to_string();
                assert!(text.contains('/'), "{at}: no path in {text}");
            }
            scene.memory.reboot(Loss::Nothing);
            scene.recover().unwrap_or_else(|| panic!("{at}: not recovered"));
            assert!(scene.is_old() || scene.is_new(), "{at}: {:?}", scene.texts());
            assert_eq!(scene.litter(), Vec::<PathBuf>::new(), "{at}");
            scene.check_next_run(&at);
        }
    }
    println!("{points} error points, {undone_later} of them undone by the next run only");
}

#[test]
fn a_refusal_undoes_everything() {
    struct Refuses;
    impl Rework for Refuses {
        fn rework(&mut self, _: usize, _: Option<&[u8]>) -> Result<Option<After>, Box<Diagnostic>> {
            Err(Box::new(Diagnostic::error("stale-plan", "the file changed since the plan was made")))
        }
    }
    let scene = Scene::new();
    scene.memory.write(Path::new(GONE), b"gone\nand more\n");
    let failure = scene.run_with(&mut Refuses, false).expect_err("refused").expect("started");
    assert_eq!(failure.to_string(), "the file changed since the plan was made");
    assert_eq!(failure.path.as_deref(), Some(Path::new(GONE)));
    let put_back = failure.undone.expect("undone").put_back;
    assert_eq!(put_back, [OLD, NEW, LINK].map(PathBuf::from));
    assert_eq!(scene.text(GONE).as_deref(), Some("gone\nand more\n"));
    assert_eq!(scene.text(LINK).as_deref(), Some("linked\n"));
    assert_eq!(scene.litter(), Vec::<PathBuf>::new());
}

#[test]
fn a_commit_that_fails_undoes_everything() {
    let scene = Scene::new();
    let lock = scene.store.lock(&scene.memory, "apply").expect("free");
    let mut keys = Keys { removed: Some(3), merges: 0 };
    let mut commit = |_: &Outcome| {
        let path = Path::new("/ledger.json");
        Err(mcpkeel::system::FileError::new(path, "write", ErrorKind::Other, "no"))
    };
    let changes = scene.changes();
    let failure = run(&scene.memory, &scene.store, &lock, &meta(false), changes, &mut keys, &mut commit);
    assert!(failure.expect_err("failed").undone.is_ok());
    assert!(scene.is_old() && scene.litter().is_empty());
}
