//! Servers of these tests, and a supervisor that runs them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcpkeel::base::{Hidden, Secret};
use mcpkeel::bridge::Upstream;
use mcpkeel::store::Store;
use mcpkeel::supervise::{Launched, Rules, Spec, Standing, State, Supervisor};
use mcpkeel::system::{Program, Real};
use mcpkeel::upstream::Ways;

/// A server in a few lines of shell: it can be greeted and asked whether it is there.
pub const SERVER: &str = r#"
echo $$ >> $PIDS
while read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id": *\("[^"]*"\|[0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"shell","version":"1.2.3"}}}\n' "$id" ;;
    *'"ping"'*) [ -e "$PIDS.deaf" ] || printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
    *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"look","description":"Looks","inputSchema":{"type":"object"}}]}}\n' "$id" ;;
    *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}\n' "$id" ;;
  esac
done
"#;

/// One that says nothing, ever.
pub const HANGING: &str =
    "echo $$ >> $PIDS; trap '' TERM HUP; sleep 1000 & echo $! >> $PIDS; while :; do wait; done";

/// One that ends at once, complaining.
pub const DYING: &str = "echo $$ >> $PIDS; echo 'Error: no such database (token canary-4711)' >&2; exit 3";

pub fn rules(yaml: &str) -> Rules {
    let own = serde_yaml::from_str(yaml).expect("a supervisor");
    Rules::of(&Default::default(), &own)
}

/// A place for processes to write to, and a supervisor.
pub struct Crew {
    pub dir: tempfile::TempDir,
    pub supervisor: Supervisor,
    pub changes: Arc<Mutex<Vec<(String, State)>>>,
}

impl Crew {
    /// Inside of a runtime.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let changes: Arc<Mutex<Vec<(String, State)>>> = Arc::default();
        let noted = Arc::clone(&changes);
        let changed = Arc::new(move |name: &str, standing: &Standing| {
            noted.lock().expect("noted").push((name.to_owned(), standing.state));
        });
        let program = PathBuf::from(env!("CARGO_BIN_EXE_mcpkeel"));
        let supervisor = Supervisor::with_nursery(
            Some(program),
            Arc::new(Real),
            &Store::at(dir.path().join("state")),
            Arc::new(|_: &str, _| {}),
            changed,
        );
        Self { dir, supervisor: supervisor.expect("a supervisor"), changes }
    }

    pub fn pids(&self, name: &str) -> super::tree::Pids {
        super::tree::Pids::at(self.dir.path(), name)
    }

    pub fn spec(&self, name: &str, script: &str, rules: Rules) -> Spec {
        spec(self.dir.path(), name, script, rules)
    }

    pub async fn await_state(&self, name: &str, state: State) {
        let server = self.supervisor.server(name).expect("a server");
        super::tree::so(&format!("{name} to be {state:?}"), Duration::from_secs(15), || {
            server.standing().state == state
        })
        .await;
    }

    pub fn log(&self, name: &str) -> String {
        let path = self.dir.path().join(format!("state/logs/{name}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

pub fn spec(dir: &Path, name: &str, script: &str, rules: Rules) -> Spec {
    let (script, pids) = (script.to_owned(), dir.join(name).display().to_string());
    let launch = move || {
        let mut hidden = Hidden::default();
        hidden.add(Secret::new("canary-4711".to_owned()));
        let upstream = Upstream::Stdio(Program {
            command: Secret::new("sh".to_owned()),
            args: vec![Secret::new("-c".to_owned()), Secret::new(script.clone())],
            env: vec![("PIDS".to_owned(), Secret::new(pids.clone()))],
            cwd: None,
        });
        Ok(Launched { upstream, hidden })
    };
    Spec { name: name.to_owned(), pin: script_pin(name), rules, ways: Ways::Any, launch: Arc::new(launch) }
}

fn script_pin(name: &str) -> String {
    format!("pin of {name}")
}

pub fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}
