use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

use crate::system::{FileId, System, follow};

/// Files that are looked at again and again, where they cannot be watched.
#[derive(Default)]
pub struct Polling(BTreeMap<PathBuf, Option<Stamp>>);

/// What changes when a file does.
type Stamp = (Option<FileId>, u64, SystemTime);

impl Polling {
    /// These files from now on; those that were known keep their stamps.
    pub fn set(&mut self, system: &dyn System, files: &BTreeSet<PathBuf>) {
        self.0.retain(|file, _| files.contains(file));
        for file in files {
            if !self.0.contains_key(file) {
                self.0.insert(file.clone(), stamp(system, file));
            }
        }
    }

    /// Whether one of them changed since the last time.
    pub fn has_changed(&mut self, system: &dyn System) -> bool {
        let mut changed = false;
        for (file, known) in &mut self.0 {
            let now = stamp(system, file);
            changed |= now != *known;
            *known = now;
        }
        changed
    }
}

fn stamp(system: &dyn System, file: &std::path::Path) -> Option<Stamp> {
    // What cannot be looked at is as good as gone; the pass says what is wrong with it.
    let meta = system.meta(&follow(system, file).ok()?).ok()?;
    Some((meta.id, meta.len, meta.modified))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::system::Memory;

    #[test]
    fn sees_files_come_change_and_go() {
        let memory = Memory::default();
        let path = Path::new("/home/me/a.json");
        let mut polling = Polling::default();
        polling.set(&memory, &BTreeSet::from([path.to_owned()]));
        assert!(!polling.has_changed(&memory));
        memory.write(path, b"{}");
        assert!(polling.has_changed(&memory) && !polling.has_changed(&memory));
        memory.write(path, b"[]");
        assert!(polling.has_changed(&memory) && !polling.has_changed(&memory));
        memory.delete(path);
        assert!(polling.has_changed(&memory) && !polling.has_changed(&memory));
    }
}
