//! What tests and benches of an index need: a repository without slots, and tables of made-up chunks.

use std::sync::Arc;

use crate::base::clock::{SystemClock, Timestamp};
use crate::base::id::{ChunkId, PackId, RepositoryId, SegmentId, SessionId};
use crate::base::random::{SeededEntropy, array};
use crate::codec::sign::SigningSecret;
use crate::repo::config::{CreateMethod, RepositoryConfig};
use crate::repo::crypt::{Sealer, public_key};
use crate::repo::index::segment::{self, ListedPack};
use crate::repo::pack::{BlockCodec, BlockInfo, ChunkInfo, PackTable, reader};
use crate::repo::repository::{Repository, Seams};
use crate::repo::secrets::{Content, IdDomain, IdOwner, Secrets};
use crate::storage::Storage;
use crate::storage::testing::MemoryStore;

/// A repository without slots or configuration objects, and the key it is written with.
pub struct Fixture {
    /// The opened repository.
    pub repository: Repository,
    public_key: Vec<u8>,
}

impl Fixture {
    /// A repository in memory; everything about it follows from the seed.
    pub fn new(seed: u64) -> Self {
        Self::on(Arc::new(MemoryStore::new()), seed)
    }

    /// The same in another store.
    #[expect(clippy::expect_used, reason = "test support: keys made here are keys")]
    pub fn on(storage: Arc<dyn Storage>, seed: u64) -> Self {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let secrets = Arc::new(Secrets::generate(&*entropy));
        let public_key = public_key(&secrets.sealing).expect("a fresh sealing key has a public half");
        let config = RepositoryConfig {
            repository: RepositoryId::from_bytes(array(&*entropy)),
            created: Timestamp::default(),
            features: 0,
            epoch: 1,
            owner: secrets.owner_public().to_bytes(),
            kem: 0x647a,
            public_key: public_key.clone(),
            files: RepositoryConfig::FILES,
            database: RepositoryConfig::DATABASE,
            large_files: RepositoryConfig::LARGE_FILES,
            large_from: RepositoryConfig::LARGE_FROM,
            timezone: None,
            create: CreateMethod::HardLink,
        };
        let seams = Seams { entropy, clock: Arc::new(SystemClock) };
        Self { repository: Repository::with_secrets(storage, config, secrets, seams), public_key }
    }

    /// A new session of the owner.
    #[expect(clippy::expect_used, reason = "test support: the fixture has an epoch and a public key")]
    pub fn sealer(&self) -> Sealer {
        let secrets = &self.repository.secrets;
        let keys = secrets.epoch(1).expect("the fixture has an epoch");
        let entropy = Arc::clone(&self.repository.seams.entropy);
        let session = SessionId::from_bytes(array(&*entropy));
        Sealer::begin(self.repository.id(), keys, secrets.owner_writer(), session, &self.public_key, entropy)
            .expect("the fixture's public key can be used")
    }

    /// The owner's signing key.
    pub fn signing(&self) -> SigningSecret {
        self.repository.secrets.signing()
    }

    /// Puts something in the place of packs, for an index believes only in those that are there.
    pub fn stand_in(&self, packs: &[ListedPack]) -> Result<(), crate::repo::RepoError> {
        for (id, ..) in packs {
            self.repository.storage.put(&reader::name(*id), b"stands in for a pack")?;
        }
        Ok(())
    }

    /// Stores one segment that lists the packs, and something in their place.
    pub fn store(&self, packs: &[ListedPack]) -> Result<SegmentId, crate::repo::RepoError> {
        self.stand_in(packs)?;
        segment::write_one(&self.repository, &self.sealer(), &self.signing(), &[], packs)
    }
}

/// The id of the made-up chunk of this number.
pub fn chunk_id(number: u64) -> ChunkId {
    ChunkId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// The id of the made-up pack of this number.
pub fn pack_id(number: u64) -> PackId {
    PackId::from_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes())
}

/// A table of `count` chunks of 10 bytes, up to 1,000 a block; the first is chunk `first << 32`.
pub fn table_of(first: u64, count: u32) -> PackTable {
    let numbers: Vec<u64> = (0..u64::from(count)).map(|offset| (first << 32) + offset).collect();
    table_with(&numbers)
}

/// A table of the chunks of these numbers, 10 bytes each, up to 1,000 a block.
pub fn table_with(numbers: &[u64]) -> PackTable {
    let mut table = PackTable::new(IdDomain { content: Content::Data, owner: IdOwner::Shared }, 1280);
    for numbers in numbers.chunks(1000) {
        let chunks: Vec<_> = numbers.iter().map(|number| ChunkInfo { id: chunk_id(*number), length: 10 }).collect();
        let raw_bytes = 10 * chunks.len() as u32;
        table.blocks.push(BlockInfo { stored_bytes: 60, raw_bytes, codec: BlockCodec::Zstd, chunks });
    }
    table
}
