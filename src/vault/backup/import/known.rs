//! Small files of earlier snapshots, by content: a file of a few hundred bytes has no id of its own by which an equal
//! one could be recognised, only a place in a chunk it shares. Without this every change of one file would store its
//! neighbours again.

use std::collections::HashMap;

use crate::base::id::ChunkId;
use crate::codec::kdf::plain_hash;
use crate::repo::RepoError;
use crate::repo::chunks::ChunkReader;
use crate::repo::index::{ChunkPlace, Index};
use crate::repo::snapshot::Manifest;
use crate::repo::tree::{Entry, EntryKind, FileContent};
use crate::vault::backup::fragments::FRAGMENT_BYTES_MAX;
use crate::vault::backup::store::ChunkStore;
use crate::vault::{Context, VaultError, browse};

/// Files remembered: about 100 MB at most. Of more, some are stored again.
const FILES_MAX: usize = 1 << 20;

/// Enough of a hash that no two contents ever share it.
type Print = [u8; 16];

/// Where the contents of small files lie.
#[derive(Default)]
pub struct KnownFiles {
    chunks: Vec<ChunkId>,
    /// The position of a chunk, and the offset in it; all bits for a chunk of its own.
    files: HashMap<Print, (u32, u32)>,
}

const ALONE: u32 = u32::MAX;

/// A small file of a snapshot.
struct Part {
    chunk: u32,
    offset: u32,
    length: u16,
}

impl KnownFiles {
    /// The small files of these snapshots. What cannot be read is not known: that costs room and nothing else.
    pub fn of(
        snapshots: &[Manifest],
        store: &ChunkStore<'_>,
        index: &Index,
        context: Context<'_>,
    ) -> Result<Self, VaultError> {
        let mut known = Self::default();
        if snapshots.is_empty() {
            return Ok(known);
        }
        let chunks = ChunkReader::new(store.repository(), index);
        let mut numbers = HashMap::new();
        let mut parts = Vec::new();
        for manifest in snapshots {
            let walked = browse::below(&chunks, manifest.root, &mut Vec::new(), context, &mut |_, entry| {
                known.gather(entry, &mut numbers, &mut parts);
                Ok(true)
            });
            match walked {
                Ok(()) | Err(VaultError::Repo(_)) => {}
                Err(other) => return Err(other),
            }
        }
        known.read(&chunks, store, parts, context)?;
        Ok(known)
    }

    fn gather(&mut self, entry: &Entry, numbers: &mut HashMap<ChunkId, u32>, parts: &mut Vec<Part>) {
        let small = entry.kind == EntryKind::File && entry.size > 0 && entry.size <= FRAGMENT_BYTES_MAX;
        let Some(content) = entry.content.as_ref().filter(|_| small && parts.len() < FILES_MAX) else { return };
        let ([id], None, None) = (content.ids.as_slice(), content.list_depth, &content.extents) else { return };
        let chunk = *numbers.entry(*id).or_insert_with(|| {
            self.chunks.push(*id);
            self.chunks.len() as u32 - 1
        });
        parts.push(Part { chunk, offset: content.fragment.unwrap_or(ALONE), length: entry.size as u16 });
    }

    /// Reads the chunks in the order in which they lie in packs, so that each block is expanded once.
    fn read(
        &mut self,
        chunks: &ChunkReader<'_>,
        store: &ChunkStore<'_>,
        mut parts: Vec<Part>,
        context: Context<'_>,
    ) -> Result<(), VaultError> {
        parts.sort_unstable_by_key(|part| part.chunk);
        let mut order = Vec::with_capacity(self.chunks.len());
        for (number, id) in self.chunks.iter().enumerate() {
            // Only what may be relied on: a pack that is about to be deleted may not gain a reference.
            let place = if store.has(id)? { chunks.index().places(id)?.into_iter().min() } else { None };
            order.extend(place.map(|place: ChunkPlace| (place, number as u32)));
        }
        order.sort_unstable();
        for (_, number) in order {
            if context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let from = parts.partition_point(|part| part.chunk < number);
            let Some(id) = self.chunks.get(number as usize) else { continue };
            let bytes = match chunks.read(id) {
                Ok(bytes) => bytes,
                Err(RepoError::Interrupted) => return Err(VaultError::Interrupted),
                Err(_) => continue,
            };
            for part in parts[from..].iter().take_while(|part| part.chunk == number) {
                let start = if part.offset == ALONE { 0 } else { part.offset as usize };
                if let Some(content) = bytes.get(start..start + usize::from(part.length)) {
                    self.files.insert(print(content), (number, part.offset));
                }
            }
        }
        Ok(())
    }

    /// Where equal bytes lie.
    pub fn find(&self, content: &[u8]) -> Option<FileContent> {
        if self.files.is_empty() {
            return None;
        }
        let (chunk, offset) = self.files.get(&print(content))?;
        let id = *self.chunks.get(*chunk as usize)?;
        Some(FileContent { ids: vec![id], fragment: (*offset != ALONE).then_some(*offset), ..FileContent::default() })
    }
}

fn print(content: &[u8]) -> Print {
    let hash = plain_hash(content);
    std::array::from_fn(|index| hash[index])
}
