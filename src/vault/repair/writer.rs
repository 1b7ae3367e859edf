//! What an owner writes without a backup: packs of chunks, and the segments that list them. No session is needed for
//! it (`docs/protocol.md`, "Decided here", 4).

use std::collections::HashMap;

use crate::base::id::ChunkId;
use crate::codec::compress::Deflater;
use crate::repo::crypt::Sealer;
use crate::repo::format::BLOCK_BYTES;
use crate::repo::index::ListedPack;
use crate::repo::pack::writer::{OpenBlock, PackWriter};
use crate::repo::pack::{BlockCodec, ChunkInfo};
use crate::repo::secrets::IdDomain;
use crate::repo::{RepoError, Repository};

/// Compression level, as of a backup.
const ZSTD_LEVEL: i32 = 3;
/// Packs are closed about here.
const PACK_BYTES: u64 = 16 << 20;

/// Packs being written, one for each id domain.
pub struct ChunkWriter<'a> {
    repository: &'a Repository,
    sealer: &'a Sealer,
    open: HashMap<IdDomain, OpenPack>,
    stored: Vec<ListedPack>,
}

/// A pack and the block gathered for it.
#[derive(Default)]
struct OpenPack {
    pack: Option<PackWriter>,
    plain: Vec<u8>,
    chunks: Vec<ChunkInfo>,
}

impl<'a> ChunkWriter<'a> {
    /// Nothing written yet.
    pub fn new(repository: &'a Repository, sealer: &'a Sealer) -> Self {
        Self { repository, sealer, open: HashMap::new(), stored: Vec::new() }
    }

    /// Adds a chunk, whose id is known to be right.
    pub fn add(&mut self, domain: IdDomain, id: ChunkId, bytes: &[u8]) -> Result<(), RepoError> {
        let gathered = self.open.get(&domain).map_or(0, |open| open.plain.len());
        if gathered > 0 && gathered + bytes.len() > BLOCK_BYTES {
            self.end_block(domain)?;
        }
        let open = self.open.entry(domain).or_default();
        open.plain.extend_from_slice(bytes);
        open.chunks.push(ChunkInfo { id, length: bytes.len() as u32 });
        Ok(())
    }

    /// Stores what is left; the packs that are durable now, for segments to list.
    pub fn finish(mut self) -> Result<Vec<ListedPack>, RepoError> {
        let mut domains: Vec<IdDomain> = self.open.keys().copied().collect();
        // The same order at every run.
        domains.sort_unstable_by_key(|domain| format!("{domain:?}"));
        for domain in domains {
            self.end_block(domain)?;
            self.end_pack(domain)?;
        }
        Ok(self.stored)
    }

    fn end_block(&mut self, domain: IdDomain) -> Result<(), RepoError> {
        let open = self.open.entry(domain).or_default();
        if open.chunks.is_empty() {
            return Ok(());
        }
        let pack = match &mut open.pack {
            Some(pack) => pack,
            none => none.insert(PackWriter::begin(&*self.repository.storage, self.sealer, domain)?),
        };
        let plain = std::mem::take(&mut open.plain);
        let raw_bytes = plain.len() as u32;
        let (codec, bytes) = shrunk(plain)?;
        pack.append(OpenBlock { codec, raw_bytes, bytes, chunks: std::mem::take(&mut open.chunks) })?;
        if pack.is_full(PACK_BYTES) { self.end_pack(domain) } else { Ok(()) }
    }

    fn end_pack(&mut self, domain: IdDomain) -> Result<(), RepoError> {
        let Some(pack) = self.open.get_mut(&domain).and_then(|open| open.pack.take()) else { return Ok(()) };
        let Repository { secrets, seams, .. } = self.repository;
        let written = pack.finish(&secrets.signing(), &*seams.entropy)?;
        self.stored.push((written.id, written.bytes, written.table));
        Ok(())
    }
}

fn shrunk(plain: Vec<u8>) -> Result<(BlockCodec, Vec<u8>), RepoError> {
    let failed = |error: std::io::Error| RepoError::Local {
        action: "compress",
        what: "a block".to_owned(),
        why: error.to_string(),
    };
    let mut packed = Vec::new();
    let smaller = Deflater::new(ZSTD_LEVEL).map_err(failed)?.deflate(&plain, &mut packed);
    Ok(if smaller { (BlockCodec::Zstd, packed) } else { (BlockCodec::Raw, plain) })
}
