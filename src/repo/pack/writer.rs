//! Writing one pack: blocks are sealed and streamed to the store as they come; the name is known at the end.

use crate::base::id::PackId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::Entropy;
use crate::codec::padme::padded;
use crate::codec::seal::{Domain, ObjectCipher, TAG_BYTES};
use crate::codec::sign::{SIGNATURE_BYTES, SigningSecret, Subject};
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::format::{PACK_BLOCKS_MAX, PACK_BYTES_MAX};
use crate::repo::header::Header;
use crate::repo::pack::table::{BlockCodec, BlockInfo, ChunkInfo, PackTable, TABLE_BLOCK_BYTES, TABLE_CHUNK_BYTES};
use crate::repo::secrets::IdDomain;
use crate::storage::{Staged, Storage};

/// Sealed trailer: offset (8 bytes) and sealed length (4 bytes) of the table, tag.
pub const TRAILER_SEALED_BYTES: usize = 12 + TAG_BYTES;
/// Trailer and signature: what stands at the very end of a pack.
pub const TRAILER_BYTES: usize = TRAILER_SEALED_BYTES + SIGNATURE_BYTES;

/// A block ready to be sealed.
pub struct OpenBlock {
    /// How `bytes` were made from the plaintext.
    pub codec: BlockCodec,
    /// Plaintext length.
    pub raw_bytes: u32,
    /// Compressed or raw bytes.
    pub bytes: Vec<u8>,
    /// The chunks, in order.
    pub chunks: Vec<ChunkInfo>,
}

/// A pack being written.
pub struct PackWriter {
    header: Header,
    cipher: ObjectCipher,
    table: PackTable,
    table_bytes: usize,
    staged: Box<dyn Staged>,
    hasher: blake3::Hasher,
    written: u64,
}

/// A pack that is stored and durable.
pub struct WrittenPack {
    /// Its name.
    pub id: PackId,
    /// Its stored bytes.
    pub bytes: u64,
    /// Its table.
    pub table: PackTable,
}

impl PackWriter {
    /// Begins a pack of one id domain.
    pub fn begin(storage: &dyn Storage, sealer: &Sealer, domain: IdDomain) -> Result<Self, RepoError> {
        let (header, cipher) = sealer.object(ObjectKind::Pack, Vec::new());
        let bytes = header.to_bytes();
        let table = PackTable::new(domain, bytes.len() as u32);
        let table_bytes = table.encoded_bytes();
        let mut pack = Self {
            header,
            cipher,
            table,
            table_bytes,
            staged: storage.stage()?,
            hasher: blake3::Hasher::new(),
            written: 0,
        };
        pack.write(&bytes)?;
        Ok(pack)
    }

    /// Seals a block under the next slot and writes it. Returns its buffer for reuse.
    pub fn append(&mut self, block: OpenBlock) -> Result<Vec<u8>, RepoError> {
        let mut bytes = block.bytes;
        self.cipher.seal(Domain::Block, self.table.blocks.len() as u64, &mut bytes);
        self.write(&bytes)?;
        self.table_bytes += TABLE_BLOCK_BYTES + TABLE_CHUNK_BYTES * block.chunks.len();
        self.table.blocks.push(BlockInfo {
            stored_bytes: bytes.len() as u32,
            raw_bytes: block.raw_bytes,
            codec: block.codec,
            chunks: block.chunks,
        });
        Ok(bytes)
    }

    /// Whether the pack should be closed: it has reached the target and would waste little on padding, or is
    /// twice as large, or at a limit of the format. Waiting for a good moment keeps padding near a five-hundredth.
    pub fn is_full(&self, target_bytes: u64) -> bool {
        let size = self.size_when_closed();
        let limits = self.table.blocks.len() as u32 >= PACK_BLOCKS_MAX || size >= PACK_BYTES_MAX / 2;
        limits || (size >= target_bytes && (padded(size) - size <= size / 512 || size >= target_bytes * 2))
    }

    /// Writes table, padding, trailer and signature, and gives the pack its name.
    pub fn finish(mut self, signing: &SigningSecret, entropy: &dyn Entropy) -> Result<WrittenPack, RepoError> {
        let size = padded(self.size_when_closed());
        let mut table = self.table.encode();
        let table_offset = self.written;
        self.cipher.seal(Domain::Table, 0, &mut table);
        self.write(&table)?;
        let padding = size - self.written - TRAILER_BYTES as u64;
        let mut fill = vec![0u8; padding as usize];
        entropy.fill(&mut fill);
        self.write(&fill)?;
        let mut trailer = Vec::with_capacity(TRAILER_SEALED_BYTES);
        trailer.extend_from_slice(&table_offset.to_be_bytes());
        trailer.extend_from_slice(&(table.len() as u32).to_be_bytes());
        self.cipher.seal(Domain::Trailer, 0, &mut trailer);
        self.write(&trailer)?;
        let subject =
            Subject { repository: self.header.repository, kind: ObjectKind::Pack, epoch: self.header.epoch, name: "" };
        let signature = signing.sign(subject, self.hasher.finalize().as_bytes());
        self.write(&signature)?;
        let id = PackId::from_bytes(*self.hasher.finalize().as_bytes());
        self.staged.publish(&ObjectName::of(ObjectKind::Pack, id))?;
        Ok(WrittenPack { id, bytes: self.written, table: self.table })
    }

    fn size_when_closed(&self) -> u64 {
        self.written + (self.table_bytes + TAG_BYTES + TRAILER_BYTES) as u64
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), RepoError> {
        self.hasher.update(bytes);
        self.staged.write(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}
