//! What belongs to one request: notes that come before its answer, then the answer, once.
//!
//! Invariant: the answer is never lost; notes that nobody takes are dropped beyond a bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How many notes may wait for one request.
const NOTES: usize = 512;

/// How many bytes of notes may wait for one request.
const BYTES: usize = 8 << 20;

/// Where what belongs to a request is said.
#[derive(Clone)]
pub struct Mouth {
    cell: Arc<Mutex<Cell>>,
    /// Who asked: a number that the asker chose.
    pub caller: u64,
}

/// Where it is heard. Dropping it says that nobody listens any more.
pub struct Ear(Arc<Mutex<Cell>>);

/// What is heard.
#[derive(Debug)]
pub enum Told {
    /// A message that comes before the answer, as JSON.
    Note(String),
    /// The answer; nothing comes after it.
    Answer(Answer),
    /// The question was taken back: no answer will come.
    Ended,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The whole message, with the asker's id.
    pub text: String,
    /// Where in it the result is; none for an error.
    pub result: Option<std::ops::Range<usize>>,
    /// Whether it comes from the server, and not from us in its place.
    pub is_real: bool,
}

#[derive(Default)]
struct Cell {
    notes: VecDeque<String>,
    bytes: usize,
    answer: Option<Answer>,
    waker: Option<Waker>,
    is_ended: bool,
    is_deaf: bool,
    /// Who wants to know when nobody listens any more.
    farewell: Option<Waker>,
}

/// Both ends.
pub fn pair(caller: u64) -> (Mouth, Ear) {
    let cell = Arc::new(Mutex::new(Cell::default()));
    (Mouth { cell: Arc::clone(&cell), caller }, Ear(cell))
}

fn lock(cell: &Mutex<Cell>) -> MutexGuard<'_, Cell> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mouth {
    /// Says something before the answer; whether there was room and somebody to hear it.
    pub fn note(&self, text: String) -> bool {
        let mut cell = lock(&self.cell);
        if cell.is_deaf || cell.answer.is_some() || cell.notes.len() >= NOTES || cell.bytes > BYTES {
            return false;
        }
        cell.bytes += text.len();
        cell.notes.push_back(text);
        wake(cell);
        true
    }

    /// Answers.
    pub fn answer(self, answer: Answer) {
        let mut cell = lock(&self.cell);
        if !cell.is_deaf {
            cell.answer = Some(answer);
            wake(cell);
        }
    }

    /// Says that no answer will come.
    pub fn end(self) {
        let mut cell = lock(&self.cell);
        cell.is_ended = true;
        wake(cell);
    }

    /// Comes when nobody listens any more.
    pub async fn deaf(&self) {
        std::future::poll_fn(|context| {
            let mut cell = lock(&self.cell);
            if cell.is_deaf {
                return Poll::Ready(());
            }
            cell.farewell = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn wake(mut cell: MutexGuard<'_, Cell>) {
    let waker = cell.waker.take();
    drop(cell);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Ear {
    /// The next thing.
    pub async fn next(&mut self) -> Told {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// The same, for those who poll.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Told> {
        let mut cell = lock(&self.0);
        if let Some(text) = cell.notes.pop_front() {
            cell.bytes -= text.len();
            return Poll::Ready(Told::Note(text));
        }
        if let Some(answer) = cell.answer.take() {
            return Poll::Ready(Told::Answer(answer));
        }
        if cell.is_ended {
            return Poll::Ready(Told::Ended);
        }
        if !cell.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            cell.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut cell = lock(&self.0);
        cell.is_deaf = true;
        cell.notes.clear();
        if let Some(farewell) = cell.farewell.take() {
            farewell.wake();
        }
    }
}
