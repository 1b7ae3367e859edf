//! Repositories that nobody could back up in the time of a test, in real sealed packs with real segments, trees and
//! snapshots: what a repository of a hundred thousand times the size looks like to everything but the disk.

use dssvault::base::clock::Timestamp;
use dssvault::base::id::{ChunkId, NodeId};
use dssvault::codec::compress::Deflater;
use dssvault::repo::crypt::Sealer;
use dssvault::repo::index::{ListedPack, segment};
use dssvault::repo::pack::writer::{OpenBlock, PackWriter};
use dssvault::repo::pack::{BlockCodec, ChunkInfo};
use dssvault::repo::secrets::{IdDomain, IdKey};
use dssvault::repo::session::{Session, SessionStart};
use dssvault::repo::snapshot::{Consistency, Counts, Exclusions, Manifest, Member};
use dssvault::repo::tree::writer::TreeSink;
use dssvault::repo::tree::{Entry, EntryKind};
use dssvault::repo::{RepoError, Repository};

/// Chunks of a block: 400 KB of plaintext.
const BLOCK_CHUNKS: usize = 16 << 10;
/// Chunks of a pack, and of a segment, at most: a table of 9 MB.
const PACK_CHUNKS: usize = 256 << 10;
/// Stored bytes of a pack, about.
const PACK_BYTES: u64 = 32 << 20;

/// A session of the generator.
pub fn begin<'a>(repository: &'a Repository, sealer: &'a Sealer, node: NodeId) -> Result<Session<'a>, RepoError> {
    Session::begin(repository, sealer, SessionStart { node, parent: None, host: "generator".to_owned() })
}

/// Chunks of one id domain on their way into packs.
pub struct Stream<'a> {
    repository: &'a Repository,
    sealer: &'a Sealer,
    domain: IdDomain,
    key: IdKey,
    deflater: Deflater,
    bytes: Vec<u8>,
    chunks: Vec<ChunkInfo>,
    pack: Option<PackWriter>,
    packed: usize,
    unlisted: Vec<ListedPack>,
}

impl<'a> Stream<'a> {
    /// Nothing written yet.
    pub fn new(repository: &'a Repository, sealer: &'a Sealer, domain: IdDomain) -> Self {
        Self {
            repository,
            sealer,
            domain,
            key: repository.secrets.id_key(domain),
            deflater: Deflater::new(1).expect("a compressor can be made"),
            bytes: Vec::new(),
            chunks: Vec::new(),
            pack: None,
            packed: 0,
            unlisted: Vec::new(),
        }
    }

    fn end_block(&mut self) -> Result<(), RepoError> {
        if self.chunks.is_empty() {
            return Ok(());
        }
        let (bytes, chunks) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.chunks));
        let raw_bytes = bytes.len() as u32;
        let mut packed = Vec::new();
        let shrunk = self.deflater.deflate(&bytes, &mut packed);
        let (codec, bytes) = if shrunk { (BlockCodec::Zstd, packed) } else { (BlockCodec::Raw, bytes) };
        let mut pack = match self.pack.take() {
            Some(pack) => pack,
            None => PackWriter::begin(&*self.repository.storage, self.sealer, self.domain)?,
        };
        self.packed += chunks.len();
        pack.append(OpenBlock { codec, raw_bytes, bytes, chunks })?;
        let full = self.packed >= PACK_CHUNKS || pack.is_full(PACK_BYTES);
        self.pack = Some(pack);
        if full { self.end_pack() } else { Ok(()) }
    }

    fn end_pack(&mut self) -> Result<(), RepoError> {
        self.packed = 0;
        let Some(pack) = self.pack.take() else { return Ok(()) };
        let signing = self.repository.secrets.signing();
        let written = pack.finish(&signing, &*self.repository.seams.entropy)?;
        self.unlisted.push((written.id, written.bytes, written.table));
        segment::write(self.repository, self.sealer, &signing, &std::mem::take(&mut self.unlisted)).map(drop)
    }

    /// Stores and lists what is left.
    pub fn finish(mut self) -> Result<(), RepoError> {
        self.end_block()?;
        self.end_pack()
    }
}

impl TreeSink for Stream<'_> {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        if self.chunks.len() == BLOCK_CHUNKS || self.bytes.len() + plaintext.len() > 1 << 20 {
            self.end_block()?;
        }
        let id = self.key.id(plaintext);
        self.bytes.extend_from_slice(plaintext);
        self.chunks.push(ChunkInfo { id, length: plaintext.len() as u32 });
        Ok(id)
    }
}

/// An empty file.
pub fn file(name: Vec<u8>) -> Entry {
    Entry { mode: 0o644, ..Entry::bare(name, EntryKind::File) }
}

/// What the session commits.
pub fn manifest(session: &Session<'_>, now: Timestamp, node: NodeId, root: ChunkId, counts: Counts) -> Manifest {
    Manifest {
        time: now,
        ended: now,
        node,
        label: "generator".to_owned(),
        host: "generator".to_owned(),
        user: "generator".to_owned(),
        members: vec![Member { kind: "path".to_owned(), name: "/tiny".to_owned() }],
        root,
        consistency: Consistency::Live,
        counts,
        problems: Vec::new(),
        problem_count: 0,
        exclusions: Exclusions::default(),
        tags: Vec::new(),
        program: "generator".to_owned(),
        parent: None,
        session: session.id(),
        dss: None,
        imported: None,
        databases: None,
        repaired: None,
        origin: None,
        seen: None,
    }
}
