//! A scheduled task of Windows, and what `schtasks` says about it.

use std::path::PathBuf;

use super::launchd::escaped;
use super::manager::{Manager, News, Reach, State, Step, ask, may, must};
use super::wanted::Service;
use crate::system::System;

const TASK: &str = "mcpkeel";

/// The task scheduler.
pub struct Tasks {
    /// The description that tasks are made from.
    pub file: PathBuf,
    /// `DOMAIN\user`.
    pub user: String,
}

impl Tasks {
    fn query(&self, system: &dyn System, shape: &[&str]) -> Option<String> {
        let (code, out) = ask(system, &[&["schtasks", "/Query", "/TN", TASK], shape].concat())?;
        (code == 0).then_some(out)
    }
}

impl Manager for Tasks {
    fn name(&self) -> &'static str {
        "the task scheduler"
    }

    fn file(&self) -> PathBuf {
        self.file.clone()
    }

    fn render(&self, service: &Service) -> Result<String, String> {
        if service.args().iter().chain(&[service.program.as_str()]).any(|text| text.contains('"')) {
            return Err("a path with a quote in it is none on Windows".to_owned());
        }
        Ok(task(service, &self.user))
    }

    /// UTF-16 with a mark, which is what `schtasks` reads.
    fn encode(&self, text: &str) -> Vec<u8> {
        let text = text.replace('\n', "\r\n");
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }

    fn decode(&self, bytes: &[u8]) -> String {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
        String::from_utf16_lossy(&units).trim_start_matches('\u{feff}').replace("\r\n", "\n")
    }

    fn is_taken(&self, system: &dyn System) -> bool {
        self.query(system, &[]).is_some()
    }

    fn reach(&self, system: &dyn System) -> Reach {
        if ask(system, &["schtasks", "/?"]).is_some() { Reach::Yes } else { Reach::Never }
    }

    fn to_install(&self, news: News, reach: Reach, start: bool) -> Vec<Step> {
        if reach != Reach::Yes {
            return Vec::new();
        }
        let file = self.file.display().to_string();
        let mut steps = vec![must(&["schtasks", "/Create", "/TN", TASK, "/XML", &file, "/F"])];
        if start {
            if news != News::Same {
                steps.push(may(&["schtasks", "/End", "/TN", TASK]));
            }
            steps.push(must(&["schtasks", "/Run", "/TN", TASK]));
        }
        steps
    }

    fn to_stop(&self, reach: Reach) -> Vec<Step> {
        match reach {
            // Both say so when there is no task.
            Reach::Yes => {
                vec![
                    may(&["schtasks", "/End", "/TN", TASK]),
                    may(&["schtasks", "/Delete", "/TN", TASK, "/F"]),
                ]
            }
            _ => Vec::new(),
        }
    }

    fn to_forget(&self, _reach: Reach) -> Vec<Step> {
        Vec::new()
    }

    fn look(&self, system: &dyn System) -> State {
        match self.query(system, &["/FO", "CSV", "/NH"]) {
            Some(line) => state(&line),
            None => State { running: Some(false), word: "no such task".to_owned(), ..State::default() },
        }
    }

    fn logs(&self) -> String {
        "mcpkeel events".to_owned()
    }

    fn start_by_hand(&self) -> String {
        format!("schtasks /Run /TN {TASK}")
    }
}

/// The task. A program with a console would open a window at every login, so `conhost` holds the console for it; and as
/// a task is restarted only when it could not be started, it is also tried every quarter of an hour.
fn task(service: &Service, user: &str) -> String {
    let line: Vec<String> =
        std::iter::once(service.program.as_str()).chain(service.args()).map(quoted).collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Author>mcpkeel</Author>
    <Description>Keeps every AI client's file in step with the manifest. {record}</Description>
    <URI>\{TASK}</URI>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Repetition>
        <Interval>PT15M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%SystemRoot%\System32\conhost.exe</Command>
      <Arguments>--headless {line}</Arguments>
    </Exec>
  </Actions>
</Task>
"#,
        record = escaped_record(service),
        user = escaped(user),
        line = escaped(&line.join(" ")),
    )
}

/// The record is read back as JSON, so what XML escapes is written as JSON escapes.
fn escaped_record(service: &Service) -> String {
    service.record().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

/// An argument as programs of Windows take their line apart. A path has no quotes in it.
fn quoted(text: &str) -> String {
    if !text.contains([' ', '\t']) {
        return text.to_owned();
    }
    // Backslashes in front of the closing quote would escape it.
    let tail = text.len() - text.trim_end_matches('\\').len();
    format!("\"{text}{}\"", "\\".repeat(tail))
}

/// A line of `/Query /FO CSV /NH`: name, next run, status. The status is in the language of the system; where it is not
/// English, nobody knows whether the task runs.
fn state(line: &str) -> State {
    let word = line.trim().rsplit("\",\"").next().unwrap_or_default().trim_matches('"').to_owned();
    let (enabled, running) = match word.as_str() {
        "Running" => (Some(true), Some(true)),
        "Ready" => (Some(true), Some(false)),
        "Disabled" => (Some(false), Some(false)),
        _ => (None, None),
    };
    State { enabled, running, word, ..State::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn tasks() -> Tasks {
        Tasks {
            file: PathBuf::from(r"C:\Users\me\AppData\Local\mcpkeel\watch-task.xml"),
            user: r"PC\me".to_owned(),
        }
    }

    fn service() -> Service {
        Service {
            program: r"C:\Program Files\mcpkeel\mcpkeel.exe".to_owned(),
            manifest: r"C:\R&D\mcp.yaml".to_owned(),
            state_dir: Some(r"D:\my state\".to_owned()),
            is_up: false,
            variables: BTreeMap::new(),
        }
    }

    #[test]
    fn a_task() {
        let expected = r#"<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Author>mcpkeel</Author>
    <Description>Keeps every AI client's file in step with the manifest. Written by `mcpkeel service install`: {"program":"C:\\Program Files\\mcpkeel\\mcpkeel.exe","manifest":"C:\\R\u0026D\\mcp.yaml","state_dir":"D:\\my state\\"}</Description>
    <URI>\mcpkeel</URI>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Repetition>
        <Interval>PT15M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <Enabled>true</Enabled>
      <UserId>PC\me</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>PC\me</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%SystemRoot%\System32\conhost.exe</Command>
      <Arguments>--headless &quot;C:\Program Files\mcpkeel\mcpkeel.exe&quot; watch --manifest C:\R&amp;D\mcp.yaml --state-dir &quot;D:\my state\\&quot;</Arguments>
    </Exec>
  </Actions>
</Task>
"#;
        assert_eq!(task(&service(), r"PC\me"), expected);
        assert_eq!(Service::recorded(expected), Some(service()));
    }

    #[test]
    fn is_stored_as_utf_16() {
        let bytes = tasks().encode("<ü>\n");
        assert_eq!(bytes, [0xFF, 0xFE, b'<', 0, 0xFC, 0, b'>', 0, b'\r', 0, b'\n', 0]);
        assert_eq!(tasks().decode(&bytes), "<ü>\n");
    }

    #[test]
    fn is_created_and_run() {
        let said = |news, start| -> Vec<String> {
            tasks().to_install(news, Reach::Yes, start).iter().map(|step| step.argv[1].clone()).collect()
        };
        assert_eq!(said(News::First, true), ["/Create", "/End", "/Run"]);
        assert_eq!(said(News::Same, true), ["/Create", "/Run"]);
        assert_eq!(said(News::Same, false), ["/Create"]);
    }

    #[test]
    fn reads_what_schtasks_says() {
        let running = state("\"\\mcpkeel\",\"N/A\",\"Running\"\r\n");
        assert_eq!((running.running, running.enabled), (Some(true), Some(true)));
        assert_eq!(state("\"\\mcpkeel\",\"N/A\",\"Disabled\"\r\n").enabled, Some(false));
        assert_eq!(state("\"\\mcpkeel\",\"N/A\",\"Wird ausgeführt\"\r\n").running, None);
    }
}
