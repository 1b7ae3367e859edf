//! The stages of the pipelines, each alone: cut, hash, seal, block, pack, tree, walk.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench fails as tests do")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dssvault::base::clock::Timestamp;
use dssvault::base::id::{ChunkId, NodeId};
use dssvault::base::random::{Entropy, SeededEntropy};
use dssvault::codec::chunk::{Chunker, GearTable};
use dssvault::codec::compress::{Deflater, Inflater};
use dssvault::codec::kdf::{SecretKey, keyed_hash};
use dssvault::codec::seal::{Domain, ObjectCipher};
use dssvault::repo::RepoError;
use dssvault::repo::config::RepositoryConfig;
use dssvault::repo::index::testing::Fixture;
use dssvault::repo::pack::writer::{OpenBlock, PackWriter};
use dssvault::repo::pack::{BlockCodec, ChunkInfo};
use dssvault::repo::secrets::{Content, IdDomain, IdOwner};
use dssvault::repo::tree::writer::{DirectoryWriter, TreeSink, encode_entry};
use dssvault::repo::tree::{Entry, EntryKind, Owner};
use dssvault::sys::listing::{Dir, Visit, list};

const MIB: usize = 1 << 20;

fn noise(bytes: usize) -> Vec<u8> {
    let mut data = vec![0; bytes];
    SeededEntropy::new(1).fill(&mut data);
    data
}

/// Text much like the JSON and Python of a data directory: words with numbers between them.
fn text(bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["customer", "\"versionTag\": ", "dataset", "return ", "price", "\n    ", "recipe", "{\"id\": "];
    let mut data = Vec::with_capacity(bytes + 32);
    for byte in noise(bytes / 4) {
        data.extend_from_slice(WORDS[usize::from(byte % 8)].as_bytes());
        data.extend_from_slice(byte.to_string().as_bytes());
        if data.len() >= bytes {
            break;
        }
    }
    data.truncate(bytes);
    data
}

fn bytes_in(criterion: &mut Criterion) {
    let mut table = [0; 2048];
    SeededEntropy::new(2).fill(&mut table);
    let chunker = Chunker::new(RepositoryConfig::FILES, Arc::new(GearTable::from_bytes(&table)));
    let data = noise(16 * MIB);
    let mut group = criterion.benchmark_group("bytes");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("cut, files", |bencher| {
        bencher.iter(|| {
            let mut left = data.as_slice();
            while let Some(length) = chunker.cut(left, true).filter(|length| *length > 0) {
                left = &left[length..];
            }
        });
    });
    let key = SecretKey::from_bytes([3; 32]);
    group.bench_function("id, chunks of 256 KiB", |bencher| {
        bencher.iter(|| data.chunks(256 << 10).map(|chunk| keyed_hash(&key, black_box(chunk))[0]).max());
    });
    group.bench_function("id, chunks of 2 KiB", |bencher| {
        bencher.iter(|| data.chunks(2 << 10).map(|chunk| keyed_hash(&key, black_box(chunk))[0]).max());
    });
    group.finish();
}

fn blocks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("block of 1 MiB");
    group.throughput(Throughput::Bytes(MIB as u64));
    for (what, data) in [("text", text(MIB)), ("noise", noise(MIB))] {
        let (mut deflater, mut out) = (Deflater::new(3).unwrap(), Vec::new());
        group.bench_function(format!("compress, {what}"), |bencher| {
            bencher.iter(|| deflater.deflate(black_box(&data), &mut out));
        });
    }
    let (mut packed, mut out) = (Vec::new(), Vec::new());
    let data = text(MIB);
    assert!(Deflater::new(3).unwrap().deflate(&data, &mut packed));
    let mut inflater = Inflater::new().unwrap();
    group.bench_function("expand, text", |bencher| {
        bencher.iter(|| inflater.inflate(black_box(&packed), MIB, &mut out).unwrap());
    });
    let cipher = ObjectCipher::new(&SecretKey::from_bytes([1; 32]), [2; 32]);
    group.bench_function("seal", |bencher| {
        let plain = || data.clone();
        bencher.iter_batched(plain, |mut bytes| cipher.seal(Domain::Block, 0, &mut bytes), BatchSize::LargeInput);
    });
    group.finish();
}

fn packs(criterion: &mut Criterion) {
    let fixture = Fixture::new(4);
    let (sealer, signing) = (fixture.sealer(), fixture.signing());
    let domain = IdDomain { content: Content::Data, owner: IdOwner::Shared };
    let data = noise(MIB);
    let block = || OpenBlock {
        codec: BlockCodec::Raw,
        raw_bytes: MIB as u32,
        bytes: data.clone(),
        chunks: vec![ChunkInfo { id: ChunkId::from_bytes([5; 32]), length: MIB as u32 }],
    };
    let mut group = criterion.benchmark_group("pack of 16 MiB");
    group.throughput(Throughput::Bytes(16 * MIB as u64));
    group.sample_size(20);
    group.bench_function("seal, hash, sign, keep in memory", |bencher| {
        bencher.iter(|| {
            let mut pack = PackWriter::begin(&*fixture.repository.storage, &sealer, domain).unwrap();
            for _ in 0..16 {
                pack.append(block()).unwrap();
            }
            pack.finish(&signing, &*fixture.repository.seams.entropy).unwrap().id
        });
    });
    group.finish();
}

struct Ids(u64);

impl TreeSink for Ids {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        self.0 += plaintext.len() as u64;
        Ok(ChunkId::from_bytes(keyed_hash(&SecretKey::from_bytes([6; 32]), plaintext)))
    }
}

fn trees(criterion: &mut Criterion) {
    let entry = |number: u32| Entry {
        mode: 0o644,
        owner: Owner { uid: 1000, gid: 1000, user: Some("dataiku".to_owned()), group: Some("dataiku".to_owned()) },
        mtime: Timestamp { seconds: 1_700_000_000, nanos: number },
        ctime: Timestamp { seconds: 1_700_000_000, nanos: number },
        size: u64::from(number),
        ..Entry::bare(format!("file-{number:06}.json").into_bytes(), EntryKind::File)
    };
    let entries: Vec<Entry> = (0..10_000).map(entry).collect();
    let mut group = criterion.benchmark_group("directory of 10,000");
    group.throughput(Throughput::Elements(entries.len() as u64));
    group.bench_function("encode, split, hash", |bencher| {
        bencher.iter(|| {
            let mut writer = DirectoryWriter::default();
            let mut sink = Ids(0);
            for entry in &entries {
                writer.push(&entry.name, &encode_entry(entry), &mut sink).unwrap();
            }
            writer.finish(&mut sink).unwrap()
        });
    });
    group.finish();
}

struct All;

impl Visit for All {
    fn wants(&mut self, _: &std::ffi::CStr, _: bool) -> bool {
        true
    }
    fn failed(&mut self, _: &std::ffi::CStr, _: std::io::Error) {}
}

fn walk(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10_000 {
        std::fs::write(folder.path().join(format!("file-{number}")), b"").unwrap();
    }
    let mut group = criterion.benchmark_group("walk, 10,000 files");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("list and ask attributes", |bencher| {
        bencher.iter(|| list(&Dir::open(folder.path()).unwrap(), &mut All).unwrap().entries.len());
    });
    group.finish();
    let node = NodeId::from_bytes([0; 16]);
    let secrets = Fixture::new(8);
    let domain = IdDomain { content: Content::Tree, owner: IdOwner::Node(node) };
    let id_key = secrets.repository.secrets.id_key(domain);
    criterion
        .bench_function("id of an empty tree", |bencher| bencher.iter(|| id_key.id(black_box(b"\x82\x00\x81\x80"))));
}

criterion_group!(benches, bytes_in, blocks, packs, trees, walk);
criterion_main!(benches);
