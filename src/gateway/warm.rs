//! Stays awake for a moment after something happened, since what follows a message is most often the next one: going
//! to sleep and being woken takes longer than a local server needs to answer.
//!
//! Invariant: at most some dozens of microseconds for each message, and none while many are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::system::ticks;

/// How long.
const MOMENT: Duration = Duration::from_micros(40);

/// What keeps the thread awake.
#[derive(Default)]
pub struct Warm {
    /// Until when, in nanoseconds of [`ticks`].
    until: AtomicU64,
    under_way: AtomicUsize,
    bell: Notify,
}

impl Warm {
    /// Keeps the thread of the current runtime awake, the only one that it has.
    pub fn keep(self: &Arc<Self>) {
        let kept = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(warm) = kept.upgrade() {
                warm.bell.notified().await;
                while nanos(ticks()) < warm.until.load(Ordering::Relaxed) {
                    // Looks whether there is something to read or write, and lets whoever waits for this core have it.
                    tokio::task::yield_now().await;
                    std::thread::yield_now();
                }
            }
        });
    }

    /// A request has come.
    pub fn begins(&self) {
        if self.under_way.fetch_add(1, Ordering::Relaxed) == 0 {
            self.stay();
        }
    }

    /// It was answered.
    pub fn ends(&self) {
        if self.under_way.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stay();
        }
    }

    fn stay(&self) {
        self.until.store(nanos(ticks() + MOMENT), Ordering::Relaxed);
        self.bell.notify_one();
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
