//! Writing what is used of packs into new ones, block by block, with every chunk hashed on the way.

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use crate::base::id::ChunkId;
use crate::base::progress::{Event, Phase};
use crate::repo::chunks::ChunkReader;
use crate::repo::crypt::Sealer;
use crate::repo::index::{ChunkPlace, Index, Prefix, prefix_of};
use crate::repo::pack::reader;
use crate::repo::secrets::IdDomain;
use crate::repo::{RepoError, Repository};
use crate::sys::spill::Spill;
use crate::vault::prune::census::Census;
use crate::vault::prune::live::{self, Live};
use crate::vault::prune::report::Tally;
use crate::vault::{ChunkWriter, Context, VaultError};

/// Plaintext read at once.
const BATCH_BYTES: u64 = 48 << 20;
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
        let mut writer = ChunkWriter::new(self.repository, self.sealer, self.index);
        while let Some(batch) = next_batch(&mut wanted)? {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            self.read(&batch, census, &mut repacked, &mut writer)?;
        }
        let written = writer.finish()?;
        repacked.written = Tally { count: written.packs, bytes: written.bytes };
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
        live::each_live(live, self.index, self.context, |prefix, places, _| {
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

    /// Reads a batch, block by block and in parallel; writes the chunks in order.
    fn read(
        &self,
        batch: &[Wanted],
        census: &Census,
        repacked: &mut Repacked,
        writer: &mut ChunkWriter<'_>,
    ) -> Result<(), VaultError> {
        let chunks = ChunkReader::new(self.repository, self.index);
        let same_block = |a: &Wanted, b: &Wanted| (a.place.pack, a.place.block) == (b.place.pack, b.place.block);
        let groups: Vec<&[Wanted]> = batch.chunk_by(same_block).collect();
        let read: Vec<_> = groups.par_iter().map(|group| read_block(&chunks, group)).collect();
        for (group, block) in groups.iter().zip(read) {
            let Some(pack) = group.first().and_then(|wanted| census.pack(wanted.place.pack)) else { continue };
            match block {
                Ok(block) => block.into_iter().try_for_each(|(id, bytes)| writer.add(pack.domain, id, bytes))?,
                Err(error) if error.is_of_store() => return Err(error.into()),
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
