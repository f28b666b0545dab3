//! A real `systemd --user`, in namespaces of its own: it has its own `/run`, its own part of the control groups and its
//! own process ids, so that nothing of it outlives the test and no manager of this machine is touched.
//!
//! It needs root. Elsewhere the tests say that they skip.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use mcpkeel::system::service_manager;
use serde_json::Value;

use super::super::{UNIT, home};
use crate::secrets::tools;
use crate::support::{Ran, Sandbox};

/// The outer half mounts, the inner half is a shell with process id 1: when its input ends, all that it started ends
/// with it, and the control groups can be removed.
const OUTER: &str = r#"
set -eu
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/system
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/mcpkeel-test-$$
mkdir "$group"
export group
unshare --pid --fork --mount-proc --kill-child sh -c "$INNER" || true
find "$group" -depth -type d -exec rmdir {} \;
"#;
const INNER: &str = r#"
echo 0 > "$group/cgroup.procs"
SYSTEMD_LOG_TARGET=console /lib/systemd/systemd --user >"$HOME/manager.log" 2>&1 &
echo started
exec sh
"#;

/// A manager with a shell beside it.
struct UserManager<'h> {
    home: &'h Sandbox,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl<'h> UserManager<'h> {
    /// None, having said so, where there can be none.
    fn start(home: &'h Sandbox) -> Option<Self> {
        if !tools::are_there(&["systemctl", "systemd-notify", "unshare", "mount", "/lib/systemd/systemd"]) {
            return None;
        }
        let runtime = home.path("run");
        std::fs::create_dir(&runtime).expect("a runtime directory");
        std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).expect("private");
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "sh", "-c", OUTER]).env_clear();
        for (name, value) in home.command(&[]).get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell.env("XDG_RUNTIME_DIR", &runtime).env("INNER", INNER).current_dir(home.home());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = shell.spawn().expect("unshare starts");
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("a pipe")));
        let mut manager = Self { home, child, input, output };
        if manager.line() != "started" {
            manager.input.take();
            let mut why = String::new();
            let mut said = BufReader::new(manager.child.stderr.take().expect("a pipe"));
            said.read_line(&mut why).expect("readable");
            let root = std::fs::metadata("/proc/self").expect("proc").uid() == 0;
            let must = root && ["CI", "MCPKEEL_NO_SKIP"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!must, "no user manager can be started here: {why}");
            writeln!(std::io::stderr(), "skipped: no user manager can be started here: {}", why.trim()).ok();
            return None;
        }
        manager.until("it runs", |manager| {
            manager.sh("systemctl --user is-system-running").out.contains("running")
        });
        Some(manager)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the shell speaks");
        line.trim_end().to_owned()
    }

    /// Runs a line of shell beside the manager.
    fn sh(&mut self, script: &str) -> Ran {
        let input = self.input.as_mut().expect("not ended");
        writeln!(input, "( {script}\n) >\"$HOME/out\" 2>\"$HOME/err\" </dev/null; echo $?")
            .expect("the shell listens");
        let code = self.line().parse().expect("an exit code");
        Ran { code, out: self.home.read("out"), err: self.home.read("err") }
    }

    /// Runs the program under test.
    fn keel(&mut self, args: &str) -> Ran {
        self.sh(&format!("\"{}\" service {args}", env!("CARGO_BIN_EXE_mcpkeel")))
    }

    /// A property of the service.
    fn property(&mut self, name: &str) -> String {
        self.sh(&format!("systemctl --user show mcpkeel.service --value -p {name}")).out.trim().to_owned()
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            if Instant::now() > deadline {
                let status = self.sh("systemctl --user status mcpkeel.service --no-pager").out;
                panic!("not within 30 seconds: {what}\n{status}\n{}", self.home.read("manager.log"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for UserManager<'_> {
    fn drop(&mut self) {
        // The end of its input ends it, and all that it started.
        self.input.take();
        self.child.wait().ok();
    }
}

/// Settings of the user on top of our unit, which start this test as the service in place of the program: it speaks the
/// protocol as `watch` does, through the same door.
fn stand_in(home: &Sandbox, settings: &str) {
    let exe = std::env::current_exe().expect("this test");
    home.write(
        &format!("{UNIT}.d/stand-in.conf"),
        format!(
            "[Service]\nExecStart=\nExecStart=\"{}\" --exact service::manager::real::stands_in --ignored --nocapture\n{settings}",
            exe.display()
        ),
    );
}

/// Not a test by itself: the service of the others.
#[test]
#[ignore = "started by a service manager"]
fn stands_in() {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut hang_up = signal(SignalKind::hangup()).expect("a signal");
        let mut terminate = signal(SignalKind::terminate()).expect("a signal");
        service_manager::status("in sync");
        service_manager::ready();
        let time = service_manager::watchdog().unwrap_or(Duration::from_secs(60));
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    service_manager::reloading();
                    service_manager::status("looked again");
                    service_manager::ready();
                }
                _ = terminate.recv() => break,
                () = tokio::time::sleep(time / 2) => {
                    if std::env::var_os("HANGS").is_none() {
                        service_manager::keep_alive();
                    }
                }
            }
        }
        service_manager::stopping();
    });
}

#[test]
fn a_service_is_installed_seen_reloaded_stopped_and_removed() {
    let home = home();
    let Some(mut manager) = UserManager::start(&home) else { return };
    let ran = manager.keel("install").exits(0);
    assert!(ran.out.contains("It runs and watches ~/mcp.yaml."), "{}", ran.out);
    let status: Value =
        serde_json::from_str(&manager.keel("status --format json").exits(0).out).expect("JSON");
    assert_eq!(status["running"], true, "{status}");
    assert_eq!(status["enabled"], true, "{status}");
    assert_eq!(status["stale"], false, "{status}");
    assert!(
        status["since"].as_str().is_some_and(|since| since.starts_with("20") && since.ends_with('Z')),
        "{status}"
    );
    let pid = status["pid"].as_u64().expect("a pid");
    assert_eq!(manager.sh(&format!("kill -0 {pid}")).code, 0);
    manager.until("it says how things stand", |manager| manager.property("StatusText").contains("Ready"));

    let looks = |manager: &mut UserManager<'_>| {
        let text = manager.sh(&format!("\"{}\" status --metrics", env!("CARGO_BIN_EXE_mcpkeel"))).out;
        let counts = text.lines().filter(|line| line.starts_with("mcpkeel_reconcile_total"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    let before = looks(&mut manager);
    assert!(before > 0);
    manager.sh("systemctl --user reload mcpkeel").exits(0);
    manager.until("it looked again", |manager| looks(manager) > before);
    assert_eq!(manager.property("MainPID"), pid.to_string());

    // The same again leaves it running; a changed unit does not.
    assert!(manager.keel("install").exits(0).err.contains("already installed"));
    assert_eq!(manager.property("MainPID"), pid.to_string());
    assert!(manager.keel("install --state-dir books").exits(0).err.contains("written anew"));
    assert_ne!(manager.property("MainPID"), pid.to_string());
    let second = manager.property("MainPID");

    // Killed, it comes back; stopped, it does not.
    home.write(&format!("{UNIT}.d/soon.conf"), "[Service]\nRestartSec=100ms\n");
    manager.sh("systemctl --user daemon-reload").exits(0);
    manager.sh(&format!("kill -9 {second}")).exits(0);
    manager.until("it is back", |manager| {
        let (pid, state) = (manager.property("MainPID"), manager.property("ActiveState"));
        state == "active" && pid != "0" && pid != second
    });
    let ran = manager.keel("uninstall").exits(0);
    assert!(ran.out.contains("stopped and removed"), "{}", ran.out);
    assert!(!home.exists(UNIT) && !home.exists(".config/systemd/user/default.target.wants/mcpkeel.service"));
    let status: Value =
        serde_json::from_str(&manager.keel("status --format json").exits(0).out).expect("JSON");
    assert_eq!((&status["installed"], &status["running"]), (&false.into(), &false.into()), "{status}");
    assert!(manager.keel("uninstall").exits(0).out.contains("not installed"));
}

#[test]
fn without_a_start_it_waits_for_the_next_login() {
    let home = home();
    let Some(mut manager) = UserManager::start(&home) else { return };
    manager.keel("install --no-start").exits(0);
    assert_eq!(manager.property("ActiveState"), "inactive");
    assert_eq!(manager.property("UnitFileState"), "enabled");
    // What a login does.
    manager.sh("systemctl --user start default.target").exits(0);
    manager.until("it runs", |manager| manager.property("ActiveState") == "active");
}

#[test]
fn a_service_that_hangs_is_ended_and_started_again() {
    let home = home();
    stand_in(&home, "WatchdogSec=500ms\nRestartSec=100ms\nEnvironment=HANGS=1\n");
    let Some(mut manager) = UserManager::start(&home) else { return };
    manager.keel("install").exits(0);
    manager.until("it is started again", |manager| manager.property("NRestarts") != "0");
    // One that says that it is alive is left alone, for longer than the watchdog waits.
    stand_in(&home, "WatchdogSec=2\nRestartSec=100ms\n");
    manager.keel("install --state-dir books").exits(0);
    let pid = manager.property("MainPID");
    manager.until("it has said so for three seconds", |manager| {
        let [start, last] = ["ActiveEnterTimestampMonotonic", "WatchdogTimestampMonotonic"]
            .map(|name| manager.property(name).parse::<u64>().expect("microseconds"));
        last > start + 3_000_000
    });
    assert_eq!(manager.property("MainPID"), pid);
}

/// What stands in the unit arrives as it was, whatever the paths are made of.
#[test]
fn odd_paths_arrive_as_they_are() {
    let home = home();
    let Some(mut manager) = UserManager::start(&home) else { return };
    let program = home.path("p 50% $HOME ${x} %h/mcpkeel");
    std::fs::create_dir(program.parent().expect("a directory")).expect("made");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mcpkeel"), &program).expect("a link");
    let manifest = home.write(r#"m 50% $HOME ${x} %h 'it' "q" \n/mcp.yaml"#, super::super::MANIFEST);
    let path = std::env::var("PATH").expect("PATH") + r#":/a b/50%/$HOME/"q"/\n"#;
    home.write("program", program.to_str().expect("Unicode"));
    home.write("manifest", manifest.to_str().expect("Unicode"));
    home.write("path", &path);
    let install = r#"export PATH="$(cat "$HOME/path")"; "$(cat "$HOME/program")" service install --no-start -f "$(cat "$HOME/manifest")""#;
    manager.sh(install).exits(0);
    // From here on a program lies there that tells what it was given.
    std::fs::remove_file(&program).expect("removed");
    let tells = "#!/bin/sh\nprintf '%s\\n' \"$PATH\" \"$0\" \"$@\" > \"$HOME/given\"\nsystemd-notify --ready\nexec sleep 1000\n";
    std::fs::write(&program, tells).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
    manager.sh("systemctl --user start mcpkeel").exits(0);
    let expected = [
        &path,
        program.to_str().expect("Unicode"),
        "watch",
        "--manifest",
        manifest.to_str().expect("Unicode"),
    ];
    assert_eq!(home.read("given").lines().collect::<Vec<_>>(), expected);
}
