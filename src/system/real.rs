use std::fs::{self, File, OpenOptions, TryLockError};
#[cfg(not(windows))]
use std::io::Read;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{FileId, Kind, Lock, Meta, Quiet, Swap, System};

/// The machine this runs on.
///
/// Invariant: writes replace or append, never truncate; a failed call has changed nothing, save
/// `create_new`, which may leave part of a file that only its caller knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

struct FileLock(#[allow(dead_code, reason = "held for its drop")] File);

impl Lock for FileLock {}

#[cfg(target_os = "linux")]
struct FileLease(File);

#[cfg(target_os = "linux")]
impl super::Lease for FileLease {
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.0).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn id(&self) -> Option<FileId> {
        file_id(&self.0.metadata().ok()?)
    }

    fn is_wanted(&self) -> bool {
        !super::unsafe_calls::has_read_lease(&self.0)
    }
}

impl System for Real {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn meta(&self, path: &Path) -> io::Result<Meta> {
        let meta = fs::symlink_metadata(path)?;
        let kind = match meta.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Dir,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        let (mode, owner, links) = unix_parts(&meta);
        Ok(Meta { kind, len: meta.len(), mode, owner, links, modified: meta.modified()?, id: file_id(&meta) })
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    #[cfg(target_os = "linux")]
    fn lease(&self, path: &Path) -> io::Result<Quiet> {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Ok(match super::unsafe_calls::take_read_lease(&file) {
            Ok(()) => Quiet::Leased(Box::new(FileLease(file))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Quiet::Busy,
            // Someone else's file, or a file system without leases.
            Err(_) => Quiet::Unknown,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn lease(&self, path: &Path) -> io::Result<Quiet> {
        fs::symlink_metadata(path)?;
        Ok(Quiet::Unknown)
    }

    fn create_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        with_mode(OpenOptions::new().write(true).create_new(true), mode).open(path)?.write_all(bytes)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        with_mode(OpenOptions::new().append(true).create(true), 0o600).open(path)?.write_all(bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        return File::open(path)?.sync_all();
        #[cfg(not(unix))]
        {
            // A directory cannot be flushed on Windows; its entries are written through by the moves.
            if fs::metadata(path)?.is_dir() {
                return Ok(());
            }
            OpenOptions::new().write(true).open(path)?.sync_all()
        }
    }

    fn copy_attributes(&self, from: &Path, to: &Path) -> io::Result<()> {
        copy_attributes(from, to)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
        #[cfg(not(unix))]
        {
            // The user's profile directory is private by its access list already.
            let _ = (path, mode);
            Ok(())
        }
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<Swap> {
        exchange(a, b)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(windows)]
        return super::unsafe_calls::move_file(from, to, true);
        #[cfg(not(windows))]
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            fs::DirBuilder::new().mode(mode).create(path)
        }
        #[cfg(not(unix))]
        {
            let _ = mode;
            fs::create_dir(path)
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn create_link(&self, target: &Path, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::symlink(target, path);
        #[cfg(not(unix))]
        {
            let _ = (target, path);
            Err(io::Error::new(io::ErrorKind::Unsupported, "links need a right here that users do not have"))
        }
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        #[cfg(windows)]
        let file = {
            use std::os::windows::fs::OpenOptionsExt;
            const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
            const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
            OpenOptions::new()
                .access_mode(FILE_WRITE_ATTRIBUTES)
                .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
                .open(path)?
        };
        #[cfg(not(windows))]
        let file = File::open(path)?;
        file.set_modified(SystemTime::now())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut options = OpenOptions::new();
        let file =
            with_mode(options.read(true).write(true).create(true).truncate(false), 0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(FileLock(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn home(&self) -> Option<PathBuf> {
        std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
    }

    fn user(&self) -> String {
        ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| self.env(name)).unwrap_or_else(|| {
            #[cfg(unix)]
            return rustix::process::getuid().as_raw().to_string();
            #[cfg(not(unix))]
            return String::new();
        })
    }

    fn host(&self) -> String {
        #[cfg(unix)]
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        #[cfg(not(unix))]
        let name = self.env("COMPUTERNAME").unwrap_or_default().to_lowercase();
        name.split('.').next().unwrap_or_default().to_owned()
    }

    fn os(&self) -> &'static str {
        std::env::consts::OS
    }

    fn cwd(&self) -> io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn ticks(&self) -> Duration {
        ticks()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn boot_id(&self) -> String {
        boot_id()
    }

    fn is_running(&self, pid: u32) -> bool {
        is_running(pid)
    }

    fn random(&self) -> io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        #[cfg(windows)]
        super::unsafe_calls::fill_random(&mut bytes)?;
        #[cfg(not(windows))]
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn with_mode(options: &mut OpenOptions, mode: u32) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(mode)
}

#[cfg(not(unix))]
fn with_mode(options: &mut OpenOptions, _mode: u32) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn file_id(meta: &fs::Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn file_id(_meta: &fs::Metadata) -> Option<FileId> {
    None
}

#[cfg(unix)]
fn unix_parts(meta: &fs::Metadata) -> (u32, Option<(u32, u32)>, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.mode() & 0o7777, Some((meta.uid(), meta.gid())), meta.nlink())
}

#[cfg(not(unix))]
fn unix_parts(meta: &fs::Metadata) -> (u32, Option<(u32, u32)>, u64) {
    (if meta.permissions().readonly() { 0o444 } else { 0o644 }, None, 1)
}

#[cfg(unix)]
fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (old, new) = (fs::metadata(from)?, fs::metadata(to)?);
    // The owner first: changing it may clear permission bits.
    let owner = (old.uid() != new.uid()).then_some(old.uid());
    let group = (old.gid() != new.gid()).then_some(old.gid());
    if owner.is_some() || group.is_some() {
        std::os::unix::fs::chown(to, owner, group)?;
    }
    fs::set_permissions(to, fs::Permissions::from_mode(old.mode() & 0o7777))?;
    copy_xattrs(from, to)
}

/// Copies extended attributes, access lists among them. What the system labels by itself
/// (`security.*`, `trusted.*`, `com.apple.*`) may be refused to us, and is then left to it.
#[cfg(unix)]
fn copy_xattrs(from: &Path, to: &Path) -> io::Result<()> {
    let names = match xattr::list(from) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        Err(error) => return Err(error),
    };
    for name in names {
        let Some(value) = xattr::get(from, &name)? else { continue };
        if xattr::get(to, &name).is_ok_and(|present| present.as_deref() == Some(&value[..])) {
            continue;
        }
        let text = name.to_string_lossy();
        let is_label = ["security.", "trusted.", "com.apple."].iter().any(|label| text.starts_with(label));
        match xattr::set(to, &name, &value) {
            Err(_) if is_label => {}
            other => other?,
        }
    }
    Ok(())
}

/// `ReplaceFileW` passes attributes and access lists on by itself.
#[cfg(not(unix))]
fn copy_attributes(_from: &Path, _to: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(a: &Path, b: &Path) -> io::Result<Swap> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(Swap::Exchanged),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(Swap::Unsupported),
        Err(error) => Err(error.into()),
    }
}

/// Three names instead of two: between the two steps the old file lies at `<a>.old`, where recovery
/// finds it.
#[cfg(windows)]
fn exchange(a: &Path, b: &Path) -> io::Result<Swap> {
    let mut aside = a.as_os_str().to_owned();
    aside.push(".old");
    let aside = PathBuf::from(aside);
    super::unsafe_calls::replace_file(b, a, &aside)?;
    super::unsafe_calls::move_file(&aside, a, false)?;
    Ok(Swap::Exchanged)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn exchange(_a: &Path, _b: &Path) -> io::Result<Swap> {
    Ok(Swap::Unsupported)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_and_unlink(from, to),
        other => Ok(other?),
    }
}

#[cfg(windows)]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    super::unsafe_calls::move_file(from, to, false)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    link_and_unlink(from, to)
}

#[cfg(not(windows))]
fn link_and_unlink(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

#[cfg(target_os = "linux")]
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The minute the machine started: the clock less the uptime wanders by less than that.
#[cfg(windows)]
fn boot_id() -> String {
    let uptime = Duration::from_millis(super::unsafe_calls::uptime_milliseconds());
    let started = SystemTime::now().checked_sub(uptime).unwrap_or(SystemTime::UNIX_EPOCH);
    let seconds = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    (seconds / 60).to_string()
}

#[cfg(not(any(target_os = "linux", windows)))]
fn boot_id() -> String {
    String::new()
}

#[cfg(unix)]
fn is_running(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    // EPERM: it runs, as someone else.
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(windows)]
fn is_running(pid: u32) -> bool {
    super::unsafe_calls::is_running(pid)
}

/// Time that only goes forward, since this process looked first; for measuring how long something took.
pub fn ticks() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
