//! What a task does with a server: launch it, greet it, watch it, end it.
//!
//! Invariant: each of these may be dropped half-way; a process that is forgotten is ended by force.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::log_line::Level;
use super::logs::Log;
use super::{House, Launch, Rules, Server, lock};
use crate::base::{Hidden, mask};
use crate::bridge::Upstream;
use crate::system::{Ending, Grip, Program, ticks};
use crate::upstream::{Heard, Line, Peer};

/// How long the last words of a process may take to come after its end.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How long a process may live on after it has closed its output, or without having been greeted.
const GRACE: Duration = Duration::from_millis(500);

/// How long the system may take to end a process that was forced to.
const FORCED: Duration = Duration::from_secs(2);

/// A running program.
#[derive(Clone)]
pub struct Process {
    pub pid: u32,
    grip: Arc<Grip>,
    /// None while it lives; what is known of its end afterwards.
    end: watch::Receiver<Option<Option<ExitStatus>>>,
    log: Arc<Log>,
    complaints: Arc<std::sync::Mutex<Option<JoinHandle<()>>>>,
}

/// What was started, not greeted yet.
pub struct Started {
    pub process: Option<Process>,
    pub line: Line,
}

/// What happens to a server that was greeted.
pub enum News {
    /// It has ended, or cannot be spoken to: why.
    Ended(String),
    /// It answered a question of ours after this time.
    Answered(Duration),
    /// It did not.
    Missed,
    /// Nobody has used it for long.
    Idle,
}

/// Starts a program, or finds out an address.
///
/// # Errors
/// Why that cannot be done, in a sentence.
pub async fn launch(house: Arc<House>, launch: Launch, log: Arc<Log>) -> Result<Started, String> {
    let launched = tokio::task::spawn_blocking(move || launch());
    let launched =
        launched.await.map_err(|_| "what it is started with could not be found out".to_owned())??;
    let mut hidden = launched.hidden;
    match &launched.upstream {
        Upstream::Stdio(program) => hide_named(&mut hidden, &program.env),
        Upstream::Http(remote) | Upstream::Sse(remote) => hide_named(&mut hidden, &remote.headers),
        Upstream::Near(_) => {}
    }
    log.begin(&hidden);
    let program = match launched.upstream {
        Upstream::Stdio(program) => program,
        remote => return Ok(Started { process: None, line: Line::Remote(remote) }),
    };
    let spawned = house.nursery.spawn(&program).await.map_err(|error| cannot_start(&program, &error))?;
    let (tell, end) = watch::channel(None);
    let mut exit = spawned.exit;
    tokio::spawn(async move {
        let status = exit.comes().await;
        tell.send_replace(Some(status));
    });
    let complaints = tokio::spawn(Arc::clone(&log).listen(spawned.stderr));
    log.note(Level::Info, "mcpkeel", &format!("started as process {}", spawned.pid));
    let process = Process {
        pid: spawned.pid,
        grip: Arc::new(spawned.grip),
        end,
        log,
        complaints: Arc::new(std::sync::Mutex::new(Some(complaints))),
    };
    Ok(Started { process: Some(process), line: Line::Pipes(spawned.stdin, spawned.stdout) })
}

/// Greets what was started.
///
/// # Errors
/// Why it does not answer; nothing of it is left then.
pub async fn greet(house: Arc<House>, server: Arc<Server>, started: Started) -> Result<Arc<Peer>, String> {
    let Started { process, line } = started;
    let (name, log) = (server.name().to_owned(), Arc::clone(&server.log));
    let (hears, heard_by) = (Arc::clone(&house), name.clone());
    let faults = Arc::clone(&log);
    let hear = Arc::new(move |heard: Heard| {
        if let Heard::Fault(fault) = &heard {
            faults.note(Level::Warn, "protocol", fault);
        }
        (hears.hear)(&heard_by, heard);
    });
    let opening = Peer::open(&name, line, server.ways(), hear, server.rules().start_timeout);
    let Some(process) = process else { return opening.await.map_err(|error| log.hide(&error.0)) };
    let why = tokio::select! {
        opened = opening => match opened {
            Ok(peer) => return Ok(peer),
            Err(error) => error.0,
        },
        _ = process.has_ended() => String::new(),
    };
    // Its end explains more than the end of its output.
    let ended = timeout(GRACE / 5, process.has_ended()).await;
    if ended.is_err() {
        process.end_soon().await;
    }
    Err(match ended {
        Ok(status) => process.reason(status).await,
        Err(_) => process.with_last_words(&why).await,
    })
}

/// Watches a server until something happens to it. `next` is when it is asked next,
/// on the clock of `ticks`.
pub async fn watch_over(
    process: Option<Process>,
    peer: Arc<Peer>,
    rules: &Rules,
    next: Option<Duration>,
) -> News {
    let ended = async {
        match &process {
            Some(process) => process.has_ended().await,
            None => std::future::pending().await,
        }
    };
    let asked = async {
        let (Some(probe), Some(next)) = (rules.probe, next) else { return std::future::pending().await };
        sleep(next.saturating_sub(ticks())).await;
        match peer.ping(probe.timeout).await {
            Ok(latency) => News::Answered(latency),
            Err(_) => News::Missed,
        }
    };
    let news = tokio::select! {
        biased;
        status = ended => Err(Some(status)),
        why = peer.gone() => Ok(News::Ended(why)),
        news = asked => Ok(news),
        () = idle(&peer, rules.idle_stop) => Ok(News::Idle),
    };
    match (news, &process) {
        (Err(status), Some(process)) => News::Ended(process.reason(status.flatten()).await),
        (Ok(News::Ended(why)), Some(process)) => match timeout(GRACE / 5, process.has_ended()).await {
            Ok(status) => News::Ended(process.reason(status).await),
            // It cannot be spoken to any more.
            Err(_) => {
                process.end_soon().await;
                News::Ended(process.with_last_words(&why).await)
            }
        },
        (Ok(news), _) => news,
        (Err(_), None) => News::Ended("it has ended".to_owned()),
    }
}

async fn idle(peer: &Peer, limit: Option<Duration>) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        let (under_way, quiet) = peer.use_of();
        if under_way == 0 && quiet >= limit {
            return;
        }
        let left = if under_way == 0 { limit - quiet } else { limit };
        sleep(left.max(Duration::from_millis(50))).await;
    }
}

/// Ends a server: its input is closed, it is asked, it is forced.
pub async fn end(process: Option<Process>, peer: Option<Arc<Peer>>, step: Duration) {
    if let Some(peer) = peer {
        peer.close();
    }
    let Some(process) = process else { return };
    for ending in [None, Some(Ending::Asked), Some(Ending::Forced)] {
        if let Some(ending) = ending {
            process.grip.end(ending);
        }
        let patience = if ending == Some(Ending::Forced) { FORCED } else { step };
        if timeout(patience, process.has_ended()).await.is_ok() {
            return;
        }
    }
}

impl Process {
    /// Comes when it has ended; none when nobody knows how.
    async fn has_ended(&self) -> Option<ExitStatus> {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|status| status.flatten())
    }

    /// It is of no use any more.
    async fn end_soon(&self) {
        self.grip.end(Ending::Asked);
        if timeout(GRACE, self.has_ended()).await.is_err() {
            self.grip.end(Ending::Forced);
            // What hangs in the kernel is waited for by the nursery alone.
            let _ = timeout(FORCED, self.has_ended()).await;
        }
    }

    /// Why it ended, with what it said last.
    async fn reason(&self, status: Option<ExitStatus>) -> String {
        let how = match status {
            Some(status) => how(status),
            None => "it was ended together with the process that started it".to_owned(),
        };
        self.with_last_words(&how).await
    }

    async fn with_last_words(&self, why: &str) -> String {
        let complaints = lock(&self.complaints).take();
        if let Some(complaints) = complaints {
            // What it started may hold its standard error open; the rest of it is still taken down.
            let _ = timeout(LAST_WORDS, complaints).await;
        }
        let why = self.log.hide(why);
        match self.log.last_words() {
            Some(words) => format!("{why}; it said last: {words}"),
            None => why,
        }
    }
}

fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("it was ended by signal {signal}");
    }
    match status.code() {
        Some(0) => "it ended by itself".to_owned(),
        Some(code) => format!("it ended with code {code}"),
        None => "it ended".to_owned(),
    }
}

fn cannot_start(program: &Program, error: &io::Error) -> String {
    match error.kind() {
        // Neither is named: a manifest may put a secret there.
        io::ErrorKind::NotFound if program.cwd.is_some() => {
            "its program or its directory was not found; a service has a shorter PATH than your shell"
                .to_owned()
        }
        io::ErrorKind::NotFound => {
            "its program was not found; a service has a shorter PATH than your shell".to_owned()
        }
        _ => format!("its program cannot be started: {error}"),
    }
}

/// What a name says to be a secret is hidden, wherever it came from.
fn hide_named(hidden: &mut Hidden, pairs: &[(String, crate::base::Secret<String>)]) {
    for (name, value) in pairs {
        if mask::is_secret_name(name) {
            hidden.add(crate::base::Secret::new(mask::strip_scheme(value.expose()).to_owned()));
        }
    }
}
