use std::path::PathBuf;
use std::time::Duration;

use crate::store::Store;
use crate::system::{Apart, System};

/// How long it may take until it can be spoken to.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// With this code ends who found that another one runs.
const LOCKED: i32 = 4;
/// What it says goes there, in the state directory.
const LOG: &str = "up.log";

/// Where the process that stays can be spoken to: where it says so itself, else where it would.
pub fn socket_now(system: &dyn System, store: &Store) -> PathBuf {
    // It may have other variables than we have.
    let running = store.watching(system).ok().flatten();
    running.map_or_else(|| super::socket_path(system, store), |running| running.socket)
}

/// Starts the process that stays, apart from us, unless one runs. It can be spoken to when this comes back.
///
/// # Errors
/// In a sentence, why it does not run, and what to do.
pub fn start(system: &dyn System, store: &Store, argv: &[String]) -> Result<(), String> {
    let runs = || store.watching(system).is_ok_and(|running| running.is_some());
    store.prepare(system).map_err(|error| error.to_string())?;
    let until = system.ticks() + PATIENCE;
    // Whoever of us comes first starts it, the others wait.
    let _turn = loop {
        if runs() {
            return Ok(());
        }
        let lock = store.path("up.lock");
        if let Some(turn) = system.try_lock(&lock).map_err(|error| format!("{}: {error}", lock.display()))? {
            break turn;
        }
        if system.ticks() > until {
            return Err("it is being started, and does not come up".to_owned());
        }
        system.sleep(PAUSE);
    };
    if runs() {
        return Ok(());
    }
    let log = store.path(LOG);
    let home = system.home().unwrap_or_else(|| store.dir().to_owned());
    let started =
        Apart::start(argv, &home, &log).map_err(|error| format!("it cannot be started: {error}"))?;
    loop {
        if runs() {
            return Ok(());
        }
        match started.ended() {
            // Another one was quicker, and will say so in a moment.
            None | Some(Some(LOCKED)) => {}
            Some(code) => {
                let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
                let said = last_words(system, store);
                return Err(format!("it was started and ended with {code}{said}"));
            }
        }
        if system.ticks() > until {
            let log = log.display();
            return Err(format!("it was started and does not come up; {log} has what it says"));
        }
        system.sleep(PAUSE);
    }
}

/// What it said first that sounds like the reason.
fn last_words(system: &dyn System, store: &Store) -> String {
    let log = store.path(LOG);
    // Without its words the code is all there is to say.
    let text = system.read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let error = text.lines().find(|line| line.starts_with("error")).or_else(|| text.lines().last());
    match error {
        Some(line) => format!(": {} ({} has more)", line.trim(), log.display()),
        None => String::new(),
    }
}
