//! AES-256-GCM (NIST SP 800-38D) under one key for each object. The only door to the `aes-gcm` crate.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

use crate::codec::kdf::SecretKey;

/// Bytes a seal adds.
pub const TAG_BYTES: usize = 16;

/// The ciphertext, or what it was bound to, is not what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes are damaged or were sealed with another key")]
pub struct Unsealable;

/// The part of an object a seal belongs to: the front of its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A block of a pack.
    Block,
    /// A pack's table of contents.
    Table,
    /// A pack's trailer.
    Trailer,
    /// The payload of a manifest, segment or session.
    Payload,
    /// The secrets of a key slot.
    Slot,
}

impl Domain {
    const fn code(self) -> [u8; 4] {
        match self {
            Self::Block => *b"blok",
            Self::Table => *b"tabl",
            Self::Trailer => *b"tral",
            Self::Payload => *b"load",
            Self::Slot => *b"slot",
        }
    }
}

/// Seals and opens the parts of one object. Each (domain, slot) may be sealed once.
pub struct ObjectCipher {
    cipher: Aes256Gcm,
    /// Hash of the object's whole plain header: what every part is bound to.
    header_hash: [u8; 32],
}

impl ObjectCipher {
    /// The cipher of one object.
    pub fn new(key: &SecretKey, header_hash: [u8; 32]) -> Self {
        Self { cipher: Aes256Gcm::new(key.expose().into()), header_hash }
    }

    /// Encrypts `bytes` in place and appends the tag.
    pub fn seal(&self, domain: Domain, slot: u64, bytes: &mut Vec<u8>) {
        let tag = self.cipher.encrypt_inout_detached(
            &nonce(domain, slot),
            &self.aad(domain, slot),
            bytes.as_mut_slice().into(),
        );
        #[expect(clippy::expect_used, reason = "AES-GCM refuses only above 64 GiB; parts are bounded far below")]
        bytes.extend_from_slice(&tag.expect("parts are smaller than 64 GiB"));
    }

    /// Checks and decrypts in place; on success the tag is gone.
    pub fn open(&self, domain: Domain, slot: u64, bytes: &mut Vec<u8>) -> Result<(), Unsealable> {
        let length = self.open_slice(domain, slot, bytes)?.len();
        bytes.truncate(length);
        Ok(())
    }

    /// As [`open`](Self::open), within a larger buffer: gives the plaintext, which stands where the seal began.
    pub fn open_slice<'a>(&self, domain: Domain, slot: u64, bytes: &'a mut [u8]) -> Result<&'a [u8], Unsealable> {
        let length = bytes.len().checked_sub(TAG_BYTES).ok_or(Unsealable)?;
        let (text, tag) = bytes.split_at_mut(length);
        let tag = Tag::try_from(&*tag).map_err(|_| Unsealable)?;
        self.cipher
            .decrypt_inout_detached(&nonce(domain, slot), &self.aad(domain, slot), (&mut *text).into(), &tag)
            .map_err(|_| Unsealable)?;
        Ok(text)
    }

    fn aad(&self, domain: Domain, slot: u64) -> [u8; 44] {
        let mut aad = [0u8; 44];
        aad[..32].copy_from_slice(&self.header_hash);
        aad[32..36].copy_from_slice(&domain.code());
        aad[36..].copy_from_slice(&slot.to_be_bytes());
        aad
    }
}

fn nonce(domain: Domain, slot: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0u8; 12];
    nonce[..4].copy_from_slice(&domain.code());
    nonce[4..].copy_from_slice(&slot.to_be_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: u8, header: u8) -> ObjectCipher {
        ObjectCipher::new(&SecretKey::from_bytes([key; 32]), [header; 32])
    }

    #[test]
    fn only_the_same_key_header_domain_and_slot_open_a_seal() {
        let mut sealed = b"plain".to_vec();
        cipher(1, 1).seal(Domain::Block, 7, &mut sealed);
        assert_eq!(sealed.len(), 5 + TAG_BYTES);
        let open = |cipher: ObjectCipher, domain, slot| {
            let mut bytes = sealed.clone();
            cipher.open(domain, slot, &mut bytes).map(|()| bytes)
        };
        assert_eq!(open(cipher(1, 1), Domain::Block, 7), Ok(b"plain".to_vec()));
        assert_eq!(open(cipher(2, 1), Domain::Block, 7), Err(Unsealable));
        assert_eq!(open(cipher(1, 2), Domain::Block, 7), Err(Unsealable));
        assert_eq!(open(cipher(1, 1), Domain::Table, 7), Err(Unsealable));
        assert_eq!(open(cipher(1, 1), Domain::Block, 8), Err(Unsealable));
    }

    #[test]
    fn too_few_bytes_are_refused() {
        assert_eq!(cipher(1, 1).open(Domain::Block, 0, &mut vec![0; 15]), Err(Unsealable));
    }

    #[test]
    fn any_flipped_bit_is_noticed_and_nothing_is_decrypted() {
        let mut sealed = b"plain".to_vec();
        cipher(1, 1).seal(Domain::Payload, 0, &mut sealed);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let before = flipped.clone();
            assert_eq!(cipher(1, 1).open(Domain::Payload, 0, &mut flipped), Err(Unsealable), "bit {bit}");
            assert_eq!(flipped, before, "a refused seal leaves the bytes as they were");
        }
    }

    #[test]
    fn an_empty_part_is_only_its_tag() {
        let mut sealed = Vec::new();
        cipher(1, 1).seal(Domain::Table, u64::MAX, &mut sealed);
        assert_eq!(sealed.len(), TAG_BYTES);
        assert_eq!(cipher(1, 1).open(Domain::Table, u64::MAX, &mut sealed), Ok(()));
        assert!(sealed.is_empty());
    }

    #[test]
    fn no_two_parts_of_an_object_share_a_nonce() {
        let domains = [Domain::Block, Domain::Table, Domain::Trailer, Domain::Payload, Domain::Slot];
        let slots = [0, 1, u64::from(u32::MAX), u64::MAX];
        let mut nonces: Vec<[u8; 12]> =
            domains.iter().flat_map(|&domain| slots.map(|slot| nonce(domain, slot).into())).collect();
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), domains.len() * slots.len());
    }
}
