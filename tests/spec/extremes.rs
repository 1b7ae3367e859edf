//! Trees at the edges of what a file system holds: wide, deep, and mostly hole.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, openat};

use crate::lab::Lab;
use crate::tree_diff::differences;

fn backed_up_and_restored(lab: &Lab) {
    let source = lab.path("source");
    let manifest = lab.back_up(&source);
    let report = lab.restore_part(&manifest, &source, "target");
    assert_eq!(report.failures, []);
}

#[test]
fn a_directory_of_100_000_entries() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).unwrap();
    for number in 0..100_000 {
        fs::write(source.join(format!("{number}.json")), format!("{{\"id\": {number}}}")).unwrap();
    }
    backed_up_and_restored(&lab);
    assert_eq!(differences(&source, &lab.path("target")), Vec::<String>::new());
}

#[test]
fn directories_1_000_deep_beyond_what_a_path_can_say() {
    const NAME: &str = "a-directory-name-of-some-length";
    let descend = |top: &Path, make: bool| -> OwnedFd {
        let mut dir: OwnedFd = File::open(top).unwrap().into();
        for _ in 0..1_000 {
            if make {
                mkdirat(&dir, NAME, Mode::RWXU).unwrap();
            }
            dir = openat(&dir, NAME, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
        }
        dir
    };
    let lab = Lab::new();
    fs::create_dir(lab.path("source")).unwrap();
    let bottom = descend(&lab.path("source"), true);
    let leaf = openat(&bottom, "leaf", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
    File::from(leaf).write_all(b"at the bottom").unwrap();

    backed_up_and_restored(&lab);

    let bottom = descend(&lab.path("target"), false);
    let leaf = File::from(openat(&bottom, "leaf", OFlags::RDONLY, Mode::empty()).unwrap());
    assert_eq!(std::io::read_to_string(leaf).unwrap(), "at the bottom");
}

#[test]
fn a_sparse_file_of_100_gib() {
    const BYTES: u64 = 100 << 30;
    let lab = Lab::new();
    fs::create_dir(lab.path("source")).unwrap();
    let file = File::create(lab.path("source/sparse")).unwrap();
    file.set_len(BYTES).unwrap();
    let islands: [(u64, &[u8]); 3] = [(0, b"first"), (50 << 30, b"middle"), (BYTES - 4, b"last")];
    for (at, bytes) in islands {
        file.write_all_at(bytes, at).unwrap();
    }

    backed_up_and_restored(&lab);

    let restored = File::open(lab.path("target/sparse")).unwrap();
    let metadata = restored.metadata().unwrap();
    assert_eq!(metadata.len(), BYTES);
    assert!(metadata.blocks() * 512 <= 1 << 20, "{} blocks", metadata.blocks());
    for (at, bytes) in islands {
        let mut read = vec![0; bytes.len()];
        restored.read_exact_at(&mut read, at).unwrap();
        assert_eq!(read, bytes);
    }
}
