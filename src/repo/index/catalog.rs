//! What the cache says about itself and about packs, as values (`docs/format-index.part.md`: none of this is part
//! of the repository's format; it may change with any version).

use std::collections::BTreeSet;

use crate::base::id::{NodeId, PackId, RepositoryId, SegmentId};
use crate::codec::wire::{Malformed, Reader};
use crate::repo::index::place::{BlockPlace, PackPlace};
use crate::repo::index::run::RunInfo;
use crate::repo::index::shelf::{Cache, Fault, Key};
use crate::repo::pack::BlockCodec;
use crate::repo::secrets::{Content, IdDomain, IdOwner};

/// Raised with every change of the cache's layout; a cache of another number is built anew.
const LAYOUT: u32 = 3;
/// Runs a record may name, so that it stays one small value.
const RUNS_MAX: u32 = 64;
/// Blocks in one value of a pack.
const BLOCKS_PER_PART: usize = 400;

/// Sums up the cache; written last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose index this is.
    pub repository: RepositoryId,
    /// How many sources are folded in.
    pub sources: u32,
    /// The number the next pack gets.
    pub next_pack: u32,
    /// Packs with a place of their own.
    pub packs: u64,
    /// Entries in all runs.
    pub entries: u64,
    /// The number the next run gets.
    pub next_run: u32,
    /// How many numbers belong to packs that do not count any more.
    pub gone: u32,
    /// The last entry of the journal that says packs are gone and after which the packs were looked for.
    pub last_swept: u64,
    /// The runs, largest first.
    pub runs: Vec<RunInfo>,
}

impl Record {
    /// The record of an empty cache.
    pub fn new(repository: RepositoryId) -> Self {
        Self {
            repository,
            sources: 0,
            next_pack: 0,
            packs: 0,
            entries: 0,
            next_run: 0,
            gone: 0,
            last_swept: 0,
            runs: Vec::new(),
        }
    }

    /// Reads it; `None` from an empty cache, or one of another layout or repository.
    pub fn load(cache: &Cache, repository: RepositoryId) -> Result<Option<Self>, Fault> {
        let Some(bytes) = cache.get(Key::Record)? else { return Ok(None) };
        Self::decode(&bytes, repository).map_err(|why| Fault(why.to_string()))
    }

    /// Writes it.
    pub fn store(&self, cache: &Cache) -> Result<(), Fault> {
        let mut bytes = Vec::with_capacity(64 + 20 * self.runs.len());
        bytes.extend_from_slice(&LAYOUT.to_be_bytes());
        bytes.extend_from_slice(self.repository.as_bytes());
        bytes.extend_from_slice(&self.sources.to_be_bytes());
        bytes.extend_from_slice(&self.next_pack.to_be_bytes());
        bytes.extend_from_slice(&self.packs.to_be_bytes());
        bytes.extend_from_slice(&self.entries.to_be_bytes());
        bytes.extend_from_slice(&self.next_run.to_be_bytes());
        bytes.extend_from_slice(&self.gone.to_be_bytes());
        bytes.extend_from_slice(&self.last_swept.to_be_bytes());
        bytes.extend_from_slice(&(self.runs.len() as u32).to_be_bytes());
        for run in &self.runs {
            bytes.extend_from_slice(&run.id.to_be_bytes());
            bytes.extend_from_slice(&run.entries.to_be_bytes());
            bytes.extend_from_slice(&run.pages.to_be_bytes());
            bytes.extend_from_slice(&run.filter_blocks.to_be_bytes());
        }
        cache.put(Key::Record, &bytes)
    }

    fn decode(bytes: &[u8], repository: RepositoryId) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u32()? != LAYOUT || RepositoryId::from_bytes(reader.array()?) != repository {
            return Ok(None);
        }
        let mut record = Self::new(repository);
        record.sources = reader.u32()?;
        record.next_pack = reader.u32()?;
        record.packs = reader.u64()?;
        record.entries = reader.u64()?;
        record.next_run = reader.u32()?;
        record.gone = reader.u32()?;
        record.last_swept = reader.u64()?;
        let runs = reader.u32()?;
        if runs > RUNS_MAX {
            return Err(Malformed("the record names too many runs"));
        }
        for _ in 0..runs {
            let (id, entries) = (reader.u32()?, reader.u64()?);
            record.runs.push(RunInfo { id, entries, pages: reader.u32()?, filter_blocks: reader.u32()? });
        }
        reader.end()?;
        Ok(Some(record))
    }
}

/// Where packs were learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A segment lists them.
    Segment(SegmentId),
    /// Its own table was read because no readable segment listed it: nothing new may rely on it.
    Adopted(PackId),
    /// As before, but listed by a segment since.
    Listed(PackId),
    /// A segment or pack that could not be read again when the cache was built anew: its numbers stay taken. If it
    /// is still listed, it is read as a new source next time.
    Lost,
}

/// One step by which the cache came to be. Steps are kept in order, with the pack numbers they gave, so that a
/// cache built anew under a running command gives the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Where from.
    pub origin: Origin,
    /// The number of its first pack.
    pub first_pack: u32,
    /// How many numbers it took.
    pub packs: u32,
    /// How many of these packs were not known before, and count still.
    pub new_packs: u32,
    /// A merged segment that lists all packs of this one: with that one listed, this one may vanish.
    pub covered_by: Option<SegmentId>,
}

/// Sources in one value.
const SOURCES_PER_PART: usize = 40;

impl Source {
    /// The segment it is.
    pub fn segment(&self) -> Option<SegmentId> {
        match self.origin {
            Origin::Segment(id) => Some(id),
            _ => None,
        }
    }

    /// Writes the parts that hold these positions.
    pub fn store(cache: &Cache, all: &[Self], positions: impl IntoIterator<Item = usize>) -> Result<(), Fault> {
        let parts: BTreeSet<usize> = positions.into_iter().map(|position| position / SOURCES_PER_PART).collect();
        parts.into_iter().try_for_each(|part| {
            let sources = all.iter().skip(part * SOURCES_PER_PART).take(SOURCES_PER_PART);
            let bytes: Vec<u8> = sources.flat_map(|source| source.to_bytes()).collect();
            cache.put(Key::Sources(part as u32), &bytes)
        })
    }

    fn to_bytes(self) -> Vec<u8> {
        let (tag, id) = match self.origin {
            Origin::Segment(id) => (0u8, *id.as_bytes()),
            Origin::Adopted(id) => (1, *id.as_bytes()),
            Origin::Listed(id) => (2, *id.as_bytes()),
            Origin::Lost => (3, [0; 32]),
        };
        let cover = self.covered_by.map(|id| *id.as_bytes());
        [
            &[tag, u8::from(cover.is_some())],
            id.as_slice(),
            &self.first_pack.to_be_bytes(),
            &self.packs.to_be_bytes(),
            &self.new_packs.to_be_bytes(),
            &cover.unwrap_or_default(),
        ]
        .concat()
    }

    /// Reads the first `count`.
    pub fn load_all(cache: &Cache, count: u32) -> Result<Vec<Self>, Fault> {
        let (mut sources, mut part) = (Vec::new(), 0);
        while sources.len() < count as usize {
            let bytes = cache.need(Key::Sources(part))?;
            let mut reader = Reader::new(&bytes);
            let before = sources.len();
            while reader.left() > 0 {
                sources.push(Self::decode(&mut reader).map_err(|why| Fault(why.to_string()))?);
            }
            if sources.len() == before {
                return Err(Fault("a part of the sources is empty".to_owned()));
            }
            part += 1;
        }
        // A fold that was cut off may have left some more.
        sources.truncate(count as usize);
        Ok(sources)
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (tag, covered) = (reader.u8()?, reader.u8()? == 1);
        let id = reader.array()?;
        let origin = match tag {
            0 => Origin::Segment(SegmentId::from_bytes(id)),
            1 => Origin::Adopted(PackId::from_bytes(id)),
            2 => Origin::Listed(PackId::from_bytes(id)),
            3 => Origin::Lost,
            _ => return Err(Malformed("a source is of no known kind")),
        };
        let (first_pack, packs, new_packs) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let cover = SegmentId::from_bytes(reader.array()?);
        Ok(Self { origin, first_pack, packs, new_packs, covered_by: covered.then_some(cover) })
    }
}

/// Writes a pack's place under its number, `None` where the number belongs to no pack of its own.
pub fn store_pack(cache: &Cache, number: u32, pack: Option<&PackPlace>) -> Result<(), Fault> {
    let Some(pack) = pack else { return cache.put(Key::Pack { number, part: 0 }, &[]) };
    let (owner, node) = match pack.domain.owner {
        IdOwner::Shared => (0, [0u8; 16]),
        IdOwner::Node(node) => (1, *node.as_bytes()),
    };
    let mut bytes = Vec::with_capacity(4096);
    bytes.extend_from_slice(pack.id.as_bytes());
    bytes.extend_from_slice(&pack.bytes.to_be_bytes());
    bytes.extend_from_slice(&pack.header_bytes.to_be_bytes());
    bytes.extend_from_slice(&[u8::from(pack.domain.content == Content::Tree), owner]);
    bytes.extend_from_slice(&node);
    bytes.extend_from_slice(&(pack.blocks.len() as u32).to_be_bytes());
    let mut part = 0;
    for (index, block) in pack.blocks.iter().enumerate() {
        if index > 0 && index % BLOCKS_PER_PART == 0 {
            cache.put(Key::Pack { number, part }, &bytes)?;
            bytes.clear();
            part += 1;
        }
        bytes.extend_from_slice(&block.stored_bytes.to_be_bytes());
        bytes.extend_from_slice(&block.raw_bytes.to_be_bytes());
        bytes.push(u8::from(block.codec == BlockCodec::Zstd));
    }
    cache.put(Key::Pack { number, part }, &bytes)
}

/// The pack of a number; `None` where the number belongs to no pack of its own.
pub fn load_pack_id(cache: &Cache, number: u32) -> Result<Option<PackId>, Fault> {
    let front = cache.need(Key::Pack { number, part: 0 })?;
    Ok(front.first_chunk().map(|id| PackId::from_bytes(*id)))
}

/// Reads a pack's place; `None` where the number belongs to no pack of its own.
pub fn load_pack(cache: &Cache, number: u32) -> Result<Option<PackPlace>, Fault> {
    let front = cache.need(Key::Pack { number, part: 0 })?;
    if front.is_empty() {
        return Ok(None);
    }
    let malformed = |why: Malformed| Fault(why.to_string());
    let (mut pack, count) = decode_front(&mut Reader::new(&front)).map_err(malformed)?;
    let mut bytes = front.get(PACK_FRONT_BYTES..).unwrap_or_default().to_vec();
    let mut offset = u64::from(pack.header_bytes);
    for part in 0.. {
        let mut reader = Reader::new(&bytes);
        while reader.left() > 0 {
            let block = decode_block(&mut reader, offset).map_err(malformed)?;
            offset += u64::from(block.stored_bytes);
            pack.blocks.push(block);
        }
        if pack.blocks.len() as u64 >= u64::from(count) {
            break;
        }
        bytes = cache.need(Key::Pack { number, part: part + 1 })?;
    }
    Ok(Some(pack))
}

const PACK_FRONT_BYTES: usize = 66;

fn decode_front(reader: &mut Reader<'_>) -> Result<(PackPlace, u32), Malformed> {
    let (id, bytes) = (PackId::from_bytes(reader.array()?), reader.u64()?);
    let header_bytes = reader.u32()?;
    let content = if reader.u8()? == 1 { Content::Tree } else { Content::Data };
    let owned = reader.u8()? == 1;
    let node = NodeId::from_bytes(reader.array()?);
    let owner = if owned { IdOwner::Node(node) } else { IdOwner::Shared };
    let domain = IdDomain { content, owner };
    Ok((PackPlace { id, bytes, header_bytes, domain, blocks: Vec::new() }, reader.u32()?))
}

fn decode_block(reader: &mut Reader<'_>, offset: u64) -> Result<BlockPlace, Malformed> {
    let (stored_bytes, raw_bytes) = (reader.u32()?, reader.u32()?);
    let codec = if reader.u8()? == 1 { BlockCodec::Zstd } else { BlockCodec::Raw };
    Ok(BlockPlace { offset, stored_bytes, raw_bytes, codec })
}

/// The number of a pack, if the cache ever gave it one. What the record does not reach is left from a fold that was
/// cut off and does not count.
pub fn number_of(cache: &Cache, record: &Record, id: &PackId) -> Result<Option<u32>, Fault> {
    let Some(bytes) = cache.get(Key::Number(*id))? else { return Ok(None) };
    let number = Reader::new(&bytes).u32().map_err(|why| Fault(why.to_string()))?;
    if number >= record.next_pack {
        return Ok(None);
    }
    let front = cache.get(Key::Pack { number, part: 0 })?;
    Ok(front.is_some_and(|front| front.starts_with(id.as_bytes())).then_some(number))
}

/// Remembers the number of a pack.
pub fn store_number(cache: &Cache, id: &PackId, number: u32) -> Result<(), Fault> {
    cache.put(Key::Number(*id), &number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::index::scratch::ScratchShelf;
    use crate::repo::index::testing::{pack_id, table_of};

    fn cache() -> Cache {
        Cache::new(Box::new(ScratchShelf::create(&std::env::temp_dir()).unwrap()))
    }

    #[test]
    fn a_record_reads_back_and_belongs_to_one_repository() {
        let (cache, id) = (cache(), RepositoryId::from_bytes([3; 16]));
        assert_eq!(Record::load(&cache, id), Ok(None));
        let mut record = Record::new(id);
        record.runs = vec![RunInfo { id: 4, entries: 1 << 40, pages: 9, filter_blocks: 2 }];
        (record.sources, record.next_pack, record.packs, record.entries, record.next_run) = (1, 2, 3, 4, 5);
        (record.gone, record.last_swept) = (6, 7);
        record.store(&cache).unwrap();
        assert_eq!(Record::load(&cache, id), Ok(Some(record)));
        assert_eq!(Record::load(&cache, RepositoryId::from_bytes([4; 16])), Ok(None));
    }

    #[test]
    fn sources_read_back_in_order_and_none_beyond_the_count() {
        let cache = cache();
        let source = |number: u32| Source {
            origin: match number % 4 {
                0 => Origin::Segment(SegmentId::from_bytes([number as u8; 32])),
                1 => Origin::Adopted(pack_id(u64::from(number))),
                2 => Origin::Listed(pack_id(u64::from(number))),
                _ => Origin::Lost,
            },
            first_pack: number * 3,
            packs: 3,
            new_packs: 2,
            covered_by: number.is_multiple_of(5).then(|| SegmentId::from_bytes([9; 32])),
        };
        let mut all: Vec<_> = (0..100).map(source).collect();
        Source::store(&cache, &all, 0..100).unwrap();
        for count in [0, 1, 40, 41, 99, 100] {
            assert_eq!(Source::load_all(&cache, count), Ok(all[..count as usize].to_vec()), "{count}");
        }
        all[63].origin = Origin::Lost;
        Source::store(&cache, &all, [63]).unwrap();
        assert_eq!(Source::load_all(&cache, 100), Ok(all));
        assert!(Source::load_all(&cache, 101).is_err());
    }

    #[test]
    fn packs_of_any_length_read_back() {
        let cache = cache();
        for (number, chunks) in [0, 1, 399_999, 400_000, 400_001, 1_234_567].into_iter().enumerate() {
            let place = PackPlace::of(pack_id(7), 1 << 30, &table_of(7, chunks));
            store_pack(&cache, number as u32, Some(&place)).unwrap();
            assert_eq!(load_pack(&cache, number as u32), Ok(Some(place)), "{chunks}");
        }
        store_pack(&cache, 99, None).unwrap();
        assert_eq!(load_pack(&cache, 99), Ok(None));
        assert!(load_pack(&cache, 100).is_err());
    }
}
