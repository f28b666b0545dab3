use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Crashes at every call of a run; returns at how many.
fn crash_everywhere(prepare: impl Fn(&Memory), fault: Fault, loss: Loss) -> u64 {
    for n in 1.. {
        let scene = Scene::new();
        prepare(&scene.memory);
        scene.memory.fault(n, fault);
        let result = scene.run();
        if !scene.memory.is_down() {
            assert!(result.is_ok());
            return n - 1;
        }
        let at = format!("{fault:?} at call {n}, {loss:?} lost: {:?}", scene.memory.trace().last());
        scene.memory.reboot(loss);
        scene.check_whole(&at);
        scene.recover().unwrap_or_else(|| panic!("{at}: not recovered"));
        assert!(scene.is_old() || scene.is_new(), "{at}: {:?}", scene.texts());
        assert_eq!(scene.litter(), Vec::<PathBuf>::new(), "{at}");
        scene.check_next_run(&at);
    }
    unreachable!()
}

#[test]
fn a_crash_at_any_call_leaves_each_file_old_or_new_and_the_next_run_settles_it() {
    let mut points = 0;
    for fault in [Fault::Crash, Fault::Torn] {
        for loss in [Loss::Nothing, Loss::Data, Loss::All] {
            points += crash_everywhere(|_| {}, fault, loss);
            points += crash_everywhere(Memory::without_exchange, fault, loss);
            points += crash_everywhere(Memory::without_leases, fault, loss);
        }
    }
    println!("{points} crash points");
}

#[test]
fn a_crash_during_recovery_is_recovered_from() {
    let mut points = 0;
    for n in some(1..=u64::MAX) {
        let mut is_over = false;
        for m in 1.. {
            let scene = Scene::new();
            scene.memory.fault(n, Fault::Crash);
            let result = scene.run();
            if !scene.memory.is_down() {
                assert!(result.is_ok());
                is_over = true;
                break;
            }
            let loss = if m % 2 == 0 { Loss::Nothing } else { Loss::All };
            scene.memory.reboot(loss);
            scene.memory.fault(m, if m % 3 == 0 { Fault::Torn } else { Fault::Crash });
            let recovered = scene.recover().is_some();
            let at = format!("crashes at {n} and {m}, {loss:?} lost: {:?}", scene.memory.trace().last());
            if !scene.memory.is_down() {
                assert!(recovered, "{at}");
                break;
            }
            points += 1;
            scene.memory.reboot(loss);
            scene.check_whole(&at);
            scene.recover().unwrap_or_else(|| panic!("{at}: not recovered"));
            assert!(scene.is_old() || scene.is_new(), "{at}: {:?}", scene.texts());
            assert_eq!(scene.litter(), Vec::<PathBuf>::new(), "{at}");
        }
        if is_over {
            break;
        }
    }
    println!("{points} double crash points");
}

/// The key that another program adds survives, wherever in the run it comes and wherever we crash.
#[test]
fn a_crash_loses_nothing_that_another_program_wrote() {
    let mut points = 0;
    for (path, real) in [(LINK, REAL), (OLD, OLD), (GONE, GONE)] {
        for style in ["rename", "in place"] {
            for n in 1.. {
                let scene = Scene::new();
                // A writer that comes right before the first exchange.
                let came = Arc::new(AtomicBool::new(false));
                let hand = came.clone();
                scene.memory.before_exchange(move |memory| {
                    let call = memory.trace().last().cloned().unwrap_or_default();
                    let is_it = call.ends_with(real) || (path == GONE && call.ends_with("-3-0.tmp"));
                    if is_it && !hand.swap(true, Ordering::Relaxed) {
                        super::writers::add_key(memory, Path::new(real), "theirs", style);
                    }
                });
                scene.memory.fault(n, Fault::Crash);
                let _ = scene.run();
                if !scene.memory.is_down() {
                    break;
                }
                points += 1;
                let at = format!("{path} {style} {n}: {}", scene.last_call());
                scene.memory.reboot(Loss::Nothing);
                scene.recover().unwrap_or_else(|| panic!("{at}: not recovered"));
                assert_eq!(scene.litter(), Vec::<PathBuf>::new(), "{at}");
                let text = scene.text(path).unwrap_or_default();
                let came = came.load(Ordering::Relaxed);
                assert!(!came || text.contains("theirs\n"), "{at}: {text:?}");
            }
        }
    }
    println!("{points} crash points with another writer");
}
