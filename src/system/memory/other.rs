use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Body;
use super::{Memory, State};
use crate::system::Meta;

/// What other programs, and the test itself, do on the simulated machine. What they write is
/// flushed at once.
impl Memory {
    /// Sets an environment variable.
    pub fn set_env(&self, name: &str, value: &str) {
        self.state().env.insert(name.to_owned(), value.to_owned());
    }

    /// Creates a directory and its parents.
    pub fn make_dirs(&self, path: &Path) {
        let mut state = self.state();
        let mut here = PathBuf::from("/");
        for part in path.components().skip(1) {
            here.push(part);
            if state.disk.existing(&here, true).is_err() {
                let body = Body::Dir { names: BTreeMap::new(), synced: BTreeMap::new() };
                drop(state.put(&here, body, 0o755));
            }
        }
    }

    /// A file with this content: a new one under the name (as written by rename), made with its parents.
    pub fn write(&self, path: &Path, bytes: &[u8]) {
        if let Some(parent) = path.parent() {
            self.make_dirs(parent);
        }
        let body = Body::File { data: bytes.to_vec(), synced: Some(bytes.to_vec()) };
        drop(self.state().put(path, body, 0o644));
    }

    /// A symbolic link.
    pub fn link(&self, path: &Path, target: &Path) {
        drop(self.state().put(path, Body::Link(target.to_owned()), 0o777));
    }

    /// A second name for a file.
    pub fn hard_link(&self, from: &Path, to: &Path) {
        let mut state = self.state();
        if let (Ok(node), Ok(place)) = (state.disk.existing(from, true), state.disk.place(to, false)) {
            drop(state.disk.set_name(place.dir, &place.name, Some(node), true));
        }
    }

    /// Mode, owner and one extended attribute of a file.
    pub fn dress(&self, path: &Path, mode: u32, owner: (u32, u32), xattr: (&str, &[u8])) {
        let mut state = self.state();
        let Ok(node) = state.disk.existing(path, true) else { return };
        if let Ok(node) = state.disk.node_mut(node) {
            (node.mode, node.owner) = (mode, owner);
            node.xattrs.insert(xattr.0.to_owned(), xattr.1.to_vec());
        }
    }

    /// Removes a name.
    pub fn delete(&self, path: &Path) {
        let mut state = self.state();
        if let Ok(place) = state.disk.place(path, false) {
            drop(state.disk.set_name(place.dir, &place.name, None, true));
        }
    }

    /// The content under a name, links followed.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let node = state.disk.existing(path, true).ok()?;
        state.disk.data(node).ok().cloned()
    }

    /// About a name, links not followed.
    pub fn about(&self, path: &Path) -> Option<Meta> {
        let state = self.state();
        let node = state.disk.existing(path, false).ok()?;
        state.disk.meta(node).ok()
    }

    /// An extended attribute of a file.
    pub fn xattr(&self, path: &Path, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let node = state.disk.existing(path, true).ok()?;
        state.disk.node(node).ok()?.xattrs.get(name).cloned()
    }

    /// Every path below a directory, links not followed.
    pub fn tree(&self, path: &Path) -> Vec<PathBuf> {
        let state = self.state();
        let mut paths = Vec::new();
        let mut open = vec![path.to_owned()];
        while let Some(dir) = open.pop() {
            let names = state.disk.existing(&dir, false).and_then(|node| state.disk.names(node).cloned());
            for name in names.unwrap_or_default().into_keys() {
                open.push(dir.join(&name));
                paths.push(dir.join(name));
            }
        }
        paths.sort();
        paths
    }

    /// Another process takes a lock file's lock and keeps it.
    pub fn lock_by_other(&self, path: &Path) {
        let mut state = self.state();
        if let Ok(node) = state.disk.existing(path, true) {
            state.locks.insert(node);
        }
    }

    /// Another program opens a file, changes its content in place and closes it, in one go; under a
    /// lease it waits first. `false` if there is no such file.
    pub fn edit(&self, path: &Path, edit: impl FnOnce(Vec<u8>) -> Vec<u8> + Send + 'static) -> bool {
        let Ok(node) = self.state().disk.existing(path, true) else { return false };
        self.act(node, move |state| {
            let bytes = state.disk.data(node).cloned().unwrap_or_default();
            drop(state.disk.set_data(node, edit(bytes), true));
        });
        true
    }

    fn act(&self, node: u64, act: impl FnOnce(&mut State) + Send + 'static) {
        let mut state = self.state();
        match state.leases.iter_mut().find(|lease| lease.node == node) {
            Some(lease) => lease.waiting.push(Box::new(act)),
            None => act(&mut state),
        }
    }

    /// Opens a file for writing in place, emptying it; `None` if there is no such file.
    ///
    /// Under a lease the program waits, and so does everything it writes meanwhile.
    pub fn open_for_writing(&self, path: &Path) -> Option<Writer> {
        let node = self.state().disk.existing(path, true).ok()?;
        let writer = Writer { memory: self.clone(), node };
        self.act(node, move |state| {
            *state.writers.entry(node).or_default() += 1;
            drop(state.disk.set_data(node, Vec::new(), true));
        });
        Some(writer)
    }
}

/// A file that another program has open for writing; dropping it closes it.
pub struct Writer {
    memory: Memory,
    node: u64,
}

impl Writer {
    /// The whole content from now on.
    pub fn write(&self, bytes: &[u8]) {
        let (node, bytes) = (self.node, bytes.to_vec());
        self.memory.act(node, move |state| drop(state.disk.set_data(node, bytes, true)));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let node = self.node;
        self.memory.act(node, move |state| {
            if let Some(count) = state.writers.get_mut(&node) {
                *count = count.saturating_sub(1);
            }
        });
    }
}

impl State {
    fn put(&mut self, path: &Path, body: Body, mode: u32) -> io::Result<()> {
        let place = self.disk.place(path, false)?;
        let node = self.disk.add(body, mode);
        self.disk.set_name(place.dir, &place.name, Some(node), true)
    }
}
