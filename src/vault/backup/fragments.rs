//! Small files that share a chunk. Three ids of 32 bytes for each file would be a large part of what a file of a
//! few hundred bytes takes; neighbours in a directory therefore go into one chunk, back to back.

use crate::base::id::ChunkId;
use crate::codec::kdf::plain_hash;
use crate::repo::tree::FileContent;
use crate::vault::backup::item::Outcome;

/// Files up to this size share chunks.
pub const FRAGMENT_BYTES_MAX: u64 = 4 << 10;
/// What a shared chunk holds at most.
pub const SHARED_BYTES_MAX: usize = 32 << 10;

/// Whether a shared chunk ends behind a file of this name: one in 16 does. Since names decide, equal directories
/// share in the same way, and a file that comes or goes changes the chunk it is in and no other.
pub fn ends_shared(name: &[u8]) -> bool {
    plain_hash(name)[1].is_multiple_of(16)
}

/// A shared chunk being gathered, and the outcomes that wait for its id.
#[derive(Default)]
pub struct Fragments {
    bytes: Vec<u8>,
    waiting: Vec<usize>,
}

impl Fragments {
    /// Whether so many more bytes fit.
    pub fn fits(&self, length: usize) -> bool {
        self.bytes.len() + length <= SHARED_BYTES_MAX
    }

    /// Adds the content of a file; what it refers to is known once the chunk [ends](Self::end).
    pub fn add(&mut self, bytes: &[u8]) -> FileContent {
        let offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        FileContent { fragment: Some(offset), ..FileContent::default() }
    }

    /// Forgets what was added last: it will be read again.
    pub fn take_back(&mut self, content: Option<&FileContent>) {
        if let Some(offset) = content.and_then(|content| content.fragment) {
            self.bytes.truncate(offset as usize);
        }
    }

    /// The outcome at this position waits for the id if it has a fragment.
    pub fn wait(&mut self, position: usize, outcome: &Outcome) {
        if let Outcome::Read(entry, _) | Outcome::Torn(entry, _) = outcome
            && entry.content.as_ref().is_some_and(|content| content.fragment.is_some())
        {
            self.waiting.push(position);
        }
    }

    /// Stores the chunk and tells everyone who waits. A file that is alone in it has a plain chunk.
    pub fn end<E>(
        &mut self,
        outcomes: &mut [Outcome],
        store: &mut dyn FnMut(&[u8]) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let id = store(&self.bytes)?;
        for position in self.waiting.drain(..) {
            if let Some(Outcome::Read(entry, _) | Outcome::Torn(entry, _)) = outcomes.get_mut(position)
                && let Some(content) = &mut entry.content
            {
                content.ids = vec![id];
                content.fragment = content.fragment.filter(|_| entry.size != self.bytes.len() as u64);
            }
        }
        self.bytes.clear();
        Ok(())
    }
}
