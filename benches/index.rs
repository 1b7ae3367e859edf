//! Looking chunks up: what is there, what is not, and folding a segment.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench fails as tests do")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dssvault::base::cancel::Cancel;
use dssvault::base::id::{ChunkId, SegmentId};
use dssvault::base::progress::Silent;
use dssvault::repo::index::Index;
use dssvault::repo::index::testing::{Fixture, chunk_id, pack_id, table_of};

const PACKS: u64 = 20;
const CHUNKS: u32 = 100_000;

fn look_up(criterion: &mut Criterion) {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    for pack in 0..PACKS {
        fixture.store(&[(pack_id(pack), 64 << 20, table_of(pack, CHUNKS))]).unwrap();
    }
    let open = || Index::open(&fixture.repository, cache.path(), &Silent, &Cancel::default()).unwrap();
    let index = open();
    let ids = |offset: u64| -> Vec<ChunkId> {
        let scattered = |nth: u64| ((nth % PACKS) << 32) + offset + nth.wrapping_mul(7919) % u64::from(CHUNKS);
        (0..10_000).map(|nth| chunk_id(scattered(nth))).collect()
    };
    let (known, unknown) = (ids(0), ids(1 << 31));
    let mut group = criterion.benchmark_group("index, 2 million chunks");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("contains, known", |bencher| {
        bencher.iter(|| known.iter().filter(|id| index.contains(black_box(id)).unwrap()).count());
    });
    group.bench_function("contains, unknown", |bencher| {
        bencher.iter(|| unknown.iter().filter(|id| index.contains(black_box(id)).unwrap()).count());
    });
    group.bench_function("places", |bencher| {
        bencher.iter(|| known.iter().map(|id| index.places(black_box(id)).unwrap().len()).sum::<usize>());
    });
    group.throughput(Throughput::Elements(PACKS * u64::from(CHUNKS)));
    group.sample_size(10);
    group.bench_function("scan", |bencher| bencher.iter(|| index.scan().count()));
    group.finish();
    drop(index);
    criterion.bench_function("index, 2 million chunks/open", |bencher| bencher.iter(|| open().chunk_count()));
}

fn fold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index, fold");
    group.throughput(Throughput::Elements(u64::from(CHUNKS)));
    group.sample_size(10);
    group.bench_function("100,000 chunks into an empty cache", |bencher| {
        let fixture = Fixture::new(1);
        let packs = [(pack_id(1), 64 << 20, table_of(1, CHUNKS))];
        let empty = || {
            let cache = tempfile::tempdir().unwrap();
            (Index::open(&fixture.repository, cache.path(), &Silent, &Cancel::default()).unwrap(), cache)
        };
        let fold = |(index, cache): (Index, tempfile::TempDir)| {
            index.fold(SegmentId::from_bytes([1; 32]), &packs).unwrap();
            (index, cache)
        };
        bencher.iter_batched(empty, fold, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, look_up, fold);
criterion_main!(benches);
