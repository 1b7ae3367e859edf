//! Keys from keys: BLAKE3 `derive_key` and keyed hashing. Every context string stands here, once.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a derived key is for. The strings are part of the format and never change (`docs/format.md`, Keys).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Seals one object.
    ObjectKey,
    /// Proves which key an object was sealed with.
    Commitment,
    /// Ids of file data.
    DataIds,
    /// Ids of trees.
    TreeIds,
    /// One node's own id keys.
    NodeIds,
    /// The gear table.
    Gear,
    /// Opens a slot, from password or recovery words.
    Slot,
}

impl Purpose {
    const fn context(self) -> &'static str {
        match self {
            Self::ObjectKey => "dssvault v1 object key",
            Self::Commitment => "dssvault v1 key commitment",
            Self::DataIds => "dssvault v1 chunk ids of data",
            Self::TreeIds => "dssvault v1 chunk ids of trees",
            Self::NodeIds => "dssvault v1 id root of one node",
            Self::Gear => "dssvault v1 gear table",
            Self::Slot => "dssvault v1 key slot",
        }
    }
}

/// 32 secret bytes: wiped on drop, never printed, neither `Clone` nor serializable.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Takes the bytes over.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh random key.
    pub fn random(entropy: &dyn crate::base::random::Entropy) -> Self {
        let mut key = Self([0; 32]);
        entropy.fill(&mut key.0);
        key
    }

    /// A key written in place by `fill`, so that no copy of it stays on the stack.
    pub fn try_fill<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self([0; 32]);
        fill(&mut key.0)?;
        Ok(key)
    }

    /// The bytes, for wrapping and for ciphers.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second owner of the same secret, named so that it is seen in review.
    pub fn duplicate(&self) -> Self {
        Self(self.0)
    }

    /// The key that follows from this one and `parts` for a purpose. Parts are concatenated, so they must be of
    /// fixed length.
    pub fn derive(&self, purpose: Purpose, parts: &[&[u8]]) -> Self {
        let mut hasher = self.hasher(purpose, parts);
        let mut reader = hasher.finalize_xof();
        let mut derived = Self([0; 32]);
        reader.fill(&mut derived.0);
        reader.zeroize();
        hasher.zeroize();
        derived
    }

    /// As [`derive`](Self::derive), any number of bytes.
    pub fn derive_bytes<const N: usize>(&self, purpose: Purpose) -> zeroize::Zeroizing<[u8; N]> {
        let mut hasher = self.hasher(purpose, &[]);
        let mut bytes = zeroize::Zeroizing::new([0u8; N]);
        let mut reader = hasher.finalize_xof();
        reader.fill(bytes.as_mut_slice());
        reader.zeroize();
        hasher.zeroize();
        bytes
    }

    fn hasher(&self, purpose: Purpose, parts: &[&[u8]]) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_derive_key(purpose.context());
        hasher.update(&self.0);
        for part in parts {
            hasher.update(part);
        }
        hasher
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Keyed BLAKE3 of `bytes`: how chunk ids are made.
pub fn keyed_hash(key: &SecretKey, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(&key.0, bytes).as_bytes()
}

/// Plain BLAKE3 of `bytes`: how stored objects are named and checked.
pub fn plain_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSES: [Purpose; 7] = [
        Purpose::ObjectKey,
        Purpose::Commitment,
        Purpose::DataIds,
        Purpose::TreeIds,
        Purpose::NodeIds,
        Purpose::Gear,
        Purpose::Slot,
    ];

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32])
    }

    #[test]
    fn purpose_root_and_parts_each_make_another_key() {
        let mut keys: Vec<[u8; 32]> = PURPOSES.map(|purpose| *key(1).derive(purpose, &[]).expose()).to_vec();
        keys.push(*key(2).derive(Purpose::ObjectKey, &[]).expose());
        keys.push(*key(1).derive(Purpose::ObjectKey, &[&[0]]).expose());
        keys.push(*key(1).derive(Purpose::ObjectKey, &[&[1]]).expose());
        keys.push(keyed_hash(&key(1), &[]));
        keys.push(plain_hash(&[]));
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn derivation_is_blake3_with_the_documented_context() {
        let expected = blake3::derive_key("dssvault v1 object key", &[[5; 32].as_slice(), b"salt", b"kind"].concat());
        assert_eq!(*key(5).derive(Purpose::ObjectKey, &[b"salt", b"kind"]).expose(), expected);
    }

    #[test]
    fn long_output_begins_with_the_short_one() {
        let long = key(1).derive_bytes::<2048>(Purpose::Gear);
        assert_eq!(&long[..32], key(1).derive(Purpose::Gear, &[]).expose());
        assert_ne!(&long[32..64], &long[..32]);
    }

    #[test]
    fn the_plain_hash_is_blake3_of_the_specification() {
        let hash = plain_hash(b"").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hash, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", key(0xab)), "SecretKey(..)");
    }
}
