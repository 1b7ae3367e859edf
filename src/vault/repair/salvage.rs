//! Taking what is whole out of a damaged pack.

use std::collections::HashSet;

use crate::base::id::{ChunkId, PackId};
use crate::codec::compress::Inflater;
use crate::codec::seal::ObjectCipher;
use crate::repo::RepoError;
use crate::repo::chunks::ChunkReader;
use crate::repo::pack::reader::{self, Opening};
use crate::repo::pack::{BlockInfo, PackTable};
use crate::repo::secrets::IdDomain;
use crate::vault::VaultError;

/// What is known of a damaged pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bad {
    /// Nothing of it can be read.
    pub lost: bool,
    /// Its table, its own or as a segment has it.
    pub table: Option<PackTable>,
}

/// What becomes of the chunks of a damaged pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Salvaged {
    /// Whole, and to be stored again.
    pub salvaged: u64,
    /// Whole in another pack as well.
    pub elsewhere: u64,
    /// Not whole here or anywhere.
    pub lost: u64,
}

/// Receives a chunk whose hash is right.
pub type Keep<'k> = &'k mut dyn FnMut(IdDomain, ChunkId, &[u8]) -> Result<(), RepoError>;

/// Looks through damaged packs, one after the other.
pub struct Salvager<'a> {
    /// Reads other copies.
    pub chunks: ChunkReader<'a>,
    /// Packs, by the index's number, whose copies do not count: damaged or marked.
    pub unreliable: HashSet<u32>,
    /// Chunks taken out of a damaged pack before.
    pub taken: HashSet<ChunkId>,
}

impl Salvager<'_> {
    /// Goes through the chunks of a pack and gives away those that exist nowhere else.
    pub fn examine(&mut self, pack: PackId, bad: &Bad, keep: Keep<'_>) -> Result<Salvaged, VaultError> {
        let mut sum = Salvaged::default();
        let Some(table) = &bad.table else { return Ok(sum) };
        let repository = self.chunks.repository();
        let cipher = if bad.lost { None } else { reader::open(repository, pack, table.header_bytes).ok() };
        let mut tools = cipher.zip(Inflater::new().ok());
        for (slot, (block, offset)) in table.blocks.iter().zip(table.offsets()).enumerate() {
            let plain = tools.as_mut().and_then(|tools| self.open(pack, slot as u32, (block, offset), tools));
            let plain = plain.unwrap_or_default();
            let key = self.chunks.id_key(table.domain);
            let mut rest = plain.as_slice();
            for chunk in &block.chunks {
                let (bytes, behind) = rest.split_at_checked(chunk.length as usize).unwrap_or_default();
                rest = behind;
                let whole = !bytes.is_empty() && key.id(bytes) == chunk.id;
                if self.taken.contains(&chunk.id) || self.is_elsewhere(&chunk.id)? {
                    sum.elsewhere += 1;
                } else if whole {
                    keep(table.domain, chunk.id, bytes)?;
                    self.taken.insert(chunk.id);
                    sum.salvaged += 1;
                } else {
                    sum.lost += 1;
                }
            }
        }
        Ok(sum)
    }

    /// The plaintext of a block; `None` if it is damaged.
    fn open(
        &self,
        pack: PackId,
        slot: u32,
        (block, offset): (&BlockInfo, u64),
        (cipher, inflater): &mut (ObjectCipher, Inflater),
    ) -> Option<Vec<u8>> {
        let name = reader::name(pack);
        let storage = &self.chunks.repository().storage;
        let stored = storage.get_range(&name, offset, block.stored_bytes as usize).ok()?;
        let mut plain = Vec::new();
        let opening = Opening { name: &name, cipher, slot };
        opening.block(block.codec, block.raw_bytes, stored, inflater, &mut plain).ok()?;
        Some(plain)
    }

    /// Whether a pack that is neither damaged nor marked has a copy that is whole: it is read.
    fn is_elsewhere(&self, id: &ChunkId) -> Result<bool, VaultError> {
        let places = self.chunks.index().places(id)?;
        let other = |pack: &u32| !self.unreliable.contains(pack);
        Ok(places.into_iter().any(|place| other(&place.pack) && self.chunks.read_copy(id, place).is_ok()))
    }
}
