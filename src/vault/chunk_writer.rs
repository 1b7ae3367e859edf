//! What an owner writes without a backup: packs of chunks, and the segments that list them. No session is needed for
//! it (`docs/protocol.md`, "Decided here", 4).

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::base::id::ChunkId;
use crate::codec::compress::Deflater;
use crate::repo::crypt::Sealer;
use crate::repo::format::BLOCK_BYTES;
use crate::repo::index::{Index, ListedPack};
use crate::repo::pack::writer::{OpenBlock, PackWriter};
use crate::repo::pack::{BlockCodec, ChunkInfo};
use crate::repo::secrets::IdDomain;
use crate::repo::{RepoError, Repository};
use crate::vault::backup;

/// Compression level; as in a backup.
const ZSTD_LEVEL: i32 = 3;
/// Plaintext gathered for one id domain before it is compressed, in parallel.
const BATCH_BYTES: usize = 32 << 20;
/// Packs that are open at once: each has a file.
const OPEN_MAX: usize = 8;
/// Chunks after which the new packs are listed.
const SEGMENT_CHUNKS: usize = 250_000;

/// Packs that were stored and listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// How many.
    pub packs: u64,
    /// Their stored bytes.
    pub bytes: u64,
}

/// Packs being written, one for each id domain.
pub struct ChunkWriter<'a> {
    repository: &'a Repository,
    sealer: &'a Sealer,
    index: &'a Index,
    pack_bytes: u64,
    open: BTreeMap<IdDomain, OpenPack>,
    /// The domain of the last chunk.
    last: Option<IdDomain>,
    unlisted: Vec<ListedPack>,
    unlisted_chunks: usize,
    written: Written,
}

type Chunk = (ChunkId, Vec<u8>);

/// A pack, and what was gathered for it.
#[derive(Default)]
struct OpenPack {
    pack: Option<PackWriter>,
    gathered: Vec<Chunk>,
    bytes: usize,
}

impl<'a> ChunkWriter<'a> {
    /// Nothing written yet. The index learns of the new packs.
    pub fn new(repository: &'a Repository, sealer: &'a Sealer, index: &'a Index) -> Self {
        Self {
            repository,
            sealer,
            index,
            pack_bytes: backup::pack_bytes(index.pack_count()),
            open: BTreeMap::new(),
            last: None,
            unlisted: Vec::new(),
            unlisted_chunks: 0,
            written: Written::default(),
        }
    }

    /// Adds a chunk, whose id is known to be right. Chunks of one domain are stored in the order they come.
    pub fn add(&mut self, domain: IdDomain, id: ChunkId, bytes: Vec<u8>) -> Result<(), RepoError> {
        if let Some(before) = self.last.replace(domain).filter(|before| *before != domain) {
            // So that only one domain holds more than a block in memory.
            self.store_gathered(before)?;
            if self.open.len() >= OPEN_MAX && !self.open.contains_key(&domain) {
                self.end_all()?;
            }
        }
        let open = self.open.entry(domain).or_default();
        open.bytes += bytes.len();
        open.gathered.push((id, bytes));
        if open.bytes < BATCH_BYTES { Ok(()) } else { self.store_gathered(domain) }
    }

    /// Stores what is gathered, but for the last block.
    fn store_gathered(&mut self, domain: IdDomain) -> Result<(), RepoError> {
        let Some(open) = self.open.get_mut(&domain) else { return Ok(()) };
        let mut blocks = in_blocks(std::mem::take(&mut open.gathered));
        // The last one may grow.
        open.gathered = blocks.pop().unwrap_or_default();
        open.bytes = open.gathered.iter().map(|(_, bytes)| bytes.len()).sum();
        self.store(domain, blocks)
    }

    /// Stores and lists what is left.
    pub fn finish(mut self) -> Result<Written, RepoError> {
        self.end_all()?;
        self.list()?;
        Ok(self.written)
    }

    fn end_all(&mut self) -> Result<(), RepoError> {
        for (domain, open) in std::mem::take(&mut self.open) {
            self.open.insert(domain, OpenPack { pack: open.pack, ..OpenPack::default() });
            self.store(domain, in_blocks(open.gathered))?;
            self.end_pack(domain)?;
        }
        self.open.clear();
        Ok(())
    }

    /// Compresses blocks in parallel and appends them in order.
    fn store(&mut self, domain: IdDomain, blocks: Vec<Vec<Chunk>>) -> Result<(), RepoError> {
        let made: Vec<OpenBlock> =
            blocks.into_par_iter().map_init(|| Deflater::new(ZSTD_LEVEL).ok(), open_block).collect();
        for block in made {
            let open = self.open.entry(domain).or_default();
            let pack = match &mut open.pack {
                Some(pack) => pack,
                none => none.insert(PackWriter::begin(&*self.repository.storage, self.sealer, domain)?),
            };
            pack.append(block)?;
            if pack.is_full(self.pack_bytes) {
                self.end_pack(domain)?;
            }
        }
        Ok(())
    }

    fn end_pack(&mut self, domain: IdDomain) -> Result<(), RepoError> {
        let Some(pack) = self.open.get_mut(&domain).and_then(|open| open.pack.take()) else { return Ok(()) };
        let Repository { secrets, seams, .. } = self.repository;
        let written = pack.finish(&secrets.signing(), &*seams.entropy)?;
        self.written.packs += 1;
        self.written.bytes += written.bytes;
        self.unlisted_chunks += written.table.blocks.iter().map(|block| block.chunks.len()).sum::<usize>();
        self.unlisted.push((written.id, written.bytes, written.table));
        if self.unlisted_chunks >= SEGMENT_CHUNKS { self.list() } else { Ok(()) }
    }

    fn list(&mut self) -> Result<(), RepoError> {
        let unlisted = std::mem::take(&mut self.unlisted);
        self.index.store(self.repository, self.sealer, &self.repository.secrets.signing(), &unlisted)?;
        self.unlisted_chunks = 0;
        Ok(())
    }
}

/// Chunks in groups of a block each.
fn in_blocks(chunks: Vec<Chunk>) -> Vec<Vec<Chunk>> {
    let (mut blocks, mut bytes) = (Vec::<Vec<Chunk>>::new(), 0);
    for chunk in chunks {
        match blocks.last_mut() {
            Some(block) if bytes + chunk.1.len() <= BLOCK_BYTES => {
                bytes += chunk.1.len();
                block.push(chunk);
            }
            _ => {
                bytes = chunk.1.len();
                blocks.push(vec![chunk]);
            }
        }
    }
    blocks
}

fn open_block(deflater: &mut Option<Deflater>, chunks: Vec<Chunk>) -> OpenBlock {
    let infos = chunks.iter().map(|(id, bytes)| ChunkInfo { id: *id, length: bytes.len() as u32 }).collect();
    let raw: Vec<u8> = chunks.into_iter().flat_map(|(_, bytes)| bytes).collect();
    let raw_bytes = raw.len() as u32;
    let mut packed = Vec::new();
    let shrunk = deflater.as_mut().is_some_and(|deflater| deflater.deflate(&raw, &mut packed));
    let (codec, bytes) = if shrunk { (BlockCodec::Zstd, packed) } else { (BlockCodec::Raw, raw) };
    OpenBlock { codec, raw_bytes, bytes, chunks: infos }
}
