//! Every call is written down, by one thread that writes many at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::guard;
use crate::manifest::model::{AuditArguments, Gateway};
use crate::manifest::values;
use crate::store::db::{Call, Database, Kept};
use crate::store::{Event, EventKind, Store};
use crate::system::{FileError, System};

/// How long a call may wait to be written.
const PAUSE: Duration = Duration::from_millis(500);

/// So many are written at once without waiting any longer.
const BATCH: usize = 1_000;

/// How many calls may wait, and how many bytes of arguments: then callers wait, too.
const MOST: usize = 8_192;
const MOST_BYTES: usize = 16 << 20;

/// How many characters are kept of a call's arguments.
const KEPT: usize = 4_096;

/// How often a batch is tried before it is given up, and how long to wait in between.
const ATTEMPTS: u32 = 3;
const RETRY: Duration = Duration::from_millis(200);

/// How often old calls are forgotten.
const PRUNING: Duration = Duration::from_secs(86_400);

/// What is remembered of calls, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remember {
    /// What of their arguments.
    pub arguments: AuditArguments,
    /// How long.
    pub keep: Duration,
}

impl Remember {
    /// As the manifest says: digests, for 90 days, where it says nothing.
    pub fn of(gateway: Option<&Gateway>) -> Self {
        let audit = gateway.and_then(|gateway| gateway.audit.as_ref());
        let keep = audit.and_then(|audit| audit.keep.as_deref()).and_then(values::duration);
        Self {
            arguments: audit.and_then(|audit| audit.arguments).unwrap_or_default(),
            keep: keep.unwrap_or(90 * PRUNING),
        }
    }
}

/// Where calls are written down.
///
/// Nothing wakes it while nothing happens. What could not be written is counted and becomes an event. Dropping it
/// writes everything; a process that is killed takes with it what it recorded in the last half second.
pub struct Ledger {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write.
    work: Condvar,
    /// Something was written.
    written: Condvar,
    lost: AtomicU64,
}

struct Queue {
    calls: Vec<Call>,
    bytes: usize,
    /// When tokens were used last.
    tokens: HashMap<i64, SystemTime>,
    notes: Vec<String>,
    remember: Remember,
    /// How many times somebody asked for everything to be written, and how often it was.
    asked: u64,
    done: u64,
    is_over: bool,
    has_writer: bool,
}

/// What is written at once.
struct Batch {
    calls: Vec<Call>,
    tokens: Vec<(i64, SystemTime)>,
    notes: Vec<String>,
    remember: Remember,
    asked: u64,
}

/// The thread's side.
struct Writer {
    shared: Arc<Shared>,
    database: Database,
    system: Arc<dyn System>,
    store: Store,
    key: [u8; 32],
    /// The process's time of the last pruning.
    pruned: Option<Duration>,
    /// The last note, so that none is repeated.
    noted: String,
}

impl Ledger {
    /// Opens the database, and starts the thread. `key` is the machine's.
    ///
    /// # Errors
    /// When the database cannot be opened, or the thread not be started.
    pub fn open(
        system: Arc<dyn System>,
        store: &Store,
        key: [u8; 32],
        remember: Remember,
    ) -> Result<Self, FileError> {
        let database = Database::open(&*system, store)?;
        database.relax()?;
        let queue = Queue {
            calls: Vec::new(),
            bytes: 0,
            tokens: HashMap::new(),
            notes: Vec::new(),
            remember,
            asked: 0,
            done: 0,
            is_over: false,
            has_writer: true,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            written: Condvar::new(),
            lost: AtomicU64::new(0),
        });
        let store = store.clone();
        let path = store.dir().to_owned();
        let writer = Writer {
            shared: shared.clone(),
            database,
            system,
            store,
            key,
            pruned: None,
            noted: String::new(),
        };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|source| FileError { path, doing: "start the ledger of", source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Writes a call down, soon. Costs well under a microsecond, unless so much waits to be written that the disk
    /// cannot follow: then it blocks until there is room, so that no call goes unrecorded.
    pub fn record(&self, call: Call) {
        let mut queue = self.shared.queue();
        while queue.is_full() && queue.has_writer {
            queue = self.shared.written.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if !queue.has_writer {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += call.arguments.as_ref().map_or(0, |text| text.len());
        let was_idle = queue.is_idle();
        queue.calls.push(call);
        // Between the first and the thousandth the writer waits by the clock.
        if was_idle || queue.calls.len() == BATCH || queue.is_full() {
            self.shared.work.notify_one();
        }
    }

    /// Says when tokens were used last.
    pub fn tokens_used(&self, used: impl IntoIterator<Item = (i64, SystemTime)>) {
        let mut queue = self.shared.queue();
        queue.tokens.extend(used);
        self.shared.work.notify_one();
    }

    /// Makes an event of something that went wrong. The same text twice in a row counts once.
    pub fn note(&self, message: impl Into<String>) {
        self.shared.queue().notes.push(message.into());
        self.shared.work.notify_one();
    }

    /// Remembers other things from now on.
    pub fn remember(&self, remember: Remember) {
        self.shared.queue().remember = remember;
    }

    /// How many calls could not be written.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is written that was recorded before.
    pub fn flush(&self) {
        let mut queue = self.shared.queue();
        queue.asked += 1;
        let asked = queue.asked;
        self.shared.work.notify_one();
        while queue.done < asked && queue.has_writer {
            queue = self.shared.written.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.queue().is_over = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work, and then a little longer for more of it. None at the end.
    fn next(&self) -> Option<Batch> {
        let idle = |queue: &mut Queue| queue.is_idle() && !queue.is_hurried();
        let mut queue = self.work.wait_while(self.queue(), idle).unwrap_or_else(PoisonError::into_inner);
        let more = |queue: &mut Queue| queue.calls.len() < BATCH && !queue.is_full() && !queue.is_hurried();
        queue = self.work.wait_timeout_while(queue, PAUSE, more).unwrap_or_else(PoisonError::into_inner).0;
        if queue.is_idle() && queue.is_over {
            return None;
        }
        queue.bytes = 0;
        let batch = Batch {
            calls: std::mem::take(&mut queue.calls),
            tokens: queue.tokens.drain().collect(),
            notes: std::mem::take(&mut queue.notes),
            remember: queue.remember,
            asked: queue.asked,
        };
        drop(queue);
        // There is room again.
        self.written.notify_all();
        Some(batch)
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.tokens.is_empty() && self.notes.is_empty()
    }

    fn is_full(&self) -> bool {
        self.calls.len() >= MOST || self.bytes >= MOST_BYTES
    }

    fn is_hurried(&self) -> bool {
        self.is_over || self.done < self.asked
    }
}

impl Writer {
    fn run(mut self) {
        while let Some(batch) = self.shared.next() {
            let asked = batch.asked;
            self.write(batch);
            self.shared.queue().done = asked;
            self.shared.written.notify_all();
        }
    }

    fn write(&mut self, batch: Batch) {
        let count = batch.calls.len() as u64;
        let kept: Vec<(Call, Kept)> =
            batch.calls.into_iter().map(|call| self.kept(call, batch.remember.arguments)).collect();
        let mut result = self.store(&kept, &batch.tokens);
        for _ in 1..ATTEMPTS {
            if result.is_ok() {
                break;
            }
            self.system.sleep(RETRY);
            result = self.store(&kept, &batch.tokens);
        }
        if let Err(error) = result {
            self.shared.lost.fetch_add(count, Ordering::Relaxed);
            self.say(format!("{count} calls could not be written down: {error}"));
        }
        batch.notes.into_iter().for_each(|note| self.say(note));
        self.prune(batch.remember.keep);
    }

    fn store(&mut self, calls: &[(Call, Kept)], tokens: &[(i64, SystemTime)]) -> Result<(), FileError> {
        if !tokens.is_empty() {
            self.database.tokens_used(tokens)?;
        }
        if calls.is_empty() { Ok(()) } else { self.database.add_calls(calls) }
    }

    /// What is stored of a call's arguments, here rather than where the call waits for it.
    fn kept(&self, mut call: Call, how: AuditArguments) -> (Call, Kept) {
        let Some(arguments) = call.arguments.take() else { return (call, Kept::default()) };
        let digest = Some(guard::digest_of(&self.key, &arguments).to_string());
        let text = match how {
            AuditArguments::Hash => None,
            AuditArguments::Keep => Some(guard::preview(&arguments, KEPT)),
        };
        (call, Kept { digest, text })
    }

    fn prune(&mut self, keep: Duration) {
        let now = self.system.ticks();
        if self.pruned.is_some_and(|pruned| now.saturating_sub(pruned) < PRUNING) {
            return;
        }
        self.pruned = Some(now);
        if let Some(before) = self.system.now().checked_sub(keep)
            && let Err(error) = self.database.prune(before)
        {
            self.say(format!("old calls could not be forgotten: {error}"));
        }
    }

    fn say(&mut self, message: String) {
        if self.noted != message {
            let event = Event::new(&*self.system, EventKind::Note, message.clone());
            // If the log of events cannot be written either there is nobody left to tell.
            let _ = self.store.add_event(&*self.system, &event);
            self.noted = message;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // However it ended: nobody waits for it any more.
        self.shared.queue().has_writer = false;
        self.shared.written.notify_all();
    }
}

#[cfg(test)]
mod tests;
