//! A systemd user unit, and what `systemctl` says about it.

use std::path::PathBuf;

use super::manager::{Manager, News, Reach, State, Step, ask, may, must};
use super::wanted::Service;
use crate::system::System;

const UNIT: &str = "mcpkeel.service";

/// systemd, as each user has one of their own.
pub struct Systemd {
    /// `~/.config`.
    pub config: PathBuf,
}

impl Manager for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn file(&self) -> PathBuf {
        self.config.join("systemd/user").join(UNIT)
    }

    fn leaves(&self) -> Vec<PathBuf> {
        // `disable` takes it away; where there is no systemctl, nobody else does.
        vec![self.config.join("systemd/user/default.target.wants").join(UNIT)]
    }

    fn render(&self, service: &Service) -> Result<String, String> {
        unit(service)
    }

    fn reach(&self, system: &dyn System) -> Reach {
        match ask(system, &["systemctl", "--user", "is-system-running"]) {
            Some((_, word)) => reach(&word),
            None => Reach::Never,
        }
    }

    fn to_install(&self, news: News, reach: Reach, start: bool) -> Vec<Step> {
        let enable = must(&["systemctl", "--user", "enable", UNIT]);
        match reach {
            Reach::Never => Vec::new(),
            Reach::Later => vec![enable],
            Reach::Yes => {
                let mut steps = vec![must(&["systemctl", "--user", "daemon-reload"]), enable];
                if start {
                    // One that gave up after too many failures starts again.
                    steps.push(may(&["systemctl", "--user", "reset-failed", UNIT]));
                    let verb = if news == News::Same { "start" } else { "restart" };
                    steps.push(must(&["systemctl", "--user", verb, UNIT]));
                }
                steps
            }
        }
    }

    fn to_stop(&self, reach: Reach) -> Vec<Step> {
        match reach {
            Reach::Yes => vec![must(&["systemctl", "--user", "disable", "--now", UNIT])],
            Reach::Later => vec![may(&["systemctl", "--user", "disable", UNIT])],
            Reach::Never => Vec::new(),
        }
    }

    fn to_forget(&self, reach: Reach) -> Vec<Step> {
        if reach != Reach::Yes {
            return Vec::new();
        }
        vec![
            must(&["systemctl", "--user", "daemon-reload"]),
            // It says so when there was no failure to forget.
            may(&["systemctl", "--user", "reset-failed", UNIT]),
        ]
    }

    fn look(&self, system: &dyn System) -> State {
        let show = ["systemctl", "--user", "--timestamp=utc", "show", UNIT, "--property"];
        let wanted = "ActiveState,SubState,Result,MainPID,ActiveEnterTimestamp,UnitFileState";
        match ask(system, &[&show[..], &[wanted]].concat()) {
            Some((0, shown)) => state(&shown),
            // Without a manager the links on the disk still say whether it is enabled.
            _ => {
                let asked = ask(system, &["systemctl", "--user", "is-enabled", UNIT]);
                State { enabled: asked.map(|(_, word)| word.trim() == "enabled"), ..State::default() }
            }
        }
    }

    fn logs(&self) -> String {
        "journalctl --user -u mcpkeel".to_owned()
    }

    fn start_by_hand(&self) -> String {
        "systemctl --user daemon-reload && systemctl --user start mcpkeel".to_owned()
    }
}

/// The unit.
///
/// There is no sandbox in it, on purpose. The service writes wherever a client keeps its file; it starts password
/// managers, of which some are set-group-id and some make code as they run; it speaks to agents whose sockets lie in
/// `/tmp`. `NoNewPrivileges`, `MemoryDenyWriteExecute`, `PrivateTmp` and `ProtectHome` each break one of those, and the
/// other switches imply one of these in a user's manager.
fn unit(service: &Service) -> Result<String, String> {
    if service.program.contains(['"', '\'', '\\']) {
        return Err(format!(
            "systemd cannot start {}: it refuses programs with a quote or a backslash in their path",
            service.program
        ));
    }
    let mut command = vec![quoted(&service.program.replace('%', "%%"))];
    command.extend(service.args().into_iter().map(argument));
    let environment: String = service
        .variables
        .iter()
        .map(|(name, value)| {
            format!("Environment={}\n", quoted(&format!("{name}={value}").replace('%', "%%")))
        })
        .collect();
    Ok(format!(
        "# {record}
# Your own settings go into `systemctl --user edit mcpkeel`; `mcpkeel service install` writes this file anew.

[Unit]
Description=mcpkeel keeps every AI client's file in step with the manifest
StartLimitIntervalSec=600
StartLimitBurst=20

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=kill -HUP $MAINPID
{environment}Restart=on-failure
RestartSec=10
# Wrong usage stays wrong.
RestartPreventExitStatus=64
WatchdogSec=120
TimeoutStartSec=60
TimeoutStopSec=30
# A run that is under way ends by itself, with the programs that it started.
KillMode=mixed
Nice=5
MemoryHigh=256M
TasksMax=256
# Secrets that are held for a moment stay out of core dumps.
LimitCORE=0

[Install]
WantedBy=default.target
",
        record = service.record(),
        command = command.join(" "),
    ))
}

/// An argument, in which `%` and `$` stand for themselves. The program itself knows no variables, so there a `$` is one.
fn argument(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c)) {
        return text.to_owned();
    }
    quoted(&text.replace('%', "%%").replace('$', "$$"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What `is-system-running` says; it says `offline` where there is no bus to the manager.
fn reach(word: &str) -> Reach {
    match word.trim() {
        "initializing" | "starting" | "running" | "degraded" | "maintenance" => Reach::Yes,
        _ => Reach::Later,
    }
}

/// What `show` prints.
fn state(shown: &str) -> State {
    let value = |name: &str| {
        let of = |line: &str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        shown.lines().find_map(of).unwrap_or_default()
    };
    let (active, sub, result) = (value("ActiveState"), value("SubState"), value("Result"));
    let running = matches!(active.as_str(), "active" | "reloading" | "activating");
    let word = match active.as_str() {
        "" | "inactive" => String::new(),
        "failed" => format!("failed ({result})"),
        _ => format!("{active} ({sub})"),
    };
    State {
        enabled: match value("UnitFileState").as_str() {
            "" => None,
            word => Some(word == "enabled"),
        },
        running: Some(running),
        pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
        since: running.then(|| rfc3339(&value("ActiveEnterTimestamp"))).flatten(),
        word,
    }
}

/// `Thu 2026-11-26 14:53:56 UTC` as `2026-11-26T14:53:56Z`.
fn rfc3339(said: &str) -> Option<String> {
    let mut words = said.split_whitespace().skip(1);
    let (day, time, zone) = (words.next()?, words.next()?, words.next()?);
    (zone == "UTC").then(|| format!("{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn service() -> Service {
        Service {
            program: "/home/me/.cargo/bin/mcpkeel".to_owned(),
            manifest: "/home/me/dotfiles/mcp.yaml".to_owned(),
            state_dir: None,
            is_up: false,
            variables: BTreeMap::from([("PATH".to_owned(), "/home/me/bin:/usr/bin".to_owned())]),
        }
    }

    #[test]
    fn a_unit() {
        let expected = r#"# Written by `mcpkeel service install`: {"program":"/home/me/.cargo/bin/mcpkeel","manifest":"/home/me/dotfiles/mcp.yaml","variables":{"PATH":"/home/me/bin:/usr/bin"}}
# Your own settings go into `systemctl --user edit mcpkeel`; `mcpkeel service install` writes this file anew.

[Unit]
Description=mcpkeel keeps every AI client's file in step with the manifest
StartLimitIntervalSec=600
StartLimitBurst=20

[Service]
Type=notify
NotifyAccess=main
ExecStart="/home/me/.cargo/bin/mcpkeel" watch --manifest /home/me/dotfiles/mcp.yaml
ExecReload=kill -HUP $MAINPID
Environment="PATH=/home/me/bin:/usr/bin"
Restart=on-failure
RestartSec=10
# Wrong usage stays wrong.
RestartPreventExitStatus=64
WatchdogSec=120
TimeoutStartSec=60
TimeoutStopSec=30
# A run that is under way ends by itself, with the programs that it started.
KillMode=mixed
Nice=5
MemoryHigh=256M
TasksMax=256
# Secrets that are held for a moment stay out of core dumps.
LimitCORE=0

[Install]
WantedBy=default.target
"#;
        assert_eq!(unit(&service()).expect("a unit"), expected);
    }

    #[test]
    fn what_systemd_would_read_otherwise_is_escaped() {
        let odd = Service {
            program: "/opt/50% $HOME/mcpkeel".to_owned(),
            manifest: r#"/home/me/a "b" 'c' \d $e %h ;/mcp.yaml"#.to_owned(),
            state_dir: Some("/state/${x}".to_owned()),
            is_up: false,
            variables: BTreeMap::from([("PATH".to_owned(), r#"/a b:/$HOME:/50%:/"q"\"#.to_owned())]),
        };
        let unit = unit(&odd).expect("a unit");
        let line = |name: &str| unit.lines().find(|line| line.starts_with(name)).expect("a line").to_owned();
        assert_eq!(
            line("ExecStart="),
            r#"ExecStart="/opt/50%% $HOME/mcpkeel" watch --manifest "/home/me/a \"b\" 'c' \\d $$e %%h ;/mcp.yaml" --state-dir "/state/$${x}""#
        );
        assert_eq!(line("Environment="), r#"Environment="PATH=/a b:/$HOME:/50%%:/\"q\"\\""#);
        let cannot = Service { program: "/opt/it's/mcpkeel".to_owned(), ..service() };
        assert!(super::unit(&cannot).expect_err("systemd refuses it").contains("it's"));
    }

    #[test]
    fn a_changed_unit_is_restarted_and_one_that_cannot_be_reached_is_only_enabled() {
        let systemd = Systemd { config: PathBuf::from("/home/me/.config") };
        let said = |news, reach, start| -> Vec<String> {
            systemd.to_install(news, reach, start).iter().map(|step| step.argv[2..].join(" ")).collect()
        };
        let all = ["daemon-reload", "enable mcpkeel.service", "reset-failed mcpkeel.service"];
        assert_eq!(said(News::Changed, Reach::Yes, true)[..3], all);
        assert_eq!(said(News::Changed, Reach::Yes, true)[3], "restart mcpkeel.service");
        assert_eq!(said(News::Same, Reach::Yes, true)[3], "start mcpkeel.service");
        assert_eq!(said(News::First, Reach::Yes, false), all[..2]);
        assert_eq!(said(News::First, Reach::Later, true), all[1..2]);
        assert_eq!(said(News::First, Reach::Never, true), [""; 0]);
    }

    #[test]
    fn reads_what_systemctl_says() {
        let shown = "MainPID=25\nResult=success\nUnitFileState=enabled\nActiveState=active\nSubState=running\n\
                     ActiveEnterTimestamp=Thu 2026-11-26 14:53:56 UTC\n";
        let expected = State {
            enabled: Some(true),
            running: Some(true),
            pid: Some(25),
            since: Some("2026-11-26T14:53:56Z".to_owned()),
            word: "active (running)".to_owned(),
        };
        assert_eq!(state(shown), expected);
        let failed = "MainPID=0\nResult=exit-code\nUnitFileState=disabled\nActiveState=failed\nSubState=failed\nActiveEnterTimestamp=\n";
        let expected = State {
            enabled: Some(false),
            running: Some(false),
            word: "failed (exit-code)".to_owned(),
            ..State::default()
        };
        assert_eq!(state(failed), expected);
        assert_eq!(["running\n", "degraded\n", "offline\n", ""].map(reach), {
            use Reach::{Later, Yes};
            [Yes, Yes, Later, Later]
        });
    }
}
