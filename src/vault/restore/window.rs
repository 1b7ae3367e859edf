//! A part of the plan small enough for memory: files with the places of their chunks, links, and the rest.

use std::sync::Arc;

use crate::base::id::ChunkId;
use crate::repo::index::ChunkPlace;
use crate::vault::restore::job::FileJob;
use crate::vault::restore::link::{LinkGroup, LinkJob};
use crate::vault::restore::special::SpecialJob;

/// What is executed at once.
#[derive(Default)]
pub(super) struct Window<'r> {
    pub files: Vec<Part<'r>>,
    /// Of all files, in their order.
    pub pieces: Vec<Piece>,
    pub specials: Vec<SpecialJob<'r>>,
    pub links: Vec<(Arc<LinkGroup<'r>>, LinkJob<'r>)>,
    bytes: usize,
}

/// A file, or the part of a long one that this window holds.
pub(super) struct Part<'r> {
    pub job: Arc<FileJob<'r>>,
    /// Where its pieces are.
    pub pieces: std::ops::Range<usize>,
    /// Whether an earlier window holds its beginning.
    pub continued: bool,
    /// Whether its end is here.
    pub ends: bool,
}

/// One chunk of one file.
#[derive(Clone)]
pub(super) struct Piece {
    pub id: ChunkId,
    /// Which part of the window it belongs to.
    pub part: u32,
    /// Whether it has to be fetched.
    pub wanted: bool,
    /// Where it is fetched from.
    pub place: ChunkPlace,
    /// First byte among the data of its file.
    pub at: u64,
    /// The part of the chunk that is the file's; `None` is all of it.
    pub fragment: Option<Fragment>,
}

/// A part of a chunk that several small files share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    /// First byte in the chunk.
    pub offset: u32,
    /// How many bytes.
    pub length: u32,
}

impl Piece {
    /// How many bytes of the file it holds.
    pub fn length(&self) -> u32 {
        self.fragment.map_or(self.place.length, |fragment| fragment.length)
    }

    /// The file's part of the chunk, if the chunk is as long as it must be.
    pub fn part_of<'c>(&self, chunk: &'c [u8]) -> Option<&'c [u8]> {
        let Some(fragment) = self.fragment else { return Some(chunk) };
        let start = fragment.offset as usize;
        chunk.get(start..start + fragment.length as usize)
    }
}

/// Memory a window may take: two exist at a time.
const BYTES_MAX: usize = 20 << 20;
/// What a window takes at least before an idle executor gets it.
const BYTES_MIN: usize = 1 << 20;

impl<'r> Window<'r> {
    /// Begins a file, or goes on with one.
    pub fn begin(&mut self, job: &Arc<FileJob<'r>>, continued: bool) {
        let start = self.pieces.len();
        self.files.push(Part { job: Arc::clone(job), pieces: start..start, continued, ends: false });
        // The job itself, its name, attributes and share of a directory.
        self.bytes += 600 + job.attributes.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    }

    /// Adds the next chunk to the file begun last.
    pub fn push(&mut self, id: ChunkId, fragment: Option<Fragment>) {
        let Some(part) = self.files.last_mut() else { return };
        part.pieces.end += 1;
        let place = ChunkPlace { pack: 0, block: 0, offset: 0, length: 0 };
        self.pieces.push(Piece { id, part: (self.files.len() - 1) as u32, wanted: true, place, at: 0, fragment });
        self.bytes += size_of::<Piece>();
    }

    /// Ends the file begun last.
    pub fn end(&mut self) {
        if let Some(part) = self.files.last_mut() {
            part.ends = true;
        }
    }

    pub fn special(&mut self, job: SpecialJob<'r>) {
        self.bytes += 400 + job.target.len();
        self.specials.push(job);
    }

    pub fn link(&mut self, group: Arc<LinkGroup<'r>>, job: LinkJob<'r>) {
        self.bytes += 200;
        self.links.push((group, job));
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether it is worth the executor's while.
    pub fn is_worthwhile(&self) -> bool {
        self.bytes >= BYTES_MIN
    }

    /// Whether it must not grow.
    pub fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }
}
