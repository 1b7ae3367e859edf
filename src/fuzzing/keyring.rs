//! One fixed repository whose keys everybody knows, so that the fuzzer gets behind signatures and seals.

use std::sync::{Arc, LazyLock};

use crate::base::id::{RepositoryId, SessionId, StoredHash, WriterId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::SeededEntropy;
use crate::codec::kdf::plain_hash;
use crate::codec::seal::Domain;
use crate::codec::sign::{SigningPublic, SigningSecret, Subject};
use crate::repo::crypt::{Opener, Sealer, public_key};
use crate::repo::secrets::Secrets;

pub(super) const REPOSITORY: RepositoryId = RepositoryId::from_bytes([0x11; 16]);
pub(super) const SESSION: SessionId = SessionId::from_bytes([0x22; 16]);

/// The fixed keys and what is made from them.
pub(super) struct Keyring {
    pub(super) signing: SigningSecret,
    pub(super) public_key: Vec<u8>,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    owner: SigningPublic,
}

static KEYRING: LazyLock<Keyring> = LazyLock::new(Keyring::new);

impl Keyring {
    /// The one keyring of this process.
    pub(super) fn shared() -> &'static Self {
        &KEYRING
    }

    /// A keyring whose salts begin from the same seed each time, so that seeds do not depend on call order.
    #[expect(clippy::expect_used, reason = "a key generated from a seed is a key, or the crate is broken")]
    pub(super) fn new() -> Self {
        let secrets = Arc::new(Secrets::generate(&SeededEntropy::new(1)));
        let owner = secrets.owner_public();
        let public_key = public_key(&secrets.sealing).expect("a sealing secret is an X-Wing seed");
        let sealer = Sealer::begin(
            REPOSITORY,
            &secrets.epochs[0],
            owner.writer(),
            SESSION,
            &public_key,
            Arc::new(SeededEntropy::new(2)),
        )
        .expect("our own public key can be used");
        let opener = Opener::new(REPOSITORY, Arc::clone(&secrets));
        Self { signing: secrets.signing(), public_key, sealer, opener, owner }
    }

    /// The verification key of a writer: the owner is the only one.
    pub(super) fn signer(&self, writer: WriterId) -> Option<SigningPublic> {
        (writer == self.owner.writer()).then_some(self.owner)
    }

    /// A stored object that is sound in every way but for its payload, which is `payload` as it is.
    pub(super) fn seal_payload(&self, kind: ObjectKind, payload: &[u8]) -> (ObjectName, Vec<u8>) {
        let (header, cipher) = self.sealer.object(kind, Vec::new());
        let mut sealed = payload.to_vec();
        cipher.seal(Domain::Payload, 0, &mut sealed);
        let mut bytes = header.to_bytes();
        bytes.append(&mut sealed);
        self.finish(kind, header.epoch, bytes)
    }

    /// Signs and names anything.
    pub(super) fn finish(&self, kind: ObjectKind, epoch: u32, mut bytes: Vec<u8>) -> (ObjectName, Vec<u8>) {
        let fixed = ObjectName::of(kind, SESSION);
        let signed_name = if kind.is_named_by_hash() { "" } else { fixed.text() };
        let subject = Subject { repository: REPOSITORY, kind, epoch, name: signed_name };
        bytes.extend_from_slice(&self.signing.sign(subject, &plain_hash(&bytes)));
        with_hash(kind, bytes)
    }
}

/// Gives bytes the hash a keyless check looks for: as their name, or at their end.
pub(super) fn with_hash(kind: ObjectKind, mut bytes: Vec<u8>) -> (ObjectName, Vec<u8>) {
    let hash = plain_hash(&bytes);
    if kind.is_named_by_hash() {
        return (ObjectName::of(kind, StoredHash::from_bytes(hash)), bytes);
    }
    bytes.extend_from_slice(&hash);
    (ObjectName::of(kind, SESSION), bytes)
}
