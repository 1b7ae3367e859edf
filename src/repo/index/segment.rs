//! Index segments: write-once lists of packs and their tables (`docs/format.md`, "Index segments").
//!
//! Body: count and ids of the segments this one replaces (none, until segments are merged), count of packs, and
//! for each pack its id, stored bytes, table length and table.

use std::ops::Range;

use crate::base::id::{PackId, SegmentId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::sign::SigningSecret;
use crate::codec::wire::{Malformed, Reader};
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::format::{PACK_BYTES_MAX, TABLE_BYTES_MAX};
use crate::repo::pack::PackTable;
use crate::repo::repository::Repository;
use crate::repo::sealed::{self, Target};

/// A pack as a segment lists it: id, stored bytes, table.
pub type ListedPack = (PackId, u64, PackTable);

/// Body bytes a writer puts into one segment; only a single larger table makes a larger one. A reader holds three
/// copies of a body for a moment, so this bounds the memory of loading an index.
pub const SEGMENT_BYTES: usize = 16 << 20;
/// Inputs a merged segment may list, at most.
const INPUTS_MAX: u32 = 1 << 20;
/// Id, stored bytes, table length.
const PACK_FIXED_BYTES: usize = 44;

/// The object name of a segment.
pub fn name(id: SegmentId) -> ObjectName {
    ObjectName::of(ObjectKind::Index, id)
}

/// The segment an object of the folder `index/` is, if its name is a hash.
pub fn id_of(name: &ObjectName) -> Option<SegmentId> {
    name.text().parse().ok()
}

/// A segment that was just stored: its id, and which of the given packs it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenSegment {
    /// Its name.
    pub id: SegmentId,
    /// The packs, as positions in the list given to [`write()`].
    pub packs: Range<usize>,
}

/// Stores the packs' tables in as few segments as the size bound allows, in order. An empty list stores nothing.
pub fn write(
    repository: &Repository,
    sealer: &Sealer,
    signing: &SigningSecret,
    packs: &[ListedPack],
) -> Result<Vec<WrittenSegment>, RepoError> {
    let mut written = Vec::new();
    let mut begin = 0;
    while begin < packs.len() {
        let end = begin + fitting(&packs[begin..]);
        let id = write_one(repository, sealer, signing, &[], &packs[begin..end])?;
        written.push(WrittenSegment { id, packs: begin..end });
        begin = end;
    }
    Ok(written)
}

/// How many packs from the front fit into one segment; at least one.
fn fitting(packs: &[ListedPack]) -> usize {
    let mut bytes = 0;
    let fits = |(_, _, table): &&ListedPack| {
        bytes += PACK_FIXED_BYTES + table.encoded_bytes();
        bytes <= SEGMENT_BYTES
    };
    packs.iter().take_while(fits).count().max(1)
}

/// Stores exactly one segment that replaces `inputs`.
pub fn write_one(
    repository: &Repository,
    sealer: &Sealer,
    signing: &SigningSecret,
    inputs: &[SegmentId],
    packs: &[ListedPack],
) -> Result<SegmentId, RepoError> {
    let body = encode(inputs, packs);
    let entropy = &*repository.seams.entropy;
    let target = Target::ByHash(ObjectKind::Index);
    let (name, bytes) = sealed::encode(sealer, signing, entropy, target, Vec::new(), &body).map_err(|error| {
        RepoError::Local { action: "compress", what: "an index segment".to_owned(), why: error.to_string() }
    })?;
    repository.storage.put(&name, &bytes)?;
    id_of(&name).ok_or_else(|| RepoError::damaged(&name, "its name is not a hash"))
}

/// The body of a segment.
pub fn encode(inputs: &[SegmentId], packs: &[ListedPack]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&(inputs.len() as u32).to_be_bytes());
    for input in inputs {
        body.extend_from_slice(input.as_bytes());
    }
    body.extend_from_slice(&(packs.len() as u32).to_be_bytes());
    for (id, bytes, table) in packs {
        let table = table.encode();
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(&bytes.to_be_bytes());
        body.extend_from_slice(&(table.len() as u32).to_be_bytes());
        body.extend_from_slice(&table);
    }
    body
}

/// A segment's body, whose packs are decoded one at a time.
pub struct Segment {
    inputs: Vec<SegmentId>,
    packs: u32,
    body: Vec<u8>,
    /// Where the packs begin in the body.
    at: usize,
}

impl Segment {
    /// Loads, checks and opens a stored segment. Every pack in it has been decoded once when this succeeds, so
    /// that a damaged segment is refused whole.
    pub fn load(repository: &Repository, id: SegmentId) -> Result<Self, RepoError> {
        let name = name(id);
        let unsealed = repository.unseal(&name)?;
        Self::parse(unsealed.body).map_err(|why| RepoError::damaged(&name, why))
    }

    /// Parses a body and checks all of it.
    pub fn parse(body: Vec<u8>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(&body);
        let count = reader.u32()?;
        if count > INPUTS_MAX {
            return Err(Malformed("it claims to replace too many segments"));
        }
        let mut ids = Reader::new(reader.bytes(count as usize * SegmentId::BYTES)?);
        let inputs =
            (0..count).map(|_| ids.array().map(SegmentId::from_bytes)).collect::<Result<Vec<_>, Malformed>>()?;
        let packs = reader.u32()?;
        let segment = Self { inputs, packs, at: body.len() - reader.left(), body };
        let mut listed = segment.packs();
        for pack in &mut listed {
            pack?;
        }
        listed.reader.end()?;
        Ok(segment)
    }

    /// The segments this one replaces.
    pub fn inputs(&self) -> &[SegmentId] {
        &self.inputs
    }

    /// How many packs it lists.
    pub fn pack_count(&self) -> u32 {
        self.packs
    }

    /// Its packs in order, decoded one at a time. After a failure nothing more comes.
    pub fn packs(&self) -> ListedPacks<'_> {
        ListedPacks { reader: Reader::new(&self.body[self.at..]), left: self.packs }
    }
}

/// The packs of a segment.
pub struct ListedPacks<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl Iterator for ListedPacks<'_> {
    type Item = Result<ListedPack, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pack = decode_pack(&mut self.reader);
        if pack.is_err() {
            self.left = 0;
        }
        Some(pack)
    }
}

fn decode_pack(reader: &mut Reader<'_>) -> Result<ListedPack, Malformed> {
    let id = PackId::from_bytes(reader.array()?);
    let bytes = reader.u64()?;
    let length = reader.u32()? as usize;
    if bytes > PACK_BYTES_MAX || length > TABLE_BYTES_MAX {
        return Err(Malformed("it lists a pack larger than any can be"));
    }
    let table = PackTable::decode(reader.bytes(length)?)?;
    let blocks = table.blocks.iter().map(|block| u64::from(block.stored_bytes)).sum::<u64>();
    if u64::from(table.header_bytes) + blocks > bytes {
        return Err(Malformed("it lists blocks beyond the end of their pack"));
    }
    Ok((id, bytes, table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::index::testing::{self, table_of};

    fn listed(number: u8, chunks: u32) -> ListedPack {
        let table = table_of(u64::from(number), chunks);
        (PackId::from_bytes([number; 32]), 1 << 20, table)
    }

    #[test]
    fn a_segment_reads_back_with_its_inputs() {
        let packs = [listed(1, 5), listed(2, 1)];
        let segment = Segment::parse(encode(&[SegmentId::from_bytes([7; 32])], &packs)).unwrap();
        assert_eq!(segment.inputs(), [SegmentId::from_bytes([7; 32])]);
        assert_eq!(segment.packs().collect::<Result<Vec<_>, _>>().unwrap(), packs);
    }

    #[test]
    fn every_cut_of_a_segment_is_refused() {
        let body = encode(&[SegmentId::from_bytes([7; 32])], &[listed(1, 3), listed(2, 1)]);
        for length in 0..body.len() {
            assert!(Segment::parse(body[..length].to_vec()).is_err(), "{length}");
        }
        assert!(Segment::parse([body.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn blocks_beyond_the_end_of_their_pack_are_refused() {
        let (id, _, table) = listed(1, 3);
        assert!(Segment::parse(encode(&[], &[(id, 100, table)])).is_err());
    }

    #[test]
    fn a_long_list_of_packs_is_split_into_segments_that_together_list_each_once() {
        let fixture = testing::Fixture::new(1);
        let packs: Vec<_> = (0..5).map(|number| listed(number, 150_000)).collect();
        let written = write(&fixture.repository, &fixture.sealer(), &fixture.signing(), &packs).unwrap();
        assert_eq!(written.iter().map(|segment| segment.packs.clone()).collect::<Vec<_>>(), [0..3, 3..5]);
        let read = |segment: &WrittenSegment| Segment::load(&fixture.repository, segment.id).unwrap();
        let all: Vec<_> = written.iter().map(read).flat_map(|s| s.packs().collect::<Vec<_>>()).collect();
        assert_eq!(all.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), packs);
    }
}
