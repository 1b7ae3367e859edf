//! Where new chunks go: deduplicated, gathered into blocks, compressed, sealed into packs, listed in segments.
//!
//! Many threads add chunks at once. A thread that adds holds a [`Filler`]; a pack is shared under a lock that is
//! held only while a finished block is sealed and written; a publisher thread makes full packs durable.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::base::id::{ChunkId, NodeId, PackId};
use crate::codec::compress::{Deflater, TryingDeflater};
use crate::codec::seal::TAG_BYTES;
use crate::codec::sign::SigningSecret;
use crate::repo::Repository;
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::format::{BLOCK_BYTES, BLOCK_BYTES_MAX};
use crate::repo::index::Index;
use crate::repo::pack::writer::{OpenBlock, PackWriter, WrittenPack};
use crate::repo::pack::{BlockCodec, ChunkInfo, PackTable};
use crate::repo::secrets::{Content, IdDomain, IdKey, IdOwner};
use crate::repo::tree::writer::TreeSink;

/// Compression level; level 3 is what the peers use.
const ZSTD_LEVEL: i32 = 3;
/// Chunks gathered before an index segment is written, so that the memory for them is bounded.
const SEGMENT_CHUNKS: usize = 250_000;
/// Time after which a segment is written all the same: what a killed backup leaves unlisted at most.
const SEGMENT_AGE: Duration = Duration::from_secs(60);
const CLAIM_SHARDS: usize = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts of what was added.
#[derive(Debug, Default)]
pub struct Added {
    /// Chunks that were new.
    pub chunks: AtomicU64,
    /// Their plaintext bytes.
    pub bytes: AtomicU64,
    /// Stored bytes of packs.
    pub stored: AtomicU64,
}

/// Which stream a chunk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// File data, recognised whichever node it comes from.
    Data,
    /// Data recognised only where it comes from the same node.
    Private,
    /// Trees and id lists.
    Trees,
}

/// Packs of one id domain.
struct Stream {
    domain: IdDomain,
    key: IdKey,
    pack: Mutex<Option<PackWriter>>,
    /// Begun blocks nobody holds at the moment.
    fillers: Mutex<Vec<Filler>>,
}

/// A block's plaintext being gathered by one thread.
#[derive(Default)]
pub struct Filler {
    bytes: Vec<u8>,
    chunks: Vec<ChunkInfo>,
    packed: Vec<u8>,
}

/// Durable packs that no segment names yet.
struct Unlisted {
    packs: Vec<(PackId, u64, PackTable)>,
    chunks: usize,
    since: Instant,
}

/// Takes the new chunks of one backup.
pub struct ChunkStore<'a> {
    repository: &'a Repository,
    index: &'a Index,
    sealer: &'a Sealer,
    signing: SigningSecret,
    pack_bytes: u64,
    data: Stream,
    private: Stream,
    trees: Stream,
    /// Ids this backup has taken and that the index does not know yet.
    claims: Vec<Mutex<HashSet<ChunkId>>>,
    deflaters: Mutex<Vec<Deflater>>,
    /// For databases.
    trying: Mutex<Vec<TryingDeflater>>,
    /// Empty buffers for reuse.
    spares: Mutex<Vec<Filler>>,
    full: Sender<Option<PackWriter>>,
    unlisted: Mutex<Unlisted>,
    /// First failure of the publisher; the next call reports it.
    failure: Mutex<Option<RepoError>>,
    /// What was added so far.
    pub added: Added,
}

impl<'a> ChunkStore<'a> {
    /// A store for the session of `sealer`. Full packs go to `full`; a thread must run [`publish`](Self::publish).
    pub fn new(
        repository: &'a Repository,
        index: &'a Index,
        sealer: &'a Sealer,
        node: NodeId,
        full: Sender<Option<PackWriter>>,
    ) -> Self {
        let stream = |content, owner| {
            let domain = IdDomain { content, owner };
            let key = repository.secrets.id_key(domain);
            Stream { domain, key, pack: Mutex::default(), fillers: Mutex::default() }
        };
        Self {
            repository,
            index,
            sealer,
            signing: repository.secrets.signing(),
            pack_bytes: pack_bytes(index.pack_count()),
            data: stream(Content::Data, IdOwner::Shared),
            private: stream(Content::Data, IdOwner::Node(node)),
            trees: stream(Content::Tree, IdOwner::Node(node)),
            claims: (0..CLAIM_SHARDS).map(|_| Mutex::default()).collect(),
            deflaters: Mutex::default(),
            trying: Mutex::default(),
            spares: Mutex::default(),
            full,
            unlisted: Mutex::new(Unlisted { packs: Vec::new(), chunks: 0, since: Instant::now() }),
            failure: Mutex::default(),
            added: Added::default(),
        }
    }

    /// The repository it stores into.
    pub fn repository(&self) -> &'a Repository {
        self.repository
    }

    /// Takes a filler out of the pool; it may hold chunks of an earlier user.
    pub fn filler(&self, lane: Lane) -> Filler {
        lock(&self.stream(lane).fillers).pop().unwrap_or_default()
    }

    /// Gives a filler back.
    pub fn put_back(&self, lane: Lane, filler: Filler) {
        lock(&self.stream(lane).fillers).push(filler);
    }

    /// The id of a chunk; the chunk is stored unless the repository or this backup has it. If it did not fit any
    /// more, the full block is returned to be given to [`store_block`](Self::store_block), here or elsewhere. A chunk
    /// no reader would take is an error.
    pub fn add(&self, lane: Lane, filler: &mut Filler, chunk: &[u8]) -> Result<(ChunkId, Option<Filler>), RepoError> {
        bounded(lane, chunk.len())?;
        let id = self.stream(lane).key.id(chunk);
        if !self.claim(&id)? {
            return Ok((id, None));
        }
        self.added.chunks.fetch_add(1, Ordering::Relaxed);
        self.added.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let overflows = !filler.bytes.is_empty() && filler.bytes.len() + chunk.len() > BLOCK_BYTES;
        let full = overflows.then(|| std::mem::replace(filler, lock(&self.spares).pop().unwrap_or_default()));
        if filler.bytes.capacity() == 0 {
            filler.bytes.reserve_exact(BLOCK_BYTES.max(chunk.len()) + TAG_BYTES);
        }
        filler.bytes.extend_from_slice(chunk);
        filler.chunks.push(ChunkInfo { id, length: chunk.len() as u32 });
        Ok((id, full))
    }

    /// Whether this backup or the repository has a chunk that may be relied on.
    pub fn has(&self, id: &ChunkId) -> Result<bool, RepoError> {
        Ok(lock(self.shard(id)).contains(id) || self.index.contains(id)?)
    }

    /// Compresses a block, seals it into the open pack, and hands the pack on when it is full.
    pub fn store_block(&self, lane: Lane, block: Filler) -> Result<(), RepoError> {
        let Filler { bytes: mut raw, chunks, mut packed } = block;
        if chunks.is_empty() {
            return Ok(());
        }
        let raw_bytes = raw.len() as u32;
        let shrunk = self.deflate(lane, &raw, &mut packed)?;
        let (codec, bytes) = if shrunk { (BlockCodec::Zstd, &mut packed) } else { (BlockCodec::Raw, &mut raw) };
        let block = OpenBlock { codec, raw_bytes, bytes: std::mem::take(bytes), chunks };
        *bytes = self.append(self.stream(lane), block)?;
        raw.clear();
        packed.clear();
        lock(&self.spares).push(Filler { bytes: raw, chunks: Vec::new(), packed });
        Ok(())
    }

    fn deflate(&self, lane: Lane, raw: &[u8], packed: &mut Vec<u8>) -> Result<bool, RepoError> {
        if lane == Lane::Private {
            let idle = lock(&self.trying).pop();
            let mut deflater = idle.map_or_else(|| TryingDeflater::new(ZSTD_LEVEL), Ok).map_err(no_compressor)?;
            let shrunk = deflater.deflate(raw, packed);
            lock(&self.trying).push(deflater);
            return Ok(shrunk);
        }
        let idle = lock(&self.deflaters).pop();
        let mut deflater = idle.map_or_else(|| Deflater::new(ZSTD_LEVEL), Ok).map_err(no_compressor)?;
        let shrunk = deflater.deflate(raw, packed);
        lock(&self.deflaters).push(deflater);
        Ok(shrunk)
    }

    fn append(&self, stream: &Stream, block: OpenBlock) -> Result<Vec<u8>, RepoError> {
        self.check_failure()?;
        let mut open = lock(&stream.pack);
        let mut pack = match open.take() {
            Some(pack) => pack,
            None => PackWriter::begin(&*self.repository.storage, self.sealer, stream.domain)?,
        };
        let buffer = pack.append(block)?;
        if pack.is_full(self.pack_bytes) {
            drop(open);
            self.hand_over(pack)?;
        } else {
            *open = Some(pack);
        }
        Ok(buffer)
    }

    /// Makes packs durable until told to stop; runs on its own thread.
    pub fn publish(&self, full: &Receiver<Option<PackWriter>>) {
        while let Ok(Some(pack)) = full.recv() {
            let done = pack
                .finish(&self.signing, &*self.repository.seams.entropy)
                .and_then(|written| self.note_written(written));
            if let Err(error) = done {
                self.fail(error);
            }
        }
    }

    /// Remembers a failure on a thread that cannot return it; the next call reports it.
    pub fn fail(&self, error: RepoError) {
        lock(&self.failure).get_or_insert(error);
    }

    /// Stores every begun block and hands over every open pack. To be called when no thread adds any more.
    pub fn flush(&self) -> Result<(), RepoError> {
        for lane in [Lane::Data, Lane::Private, Lane::Trees] {
            let stream = self.stream(lane);
            let fillers = std::mem::take(&mut *lock(&stream.fillers));
            for filler in fillers {
                self.store_block(lane, filler)?;
            }
            let pack = lock(&stream.pack).take();
            if let Some(pack) = pack {
                self.hand_over(pack)?;
            }
        }
        Ok(())
    }

    /// Lets the publisher end after what it was given.
    pub fn close(&self) {
        // It fails only if the publisher is gone, which is what is wanted.
        let _ = self.full.send(None);
    }

    /// Lists what is not listed yet; after the publisher has ended. Reports what it met.
    pub fn list_rest(&self) -> Result<(), RepoError> {
        self.check_failure()?;
        self.write_segment()
    }

    fn hand_over(&self, pack: PackWriter) -> Result<(), RepoError> {
        // The channel is closed only if the publisher panicked.
        let gone = |_| RepoError::Local {
            action: "publish",
            what: "a pack".to_owned(),
            why: "the publishing thread is gone".to_owned(),
        };
        self.full.send(Some(pack)).map_err(gone)
    }

    fn note_written(&self, written: WrittenPack) -> Result<(), RepoError> {
        self.added.stored.fetch_add(written.bytes, Ordering::Relaxed);
        let due = {
            let mut unlisted = lock(&self.unlisted);
            unlisted.chunks += written.table.blocks.iter().map(|block| block.chunks.len()).sum::<usize>();
            unlisted.packs.push((written.id, written.bytes, written.table));
            unlisted.chunks >= SEGMENT_CHUNKS || unlisted.since.elapsed() >= SEGMENT_AGE
        };
        if due { self.write_segment() } else { Ok(()) }
    }

    fn write_segment(&self) -> Result<(), RepoError> {
        let packs = {
            let mut unlisted = lock(&self.unlisted);
            unlisted.since = Instant::now();
            unlisted.chunks = 0;
            std::mem::take(&mut unlisted.packs)
        };
        if packs.is_empty() {
            return Ok(());
        }
        self.index.store(self.repository, self.sealer, &self.signing, &packs)?;
        for chunk in packs.iter().flat_map(|(_, _, table)| &table.blocks).flat_map(|block| &block.chunks) {
            lock(self.shard(&chunk.id)).remove(&chunk.id);
        }
        Ok(())
    }

    /// Whether the caller must store the chunk: nobody else has it, or is about to.
    fn claim(&self, id: &ChunkId) -> Result<bool, RepoError> {
        if !lock(self.shard(id)).insert(*id) {
            return Ok(false);
        }
        if self.index.contains(id)? {
            lock(self.shard(id)).remove(id);
            return Ok(false);
        }
        Ok(true)
    }

    fn check_failure(&self) -> Result<(), RepoError> {
        lock(&self.failure).take().map_or(Ok(()), Err)
    }

    fn stream(&self, lane: Lane) -> &Stream {
        match lane {
            Lane::Data => &self.data,
            Lane::Private => &self.private,
            Lane::Trees => &self.trees,
        }
    }

    fn shard(&self, id: &ChunkId) -> &Mutex<HashSet<ChunkId>> {
        &self.claims[usize::from(id.as_bytes()[31]) % CLAIM_SHARDS]
    }
}

/// Target size of packs: 16 MiB, growing with the repository so that it has some thousands of them, to 128 MiB.
pub fn pack_bytes(packs: u64) -> u64 {
    let doublings = (packs / 1024 + 1).ilog2().min(3);
    (16 << 20) << doublings
}

/// Better no snapshot than one that nobody can read.
fn bounded(lane: Lane, bytes: usize) -> Result<(), RepoError> {
    let what = match lane {
        Lane::Data | Lane::Private => "a chunk of a file",
        Lane::Trees => "a part of a directory",
    };
    if bytes > BLOCK_BYTES_MAX { Err(RepoError::TooLarge { what, bytes }) } else { Ok(()) }
}

fn no_compressor(error: std::io::Error) -> RepoError {
    RepoError::Local { action: "start", what: "a compressor".to_owned(), why: error.to_string() }
}

/// Stores tree chunks from one thread.
pub struct TreeChunks<'s, 'a> {
    store: &'s ChunkStore<'a>,
    filler: Filler,
}

impl<'s, 'a> TreeChunks<'s, 'a> {
    /// A sink for trees.
    pub fn new(store: &'s ChunkStore<'a>) -> Self {
        Self { store, filler: store.filler(Lane::Trees) }
    }

    /// Gives the last, unfinished block back to the store.
    pub fn finish(self) {
        self.store.put_back(Lane::Trees, self.filler);
    }
}

impl TreeSink for TreeChunks<'_, '_> {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        let (id, full) = self.store.add(Lane::Trees, &mut self.filler, plaintext)?;
        if let Some(full) = full {
            self.store.store_block(Lane::Trees, full)?;
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::index::IndexOptions;
    use crate::repo::index::testing::Fixture;

    #[test]
    fn what_no_reader_would_take_is_not_stored() {
        let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
        let options = IndexOptions::new(cache.path());
        let progress = crate::base::progress::Silent;
        let index = Index::open_with(&fixture.repository, options, &progress, &Default::default()).unwrap();
        let sealer = fixture.sealer();
        let (full, _publisher) = crossbeam_channel::bounded(1);
        let store = ChunkStore::new(&fixture.repository, &index, &sealer, NodeId::from_bytes([1; 16]), full);
        let mut filler = store.filler(Lane::Trees);
        assert!(store.add(Lane::Trees, &mut filler, &vec![0; BLOCK_BYTES_MAX]).is_ok());
        let refused = store.add(Lane::Trees, &mut filler, &vec![0; BLOCK_BYTES_MAX + 1]).err().unwrap();
        assert!(matches!(refused, RepoError::TooLarge { what: "a part of a directory", .. }), "{refused}");
    }
}
