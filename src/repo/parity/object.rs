//! The objects of a parity group: `<group>-0` describes it, `<group>-<k>` holds the k-th recovery shard of every
//! stripe. Each ends with the same table, so that any one of them tells what the group is.

use crate::base::id::ParityId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::kdf::plain_hash;
use crate::codec::wire::Reader;
use crate::repo::error::RepoError;
use crate::repo::format::{MAGIC, PARITY_TABLE_BYTES_MAX, VERSION};
use crate::repo::parity::table::{Shape, Table, id_of};
use crate::storage::{Published, Staged, Storage};

/// Bytes in front of the recovery shards.
pub const FRONT_BYTES: u64 = 12;
/// The checksum at the end of an object.
const CHECKSUM_BYTES: u64 = 32;
/// Bytes behind the table: its length, and the checksum.
const TAIL_BYTES: u64 = 4 + CHECKSUM_BYTES;
/// Bytes read at once.
const SLICE_BYTES: u64 = 4 << 20;

/// The name of the `part`-th object of a group.
pub fn name(group: ParityId, part: u16) -> ObjectName {
    ObjectName::of(ObjectKind::Parity, format_args!("{group}-{part}"))
}

/// The group and the part a name stands for.
pub fn parse_name(name: &ObjectName) -> Option<(ParityId, u16)> {
    let (group, part) = name.text().split_once('-')?;
    let number: u16 = part.parse().ok()?;
    (name.kind() == ObjectKind::Parity && number.to_string() == part).then_some((group.parse().ok()?, number))
}

/// Stored bytes of the `part`-th object of a group.
pub fn stored_bytes(shape: &Shape, part: u16) -> u64 {
    let recovery = if part == 0 { 0 } else { shape.recovery_bytes() };
    FRONT_BYTES + recovery + shape.table_bytes() + TAIL_BYTES
}

/// An object being written: shards as they come, the table at the end.
pub struct Writer {
    part: u16,
    staged: Box<dyn Staged>,
    hasher: blake3::Hasher,
}

impl Writer {
    /// Begins the `part`-th object of a group whose name is not known yet.
    pub fn begin(storage: &dyn Storage, part: u16) -> Result<Self, RepoError> {
        let mut writer = Self { part, staged: storage.stage()?, hasher: blake3::Hasher::new() };
        let mut front = MAGIC.to_vec();
        front.extend_from_slice(&[ObjectKind::Parity.code(), VERSION]);
        front.extend_from_slice(&part.to_be_bytes());
        writer.write(&front)?;
        Ok(writer)
    }

    /// Which part it is.
    pub fn part(&self) -> u16 {
        self.part
    }

    /// The next recovery shard.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), RepoError> {
        self.hasher.update(bytes);
        Ok(self.staged.write(bytes)?)
    }

    /// Writes the table and gives the object its name.
    pub fn finish(mut self, group: ParityId, table: &[u8]) -> Result<Published, RepoError> {
        self.write(table)?;
        self.write(&(table.len() as u32).to_be_bytes())?;
        let checksum = *self.hasher.finalize().as_bytes();
        self.staged.write(&checksum)?;
        Ok(self.staged.publish(&name(group, self.part))?)
    }
}

/// Reads the table at the end of an object of so many bytes. The name of the group proves that it is the right one,
/// whatever else of the object is damaged.
pub fn read_table(storage: &dyn Storage, name: &ObjectName, bytes: u64) -> Result<Table, RepoError> {
    let damaged = |why: &str| RepoError::damaged(name, why);
    let (group, _) = parse_name(name).ok_or_else(|| damaged("its name is not that of a parity object"))?;
    refuse_newer(storage, name, bytes)?;
    let tail_at = bytes.checked_sub(TAIL_BYTES).ok_or_else(|| damaged("it is too short"))?;
    let tail = storage.get_range(name, tail_at, 4)?;
    let length = Reader::new(&tail).u32().map_err(|why| RepoError::damaged(name, why))? as usize;
    let at = tail_at.checked_sub(length as u64).filter(|_| length <= PARITY_TABLE_BYTES_MAX);
    let at = at.ok_or_else(|| damaged("its table has an impossible length"))?;
    let table = storage.get_range(name, at, length)?;
    if id_of(&table) != group {
        return Err(damaged("its table is not the one it is named by"));
    }
    Table::decode(&table).map_err(|why| RepoError::damaged(name, why))
}

/// A version byte counts only in an object whose checksum fits: otherwise it may be what is damaged.
fn refuse_newer(storage: &dyn Storage, name: &ObjectName, bytes: u64) -> Result<(), RepoError> {
    let Some(body) = bytes.checked_sub(CHECKSUM_BYTES).filter(|body| *body >= FRONT_BYTES) else { return Ok(()) };
    let front = storage.get_range(name, 0, FRONT_BYTES as usize)?;
    let (is_parity, version) = (front.starts_with(&MAGIC) && front[8] == ObjectKind::Parity.code(), front[9]);
    if !is_parity || version <= VERSION {
        return Ok(());
    }
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < body {
        let slice = (body - at).min(SLICE_BYTES);
        hasher.update(&storage.get_range(name, at, slice as usize)?);
        at += slice;
    }
    match storage.get_range(name, body, CHECKSUM_BYTES as usize)? == hasher.finalize().as_bytes() {
        true => Err(RepoError::TooNew { name: name.clone(), what: format!("format version {version}") }),
        false => Ok(()),
    }
}

/// The `part`-th recovery shard of a stripe, if it is what the table says.
pub fn read_shard(storage: &dyn Storage, group: ParityId, table: &Table, part: u16, stripe: usize) -> Option<Vec<u8>> {
    let hash = table.recovery.get(usize::from(part.checked_sub(1)?))?.get(stripe)?;
    let at = FRONT_BYTES + table.shape.offset(stripe);
    let shard = storage.get_range(&name(group, part), at, table.shape.shard_length(stripe)).ok()?;
    (plain_hash(&shard) == *hash.as_bytes()).then_some(shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_nothing_else_is_one() {
        let group = ParityId::from_bytes([0xab; 16]);
        assert_eq!(parse_name(&name(group, 12)), Some((group, 12)));
        for text in ["ab", "abababababababababababababababab", "abababababababababababababababab-01", "x-1", "-"] {
            assert_eq!(parse_name(&ObjectName::new(ObjectKind::Parity, text).unwrap()), None, "{text}");
        }
        assert_eq!(parse_name(&ObjectName::new(ObjectKind::Pack, name(group, 1).text()).unwrap()), None);
    }
}
