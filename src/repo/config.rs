//! The parameters of a repository, plain and owner-signed; the highest valid number wins.

use crate::base::clock::Timestamp;
use crate::base::id::RepositoryId;
use crate::codec::chunk::ChunkSizes;
use crate::codec::sign::SigningPublic;
use crate::repo::error::RepoError;
pub use crate::storage::CreateMethod;
use crate::storage::Storage;

/// Parameters fixed for the repository's life, and those the owner may change.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode, serde::Serialize)]
#[cbor(map)]
pub struct RepositoryConfig {
    /// Its id.
    #[n(0)]
    pub repository: RepositoryId,
    /// When it was made.
    #[n(1)]
    pub created: Timestamp,
    /// Feature bits a writer and deleter must understand.
    #[n(2)]
    pub features: u64,
    /// Current key epoch.
    #[n(3)]
    pub epoch: u32,
    /// The owner's Ed25519 verification key.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub owner: [u8; 32],
    /// HPKE KEM id: 0x647a, X-Wing (draft-connolly-cfrg-xwing-kem-10).
    #[n(5)]
    pub kem: u16,
    /// The repository's public key.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub public_key: Vec<u8>,
    /// Chunk sizes for files.
    #[n(7)]
    pub files: ChunkSizes,
    /// Chunk sizes for databases.
    #[n(8)]
    pub database: ChunkSizes,
    /// How objects are created.
    #[n(9)]
    pub create: CreateMethod,
}

impl RepositoryConfig {
    /// Default sizes of the `files` class (`docs/decisions/0003-chunk-sizes.md`).
    pub const FILES: ChunkSizes = ChunkSizes { min: 64 << 10, average: 256 << 10, max: 1 << 20 };
    /// Default sizes of the `database` class.
    pub const DATABASE: ChunkSizes = ChunkSizes { min: 2 << 10, average: 8 << 10, max: 64 << 10 };

    /// The valid configuration of highest number, signed by `owner`.
    pub fn load(_storage: &dyn Storage, _owner: &SigningPublic) -> Result<Self, RepoError> {
        unimplemented!("helper: keys")
    }
}
