//! The task of one server: waits for what happens, asks `state.rs` what follows, and does it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::log_line::Level;
use super::logs::Log;
use super::process::{self, News, Process, Started};
use super::server::Command;
use super::standing::era;
use super::state::{Effect, Event, Machine};
use super::{Health, House, Server, Spec, Standing, State, lock};
use crate::manifest::model::Start;
use crate::store::rfc3339;
use crate::system::ticks;
use crate::upstream::Peer;

/// How much the last answer counts in the latency that is shown.
const WEIGHT: f64 = 0.3;

/// Starts the task of a server, once what was there before it has ended.
pub fn start(
    house: Arc<House>,
    spec: Spec,
    previous: Option<JoinHandle<()>>,
) -> (Arc<Server>, JoinHandle<()>) {
    let log = Arc::new(Log::new(Arc::clone(&house.system), &house.store, &spec.name));
    let is_eager = spec.rules.start == Start::Eager;
    let standing = Standing {
        name: spec.name.clone(),
        // It will be in a moment.
        state: if is_eager { State::Starting } else { State::Stopped },
        since: rfc3339(house.system.now()),
        pid: None,
        restarts: 0,
        health: Health::Unknown,
        latency_ms: None,
        errors: 0,
        warnings: 0,
        last_error: None,
        era: None,
        version: None,
        parked: false,
        next_start_s: None,
        starts_at: None,
    };
    let (server, commands) = Server::new(&spec, log, standing);
    let machine = Machine::new(spec.rules.backoff.clone(), spec.rules.give_up_after);
    let task = Task {
        server: Arc::clone(&server),
        house,
        commands,
        machine,
        doing: nothing(),
        process: None,
        peer: None,
        next_probe: None,
        latency: None,
        began: Duration::ZERO,
        starts_at: None,
        is_retired: false,
    };
    let running = tokio::spawn(async move {
        if let Some(previous) = previous {
            // It cannot fail in a way that concerns us.
            let _ = previous.await;
        }
        task.run(is_eager).await;
    });
    (server, running)
}

/// What comes of what is being done.
enum Done {
    Launched(Result<Started, String>),
    Greeted(Result<Arc<Peer>, String>),
    News(News),
    Waited,
    Gone,
}

type Doing = Pin<Box<dyn Future<Output = Done> + Send>>;

fn nothing() -> Doing {
    Box::pin(std::future::pending())
}

struct Task {
    server: Arc<Server>,
    house: Arc<House>,
    commands: mpsc::UnboundedReceiver<Command>,
    machine: Machine,
    doing: Doing,
    process: Option<Process>,
    peer: Option<Arc<Peer>>,
    /// When it is asked next whether it is there.
    next_probe: Option<Duration>,
    latency: Option<f64>,
    /// When the start that is under way began.
    began: Duration,
    /// When the wait that is under way is over.
    starts_at: Option<Duration>,
    is_retired: bool,
}

impl Task {
    async fn run(mut self, is_eager: bool) {
        if is_eager {
            self.take(Event::Needed);
        }
        while !(self.is_retired && self.machine.state() == State::Stopped) {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Event(event, taken)) => {
                        self.take(event);
                        // Whoever asked may not wait for it.
                        let _ = taken.send(());
                    }
                    Some(Command::Retire) | None => {
                        self.is_retired = true;
                        self.take(Event::Stop);
                    }
                },
                done = &mut self.doing => self.done(done),
            }
        }
    }

    fn done(&mut self, done: Done) {
        self.doing = nothing();
        match done {
            Done::Launched(Ok(started)) => {
                self.process.clone_from(&started.process);
                if self.process.is_none() {
                    self.machine.never_gives_up();
                }
                let (house, server) = (Arc::clone(&self.house), Arc::clone(&self.server));
                self.doing =
                    Box::pin(async move { Done::Greeted(process::greet(house, server, started).await) });
                self.publish(false);
            }
            Done::Greeted(Ok(peer)) => {
                let took = self.house.system.ticks().saturating_sub(self.began).as_millis();
                let says = peer.says_it_is();
                self.note(Level::Info, &format!("ready after {took} ms: {says} ({})", era(peer.era())));
                self.peer = Some(peer);
                self.latency = None;
                self.probe_later();
                self.take(Event::Opened);
            }
            Done::Launched(Err(why)) | Done::Greeted(Err(why)) => {
                self.process = None;
                self.failed(format!("it does not start: {why}"), Event::NotOpened);
            }
            Done::News(News::Ended(why)) => {
                (self.process, self.peer) = (None, None);
                self.failed(why, Event::Ended);
            }
            Done::News(News::Answered(latency)) => {
                let latest = latency.as_secs_f64() * 1000.0;
                self.latency = Some(match self.latency {
                    Some(before) => before * (1.0 - WEIGHT) + latest * WEIGHT,
                    None => latest,
                });
                self.probe_later();
                self.take(Event::Answered);
            }
            Done::News(News::Missed) => {
                self.note(Level::Warn, "it did not answer when it was asked whether it is there");
                self.probe_later();
                let works = self.peer.as_ref().is_some_and(|peer| peer.use_of().0 > 0);
                self.take(if works { Event::Busy } else { Event::Missed });
                if self.machine.state() == State::Stopping {
                    let why = "it did not answer several times in a row".to_owned();
                    self.server.standing.send_modify(|standing| standing.last_error = Some(why));
                }
            }
            Done::News(News::Idle) => {
                self.note(Level::Info, "nobody has used it for a while: it is stopped until it is needed");
                self.take(Event::Idle);
            }
            Done::Waited => self.take(Event::Waited),
            Done::Gone => {
                (self.process, self.peer) = (None, None);
                self.note(Level::Info, "stopped");
                self.take(Event::Gone);
            }
        }
    }

    fn failed(&mut self, why: String, event: Event) {
        let why = self.server.log.hide(&why);
        self.note(Level::Error, &why);
        self.server.standing.send_modify(|standing| standing.last_error = Some(why));
        self.take(event);
    }

    /// Has the machine decide, and does what it says.
    fn take(&mut self, event: Event) {
        let before = self.machine.state();
        let chance = self.house.system.random().map_or(0.5, |bytes| f64::from(bytes[0]) / 255.0);
        let effect = self.machine.on(event, self.house.system.ticks(), chance);
        let after = self.machine.state();
        if after != State::Backoff {
            self.starts_at = None;
        }
        if after == State::Failed && before != after {
            self.note(Level::Error, &format!("given up after {} failures in a row", self.machine.failures()));
        }
        match effect {
            Some(Effect::Launch) => {
                self.began = self.house.system.ticks();
                if matches!(event, Event::NotOpened | Event::Ended | Event::Waited)
                    || self.machine.failures() > 0
                {
                    self.server.standing.send_modify(|standing| standing.restarts += 1);
                }
                let (house, launch) = (Arc::clone(&self.house), self.server.launch());
                let log = Arc::clone(&self.server.log);
                self.doing =
                    Box::pin(async move { Done::Launched(process::launch(house, launch, log).await) });
            }
            Some(Effect::End) => {
                let (process, peer) = (self.process.clone(), self.peer.clone());
                let step = self.server.rules().stop_timeout;
                self.doing = Box::pin(async move {
                    process::end(process, peer, step).await;
                    Done::Gone
                });
            }
            Some(Effect::Wait(time)) => {
                self.starts_at = Some(self.house.system.ticks() + time);
                self.note(Level::Info, &format!("started again in {:.1} s", time.as_secs_f64()));
                self.doing = Box::pin(async move {
                    sleep(time).await;
                    Done::Waited
                });
            }
            None if matches!(after, State::Stopped | State::Failed) => self.doing = nothing(),
            None => {}
        }
        if matches!(after, State::Ready | State::Unhealthy)
            && let Some(peer) = self.peer.clone()
        {
            let (process, server, next) = (self.process.clone(), Arc::clone(&self.server), self.next_probe);
            self.doing = Box::pin(async move {
                Done::News(process::watch_over(process, peer, server.rules(), next).await)
            });
        }
        let only_health = |state| matches!(state, State::Ready | State::Unhealthy);
        self.publish(before != after && !(only_health(before) && only_health(after)));
    }

    fn publish(&self, is_news: bool) {
        let state = self.machine.state();
        let peer = self.peer.clone().filter(|_| matches!(state, State::Ready | State::Unhealthy));
        *lock(&self.server.peer) = peer;
        let health = self.health();
        self.server.standing.send_modify(|standing| {
            if standing.state != state {
                standing.since = rfc3339(self.house.system.now());
            }
            standing.state = state;
            standing.pid = self.process.as_ref().map(|process| process.pid);
            standing.health = health;
            standing.latency_ms = self.latency.map(|latency| (latency * 1000.0).round() / 1000.0);
            standing.parked = self.machine.is_parked();
            standing.starts_at = self.starts_at;
            if let Some(peer) = &self.peer {
                standing.era = Some(era(peer.era()));
                standing.version = Some(peer.says_it_is()).filter(|says| !says.is_empty());
            }
        });
        if is_news {
            (self.house.changed)(self.server.name(), &self.server.standing());
        }
    }

    fn health(&self) -> Health {
        let is_slow = self.server.rules().probe.is_some_and(|probe| {
            self.latency.is_some_and(|latency| latency > probe.timeout.as_secs_f64() * 500.0)
        });
        match self.machine.state() {
            State::Ready if is_slow => Health::Degraded,
            State::Ready if self.machine.failures() > 1 => Health::Degraded,
            State::Ready => Health::Healthy,
            State::Unhealthy | State::Backoff | State::Failed => Health::Unhealthy,
            State::Stopped | State::Starting | State::Stopping => Health::Unknown,
        }
    }

    fn probe_later(&mut self) {
        self.next_probe = self.server.rules().probe.map(|probe| ticks() + probe.interval);
    }

    fn note(&self, level: Level, text: &str) {
        self.server.log.note(level, "mcpkeel", text);
    }
}
