//! The ways to a remote: a real sshd and a real `git http-backend` behind TLS, both on this machine.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Team, manifest};
use crate::secrets::tools::are_there;
use crate::stories::says;
use crate::support::{Ran, repo};

/// A server that ends with its test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(command: &mut Command) {
    let ran = command.output().expect("it starts");
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// An sshd that lets the user's new key in, and an `ssh` that knows both.
fn sshd(team: &Team) -> Option<Server> {
    let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists());
    if !are_there(&["ssh", "ssh-keygen"]) {
        return None;
    }
    let Some(sshd) = sshd else {
        are_there(&["sshd"]);
        return None;
    };
    // Where it runs as root it wants this directory, which its service would have made.
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        fs::create_dir_all("/run/sshd").expect("a directory");
    }
    for key in ["host", "user"] {
        let path = team.home.path(key);
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
    }
    let place = |name: &str| team.home.path(name).display().to_string();
    fs::copy(team.home.path("user.pub"), team.home.path("allowed")).expect("copied");
    let port = free_port();
    team.home.write(
        "sshd_config",
        format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
            place("host"),
            place("allowed"),
        ),
    );
    let known = team.home.read("host.pub");
    team.home.write("known", format!("[127.0.0.1]:{port} {known}"));
    team.home.write(
        "ssh_config",
        format!(
            "IdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {}\nGlobalKnownHostsFile \
             none\nStrictHostKeyChecking yes\n",
            place("user"),
            place("known"),
        ),
    );
    // The program asks the system for the user's home, and not HOME.
    let wrapper =
        team.home.write("bin/ssh", format!("#!/bin/sh\nexec ssh -F {} \"$@\"\n", place("ssh_config")));
    fs::set_permissions(wrapper, PermissionsExt::from_mode(0o755)).expect("may be run");
    let child = Command::new(sshd)
        .args(["-D", "-e", "-f", &place("sshd_config")])
        .stdin(Stdio::null())
        .stderr(fs::File::create(team.home.path("sshd.log")).expect("a log"))
        .spawn()
        .expect("sshd starts");
    let server = Server { child, port };
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "sshd does not answer: {}", team.home.read("sshd.log"));
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(server)
}

/// A port that the system hands to nobody by itself.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let start = 20_000 + u16::try_from(std::process::id() % 9000).expect("small");
    (start..32_000).find(is_free).expect("a free port")
}

fn by_ssh(team: &Team, args: &[&str]) -> Ran {
    let mut command = team.home.command(args);
    let ran = command.env("GIT_SSH", team.home.path("bin/ssh")).env("MCPKEEL_FETCH_TIMEOUT", "20").output();
    Ran::from(ran.expect("it starts"))
}

#[test]
fn fetches_over_ssh_with_the_users_configuration() {
    let team = Team::new(&manifest(1));
    let Some(server) = sshd(&team) else { return };
    let address = format!("ssh://127.0.0.1:{}{}", server.port, team.remote());
    team.home.write("mcp.yaml", format!("version: 1\nsource: {{ git: \"{address}\" }}\n"));
    let plan = by_ssh(&team, &["plan"]);
    assert_eq!(plan.code, 0, "{}{}{}", plan.out, plan.err, team.home.read("sshd.log"));
    assert!(plan.out.contains("echo version 1"), "{}", plan.out);
    let second = team.publish(&manifest(2));
    by_ssh(&team, &["plan", "--fetch"]).exits(0);
    assert_eq!(team.stands_at(), (second.clone(), None));
    // Nothing new is no trouble either.
    by_ssh(&team, &["plan", "--fetch"]).exits(0);
    // What ssh says is passed on: a repository that is not there, a key that is not let in, a host that changed.
    team.home.write("mcp.yaml", format!("version: 1\nsource: {{ git: \"{address}-gone\" }}\n"));
    says(&by_ssh(&team, &["plan"]).exits(0), "does not appear to be a git repository");
    team.home.write("mcp.yaml", format!("version: 1\nsource: {{ git: \"{address}\" }}\n"));
    team.home.write("allowed", "");
    says(&by_ssh(&team, &["plan", "--fetch"]).exits(0), "Permission denied");
    team.home.write("known", "");
    says(&by_ssh(&team, &["plan", "--fetch"]).exits(0), "Host key verification failed.");
    assert_eq!(team.stands_at(), (second, Some("FetchFailed".to_owned())));
}

#[test]
fn a_silent_ssh_is_given_up_and_ended() {
    let team = Team::new(&manifest(1));
    let pid = team.home.path("pid").display().to_string();
    let script = format!("#!/bin/sh\necho $$ > {pid}\nexec sleep 600\n");
    let silent = team.home.write("bin/ssh", script);
    fs::set_permissions(silent, PermissionsExt::from_mode(0o755)).expect("may be run");
    team.home.write("mcp.yaml", "version: 1\nsource: { git: \"me@nowhere.invalid:dots\" }\n");
    let mut command = team.home.command(&["plan"]);
    command.env("GIT_SSH", team.home.path("bin/ssh")).env("MCPKEEL_FETCH_TIMEOUT", "1");
    says(&Ran::from(command.output().expect("it starts")).exits(1), "it was silent for 1 s");
    let pid = team.home.read("pid");
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "ssh outlived us");
    says(&team.home.run(&["doctor"]).exits(1), "FetchFailed since ");
}

#[test]
fn says_that_ssh_is_not_installed() {
    let team = Team::new(&manifest(1));
    team.home.write("mcp.yaml", "version: 1\nsource: { git: \"me@nowhere.invalid:dots\" }\n");
    let mut command = team.home.command(&["plan"]);
    let ran = command.env("PATH", team.home.path("nothing")).output().expect("it starts");
    says(&Ran::from(ran).exits(1), "the program ssh is not installed");
}

/// A server that speaks git over TLS, with a certificate of an authority of its own.
fn https(team: &Team, login: Option<&str>) -> Option<Server> {
    if !are_there(&["openssl", "python3"]) {
        return None;
    }
    let openssl = |args: &[&str]| run(Command::new("openssl").args(args).current_dir(team.home.home()));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
        "-subj",
        "/CN=Test authority",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
    ]);
    openssl(&[
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "req.pem",
        "-subj",
        "/CN=localhost",
    ]);
    team.home.write("ext", "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
    openssl(&[
        "x509",
        "-req",
        "-in",
        "req.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "ext",
        "-out",
        "cert.pem",
    ]);
    let mut python = Command::new("python3");
    python.arg(repo().join("tests/source/https.py")).args(["team", "cert.pem", "key.pem"]).args(login);
    let mut child = python
        .current_dir(team.home.home())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut port = String::new();
    let out = child.stdout.take().expect("piped");
    BufReader::new(out).read_line(&mut port).expect("a port");
    Some(Server { child, port: port.trim().parse().expect("a port") })
}

fn by_https(team: &Team, args: &[&str]) -> Ran {
    let mut command = team.home.command(args);
    let ran = command
        .env("SSL_CERT_FILE", team.home.path("ca.pem"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("MCPKEEL_FETCH_TIMEOUT", "20")
        .output();
    Ran::from(ran.expect("it starts"))
}

fn name(team: &Team, address: &str) {
    team.home.write("mcp.yaml", format!("version: 1\nsource: {{ git: \"{address}\" }}\n"));
}

#[test]
fn fetches_over_https() {
    let team = Team::new(&manifest(1));
    let Some(server) = https(&team, None) else { return };
    let host = format!("https://localhost:{}", server.port);
    name(&team, &format!("{host}/team.git"));
    let plan = by_https(&team, &["plan"]).exits(0);
    assert!(plan.out.contains("echo version 1"), "{}", plan.out);
    // Enough commits for more than one round of talking.
    for version in 2..40 {
        team.commit(&[("mcp.yaml", &manifest(version))]);
    }
    team.push();
    let plan = by_https(&team, &["plan", "--fetch"]).exits(0);
    assert!(plan.out.contains("echo version 39"), "{}", plan.out);
    by_https(&team, &["plan", "--fetch"]).exits(0);
    let (tip, _) = team.stands_at();
    // A redirect on the same host is followed, another is not.
    name(&team, &format!("{host}/away/team.git"));
    by_https(&team, &["plan"]).exits(0);
    assert_eq!(team.stands_at(), (tip, None));
    name(&team, &format!("{host}/elsewhere/team.git"));
    says(&by_https(&team, &["plan"]).exits(0), "redirects to another place, https://elsewhere.invalid");
    name(&team, &format!("{host}/nothing.git"));
    says(&by_https(&team, &["plan"]).exits(0), "404 Not Found: there is no repository at this address");
    // Without the authority nobody vouches for the server.
    name(&team, &format!("{host}/team.git"));
    says(&team.home.run(&["plan", "--fetch"]).exits(0), "certificate");
}

#[test]
fn a_login_comes_from_gits_credential_helper_and_never_shows() {
    let team = Team::new(&manifest(1));
    let Some(server) = https(&team, Some("me:open-sesame-8472")) else { return };
    name(&team, &format!("https://localhost:{}/team.git", server.port));
    says(&by_https(&team, &["plan"]).exits(1), "git's credential helper has none");
    let helper = |password: &str| {
        let script =
            format!("#!/bin/sh\ntest \"$1\" = get || exit 0\necho username=me\necho password={password}\n");
        let path = team.home.write("helper", script);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("may be run");
        team.home.write(".gitconfig", format!("[credential]\n\thelper = {}\n", path.display()));
    };
    helper("wrong-7531");
    let refused = by_https(&team, &["plan"]).exits(1);
    says(&refused, "the login that git's credential helper knows does not open it");
    assert!(!refused.err.contains("wrong-7531"), "{}", refused.err);
    helper("open-sesame-8472");
    let plan = by_https(&team, &["plan"]).exits(0);
    assert!(plan.out.contains("echo version 1"), "{}", plan.out);
    let state = team.head().to_string();
    assert!(![&plan.out, &plan.err, &state].iter().any(|text| text.contains("open-sesame")), "{state}");
}

#[test]
fn a_silent_server_is_given_up() {
    let team = Team::new(&manifest(1));
    let Some(server) = https(&team, None) else { return };
    name(&team, &format!("https://localhost:{}/silent/team.git", server.port));
    let mut command = team.home.command(&["plan"]);
    command.env("SSL_CERT_FILE", team.home.path("ca.pem")).env("MCPKEEL_FETCH_TIMEOUT", "1");
    says(&Ran::from(command.output().expect("it starts")).exits(1), "it was silent for 1 s");
}
