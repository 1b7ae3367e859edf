//! Snapshots written by hand: what a hostile or broken writer who holds the keys could store.

use std::cell::RefCell;
use std::sync::Arc;

use dssvault::base::clock::Timestamp;
use dssvault::base::id::{ChunkId, NodeId, SessionId};
use dssvault::repo::crypt::Sealer;
use dssvault::repo::index::segment;
use dssvault::repo::pack::writer::{OpenBlock, PackWriter};
use dssvault::repo::pack::{BlockCodec, ChunkInfo};
use dssvault::repo::repository::Repository;
use dssvault::repo::secrets::{Content, IdDomain, IdOwner};
use dssvault::repo::snapshot::{Consistency, Counts, Exclusions, Manifest};
use dssvault::repo::tree::node::Node;
use dssvault::repo::tree::{Entry, EntryKind, FileContent, HardLink, Owner};

/// Collects chunks, then stores them all.
pub struct Hand<'a> {
    repository: &'a Repository,
    data: RefCell<Vec<(ChunkId, Vec<u8>)>>,
    trees: RefCell<Vec<(ChunkId, Vec<u8>)>>,
}

const DATA: IdDomain = IdDomain { content: Content::Data, owner: IdOwner::Shared };

fn trees() -> IdDomain {
    IdDomain { content: Content::Tree, owner: IdOwner::Node(NodeId::from_bytes([1; 16])) }
}

impl<'a> Hand<'a> {
    pub fn new(repository: &'a Repository) -> Self {
        Self { repository, data: RefCell::default(), trees: RefCell::default() }
    }

    pub fn chunk(&self, bytes: &[u8]) -> ChunkId {
        let id = self.repository.secrets.id_key(DATA).id(bytes);
        let mut data = self.data.borrow_mut();
        if data.iter().all(|(known, _)| *known != id) {
            data.push((id, bytes.to_vec()));
        }
        id
    }

    /// A directory's tree of one leaf, its entries in the order given.
    pub fn tree(&self, entries: Vec<Entry>) -> ChunkId {
        let bytes = minicbor::to_vec(Node::Leaf(entries)).unwrap();
        let id = self.repository.secrets.id_key(trees()).id(&bytes);
        self.trees.borrow_mut().push((id, bytes));
        id
    }

    pub fn file(&self, name: &str, content: &[u8]) -> Entry {
        let ids = vec![self.chunk(content)];
        let content_of = FileContent { ids, ..FileContent::default() };
        Entry { size: content.len() as u64, content: Some(content_of), ..entry(name, EntryKind::File) }
    }

    pub fn linked(&self, name: &str, content: &[u8], inode: u64) -> Entry {
        Entry { hard_link: Some(HardLink { device: 1, inode }), ..self.file(name, content) }
    }

    pub fn directory(&self, name: &str, entries: Vec<Entry>) -> Entry {
        Entry { tree: Some(self.tree(entries)), mode: 0o755, ..entry(name, EntryKind::Directory) }
    }

    /// Stores everything, each chunk in a block of its own, and gives a manifest with this root.
    pub fn finish(self, root: ChunkId) -> Manifest {
        let sealer = sealer(self.repository);
        let signing = self.repository.secrets.signing();
        let entropy = &*self.repository.seams.entropy;
        let mut packs = Vec::new();
        for (domain, chunks) in [(DATA, self.data.take()), (trees(), self.trees.take())] {
            let mut pack = PackWriter::begin(&*self.repository.storage, &sealer, domain).unwrap();
            for (id, bytes) in chunks {
                let length = bytes.len() as u32;
                let chunks = vec![ChunkInfo { id, length }];
                pack.append(OpenBlock { codec: BlockCodec::Raw, raw_bytes: length, bytes, chunks }).unwrap();
            }
            let written = pack.finish(&signing, entropy).unwrap();
            packs.push((written.id, written.bytes, written.table));
        }
        segment::write_one(self.repository, &sealer, &signing, &[], &packs).unwrap();
        manifest(root)
    }
}

fn sealer(repository: &Repository) -> Sealer {
    let secrets = &repository.secrets;
    let keys = secrets.epoch(1).unwrap();
    let session = SessionId::from_bytes(dssvault::base::random::array(&*repository.seams.entropy));
    let public = &repository.config.public_key;
    let entropy = Arc::clone(&repository.seams.entropy);
    Sealer::begin(repository.id(), keys, secrets.owner_writer(), session, public, entropy).unwrap()
}

/// An entry of a kind and nothing else.
pub fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry {
        mode: 0o644,
        owner: Owner {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            user: None,
            group: None,
        },
        mtime: Timestamp { seconds: 1_000_000_000, nanos: 5 },
        ..Entry::bare(name.as_bytes().to_vec(), kind)
    }
}

pub fn symlink(name: &str, target: &str) -> Entry {
    Entry { target: Some(target.as_bytes().to_vec()), mode: 0o777, ..entry(name, EntryKind::Symlink) }
}

fn manifest(root: ChunkId) -> Manifest {
    Manifest {
        time: Timestamp::default(),
        ended: Timestamp::default(),
        node: NodeId::from_bytes([1; 16]),
        label: "node".to_owned(),
        host: "host".to_owned(),
        user: "user".to_owned(),
        members: Vec::new(),
        root,
        consistency: Consistency::Live,
        counts: Counts::default(),
        problems: Vec::new(),
        problem_count: 0,
        exclusions: Exclusions::default(),
        tags: Vec::new(),
        program: "test".to_owned(),
        parent: None,
        session: SessionId::from_bytes([2; 16]),
        dss: None,
        imported: None,
        databases: None,
        repaired: None,
        origin: None,
        seen: None,
    }
}
