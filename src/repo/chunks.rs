//! Fetching chunks by id: every copy is tried, every byte re-hashed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::id::ChunkId;
use crate::base::object::ObjectName;
use crate::codec::compress::Inflater;
use crate::codec::seal::ObjectCipher;
use crate::repo::error::RepoError;
use crate::repo::index::{ChunkPlace, Index, PackPlace};
use crate::repo::pack::copies;
use crate::repo::pack::reader::{self, HEADER_GUESS};
use crate::repo::repository::Repository;
use crate::repo::secrets::{IdDomain, IdKey};
use crate::storage::StorageError;

/// Reads chunks for walking trees and dumping files. It remembers a few blocks, since neighbours are asked for
/// next. A restore of many files reads blocks itself, in the order of packs.
pub struct ChunkReader<'a> {
    repository: &'a Repository,
    index: &'a Index,
    memory: Mutex<Memory>,
}

/// A block by the index's number of its pack, and its slot.
type BlockKey = (u32, u32);

#[derive(Default)]
struct Memory {
    keys: HashMap<IdDomain, Arc<IdKey>>,
    ciphers: HashMap<u32, Arc<ObjectCipher>>,
    blocks: Vec<(BlockKey, Arc<Vec<u8>>)>,
    next: usize,
}

/// Blocks remembered: at 2 MiB each this bounds the memory.
const BLOCKS_KEPT: usize = 8;
/// Pack ciphers remembered.
const CIPHERS_KEPT: usize = 4096;

impl<'a> ChunkReader<'a> {
    /// A reader over an opened repository.
    pub fn new(repository: &'a Repository, index: &'a Index) -> Self {
        Self { repository, index, memory: Mutex::default() }
    }

    /// The repository read from.
    pub fn repository(&self) -> &'a Repository {
        self.repository
    }

    /// The index used.
    pub fn index(&self) -> &'a Index {
        self.index
    }

    /// The plaintext of a chunk, from the first copy that is whole. If all copies fail, the last error. If one of them
    /// is gone, or there is none, it may lie elsewhere since: the index is then read once more.
    pub fn read(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.read_with_domain(id).map(|(chunk, _)| chunk)
    }

    /// The same with the domain whose key made the id.
    pub fn read_with_domain(&self, id: &ChunkId) -> Result<(Vec<u8>, IdDomain), RepoError> {
        let seen = self.index.generation();
        match self.read_known(id) {
            Err(RepoError::ChunkMissing { .. } | RepoError::Storage(StorageError::NotFound { .. }))
                if self.index.refresh(seen)? =>
            {
                self.read_known(id)
            }
            read => read,
        }
    }

    fn read_known(&self, id: &ChunkId) -> Result<(Vec<u8>, IdDomain), RepoError> {
        let mut failure = RepoError::ChunkMissing { id: *id };
        for place in self.index.places(id)? {
            match self.read_copy(id, place) {
                Ok(chunk) => return Ok(chunk),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The key that made the ids of a domain.
    pub fn id_key(&self, domain: IdDomain) -> Arc<IdKey> {
        let make = || Arc::new(self.repository.secrets.id_key(domain));
        Arc::clone(self.lock().keys.entry(domain).or_insert_with(make))
    }

    /// The cipher of a pack.
    pub fn cipher(&self, number: u32, pack: &PackPlace) -> Result<Arc<ObjectCipher>, RepoError> {
        if let Some(cipher) = self.lock().ciphers.get(&number) {
            return Ok(Arc::clone(cipher));
        }
        let cipher = Arc::new(reader::open(self.repository, pack.id, pack.header_bytes)?);
        let mut memory = self.lock();
        if memory.ciphers.len() >= CIPHERS_KEPT {
            memory.ciphers.clear();
        }
        memory.ciphers.insert(number, Arc::clone(&cipher));
        Ok(cipher)
    }

    /// The plaintext of one copy of a chunk, and the domain whose key made the id.
    pub fn read_copy(&self, id: &ChunkId, place: ChunkPlace) -> Result<(Vec<u8>, IdDomain), RepoError> {
        let pack = self.index.pack(place.pack)?;
        let block = self.block(place, &pack)?;
        self.cut(id, place, &pack, &block).or_else(|first| {
            // Other bytes may stand under the pack's name, in good order; not so in its mended copy.
            let mended = self.fetch_mended(place.block, &pack).map_err(|_| first)?;
            self.cut(id, place, &pack, &mended)
        })
    }

    /// The chunk out of a block that was just read; a wrong one is an error that names the object.
    fn cut(
        &self,
        id: &ChunkId,
        place: ChunkPlace,
        pack: &PackPlace,
        block: &[u8],
    ) -> Result<(Vec<u8>, IdDomain), RepoError> {
        let name = reader::name(pack.id);
        let start = place.offset as usize;
        let chunk = start
            .checked_add(place.length as usize)
            .and_then(|end| block.get(start..end))
            .ok_or_else(|| RepoError::damaged(&name, "the index points outside of a block"))?;
        if self.id_key(pack.domain).id(chunk) == *id {
            Ok((chunk.to_vec(), pack.domain))
        } else {
            Err(RepoError::damaged(&name, format_args!("block {}: chunk {id} has other content", place.block)))
        }
    }

    fn block(&self, place: ChunkPlace, pack: &PackPlace) -> Result<Arc<Vec<u8>>, RepoError> {
        let key = (place.pack, place.block);
        if let Some((_, block)) = self.lock().blocks.iter().find(|(kept, _)| *kept == key) {
            return Ok(Arc::clone(block));
        }
        let block = Arc::new(self.fetch(place.pack, place.block, pack)?);
        let mut memory = self.lock();
        if memory.blocks.len() < BLOCKS_KEPT {
            memory.blocks.push((key, Arc::clone(&block)));
        } else {
            let oldest = memory.next % BLOCKS_KEPT;
            memory.blocks[oldest] = (key, Arc::clone(&block));
            memory.next = oldest + 1;
        }
        Ok(block)
    }

    /// The plaintext of a block, which is not remembered: for those who read each once. Only the hash of a chunk tells
    /// whether it is the right one.
    pub fn block_once(&self, number: u32, slot: u32) -> Result<Vec<u8>, RepoError> {
        let pack = self.index.pack(number)?;
        self.fetch(number, slot, &pack)
    }

    fn fetch(&self, number: u32, slot: u32, pack: &PackPlace) -> Result<Vec<u8>, RepoError> {
        let name = reader::name(pack.id);
        let read = || self.fetch_from(&name, &*self.cipher(number, pack)?, slot, pack);
        read().or_else(|first| self.fetch_mended(slot, pack).map_err(|_| first))
    }

    /// The block from the pack's mended copy, by that copy's own header.
    pub fn fetch_mended(&self, slot: u32, pack: &PackPlace) -> Result<Vec<u8>, RepoError> {
        let name = copies::mended_name(pack.id);
        let header = self.repository.storage.get_range(&name, 0, (pack.header_bytes as usize).min(HEADER_GUESS))?;
        let (_, cipher) = reader::parse_header(self.repository, &name, &header)?;
        self.fetch_from(&name, &cipher, slot, pack)
    }

    fn fetch_from(
        &self,
        name: &ObjectName,
        cipher: &ObjectCipher,
        slot: u32,
        pack: &PackPlace,
    ) -> Result<Vec<u8>, RepoError> {
        let block = pack
            .blocks
            .get(slot as usize)
            .ok_or_else(|| RepoError::damaged(name, "the index names a block it does not have"))?;
        let stored = self.repository.storage.get_range(name, block.offset, block.stored_bytes as usize)?;
        let mut out = Vec::new();
        let mut inflater = Inflater::new()
            .map_err(|error| RepoError::damaged(name, format_args!("no memory to expand it: {error}")))?;
        let opened = reader::Opening { name, cipher, slot };
        opened.block(block.codec, block.raw_bytes, stored, &mut inflater, &mut out)?;
        Ok(out)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
