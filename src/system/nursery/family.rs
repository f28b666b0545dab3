//! Which processes are the nursery's children, and which server they came from.

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

/// Every program gets this variable, and passes it on to what it starts: how a process that left its group is
/// told from one of another server.
pub const MARK: &str = "MCPKEEL_CHILD";

/// Has the system hand us the processes whose parents have ended, below us.
#[cfg(target_os = "linux")]
pub fn adopt() {
    // Kernels older than 3.4 cannot, and then it is as on systems that have no such thing.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

#[cfg(not(target_os = "linux"))]
pub fn adopt() {}

/// Our children, adopted ones among them.
#[cfg(target_os = "linux")]
pub fn children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero();
    let listed = std::fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let pids: Vec<i32> = match listed {
        Ok(listed) => listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        // Not every kernel is built with it.
        Err(_) => children_of(own.get()),
    };
    pids.into_iter().filter_map(Pid::from_raw).collect()
}

/// Without adoption there are only those that we know.
#[cfg(not(target_os = "linux"))]
pub fn children() -> Vec<Pid> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn children_of(parent: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before it may hold anything, parentheses too.
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        after.split(' ').nth(1).and_then(|text| text.parse().ok()) == Some(parent)
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_child).collect()
}

/// What a process was marked with when it was started; none if that cannot be read or was taken away.
#[cfg(target_os = "linux")]
pub fn mark_of(pid: Pid) -> Option<Vec<u8>> {
    let environ =
        zeroize::Zeroizing::new(std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?);
    let mark = environ
        .split(|byte| *byte == 0)
        .find_map(|pair| pair.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")));
    mark.map(<[u8]>::to_vec)
}

#[cfg(not(target_os = "linux"))]
pub fn mark_of(_pid: Pid) -> Option<Vec<u8>> {
    None
}

/// Whether anything of this group is left, a process that was not waited for included.
pub fn has_members(group: Pid) -> bool {
    test_kill_process_group(group) != Err(rustix::io::Errno::SRCH)
}

pub fn signal_group(group: Pid, signal: Signal) {
    // It may be gone already.
    let _ = kill_process_group(group, signal);
}

pub fn signal_one(pid: Pid, signal: Signal) {
    // It may be gone already; its number is not given away before we wait for it.
    let _ = kill_process(pid, signal);
}
