//! One key slot, `keys/<id>`: what anyone may see of it, and the sealed secrets (`docs/format.md`, "Key slots").

use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::id::{RepositoryId, SlotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::{Entropy, array};
use crate::codec::kdf::{Purpose, SecretKey, plain_hash};
use crate::codec::seal::{Domain, ObjectCipher};
use crate::codec::sign::SigningPublic;
use crate::repo::crypt::object_key;
use crate::repo::error::RepoError;
use crate::repo::keys::Credential;
use crate::repo::keys::password::{SlotCosts, stretch};
use crate::repo::keys::recovery::RecoveryKey;
use crate::repo::plain;
use crate::repo::secrets::Secrets;

/// What the holder of a slot may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    #[n(0)]
    Owner,
}

/// What opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "method")]
pub enum Method {
    /// A password, stretched by Argon2id.
    #[n(0)]
    Password(#[n(0)] SlotCosts),
    /// Recovery words.
    #[n(1)]
    RecoveryWords,
}

/// What anyone may see of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct SlotInfo {
    /// Its id: also its name.
    #[n(0)]
    pub slot: SlotId,
    /// What it opens.
    #[n(1)]
    pub role: Role,
    /// What opens it.
    #[n(2)]
    pub method: Method,
    /// Makes its keys its own.
    #[cbor(n(3), with = "minicbor::bytes")]
    #[serde(skip)]
    pub salt: [u8; 32],
    /// A name for people.
    #[n(4)]
    pub label: String,
    /// When it was made.
    #[n(5)]
    pub created: Timestamp,
    /// The host it was made on.
    #[n(6)]
    pub host: String,
}

/// What a new slot is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPlan {
    /// Costs of guessing, if a password opens it.
    pub costs: SlotCosts,
    /// A name for people.
    pub label: String,
    /// The host it is made on.
    pub host: String,
    /// Now.
    pub created: Timestamp,
}

/// The body of a slot object. `info` stays encoded: it is hashed exactly as it was stored.
#[derive(Encode, Decode)]
struct Body<'b> {
    #[cbor(n(0), with = "minicbor::bytes")]
    info: &'b [u8],
    #[cbor(n(1), with = "minicbor::bytes")]
    commitment: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    wrapped: &'b [u8],
}

/// Makes a slot that the credential opens: its name and stored bytes, signed by the owner inside `secrets`.
pub fn seal(
    secrets: &Secrets,
    repository: RepositoryId,
    credential: &Credential,
    plan: SlotPlan,
    entropy: &dyn Entropy,
) -> Result<(SlotInfo, ObjectName, Vec<u8>), RepoError> {
    let slot = SlotId::from_bytes(array(entropy));
    let name = ObjectName::of(ObjectKind::Key, slot);
    let salt: [u8; 32] = array(entropy);
    let (method, material) = match credential {
        Credential::Password(password) => {
            let key = stretch(password, &salt, plan.costs).map_err(|why| key_cost(&name, why))?;
            (Method::Password(plan.costs), key)
        }
        Credential::RecoveryWords(words) => (Method::RecoveryWords, RecoveryKey::parse(words)?.key().duplicate()),
    };
    let SlotPlan { label, host, created, .. } = plan;
    let info = SlotInfo { slot, role: Role::Owner, method, salt, label, created, host };
    let encoded = plain::encode_body(&info);
    let (cipher, commitment) = slot_cipher(&material, repository, &info, &encoded);
    let mut wrapped = secrets.to_cbor();
    cipher.seal(Domain::Slot, 0, &mut wrapped);
    let body = plain::encode_body(&Body { info: &encoded, commitment, wrapped: &wrapped });
    let epoch = secrets.newest_epoch();
    Ok((info, name.clone(), plain::encode(&secrets.signing(), &name, repository, epoch, &body)))
}

/// A slot whose frame, signature and bounds were checked.
pub struct Slot {
    name: ObjectName,
    repository: RepositoryId,
    owner: SigningPublic,
    /// What anyone may see.
    pub info: SlotInfo,
    encoded: Vec<u8>,
    commitment: [u8; 32],
    wrapped: Vec<u8>,
}

impl Slot {
    /// Checks a stored slot against the first of `authorities` that made it; `None` if none of them did: it was
    /// left by an `init` that never finished, or planted.
    pub fn parse(
        name: &ObjectName,
        stored: &[u8],
        authorities: &[(RepositoryId, SigningPublic)],
    ) -> Result<Option<Self>, RepoError> {
        let frame = plain::Unverified::parse(name, stored)?;
        let signed_by = |(repository, owner): &&(RepositoryId, SigningPublic)| frame.verify(owner, *repository).is_ok();
        let Some(&(repository, owner)) = authorities.iter().find(signed_by) else { return Ok(None) };
        let body: Body<'_> = plain::decode_body(name, frame.body)?;
        let info: SlotInfo = plain::decode_body(name, body.info)?;
        if ObjectName::of(ObjectKind::Key, info.slot) != *name {
            return Err(RepoError::damaged(name, "it says it is another slot"));
        }
        if let Method::Password(costs) = info.method {
            costs.check().map_err(|why| key_cost(name, why))?;
        }
        Ok(Some(Self {
            name: name.clone(),
            repository,
            owner,
            info,
            encoded: body.info.to_vec(),
            commitment: body.commitment,
            wrapped: body.wrapped.to_vec(),
        }))
    }

    /// The repository the slot belongs to.
    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// The owner who signed it.
    pub fn owner(&self) -> SigningPublic {
        self.owner
    }

    /// Tries a credential. `None`: it does not open this slot.
    pub(super) fn open(&self, offered: &Offered<'_>) -> Result<Option<Secrets>, RepoError> {
        let Some(material) = offered.material(self)? else { return Ok(None) };
        let (cipher, commitment) = slot_cipher(&material, self.repository, &self.info, &self.encoded);
        if !bool::from(commitment.ct_eq(&self.commitment)) {
            return Ok(None);
        }
        let mut wrapped = Zeroizing::new(self.wrapped.clone());
        cipher.open(Domain::Slot, 0, &mut wrapped).map_err(|why| RepoError::damaged(&self.name, why))?;
        let secrets = Secrets::from_cbor(&wrapped).map_err(|why| RepoError::damaged(&self.name, why))?;
        if secrets.owner_public() != self.owner {
            return Err(RepoError::damaged(&self.name, "it holds the key of another owner than the one who signed it"));
        }
        Ok(Some(secrets))
    }
}

/// A credential, parsed once for all slots.
pub(super) enum Offered<'a> {
    Password(&'a str),
    Words(RecoveryKey),
}

impl<'a> Offered<'a> {
    pub(super) fn new(credential: &'a Credential) -> Result<Self, RepoError> {
        Ok(match credential {
            Credential::Password(password) => Self::Password(password),
            Credential::RecoveryWords(words) => Self::Words(RecoveryKey::parse(words)?),
        })
    }

    fn material(&self, slot: &Slot) -> Result<Option<SecretKey>, RepoError> {
        Ok(match (self, slot.info.method) {
            (Self::Password(password), Method::Password(costs)) => {
                let key = stretch(password, &slot.info.salt, costs).map_err(|why| key_cost(&slot.name, why))?;
                Some(key)
            }
            (Self::Words(key), Method::RecoveryWords) => Some(key.key().duplicate()),
            _ => None,
        })
    }
}

fn slot_cipher(
    material: &SecretKey,
    repository: RepositoryId,
    info: &SlotInfo,
    encoded: &[u8],
) -> (ObjectCipher, [u8; 32]) {
    let root = material.derive(Purpose::Slot, &[repository.as_bytes(), info.slot.as_bytes()]);
    let (key, commitment) = object_key(&root, &info.salt, ObjectKind::Key);
    let public = plain_hash(&[repository.as_bytes(), encoded].concat());
    (ObjectCipher::new(&key, public), commitment)
}

fn key_cost(name: &ObjectName, why: impl std::fmt::Display) -> RepoError {
    RepoError::KeyCost { name: name.clone(), why: why.to_string() }
}
