//! Files of a snapshot that no walk meets: streams that somebody brings, and the folders above them.

use std::collections::BTreeMap;
use std::io::Read;

use crate::base::clock::Timestamp;
use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::repo::snapshot::Counts;
use crate::repo::tree::writer::{DirectoryWriter, encode_entry};
use crate::repo::tree::{Entry, EntryKind, FileContent, Owner};
use crate::vault::VaultError;
use crate::vault::backup::item::{Reader, Reading, Stop};
use crate::vault::backup::pipeline;
use crate::vault::backup::store::{Lane, TreeChunks};

/// What a stream holds, which decides how it is cut and with whom it is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Anything: cut like a file, shared with every node.
    Plain,
    /// The dump of a database that occupies so many bytes on its server: cut finely, shared with this node only.
    Database {
        /// An estimate.
        expected: u64,
    },
}

impl StreamKind {
    fn lane(self) -> Lane {
        match self {
            Self::Plain => Lane::Data,
            Self::Database { .. } => Lane::Private,
        }
    }
}

/// Takes streams into the snapshot. A stream is read to its end before the next one begins.
pub trait StreamSink {
    /// Stores everything `source` gives as the file at `path`, given as names below the root of the snapshot; returns
    /// how many bytes that were. An error of `source` is returned with the last name as its object.
    fn store(&mut self, path: &[&str], kind: StreamKind, source: &mut dyn Read) -> Result<u64, VaultError>;
}

/// Streams that are stored, waiting for their directories to be made.
pub struct Grafts<'r, 'a> {
    reading: &'r Reading<'a>,
    now: Timestamp,
    owner: Owner,
    root: Folder,
    counts: Counts,
}

type Folder = BTreeMap<Vec<u8>, Node>;

enum Node {
    File(Box<Entry>),
    Folder(Folder),
}

impl<'r, 'a> Grafts<'r, 'a> {
    /// None yet. Their entries belong to the account that runs this, with the time `now`.
    pub fn new(reading: &'r Reading<'a>, now: Timestamp) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let names = reading.names;
        let owner = Owner { uid, gid, user: names.user(uid), group: names.group(gid) };
        Self { reading, now, owner, root: Folder::new(), counts: Counts::default() }
    }

    /// What was stored so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The entries of the root, in the order of their names; stores the trees of those that are directories.
    pub fn entries(&self, sink: &mut TreeChunks<'_, '_>) -> Result<Vec<Entry>, RepoError> {
        self.root.iter().map(|(name, node)| self.finish(name, node, sink)).collect()
    }

    /// The tree of a root that holds nothing else.
    pub fn root(&self, sink: &mut TreeChunks<'_, '_>) -> Result<ChunkId, RepoError> {
        self.tree(&self.root, sink)
    }

    fn finish(&self, name: &[u8], node: &Node, sink: &mut TreeChunks<'_, '_>) -> Result<Entry, RepoError> {
        match node {
            Node::File(entry) => Ok((**entry).clone()),
            Node::Folder(folder) => {
                let tree = self.tree(folder, sink)?;
                Ok(Entry { tree: Some(tree), ..self.entry(name, EntryKind::Directory, 0o700) })
            }
        }
    }

    fn tree(&self, folder: &Folder, sink: &mut TreeChunks<'_, '_>) -> Result<ChunkId, RepoError> {
        let mut writer = DirectoryWriter::default();
        for (name, node) in folder {
            let entry = self.finish(name, node, sink)?;
            writer.push(name, &encode_entry(&entry), sink)?;
        }
        writer.finish(sink)
    }

    fn entry(&self, name: &[u8], kind: EntryKind, mode: u32) -> Entry {
        Entry { mode, owner: self.owner.clone(), mtime: self.now, ctime: self.now, ..Entry::bare(name.to_vec(), kind) }
    }

    fn insert(&mut self, path: &[&str], entry: Entry) -> Result<(), VaultError> {
        let (_, folders) = path.split_last().unwrap_or((&"", &[]));
        let mut folder = &mut self.root;
        for name in folders {
            let made = &mut self.counts.directories;
            let node = folder.entry(name.as_bytes().to_vec()).or_insert_with(|| {
                *made += 1;
                Node::Folder(Folder::new())
            });
            match node {
                Node::Folder(inner) => folder = inner,
                Node::File(_) => return Err(bad_path(path)),
            }
        }
        match folder.insert(entry.name.clone(), Node::File(Box::new(entry))) {
            None => Ok(()),
            Some(_) => Err(bad_path(path)),
        }
    }

    fn read(&self, kind: StreamKind, source: &mut dyn Read, name: &str) -> Result<Stored, VaultError> {
        let reading = self.reading;
        pipeline::with_spread(reading, kind.lane(), |spread| {
            let mut reader = Reader::new(reading, kind.lane(), Vec::new(), spread);
            let read = reader.read_stream(source, reading.chunkers.of_stream(kind));
            reader.finish();
            match read {
                Ok(Ok(content)) => Ok(content),
                Ok(Err(_)) if reading.cancel.is_requested() => Err(VaultError::Interrupted),
                Ok(Err(error)) => Err(VaultError::local("read", name, error)),
                Err(Stop::Repo(error)) => Err(error.into()),
                Err(Stop::Cancelled) => Err(VaultError::Interrupted),
            }
        })
    }
}

/// Content of a stream, and its length.
type Stored = (Option<FileContent>, u64);

impl StreamSink for Grafts<'_, '_> {
    fn store(&mut self, path: &[&str], kind: StreamKind, source: &mut dyn Read) -> Result<u64, VaultError> {
        let Some(name) = path.last().filter(|_| path.iter().all(|name| Entry::name_is_safe(name.as_bytes()))) else {
            return Err(bad_path(path));
        };
        let (content, size) = self.read(kind, source, name)?;
        let entry = Entry { content, size, ..self.entry(name.as_bytes(), EntryKind::File, 0o600) };
        self.insert(path, entry)?;
        self.counts.files += 1;
        self.counts.files_read += 1;
        self.counts.bytes += size;
        self.counts.bytes_read += size;
        Ok(size)
    }
}

fn bad_path(path: &[&str]) -> VaultError {
    VaultError::Request {
        what: format!("`{}` cannot be the name of a file in the snapshot", path.join("/")),
        hint: Some("choose a plain name that is not taken, for example `dump.sql`".to_owned()),
    }
}
