//! From secrets to the cipher of one object: HPKE once per session, one key per object.
//!
//! The only door to the `hpke` crate: RFC 9180, mode_psk, KEM X-Wing (draft-connolly-cfrg-xwing-kem-10, id
//! 0x647a), KDF HKDF-SHA256, export only. See `docs/format.md`, "Keys".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable};
use subtle::ConstantTimeEq;

use crate::base::id::{RecipientId, RepositoryId, SessionId, WriterId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::{Entropy, array};
use crate::codec::kdf::{Purpose, SecretKey, plain_hash};
use crate::codec::seal::ObjectCipher;
use crate::repo::error::RepoError;
use crate::repo::format::KNOWN_FEATURES;
use crate::repo::header::{Header, Recipe};
use crate::repo::secrets::{EpochKeys, Secrets};

/// Length of the repository's public key.
pub const PUBLIC_KEY_BYTES: usize = 1216;

/// The public key that belongs to a sealing secret.
pub fn public_key(sealing: &SecretKey) -> Result<Vec<u8>, BadKey> {
    let private = <XWing as Kem>::PrivateKey::from_bytes(sealing.expose()).map_err(|_| BadKey)?;
    Ok(XWing::sk_to_pk(&private).to_bytes().to_vec())
}

/// The short name of a public key.
pub fn recipient_id(public_key: &[u8]) -> RecipientId {
    let hash = plain_hash(public_key);
    RecipientId::from_bytes(std::array::from_fn(|index| hash[index]))
}

/// A key that is no X-Wing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the public key of the repository cannot be used")]
pub struct BadKey;

/// What a session seals with: one encapsulation, then one key for each object.
pub struct Sealer {
    repository: RepositoryId,
    epoch: u32,
    writer: WriterId,
    session: SessionId,
    recipient: RecipientId,
    encapsulation: Vec<u8>,
    secret: SecretKey,
    index: SecretKey,
    entropy: Arc<dyn Entropy>,
}

impl Sealer {
    /// Begins a session of `writer` towards the repository's public key, in the epoch of `keys`.
    pub fn begin(
        repository: RepositoryId,
        keys: &EpochKeys,
        writer: WriterId,
        session: SessionId,
        public_key: &[u8],
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, BadKey> {
        let public = <XWing as Kem>::PublicKey::from_bytes(public_key).map_err(|_| BadKey)?;
        let psk_id = psk_id(repository, keys.epoch);
        let psk = PskBundle::new(keys.write.expose(), &psk_id).map_err(|_| BadKey)?;
        let (encapsulated, context) = hpke::setup_sender_with_rng::<ExportOnlyAead, HkdfSha256, XWing>(
            &OpModeS::Psk(psk),
            &public,
            &info(repository, keys.epoch, session, writer),
            &mut Rng(&*entropy),
        )
        .map_err(|_| BadKey)?;
        let secret = SecretKey::try_fill(|secret| context.export(EXPORT_LABEL, secret)).map_err(|_| BadKey)?;
        Ok(Self {
            repository,
            epoch: keys.epoch,
            writer,
            session,
            recipient: recipient_id(public_key),
            encapsulation: encapsulated.to_bytes().to_vec(),
            secret,
            index: keys.index.duplicate(),
            entropy,
        })
    }

    /// The session these objects are written in.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The epoch these objects are written in.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Header and cipher of a new object. Index segments are sealed for all writers, everything else for owners.
    pub fn object(&self, kind: ObjectKind, plain: Vec<u8>) -> (Header, ObjectCipher) {
        let recipe = Recipe::of(kind);
        let salt: [u8; 32] = array(&*self.entropy);
        let root = match recipe {
            Recipe::IndexKey => &self.index,
            Recipe::XWing => &self.secret,
        };
        let (key, commitment) = object_key(root, &salt, kind);
        let (recipient, encapsulation) = match recipe {
            Recipe::IndexKey => (RecipientId::from_bytes([0; 16]), Vec::new()),
            Recipe::XWing => (self.recipient, self.encapsulation.clone()),
        };
        let header = Header {
            kind,
            recipe,
            epoch: self.epoch,
            features: 0,
            repository: self.repository,
            writer: self.writer,
            session: self.session,
            recipient,
            salt,
            commitment,
            encapsulation,
            plain,
        };
        let cipher = ObjectCipher::new(&key, header.hash());
        (header, cipher)
    }
}

/// Opens objects with an owner's secrets. Decapsulations are remembered, for a session's objects share one.
pub struct Opener {
    repository: RepositoryId,
    secrets: Arc<Secrets>,
    recipient: Option<RecipientId>,
    sessions: Mutex<HashMap<[u8; 32], Arc<SecretKey>>>,
}

impl Opener {
    /// Decapsulations remembered at once.
    const SESSIONS_MAX: usize = 4096;

    /// An opener of one repository's objects.
    pub fn new(repository: RepositoryId, secrets: Arc<Secrets>) -> Self {
        let recipient = public_key(&secrets.sealing).ok().map(|key| recipient_id(&key));
        Self { repository, secrets, recipient, sessions: Mutex::default() }
    }

    /// Whether an object with this header can be meant for this opener, and by a program no newer than this one.
    /// Says nothing about its being genuine.
    pub fn admit(&self, name: &ObjectName, header: &Header) -> Result<(), RepoError> {
        let unknown = header.features & !KNOWN_FEATURES;
        if unknown != 0 {
            return Err(RepoError::TooNew { name: name.clone(), what: format!("feature bits {unknown:#x}") });
        }
        if header.repository != self.repository {
            return Err(RepoError::damaged(name, "it belongs to another repository"));
        }
        // A key that all writers hold must never pass for one that only owners hold.
        if header.recipe != Recipe::of(header.kind) {
            return Err(RepoError::damaged(name, "its key is not made as for objects of its kind"));
        }
        let expected = match header.recipe {
            Recipe::IndexKey => Some(RecipientId::from_bytes([0; 16])),
            Recipe::XWing => self.recipient,
        };
        if expected != Some(header.recipient) {
            return Err(RepoError::damaged(name, "it is sealed to another public key"));
        }
        Ok(())
    }

    /// The cipher of the object with this header, after its key commitment was checked.
    pub fn object(&self, name: &ObjectName, header: &Header) -> Result<ObjectCipher, RepoError> {
        self.admit(name, header)?;
        let keys = self
            .secrets
            .epoch(header.epoch)
            .ok_or_else(|| RepoError::damaged(name, format_args!("its key epoch {} is unknown", header.epoch)))?;
        let (key, commitment) = match header.recipe {
            Recipe::IndexKey => object_key(&keys.index, &header.salt, header.kind),
            Recipe::XWing => {
                let secret = self.session_secret(header, keys).map_err(|why| RepoError::damaged(name, why))?;
                object_key(&secret, &header.salt, header.kind)
            }
        };
        if !bool::from(commitment.ct_eq(&header.commitment)) {
            return Err(RepoError::damaged(name, "it was sealed with another key, or its header was altered"));
        }
        Ok(ObjectCipher::new(&key, header.hash()))
    }

    fn session_secret(&self, header: &Header, keys: &EpochKeys) -> Result<Arc<SecretKey>, &'static str> {
        // Everything that goes into the schedule goes into the memo's key.
        let mut memo = blake3::Hasher::new();
        memo.update(&header.epoch.to_be_bytes())
            .update(header.session.as_bytes())
            .update(header.writer.as_bytes())
            .update(&header.encapsulation);
        let memo = *memo.finalize().as_bytes();
        if let Some(secret) = self.sessions().get(&memo) {
            return Ok(Arc::clone(secret));
        }
        // Not under the lock: others open their objects meanwhile, at worst one of them the same.
        let secret = Arc::new(self.decapsulate(header, keys).ok_or("its key encapsulation cannot be opened")?);
        let mut sessions = self.sessions();
        if sessions.len() >= Self::SESSIONS_MAX {
            sessions.clear();
        }
        sessions.insert(memo, Arc::clone(&secret));
        Ok(secret)
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<SecretKey>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decapsulate(&self, header: &Header, keys: &EpochKeys) -> Option<SecretKey> {
        let private = <XWing as Kem>::PrivateKey::from_bytes(self.secrets.sealing.expose()).ok()?;
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(&header.encapsulation).ok()?;
        let psk_id = psk_id(self.repository, keys.epoch);
        let psk = PskBundle::new(keys.write.expose(), &psk_id).ok()?;
        let context = hpke::setup_receiver::<ExportOnlyAead, HkdfSha256, XWing>(
            &OpModeR::Psk(psk),
            &private,
            &encapsulated,
            &info(self.repository, keys.epoch, header.session, header.writer),
        )
        .ok()?;
        SecretKey::try_fill(|secret| context.export(EXPORT_LABEL, secret)).ok()
    }
}

const EXPORT_LABEL: &[u8] = b"dssvault v1 session secret";

/// The key of one object and its commitment: two independent functions of the same secret, salt and kind.
pub(super) fn object_key(root: &SecretKey, salt: &[u8; 32], kind: ObjectKind) -> (SecretKey, [u8; 32]) {
    let parts: [&[u8]; 2] = [salt, &[kind.code()]];
    let commitment = root.derive(Purpose::Commitment, &parts);
    (root.derive(Purpose::ObjectKey, &parts), *commitment.expose())
}

fn psk_id(repository: RepositoryId, epoch: u32) -> Vec<u8> {
    [b"dssvault v1 epoch".as_slice(), repository.as_bytes(), &epoch.to_be_bytes()].concat()
}

fn info(repository: RepositoryId, epoch: u32, session: SessionId, writer: WriterId) -> Vec<u8> {
    [
        b"dssvault v1 session".as_slice(),
        repository.as_bytes(),
        &epoch.to_be_bytes(),
        session.as_bytes(),
        writer.as_bytes(),
    ]
    .concat()
}

/// Lends our randomness seam to the crate.
struct Rng<'a>(&'a dyn Entropy);

impl rand_core::TryRng for Rng<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(array(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(array(self.0)))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Rng<'_> {}
