//! What waits to be told: bounded, so that an address that is down for a week costs nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Target;
use crate::store::Event;

/// The most that waits; beyond that the oldest is dropped.
const MOST: usize = 64;

/// An event and who is to be told.
pub struct Notice {
    pub event: Event,
    pub targets: Vec<Target>,
}

/// What there is to do next.
pub enum Next {
    /// To be told.
    Notice(Notice),
    /// So many were dropped since this was said last.
    Dropped(usize),
    /// Nothing is left, and nothing more will come.
    End,
}

#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Notice>,
    dropped: usize,
    is_closed: bool,
}

impl Queue {
    /// Adds one at the end.
    pub fn add(&self, notice: Notice) {
        let mut state = self.state();
        if state.waiting.len() == MOST {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back(notice);
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// How many wait.
    pub fn left(&self) -> usize {
        self.state().waiting.len()
    }

    /// Waits for the next thing to do.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.state().next() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single step, so there is no half of one to be afraid of.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Next> {
        if self.dropped > 0 {
            return Some(Next::Dropped(std::mem::take(&mut self.dropped)));
        }
        match self.waiting.pop_front() {
            Some(notice) => Some(Next::Notice(notice)),
            None => self.is_closed.then_some(Next::End),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventKind;
    use crate::system::Memory;

    #[test]
    fn the_oldest_are_dropped_and_counted_once() {
        let queue = Queue::default();
        for number in 0..MOST + 3 {
            let event = Event::new(&Memory::default(), EventKind::Condition, number.to_string());
            queue.add(Notice { event, targets: Vec::new() });
        }
        queue.close();
        let mut state = queue.state();
        assert!(matches!(state.next(), Some(Next::Dropped(3))));
        for number in 3..MOST + 3 {
            let Some(Next::Notice(notice)) = state.next() else { panic!("{number} is missing") };
            assert_eq!(notice.event.message, number.to_string());
        }
        assert!(matches!(state.next(), Some(Next::End)));
    }
}
