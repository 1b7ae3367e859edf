//! A file system in memory, mounted by FUSE, whose calls fail when told to: it stands in for network shares and
//! dying disks. It also knows what of its content would be left after a power cut: a file's bytes as of its last
//! `fsync`, a folder's entries as of its own.

#[path = "faulty_disk/mounted.rs"]
mod mounted;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{BackgroundSession, Config, Errno, FileAttr, FileType, INodeNo, RenameFlags};
use tempfile::TempDir;

use crate::skip::skip;

/// What can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    Link,
    CreateExclusive,
    /// Creation without `O_EXCL`.
    CreatePlain,
    Rename,
    /// A rename that refuses to replace.
    RenameNoReplace,
    SyncFile,
    SyncFolder,
    Write,
    Read,
    MakeFolder,
    Remove,
    ListFolder,
}

/// How the disk tells the time of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// A millisecond passes from change to change.
    Honest,
    /// There are none.
    Absent,
    /// Time runs back by an hour from change to change.
    Backwards,
}

/// The mounted disk; unmounted when dropped.
pub struct FaultyDisk {
    _session: BackgroundSession,
    mount_point: TempDir,
    disk: Disk,
}

impl FaultyDisk {
    /// Mounts an empty disk, or notes that `test` cannot run here.
    pub fn mount(test: &str) -> Option<Self> {
        let mount_point = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        match fuser::spawn_mount(disk.clone(), mount_point.path(), &Config::default()) {
            Ok(_session) => Some(Self { _session, mount_point, disk }),
            Err(error) => {
                // As the runner writes it: without the name of the test binary.
                let test = test.split_once("::").map_or(test, |(_, name)| name);
                skip(test, &format!("a FUSE file system cannot be mounted here: {error}"));
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.mount_point.path()
    }

    /// From now on the call fails.
    pub fn fail(&self, call: Call, errno: Errno) {
        self.disk.state().faults.insert(call, errno);
    }

    /// From now on every call works again.
    pub fn heal(&self) {
        self.disk.state().faults.clear();
    }

    pub fn tell_times(&self, times: Times) {
        self.disk.state().times = times;
    }

    /// Every file, as it is.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.disk.state().walk(|node| Some(&node.content))
    }

    /// Every file, as it would be after a power cut now.
    pub fn files_after_power_cut(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.disk.state().walk(|node| node.durable.as_ref())
    }
}

#[derive(Clone)]
enum Content {
    File(Arc<Vec<u8>>),
    Folder(BTreeMap<OsString, u64>),
}

struct Node {
    content: Content,
    durable: Option<Content>,
    mode: u32,
    links: u32,
    modified: SystemTime,
}

struct State {
    nodes: HashMap<u64, Node>,
    /// What open folders list: a snapshot, so that a listing misses nothing.
    listings: HashMap<u64, Vec<(OsString, u64)>>,
    last_id: u64,
    faults: HashMap<Call, Errno>,
    times: Times,
    changes: u32,
}

const ROOT: u64 = 1;

impl State {
    fn may(&self, call: Call) -> Result<(), Errno> {
        self.faults.get(&call).map_or(Ok(()), |errno| Err(*errno))
    }

    fn now(&mut self) -> SystemTime {
        self.changes += 1;
        let noon = UNIX_EPOCH + Duration::from_secs(1_767_268_800);
        match self.times {
            Times::Honest => noon + Duration::from_millis(1) * self.changes,
            Times::Absent => UNIX_EPOCH,
            Times::Backwards => noon - Duration::from_secs(3600) * self.changes,
        }
    }

    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn node(&self, id: u64) -> Result<&Node, Errno> {
        self.nodes.get(&id).ok_or(Errno::ENOENT)
    }

    fn file(&mut self, id: u64) -> Result<&mut Vec<u8>, Errno> {
        match self.nodes.get_mut(&id).map(|node| &mut node.content) {
            Some(Content::File(bytes)) => Ok(Arc::make_mut(bytes)),
            _ => Err(Errno::EISDIR),
        }
    }

    fn folder(&mut self, id: u64) -> Result<&mut BTreeMap<OsString, u64>, Errno> {
        match self.nodes.get_mut(&id).map(|node| &mut node.content) {
            Some(Content::Folder(entries)) => Ok(entries),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn lookup(&mut self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        self.folder(parent)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn add(&mut self, parent: u64, name: &OsStr, content: Content, mode: u32) -> Result<u64, Errno> {
        if self.lookup(parent, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let (id, modified) = (self.new_id(), self.now());
        self.nodes.insert(id, Node { content, durable: None, mode, links: 1, modified });
        self.folder(parent)?.insert(name.to_owned(), id);
        Ok(id)
    }

    fn create(&mut self, parent: u64, name: &OsStr, mode: u32, flags: i32) -> Result<u64, Errno> {
        let exclusive = rustix::fs::OFlags::from_bits_retain(flags as u32).contains(rustix::fs::OFlags::EXCL);
        self.may(if exclusive { Call::CreateExclusive } else { Call::CreatePlain })?;
        self.add(parent, name, Content::File(Arc::default()), mode)
    }

    fn remove(&mut self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.may(Call::Remove)?;
        let id = self.lookup(parent, name)?;
        if matches!(&self.node(id)?.content, Content::Folder(entries) if !entries.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        self.folder(parent)?.remove(name);
        self.nodes.get_mut(&id).into_iter().for_each(|node| node.links -= 1);
        Ok(())
    }

    fn link(&mut self, id: u64, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        self.may(Call::Link)?;
        if self.lookup(parent, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.folder(parent)?.insert(name.to_owned(), id);
        self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?.links += 1;
        Ok(id)
    }

    fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), flags: RenameFlags) -> Result<(), Errno> {
        let no_replace = flags.contains(RenameFlags::RENAME_NOREPLACE);
        self.may(if no_replace { Call::RenameNoReplace } else { Call::Rename })?;
        if no_replace && self.lookup(to.0, to.1).is_ok() {
            return Err(Errno::EEXIST);
        }
        let id = self.lookup(from.0, from.1)?;
        self.folder(from.0)?.remove(from.1);
        self.folder(to.0)?.insert(to.1.to_owned(), id);
        Ok(())
    }

    fn write(&mut self, id: u64, offset: u64, data: &[u8]) -> Result<u32, Errno> {
        self.may(Call::Write)?;
        let end = offset as usize + data.len();
        let bytes = self.file(id)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(data);
        self.touch(id);
        Ok(data.len() as u32)
    }

    fn touch(&mut self, id: u64) {
        let now = self.now();
        self.nodes.get_mut(&id).into_iter().for_each(|node| node.modified = now);
    }

    fn read(&mut self, id: u64, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        self.may(Call::Read)?;
        let bytes = self.file(id)?;
        let start = bytes.len().min(offset as usize);
        let end = bytes.len().min(start + size as usize);
        Ok(bytes[start..end].to_vec())
    }

    fn sync(&mut self, id: u64, call: Call) -> Result<(), Errno> {
        self.may(call)?;
        let node = self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?;
        node.durable = Some(node.content.clone());
        Ok(())
    }

    fn open_folder(&mut self, id: u64) -> Result<u64, Errno> {
        let listing = self.folder(id)?.iter().map(|(name, id)| (name.clone(), *id)).collect();
        let handle = self.new_id();
        self.listings.insert(handle, listing);
        Ok(handle)
    }

    fn attributes(&self, id: u64) -> Result<FileAttr, Errno> {
        let node = self.node(id)?;
        let size = match &node.content {
            Content::File(bytes) => bytes.len() as u64,
            Content::Folder(_) => 0,
        };
        Ok(FileAttr {
            ino: INodeNo(id),
            size,
            blocks: size.div_ceil(512),
            atime: node.modified,
            mtime: node.modified,
            ctime: node.modified,
            crtime: node.modified,
            kind: kind(&node.content),
            perm: (node.mode & 0o7777) as u16,
            nlink: node.links,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// Every file reached from the root through the content that `view` shows of each node.
    fn walk(&self, view: impl Fn(&Node) -> Option<&Content>) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![(PathBuf::new(), ROOT)];
        while let Some((path, id)) = folders.pop() {
            let Some(Content::Folder(entries)) = view(&self.nodes[&id]) else { continue };
            for (name, id) in entries {
                let node = &self.nodes[id];
                match (&node.content, view(node)) {
                    (Content::Folder(_), _) => folders.push((path.join(name), *id)),
                    (_, Some(Content::File(bytes))) => drop(found.insert(path.join(name), bytes.to_vec())),
                    // Its name is durable and its bytes are not: an empty file, as journalling file systems leave it.
                    _ => drop(found.insert(path.join(name), Vec::new())),
                }
            }
        }
        found
    }
}

fn kind(content: &Content) -> FileType {
    match content {
        Content::File(_) => FileType::RegularFile,
        Content::Folder(_) => FileType::Directory,
    }
}

#[derive(Clone)]
struct Disk(Arc<Mutex<State>>);

impl Default for Disk {
    fn default() -> Self {
        let content = Content::Folder(BTreeMap::new());
        let root = Node { durable: Some(content.clone()), content, mode: 0o700, links: 2, modified: UNIX_EPOCH };
        let state = State {
            nodes: [(ROOT, root)].into(),
            listings: HashMap::new(),
            last_id: ROOT,
            faults: HashMap::new(),
            times: Times::Honest,
            changes: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn attributes_of(&self, work: impl FnOnce(&mut State) -> Result<u64, Errno>) -> Result<FileAttr, Errno> {
        let mut state = self.state();
        let id = work(&mut state)?;
        state.attributes(id)
    }
}
