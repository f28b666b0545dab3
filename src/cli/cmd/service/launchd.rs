//! A launchd agent, and what `launchctl` says about it.

use std::path::PathBuf;

use super::manager::{Manager, News, Reach, State, Step, ask, may, must};
use super::wanted::Service;
use crate::system::System;

const LABEL: &str = "dev.mcpkeel.watch";

/// launchd, in the graphical session of one user.
pub struct Launchd {
    /// The home directory.
    pub home: PathBuf,
    /// The state directory, and the one in it where what it says is kept.
    pub dirs: [PathBuf; 2],
    /// The user's number.
    pub uid: String,
}

impl Launchd {
    fn domain(&self) -> String {
        format!("gui/{}", self.uid)
    }

    fn target(&self) -> String {
        format!("gui/{}/{LABEL}", self.uid)
    }

    fn log(&self) -> String {
        self.dirs[1].join("watch.log").display().to_string()
    }
}

impl Manager for Launchd {
    fn name(&self) -> &'static str {
        "launchd"
    }

    fn file(&self) -> PathBuf {
        self.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
    }

    fn needs(&self) -> &[PathBuf] {
        &self.dirs
    }

    fn render(&self, service: &Service) -> Result<String, String> {
        Ok(plist(service, &self.log()))
    }

    fn reach(&self, system: &dyn System) -> Reach {
        match ask(system, &["launchctl", "print", &self.domain()]) {
            Some((0, _)) => Reach::Yes,
            // Over ssh, with nobody at the screen.
            Some(_) => Reach::Later,
            None => Reach::Never,
        }
    }

    fn to_install(&self, news: News, reach: Reach, start: bool) -> Vec<Step> {
        if reach != Reach::Yes || !start {
            return Vec::new();
        }
        let (domain, target, file) = (self.domain(), self.target(), self.file().display().to_string());
        // It forgets what was disabled by hand.
        let enable = may(&["launchctl", "enable", &target]);
        if news == News::Same {
            // It fails when it is loaded, and that is all that `kickstart` needs.
            let load = may(&["launchctl", "bootstrap", &domain, &file]);
            return vec![enable, load, must(&["launchctl", "kickstart", &target])];
        }
        vec![
            may(&["launchctl", "bootout", &target]),
            enable,
            // The old one may take a while to end, and until then the new one cannot be loaded.
            Step { tries: 40, ..must(&["launchctl", "bootstrap", &domain, &file]) },
        ]
    }

    fn to_stop(&self, reach: Reach) -> Vec<Step> {
        // It fails when the agent is not loaded.
        if reach == Reach::Yes { vec![may(&["launchctl", "bootout", &self.target()])] } else { Vec::new() }
    }

    fn to_forget(&self, _reach: Reach) -> Vec<Step> {
        Vec::new()
    }

    fn look(&self, system: &dyn System) -> State {
        match ask(system, &["launchctl", "print", &self.target()]) {
            Some((0, printed)) => state(&printed),
            Some(_) => State { running: Some(false), word: "not loaded".to_owned(), ..State::default() },
            None => State::default(),
        }
    }

    fn logs(&self) -> String {
        format!("tail -f '{}'", self.log())
    }

    fn start_by_hand(&self) -> String {
        format!("launchctl bootstrap {} '{}'", self.domain(), self.file().display())
    }
}

/// The agent.
fn plist(service: &Service, log: &str) -> String {
    let string = |text: &str| format!("<string>{}</string>", escaped(text));
    let args: String = std::iter::once(service.program.as_str())
        .chain(service.args())
        .map(|arg| format!("        {}\n", string(arg)))
        .collect();
    let variables: String = service
        .variables
        .iter()
        .map(|(name, value)| format!("        <key>{}</key>\n        {}\n", escaped(name), string(value)))
        .collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- {record} -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array>
{args}    </array>
    <key>EnvironmentVariables</key>
    <dict>
{variables}    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ThrottleInterval</key>
    <integer>10</integer>
    <key>ExitTimeOut</key>
    <integer>30</integer>
    <key>ProcessType</key>
    <string>Background</string>
    <key>StandardErrorPath</key>
    {log}
</dict>
</plist>
"#,
        record = service.record(),
        log = string(log),
    )
}

/// Text in XML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What `launchctl print` says of a loaded agent.
fn state(printed: &str) -> State {
    let value = |name: &str| {
        let of = |line: &str| Some(line.trim().strip_prefix(name)?.strip_prefix(" = ")?.to_owned());
        printed.lines().find_map(of)
    };
    let word = value("state").unwrap_or_default();
    State {
        // Loaded from its directory, it is loaded at every login.
        enabled: Some(true),
        running: Some(word == "running"),
        pid: value("pid").and_then(|pid| pid.parse().ok()),
        since: None,
        word,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_agent() {
        let service = Service {
            program: "/opt/homebrew/bin/mcpkeel".to_owned(),
            manifest: "/Users/me/R&D <x>/--/mcp.yaml".to_owned(),
            state_dir: Some("/Volumes/state".to_owned()),
            is_up: false,
            variables: BTreeMap::from([("PATH".to_owned(), "/opt/homebrew/bin:/usr/bin".to_owned())]),
        };
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `mcpkeel service install`: {"program":"/opt/homebrew/bin/mcpkeel","manifest":"/Users/me/R&D <x>/-\u002d/mcp.yaml","state_dir":"/Volumes/state","variables":{"PATH":"/opt/homebrew/bin:/usr/bin"}} -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>dev.mcpkeel.watch</string>
    <key>ProgramArguments</key>
    <array>
        <string>/opt/homebrew/bin/mcpkeel</string>
        <string>watch</string>
        <string>--manifest</string>
        <string>/Users/me/R&amp;D &lt;x&gt;/--/mcp.yaml</string>
        <string>--state-dir</string>
        <string>/Volumes/state</string>
    </array>
    <key>EnvironmentVariables</key>
    <dict>
        <key>PATH</key>
        <string>/opt/homebrew/bin:/usr/bin</string>
    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ThrottleInterval</key>
    <integer>10</integer>
    <key>ExitTimeOut</key>
    <integer>30</integer>
    <key>ProcessType</key>
    <string>Background</string>
    <key>StandardErrorPath</key>
    <string>/Users/me/state &amp; logs/watch.log</string>
</dict>
</plist>
"#;
        assert_eq!(plist(&service, "/Users/me/state & logs/watch.log"), expected);
        assert_eq!(Service::recorded(expected), Some(service));
    }

    #[test]
    fn a_changed_agent_is_unloaded_first() {
        let home = PathBuf::from("/Users/me");
        let launchd =
            Launchd { dirs: [home.join("state"), home.join("state/logs")], home, uid: "502".to_owned() };
        let said = |news, reach, start| -> Vec<String> {
            launchd.to_install(news, reach, start).iter().map(|step| step.argv[1..].join(" ")).collect()
        };
        let load = "bootstrap gui/502 /Users/me/Library/LaunchAgents/dev.mcpkeel.watch.plist";
        assert_eq!(
            said(News::Changed, Reach::Yes, true),
            ["bootout gui/502/dev.mcpkeel.watch", "enable gui/502/dev.mcpkeel.watch", load]
        );
        assert_eq!(said(News::Same, Reach::Yes, true)[1], load);
        assert_eq!(said(News::First, Reach::Yes, false), [""; 0]);
        assert_eq!(said(News::First, Reach::Later, true), [""; 0]);
    }

    #[test]
    fn reads_what_launchctl_says() {
        let printed = "gui/502/dev.mcpkeel.watch = {\n\tactive count = 1\n\tstate = running\n\n\tprogram = /x\n\tpid = 812\n\n\tspawn type = background (5)\n}\n";
        let running = state(printed);
        assert_eq!((running.running, running.pid, running.word.as_str()), (Some(true), Some(812), "running"));
        let ended = state("{\n\tstate = not running\n\tlast exit code = 3\n}\n");
        assert_eq!((ended.running, ended.pid), (Some(false), None));
    }
}
