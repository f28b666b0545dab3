//! What the three service managers have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::super::failure::Failure;
use super::super::super::session::Session;
use super::launchd::Launchd;
use super::schtasks::Tasks;
use super::systemd::Systemd;
use super::wanted::Service;
use crate::system::System;

/// The platform's way of keeping a program running for one user.
pub trait Manager {
    /// As people call it.
    fn name(&self) -> &'static str;
    /// The file that describes the service.
    fn file(&self) -> PathBuf;
    /// Directories that the service needs besides that of its file.
    fn needs(&self) -> &[PathBuf] {
        &[]
    }
    /// Other files of the service, which go with it.
    fn leaves(&self) -> Vec<PathBuf> {
        Vec::new()
    }
    /// The description.
    ///
    /// # Errors
    /// What cannot be said in it, in a sentence.
    fn render(&self, service: &Service) -> Result<String, String>;
    /// The description as it is stored.
    fn encode(&self, text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }
    /// What is stored, as text.
    fn decode(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }
    /// Whether a service of this name exists that has no file of ours.
    fn is_taken(&self, _system: &dyn System) -> bool {
        false
    }
    /// Whether it can be told to do something now.
    fn reach(&self, system: &dyn System) -> Reach;
    /// What makes it know the service, and run it if that is wanted.
    fn to_install(&self, news: News, reach: Reach, start: bool) -> Vec<Step>;
    /// What ends the service, before its files go.
    fn to_stop(&self, reach: Reach) -> Vec<Step>;
    /// What makes it forget the service, after they went.
    fn to_forget(&self, reach: Reach) -> Vec<Step>;
    /// How the service stands.
    fn look(&self, system: &dyn System) -> State;
    /// The command that shows what the service said.
    fn logs(&self) -> String;
    /// The command that starts the installed service.
    fn start_by_hand(&self) -> String;
}

/// Whether a service manager listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It does.
    Yes,
    /// Not in this session; it will find the service at the next login.
    Later,
    /// There is none.
    Never,
}

/// What installing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There was nothing.
    First,
    /// There was another description.
    Changed,
    /// There was this one.
    Same,
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Whether the rest makes no sense when it fails.
    pub must: bool,
    /// How often it is tried, with a second between.
    pub tries: u32,
}

/// How a service stands, as far as its manager says; none is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether it starts at login.
    pub enabled: Option<bool>,
    /// Whether it runs.
    pub running: Option<bool>,
    /// The process.
    pub pid: Option<u32>,
    /// Since when it runs, RFC 3339.
    pub since: Option<String>,
    /// The manager's own word for it.
    pub word: String,
}

/// The longest that a step takes: a start waits until the service says that it is ready.
const LIMIT: Duration = Duration::from_secs(100);
/// The longest that a question takes.
const SOON: Duration = Duration::from_secs(10);

/// The service manager of this platform.
pub fn of(session: &Session<'_>) -> Result<Box<dyn Manager>, Failure> {
    let system = session.system;
    let Some(home) = system.home() else {
        return Err(Failure::failed("there is no home directory to install a service in"));
    };
    let state = session.store().dir().to_owned();
    Ok(match system.os() {
        "macos" => Box::new(Launchd { home, dirs: [state.clone(), state.join("logs")], uid: uid(system) }),
        "windows" => Box::new(Tasks { file: state.join("watch-task.xml"), user: account(system) }),
        _ => Box::new(Systemd { config: session.config_dir() }),
    })
}

/// Runs them in order.
///
/// # Errors
/// The first that failed and must not, in a sentence.
pub fn run_all(system: &dyn System, steps: &[Step]) -> Result<(), String> {
    for step in steps {
        let mut done = attempt(system, step);
        for _ in 1..step.tries {
            if done.is_ok() {
                break;
            }
            system.sleep(Duration::from_secs(1));
            done = attempt(system, step);
        }
        if step.must {
            done?;
        }
    }
    Ok(())
}

fn attempt(system: &dyn System, step: &Step) -> Result<(), String> {
    let line = step.argv.join(" ");
    match run(system, &step.argv, LIMIT) {
        Ok((0, _)) => Ok(()),
        Ok((code, _)) => Err(format!("`{line}` failed with exit code {code}")),
        Err(error) => Err(format!("`{line}` cannot be run: {error}")),
    }
}

/// Asks a program: its exit code and what it printed; none if it cannot be run.
pub fn ask(system: &dyn System, argv: &[&str]) -> Option<(i32, String)> {
    let argv: Vec<String> = argv.iter().map(|&arg| arg.to_owned()).collect();
    run(system, &argv, SOON).ok()
}

fn run(system: &dyn System, argv: &[String], limit: Duration) -> std::io::Result<(i32, String)> {
    let dir = system.home().unwrap_or_else(|| PathBuf::from("/"));
    let ran = system.run(argv, Path::new(&dir), limit)?;
    Ok((ran.code.unwrap_or(-1), String::from_utf8_lossy(ran.out.expose()).into_owned()))
}

/// The number by which launchd knows the user.
fn uid(system: &dyn System) -> String {
    ask(system, &["id", "-u"]).map_or_else(|| "501".to_owned(), |(_, out)| out.trim().to_owned())
}

/// The user with the domain, as tasks name it.
fn account(system: &dyn System) -> String {
    match system.env("USERDOMAIN") {
        Some(domain) => format!("{domain}\\{}", system.user()),
        None => system.user(),
    }
}

/// A step that must succeed.
pub fn must(argv: &[&str]) -> Step {
    Step { argv: argv.iter().map(|&arg| arg.to_owned()).collect(), must: true, tries: 1 }
}

/// A step that may fail.
pub fn may(argv: &[&str]) -> Step {
    Step { must: false, ..must(argv) }
}
