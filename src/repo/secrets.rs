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

    /// Fresh secrets for a new repository that cuts and names chunks like another one. Whatever opens, seals or signs
    /// is its own.
    pub fn generate_like(other: &Self, entropy: &dyn Entropy) -> Self {
        Self {
            shared_ids: other.shared_ids.duplicate(),
            node_ids: other.node_ids.duplicate(),
            gear: other.gear.duplicate(),
            ..Self::generate(entropy)
        }
    }

    /// Whether both name equal chunks alike, in every domain.
    pub fn names_like(&self, other: &Self) -> bool {
        self.shared_ids.expose() == other.shared_ids.expose() && self.node_ids.expose() == other.node_ids.expose()
    }

    /// Whether both cut alike, given equal sizes.
    pub fn cuts_like(&self, other: &Self) -> bool {
        self.gear.expose() == other.gear.expose()
    }

    /// The number of the newest epoch.
    pub fn newest_epoch(&self) -> u32 {
        self.epochs.iter().map(|keys| keys.epoch).max().unwrap_or(1)
    }

    /// The plain form that slots wrap: CBOR map of the five roots and the list of epochs.
    pub fn to_cbor(&self) -> Zeroizing<Vec<u8>> {
        // Room for everything and the seal, so that the buffer never moves and leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(256 + self.epochs.len() * 80));
        let mut e = minicbor::Encoder::new(&mut *bytes);
        let roots = [&self.shared_ids, &self.node_ids, &self.gear, &self.sealing, &self.owner];
        let written = (|| {
            e.map(6)?;
            for (key, root) in (0..).zip(roots) {
                e.u8(key)?.bytes(root.expose())?;
            }
            e.u8(5)?.array(self.epochs.len() as u64)?;
            for keys in &self.epochs {
                e.array(3)?.u32(keys.epoch)?.bytes(keys.write.expose())?.bytes(keys.index.expose())?;
            }
            Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
        })();
        debug_assert!(written.is_ok(), "writing to memory cannot fail");
        bytes
    }

    /// Reads [`to_cbor`](Self::to_cbor)'s form; keys it does not know are skipped.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, BadSecrets> {
        let mut d = minicbor::Decoder::new(bytes);
        let mut roots: [Option<SecretKey>; 5] = Default::default();
        let mut epochs = Vec::new();
        for _ in 0..d.map()?.ok_or(BadSecrets)? {
            match d.u32()? {
                key @ 0..5 => roots[key as usize] = Some(secret(&mut d)?),
                5 => epochs = epoch_list(&mut d)?,
                _ => d.skip()?,
            }
        }
        let [Some(shared_ids), Some(node_ids), Some(gear), Some(sealing), Some(owner)] = roots else {
            return Err(BadSecrets);
        };
        if epochs.is_empty() || d.position() != bytes.len() {
            return Err(BadSecrets);
        }
        Ok(Self { shared_ids, node_ids, gear, sealing, owner, epochs })
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

/// What a slot held is not the secrets of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secrets it holds cannot be read")]
pub struct BadSecrets;

impl From<minicbor::decode::Error> for BadSecrets {
    fn from(_: minicbor::decode::Error) -> Self {
        Self
    }
}

fn secret(d: &mut minicbor::Decoder<'_>) -> Result<SecretKey, BadSecrets> {
    let bytes: &[u8; 32] = d.bytes()?.try_into().map_err(|_| BadSecrets)?;
    SecretKey::try_fill(|key| {
        key.copy_from_slice(bytes);
        Ok(())
    })
}

fn epoch_list(d: &mut minicbor::Decoder<'_>) -> Result<Vec<EpochKeys>, BadSecrets> {
    let count = d.array()?.ok_or(BadSecrets)?;
    let mut epochs: Vec<EpochKeys> = Vec::new();
    for _ in 0..count {
        if d.array()? != Some(3) {
            return Err(BadSecrets);
        }
        let keys = EpochKeys { epoch: d.u32()?, write: secret(d)?, index: secret(d)? };
        if epochs.last().is_some_and(|last| last.epoch >= keys.epoch) {
            return Err(BadSecrets);
        }
        epochs.push(keys);
    }
    Ok(epochs)
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
