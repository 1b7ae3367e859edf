//! The plain header in front of packs, index segments, snapshots and sessions (`docs/format.md`, "Header").

use crate::base::id::{RecipientId, RepositoryId, SessionId, WriterId};
use crate::base::object::ObjectKind;
use crate::codec::kdf::plain_hash;
use crate::codec::wire::{Malformed, Reader};
use crate::repo::format::{MAGIC, PLAIN_BYTES_MAX, VERSION};

/// IANA's HPKE KEM id of X-Wing.
pub const XWING_KEM_ID: u16 = 0x647a;

/// How the object's key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// From the epoch's index key: every writer can read it.
    IndexKey,
    /// From an HPKE encapsulation to the repository's public key: only owners can read it.
    XWing,
}

impl Recipe {
    /// The recipe of every object of a kind: only the index is for all writers to read.
    pub const fn of(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Index => Self::IndexKey,
            _ => Self::XWing,
        }
    }

    /// IANA's HPKE KEM id of X-Wing, or 0.
    const fn code(self) -> u16 {
        match self {
            Self::IndexKey => 0,
            Self::XWing => XWING_KEM_ID,
        }
    }
}

/// Length of an X-Wing encapsulation.
pub const ENCAPSULATION_BYTES: usize = 1120;

/// Length of the fixed part of a header.
pub const FIXED_BYTES: usize = 160;

/// Everything in front of an object's sealed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the object is.
    pub kind: ObjectKind,
    /// How its key is made.
    pub recipe: Recipe,
    /// Which epoch's keys.
    pub epoch: u32,
    /// Feature bits a reader must understand.
    pub features: u64,
    /// The repository it belongs to.
    pub repository: RepositoryId,
    /// Who signed it.
    pub writer: WriterId,
    /// The session it was written in.
    pub session: SessionId,
    /// Whose public key it is sealed to (zeros for [`Recipe::IndexKey`]).
    pub recipient: RecipientId,
    /// Makes the object's key its own.
    pub salt: [u8; 32],
    /// Proves the key before anything is decrypted.
    pub commitment: [u8; 32],
    /// The HPKE encapsulation; empty for [`Recipe::IndexKey`].
    pub encapsulation: Vec<u8>,
    /// Readable without a key, authenticated with it; empty but for snapshots and sessions.
    pub plain: Vec<u8>,
}

impl Header {
    /// Length of [`to_bytes`](Self::to_bytes).
    pub fn length(&self) -> usize {
        FIXED_BYTES + self.encapsulation.len() + self.plain.len()
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(self.kind.code());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.recipe.code().to_be_bytes());
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.features.to_be_bytes());
        bytes.extend_from_slice(self.repository.as_bytes());
        bytes.extend_from_slice(self.writer.as_bytes());
        bytes.extend_from_slice(self.session.as_bytes());
        bytes.extend_from_slice(self.recipient.as_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.commitment);
        bytes.extend_from_slice(&(self.encapsulation.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&(self.plain.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&self.encapsulation);
        bytes.extend_from_slice(&self.plain);
        bytes
    }

    /// Parses the front of an object of the expected kind; the rest stays in the reader.
    pub fn parse(reader: &mut Reader<'_>, kind: ObjectKind) -> Result<Self, HeaderError> {
        if reader.array()? != MAGIC {
            return Err(HeaderError::Malformed(Malformed("it does not begin with DSSVAULT")));
        }
        if reader.u8()? != kind.code() {
            return Err(HeaderError::Malformed(Malformed("it is an object of another kind")));
        }
        let version = reader.u8()?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let recipe = match reader.u16()? {
            0 => Recipe::IndexKey,
            XWING_KEM_ID => Recipe::XWing,
            code => return Err(HeaderError::Recipe(code)),
        };
        let epoch = reader.u32()?;
        let features = reader.u64()?;
        let repository = RepositoryId::from_bytes(reader.array()?);
        let writer = WriterId::from_bytes(reader.array()?);
        let session = SessionId::from_bytes(reader.array()?);
        let recipient = RecipientId::from_bytes(reader.array()?);
        let salt = reader.array()?;
        let commitment = reader.array()?;
        let encapsulation_bytes = reader.u32()? as usize;
        let plain_bytes = reader.u32()? as usize;
        let expected = if recipe == Recipe::XWing { ENCAPSULATION_BYTES } else { 0 };
        if encapsulation_bytes != expected || plain_bytes > PLAIN_BYTES_MAX {
            return Err(HeaderError::Malformed(Malformed("a length in its header cannot be")));
        }
        let encapsulation = reader.bytes(encapsulation_bytes)?.to_vec();
        let plain = reader.bytes(plain_bytes)?.to_vec();
        Ok(Self {
            kind,
            recipe,
            epoch,
            features,
            repository,
            writer,
            session,
            recipient,
            salt,
            commitment,
            encapsulation,
            plain,
        })
    }

    /// What every sealed part of the object is bound to.
    pub fn hash(&self) -> [u8; 32] {
        plain_hash(&self.to_bytes())
    }
}

/// Why a header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The layout is of another version.
    #[error("format version {0}")]
    Version(u8),
    /// Its key is made in a way this program does not know.
    #[error("key recipe {0:#06x}")]
    Recipe(u16),
    /// The bytes are no header.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}
