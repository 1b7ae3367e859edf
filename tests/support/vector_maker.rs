//! Makes the repository of `tests/vectors/repository` from nothing but a seed, through the nouns of `repo` alone:
//! equal code writes equal bytes. It has everything a reader meets, in as few bytes as that takes.

use std::sync::Arc;

use dssvault::base::clock::{Clock, Timestamp};
use dssvault::base::id::{ChunkId, NodeId, RepositoryId, SessionId, SnapshotId, StoredHash};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::random::{Entropy, SeededEntropy, array};
use dssvault::codec::chunk::{ChunkSizes, Chunker};
use dssvault::codec::compress::Deflater;
use dssvault::codec::kdf::plain_hash;
use dssvault::repo::config::{CreateMethod, RepositoryConfig};
use dssvault::repo::crypt::{self, Sealer};
use dssvault::repo::index::segment;
use dssvault::repo::journal::Journal;
use dssvault::repo::keys::{Credential, RecoveryKey, SlotCosts, SlotPlan, slot};
use dssvault::repo::pack::writer::{OpenBlock, PackWriter};
use dssvault::repo::pack::{BlockCodec, ChunkInfo};
use dssvault::repo::repository::{Repository, Seams};
use dssvault::repo::sealed::{self, Target};
use dssvault::repo::secrets::{Content, IdDomain, IdKey, IdOwner, Secrets};
use dssvault::repo::session::{self, Lease, SessionRecord, SnapshotLink};
use dssvault::repo::snapshot::{Consistency, Counts, Exclusions, Manifest, Member, SnapshotRecord};
use dssvault::repo::tree::writer::{DirectoryWriter, TreeSink, encode_entry, file_content};
use dssvault::repo::tree::{Entry, EntryKind, Extent, FileContent, Owner};
use dssvault::repo::{RepoError, plain};
use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;
use zeroize::Zeroizing;

/// Opens the vector repository; so do its recovery words.
pub const PASSWORD: &str = "correct horse";
/// Small, so that a small file has two chunks.
const SIZES: ChunkSizes = ChunkSizes { min: 1024, average: 4096, max: 16384 };
const NODE: NodeId = NodeId::from_bytes([0x0d; 16]);
const NOW: Timestamp = Timestamp { seconds: 1_763_795_700, nanos: 123_456_789 };

/// It is always the same moment.
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A file of the vectors: its path in the snapshot and its bytes.
pub type ExpectedFile = (Vec<u8>, Vec<u8>);

/// What was made.
pub struct Made {
    pub store: MemoryStore,
    pub words: String,
    /// The two committed snapshots and their files.
    pub snapshots: Vec<(SnapshotId, Vec<ExpectedFile>)>,
}

pub fn password() -> Credential {
    Credential::Password(Zeroizing::new(PASSWORD.to_owned()))
}

/// Makes it.
pub fn make() -> Made {
    let store = MemoryStore::new();
    let seams = Seams { entropy: Arc::new(SeededEntropy::new(2026)), clock: Arc::new(Still) };
    let words = begin(&store, &seams);
    let repository = Repository::open(Arc::new(store.clone()), &password(), seams).unwrap();
    let first = Run::begin(&repository, None).back_up(&Data::first(), &[]);
    let link = SnapshotLink {
        snapshot: first,
        hash: StoredHash::from_bytes(plain_hash(&store.contents()[&ObjectName::of(ObjectKind::Snapshot, first)])),
    };
    let second = Run::begin(&repository, Some(first)).back_up(&Data::second(), &[link]);
    Run::begin(&repository, Some(second)).give_up();
    let snapshots = vec![(first, Data::first().files()), (second, Data::second().files())];
    Made { store, words, snapshots }
}

/// As `init` does: slots, configuration, journal.
fn begin(store: &MemoryStore, seams: &Seams) -> String {
    let entropy = &*seams.entropy;
    let (repository, secrets) = (RepositoryId::from_bytes(array(entropy)), Secrets::generate(entropy));
    let words = RecoveryKey::random(entropy).words();
    for (credential, label) in
        [(password(), "first password"), (Credential::RecoveryWords(words.clone()), "recovery key")]
    {
        let (label, host) = (label.to_owned(), "node-1".to_owned());
        let plan = SlotPlan { costs: SlotCosts::MIN, label, host, created: NOW };
        let (_, name, stored) = slot::seal(&secrets, repository, &credential, plan, entropy).unwrap();
        store.put(&name, &stored).unwrap();
    }
    let config = RepositoryConfig {
        repository,
        created: NOW,
        features: 0,
        epoch: secrets.newest_epoch(),
        owner: secrets.owner_public().to_bytes(),
        kem: 0x647a,
        public_key: crypt::public_key(&secrets.sealing).unwrap(),
        files: SIZES,
        database: RepositoryConfig::DATABASE,
        large_files: RepositoryConfig::LARGE_FILES,
        large_from: RepositoryConfig::LARGE_FROM,
        timezone: None,
        create: CreateMethod::HardLink,
    };
    assert!(config.store(store, 1, &secrets.signing()).unwrap());
    Journal::new(store, repository, secrets.owner_public()).begin(&secrets, &Still).unwrap();
    words.to_string()
}

/// What differs between the two snapshots.
struct Data {
    text: Vec<u8>,
    noise: Vec<u8>,
}

/// Two files that share a chunk.
const SMALL: [&[u8]; 2] = [b"{\"name\": \"one\"}\n", b"{\"name\": \"two\", \"rows\": 2}\n"];
const SPARSE_BYTES: usize = 20_000;
const SPARSE_DATA: [(u64, &[u8]); 2] = [(4096, b"an island of data"), (12_288, b"and another one")];

impl Data {
    fn first() -> Self {
        let mut noise = vec![0; 8200];
        SeededEntropy::new(7).fill(&mut noise);
        Self { text: b"dku.exports.chart.grid.enabled=false\n".repeat(12), noise }
    }

    fn second() -> Self {
        let mut data = Self::first();
        data.text.extend_from_slice(b"dku.feature.foo.enabled=true\n");
        data.noise.splice(100..100, *b"inserted near the front: the second chunk is known");
        data
    }

    fn files(&self) -> Vec<ExpectedFile> {
        let mut sparse = vec![0; SPARSE_BYTES];
        for (at, bytes) in SPARSE_DATA {
            sparse[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        }
        vec![
            (b"demo/config/dip.properties".to_vec(), self.text.clone()),
            (b"demo/empty".to_vec(), Vec::new()),
            (b"demo/odd \xff\n name/inner.txt".to_vec(), b"inside of a directory with an odd name\n".to_vec()),
            (b"demo/small/one.json".to_vec(), SMALL[0].to_vec()),
            (b"demo/small/two.json".to_vec(), SMALL[1].to_vec()),
            (b"demo/sparse.bin".to_vec(), sparse),
            (b"demo/two-chunks.bin".to_vec(), self.noise.clone()),
        ]
    }
}

/// One session.
struct Run<'a> {
    repository: &'a Repository,
    sealer: Sealer,
    snapshot: SnapshotId,
    parent: Option<SnapshotId>,
}

impl<'a> Run<'a> {
    /// Record, then lease, as a session writes them; but its process number is always the same.
    fn begin(repository: &'a Repository, parent: Option<SnapshotId>) -> Self {
        let Repository { config, secrets, seams, .. } = repository;
        let session = SessionId::from_bytes(array(&*seams.entropy));
        let keys = secrets.epoch(config.epoch).unwrap();
        let (writer, entropy) = (secrets.owner_writer(), Arc::clone(&seams.entropy));
        let sealer = Sealer::begin(config.repository, keys, writer, session, &config.public_key, entropy).unwrap();
        let snapshot = SnapshotId::from_bytes(array(&*seams.entropy));
        let run = Self { repository, sealer, snapshot, parent };
        let host = "node-1".to_owned();
        let record = SessionRecord { parent, snapshot, node: NODE, host, pid: 4711, started: NOW };
        run.put(&session::object_name(session, 0), Vec::new(), &plain::encode_body(&record));
        let seen = repository.journal().load().unwrap().head;
        let lease = Lease { seen, time: NOW };
        run.put(&session::object_name(session, 1), Vec::new(), &plain::encode_body(&lease));
        run
    }

    fn put(&self, name: &ObjectName, plain: Vec<u8>, body: &[u8]) {
        let Repository { secrets, seams, storage, .. } = self.repository;
        let (target, entropy) = (Target::Named(name), &*seams.entropy);
        let (_, stored) = sealed::encode(&self.sealer, &secrets.signing(), entropy, target, plain, body).unwrap();
        storage.put(name, &stored).unwrap();
    }

    /// Packs, then their segment, then the snapshot.
    fn back_up(self, data: &Data, links: &[SnapshotLink]) -> SnapshotId {
        let secrets = &self.repository.secrets;
        let known = |domain| Stream { key: secrets.id_key(domain), domain, chunks: Vec::new() };
        let mut files = known(IdDomain { content: Content::Data, owner: IdOwner::Shared });
        let mut trees = known(IdDomain { content: Content::Tree, owner: IdOwner::Node(NODE) });
        let root = self.root(data, &mut files, &mut trees);
        let (files, trees) = (self.store(files, data), self.store(trees, data));
        segment::write(self.repository, &self.sealer, &secrets.signing(), &[files, trees]).unwrap();
        let record = SnapshotRecord::Committed(Box::new(self.manifest(root, data)));
        let name = ObjectName::of(ObjectKind::Snapshot, self.snapshot);
        self.put(&name, plain::encode_body(&links.to_vec()), &plain::encode_body(&record));
        self.snapshot
    }

    fn give_up(self) {
        let name = ObjectName::of(ObjectKind::Snapshot, self.snapshot);
        let record = SnapshotRecord::Aborted("given up by its writer".to_owned());
        self.put(&name, plain::encode_body(&Vec::<SnapshotLink>::new()), &plain::encode_body(&record));
    }

    fn root(&self, data: &Data, files: &mut Stream, trees: &mut Stream) -> ChunkId {
        let chunker = Chunker::new(SIZES, self.repository.secrets.gear_table());
        let mut file = |path: &[u8], bytes: &[u8], trees: &mut Stream| {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
            let mut entry = Entry { size: bytes.len() as u64, ..entry(name, EntryKind::File, 0o640) };
            entry.content = (!bytes.is_empty()).then(|| files.content(&chunker, bytes, trees));
            entry
        };
        let mut made: Vec<Entry> = Vec::new();
        for (path, bytes) in data.files() {
            if path.ends_with(b"sparse.bin") {
                let islands: Vec<u8> = SPARSE_DATA.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
                let mut entry = file(&path, &islands, trees);
                let extent = |&(offset, bytes): &(u64, &[u8])| Extent { offset, length: bytes.len() as u64 };
                entry.content.as_mut().unwrap().extents = Some(SPARSE_DATA.iter().map(extent).collect());
                entry.size = SPARSE_BYTES as u64;
                made.push(entry);
            } else if let Some(small) = SMALL.iter().position(|small| *small == bytes) {
                let mut entry = file(&path, &SMALL.concat(), trees);
                entry.content.as_mut().unwrap().fragment = Some(SMALL[..small].concat().len() as u32);
                entry.size = bytes.len() as u64;
                made.push(entry);
            } else {
                made.push(file(&path, &bytes, trees));
            }
        }
        let mut made = made.into_iter();
        let mut next = || made.next().unwrap();
        let (properties, empty, inner) = (next(), next(), next());
        let (small, sparse, two) = ([next(), next()], next(), next());
        assert_eq!(two.content.as_ref().unwrap().ids.len(), 2, "the file of two chunks has two");
        let link =
            Entry { target: Some(b"config/dip.properties".to_vec()), ..entry(b"link", EntryKind::Symlink, 0o777) };
        let demo = [
            directory(b"config", &[properties], trees),
            empty,
            directory(b"empty-folder", &[], trees),
            link,
            directory(b"odd \xff\n name", &[inner], trees),
            directory(b"small", &small, trees),
            sparse,
            two,
        ];
        let demo = directory(b"demo", &demo, trees);
        tree(&[demo], trees)
    }

    /// Text and noise in blocks of their own, so that both codecs occur.
    fn store(&self, stream: Stream, data: &Data) -> segment::ListedPack {
        let known: Vec<ChunkId> = match self.parent {
            None => Vec::new(),
            Some(_) => self.listed(),
        };
        let fresh = stream.chunks.iter().filter(|(id, _)| !known.contains(id));
        let noisy = |bytes: &[u8]| data.noise.windows(bytes.len()).any(|window| window == bytes);
        let (noise, text): (Vec<_>, Vec<_>) = fresh.partition(|(_, bytes)| noisy(bytes));
        let mut pack = PackWriter::begin(&*self.repository.storage, &self.sealer, stream.domain).unwrap();
        for chunks in [text, noise].into_iter().filter(|chunks| !chunks.is_empty()) {
            let raw: Vec<u8> = chunks.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            let info = |(id, bytes): &&(ChunkId, Vec<u8>)| ChunkInfo { id: *id, length: bytes.len() as u32 };
            let (raw_bytes, chunks) = (raw.len() as u32, chunks.iter().map(info).collect());
            let mut packed = Vec::new();
            let shrunk = Deflater::new(3).unwrap().deflate(&raw, &mut packed);
            let (codec, bytes) = if shrunk { (BlockCodec::Zstd, packed) } else { (BlockCodec::Raw, raw) };
            pack.append(OpenBlock { codec, raw_bytes, bytes, chunks }).unwrap();
        }
        let Repository { secrets, seams, .. } = self.repository;
        let written = pack.finish(&secrets.signing(), &*seams.entropy).unwrap();
        (written.id, written.bytes, written.table)
    }

    /// Every chunk the segments list.
    fn listed(&self) -> Vec<ChunkId> {
        let segments = self.repository.storage.list(ObjectKind::Index).unwrap();
        let load = |name: &ObjectName| segment::Segment::load(self.repository, segment::id_of(name).unwrap()).unwrap();
        let packs = segments.iter().flat_map(|entry| load(&entry.name).packs().map(Result::unwrap).collect::<Vec<_>>());
        packs.flat_map(|(_, _, table)| table.blocks).flat_map(|block| block.chunks).map(|chunk| chunk.id).collect()
    }

    fn manifest(&self, root: ChunkId, data: &Data) -> Manifest {
        let bytes = (data.text.len() + data.noise.len()) as u64;
        Manifest {
            time: NOW,
            ended: NOW,
            node: NODE,
            label: "design".to_owned(),
            host: "node-1".to_owned(),
            user: "root".to_owned(),
            members: vec![Member { kind: "path".to_owned(), name: "/demo".to_owned() }],
            root,
            consistency: Consistency::Live,
            counts: Counts {
                files: 7,
                directories: 6,
                others: 1,
                bytes: bytes + 71 + SMALL.concat().len() as u64,
                ..Counts::default()
            },
            problems: Vec::new(),
            problem_count: 0,
            exclusions: Exclusions::default(),
            tags: vec!["vector".to_owned()],
            program: "dssvault 0.1.0".to_owned(),
            parent: self.parent,
            session: self.sealer.session(),
            dss: None,
            imported: None,
            databases: None,
            repaired: None,
            origin: None,
            seen: None,
        }
    }
}

/// New chunks of one domain.
struct Stream {
    domain: IdDomain,
    key: IdKey,
    chunks: Vec<(ChunkId, Vec<u8>)>,
}

impl Stream {
    fn add(&mut self, bytes: &[u8]) -> ChunkId {
        let id = self.key.id(bytes);
        if self.chunks.iter().all(|(known, _)| *known != id) {
            self.chunks.push((id, bytes.to_vec()));
        }
        id
    }

    fn content(&mut self, chunker: &Chunker, mut bytes: &[u8], trees: &mut Self) -> FileContent {
        let mut ids = Vec::new();
        while !bytes.is_empty() {
            let (chunk, rest) = bytes.split_at(chunker.cut(bytes, true).unwrap());
            ids.push(self.add(chunk));
            bytes = rest;
        }
        file_content(ids, trees).unwrap()
    }
}

impl TreeSink for Stream {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        Ok(self.add(plaintext))
    }
}

fn tree(entries: &[Entry], trees: &mut Stream) -> ChunkId {
    let mut writer = DirectoryWriter::default();
    entries.iter().for_each(|entry| writer.push(&entry.name, &encode_entry(entry), trees).unwrap());
    writer.finish(trees).unwrap()
}

fn directory(name: &[u8], entries: &[Entry], trees: &mut Stream) -> Entry {
    Entry { tree: Some(tree(entries, trees)), ..entry(name, EntryKind::Directory, 0o750) }
}

pub fn entry(name: &[u8], kind: EntryKind, mode: u32) -> Entry {
    let name_of = |name: &str| Some(name.to_owned());
    Entry {
        mode,
        owner: Owner { uid: 1000, gid: 1000, user: name_of("dataiku"), group: name_of("dataiku") },
        mtime: NOW,
        ctime: NOW,
        ..Entry::bare(name.to_vec(), kind)
    }
}
