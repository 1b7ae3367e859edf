//! Objects anyone may read but only an owner may write: config, key slots, journal (`docs/format.md`, "Plain objects").
//!
//! Stored: magic, kind, version, repository, epoch, length, CBOR body, owner's signature, checksum.

use crate::base::id::RepositoryId;
use crate::base::object::ObjectName;
use crate::codec::kdf::plain_hash;
use crate::codec::sign::{SIGNATURE_BYTES, SigningPublic, SigningSecret, Subject};
use crate::codec::wire::{Malformed, Reader};
use crate::repo::error::RepoError;
use crate::repo::format::{MAGIC, VERSION};
use crate::repo::sealed::verify_stored_hash;

/// The CBOR form of a body.
pub fn encode_body(value: &impl minicbor::Encode<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = minicbor::encode(value, &mut bytes);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
    bytes
}

/// Reads a body that must end where its bytes end. A variant this program does not know was written by a newer
/// one.
pub fn decode_body<'b, T: minicbor::Decode<'b, ()>>(name: &ObjectName, body: &'b [u8]) -> Result<T, RepoError> {
    let mut decoder = minicbor::Decoder::new(body);
    let value = decoder.decode().map_err(|error| {
        if error.is_unknown_variant() {
            return RepoError::TooNew { name: name.clone(), what: error.to_string() };
        }
        RepoError::damaged(name, error)
    })?;
    if decoder.position() != body.len() {
        return Err(RepoError::damaged(name, "there are bytes beyond its end"));
    }
    Ok(value)
}

/// Frames and signs a body.
pub fn encode(
    signing: &SigningSecret,
    name: &ObjectName,
    repository: RepositoryId,
    epoch: u32,
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 160);
    bytes.extend_from_slice(&MAGIC);
    bytes.push(name.kind().code());
    bytes.push(VERSION);
    bytes.extend_from_slice(repository.as_bytes());
    bytes.extend_from_slice(&epoch.to_be_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(body);
    let subject = Subject { repository, kind: name.kind(), epoch, name: name.text() };
    let signature = signing.sign(subject, &plain_hash(&bytes));
    bytes.extend_from_slice(&signature);
    let checksum = plain_hash(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// A plain object whose checksum fits. Nothing in it may be trusted before [`verify`](Self::verify).
pub struct Unverified<'a> {
    name: &'a ObjectName,
    /// The repository it claims to belong to.
    pub repository: RepositoryId,
    /// The epoch it claims.
    pub epoch: u32,
    /// Its CBOR body.
    pub body: &'a [u8],
    hash: [u8; 32],
    signature: [u8; SIGNATURE_BYTES],
}

impl<'a> Unverified<'a> {
    /// Checks the checksum and splits the frame.
    pub fn parse(name: &'a ObjectName, stored: &'a [u8]) -> Result<Self, RepoError> {
        let signed = verify_stored_hash(name, stored)?;
        Self::split(name, signed)?.map_err(|why| RepoError::damaged(name, why))
    }

    fn split(name: &'a ObjectName, signed: &'a [u8]) -> Result<Result<Self, Malformed>, RepoError> {
        let mut reader = Reader::new(signed);
        let mut version = || {
            if reader.array()? != MAGIC || reader.u8()? != name.kind().code() {
                return Err(Malformed("it is an object of another kind"));
            }
            reader.u8()
        };
        match version() {
            Ok(VERSION) => {}
            Ok(version) => {
                return Err(RepoError::TooNew { name: name.clone(), what: format!("format version {version}") });
            }
            Err(why) => return Ok(Err(why)),
        }
        let fields = |mut reader: Reader<'a>| {
            let repository = RepositoryId::from_bytes(reader.array()?);
            let epoch = reader.u32()?;
            let body_bytes = reader.u32()? as usize;
            let body = reader.bytes(body_bytes)?;
            let signature = reader.array()?;
            reader.end()?;
            let hash = plain_hash(&signed[..signed.len() - SIGNATURE_BYTES]);
            Ok(Self { name, repository, epoch, body, hash, signature })
        };
        Ok(fields(reader))
    }

    /// Checks that `owner` signed it for this repository; gives the body.
    pub fn verify(&self, owner: &SigningPublic, repository: RepositoryId) -> Result<&'a [u8], RepoError> {
        if self.repository != repository {
            return Err(RepoError::damaged(self.name, "it belongs to another repository"));
        }
        let subject = Subject { repository, kind: self.name.kind(), epoch: self.epoch, name: self.name.text() };
        owner.verify(subject, &self.hash, &self.signature).map_err(|why| RepoError::damaged(self.name, why))?;
        Ok(self.body)
    }
}
