//! One entry of a directory: everything a restore needs to make it again.

use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;
use crate::base::id::ChunkId;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    #[n(0)]
    File,
    /// A directory.
    #[n(1)]
    Directory,
    /// A symbolic link.
    #[n(2)]
    Symlink,
    /// A named pipe.
    #[n(3)]
    Fifo,
    /// A socket: recorded, never restored.
    #[n(4)]
    Socket,
    /// A character device.
    #[n(5)]
    CharDevice,
    /// A block device.
    #[n(6)]
    BlockDevice,
}

/// Who owns an entry, by number and by the name the number had on the source.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Owner {
    /// User number.
    #[n(0)]
    pub uid: u32,
    /// Group number.
    #[n(1)]
    pub gid: u32,
    /// User name, if it had one.
    #[n(2)]
    pub user: Option<String>,
    /// Group name, if it had one.
    #[n(3)]
    pub group: Option<String>,
}

/// Marks entries that were one file with several names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct HardLink {
    /// Device number on the source.
    #[n(0)]
    pub device: u64,
    /// Inode number on the source.
    #[n(1)]
    pub inode: u64,
}

/// A run of data in a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(array)]
pub struct Extent {
    /// First byte.
    #[n(0)]
    pub offset: u64,
    /// How many bytes.
    #[n(1)]
    pub length: u64,
}

/// An extended attribute. POSIX ACLs and file capabilities are attributes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct XattrPair {
    /// Full name, with its namespace.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub name: Vec<u8>,
    /// Value.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub value: Vec<u8>,
}

/// The bytes of a file, as chunks in order. For a sparse file the chunks hold the bytes of its extents, back to back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct FileContent {
    /// Ids of the chunks, or, when `list_depth` is not 0, of chunks that hold lists of ids.
    #[cbor(n(0), with = "crate::repo::tree::node::ids")]
    pub ids: Vec<ChunkId>,
    /// How often `ids` must be expanded to reach data: 0, 1 or 2.
    #[n(1)]
    pub list_depth: Option<u8>,
    /// Where data lies if the file has holes; `None` means everywhere.
    #[n(2)]
    pub extents: Option<Vec<Extent>>,
    /// Domain of the ids: `None` means shared, `Some(true)` the node's own.
    #[n(3)]
    pub node_domain: Option<bool>,
    /// Offset of a small file's bytes in the only chunk, which it shares with others; `None` means all of the chunks.
    #[n(4)]
    pub fragment: Option<u32>,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// Raw bytes of the name: no `/`, no NUL, neither `.` nor `..`, not empty.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub name: Vec<u8>,
    /// What it is.
    #[n(1)]
    pub kind: EntryKind,
    /// Permission bits, 0 to 0o7777.
    #[n(2)]
    pub mode: u32,
    /// Who owns it.
    #[n(3)]
    pub owner: Owner,
    /// Modification time.
    #[n(4)]
    pub mtime: Timestamp,
    /// Status change time on the source; not restored.
    #[n(5)]
    pub ctime: Timestamp,
    /// Length of a file in bytes, holes included; 0 for all others.
    #[n(6)]
    pub size: u64,
    /// Set if the source counted more than one name.
    #[n(7)]
    pub hard_link: Option<HardLink>,
    /// Target of a symbolic link.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub target: Option<Vec<u8>>,
    /// Extended attributes, ordered by name.
    #[n(9)]
    pub xattrs: Option<Vec<XattrPair>>,
    /// Device number of a device node.
    #[n(10)]
    pub device: Option<u64>,
    /// Content of a file; `None` for an empty one and for all others.
    #[n(11)]
    pub content: Option<FileContent>,
    /// Tree of a directory.
    #[n(12)]
    pub tree: Option<ChunkId>,
    /// What was missing of it when the repository was repaired.
    #[n(13)]
    pub damaged: Option<DamageMark>,
}

/// Says that chunks of a file, or of a directory's own tree, were missing at some time. They are still named where they
/// always were, and tried by every read: once a backup has stored them again, nothing is missing any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct DamageMark {
    /// When that was found.
    #[n(0)]
    pub found: Timestamp,
    /// How many chunks were missing.
    #[n(1)]
    pub count: u64,
    /// The first of them.
    #[cbor(n(2), with = "crate::repo::tree::node::ids")]
    pub missing: Vec<ChunkId>,
}

impl DamageMark {
    /// Chunks a mark names, at most; the others are only counted.
    pub const NAMED_MAX: usize = 16;

    /// Whether it tells of all of these already.
    pub fn tells_of(&self, missing: &[ChunkId]) -> bool {
        self.count as usize > self.missing.len() || missing.iter().all(|id| self.missing.contains(id))
    }
}

impl Entry {
    /// An entry of a name and a kind, and nothing else: no mode, no times, of the first account.
    pub fn bare(name: Vec<u8>, kind: EntryKind) -> Self {
        Self {
            name,
            kind,
            mode: 0,
            owner: Owner { uid: 0, gid: 0, user: None, group: None },
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            size: 0,
            hard_link: None,
            target: None,
            xattrs: None,
            device: None,
            content: None,
            tree: None,
            damaged: None,
        }
    }

    /// Whether a stored name may be used as a file name. Checked on everything read.
    pub fn name_is_safe(name: &[u8]) -> bool {
        !name.is_empty()
            && name != b"."
            && name != b".."
            && name.len() <= 255
            && !name.iter().any(|&b| b == b'/' || b == 0)
    }
}
