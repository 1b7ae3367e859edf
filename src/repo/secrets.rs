//! What the slots guard: identity, gear, sealing, signing and epoch secrets, and the keys derived from them.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::base::id::{ChunkId, NodeId, WriterId};
use crate::base::random::Entropy;
use crate::codec::chunk::GearTable;
use crate::codec::kdf::{Purpose, SecretKey, keyed_hash};
use crate::codec::sign::{SigningPublic, SigningSecret};

/// The keys of one epoch.
pub struct EpochKeys {
    /// Its number, from 1.
    pub epoch: u32,
    /// Pre-shared key of every sealing in this epoch.
    pub write: SecretKey,
    /// Seals index segments.
    pub index: SecretKey,
}

/// All secrets of a repository, as an owner slot holds them. All are drawn independently by `init`.
pub struct Secrets {
    /// Root of ids in the shared domain.
    pub shared_ids: SecretKey,
    /// Root of ids in the nodes' domains.
    pub node_ids: SecretKey,
    /// Root of the gear table.
    pub gear: SecretKey,
    /// X-Wing private key (seed) of the repository.
    pub sealing: SecretKey,
    /// Seed of the owner's Ed25519 key.
    pub owner: SecretKey,
    /// Oldest first, never empty.
    pub epochs: Vec<EpochKeys>,
}

impl Secrets {
    /// Fresh secrets for a new repository.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let fresh = || SecretKey::random(entropy);
        Self {
            shared_ids: fresh(),
            node_ids: fresh(),
            gear: fresh(),
            sealing: fresh(),
            owner: fresh(),
            epochs: vec![EpochKeys { epoch: 1, write: fresh(), index: fresh() }],
        }
    }

    /// The keys of an epoch, if this holder knows them.
    pub fn epoch(&self, epoch: u32) -> Option<&EpochKeys> {
        self.epochs.iter().find(|keys| keys.epoch == epoch)
    }

    /// The owner's signing key.
    pub fn signing(&self) -> SigningSecret {
        SigningSecret::from_seed(self.owner.expose())
    }

    /// The owner's verification key.
    pub fn owner_public(&self) -> SigningPublic {
        self.signing().public()
    }

    /// The owner as a writer.
    pub fn owner_writer(&self) -> WriterId {
        self.owner_public().writer()
    }

    /// The secret gear table of this repository.
    pub fn gear_table(&self) -> Arc<GearTable> {
        let bytes: Zeroizing<[u8; 2048]> = self.gear.derive_bytes(Purpose::Gear);
        Arc::new(GearTable::from_bytes(&bytes))
    }

    /// The key that names chunks of a domain.
    pub fn id_key(&self, domain: IdDomain) -> IdKey {
        let root = match domain.owner {
            IdOwner::Shared => self.shared_ids.duplicate(),
            IdOwner::Node(node) => self.node_ids.derive(Purpose::NodeIds, &[node.as_bytes()]),
        };
        let purpose = match domain.content {
            Content::Data => Purpose::DataIds,
            Content::Tree => Purpose::TreeIds,
        };
        IdKey(root.derive(purpose, &[]))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// Bytes of files and streams.
    Data,
    /// Trees, and lists of chunk ids.
    Tree,
}

/// Who shares the ids of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdOwner {
    /// All nodes: equal content is stored once.
    Shared,
    /// One node: another node cannot test guesses.
    Node(NodeId),
}

/// Chunks whose ids are made with one key; each pack holds one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdDomain {
    /// What the chunks hold.
    pub content: Content,
    /// Who shares them.
    pub owner: IdOwner,
}

/// Names chunks of one domain.
pub struct IdKey(SecretKey);

impl IdKey {
    /// The id of a chunk's plaintext.
    pub fn id(&self, plaintext: &[u8]) -> ChunkId {
        ChunkId::from_bytes(keyed_hash(&self.0, plaintext))
    }
}
