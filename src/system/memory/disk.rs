use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::Loss;
use crate::system::{Kind, Meta};

/// Inodes and names, with what of them would outlive a power cut.
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    /// The clock that stamps changes.
    pub now: SystemTime,
    /// Taken from the permission bits of everything new.
    pub umask: u32,
}

pub(super) struct Node {
    pub body: Body,
    pub mode: u32,
    pub owner: (u32, u32),
    pub xattrs: BTreeMap<String, Vec<u8>>,
    pub modified: SystemTime,
}

pub(super) enum Body {
    File { data: Vec<u8>, synced: Option<Vec<u8>> },
    Dir { names: BTreeMap<String, u64>, synced: BTreeMap<String, u64> },
    Link(PathBuf),
}

/// Where a path leads: a name in a directory, and what stands there.
pub(super) struct Place {
    pub dir: u64,
    pub name: String,
    pub node: Option<u64>,
}

const ROOT: u64 = 1;

fn error(kind: ErrorKind) -> io::Error {
    io::Error::from(kind)
}

impl Disk {
    pub fn new(now: SystemTime) -> Self {
        let mut disk = Self { nodes: BTreeMap::new(), now, umask: 0o022 };
        disk.add(Body::Dir { names: BTreeMap::new(), synced: BTreeMap::new() }, 0o755);
        disk
    }

    pub fn add(&mut self, body: Body, mode: u32) -> u64 {
        let id = self.nodes.keys().next_back().map_or(ROOT, |last| last + 1);
        let node = Node {
            body,
            mode: mode & !self.umask,
            owner: (1000, 1000),
            xattrs: BTreeMap::new(),
            modified: self.now,
        };
        self.nodes.insert(id, node);
        id
    }

    pub fn node(&self, id: u64) -> io::Result<&Node> {
        self.nodes.get(&id).ok_or_else(|| error(ErrorKind::NotFound))
    }

    pub fn node_mut(&mut self, id: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(|| error(ErrorKind::NotFound))
    }

    pub fn data(&self, id: u64) -> io::Result<&Vec<u8>> {
        match &self.node(id)?.body {
            Body::File { data, .. } => Ok(data),
            _ => Err(error(ErrorKind::IsADirectory)),
        }
    }

    pub fn set_data(&mut self, id: u64, bytes: Vec<u8>, durable: bool) -> io::Result<()> {
        let now = self.now;
        let node = self.node_mut(id)?;
        node.modified = now;
        let Body::File { data, synced } = &mut node.body else { return Err(error(ErrorKind::IsADirectory)) };
        if durable {
            *synced = Some(bytes.clone());
        }
        *data = bytes;
        Ok(())
    }

    pub fn names(&self, id: u64) -> io::Result<&BTreeMap<String, u64>> {
        match &self.node(id)?.body {
            Body::Dir { names, .. } => Ok(names),
            _ => Err(error(ErrorKind::NotADirectory)),
        }
    }

    /// Puts a name into a directory, or takes it out.
    pub fn set_name(&mut self, dir: u64, name: &str, node: Option<u64>, durable: bool) -> io::Result<()> {
        let now = self.now;
        let dir = self.node_mut(dir)?;
        dir.modified = now;
        let Body::Dir { names, synced } = &mut dir.body else { return Err(error(ErrorKind::NotADirectory)) };
        for map in [Some(names), durable.then_some(synced)].into_iter().flatten() {
            match node {
                Some(node) => map.insert(name.to_owned(), node),
                None => map.remove(name),
            };
        }
        Ok(())
    }

    pub fn place(&self, path: &Path, follow: bool) -> io::Result<Place> {
        self.walk(path, follow, 0)
    }

    pub fn existing(&self, path: &Path, follow: bool) -> io::Result<u64> {
        self.place(path, follow)?.node.ok_or_else(|| error(ErrorKind::NotFound))
    }

    fn walk(&self, path: &Path, follow: bool, depth: u32) -> io::Result<Place> {
        if depth > 40 {
            return Err(io::Error::other("too many levels of symbolic links"));
        }
        let mut trail = vec![(String::new(), ROOT)];
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            let name = match part {
                Component::Normal(name) => name.to_string_lossy().into_owned(),
                Component::ParentDir => {
                    if trail.len() > 1 {
                        trail.pop();
                    }
                    continue;
                }
                _ => continue,
            };
            let dir = trail.last().map_or(ROOT, |(_, id)| *id);
            let node = self.names(dir)?.get(&name).copied();
            let is_last = parts.peek().is_none();
            if let Some(id) = node
                && let Body::Link(target) = &self.node(id)?.body
                && (follow || !is_last)
            {
                let here: PathBuf =
                    std::iter::once("/").chain(trail.iter().skip(1).map(|(name, _)| name.as_str())).collect();
                let rest: PathBuf = parts.collect();
                let next = if is_last { here.join(target) } else { here.join(target).join(rest) };
                return self.walk(&next, follow, depth + 1);
            }
            if is_last {
                return Ok(Place { dir, name, node });
            }
            trail.push((name, node.ok_or_else(|| error(ErrorKind::NotFound))?));
        }
        let (name, node) = trail.pop().unwrap_or_default();
        Ok(Place { dir: trail.last().map_or(ROOT, |(_, id)| *id), name, node: Some(node) })
    }

    pub fn meta(&self, id: u64) -> io::Result<Meta> {
        let node = self.node(id)?;
        let (kind, len) = match &node.body {
            Body::File { data, .. } => (Kind::File, data.len() as u64),
            Body::Dir { .. } => (Kind::Dir, 0),
            Body::Link(_) => (Kind::Link, 0),
        };
        Ok(Meta {
            kind,
            len,
            mode: node.mode,
            owner: Some(node.owner),
            links: self.links(id),
            modified: node.modified,
            id: Some((1, id)),
        })
    }

    fn links(&self, id: u64) -> u64 {
        let count = |body: &Body| match body {
            Body::Dir { names, .. } => names.values().filter(|node| **node == id).count(),
            _ => 0,
        };
        self.nodes.values().map(|node| count(&node.body) as u64).sum()
    }

    pub fn sync(&mut self, id: u64) -> io::Result<()> {
        match &mut self.node_mut(id)?.body {
            Body::File { data, synced } => *synced = Some(data.clone()),
            Body::Dir { names, synced } => *synced = names.clone(),
            Body::Link(_) => {}
        }
        Ok(())
    }

    /// What is left after the machine went down.
    pub fn lose(&mut self, loss: Loss) {
        for node in self.nodes.values_mut() {
            match &mut node.body {
                Body::File { data, synced } if loss != Loss::Nothing => {
                    let torn = data[..data.len() / 2].to_vec();
                    *data = synced.clone().unwrap_or(if loss == Loss::Data { Vec::new() } else { torn });
                }
                Body::Dir { names, synced } if loss == Loss::All => *names = synced.clone(),
                _ => {}
            }
        }
        // What survived is on the disk now.
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        ids.into_iter().for_each(|id| drop(self.sync(id)));
    }
}
