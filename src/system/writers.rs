//! Who writes into a directory right now, as far as the platform tells.

use std::path::Path;
use std::time::Duration;

/// Who writes, and what it took to find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writers {
    /// As `name (PID)`, the youngest first.
    pub names: Vec<String>,
    /// How long the looking took: some milliseconds for a hundred processes.
    pub took: Duration,
}

/// Programs other than this one that have a file of this directory open for writing at this moment.
/// Empty where the platform does not tell: it is only known on Linux, and only of programs of the same
/// user. Whoever closes the file again within the time that the looking takes is easily missed.
pub fn writers_in(dir: &Path) -> Writers {
    #[cfg(target_os = "linux")]
    {
        let start = std::time::Instant::now();
        let names = linux::writers_in(dir);
        Writers { names, took: start.elapsed() }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = dir;
        Writers::default()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::Path;

    pub fn writers_in(dir: &Path) -> Vec<String> {
        let us = std::process::id();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut pids: Vec<u32> =
            processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        // A client is mostly younger than what the machine started by itself, and may close soon.
        pids.sort_unstable_by(|one, other| other.cmp(one));
        let mut found = Vec::new();
        for pid in pids.into_iter().filter(|pid| *pid != us) {
            let process = Path::new("/proc").join(pid.to_string());
            if writes_in(&process, dir) {
                found.push(format!("{} ({pid})", name_of(&process)));
            }
        }
        found
    }

    /// Whether a process has a file directly in the directory open for writing.
    fn writes_in(process: &Path, dir: &Path) -> bool {
        // Processes of others do not let us look.
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let in_dir = |path: &Path| fs::read_link(path).is_ok_and(|target| target.parent() == Some(dir));
        files
            .into_iter()
            .any(|file| in_dir(&file.path()) && is_writable(process, &file.file_name().to_string_lossy()))
    }

    fn is_writable(process: &Path, descriptor: &str) -> bool {
        let info = fs::read_to_string(process.join("fdinfo").join(descriptor)).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        // O_WRONLY is 1 and O_RDWR is 2, in octal.
        flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 3 != 0)
    }

    /// The program and, for an interpreter, its script: `node claude`.
    fn name_of(process: &Path) -> String {
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        let short = |part: &[u8]| {
            let text = String::from_utf8_lossy(part);
            Path::new(text.as_ref()).file_name().map(|name| name.to_string_lossy().into_owned())
        };
        let mut parts = arguments.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        let Some(program) = parts.next().and_then(short) else {
            return fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned();
        };
        let is_interpreter = ["node", "bun", "deno", "python", "ruby", "sh", "bash"]
            .iter()
            .any(|known| program.starts_with(known));
        // Only a script's own name: other arguments may hold anything.
        let script = parts.next().filter(|part| is_interpreter && !part.starts_with(b"-")).and_then(short);
        match script {
            Some(script) => format!("{program} {script}"),
            None => program,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_who_has_a_file_open_for_writing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().canonicalize().expect("there").join("mcp.json");
        let dir = path.parent().expect("its directory");
        assert_eq!(writers_in(dir).names, [""; 0]);
        let script = format!("exec 3>'{}'; echo ready; read line", path.display());
        let mut child = std::process::Command::new("sh")
            .args(["-c", &script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("its output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("it is ready");
        assert_eq!(writers_in(dir).names, [format!("sh ({})", child.id())]);
        drop(child.stdin.take());
        child.wait().expect("it ended");
        assert_eq!(writers_in(dir).names, [""; 0]);
    }
}
