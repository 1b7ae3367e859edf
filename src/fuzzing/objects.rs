//! Parsers of what is stored under a signature or a seal: what each does with anything, and what it begins from.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, NodeId, PackId, SegmentId, SlotId, SnapshotId, StoredHash};
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::seal::Domain;
use crate::fuzzing::keyring::{Keyring, REPOSITORY};
use crate::fuzzing::seeds::{cbor, pack_table, tree_node};
use crate::fuzzing::targets::cbor_survives;
use crate::repo::RepoError;
use crate::repo::index::segment::{self, Segment};
use crate::repo::journal::{Entry as Said, Facts, Objects, Record, Since};
use crate::repo::keys::SlotCosts;
use crate::repo::keys::slot::{Method, Role, Slot, SlotInfo};
use crate::repo::pack::PackTable;
use crate::repo::pack::reader::{open_table, open_trailer};
use crate::repo::plain;
use crate::repo::secrets::Secrets;
use crate::repo::session::{Lease, SessionRecord, SnapshotLink};
use crate::repo::tree::reader::{Entries, TreeSource, decode_list, for_each_id};

const TIME: Timestamp = Timestamp { seconds: 1_763_795_700, nanos: 0 };

/// As the body of a signed slot, as its public part, and as what is sealed in it.
pub(super) fn slot_body(data: &[u8]) {
    let keyring = Keyring::shared();
    let authorities = [(REPOSITORY, keyring.signing.public())];
    let name = ObjectName::of(ObjectKind::Key, SlotId::from_bytes([6; 16]));
    let body = plain::encode_body(&(Raw(data), Raw(&[0; 32]), Raw(b"sealed")));
    for body in [data, &body] {
        let stored = plain::encode(&keyring.signing, &name, REPOSITORY, 1, body);
        if let Ok(Some(slot)) = Slot::parse(&name, &stored, &authorities)
            && let Method::Password(costs) = slot.info.method
        {
            assert!(costs.check().is_ok(), "a slot within the bounds only");
        }
    }
    cbor_survives::<SlotInfo>(data);
    if let Ok(secrets) = Secrets::from_cbor(data) {
        assert!(Secrets::from_cbor(&secrets.to_cbor()).is_ok());
    }
}

/// A byte string where an encoder is asked for.
struct Raw<'a>(&'a [u8]);

impl<C> minicbor::Encode<C> for Raw<'_> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.0)?.ok()
    }
}

pub(super) fn slot_seeds() -> Vec<Vec<u8>> {
    let info = SlotInfo {
        slot: SlotId::from_bytes([6; 16]),
        role: Role::Owner,
        method: Method::Password(SlotCosts::DEFAULT),
        salt: [7; 32],
        label: "first password".to_owned(),
        created: TIME,
        host: "node-1".to_owned(),
    };
    let encoded = cbor(&info);
    let words = cbor(&SlotInfo { method: Method::RecoveryWords, ..info });
    let secrets = Secrets::generate(&crate::base::random::SeededEntropy::new(1));
    vec![cbor(&(Raw(&encoded), Raw(&[8; 32]), Raw(b"sealed"))), words, secrets.to_cbor().to_vec()]
}

/// Whatever is read is folded in, twice: every entry has a meaning after every other.
pub(super) fn journal_entry(data: &[u8]) {
    let Some(record) = cbor_survives::<Record>(data) else { return };
    let mut facts = Facts::default();
    for number in 1..3 {
        let _ = facts.allows(&record.entry);
        facts.apply(Since { number, time: record.time }, &record.entry);
    }
    cbor_survives::<Facts>(&plain::encode_body(&facts));
}

pub(super) fn journal_seeds() -> Vec<Vec<u8>> {
    let objects = Objects { packs: vec![PackId::from_bytes([1; 32])], segments: vec![SegmentId::from_bytes([2; 32])] };
    let entries = vec![
        Said::Checkpoint(Box::default()),
        Said::Mark(objects.clone()),
        Said::Doom(objects),
        Said::Purge(vec![SnapshotId::from_bytes([3; 16])]),
    ];
    let previous = Some(StoredHash::from_bytes([4; 32]));
    entries.into_iter().map(|entry| cbor(&Record { previous, time: TIME, entry })).collect()
}

pub(super) fn session_record(data: &[u8]) {
    cbor_survives::<SessionRecord>(data);
    cbor_survives::<Lease>(data);
    cbor_survives::<Vec<SnapshotLink>>(data);
}

pub(super) fn session_seeds() -> Vec<Vec<u8>> {
    let snapshot = SnapshotId::from_bytes([3; 16]);
    let record = SessionRecord {
        parent: Some(snapshot),
        snapshot,
        node: NodeId::from_bytes([4; 16]),
        host: "node-1".to_owned(),
        pid: 4711,
        started: TIME,
    };
    let link = SnapshotLink { snapshot, hash: StoredHash::from_bytes([5; 32]) };
    vec![cbor(&record), cbor(&Lease { seen: 7, time: TIME }), cbor(&vec![link])]
}

pub(super) fn index_segment(data: &[u8]) {
    let Ok(segment) = Segment::parse(data.to_vec()) else { return };
    let packs: Result<Vec<_>, _> = segment.packs().collect();
    assert!(packs.is_ok(), "what was checked once reads again");
    let packs = packs.unwrap_or_default();
    assert_eq!(packs.len(), segment.pack_count() as usize);
    let again = segment::encode(segment.inputs(), &packs);
    assert_eq!(again.len(), data.len());
    assert!(Segment::parse(again).is_ok());
}

pub(super) fn segment_seeds() -> Vec<Vec<u8>> {
    let tables = pack_table().into_iter().filter_map(|bytes| PackTable::decode(&bytes).ok());
    let packs: Vec<_> = tables.map(|table| (PackId::from_bytes([1; 32]), 4096, table)).collect();
    vec![segment::encode(&[SegmentId::from_bytes([2; 32])], &packs), segment::encode(&[], &[])]
}

/// Twelve bytes of a trailer, then a table, both sealed soundly into a pack of 4 KiB.
pub(super) fn pack_open(data: &[u8]) {
    let Some((trailer, table)) = data.split_first_chunk::<12>() else { return };
    let (header, cipher) = Keyring::shared().sealer.object(ObjectKind::Pack, Vec::new());
    let name = ObjectName::of(ObjectKind::Pack, PackId::from_bytes([1; 32]));
    let header_bytes = header.length() as u64;
    let sealed = |domain, plain: &[u8]| {
        let mut bytes = plain.to_vec();
        cipher.seal(domain, 0, &mut bytes);
        bytes
    };
    if let Ok((offset, length)) = open_trailer(&name, &cipher, sealed(Domain::Trailer, trailer), 4096, header_bytes) {
        assert!(offset >= header_bytes && offset + length as u64 <= 4096, "a table lies inside of its pack");
    }
    for offset in [header_bytes, header_bytes + 96] {
        if let Ok(table) = open_table(&name, &cipher, sealed(Domain::Table, table), header_bytes, offset) {
            assert!(table.offsets().all(|at| at <= offset), "blocks lie before their table");
        }
    }
}

pub(super) fn pack_open_seeds() -> Vec<Vec<u8>> {
    let trailer = [&2048u64.to_be_bytes(), 200u32.to_be_bytes().as_slice()].concat();
    pack_table().into_iter().map(|table| [trailer.as_slice(), &table].concat()).collect()
}

/// Chunks of a tree: each a length of two bytes and its content; the id of the nth is n, over and over.
struct Forest<'a>(BTreeMap<ChunkId, &'a [u8]>);

impl<'a> Forest<'a> {
    fn new(mut data: &'a [u8]) -> Self {
        let mut chunks = BTreeMap::new();
        while let Some((length, rest)) = data.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
            let (chunk, rest) = rest.split_at(length);
            chunks.insert(ChunkId::from_bytes([chunks.len() as u8; 32]), chunk);
            data = rest;
        }
        Self(chunks)
    }
}

impl TreeSource for Forest<'_> {
    fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.0.get(id).map(|chunk| chunk.to_vec()).ok_or(RepoError::ChunkMissing { id: *id })
    }
}

/// Reads a directory and the ids of its files, whichever way its chunks point at each other.
pub(super) fn tree_reader(data: &[u8]) {
    let forest = Forest::new(data);
    let root = ChunkId::from_bytes([0; 32]);
    let (mut straight, mut parked) = (Entries::new(&forest, root), Entries::new(&forest, root));
    let mut previous: Option<Vec<u8>> = None;
    while let Some(Ok(entry)) = straight.next() {
        assert!(previous.is_none_or(|previous| previous < entry.name), "names ascend");
        parked.park();
        assert!(parked.next().is_some_and(|same| same.is_ok_and(|same| same == entry)), "parking changes nothing");
        if let Some(content) = &entry.content {
            let mut left = 10_000;
            let mut visit = |_| {
                left -= 1;
                if left > 0 { Ok(()) } else { Err(RepoError::Interrupted) }
            };
            let _ = for_each_id(&forest, content, &mut visit);
        }
        previous = Some(entry.name);
    }
    let _ = decode_list(&root, data);
}

pub(super) fn forest_seeds() -> Vec<Vec<u8>> {
    use crate::repo::tree::node::{Child, Node};
    let forest = |chunks: &[Vec<u8>]| {
        chunks.iter().flat_map(|chunk| [&(chunk.len() as u16).to_be_bytes(), chunk.as_slice()].concat()).collect()
    };
    let leaf = tree_node().swap_remove(0);
    let child = Child { first: b"config".to_vec(), id: ChunkId::from_bytes([1; 32]) };
    vec![forest(std::slice::from_ref(&leaf)), forest(&[cbor(&Node::Spine(vec![child])), leaf])]
}
