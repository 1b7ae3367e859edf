//! What each target does. Beyond not panicking, whatever is accepted must survive being written again.

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, SnapshotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::compress::Inflater;
use crate::codec::wire::Reader;
use crate::fuzzing::keyring::{Keyring, REPOSITORY, with_hash};
use crate::repo::config::RepositoryConfig;
use crate::repo::header::Header;
use crate::repo::pack::PackTable;
use crate::repo::plain::Unverified;
use crate::repo::sealed;
use crate::repo::snapshot::SnapshotRecord;
use crate::repo::tree::Entry;
use crate::repo::tree::node::Node;

/// Kinds whose objects begin with a header.
const SEALED: [ObjectKind; 4] = [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot, ObjectKind::Session];

/// Kinds anyone may read.
const PLAIN: [ObjectKind; 3] = [ObjectKind::Config, ObjectKind::Key, ObjectKind::Journal];

pub(super) fn header(data: &[u8]) {
    for kind in SEALED {
        let mut reader = Reader::new(data);
        if let Ok(header) = Header::parse(&mut reader, kind) {
            let bytes = header.to_bytes();
            assert_eq!(bytes.len(), header.length());
            assert_eq!(bytes, data[..data.len() - reader.left()], "a header has one form");
        }
    }
}

pub(super) fn plain_object(data: &[u8]) {
    let owner = Keyring::shared().signing.public();
    for kind in PLAIN {
        let (name, stored) = with_hash(kind, data.to_vec());
        if let Ok(object) = Unverified::parse(&name, &stored) {
            let body = object.verify(&owner, REPOSITORY);
            assert!(body.is_err() || object.repository == REPOSITORY);
        }
        // As stored: the checksum is part of the input.
        let _ = Unverified::parse(&name, data);
    }
}

/// Any bytes under a fitting hash: everything up to the signature.
pub(super) fn sealed_object(data: &[u8]) {
    let keyring = Keyring::shared();
    for kind in [ObjectKind::Index, ObjectKind::Snapshot, ObjectKind::Session] {
        let (name, stored) = with_hash(kind, data.to_vec());
        let signers = |writer| keyring.signer(writer);
        if let Ok(opened) = sealed::decode(&keyring.opener, &signers, &name, &stored) {
            assert_eq!(opened.header.repository, REPOSITORY);
        }
    }
}

/// Any bytes as the plaintext of a sealed payload: everything behind the seal.
pub(super) fn sealed_payload(data: &[u8]) {
    let keyring = Keyring::shared();
    let (name, stored) = keyring.seal_payload(ObjectKind::Session, data);
    let signers = |writer| keyring.signer(writer);
    let _ = sealed::decode(&keyring.opener, &signers, &name, &stored);
}

pub(super) fn pack_table(data: &[u8]) {
    if let Ok(table) = PackTable::decode(data) {
        let bytes = table.encode();
        assert_eq!(bytes.len(), table.encoded_bytes());
        assert_eq!(table.offsets().count(), table.blocks.len());
        assert_eq!(PackTable::decode(&bytes), Ok(table));
    }
}

pub(super) fn tree_node(data: &[u8]) {
    if let Some(Node::Leaf(entries)) = cbor_survives::<Node>(data) {
        entries.iter().for_each(|entry| assert!(!Entry::name_is_safe(&entry.name) || entry.name.len() <= 255));
    }
}

pub(super) fn snapshot_record(data: &[u8]) {
    cbor_survives::<SnapshotRecord>(data);
}

pub(super) fn config_body(data: &[u8]) {
    if let Some(config) = cbor_survives::<RepositoryConfig>(data) {
        let _ = (config.files.are_valid(), config.database.are_valid());
    }
}

/// The first two bytes say how long the frame claims to become.
pub(super) fn inflate(data: &[u8]) {
    let Some((length, frame)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length)) * 16;
    let mut output = Vec::new();
    if let Ok(mut inflater) = Inflater::new()
        && inflater.inflate(frame, length, &mut output).is_ok()
    {
        assert_eq!(output.len(), length);
    }
}

pub(super) fn object_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for kind in ObjectKind::ALL {
        if let Some(name) = ObjectName::new(kind, text) {
            assert!(!name.text().contains(['/', '.', '\0']), "a name must be a safe file name");
            if let Some(number) = name.number() {
                assert_eq!(ObjectName::numbered(kind, number), name);
            }
        }
    }
    if let Ok(id) = text.parse::<ChunkId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<SnapshotId>() {
        assert_eq!(id.to_string(), text);
    }
}

pub(super) fn timestamp(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(moment) = text.parse::<Timestamp>()
    {
        assert_eq!(moment.to_string().parse(), Ok(moment), "a moment reads back from its own text");
    }
    if let Some(moment) = cbor_survives::<Timestamp>(data) {
        let _ = (moment.to_string(), moment.local(), moment.as_nanos());
    }
}

/// Decodes; whatever was accepted must come back equal from its own encoding.
pub(super) fn cbor_survives<T>(data: &[u8]) -> Option<T>
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()> + PartialEq + std::fmt::Debug,
{
    let value = minicbor::decode::<T>(data).ok()?;
    let bytes = minicbor::to_vec(&value).unwrap_or_default();
    match minicbor::decode::<T>(&bytes) {
        Ok(again) => assert_eq!(again, value),
        Err(why) => assert!(bytes.is_empty(), "what was accepted cannot be written again: {why}"),
    }
    Some(value)
}
