//! Small well-formed inputs, so that the fuzzer need not discover the format from nothing.

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, NodeId, SnapshotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::compress::Deflater;
use crate::fuzzing::keyring::{Keyring, REPOSITORY, SESSION};
use crate::repo::config::{CreateMethod, RepositoryConfig};
use crate::repo::pack::{BlockCodec, BlockInfo, ChunkInfo, PackTable};
use crate::repo::plain;
use crate::repo::secrets::{Content, IdDomain, IdOwner};
use crate::repo::snapshot::{Consistency, Counts, Exclusions, Manifest, Member, Problem, SnapshotRecord};
use crate::repo::tree::node::{Child, Node};
use crate::repo::tree::{Entry, EntryKind, Extent, FileContent, HardLink, Owner, XattrPair};

const TIME: Timestamp = Timestamp { seconds: 1_763_795_700, nanos: 123_456_789 };

pub(super) fn header() -> Vec<Vec<u8>> {
    let keyring = Keyring::new();
    let stored = |kind, plain: &[u8]| keyring.sealer.object(kind, plain.to_vec()).0.to_bytes();
    vec![stored(ObjectKind::Index, b""), stored(ObjectKind::Pack, b""), stored(ObjectKind::Snapshot, b"plain section")]
}

pub(super) fn plain_object() -> Vec<Vec<u8>> {
    let keyring = Keyring::new();
    let objects = [(ObjectKind::Config, 1, cbor(&config())), (ObjectKind::Journal, 7, b"\x80".to_vec())];
    objects
        .iter()
        .map(|(kind, number, body)| {
            let name = ObjectName::numbered(*kind, *number);
            without_checksum(plain::encode(&keyring.signing, &name, REPOSITORY, 1, body))
        })
        .collect()
}

pub(super) fn sealed_object() -> Vec<Vec<u8>> {
    let keyring = Keyring::new();
    let (_, segment) = keyring.seal_payload(ObjectKind::Index, &raw_payload(b"a body"));
    let (_, session) = keyring.seal_payload(ObjectKind::Session, &raw_payload(b"a body"));
    vec![segment, without_checksum(session)]
}

pub(super) fn sealed_payload() -> Vec<Vec<u8>> {
    let body = b"never the same river twice ".repeat(40);
    let frame = deflated(&body);
    let mut zstd = vec![1];
    zstd.extend_from_slice(&(body.len() as u32).to_be_bytes());
    zstd.extend_from_slice(&(frame.len() as u32).to_be_bytes());
    zstd.extend_from_slice(&frame);
    vec![raw_payload(b"a body"), raw_payload(b""), zstd]
}

pub(super) fn pack_table() -> Vec<Vec<u8>> {
    let chunk = |byte, length| ChunkInfo { id: ChunkId::from_bytes([byte; 32]), length };
    let tree = IdDomain { content: Content::Tree, owner: IdOwner::Node(NodeId::from_bytes([9; 16])) };
    let data = IdDomain { content: Content::Data, owner: IdOwner::Shared };
    let mut table = PackTable::new(tree, 1280);
    table.blocks.push(BlockInfo {
        stored_bytes: 46,
        raw_bytes: 30,
        codec: BlockCodec::Raw,
        chunks: vec![chunk(1, 10), chunk(2, 20)],
    });
    table.blocks.push(BlockInfo {
        stored_bytes: 50,
        raw_bytes: 900,
        codec: BlockCodec::Zstd,
        chunks: vec![chunk(3, 900)],
    });
    vec![table.encode(), PackTable::new(data, 160).encode()]
}

pub(super) fn tree_node() -> Vec<Vec<u8>> {
    let leaf = Node::Leaf(vec![directory(), file(), symlink(), small_file()]);
    let child = |first: &[u8], byte| Child { first: first.to_vec(), id: ChunkId::from_bytes([byte; 32]) };
    vec![cbor(&leaf), cbor(&Node::Spine(vec![child(b"a", 1), child(b"m", 2)])), cbor(&Node::Leaf(Vec::new()))]
}

pub(super) fn snapshot_record() -> Vec<Vec<u8>> {
    let aborted = SnapshotRecord::Aborted("given up by its writer".to_owned());
    vec![cbor(&SnapshotRecord::Committed(Box::new(manifest()))), cbor(&aborted)]
}

pub(super) fn config_body() -> Vec<Vec<u8>> {
    vec![cbor(&config())]
}

pub(super) fn inflate() -> Vec<Vec<u8>> {
    let body = b"sixteen bytes up".repeat(64);
    vec![[&64u16.to_be_bytes(), deflated(&body).as_slice()].concat()]
}

pub(super) fn object_name() -> Vec<Vec<u8>> {
    let texts = ["0000000042".to_owned(), "a7".repeat(32), "a7".repeat(16), format!("{}-3", "a7".repeat(16))];
    texts.map(String::into_bytes).to_vec()
}

pub(super) fn timestamp() -> Vec<Vec<u8>> {
    let texts = ["2026-11-22T07:15:00Z", "2026-11-22 07:15:00", "2026-11-22T07:15:00.123456789+01:00"];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain([cbor(&TIME)]).collect()
}

fn config() -> RepositoryConfig {
    let keyring = Keyring::shared();
    RepositoryConfig {
        repository: REPOSITORY,
        created: TIME,
        features: 0,
        epoch: 1,
        owner: keyring.signing.public().to_bytes(),
        kem: 0x647a,
        public_key: keyring.public_key.clone(),
        files: RepositoryConfig::FILES,
        database: RepositoryConfig::DATABASE,
        large_files: RepositoryConfig::LARGE_FILES,
        large_from: RepositoryConfig::LARGE_FROM,
        timezone: None,
        create: CreateMethod::HardLink,
    }
}

fn manifest() -> Manifest {
    Manifest {
        time: TIME,
        ended: TIME,
        node: NodeId::from_bytes([3; 16]),
        label: "design".to_owned(),
        host: "node-1".to_owned(),
        user: "root".to_owned(),
        members: vec![Member { kind: "path".to_owned(), name: "/data/dss".to_owned() }],
        root: ChunkId::from_bytes([4; 32]),
        consistency: Consistency::Live,
        counts: Counts { files: 3, bytes: 4096, ..Counts::default() },
        problems: vec![Problem { path: "/data/dss/x".to_owned(), cause: "permission denied".to_owned(), lost: true }],
        problem_count: 1,
        exclusions: Exclusions { rules: vec!["*.tmp".to_owned()], entries: 1, bytes: 10 },
        tags: vec!["nightly".to_owned()],
        program: "0.1.0".to_owned(),
        parent: Some(SnapshotId::from_bytes([5; 16])),
        session: SESSION,
        dss: None,
        imported: None,
        databases: None,
        repaired: None,
        origin: None,
        seen: None,
    }
}

fn entry(name: &[u8], kind: EntryKind) -> Entry {
    Entry {
        mode: 0o755,
        owner: Owner { uid: 0, gid: 1000, user: Some("root".to_owned()), group: None },
        mtime: TIME,
        ctime: TIME,
        ..Entry::bare(name.to_vec(), kind)
    }
}

fn directory() -> Entry {
    let acl = XattrPair { name: b"system.posix_acl_default".to_vec(), value: vec![2, 0, 0, 0] };
    let tree = Some(ChunkId::from_bytes([6; 32]));
    Entry { xattrs: Some(vec![acl]), tree, ..entry(b"config", EntryKind::Directory) }
}

fn file() -> Entry {
    let content = FileContent {
        ids: vec![ChunkId::from_bytes([7; 32]), ChunkId::from_bytes([8; 32])],
        list_depth: None,
        extents: Some(vec![Extent { offset: 4096, length: 8192 }]),
        node_domain: Some(true),
        fragment: None,
    };
    let hard_link = Some(HardLink { device: 1, inode: 2 });
    Entry { size: 1 << 20, hard_link, content: Some(content), ..entry(b"d\xffb.h2", EntryKind::File) }
}

fn small_file() -> Entry {
    let ids = vec![ChunkId::from_bytes([9; 32])];
    let content = FileContent { ids, fragment: Some(1200), ..FileContent::default() };
    Entry { size: 300, content: Some(content), ..entry(b"params.json", EntryKind::File) }
}

fn symlink() -> Entry {
    Entry { target: Some(b"../elsewhere".to_vec()), ..entry(b"link", EntryKind::Symlink) }
}

fn raw_payload(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[0], length.as_slice(), length.as_slice(), body].concat()
}

fn deflated(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let shrunk = Deflater::new(3).is_ok_and(|mut deflater| deflater.deflate(body, &mut frame));
    assert!(shrunk, "the seed text shrinks");
    frame
}

/// The targets add the checksum themselves, for no fuzzer would guess it.
fn without_checksum(mut stored: Vec<u8>) -> Vec<u8> {
    stored.truncate(stored.len() - 32);
    stored
}

pub(super) fn cbor<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    let bytes = minicbor::to_vec(value).unwrap_or_default();
    assert!(!bytes.is_empty(), "a seed can be encoded");
    bytes
}
