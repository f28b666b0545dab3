//! The process that watches, killed at random moments and started again, among five writers.

use std::time::{Duration, Instant};

use super::writers::Random;
use super::{Scene, Watch, seed, wait_for};

const KILLS: u32 = 45;
/// It is killed within this after its start, in milliseconds; every other time as soon as it is in the middle
/// of a run.
const LIFE: u64 = 300;
/// A run that is killed in the file of Claude Code leaves a lock that takes ten seconds to go stale.
const SELDOM: u32 = 20;
/// Every so many starts it may live until all that the kills left is in order.
const RESPITE: u32 = 9;
/// How long a key may be out of sight: kills come in between, and a lock that was left goes stale.
const MOMENT: Duration = Duration::from_secs(60);

#[test]
fn killed_and_started_again_it_loses_nothing_and_converges() {
    let mut random = Random(seed() | 1);
    let mut scene = Scene::new(&mut random, SELDOM, |_| MOMENT);
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
        let life = Duration::from_millis(random.within(0..LIFE));
        if kill % 2 == 0 {
            std::thread::sleep(life);
        } else {
            // In the middle of a run, if there is one.
            let began = Instant::now();
            while scene.journals().is_empty() && began.elapsed() < life {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(random.within(0..15_000)));
        }
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
    assert!(cut_off > 4, "too few kills came in the middle of a run: {cut_off}");
}
