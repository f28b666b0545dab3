//! Trees of real processes that write down who they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcpkeel::base::Secret;
use mcpkeel::system::Program;

/// A file into which processes write their numbers.
pub struct Pids(PathBuf);

impl Pids {
    pub fn at(dir: &Path, name: &str) -> Self {
        Self(dir.join(name))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn all(&self) -> Vec<i32> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    pub fn living(&self) -> Vec<i32> {
        self.all().into_iter().filter(|pid| is_alive(*pid)).collect()
    }

    /// Waits until so many have written their number.
    #[track_caller]
    pub fn await_born(&self, count: usize) -> Vec<i32> {
        until(&format!("{count} processes"), || self.all().len() >= count);
        self.all()
    }

    /// Waits until none is left, and says how long that took.
    #[track_caller]
    pub fn await_none(&self, limit: Duration) -> Duration {
        let began = Instant::now();
        while !self.living().is_empty() {
            assert!(began.elapsed() < limit, "still there after {limit:?}: {:?}", self.living());
            std::thread::sleep(Duration::from_millis(5));
        }
        began.elapsed()
    }
}

impl Pids {
    /// The same inside a runtime, which goes on meanwhile.
    pub async fn born(&self, count: usize) -> Vec<i32> {
        let what = format!("{count} processes");
        so(&what, Duration::from_secs(20), || self.all().len() >= count).await;
        self.all()
    }

    pub async fn gone(&self) {
        so("the end of all processes", Duration::from_secs(6), || self.living().is_empty()).await;
    }
}

/// Waits inside a runtime.
pub async fn so(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether it runs; one that has ended and was not waited for does not.
pub fn is_alive(pid: i32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit_once(") ").is_some_and(|(_, after)| after.starts_with(['Z', 'X'])),
        Err(_) if Path::new("/proc/self/stat").exists() => false,
        Err(_) => rustix::process::Pid::from_raw(pid)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()),
    }
}

pub fn kill(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, signal).expect("killed");
}

#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server that is a script; `$PIDS` is where to write numbers.
pub fn script(text: &str, pids: &Path) -> Program {
    Program {
        command: Secret::new("sh".to_owned()),
        args: ["-c", text].map(|arg| Secret::new(arg.to_owned())).into(),
        env: vec![("PIDS".to_owned(), Secret::new(pids.display().to_string()))],
        cwd: None,
    }
}

/// Ends for nobody who asks; two processes.
pub const STUBBORN: &str = "trap '' TERM HUP INT; echo $$ >> $PIDS; sleep 1000 & echo $! >> $PIDS; \
     while :; do wait; done";

/// A launcher around the server, as `npx` is; two processes.
pub const WRAPPED: &str = "echo $$ >> $PIDS; sleep 1000 & echo $! >> $PIDS; wait";

/// Starts something in a session of its own that ends for nobody, and goes on; three processes.
pub const STRAYING: &str = "echo $$ >> $PIDS; \
     setsid sh -c 'trap \"\" TERM HUP; echo $$ >> $PIDS; sleep 1000 & echo $! >> $PIDS; wait' & \
     sleep 1000 & wait";

pub fn has_setsid() -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("setsid").exists()));
    if !found || !cfg!(target_os = "linux") {
        println!("skipped: processes in sessions of their own are found on Linux alone, with `setsid`");
    }
    found && cfg!(target_os = "linux")
}
