use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::manifest::model::Gateway;
use crate::manifest::values;

/// So many are remembered before those are forgotten that have everything left.
const MANY: usize = 1_024;

/// How many requests each token may make.
///
/// A bucket that holds as many as may be made in the given time and fills up evenly: they may come all at once, and
/// the next one as soon as there is room for it.
pub struct Limiter {
    limit: u32,
    /// How long the bucket takes to fill up for one request, and for all of them.
    each: Duration,
    all: Duration,
    /// When each one's bucket is full again.
    full_at: Mutex<HashMap<String, Duration>>,
}

/// What is left: for the `X-RateLimit` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many there are at most.
    pub limit: u32,
    /// How many may be made now.
    pub remaining: u32,
    /// After how long all of them may be made again.
    pub reset: Duration,
    /// After how long to ask again; none when this one may be made.
    pub retry_after: Option<Duration>,
}

impl Allowance {
    /// Whether the request may be made.
    pub fn is_granted(&self) -> bool {
        self.retry_after.is_none()
    }
}

impl Limiter {
    /// As the manifest says; none where it sets no limit.
    pub fn of(gateway: Option<&Gateway>) -> Option<Self> {
        let rate = gateway?.rate_limit.as_deref()?;
        values::rate(rate).map(Self::new)
    }

    /// So many in such a time, as [`values::rate`] reads it.
    pub fn new((limit, all): (u32, Duration)) -> Self {
        let limit = limit.max(1);
        Self { limit, each: all / limit, all: all / limit * limit, full_at: Mutex::new(HashMap::new()) }
    }

    /// One request of this token, at this moment of a clock that never goes back.
    pub fn take(&self, who: &str, now: Duration) -> Allowance {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() > MANY && !full_at.contains_key(who) {
            full_at.retain(|_, full| *full > now);
        }
        let full = full_at.get(who).copied().unwrap_or_default().max(now);
        let after = full + self.each;
        let missing = (after - now).saturating_sub(self.all);
        if !missing.is_zero() {
            return self.allowance(full - now, Some(missing));
        }
        match full_at.get_mut(who) {
            Some(full) => *full = after,
            None => drop(full_at.insert(who.to_owned(), after)),
        }
        self.allowance(after - now, None)
    }

    /// What follows from how long the bucket still takes to fill up.
    fn allowance(&self, reset: Duration, retry_after: Option<Duration>) -> Allowance {
        let each = self.each.as_nanos().max(1);
        let used = u32::try_from(reset.as_nanos().div_ceil(each)).unwrap_or(u32::MAX);
        Allowance { limit: self.limit, remaining: self.limit.saturating_sub(used), reset, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn grants_a_burst_and_then_one_by_one() {
        let limiter = Limiter::new((3, 6 * SECOND));
        let take = |seconds: u32| limiter.take("a", seconds * SECOND);
        let left: Vec<u32> = (0..3).map(|_| take(10).remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = take(10);
        assert_eq!((refused.retry_after, refused.remaining), (Some(2 * SECOND), 0));
        assert_eq!(refused.reset, 6 * SECOND);
        assert_eq!(take(11).retry_after, Some(SECOND));
        assert!(take(12).is_granted() && !take(12).is_granted());
        assert!(limiter.take("b", 12 * SECOND).is_granted());
        assert_eq!(take(60), Allowance { limit: 3, remaining: 2, reset: 2 * SECOND, retry_after: None });
    }

    #[test]
    fn forgets_those_that_have_everything_left() {
        let limiter = Limiter::new((1, SECOND));
        for number in 0..5 * MANY as u32 {
            limiter.take(&number.to_string(), number * SECOND);
        }
        assert!(limiter.full_at.lock().expect("free").len() <= MANY + 1);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_twice_the_limit_and_who_waits_is_granted(
            limit in 1..20u32, steps in proptest::collection::vec(0..900u64, 1..200)
        ) {
            let all = SECOND * limit;
            let limiter = Limiter::new((limit, all));
            let (mut now, mut granted) = (Duration::from_secs(5), Vec::new());
            for step in steps {
                now += Duration::from_millis(step);
                let allowance = limiter.take("a", now);
                prop_assert!(allowance.remaining < limit && allowance.reset <= all);
                match allowance.retry_after {
                    None => granted.push(now),
                    Some(wait) => {
                        prop_assert!(!limiter.take("a", now + wait - Duration::from_nanos(1)).is_granted());
                        now += wait;
                        prop_assert!(limiter.take("a", now).is_granted());
                        granted.push(now);
                    }
                }
                let recent = granted.iter().filter(|at| now - **at < all).count();
                prop_assert!(recent <= 2 * limit as usize);
            }
        }
    }
}
