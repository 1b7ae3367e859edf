//! Writing what is used of packs into new ones, block by block, with every chunk hashed on the way.

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use crate::base::id::ChunkId;
use crate::base::progress::{Event, Phase};
use crate::codec::compress::Deflater;
use crate::repo::chunks::ChunkReader;
use crate::repo::crypt::Sealer;
use crate::repo::format::BLOCK_BYTES;
use crate::repo::index::{ChunkPlace, Index, ListedPack, Prefix, prefix_of};
use crate::repo::pack::writer::{OpenBlock, PackWriter};
use crate::repo::pack::{BlockCodec, ChunkInfo, reader};
use crate::repo::secrets::IdDomain;
use crate::repo::{RepoError, Repository};
use crate::sys::spill::Spill;
use crate::vault::prune::census::Census;
use crate::vault::prune::live::{self, Live};
use crate::vault::prune::report::Tally;
use crate::vault::{Context, VaultError};

/// Compression level; as in a backup.
const ZSTD_LEVEL: i32 = 3;
/// Plaintext read at once.
const BATCH_BYTES: u64 = 48 << 20;
/// Chunks after which the new packs are listed.
const SEGMENT_CHUNKS: usize = 250_000;
/// Places sorted in memory at once: 24 MiB.
const SORTED_AT_ONCE: usize = 512 << 10;
/// Order of the pack, its number, block, offset, length; then the prefix.
const WANTED_BYTES: usize = 36;

/// A chunk to be written anew.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    place: ChunkPlace,
    prefix: Prefix,
}

impl Wanted {
    fn to_bytes(self, order: u32) -> [u8; WANTED_BYTES] {
        let mut bytes = [0; WANTED_BYTES];
        let ChunkPlace { pack, block, offset, length } = self.place;
        for (to, number) in bytes.chunks_exact_mut(4).zip([order, pack, block, offset, length]) {
            to.copy_from_slice(&number.to_be_bytes());
        }
        bytes[20..].copy_from_slice(&self.prefix);
        bytes
    }

    fn from_bytes(bytes: &[u8; WANTED_BYTES]) -> Self {
        let number = |at: usize| u32::from_be_bytes(std::array::from_fn(|index| bytes[at + index]));
        let place = ChunkPlace { pack: number(4), block: number(8), offset: number(12), length: number(16) };
        Self { place, prefix: std::array::from_fn(|index| bytes[20 + index]) }
    }
}

/// A chunk that was read.
type ReadChunk = (ChunkId, Vec<u8>);

/// What came of it.
#[derive(Default)]
pub struct Repacked {
    /// Packs that are no longer needed, by number.
    pub done: BTreeSet<u32>,
    /// New packs.
    pub written: Tally,
    /// Object and cause: packs that are left as they are.
    pub problems: Vec<(String, String)>,
}

/// Writes packs anew.
pub struct Repack<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Where chunks lie; learns of the new packs.
    pub index: &'a Index,
    /// What the new packs are sealed with.
    pub sealer: &'a Sealer,
    /// Size of the new packs.
    pub pack_bytes: u64,
    /// Progress, cancel, folders.
    pub context: Context<'a>,
}

impl Repack<'_> {
    /// Writes what is used of `packs` into new packs and lists these. A pack of which anything cannot be read is left
    /// as it is; what of it was written by then is waste, which the next prune finds.
    pub fn run(&self, packs: &[u32], census: &Census, live: &Live) -> Result<Repacked, VaultError> {
        let mut repacked = Repacked { done: packs.iter().copied().collect(), ..Repacked::default() };
        if packs.is_empty() {
            return Ok(repacked);
        }
        let total = packs.iter().filter_map(|number| census.pack(*number)).map(|pack| pack.used).sum();
        self.context.progress.on(Event::Phase { phase: Phase::Repack, total: Some(total) });
        let mut wanted = self.wanted(packs, census, live)?.peekable();
        let mut open: Option<Writing<'_>> = None;
        while let Some(batch) = next_batch(&mut wanted)? {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            for (domain, chunks) in self.read(&batch, census, &mut repacked)? {
                if open.as_ref().is_some_and(|writing| writing.domain != domain) {
                    self.finish(open.take(), &mut repacked)?;
                }
                let writing = open.get_or_insert_with(|| Writing::new(self, domain));
                writing.add(chunks)?;
            }
        }
        self.finish(open, &mut repacked)?;
        Ok(repacked)
    }

    /// The chunks to write, pack by pack, those of one id domain after the other.
    fn wanted(
        &self,
        packs: &[u32],
        census: &Census,
        live: &Live,
    ) -> Result<impl Iterator<Item = Result<Wanted, VaultError>>, VaultError> {
        let mut sorted: Vec<(IdDomain, u32)> =
            packs.iter().filter_map(|number| Some((census.pack(*number)?.domain, *number))).collect();
        sorted.sort_unstable();
        let order: HashMap<u32, u32> = (0..).zip(sorted).map(|(order, (_, number))| (number, order)).collect();
        let folder = self.context.folders.cache.clone();
        let mut spill = Spill::<WANTED_BYTES>::new(&folder, SORTED_AT_ONCE);
        live::each_live(live, self.index, self.context, |prefix, places| {
            let Some(place) = census.best(places) else { return Ok(()) };
            let Some(order) = order.get(&place.pack) else { return Ok(()) };
            let record = Wanted { place, prefix }.to_bytes(*order);
            spill.push(record).map_err(|error| VaultError::local("write a sorted run to", &folder, error))
        })?;
        let folder = self.context.folders.cache.clone();
        let failed = move |error| VaultError::local("read back a sorted run in", &folder, error);
        let records = spill.sorted().map_err(&failed)?;
        Ok(records.map(move |record| Ok(Wanted::from_bytes(&record.map_err(&failed)?))))
    }

    /// Reads a batch, block by block and in parallel; gives the chunks in order, by domain.
    fn read(
        &self,
        batch: &[Wanted],
        census: &Census,
        repacked: &mut Repacked,
    ) -> Result<Vec<(IdDomain, Vec<ReadChunk>)>, VaultError> {
        let chunks = ChunkReader::new(self.repository, self.index);
        let same_block = |a: &Wanted, b: &Wanted| (a.place.pack, a.place.block) == (b.place.pack, b.place.block);
        let groups: Vec<&[Wanted]> = batch.chunk_by(same_block).collect();
        let read: Vec<_> = groups.par_iter().map(|group| read_block(&chunks, group)).collect();
        let mut found: Vec<(IdDomain, Vec<ReadChunk>)> = Vec::new();
        for (group, block) in groups.iter().zip(read) {
            let Some(pack) = group.first().and_then(|wanted| census.pack(wanted.place.pack)) else { continue };
            match block {
                Ok(block) => match found.last_mut() {
                    Some((domain, chunks)) if *domain == pack.domain => chunks.extend(block),
                    _ => found.push((pack.domain, block)),
                },
                Err(error) if live::of_store(&error) => return Err(error.into()),
                Err(error) => {
                    if repacked.done.remove(&pack.number) {
                        repacked.problems.push((reader::name(pack.id).to_string(), error.to_string()));
                    }
                }
            }
            self.context.progress.on(Event::Advanced {
                bytes: group.iter().map(|wanted| u64::from(wanted.place.length)).sum(),
                files: group.len() as u64,
            });
        }
        Ok(found)
    }

    fn finish(&self, writing: Option<Writing<'_>>, repacked: &mut Repacked) -> Result<(), VaultError> {
        if let Some(writing) = writing {
            repacked.written += writing.finish()?;
        }
        Ok(())
    }
}

/// The next records, up to the bound; whole blocks, so that none is read twice.
fn next_batch(
    wanted: &mut std::iter::Peekable<impl Iterator<Item = Result<Wanted, VaultError>>>,
) -> Result<Option<Vec<Wanted>>, VaultError> {
    let (mut batch, mut bytes) = (Vec::<Wanted>::new(), 0);
    while let Some(next) = wanted.peek() {
        if let (Ok(next), Some(last)) = (next, batch.last())
            && bytes >= BATCH_BYTES
            && (next.place.pack, next.place.block) != (last.place.pack, last.place.block)
        {
            break;
        }
        let Some(next) = wanted.next().transpose()? else { break };
        bytes += u64::from(next.place.length);
        batch.push(next);
    }
    Ok((!batch.is_empty()).then_some(batch))
}

/// Reads one block and checks every wanted chunk in it.
fn read_block(chunks: &ChunkReader<'_>, group: &[Wanted]) -> Result<Vec<ReadChunk>, RepoError> {
    let Some(first) = group.first() else { return Ok(Vec::new()) };
    let pack = chunks.index().pack(first.place.pack)?;
    let block = chunks.block_once(first.place.pack, first.place.block)?;
    let key = chunks.id_key(pack.domain);
    let name = reader::name(pack.id);
    let one = |wanted: &Wanted| {
        let start = wanted.place.offset as usize;
        let bytes = start.checked_add(wanted.place.length as usize).and_then(|end| block.get(start..end));
        let bytes = bytes.ok_or_else(|| RepoError::damaged(&name, "the index points outside of a block"))?;
        let id = key.id(bytes);
        if prefix_of(&id) == wanted.prefix {
            return Ok((id, bytes.to_vec()));
        }
        Err(RepoError::damaged(&name, format_args!("block {}: a chunk has other content", wanted.place.block)))
    };
    group.iter().map(one).collect()
}

/// New packs of one id domain, being written.
struct Writing<'a> {
    repack: &'a Repack<'a>,
    domain: IdDomain,
    pack: Option<PackWriter>,
    /// Chunks that do not fill a block yet.
    rest: Vec<ReadChunk>,
    unlisted: Vec<ListedPack>,
    unlisted_chunks: usize,
    written: Tally,
}

impl<'a> Writing<'a> {
    fn new(repack: &'a Repack<'a>, domain: IdDomain) -> Self {
        Self {
            repack,
            domain,
            pack: None,
            rest: Vec::new(),
            unlisted: Vec::new(),
            unlisted_chunks: 0,
            written: Tally::default(),
        }
    }

    fn add(&mut self, chunks: Vec<ReadChunk>) -> Result<(), VaultError> {
        self.rest.extend(chunks);
        let mut blocks = gather(std::mem::take(&mut self.rest));
        // The last block may grow with the next batch.
        self.rest = blocks.pop().unwrap_or_default();
        self.store(blocks)
    }

    /// Compresses blocks in parallel and appends them in order.
    fn store(&mut self, blocks: Vec<Vec<ReadChunk>>) -> Result<(), VaultError> {
        let made: Vec<OpenBlock> =
            blocks.into_par_iter().map_init(|| Deflater::new(ZSTD_LEVEL).ok(), make_block).collect();
        for block in made {
            let Repack { repository, sealer, pack_bytes, .. } = self.repack;
            let mut pack = match self.pack.take() {
                Some(pack) => pack,
                None => PackWriter::begin(&*repository.storage, sealer, self.domain)?,
            };
            pack.append(block)?;
            if pack.is_full(*pack_bytes) {
                self.close(pack)?;
            } else {
                self.pack = Some(pack);
            }
        }
        Ok(())
    }

    fn close(&mut self, pack: PackWriter) -> Result<(), VaultError> {
        let Repository { secrets, seams, .. } = self.repack.repository;
        let written = pack.finish(&secrets.signing(), &*seams.entropy)?;
        self.written += Tally::one(written.bytes);
        self.unlisted_chunks += written.table.blocks.iter().map(|block| block.chunks.len()).sum::<usize>();
        self.unlisted.push((written.id, written.bytes, written.table));
        if self.unlisted_chunks >= SEGMENT_CHUNKS { self.list() } else { Ok(()) }
    }

    fn list(&mut self) -> Result<(), VaultError> {
        let Repack { repository, index, sealer, .. } = self.repack;
        index.store(repository, sealer, &repository.secrets.signing(), &std::mem::take(&mut self.unlisted))?;
        self.unlisted_chunks = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Tally, VaultError> {
        let rest = gather(std::mem::take(&mut self.rest));
        self.store(rest)?;
        if let Some(pack) = self.pack.take() {
            self.close(pack)?;
        }
        self.list()?;
        Ok(self.written)
    }
}

/// Chunks in groups of a block each.
fn gather(chunks: Vec<ReadChunk>) -> Vec<Vec<ReadChunk>> {
    let (mut blocks, mut bytes) = (Vec::<Vec<ReadChunk>>::new(), 0);
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

fn make_block(deflater: &mut Option<Deflater>, chunks: Vec<ReadChunk>) -> OpenBlock {
    let infos = chunks.iter().map(|(id, bytes)| ChunkInfo { id: *id, length: bytes.len() as u32 }).collect();
    let raw: Vec<u8> = chunks.into_iter().flat_map(|(_, bytes)| bytes).collect();
    let raw_bytes = raw.len() as u32;
    let mut packed = Vec::new();
    let shrunk = deflater.as_mut().is_some_and(|deflater| deflater.deflate(&raw, &mut packed));
    let (codec, bytes) = if shrunk { (BlockCodec::Zstd, packed) } else { (BlockCodec::Raw, raw) };
    OpenBlock { codec, raw_bytes, bytes, chunks: infos }
}
