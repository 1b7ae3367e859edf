//! Objects with a single sealed payload: index segments, snapshots, sessions (`docs/format.md`, "Sealed objects").
//!
//! Stored: header, sealed payload, signature, and a checksum unless the name is the hash.
//! Payload before sealing: codec byte, length of the body, body, fill up to a Padmé size.

use crate::base::id::StoredHash;
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::Entropy;
use crate::codec::compress::{Deflater, Inflater};
use crate::codec::kdf::plain_hash;
use crate::codec::padme::padded;
use crate::codec::seal::Domain;
use crate::codec::sign::{SIGNATURE_BYTES, SigningPublic, SigningSecret, Subject};
use crate::codec::wire::Reader;
use crate::repo::crypt::{Opener, Sealer};
use crate::repo::error::RepoError;
use crate::repo::format::{PLAIN_BYTES_MAX, object_bytes_max};
use crate::repo::header::{Header, HeaderError};

const CODEC_RAW: u8 = 0;
const CODEC_ZSTD: u8 = 1;
/// Codec byte, expanded length, stored length.
const PREFIX_BYTES: usize = 9;
const CHECKSUM_BYTES: usize = 32;

/// Seals, signs and frames a body. `name` is needed for kinds whose name is not their hash; for the others the
/// returned name is the hash.
pub fn encode(
    sealer: &Sealer,
    signing: &SigningSecret,
    entropy: &dyn Entropy,
    target: Target<'_>,
    plain: Vec<u8>,
    body: &[u8],
) -> Result<(ObjectName, Vec<u8>), std::io::Error> {
    let kind = target.kind();
    let (header, cipher) = sealer.object(kind, plain);
    // Body and object obey the same bound, when written and when read: a reader's memory follows from the kind.
    let limit = object_bytes_max(kind);
    let too_long = |what| std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
    if body.len() as u64 > limit || header.plain.len() > PLAIN_BYTES_MAX {
        return Err(too_long("the body is too long for an object of its kind"));
    }
    let mut payload = payload(entropy, body)?;
    cipher.seal(Domain::Payload, 0, &mut payload);
    let mut bytes = header.to_bytes();
    bytes.append(&mut payload);
    let subject = Subject { repository: header.repository, kind, epoch: header.epoch, name: target.signed_name() };
    let signature = signing.sign(subject, &plain_hash(&bytes));
    bytes.extend_from_slice(&signature);
    let name = match target {
        Target::Named(name) => {
            let checksum = plain_hash(&bytes);
            bytes.extend_from_slice(&checksum);
            name.clone()
        }
        Target::ByHash(kind) => ObjectName::of(kind, StoredHash::from_bytes(plain_hash(&bytes))),
    };
    if bytes.len() as u64 > limit {
        return Err(too_long("the sealed object is too long for its kind"));
    }
    Ok((name, bytes))
}

/// Where a sealed object will be put.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// Under this name.
    Named(&'a ObjectName),
    /// Under the hash of its bytes.
    ByHash(ObjectKind),
}

impl Target<'_> {
    fn kind(&self) -> ObjectKind {
        match self {
            Self::Named(name) => name.kind(),
            Self::ByHash(kind) => *kind,
        }
    }

    fn signed_name(&self) -> &str {
        match self {
            Self::Named(name) => name.text(),
            Self::ByHash(_) => "",
        }
    }
}

/// A sealed object, opened.
pub struct Unsealed {
    /// Its header, with the plain section.
    pub header: Header,
    /// Its body.
    pub body: Vec<u8>,
}

/// Checks checksum or name, signature and seal of a stored object and gives its body.
///
/// `signers` finds the verification key of a writer.
pub fn decode(
    opener: &Opener,
    signers: &dyn Fn(crate::base::id::WriterId) -> Option<SigningPublic>,
    name: &ObjectName,
    stored: &[u8],
) -> Result<Unsealed, RepoError> {
    let damaged = |why: &dyn std::fmt::Display| RepoError::damaged(name, why);
    let signed = verify_stored_hash(name, stored)?;
    let mut reader = Reader::new(signed);
    let header = Header::parse(&mut reader, name.kind()).map_err(|error| header_error(name, error))?;
    let body_bytes =
        reader.left().checked_sub(SIGNATURE_BYTES).ok_or_else(|| damaged(&"it is too short for its signature"))?;
    let mut sealed = reader.bytes(body_bytes).map_err(|why| damaged(&why))?.to_vec();
    let signature = reader.array().map_err(|why| damaged(&why))?;
    let subject = Subject {
        repository: header.repository,
        kind: name.kind(),
        epoch: header.epoch,
        name: if name.kind().is_named_by_hash() { "" } else { name.text() },
    };
    opener.admit(name, &header)?;
    let signer = signers(header.writer).ok_or_else(|| damaged(&"its writer is unknown"))?;
    signer
        .verify(subject, &plain_hash(&signed[..signed.len() - SIGNATURE_BYTES]), &signature)
        .map_err(|why| damaged(&why))?;
    let cipher = opener.object(name, &header)?;
    cipher.open(Domain::Payload, 0, &mut sealed).map_err(|why| damaged(&why))?;
    let body = unpack(&sealed, object_bytes_max(name.kind())).map_err(|why| damaged(&why))?;
    Ok(Unsealed { header, body })
}

/// Compares the stored bytes with the hash that names them or that they end with; returns the bytes before it.
pub fn verify_stored_hash<'a>(name: &ObjectName, stored: &'a [u8]) -> Result<&'a [u8], RepoError> {
    if name.kind().is_named_by_hash() {
        if StoredHash::from_bytes(plain_hash(stored)).to_string() == name.text() {
            return Ok(stored);
        }
        return Err(RepoError::damaged(name, "its bytes are not those it is named by"));
    }
    let (bytes, checksum) =
        stored.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| RepoError::damaged(name, "it is too short"))?;
    if plain_hash(bytes) == *checksum {
        return Ok(bytes);
    }
    Err(RepoError::damaged(name, "its checksum does not fit its bytes"))
}

/// Translates a header error into one that names the object.
pub fn header_error(name: &ObjectName, error: HeaderError) -> RepoError {
    match error {
        HeaderError::Version(_) | HeaderError::Recipe(_) => {
            RepoError::TooNew { name: name.clone(), what: error.to_string() }
        }
        HeaderError::Malformed(why) => RepoError::damaged(name, why),
    }
}

fn payload(entropy: &dyn Entropy, body: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut packed = Vec::new();
    let shrunk = Deflater::new(3)?.deflate(body, &mut packed);
    let (codec, content) = if shrunk { (CODEC_ZSTD, packed.as_slice()) } else { (CODEC_RAW, body) };
    let size = padded((PREFIX_BYTES + content.len()) as u64) as usize;
    let mut payload = Vec::with_capacity(size + crate::codec::seal::TAG_BYTES);
    payload.push(codec);
    payload.extend_from_slice(&(body.len() as u32).to_be_bytes());
    payload.extend_from_slice(&(content.len() as u32).to_be_bytes());
    payload.extend_from_slice(content);
    let filled = payload.len();
    payload.resize(size, 0);
    // Sealed anyway; random fill keeps the plaintext free of long runs an implementation fault could betray.
    entropy.fill(&mut payload[filled..]);
    Ok(payload)
}

fn unpack(payload: &[u8], limit: u64) -> Result<Vec<u8>, &'static str> {
    let mut reader = Reader::new(payload);
    let mut prefix = || Ok::<_, crate::codec::wire::Malformed>((reader.u8()?, reader.u32()?, reader.u32()?));
    let (codec, body_bytes, content_bytes) = prefix().map_err(|why| why.0)?;
    let content = reader.bytes(content_bytes as usize).map_err(|why| why.0)?;
    if u64::from(body_bytes) > limit {
        return Err("its payload claims to be larger than allowed");
    }
    match codec {
        CODEC_RAW if body_bytes == content_bytes => Ok(content.to_vec()),
        CODEC_ZSTD => {
            let mut body = Vec::new();
            Inflater::new()
                .map_err(|_| "no memory to expand it")?
                .inflate(content, body_bytes as usize, &mut body)
                .map_err(|_| "its payload does not expand")?;
            Ok(body)
        }
        _ => Err("its payload has an unknown codec"),
    }
}
