use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::system::{At, FileError, System, found, made};

/// Replaces a file of ours whole (0600): the old content or the new one is there at every moment,
/// and the new one for good when this returns.
pub fn write_file(system: &dyn System, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temp = path.with_file_name(format!(".{name}.new"));
    // Left by a run that was cut off; the state lock says that it is nobody's now.
    found(system.remove_file(&temp)).at(&temp, "remove")?;
    system.create_new(&temp, bytes, 0o600).at(&temp, "create")?;
    system.sync(&temp).at(&temp, "flush")?;
    system.rename(&temp, path).at(path, "replace")?;
    sync_parent(system, path)
}

/// Flushes the directory that holds this file.
pub(super) fn sync_parent(system: &dyn System, path: &Path) -> Result<(), FileError> {
    let dir = path.parent().unwrap_or(path);
    system.sync(dir).at(dir, "flush")
}

/// Reads a JSON file of ours; `None` if there is none yet.
///
/// An error when it is damaged, or when its `format_version` is not one that this program knows.
pub fn load_json<T: DeserializeOwned>(
    system: &dyn System,
    path: &Path,
    format_version: u32,
) -> Result<Option<T>, FileError> {
    let Some(bytes) = found(system.read(path)).at(path, "read")? else { return Ok(None) };
    let damaged = |why: String| FileError::new(path, "read", ErrorKind::InvalidData, why);
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    match head.format_version {
        Some(version) if version == format_version => {}
        Some(version) => {
            return Err(damaged(format!(
                "its format is version {version}, and this program knows version {format_version}"
            )));
        }
        None => return Err(damaged("it has no format_version".to_owned())),
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
}

/// What is looked at before the rest of a file is.
#[derive(Deserialize)]
struct Head {
    format_version: Option<u32>,
}

/// Writes a JSON file of ours, with its `format_version` first.
pub fn save_json<T: Serialize>(
    system: &dyn System,
    path: &Path,
    format_version: u32,
    value: &T,
) -> Result<(), FileError> {
    write_file(system, path, json_text(path, format_version, value)?.as_bytes())
}

/// What [`save_json`] writes.
pub fn json_text<T: Serialize>(path: &Path, format_version: u32, value: &T) -> Result<String, FileError> {
    #[derive(Serialize)]
    struct Versioned<'v, T> {
        format_version: u32,
        #[serde(flatten)]
        value: &'v T,
    }
    let text = serde_json::to_string_pretty(&Versioned { format_version, value });
    text.map(|text| text + "\n")
        .map_err(|error| FileError::new(path, "write", ErrorKind::InvalidData, error.to_string()))
}

/// Makes a directory of ours with its parents, itself closed to others.
pub fn create_dirs(system: &dyn System, path: &Path) -> Result<(), FileError> {
    let missing = |path: &Path| Ok(found(system.meta(path)).at(path, "look at")?.is_none());
    let mut parents = Vec::new();
    for parent in path.ancestors().skip(1) {
        if !missing(parent)? {
            break;
        }
        parents.push(parent);
    }
    for parent in parents.into_iter().rev() {
        made(system.create_dir(parent, 0o755)).at(parent, "create")?;
        sync_parent(system, parent)?;
    }
    create_private_dir(system, path)
}

/// Makes a directory of ours, or closes it to others.
pub(super) fn create_private_dir(system: &dyn System, path: &Path) -> Result<(), FileError> {
    if let Some(meta) = found(system.meta(path)).at(path, "look at")? {
        if meta.mode & 0o077 != 0 && meta.owner.is_some() {
            system.set_mode(path, 0o700).at(path, "close to others")?;
        }
        return Ok(());
    }
    made(system.create_dir(path, 0o700)).at(path, "create")?;
    sync_parent(system, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Fault, Loss, Memory};

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Thing {
        name: String,
    }

    #[test]
    fn knows_its_own_format_only() {
        let memory = Memory::default();
        let path = Path::new("/home/me/thing.json");
        assert_eq!(load_json::<Thing>(&memory, path, 1).expect("no file"), None);
        let thing = Thing { name: "x".to_owned() };
        save_json(&memory, path, 1, &thing).expect("saved");
        assert_eq!(load_json(&memory, path, 1).expect("read"), Some(thing));
        let error = load_json::<Thing>(&memory, path, 2).expect_err("an older format");
        assert_eq!(
            error.to_string(),
            "cannot read /home/me/thing.json: its format is version 1, and this program knows version 2"
        );
        memory.write(path, b"{\"name\":");
        assert!(load_json::<Thing>(&memory, path, 1).is_err());
    }

    #[test]
    fn a_power_cut_leaves_the_old_file_or_the_new_one() {
        let path = Path::new("/home/me/thing.json");
        for fault in [Fault::Crash, Fault::Torn] {
            for loss in [Loss::Nothing, Loss::Data, Loss::All] {
                for n in 1..10 {
                    let memory = Memory::default();
                    memory.write(path, b"old");
                    memory.fault(n, fault);
                    let done = write_file(&memory, path, b"new content").is_ok();
                    memory.reboot(loss);
                    let bytes = memory.contents(path).expect("there");
                    assert!(bytes == b"new content" || (!done && bytes == b"old"), "{n} {fault:?} {loss:?}");
                    write_file(&memory, path, b"next").expect("a leftover is no obstacle");
                }
            }
        }
    }
}
