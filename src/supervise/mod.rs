//! Servers that are kept running: their processes, their health, their logs. (A stand-in until the real one is merged.)
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bridge::Upstream;
use crate::store::Store;
use crate::system::System;
use crate::upstream::{Heard, Line, Peer};

type Hear = Arc<dyn Fn(&str, Heard) + Send + Sync>;
type Changed = Arc<dyn Fn(&str, &Standing) + Send + Sync>;

#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);
struct Inner {
    hear: Hear,
    changed: Changed,
    servers: Mutex<Vec<Arc<Server>>>,
}
#[derive(Clone)]
pub struct Spec {
    pub name: String,
    pub pin: String,
    pub rules: Rules,
    pub ways: crate::upstream::Ways,
    pub launch: Arc<dyn Fn() -> Result<Upstream, String> + Send + Sync>,
}
#[derive(Clone, Default)]
pub struct Rules {
    pub call_timeout: Option<Duration>,
}
impl Rules {
    pub fn of(_g: &crate::manifest::model::Supervisor, _o: &crate::manifest::model::Supervisor) -> Self {
        Self::default()
    }
    pub fn lazy(self) -> Self {
        self
    }
}
pub struct Server {
    name: String,
    spec: Spec,
    peer: Mutex<Option<Arc<Peer>>>,
    child: Mutex<Option<tokio::process::Child>>,
}
pub struct Standing(bool);
impl Standing {
    pub fn is_ready(&self) -> bool {
        self.0
    }
    pub fn is_starting(&self) -> bool {
        !self.0
    }
}
#[derive(Debug)]
pub struct Unavailable(String);
impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Supervisor {
    pub fn new(_s: Arc<dyn System>, _st: &Store, hear: Hear, changed: Changed) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner { hear, changed, servers: Mutex::default() })))
    }
    pub fn set(&self, specs: Vec<Spec>) {
        let mut servers = self.0.servers.lock().unwrap_or_else(|e| e.into_inner());
        if !servers.is_empty() {
            return;
        }
        for spec in specs {
            let server = Arc::new(Server {
                name: spec.name.clone(),
                spec,
                peer: Mutex::default(),
                child: Mutex::default(),
            });
            servers.push(server.clone());
            let inner = self.0.clone();
            tokio::spawn(async move {
                let name = server.name.clone();
                let hear = inner.hear.clone();
                let hears = name.clone();
                let line = match (server.spec.launch)() {
                    Ok(Upstream::Stdio(program)) => {
                        let mut child = match crate::bridge::child::start(&program) {
                            Ok(c) => c,
                            Err(_) => return,
                        };
                        let stdin = child
                            .stdin
                            .take()
                            .and_then(|s| s.into_owned_fd().ok())
                            .and_then(|fd| tokio::net::unix::pipe::Sender::from_owned_fd(fd).ok());
                        let stdout = child
                            .stdout
                            .take()
                            .and_then(|s| s.into_owned_fd().ok())
                            .and_then(|fd| tokio::net::unix::pipe::Receiver::from_owned_fd(fd).ok());
                        *server.child.lock().unwrap_or_else(|e| e.into_inner()) = Some(child);
                        let (Some(stdin), Some(stdout)) = (stdin, stdout) else { return };
                        Line::Pipes(stdin, stdout)
                    }
                    Ok(other) => Line::Remote(other),
                    Err(_) => return,
                };
                if let Ok(peer) = Peer::open(
                    &name,
                    line,
                    server.spec.ways,
                    Arc::new(move |heard| hear(&hears, heard)),
                    Duration::from_secs(30),
                )
                .await
                {
                    *server.peer.lock().unwrap_or_else(|e| e.into_inner()) = Some(peer);
                    (inner.changed)(&name, &Standing(true));
                }
            });
        }
    }
    pub fn server(&self, name: &str) -> Option<Arc<Server>> {
        self.0.servers.lock().unwrap_or_else(|e| e.into_inner()).iter().find(|s| s.name == name).cloned()
    }
    pub async fn stop(&self) {
        let s = self.0.servers.lock().unwrap_or_else(|e| e.into_inner()).clone();
        for s in s {
            if let Some(p) = s.peer() {
                p.close();
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
impl Server {
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn peer(&self) -> Option<Arc<Peer>> {
        self.peer.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
    pub async fn ready(&self) -> Result<Arc<Peer>, Unavailable> {
        for _ in 0..200 {
            if let Some(p) = self.peer() {
                return Ok(p);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Unavailable(format!("`{}` is not ready", self.name)))
    }
    pub fn standing(&self) -> Standing {
        Standing(self.peer().is_some())
    }
    pub fn rules(&self) -> &Rules {
        &self.spec.rules
    }
}
