use super::*;

const REPOSITORY: RepositoryId = RepositoryId::from_bytes([1; 16]);
const SNAPSHOT: SnapshotId = SnapshotId::from_bytes([2; 16]);

fn write(path: &Path, paths: &[&str]) {
    let mut writer = StateWriter::create(path, REPOSITORY, SNAPSHOT).unwrap();
    for directory in paths {
        let mut record = RecordBuilder::default();
        record.push(b"entry", Fingerprint([7; Fingerprint::BYTES]), directory.as_bytes());
        writer.push(&record.finish(directory.as_bytes(), ChunkId::from_bytes([3; 32]))).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn the_order_of_the_walk_puts_content_before_its_directory() {
    let mut paths = ["", "a", "a/b", "a.x", "a/b/c", "b"];
    paths.sort_by(|x, y| walk_order(x.as_bytes(), y.as_bytes()));
    assert_eq!(paths[..5], ["a/b/c", "a/b", "a", "a.x", "b"]);
}

#[test]
fn records_are_found_in_order_and_absent_ones_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    write(&path, &["a/b", "a", "c", "d"]);
    let mut state = StateReader::open(&path, REPOSITORY).unwrap();
    assert_eq!(state.snapshot, SNAPSHOT);
    assert!(state.seek(b"a/a").is_none());
    let record = state.seek(b"a").unwrap();
    let (found, tree, mut entries) = record.parse().unwrap();
    assert_eq!((found, tree), (b"a".as_slice(), ChunkId::from_bytes([3; 32])));
    assert_eq!(entries.next().unwrap().encoded, b"a");
    assert!(state.seek(b"b").is_none());
    assert!(state.seek(b"d").is_some());
    assert!(state.seek(b"e").is_none());
}

#[test]
fn what_a_killed_writer_left_is_swept_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let left = |pid: u32| path.with_extension(format!("{pid}.tmp"));
    for pid in [1, u32::MAX] {
        std::fs::write(left(pid), "half").unwrap();
    }
    write(&path, &["a"]);
    assert!(left(1).exists() && !left(u32::MAX).exists());
}

#[test]
fn no_flipped_byte_and_no_cut_yields_a_wrong_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    write(&path, &["a/b", "a"]);
    let good = std::fs::read(&path).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut state = StateReader::open(&path, REPOSITORY)?;
        state.seek(b"a").map(|record| record.bytes().to_vec())
    };
    let right = read(&good).unwrap();
    for at in HEADER_BYTES..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(read(&bad).is_none_or(|record| record == right), "byte {at}");
        assert!(read(&good[..at]).is_none_or(|record| record == right), "cut at {at}");
    }
}
