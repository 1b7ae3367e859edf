//! Reading tar archives as a stream, nothing unpacked: POSIX ustar and pax, and what GNU tar adds to both.
//!
//! Blocks and members are read here rather than by the iterator of the `tar` crate, whose headers are used: what a
//! hostile archive makes a reader remember is bounded, damage is told with its place, holes and attributes are kept.

pub mod acl;
#[cfg(feature = "testing")]
pub mod fuzz;
mod header;
pub mod name;
mod open;
pub mod pack;
mod pax;
mod reader;
mod sparse;
pub mod survey;

use std::collections::BTreeSet;

use crate::base::clock::Timestamp;
use crate::repo::tree::{Extent, XattrPair};

pub use open::{Opened, Packing, open};
pub use reader::TarReader;

/// Bytes of a block: everything in an archive begins at a multiple of it.
pub const BLOCK_BYTES: usize = 512;

/// One thing in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name as it stands there: raw bytes, maybe absolute or leading out.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the user, if one is given.
    pub user: Option<String>,
    /// Name of the group, if one is given.
    pub group: Option<String>,
    /// Modification time; whole seconds in all but pax archives.
    pub mtime: Timestamp,
    /// Status change time, where a pax archive tells it.
    pub ctime: Option<Timestamp>,
    /// Where a link points: for a symbolic link its text, for a hard link the name of an earlier member.
    pub target: Vec<u8>,
    /// Number of a device node.
    pub device: Option<u64>,
    /// Length of a file in bytes, holes included.
    pub size: u64,
    /// Where its data lies if it has holes; what is read of it then are the bytes of these runs, back to back.
    pub extents: Option<Vec<Extent>>,
    /// Extended attributes, ordered by name; ACLs among them.
    pub xattrs: Vec<XattrPair>,
    /// What the archive says of it that cannot be kept, and what was done instead.
    pub troubles: Troubles,
}

/// What of a member could not be kept. Its content and the members behind it are sound all the same.
pub type Troubles = BTreeSet<&'static str>;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of a file that came before.
    HardLink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// Why an archive cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum BadArchive {
    /// What it is read from failed, or its compression is damaged.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It ends in the middle.
    #[error("the archive ends too early: it was cut short")]
    Torn,
    /// Its content contradicts itself.
    #[error("{0}")]
    Malformed(String),
}

impl BadArchive {
    fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }
}
