//! A secret planted wherever one may lie, and every command run over it: it must show nowhere.
//!
//! Invariant: `CANARIES` stand in this file in pieces only, so that no failure message can hide one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Sandbox;

/// With the look of a token, and without one.
fn canaries() -> [String; 2] {
    [["ghp", "_Canary0123456789abcdefABCDEF"].concat(), ["canary", "-no-look-77"].concat()]
}

/// Every command that leaves the files alone, with each of its formats.
const LOOKS: &[&[&str]] = &[
    &["plan"],
    &["plan", "-v"],
    &["plan", "--adopt"],
    &["plan", "--format", "json"],
    &["plan", "--adopt", "--format", "json"],
    &["plan", "--format", "markdown"],
    &["plan", "--adopt", "--format", "markdown"],
    &["plan", "--out", "a.plan"],
    &["plan", "--adopt", "--out", "b.plan"],
    &["verify"],
    &["verify", "--format", "json"],
    &["verify", "--format", "markdown"],
    &["status"],
    &["status", "--format", "json"],
    &["status", "--format", "markdown"],
    &["diff"],
    &["validate", "-v"],
    &["validate", "--format", "json"],
    &["validate", "--format", "markdown"],
    &["validate", "--format", "sarif"],
    &["validate", "--format", "gitlab"],
    &["validate", "--strict"],
    &["import", "--dry-run"],
    &["adopt", "--dry-run"],
    &["fmt", "--check"],
    &["doctor"],
    &["doctor", "--format", "json"],
    &["client", "list", "--detected"],
    &["client", "list", "--format", "json"],
    &["secret", "list"],
    &["secret", "list", "--format", "json"],
    &["secret", "verify"],
    &["secret", "verify", "--format", "json"],
    &["secret", "rekey", "--dry-run"],
    &["history"],
    &["history", "--format", "json"],
    &["events"],
    &["events", "--format", "json"],
    &["backup", "--list"],
    &["backup", "--list", "--format", "json"],
    &["secret", "scan"],
    &["secret", "scan", "--format", "json"],
    &["secret", "scan", "--format", "markdown", "--exit-code"],
    &["secret", "scan", "--client", "cursor", "-v"],
    &["secret", "scan", "--move", "file"],
    &["secret", "list"],
    &["secret", "list", "--format", "json"],
    &["secret", "verify"],
    &["secret", "verify", "--format", "json"],
    &["secret", "where", "kept"],
    &["secret", "where", "kept", "--format", "json"],
    &["secret", "rekey", "--dry-run"],
    &["policy", "list"],
    &["policy", "list", "--format", "json"],
    &["policy", "test", "--server", "mine", "--tool", "x"],
    &["token", "list", "--format", "json"],
    &["approval", "list", "--all"],
    &["lock", "diff"],
    &["lock", "diff", "--format", "json"],
    &["usage"],
    &["status", "--metrics"],
    &["approve"],
    &["watch", "--once", "--manifest", "none.yaml"],
    &["service", "install", "--print"],
    &["service", "status", "--format", "json"],
    &["exec", "missing"],
    &["exec", "missing", "--pin", "0"],
    &["exec", "broken"],
    &["exec", "remote"],
    &["exec", "nobody"],
    &["connect", "--client", "cursor"],
    &["call", "remote__x", "--arg", "a=1"],
];

/// Every command that changes something, in an order in which each finds work.
const WORKS: &[&[&str]] = &[
    &["watch", "--once"],
    &["apply", "--yes"],
    &["suspend", "cursor", "--why", "a test"],
    &["watch", "--once", "--format", "json"],
    &["resume"],
    &["apply", "--yes", "--adopt", "--format", "json"],
    &["undo", "--yes"],
    &["apply", "--yes", "--adopt"],
    &["backup"],
    &["undo", "--yes", "--force"],
    &["import"],
    &["adopt"],
    &["fmt"],
    &["apply", "--yes", "--format", "markdown"],
    &["undo", "--yes"],
    &["resume"],
    &["watch", "--once", "--format", "json"],
];

struct Nest {
    home: Sandbox,
    /// Files in which the user himself wrote the value.
    own: Vec<PathBuf>,
    env: Vec<(&'static str, String)>,
}

impl Nest {
    fn new() -> Self {
        Self { home: Sandbox::new(), own: Vec::new(), env: Vec::new() }
    }

    /// A file with the canary in place of `CANARY`.
    fn plant(&mut self, path: &str, text: &str, canary: &str) {
        assert!(text.contains("CANARY"));
        self.own.push(self.home.write(path, text.replace("CANARY", canary)));
    }

    fn run(&self, args: &[&str], canary: &str) {
        let mut command = self.home.command(args);
        let output = command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("the program starts");
        for (stream, bytes) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(canary), "{args:?} shows the secret on {stream}:\n{text}");
        }
        let code = output.status.code();
        assert!(
            code.is_some_and(|code| code != 101),
            "{args:?}: {code:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.search(args, canary);
    }

    /// Looks into every file of the home.
    fn search(&self, args: &[&str], canary: &str) {
        for file in files(&self.home.home()) {
            let bytes = fs::read(&file).unwrap_or_default();
            if !bytes.windows(canary.len()).any(|window| window == canary.as_bytes()) {
                continue;
            }
            if file.to_string_lossy().contains("backups/objects") {
                #[cfg(unix)]
                assert_eq!(mode(&file), 0o600, "{}", file.display());
                continue;
            }
            if file.starts_with(self.home.path(".config/mcpkeel/secrets")) {
                #[cfg(unix)]
                assert_eq!(mode(&file), 0o600, "{}", file.display());
                continue;
            }
            assert!(self.own.contains(&file), "after {args:?} the secret stands in {}", file.display());
        }
    }

    fn run_everything(&self, canary: &str) {
        for args in LOOKS {
            self.run(args, canary);
        }
        for args in WORKS {
            self.run(args, canary);
            for args in [&["plan"][..], &["plan", "--format", "json"], &["diff"], &["history"], &["validate"]]
            {
                self.run(args, canary);
            }
        }
        for args in LOOKS {
            self.run(args, canary);
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] })
        .collect()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

const MANIFEST: &str = "version: 1
servers:
  mine: { command: mine, args: [one] }
  env: { command: x }
  header: { url: 'https://example.com/mcp' }
  query: { url: 'https://example.com/q' }
  arg: { command: x }
clients:
  cursor: { servers: ['*'] }
  vscode: { servers: ['*'] }
  codex: { servers: ['*'] }
  goose: { servers: ['*'] }
";

const ENTRIES: &str = r#"{"mcpServers": {
  // "OLD_TOKEN": "CANARY"
  "env": {"command": "x", "env": {"API_TOKEN": "CANARY", "LEVEL": "1"}},
  "header": {"url": "https://example.com/mcp", "headers": {"Authorization": "Bearer CANARY"}},
  "query": {"url": "https://example.com/q?api_key=CANARY&mode=ro"},
  "arg": {"command": "x", "args": ["--api-key=CANARY", "--token", "CANARY", "-e", "SERVICE_TOKEN=CANARY", "--header", "X-Api-Key: CANARY"]},
  "foreign": {"command": "y", "env": {"DB_PASSWORD": "CANARY", "DSN": "postgres://me:CANARY@db/x"}}
}}"#;

#[test]
fn a_secret_in_live_files_shows_nowhere() {
    for canary in canaries() {
        let mut nest = Nest::new();
        nest.home.write("mcp.yaml", MANIFEST);
        let without_comment: String =
            ENTRIES.lines().filter(|line| !line.contains("//")).collect::<Vec<_>>().join("\n");
        nest.plant(".cursor/mcp.json", &without_comment, &canary);
        nest.plant(".config/Code/User/mcp.json", &ENTRIES.replace("mcpServers", "servers"), &canary);
        nest.plant(
            ".codex/config.toml",
            "# token = \"CANARY\"\n[mcp_servers.env]\ncommand = \"x\"\n[mcp_servers.env.env]\nAPI_TOKEN = \"CANARY\"\n\n[mcp_servers.header]\nurl = \"https://example.com/mcp\"\nbearer_token = \"CANARY\" # was CANARY\n",
            &canary,
        );
        nest.plant(
            ".config/goose/config.yaml",
            "extensions:\n  # secret: CANARY\n  env:\n    enabled: true\n    type: stdio\n    name: env\n    cmd: x\n    envs:\n      API_TOKEN: CANARY # CANARY\n",
            &canary,
        );
        nest.run_everything(&canary);
    }
}

#[test]
fn a_secret_on_one_long_line_and_in_a_malformed_file_shows_nowhere() {
    for canary in canaries() {
        let mut nest = Nest::new();
        nest.home.write("mcp.yaml", MANIFEST);
        nest.plant(
            ".cursor/mcp.json",
            &ENTRIES.lines().filter(|line| !line.contains("//")).collect::<String>(),
            &canary,
        );
        nest.plant(
            ".config/Code/User/mcp.json",
            "{\"servers\": {\"env\": {\"env\": {\"API_TOKEN\": \"CANARY\" \"x\"}}}}",
            &canary,
        );
        nest.plant(".codex/config.toml", "[mcp_servers.env\nAPI_TOKEN = \"CANARY\"\n", &canary);
        nest.plant(".config/goose/config.yaml", "extensions:\n  env: {envs: {API_TOKEN: CANARY}\n", &canary);
        nest.run_everything(&canary);
    }
}

#[test]
fn init_over_files_with_secrets_writes_none_of_them() {
    for canary in canaries() {
        let mut nest = Nest::new();
        let without_comment: String =
            ENTRIES.lines().filter(|line| !line.contains("//")).collect::<Vec<_>>().join("\n");
        nest.plant(".cursor/mcp.json", &without_comment, &canary);
        nest.run(&["init"], &canary);
        nest.run_everything(&canary);
    }
}

#[test]
fn a_secret_in_the_environment_shows_nowhere() {
    for canary in canaries() {
        let mut nest = Nest::new();
        nest.env = vec![("MY_TOKEN", canary.clone()), ("OTHER", canary.clone())];
        nest.home.write(
            "mcp.yaml",
            "version: 1\nsecrets: { t: { env: MY_TOKEN } }\nservers:\n  a: { command: a, args: ['--token=${env:MY_TOKEN}'], env: { T: '${secret:t}', U: '${env:OTHER}' } }\n  \
             b: { url: 'https://example.com/mcp', headers: { Authorization: 'Bearer ${secret:t}' }, when: { env: { OTHER: true } } }\nclients:\n  \
             claude-code: { servers: ['*'] }\n  cursor: { servers: ['*'] }\n  codex: { servers: ['*'] }\n  goose: { servers: ['*'] }\n  opencode: { servers: ['*'] }\n  zed: { servers: ['*'] }\n",
        );
        nest.run_everything(&canary);
    }
}

#[test]
fn a_secret_written_into_the_manifest_is_delivered_and_shown_nowhere() {
    for canary in canaries() {
        let mut nest = Nest::new();
        nest.plant(
            "mcp.yaml",
            "version: 1\nservers:\n  a: { command: a, args: ['--api-key=CANARY', --token, CANARY], env: { API_TOKEN: CANARY } } # API_KEY: CANARY\n  \
             b: { url: 'https://example.com/mcp?api_key=CANARY', headers: { Authorization: 'Bearer CANARY' } }\nclients:\n  cursor: { servers: ['*'] }\n  codex: { servers: ['*'] }\n  goose: { servers: ['*'] }\n",
            &canary,
        );
        // It is the user's wish that it stands there.
        for file in [".cursor/mcp.json", ".codex/config.toml", ".config/goose/config.yaml"] {
            nest.own.push(nest.home.path(file));
        }
        let ran = nest.home.run(&["validate"]);
        assert!(ran.err.contains("literal-secret"), "{}", ran.err);
        nest.run_everything(&canary);
        nest.run(&["apply", "--yes"], &canary);
        assert!(nest.home.read(".cursor/mcp.json").contains(&canary), "delivered as written");
        // Mistakes beside it.
        let manifest = nest.home.read("mcp.yaml");
        nest.home.write("mcp.yaml", manifest.replace("command: a", "comand: a"));
        nest.run_everything(&canary);
        nest.home.write("mcp.yaml", manifest.replace("version: 1", "version: 1\n  - ["));
        nest.run_everything(&canary);
    }
}

#[cfg(unix)]
#[test]
fn a_secret_in_a_store_shows_nowhere() {
    use std::os::unix::fs::PermissionsExt as _;
    for canary in canaries() {
        let mut nest = Nest::new();
        nest.plant("kept.txt", "CANARY\n", &canary);
        fs::set_permissions(nest.home.path("kept.txt"), fs::Permissions::from_mode(0o600)).expect("closed");
        // Where nobody listens, so that the bridge has something to complain about.
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        nest.home.write(
            "mcp.yaml",
            format!(
                "version: 1\nsecrets: {{ kept: {{ file: kept.txt }}, shown: {{ command: [cat, kept.txt] }}, fails: {{ command: [sh, -c, 'cat kept.txt >&2; exit 3'] }} }}\nservers:\n  \
                 local: {{ command: a, args: ['--key=${{secret:kept}}', '${{secret:shown}}'], env: {{ A: '${{secret:kept}}', B: 'x-${{secret:shown}}' }} }}\n  \
                 missing: {{ command: '/no/${{secret:kept}}', args: ['${{secret:kept}}'] }}\n  broken: {{ command: a, env: {{ A: '${{secret:fails}}' }} }}\n  \
                 remote: {{ url: 'http://me:${{secret:kept}}@127.0.0.1:{port}/${{secret:kept}}?key=${{secret:kept}}', headers: {{ Authorization: 'Bearer ${{secret:kept}}' }} }}\nclients:\n  \
                 cursor: {{ servers: [local, missing, remote], secrets: write }}\n  kiro: {{ servers: ['*'] }}\n  codex: {{ servers: ['*'] }}\n  goose: {{ servers: ['*'] }}\n"
            ),
        );
        // It is the user's wish that it stands there.
        nest.own.push(nest.home.path(".cursor/mcp.json"));
        nest.run_everything(&canary);
        nest.run(&["apply", "--yes"], &canary);
        assert!(nest.home.read(".cursor/mcp.json").contains(&canary), "written as asked");
        assert_eq!(mode(&nest.home.path(".cursor/mcp.json")), 0o600);

        // A client's hand, or the user's, puts it where it does not belong.
        let live = nest.home.read(".kiro/settings/mcp.json");
        nest.own.push(nest.home.path(".kiro/settings/mcp.json"));
        nest.home.write(
            ".kiro/settings/mcp.json",
            live.replacen("\"args\"", &format!("\"env\": {{\"A_TOKEN\": {canary:?}}}, \"args\""), 1),
        );
        nest.run_everything(&canary);
    }
}

#[cfg(unix)]
#[test]
fn a_secret_in_a_notice_that_cannot_be_told_shows_nowhere() {
    use std::os::unix::fs::PermissionsExt as _;
    for canary in canaries() {
        let mut nest = Nest::new();
        nest.plant("kept.txt", "CANARY\n", &canary);
        fs::set_permissions(nest.home.path("kept.txt"), fs::Permissions::from_mode(0o600)).expect("closed");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        nest.home.write(
            "mcp.yaml",
            format!(
                "version: 1\nsecrets: {{ kept: {{ file: kept.txt }} }}\nservers:\n  a: {{ command: a }}\nclients:\n  \
                 cursor: {{ servers: [a] }}\nsettings:\n  notify:\n    \
                 - {{ webhook: 'http://127.0.0.1:{port}/${{secret:kept}}', key: '${{secret:kept}}' }}\n    \
                 - {{ command: [no-such-program, '${{secret:kept}}'] }}\n"
            ),
        );
        nest.home.write(".cursor/mcp.json", "{ oops");
        nest.run(&["watch", "--once"], &canary);
        let said = nest.home.run(&["events"]).out;
        assert!(said.contains("notify[0]") && said.contains("notify[1]"), "{said}");
        nest.run(&["events", "--format", "json"], &canary);
    }
}

#[cfg(unix)]
#[test]
fn a_secret_behind_the_gateway_shows_to_no_client() {
    use crate::front::{Client, GATEWAY, House, wait_for};
    use std::os::unix::fs::PermissionsExt as _;
    for canary in canaries() {
        let Some(house) = House::new(GATEWAY) else { return };
        let kept = house.home.write("kept.txt", &canary);
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).expect("closed");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let text = house.home.read("mcp.yaml").replace(
            "servers:\n",
            &format!(
                "secrets: {{ kept: {{ file: kept.txt }} }}\nservers:\n  \
                 away: {{ url: 'http://me:${{secret:kept}}@127.0.0.1:{port}/${{secret:kept}}?key=${{secret:kept}}', headers: {{ Authorization: 'Bearer ${{secret:kept}}' }} }}\n  \
                 missing: {{ command: '/no/${{secret:kept}}', args: ['${{secret:kept}}'], env: {{ A: '${{secret:kept}}' }} }}\n"
            ),
        );
        house.home.write("mcp.yaml", text);
        let mut said = String::new();
        let mut client = Client::start(&house, "kiro");
        client.greet();
        client.tools(10);
        for server in ["away", "missing"] {
            let name = format!("{server}__x");
            said += &client.ask("tools/call", serde_json::json!({ "name": name })).to_string();
            for args in [&["call", &name][..], &["call", &name, "--json"], &["call", "x", "--server", server]]
            {
                let ran = house.home.run(args);
                assert_ne!(ran.code, 0, "{args:?}: {}", ran.out);
                said += &format!("{}{}", ran.out, ran.err);
            }
        }
        client.close();
        wait_for("its remarks", || client.child.try_wait().expect("it ended"));
        said += &client.remarks().concat();
        assert!(!said.contains(&canary), "{said}");
        for file in files(&house.home.home()).iter().filter(|file| **file != kept) {
            let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
            assert!(!text.contains(&canary), "{}: {text}", file.display());
        }
    }
}

#[test]
fn a_secret_that_is_moved_into_a_store_shows_nowhere() {
    for canary in canaries() {
        let mut nest = Nest::new();
        nest.plant(
            "mcp.yaml",
            "version: 1\nservers:\n  a: { command: a, args: ['--api-key=CANARY', --token, CANARY], env: { API_TOKEN: CANARY } }\n  \
             b: { url: 'https://example.com/mcp?api_key=CANARY', headers: { Authorization: 'Bearer CANARY' } }\nclients:\n  cursor: { servers: ['*'] }\n",
            &canary,
        );
        let without_comment: String =
            ENTRIES.lines().filter(|line| !line.contains("//")).collect::<Vec<_>>().join("\n");
        nest.plant(".cursor/mcp.json", &without_comment, &canary);
        nest.run(&["secret", "scan", "--move", "file", "--yes", "--format", "json"], &canary);
        assert!(!nest.home.read("mcp.yaml").contains(&canary), "it is in the store");
        nest.own.retain(|file| !file.ends_with("mcp.yaml"));
        for args in LOOKS {
            nest.run(args, &canary);
        }
        nest.run(&["secret", "verify"], &canary);
        nest.run(&["secret", "scan", "--move", "file", "--yes"], &canary);
        nest.run(&["apply", "--yes", "--adopt"], &canary);
    }
}
