//! Real servers, installed by `.ci/install-clients`.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use mcpkeel::base::Secret;
use mcpkeel::system::Program;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::repo;

/// A file of an installed server, or none, having said so. With `MCPKEEL_REQUIRE_CLIENTS=1`, as in CI, a
/// missing server is a failure.
pub fn installed(server: &str, file: &str) -> Option<PathBuf> {
    installed_as(server, &format!("node_modules/{file}"))
}

/// The same for what does not come from npm.
pub fn installed_as(server: &str, file: &str) -> Option<PathBuf> {
    let path = clients_dir().join(server).join(file);
    if path.exists() {
        return Some(path);
    }
    let reason = format!("{server} is not installed (run .ci/install-clients)");
    assert!(env::var("MCPKEEL_REQUIRE_CLIENTS").map_or(true, |value| value != "1"), "{reason}");
    // Straight to standard error, since the test runner hides what `eprintln!` prints.
    writeln!(io::stderr(), "skipped: {reason}").ok();
    None
}

pub fn everything() -> Option<PathBuf> {
    installed("server-everything", "@modelcontextprotocol/server-everything/dist/index.js")
}

pub fn filesystem() -> Option<PathBuf> {
    installed("server-filesystem", "@modelcontextprotocol/server-filesystem/dist/index.js")
}

pub fn sdk() -> Option<PathBuf> {
    let package = installed("server-sdk", "@modelcontextprotocol/server/package.json")?;
    package.parent().map(PathBuf::from)
}

/// As `.ci/install-clients` chooses it.
fn clients_dir() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default());
    env::var_os("MCPKEEL_CLIENTS_DIR").map_or_else(|| home().join(".cache/mcpkeel-clients"), PathBuf::from)
}

/// The node that came with them, or the one on PATH.
pub fn node() -> PathBuf {
    let own = clients_dir().join("bin/node");
    if own.exists() { own } else { PathBuf::from("node") }
}

/// A program with arguments and variables.
pub fn program(command: &str, args: &[&str], env: &[(&str, &str)]) -> Program {
    let secret = |text: &str| Secret::new(text.to_owned());
    Program {
        command: secret(command),
        args: args.iter().map(|arg| secret(arg)).collect(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), secret(value))).collect(),
        cwd: None,
    }
}

/// A script run by node.
pub fn script(path: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> Program {
    let args: Vec<&str> =
        std::iter::once(path.to_str().expect("UTF-8")).chain(args.iter().copied()).collect();
    program(node().to_str().expect("UTF-8"), &args, env)
}

pub fn modern_script() -> PathBuf {
    repo().join("tests/bridge/modern_server.mjs")
}

/// A server of its own process that listens on a port; ends when dropped.
pub struct Listening {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Listening {
    /// server-everything in this mode, `streamableHttp` or `sse`.
    pub async fn everything(mode: &str) -> Option<Self> {
        let script = everything()?;
        Some(Self::everything_on(mode, &script, free_port()).await)
    }

    /// The same again on the same port: what it knew is gone.
    pub async fn again(mut self, mode: &str) -> Self {
        self.child.kill().await.expect("killed");
        Self::everything_on(mode, &everything().expect("installed"), self.port).await
    }

    async fn everything_on(mode: &str, script: &std::path::Path, port: u16) -> Self {
        let mut child = Command::new(node())
            .arg(script)
            .arg(mode)
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut err = BufReader::new(child.stderr.take().expect("piped")).lines();
        loop {
            let line = err.next_line().await.expect("UTF-8").expect("it says when it is ready");
            if line.contains(&port.to_string()) {
                break;
            }
        }
        tokio::spawn(async move { while let Ok(Some(_)) = err.next_line().await {} });
        let out = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, out, port }
    }

    /// The server of the 2026 era.
    pub async fn modern() -> Option<Self> {
        let sdk = sdk()?;
        let mut child = Command::new(node())
            .arg(modern_script())
            .arg("http")
            .env("SDK", sdk)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = out.next_line().await.expect("UTF-8").expect("its port").parse().expect("a number");
        Some(Self { child, out, port })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until it says this.
    pub async fn says(&mut self, text: &str) {
        loop {
            let line = self.out.next_line().await.expect("UTF-8").expect("it still runs");
            if line.contains(text) {
                return;
            }
        }
    }
}

/// Below the ports that the system hands out by itself, so that no other test is given it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 10_000;
    let ports = (0..1000).map(|_| {
        let port = (first + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 20_000;
        12_000 + u16::try_from(port).expect("small")
    });
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(free).expect("a free port")
}
