//! The calls that no safe crate offers. Nothing else in the product is unsafe.
//!
//! Invariant: every block names why it is sound; pointers come from values that outlive the call,
//! and no call keeps one.
#![allow(unsafe_code)]

use std::io;
use std::sync::Mutex;

#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// Has git's library reach addresses that begin like this by a transport of ours.
///
/// # Errors
/// When there is one for them already.
pub fn register_transport(
    prefix: &str,
    make: impl Fn(&git2::Remote<'_>) -> Result<git2::transport::Transport, git2::Error> + Send + Sync + 'static,
) -> Result<(), git2::Error> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: the list of transports must not change while it is read or changed by others. It is changed here
    // alone, under the lock; the caller registers before it makes its first remote, and once in a process.
    unsafe { git2::transport::register(prefix, make) }
}

#[cfg(unix)]
mod unix {
    use std::mem::MaybeUninit;
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::ptr;
    use std::time::Duration;

    use super::*;

    /// Signals that must not end a process which is there to tidy up after others.
    const DEAF_TO: [libc::c_int; 6] =
        [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];

    extern "C" fn noted(_signal: libc::c_int) {}

    /// Has the end of a child interrupt [`wait_for_socket_or_child`], and nothing else; keeps signals that are meant
    /// for others away. For a process with one thread. What it starts needs [`hear_every_signal`].
    pub fn hear_children() -> io::Result<()> {
        let handler: extern "C" fn(libc::c_int) = noted;
        // SAFETY: `sigaction` is plain data, for which zeroes are a value; its mask is made empty as asked.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: the handler does nothing, so it may run at any moment; pointers live until the calls return.
        unsafe {
            check(libc::sigemptyset(&raw mut action.sa_mask))?;
            check(libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()))?;
        }
        for signal in DEAF_TO {
            // Whoever started us may ignore it; what we start shall not.
            // SAFETY: plain integers.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        let mut kept_away = set(&DEAF_TO)?;
        // SAFETY: the set was filled above and lives until the calls return.
        unsafe {
            check(libc::sigaddset(&raw mut kept_away, libc::SIGCHLD))?;
            check(libc::sigprocmask(libc::SIG_SETMASK, &raw const kept_away, ptr::null_mut()))
        }
    }

    /// Gives back the memory into which this program's file was read to start it: it is read again where it is needed.
    /// Pages of the file that were changed since stay.
    #[cfg(target_os = "linux")]
    pub fn forget_unused_code() {
        let Ok(program) = std::fs::read_link("/proc/self/exe") else { return };
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        for line in
            maps.lines().filter(|line| program.to_str().is_some_and(|program| line.ends_with(program)))
        {
            let mut parts = line.split_ascii_whitespace();
            let (range, rights, at) = (parts.next(), parts.next(), parts.next());
            // Code, and what stands before it: nobody writes there. What the loader has changed is mapped further on.
            let is_as_in_the_file =
                rights == Some("r-xp") || rights == Some("r--p") && at == Some("00000000");
            let range = range.and_then(|range| range.split_once('-'));
            let number = |text: &str| usize::from_str_radix(text, 16).ok();
            let Some((start, end)) = range.and_then(|(start, end)| Some((number(start)?, number(end)?)))
            else {
                continue;
            };
            if is_as_in_the_file {
                // SAFETY: the range is a private mapping of this program's file that is not writable and was never
                // written to (the loader changes other segments), so that reading it again gives the same bytes.
                unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
            }
        }
    }

    /// Gives free memory back to the system, which glibc's allocator does not do by itself.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub fn forget_free_memory() {
        // SAFETY: it only gives back pages that the allocator knows to be free.
        unsafe { libc::malloc_trim(0) };
    }

    /// Has a program hear every signal, whatever is kept away from us.
    pub fn hear_every_signal(command: &mut Command) -> io::Result<()> {
        let none = set(&[])?;
        // SAFETY: between fork and exec the closure makes one plain system call and allocates nothing; the set moved
        // into it.
        unsafe {
            command.pre_exec(move || {
                check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()))
            });
        }
        Ok(())
    }

    /// Waits until a socket can be read, a child has ended, or the time is over. Whether the socket can be read.
    pub fn wait_for_socket_or_child(socket: BorrowedFd<'_>, limit: Option<Duration>) -> io::Result<bool> {
        let number = socket.as_raw_fd();
        if usize::try_from(number).is_ok_and(|number| number >= libc::FD_SETSIZE) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let while_waiting = set(&DEAF_TO)?;
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `fd_set` is plain data, for which zeroes are a value.
        let mut watched: libc::fd_set = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the number is below FD_SETSIZE, so it has a place in the set; `socket` keeps it open; every
        // pointer is null or of a value that lives until the calls return.
        let outcome = unsafe {
            libc::FD_SET(number, &raw mut watched);
            libc::pselect(
                number + 1,
                &raw mut watched,
                ptr::null_mut(),
                ptr::null_mut(),
                limit,
                &raw const while_waiting,
            )
        };
        match check(outcome) {
            Ok(()) => Ok(outcome > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn set(signals: &[libc::c_int]) -> io::Result<libc::sigset_t> {
        // SAFETY: plain data, for which zeroes are a value.
        let mut set: libc::sigset_t = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the pointer is of a value that lives until the call returns.
        check(unsafe { libc::sigemptyset(&raw mut set) })?;
        for signal in signals {
            // SAFETY: as above.
            check(unsafe { libc::sigaddset(&raw mut set, *signal) })?;
        }
        Ok(set)
    }

    fn check(result: i32) -> io::Result<()> {
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Has a child lead a session of its own, so that what ends our terminal or our group does not end it.
#[cfg(unix)]
pub fn lead_a_session(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    let prepare = || Ok(rustix::process::setsid().map(drop)?);
    // SAFETY: between fork and exec the closure makes one plain system call and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}

/// The same where there are consoles instead of sessions.
#[cfg(windows)]
pub fn lead_a_session(command: &mut std::process::Command) {
    use std::os::windows::process::CommandExt as _;
    /// DETACHED_PROCESS and CREATE_NEW_PROCESS_GROUP.
    const APART: u32 = 0x0000_0008 | 0x0000_0200;
    command.creation_flags(APART);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    use super::*;

    /// From `asm-generic/fcntl.h`; the libc crate has no name for it.
    const F_SETSIG: libc::c_int = 10;

    /// Takes a read lease: refused with `EAGAIN` while anyone has the file open for writing.
    pub fn take_read_lease(file: &File) -> io::Result<()> {
        // The kernel tells the holder with a signal when a writer comes; the usual one would end
        // the process, SIGURG is ignored unless someone asks for it.
        // SAFETY: plain integers on a descriptor that `file` keeps open.
        check(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) })?;
        // SAFETY: as above.
        check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) })
    }

    /// Whether the lease still stands, with no writer waiting for it to be given back.
    pub fn has_read_lease(file: &File) -> bool {
        // SAFETY: plain integers on a descriptor that `file` keeps open.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) == libc::F_RDLCK }
    }

    /// Has the kernel ask a child to end when the thread that starts it is gone.
    pub fn end_with_parent(command: &mut Command) {
        let parent = getpid();
        let prepare = move || {
            set_parent_process_death_signal(Some(Signal::TERM))?;
            // We may be gone already, and then nobody would tell it.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        };
        // SAFETY: between fork and exec the closure makes two plain system calls and allocates nothing.
        unsafe { command.pre_exec(prepare) };
    }

    fn check(result: i32) -> io::Result<()> {
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::ffi::OsStrExt;
    use std::path::Path;
    use std::ptr;

    use windows_sys::Win32::Foundation::{CloseHandle, WAIT_TIMEOUT};
    use windows_sys::Win32::Storage::FileSystem::{
        MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW, ReplaceFileW,
    };
    use windows_sys::Win32::System::JobObjects::{
        AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    };
    use windows_sys::Win32::System::SystemInformation::GetTickCount64;
    use windows_sys::Win32::System::Threading::{
        GetCurrentProcess, OpenProcess, PROCESS_SYNCHRONIZE, WaitForSingleObject,
    };

    use super::*;

    #[link(name = "bcryptprimitives", kind = "raw-dylib")]
    unsafe extern "system" {
        fn ProcessPrng(data: *mut u8, length: usize) -> i32;
    }

    fn wide(path: &Path) -> Vec<u16> {
        path.as_os_str().encode_wide().chain([0]).collect()
    }

    fn check(result: i32) -> io::Result<()> {
        if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Puts this process, and so every program it starts from here on, into a job that the system ends
    /// when we end.
    pub fn end_children_with_us() -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        let size = u32::try_from(size_of_val(&limits)).unwrap_or(0);
        // SAFETY: no attributes and no name are allowed; the handle is checked below and never closed,
        // so the job lives as long as this process.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the pointer and the size are those of one value that lives until the call returns.
        check(unsafe {
            SetInformationJobObject(job, JobObjectExtendedLimitInformation, (&raw const limits).cast(), size)
        })?;
        // SAFETY: a job handle of ours and the constant handle of this process.
        check(unsafe { AssignProcessToJobObject(job, GetCurrentProcess()) })
    }

    /// Puts `new` in place of `live`, which moves to `aside`; attributes and access lists of `live`
    /// pass on to `new`.
    pub fn replace_file(live: &Path, new: &Path, aside: &Path) -> io::Result<()> {
        let (live, new, aside) = (wide(live), wide(new), wide(aside));
        // SAFETY: three texts that end in zero and live until the call returns; the reserved
        // pointers must be null.
        check(unsafe {
            ReplaceFileW(live.as_ptr(), new.as_ptr(), aside.as_ptr(), 0, ptr::null(), ptr::null())
        })
    }

    /// Moves a file, on the disk before it returns; over an existing one only when told.
    pub fn move_file(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let (from, to) = (wide(from), wide(to));
        let flags = MOVEFILE_WRITE_THROUGH | if replace { MOVEFILE_REPLACE_EXISTING } else { 0 };
        // SAFETY: two texts that end in zero and live until the call returns.
        check(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags) })
    }

    /// Whether a process runs.
    pub fn is_running(pid: u32) -> bool {
        // SAFETY: plain integers; the handle is closed before it is forgotten.
        unsafe {
            let handle = OpenProcess(PROCESS_SYNCHRONIZE, 0, pid);
            if handle.is_null() {
                return false;
            }
            let running = WaitForSingleObject(handle, 0) == WAIT_TIMEOUT;
            CloseHandle(handle);
            running
        }
    }

    /// Milliseconds since the machine started.
    pub fn uptime_milliseconds() -> u64 {
        // SAFETY: takes and keeps nothing.
        unsafe { GetTickCount64() }
    }

    /// Fills a buffer with random bytes.
    pub fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
        // SAFETY: the buffer is valid for its length. Documented never to fail.
        check(unsafe { ProcessPrng(bytes.as_mut_ptr(), bytes.len()) })
    }
}
