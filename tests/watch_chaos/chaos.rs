//! Five writers against one `mcpkeel watch` that is let live.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::writers::{Kind, Random};
use super::{Scene, Watch, seed};

/// How long it goes on; `MCPKEEL_CHAOS_SECONDS` sets another time.
const TIME: u64 = 22;
/// The fight goes on for this part of it.
const FIGHT: f64 = 0.3;
/// How long a key may be out of sight: longer than an apply takes.
const MOMENT: Duration = Duration::from_secs(10);
/// Between two changes of the manifest.
const CHANGE: Duration = Duration::from_millis(700);

#[test]
fn nothing_is_lost_and_nobody_fights_for_ever() {
    let seconds = std::env::var("MCPKEEL_CHAOS_SECONDS").ok();
    let seconds = seconds.map_or(TIME, |text| text.parse().expect("MCPKEEL_CHAOS_SECONDS is a number"));
    let time = Duration::from_secs(seconds);
    let mut random = Random(seed() | 1);
    // Whoever has the client's lock sees all of what it wrote, at once.
    let moment = |kind| if kind == Kind::Claude { Duration::ZERO } else { MOMENT };
    let mut scene = Scene::new(&mut random, 1, moment);
    let mut watch = Watch::start(&scene.sandbox);
    let readers = Readers::start(&scene);

    let (start, mut changed, mut seen) = (Instant::now(), Instant::now(), Seen::default());
    let mut is_peace = false;
    while start.elapsed() < time {
        std::thread::sleep(Duration::from_millis(250));
        let at = format!("after {:?}", start.elapsed());
        scene.check_writers(&at);
        watch.check(&at);
        seen.look(&scene);
        if changed.elapsed() > CHANGE {
            scene.change_manifest();
            changed = Instant::now();
        }
        if !is_peace && start.elapsed() > time.mul_f64(FIGHT) && seen.waits.len() > 1 {
            scene.make_peace();
            is_peace = true;
        }
    }
    assert!(is_peace, "no fight was seen: {seen:?}");
    let reads = readers.stop();
    let ticks = ticks(watch.child.id());
    let works = scene.stop_writers();
    // The wait that a fight came to, and then the time that its last repair must stand.
    let longest = Duration::from_secs(*seen.waits.last().expect("a fight"));
    let took = scene.converges(longest.mul_f64(1.2) + (longest * 2).max(Duration::from_secs(15)) * 2);
    scene.check_files(&works);
    seen.check();

    let mut applies = BTreeSet::new();
    for kind in Kind::ALL {
        let times = watch.applied(kind.client());
        // Four repairs make a fight, and then each wait is twice the last one. Every change of the
        // manifest is one more, and may be had twice where a writer puts the old one back.
        let repairs = 8 + 2 * seconds.ilog2() as usize;
        let most = repairs + 3 * scene.version as usize;
        assert!(times.len() <= most, "{kind:?} was written {} times, more than {most}", times.len());
        applies.extend(times);
    }
    check_gaps(&watch.applied(Kind::Auggie.client()));
    check_told(&watch);
    let used = Duration::from_millis(ticks * 10);
    for (kind, work) in &works {
        println!("{kind:?}: {} turns, out of sight for a moment {} times", work.turns, work.moments);
    }
    println!(
        "{seconds} s, {} changes of the manifest, {} writes, waits of {:?} s, contended: {:?}, writers named: {:?}; \
         {reads} reads of whole files; watch used {used:?} of processor time; in step {took:?} after the last write",
        scene.version,
        applies.len(),
        seen.waits,
        seen.contended,
        seen.named
    );
    if cfg!(target_os = "linux") {
        assert!(used < time.mul_f64(0.5), "watch was busy for {used:?} of {time:?}");
    }
}

/// What `status` said about fights.
#[derive(Debug, Default)]
struct Seen {
    contended: BTreeSet<String>,
    /// Of the fighter's client, each longer than all before.
    waits: Vec<u64>,
    named: BTreeSet<String>,
}

impl Seen {
    fn look(&mut self, scene: &Scene) {
        let status = scene.status();
        for client in status["clients"].as_array().expect("a list") {
            if client["condition"] != "Contended" {
                continue;
            }
            let name = client["client"].as_str().expect("a name");
            self.contended.insert(name.to_owned());
            let message = client["message"].as_str().expect("a sentence");
            let (who, rest) = message.split_once(" keeps writing over our entries in ").expect("who");
            if name == Kind::Auggie.client() {
                let wait = rest.split_once("next look in ").and_then(|(_, wait)| wait.split_once(" s"));
                let wait = wait.expect("a wait").0.parse().expect("seconds");
                if self.waits.last().is_none_or(|last| wait > *last) {
                    self.waits.push(wait);
                }
                self.named.insert(who.to_owned());
            }
        }
    }

    fn check(&self) {
        assert!(self.waits.len() > 1, "waits do not grow: {self:?}");
        if cfg!(target_os = "linux") {
            // This binary, as `/proc` has it.
            let is_it = |who: &String| who.starts_with("main-");
            assert!(self.named.iter().any(is_it), "the writer was never named: {self:?}");
        }
    }
}

/// Repairs come in a burst, and then with pauses that double, a fifth more or less.
fn check_gaps(repairs: &[Instant]) {
    let gaps: Vec<f64> = repairs.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    let pauses: Vec<f64> = gaps.into_iter().skip(3).collect();
    assert!(pauses.len() > 1, "no pauses: {pauses:?}");
    let mut least = 1.6;
    for pause in &pauses {
        assert!(*pause >= least * 0.95, "pauses are too short: {pauses:?}");
        least = (least * 2.0).min(240.0);
    }
}

/// A fight is told once when it begins and once when it is over, not at every repair.
fn check_told(watch: &Watch) {
    let events = watch.events().into_iter().map(|(_, event)| event);
    let of_fighter = events.filter(|event| event["client"] == Kind::Auggie.client());
    // That a file is just being written is another matter.
    let told =
        of_fighter.filter(|event| event["condition"].is_string() && event["condition"] != "Reconciling");
    let said: Vec<String> =
        told.map(|event| format!("{} {}", event["condition"], event["message"])).collect();
    let word = |said: &String| said.split('"').nth(1).expect("a word").to_owned();
    let mut told: Vec<String> = said.iter().map(word).collect();
    told.dedup();
    assert_eq!(told, ["Contended", "Ready"], "{said:#?}");
}

/// Somebody who reads the files that are only ever renamed into place, all the time.
struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Readers {
    fn start(scene: &Scene) -> Self {
        let (stop, reads) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let renaming = Kind::ALL.into_iter().filter(|kind| kind.renames());
        let threads = renaming.map(|kind| {
            let (stop, reads, file) = (stop.clone(), reads.clone(), kind.file(&scene.sandbox.home()));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let text =
                        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
                    kind.parse(&text).unwrap_or_else(|error| panic!("{kind:?} is torn: {error}\n{text}"));
                    reads.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        });
        let threads = threads.collect();
        Self { stop, reads, threads }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        self.reads.load(Ordering::Relaxed)
    }
}

/// Processor time of a process, in hundredths of a second; zero where the system does not tell.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0 };
    let fields: Vec<u64> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    fields[11] + fields[12]
}
