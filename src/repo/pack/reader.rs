//! Reading packs: single blocks by place, or a whole pack with everything verified.

use crate::base::id::PackId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::compress::Inflater;
use crate::codec::seal::{Domain, ObjectCipher, TAG_BYTES};
use crate::codec::wire::Reader;
use crate::repo::Repository;
use crate::repo::error::RepoError;
use crate::repo::format::{BLOCK_BYTES_MAX, TABLE_BYTES_MAX, object_bytes_max};
use crate::repo::header::{FIXED_BYTES, Header};
use crate::repo::pack::copies;
use crate::repo::pack::table::{BlockCodec, PackTable};
use crate::repo::pack::writer::{TRAILER_BYTES, TRAILER_SEALED_BYTES};
use crate::repo::sealed::{header_error, verify_stored_hash};

/// How much is read at first to find a header: longer than any header of this version.
pub const HEADER_GUESS: usize = 2048;

/// The object name of a pack.
pub fn name(id: PackId) -> ObjectName {
    ObjectName::of(ObjectKind::Pack, id)
}

/// The cipher of a pack, from its header.
pub fn open(repository: &Repository, id: PackId, header_bytes: u32) -> Result<ObjectCipher, RepoError> {
    if (header_bytes as usize) < FIXED_BYTES || header_bytes as usize > HEADER_GUESS {
        return Err(RepoError::damaged(&name(id), "the index gives an impossible header length"));
    }
    copies::either(id, |name| {
        let bytes = repository.storage.get_range(name, 0, header_bytes as usize)?;
        Ok(parse_header(repository, name, &bytes)?.1)
    })
}

/// The header of a pack, given its stored size. Says nothing about its being genuine.
pub fn header(repository: &Repository, id: PackId, bytes: u64) -> Result<Header, RepoError> {
    copies::either(id, |name| {
        let front = repository.storage.get_range(name, 0, (bytes as usize).min(HEADER_GUESS))?;
        let header = Header::parse(&mut Reader::new(&front), ObjectKind::Pack);
        header.map_err(|error| header_error(name, error)).or_else(|error| newer_or_damaged(repository, name, error))
    })
}

/// What says that a pack is of a newer program counts only if the pack is whole: else that is what is damaged.
fn newer_or_damaged<T>(repository: &Repository, name: &ObjectName, error: RepoError) -> Result<T, RepoError> {
    if matches!(error, RepoError::TooNew { .. }) {
        let stored = repository.storage.get(name, object_bytes_max(name.kind()))?;
        verify_stored_hash(name, &stored)?;
    }
    Err(error)
}

/// Parses the header at the front of `bytes` and makes the pack's cipher.
pub fn parse_header(
    repository: &Repository,
    name: &ObjectName,
    bytes: &[u8],
) -> Result<(Header, ObjectCipher), RepoError> {
    let header = Header::parse(&mut Reader::new(bytes), ObjectKind::Pack).map_err(|error| header_error(name, error));
    let opened = header.and_then(|header| {
        let cipher = repository.opener.object(name, &header)?;
        Ok((header, cipher))
    });
    opened.or_else(|error| newer_or_damaged(repository, name, error))
}

/// A block about to be opened: its pack, the pack's cipher, and the block's slot.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// The pack.
    pub name: &'a ObjectName,
    /// Its cipher.
    pub cipher: &'a ObjectCipher,
    /// Position of the block in the pack.
    pub slot: u32,
}

impl Opening<'_> {
    /// Turns stored bytes (consumed) into the block's plaintext in `out` (replaced).
    ///
    /// The seal proves that a key holder wrote it; only the hash of each chunk proves it is the right one.
    pub fn block(
        self,
        codec: BlockCodec,
        raw_bytes: u32,
        mut stored: Vec<u8>,
        inflater: &mut Inflater,
        out: &mut Vec<u8>,
    ) -> Result<(), RepoError> {
        let slot = self.slot;
        let damaged = |why: &dyn std::fmt::Display| RepoError::damaged(self.name, format_args!("block {slot}: {why}"));
        if raw_bytes as usize > BLOCK_BYTES_MAX {
            return Err(damaged(&"it claims to be larger than any block"));
        }
        self.cipher.open(Domain::Block, u64::from(slot), &mut stored).map_err(|why| damaged(&why))?;
        match codec {
            BlockCodec::Zstd => inflater.inflate(&stored, raw_bytes as usize, out).map_err(|why| damaged(&why)),
            BlockCodec::Raw if stored.len() == raw_bytes as usize => {
                *out = stored;
                Ok(())
            }
            BlockCodec::Raw => Err(damaged(&"its length is not the one in the table")),
        }
    }
}

/// Reads the table of a pack from the pack itself, given its stored size.
pub fn read_table(repository: &Repository, id: PackId, bytes: u64) -> Result<PackTable, RepoError> {
    let mended = |first| {
        let name = copies::mended_name(id);
        let listed = repository.storage.list(ObjectKind::Mended)?.into_iter().find(|entry| entry.name == name);
        listed.map_or(Err(first), |entry| read_table_of(repository, &name, entry.bytes))
    };
    read_table_of(repository, &name(id), bytes).or_else(mended)
}

fn read_table_of(repository: &Repository, name: &ObjectName, bytes: u64) -> Result<PackTable, RepoError> {
    let front = repository.storage.get_range(name, 0, (bytes as usize).min(HEADER_GUESS))?;
    let (header, cipher) = parse_header(repository, name, &front)?;
    let too_short = || RepoError::damaged(name, "it is too short for its trailer");
    let trailer_at = bytes.checked_sub(TRAILER_BYTES as u64).ok_or_else(too_short)?;
    let trailer = repository.storage.get_range(name, trailer_at, TRAILER_SEALED_BYTES)?;
    let (offset, length) = open_trailer(name, &cipher, trailer, trailer_at, header.length() as u64)?;
    let sealed = repository.storage.get_range(name, offset, length)?;
    open_table(name, &cipher, sealed, header.length() as u64, offset)
}

/// Opens a trailer: where the sealed table lies, and its length. `end` is where the trailer begins.
pub fn open_trailer(
    name: &ObjectName,
    cipher: &ObjectCipher,
    mut trailer: Vec<u8>,
    end: u64,
    header_bytes: u64,
) -> Result<(u64, usize), RepoError> {
    cipher.open(Domain::Trailer, 0, &mut trailer).map_err(|why| RepoError::damaged(name, why))?;
    let mut reader = Reader::new(&trailer);
    let fields = reader.u64().and_then(|offset| Ok((offset, reader.u32()? as usize)));
    let (offset, length) = fields.map_err(|why| RepoError::damaged(name, why))?;
    let fits = offset >= header_bytes && offset.checked_add(length as u64).is_some_and(|table_end| table_end <= end);
    if !fits || !(TAG_BYTES..=TABLE_BYTES_MAX).contains(&length) {
        return Err(RepoError::damaged(name, "its trailer points outside of it"));
    }
    Ok((offset, length))
}

/// Opens a sealed table and checks that its blocks fill the pack between header and table.
pub fn open_table(
    name: &ObjectName,
    cipher: &ObjectCipher,
    mut sealed: Vec<u8>,
    header_bytes: u64,
    table_offset: u64,
) -> Result<PackTable, RepoError> {
    cipher.open(Domain::Table, 0, &mut sealed).map_err(|why| RepoError::damaged(name, why))?;
    let table = PackTable::decode(&sealed).map_err(|why| RepoError::damaged(name, why))?;
    let blocks_end =
        u64::from(table.header_bytes) + table.blocks.iter().map(|block| u64::from(block.stored_bytes)).sum::<u64>();
    if u64::from(table.header_bytes) != header_bytes || blocks_end != table_offset {
        return Err(RepoError::damaged(name, "its table does not fit its blocks"));
    }
    Ok(table)
}
