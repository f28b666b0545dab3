use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many repairs in a row make a fight.
const MANY: f64 = 4.0;

/// In which time one repair is forgotten.
const FORGET: Duration = Duration::from_secs(20);

/// The first wait, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// How long a repair must stand at least before a fight is over.
const PEACE: Duration = Duration::from_secs(15);

/// Files in which another program keeps writing over our entries: we repair them less and less often.
///
/// A fight begins when repairs come faster than one in twenty seconds for a while. From then on each
/// repair that does not stand doubles the wait for the next one; one that stands ends the fight.
#[derive(Debug, Default)]
pub struct Contention(BTreeMap<PathBuf, Fight>);

#[derive(Debug, Default)]
struct Fight {
    /// How many repairs are not forgotten yet.
    heat: f64,
    /// When we repaired last.
    last: Duration,
    /// The wait that doubles; none while there is no fight.
    wait: Option<Duration>,
    /// Not before this.
    until: Duration,
    /// How often we repaired in this fight.
    repairs: u32,
}

/// A fight, for telling a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standoff {
    /// How often we repaired so far.
    pub repairs: u32,
    /// When we try again.
    pub until: Duration,
}

impl Contention {
    /// We repaired drift in a file.
    pub fn repaired(&mut self, file: &Path, now: Duration) {
        let fight = self.0.entry(file.to_owned()).or_default();
        let forgotten = now.saturating_sub(fight.last).as_secs_f64() / FORGET.as_secs_f64();
        fight.heat = (fight.heat - forgotten).max(0.0) + 1.0;
        fight.last = now;
        fight.repairs += 1;
    }

    /// It was a fight within one run already: another program would not let us repair a file at all.
    pub fn fought(&mut self, file: &Path, now: Duration) {
        self.repaired(file, now);
        if let Some(fight) = self.0.get_mut(file) {
            fight.heat = fight.heat.max(MANY);
        }
    }

    /// A file needs repair. Whether that has to wait; `luck` between 0 and 1 spreads the waits.
    pub fn needs_repair(&mut self, file: &Path, now: Duration, luck: f64) -> Option<Standoff> {
        let fight = self.0.get_mut(file)?;
        let did_not_stand = fight.last >= fight.until;
        match fight.wait {
            None => {
                let forgotten = now.saturating_sub(fight.last).as_secs_f64() / FORGET.as_secs_f64();
                if fight.heat - forgotten < MANY - 0.5 {
                    return None;
                }
                fight.start(WAITS.0, now, luck);
            }
            Some(wait) if did_not_stand => fight.start((wait * 2).min(WAITS.1), now, luck),
            Some(_) if now >= fight.until => return None,
            Some(_) => {}
        }
        Some(Standoff { repairs: fight.repairs, until: fight.until })
    }

    /// A file is as it should be. Whether a fight over it is still on.
    pub fn is_right(&mut self, file: &Path, now: Duration) -> Option<Standoff> {
        let fight = self.0.get(file)?;
        let Some(wait) = fight.wait else {
            if now.saturating_sub(fight.last) > FORGET * 8 {
                self.0.remove(file);
            }
            return None;
        };
        let peace = fight.last.max(fight.until) + PEACE.max(wait * 2);
        if now >= peace {
            self.0.remove(file);
            return None;
        }
        Some(Standoff { repairs: fight.repairs, until: peace })
    }

    /// Files over which there is or may soon be a fight.
    pub fn suspects(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

impl Fight {
    fn start(&mut self, wait: Duration, now: Duration, luck: f64) {
        self.wait = Some(wait);
        // A fifth more or less, so that two of us do not keep in step.
        self.until = now + wait.mul_f64(0.8 + 0.4 * luck.clamp(0.0, 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> PathBuf {
        PathBuf::from("/home/me/.cursor/mcp.json")
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// A program that writes over us this long after each of our repairs: when we repaired.
    fn repairs(contention: &mut Contention, answer: Duration, until: Duration) -> Vec<Duration> {
        let (mut now, mut done) = (ms(0), Vec::new());
        while now < until {
            match contention.needs_repair(&file(), now, 0.5) {
                Some(standoff) => now = standoff.until,
                None => {
                    contention.repaired(&file(), now);
                    done.push(now);
                    now += answer;
                }
            }
        }
        done
    }

    #[test]
    fn a_program_that_answers_at_once_is_waited_out_longer_each_time() {
        let mut contention = Contention::default();
        let done = repairs(&mut contention, ms(50), Duration::from_secs(3600));
        let gaps: Vec<u64> = done.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
        assert_eq!(gaps[..10], [0, 0, 0, 2, 4, 8, 16, 32, 64, 128]);
        assert!(gaps[11..].iter().all(|gap| *gap == 300), "{gaps:?}");
    }

    #[test]
    fn a_change_now_and_then_is_no_fight() {
        let mut contention = Contention::default();
        let done = repairs(&mut contention, Duration::from_secs(21), Duration::from_secs(3600));
        assert_eq!(done.len(), 172);
    }

    #[test]
    fn a_change_every_ten_seconds_becomes_one() {
        let mut contention = Contention::default();
        let done = repairs(&mut contention, Duration::from_secs(10), Duration::from_secs(3600));
        assert!(done.len() < 40, "{}", done.len());
    }

    #[test]
    fn a_repair_that_stands_ends_the_fight() {
        let mut contention = Contention::default();
        for _ in 0..4 {
            contention.repaired(&file(), ms(0));
        }
        let standoff = contention.needs_repair(&file(), ms(0), 0.5).expect("a fight");
        assert_eq!(standoff, Standoff { repairs: 4, until: ms(2000) });
        assert_eq!(contention.needs_repair(&file(), ms(1000), 0.5), Some(standoff));
        assert_eq!(contention.needs_repair(&file(), ms(2000), 0.5), None);
        contention.repaired(&file(), ms(2000));
        let peace = contention.is_right(&file(), ms(3000)).expect("not over yet").until;
        assert_eq!(peace, ms(17_000));
        assert_eq!(contention.is_right(&file(), peace), None);
        assert_eq!(contention.suspects().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_repaired_at_all_is_fought_over_at_once() {
        let mut contention = Contention::default();
        contention.fought(&file(), ms(0));
        assert_eq!(
            contention.needs_repair(&file(), ms(0), 0.5),
            Some(Standoff { repairs: 1, until: ms(2000) })
        );
    }

    #[test]
    fn a_program_that_gives_up_while_we_wait_ends_the_fight_too() {
        let mut contention = Contention::default();
        for _ in 0..4 {
            contention.repaired(&file(), ms(0));
        }
        contention.needs_repair(&file(), ms(0), 0.5).expect("a fight");
        assert!(contention.is_right(&file(), ms(500)).is_some());
        assert_eq!(contention.is_right(&file(), ms(17_000)), None);
    }
}
