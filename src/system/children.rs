//! Children that must not outlive us.

use std::io;
use std::process::Command;

/// How a child and what it started are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It may tidy up.
    Asked,
    /// It may not.
    Forced,
}

/// Prepares a child to lead a process group of its own and to be asked to end when we are gone, however we
/// went. Call it from the thread that will outlive the child: Linux goes by the thread.
///
/// # Errors
/// Whatever the system says; only Windows asks it at this point.
pub fn keep_close(command: &mut Command) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(target_os = "linux")]
    super::unsafe_calls::end_with_parent(command);
    #[cfg(windows)]
    {
        let _ = command;
        super::unsafe_calls::end_children_with_us()?;
    }
    Ok(())
}

/// Ends the group that this child leads. The child must not have been waited for. Does nothing on systems
/// without process groups.
pub fn end_group(leader: u32, ending: Ending) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw) {
        use rustix::process::Signal;
        let signal = match ending {
            Ending::Asked => Signal::TERM,
            Ending::Forced => Signal::KILL,
        };
        // It may be gone already.
        let _ = rustix::process::kill_process_group(group, signal);
    }
    #[cfg(not(unix))]
    let _ = (leader, ending);
}
