//! The process that watches, killed at random moments and started again, among five writers.

use std::time::{Duration, Instant};

use super::writers::Random;
use super::{Scene, Watch, seed, wait_for};

const KILLS: u32 = 45;
/// A watch that lives is killed within this after its start, in milliseconds: it is at work by then, and
/// often in the middle of an apply.
const LIFE: u64 = 300;
/// Every so many starts it may live until all that the kills left is in order.
const RESPITE: u32 = 9;
/// How long a key may be out of sight: kills come in between, and a lock that was left goes stale.
const MOMENT: Duration = Duration::from_secs(60);

#[test]
fn killed_and_started_again_it_loses_nothing_and_converges() {
    let mut random = Random(seed() | 1);
    let mut scene = Scene::new(&mut random, |_| MOMENT);
    let start = Instant::now();
    let (mut cut_off, mut settled) = (0, Duration::ZERO);
    for kill in 1..=KILLS {
        let at = format!("kill {kill}, after {:?}", start.elapsed());
        scene.change_manifest();
        let mut watch = Watch::start(&scene.sandbox);
        if kill % RESPITE == 0 {
            let (left, began) = (scene.journals(), Instant::now());
            // A lock of Claude Code that was left goes stale after ten seconds.
            wait_for("the end of what was cut off", Duration::from_secs(40), || {
                scene.journals().is_disjoint(&left)
            });
            settled = settled.max(began.elapsed());
        }
        std::thread::sleep(Duration::from_millis(random.within(0..LIFE)));
        watch.check(&at);
        watch.kill();
        cut_off += usize::from(!scene.journals().is_empty());
        scene.check_writers(&at);
    }
    let took = start.elapsed();
    scene.make_peace();
    let mut watch = Watch::start(&scene.sandbox);
    let works = scene.stop_writers();
    let converged = scene.converges(Duration::from_secs(40));
    watch.check("converged");
    scene.check_files(&works);
    for (kind, work) in &works {
        println!("{kind:?}: {} turns, out of sight for a moment {} times", work.turns, work.moments);
    }
    println!(
        "{KILLS} kills in {took:?}, {cut_off} of them in the middle of a run; settled within {settled:?} of a start; \
         in step {converged:?} after the last write"
    );
    assert!(cut_off > 2, "too few kills came in the middle of a run: {cut_off}");
}
