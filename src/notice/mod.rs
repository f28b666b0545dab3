//! Who is told when a client's condition changes: webhooks, programs, the desktop.
//!
//! ```text
//! event - Told: is it news? - targets: secrets looked up - Notifier: a queue - webhook | command | desktop
//! ```
//!
//! Invariant: whoever tells never waits for who is told; no message holds a key or an address; what fails is
//! tried a few times at most, and then said.
//!
//! Start reading at [`Told::is_news`], then [`Notifier`].

mod body;
mod command;
mod desktop;
mod queue;
mod target;
#[cfg(all(test, unix))]
mod tests;
mod told;
mod webhook;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::queue::{Next, Notice, Queue};
use self::target::Way;
use crate::store::Event;

pub use target::{Target, targets};
pub use told::Told;

/// Tells in the background, one notice after the other, each to all of its targets at once.
///
/// Dropping it ends what is under way.
pub struct Notifier {
    queue: Arc<Queue>,
    stop: watch::Sender<bool>,
    /// Ends with the thread.
    running: Receiver<Infallible>,
    thread: Option<JoinHandle<()>>,
}

impl Notifier {
    /// Starts the thread. `problem` hears of what could not be told, in a sentence.
    ///
    /// # Errors
    /// When the system has no thread or no runtime to give.
    pub fn start(problem: impl Fn(String) + Send + 'static) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let queue = Arc::new(Queue::default());
        let (stop, stopped) = watch::channel(false);
        let (is_running, running) = channel();
        let waiting = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("notices".to_owned()).spawn(move || {
            let _is_running = is_running;
            runtime.block_on(work(&waiting, Stop(stopped), &problem));
            // A name that is being looked up, or a library that waits, must not be waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { queue, stop, running, thread: Some(thread) })
    }

    /// Tells those of the targets that want to hear of this event. Returns at once.
    pub fn tell(&self, event: &Event, targets: Vec<Target>) {
        let targets: Vec<Target> = targets.into_iter().filter(|target| target.wants(event)).collect();
        if !targets.is_empty() {
            self.queue.add(Notice { event: event.clone(), targets });
        }
    }

    /// Waits until everything is told, but no longer than this.
    pub fn finish(self, patience: Duration) {
        self.queue.close();
        // It has ended, or takes too long: dropping `self` ends it either way.
        let _ = self.running.recv_timeout(patience);
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.queue.close();
        // Nobody listens when the thread has ended.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Comes when there is no time left for anything but ending.
#[derive(Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    async fn comes(&mut self) {
        // The notifier is gone: that is the same.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    fn is_here(&self) -> bool {
        *self.0.borrow()
    }
}

async fn work(queue: &Queue, stop: Stop, problem: &impl Fn(String)) {
    let mut desktop_fails = false;
    loop {
        let notice = match queue.next().await {
            Next::Notice(notice) => notice,
            Next::Dropped(count) => {
                let s = if count == 1 { "" } else { "s" };
                problem(format!("{count} notice{s} dropped: telling takes longer than news takes to come"));
                continue;
            }
            Next::End => return,
        };
        if stop.is_here() {
            let left = queue.left() + 1;
            let s = if left == 1 { "" } else { "s" };
            return problem(format!("{left} notice{s} not told: there was no time left"));
        }
        let mut telling = JoinSet::new();
        for target in notice.targets {
            telling.spawn(tell(target, notice.event.clone(), stop.clone()));
        }
        while let Some(told) = telling.join_next().await {
            // A task that panicked has said so.
            let Ok((target, told)) = told else { continue };
            // What the desktop lacks now it lacks the next time; once is enough.
            let is_known = target.is_desktop() && std::mem::replace(&mut desktop_fails, told.is_err());
            if let (Err(why), false) = (told, is_known) {
                problem(format!("{target} was not told that {}: {why}", body::what(&notice.event)));
            }
        }
    }
}

/// Tells one target; why it was not told.
async fn tell(target: Target, event: Event, mut stop: Stop) -> (Target, Result<(), String>) {
    let body = body::json(&event, &target.host);
    let told = match &target.way {
        Way::Command(program) => command::run(program, &event, &body, command::LIMIT, stop.comes()).await,
        Way::Webhook(webhook) => tokio::select! {
            told = webhook.post(&body) => told,
            () = stop.comes() => Err(NO_TIME.to_owned()),
        },
        Way::Desktop => tokio::select! {
            told = desktop::show(&event) => told,
            () = stop.comes() => Err(NO_TIME.to_owned()),
        },
    };
    (target, told)
}

const NO_TIME: &str = "there was no time left";
