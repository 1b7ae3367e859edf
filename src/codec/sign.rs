//! Ed25519 (RFC 8032) over what was stored and where. The only door to `ed25519-dalek`.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::base::id::{RepositoryId, WriterId};
use crate::base::object::ObjectKind;
use crate::codec::kdf::plain_hash;

/// Length of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// The signature is not of this key over this object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not belong to this object")]
pub struct BadSignature;

/// What a signature is bound to besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The repository.
    pub repository: RepositoryId,
    /// The kind of object.
    pub kind: ObjectKind,
    /// The key epoch.
    pub epoch: u32,
    /// The object's name; empty where the name is the hash of the bytes and so follows from them.
    pub name: &'a str,
}

impl Subject<'_> {
    fn message(&self, stored: &[u8; 32]) -> Vec<u8> {
        let mut message = Vec::with_capacity(128);
        message.extend_from_slice(b"dssvault v1 signature");
        message.push(self.kind.code());
        message.extend_from_slice(self.repository.as_bytes());
        message.extend_from_slice(&self.epoch.to_be_bytes());
        message.extend_from_slice(&(self.name.len() as u16).to_be_bytes());
        message.extend_from_slice(self.name.as_bytes());
        message.extend_from_slice(stored);
        message
    }
}

/// A writer's signing key. Wiped on drop by the crate.
pub struct SigningSecret(SigningKey);

impl SigningSecret {
    /// The key that follows from 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn public(&self) -> SigningPublic {
        SigningPublic(self.0.verifying_key())
    }

    /// Signs the BLAKE3 hash of everything stored before the signature.
    pub fn sign(&self, subject: Subject<'_>, stored: &[u8; 32]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&subject.message(stored)).to_bytes()
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

/// A verification key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningPublic(VerifyingKey);

impl SigningPublic {
    /// The key spelled by 32 bytes, if they are a point on the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().map(Self)
    }

    /// Its 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The short name of this key.
    pub fn writer(&self) -> WriterId {
        let hash = plain_hash(self.0.as_bytes());
        WriterId::from_bytes(std::array::from_fn(|index| hash[index]))
    }

    /// Verifies strictly (no malleable or small-order forms).
    pub fn verify(
        &self,
        subject: Subject<'_>,
        stored: &[u8; 32],
        signature: &[u8; SIGNATURE_BYTES],
    ) -> Result<(), BadSignature> {
        let signature = Signature::from_bytes(signature);
        self.0.verify_strict(&subject.message(stored), &signature).map_err(|_| BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: [u8; 32] = [7; 32];

    fn key(seed: u8) -> SigningSecret {
        SigningSecret::from_seed(&[seed; 32])
    }

    fn subject() -> Subject<'static> {
        let repository = RepositoryId::from_bytes([1; 16]);
        Subject { repository, kind: ObjectKind::Snapshot, epoch: 2, name: "ab12" }
    }

    #[test]
    fn a_signature_belongs_to_one_key_one_object_and_one_place() {
        let signature = key(1).sign(subject(), &STORED);
        let verify = |subject, stored: &[u8; 32]| key(1).public().verify(subject, stored, &signature);
        assert_eq!(verify(subject(), &STORED), Ok(()));
        assert_eq!(verify(subject(), &[8; 32]), Err(BadSignature));
        assert_eq!(
            verify(Subject { repository: RepositoryId::from_bytes([2; 16]), ..subject() }, &STORED),
            Err(BadSignature)
        );
        assert_eq!(verify(Subject { kind: ObjectKind::Session, ..subject() }, &STORED), Err(BadSignature));
        assert_eq!(verify(Subject { epoch: 3, ..subject() }, &STORED), Err(BadSignature));
        assert_eq!(verify(Subject { name: "ab13", ..subject() }, &STORED), Err(BadSignature));
        assert_eq!(verify(Subject { name: "", ..subject() }, &STORED), Err(BadSignature));
        assert_eq!(key(2).public().verify(subject(), &STORED, &signature), Err(BadSignature));
    }

    #[test]
    fn a_signature_with_any_bit_flipped_is_refused() {
        let signature = key(1).sign(subject(), &STORED);
        for bit in 0..SIGNATURE_BYTES * 8 {
            let mut flipped = signature;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key(1).public().verify(subject(), &STORED, &flipped), Err(BadSignature), "bit {bit}");
        }
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let weak = SigningPublic::from_bytes(&identity).expect("the identity is a point");
        let mut forged = [0; SIGNATURE_BYTES];
        forged[..32].copy_from_slice(&identity);
        assert_eq!(weak.verify(subject(), &STORED, &forged), Err(BadSignature));
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", key(1)), "SigningSecret(..)");
    }
}
