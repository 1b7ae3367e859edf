//! Fixed-width identifiers. Two kinds of id can never be swapped: each is its own type.

use std::fmt;
use std::str::FromStr;

/// Text that is not the lower-case hexadecimal form of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {digits} lower-case hexadecimal digits are expected")]
pub struct BadId {
    /// What was read.
    pub text: String,
    /// The kind of id that was wanted.
    pub what: &'static str,
    /// How many digits that kind has.
    pub digits: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Width in bytes.
            pub const BYTES: usize = $bytes;

            /// Wraps raw bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The id found at the front of `bytes`, if there are enough of them and no more.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// The first eight hexadecimal digits, for tables and messages.
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_hex(text).map(Self).ok_or_else(|| BadId {
                    text: text.to_owned(),
                    what: stringify!($name),
                    digits: $bytes * 2,
                })
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::from_slice(d.bytes()?)
                    .ok_or_else(|| minicbor::decode::Error::message(concat!("wrong length of ", stringify!($name))))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

id!(/// Names a plaintext chunk: keyed BLAKE3 of its bytes (`docs/format.md`, Ids).
    ChunkId, 32);
id!(/// Names a sealed pack: BLAKE3 of its stored bytes.
    PackId, 32);
id!(/// Names an index segment: BLAKE3 of its stored bytes.
    SegmentId, 32);
id!(/// Plain BLAKE3 of stored bytes.
    StoredHash, 32);
id!(/// Names a parity group: the beginning of the BLAKE3 of its table.
    ParityId, 16);
id!(/// Names a repository: random, made by `init`.
    RepositoryId, 16);
id!(/// Names a snapshot: random, fixed when its session begins.
    SnapshotId, 16);
id!(/// Names one running writer.
    SessionId, 16);
id!(/// Names one backed-up machine or DSS installation: random, made at its first backup.
    NodeId, 16);
id!(/// Names a signing key: the front of BLAKE3 of the verification key.
    WriterId, 16);
id!(/// Names a public encryption key: the front of BLAKE3 of the key.
    RecipientId, 16);
id!(/// Names a key slot: random.
    SlotId, 16);

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 || digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0u8; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_own_text() {
        let id = ChunkId::from_bytes([0xa7; 32]);
        assert_eq!(id.to_string().parse::<ChunkId>().unwrap(), id);
    }

    #[test]
    fn text_of_another_length_or_case_is_no_id() {
        assert!("a7".parse::<ChunkId>().is_err());
        assert!("A7".repeat(32).parse::<ChunkId>().is_err());
        assert!("é".repeat(32).parse::<ChunkId>().is_err());
    }

    #[test]
    fn a_stored_id_of_another_length_is_refused() {
        let id = SnapshotId::from_bytes([7; 16]);
        assert_eq!(minicbor::decode::<SnapshotId>(&minicbor::to_vec(id).unwrap()).unwrap(), id);
        assert!(minicbor::decode::<ChunkId>(&minicbor::to_vec(id).unwrap()).is_err());
        assert_eq!(SnapshotId::from_slice(&[7; 17]), None);
    }

    #[test]
    fn ids_sort_like_their_text() {
        let mut ids = [[0xff; 16], [0x0f; 16], [0xf0; 16]].map(NodeId::from_bytes);
        ids.sort_unstable();
        assert!(ids.map(|id| id.to_string()).is_sorted());
    }

    #[test]
    fn bad_text_is_quoted_with_what_was_wanted() {
        let error = "latest".parse::<SnapshotId>().unwrap_err();
        assert_eq!(error.to_string(), "`latest` is not a SnapshotId: 32 lower-case hexadecimal digits are expected");
    }
}
