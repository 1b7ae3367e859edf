//! Whatever a snapshot says and whatever happens in the target meanwhile, nothing is written outside of it.

use std::fs;
use std::os::unix::fs::symlink as plain_symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use dssvault::repo::tree::{Entry, EntryKind, Extent, FileContent};
use dssvault::vault::restore::{RestoreOptions, RestoreReport};

use crate::handmade::{Hand, entry, symlink};
use crate::lab::Lab;

/// Restores a snapshot whose root holds these entries, in the order given, and returns what is outside after it.
fn attack(lab: &Lab, entries: impl FnOnce(&Hand<'_>) -> Vec<Entry>, options: RestoreOptions) -> RestoreReport {
    let hand = Hand::new(&lab.repository);
    let root = hand.tree(entries(&hand));
    let manifest = hand.finish(root);
    lab.restore(&manifest, &options).unwrap()
}

fn into(lab: &Lab) -> RestoreOptions {
    RestoreOptions { target: lab.path("target"), ..RestoreOptions::default() }
}

/// A folder outside of the target, with a file that must not change.
fn outside(lab: &Lab) -> PathBuf {
    let outside = lab.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), b"untouched").unwrap();
    outside
}

fn assert_untouched(outside: &Path) {
    let names: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["victim"]);
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"untouched");
}

#[test]
fn names_that_lead_upwards_are_refused_and_the_rest_of_the_snapshot_is_restored() {
    for name in ["..", "../victim", "/etc/victim", "a/../../victim", "."] {
        let lab = Lab::new();
        let outside = outside(&lab);
        let report = attack(
            &lab,
            |hand| {
                let good = hand.file("good", b"good");
                vec![hand.directory("bad", vec![hand.file(name, b"bad")]), good]
            },
            into(&lab),
        );
        assert_eq!(fs::read(lab.path("target/good")).unwrap(), b"good", "{name}");
        assert!(matches!(report.failures.as_slice(), [one] if one.path == "bad"), "{name}: {report:?}");
        assert_eq!(fs::read_dir(lab.path("target/bad")).unwrap().count(), 0, "{name}");
        assert_untouched(&outside);
    }
}

#[test]
fn a_link_and_then_something_of_its_name_below_it_is_refused() {
    let lab = Lab::new();
    let outside = outside(&lab);
    let report = attack(
        &lab,
        |hand| vec![symlink("x", outside.to_str().unwrap()), hand.directory("x", vec![hand.file("victim", b"bad")])],
        into(&lab),
    );
    assert!(report.failures.iter().any(|failure| failure.cause.contains("not in order")), "{report:?}");
    assert_untouched(&outside);
}

#[test]
fn names_out_of_order_end_their_directory_with_a_failure() {
    let lab = Lab::new();
    let report = attack(&lab, |hand| vec![hand.file("b", b"b"), hand.file("a", b"a")], into(&lab));
    assert_eq!(report.failures.len(), 1);
    assert!(lab.path("target/b").exists() && !lab.path("target/a").exists());
}

#[test]
fn links_that_are_there_already_are_replaced_and_never_followed() {
    let lab = Lab::new();
    let outside = outside(&lab);
    fs::create_dir(lab.path("target")).unwrap();
    plain_symlink(&outside, lab.path("target/dir")).unwrap();
    plain_symlink(outside.join("victim"), lab.path("target/file")).unwrap();
    plain_symlink(outside.join("victim"), lab.path("target/pipe")).unwrap();
    plain_symlink(outside.join("new"), lab.path("target/zfile")).unwrap();

    let report = attack(
        &lab,
        |hand| {
            vec![
                hand.directory("dir", vec![hand.file("victim", b"bad")]),
                hand.file("file", b"content"),
                entry("pipe", EntryKind::Fifo),
                hand.file("zfile", b"content"),
            ]
        },
        RestoreOptions { delete: true, ..into(&lab) },
    );

    assert_eq!(report.failures, []);
    assert_untouched(&outside);
    assert_eq!(fs::read(lab.path("target/dir/victim")).unwrap(), b"bad");
    assert!(!lab.path("target/file").is_symlink());
}

#[test]
fn a_file_with_a_name_outside_of_the_target_is_replaced_and_not_written_through() {
    let lab = Lab::new();
    let outside = outside(&lab);
    fs::create_dir(lab.path("target")).unwrap();
    fs::hard_link(outside.join("victim"), lab.path("target/file")).unwrap();
    fs::hard_link(outside.join("victim"), lab.path("target/linked")).unwrap();
    let report =
        attack(&lab, |hand| vec![hand.file("file", b"content"), hand.linked("linked", b"other", 9)], into(&lab));
    assert_eq!(report.failures, []);
    assert_untouched(&outside);
    assert_eq!(fs::read(lab.path("target/file")).unwrap(), b"content");
    assert_eq!(fs::read(lab.path("target/linked")).unwrap(), b"other");
}

#[test]
fn lengths_that_do_not_fit_the_chunks_fail_the_file_and_cost_nothing() {
    let lab = Lab::new();
    let report = attack(
        &lab,
        |hand| {
            let huge = Entry { size: i64::MAX as u64, ..hand.file("huge", b"few") };
            let short = Entry { size: 1, ..hand.file("short", b"more") };
            let mut sparse = hand.file("sparse", b"data");
            sparse.size = 1 << 40;
            let extents = Some(vec![Extent { offset: 1 << 30, length: 1 << 39 }]);
            sparse.content = Some(FileContent { extents, ..sparse.content.unwrap() });
            vec![huge, short, sparse]
        },
        into(&lab),
    );
    assert_eq!(report.failures.len(), 3, "{report:?}");
    assert_eq!(fs::read_dir(lab.path("target")).unwrap().count(), 0);
}

#[test]
fn a_chunk_with_other_content_than_its_id_never_reaches_a_file() {
    let lab = Lab::new();
    let hand = Hand::new(&lab.repository);
    let mut file = hand.file("file", b"right");
    let wrong = dssvault::base::id::ChunkId::from_bytes([9; 32]);
    file.content = Some(FileContent { ids: vec![wrong], ..FileContent::default() });
    let root = hand.tree(vec![file, hand.file("good", b"good")]);
    let manifest = hand.finish(root);

    let report = lab.restore(&manifest, &into(&lab)).unwrap();

    assert!(matches!(report.failures.as_slice(), [one] if one.path == "file"), "{report:?}");
    assert!(!lab.path("target/file").exists());
    assert_eq!(fs::read(lab.path("target/good")).unwrap(), b"good");
}

#[test]
fn directories_swapped_for_links_while_files_are_written_lead_nowhere() {
    let lab = Lab::new();
    let outside = outside(&lab);
    let hand = Hand::new(&lab.repository);
    let files =
        |prefix: &str| (0..200).map(|n| hand.file(&format!("{n:03}"), format!("{prefix}{n}").as_bytes())).collect();
    let directories: Vec<Entry> = (0..40).map(|n| hand.directory(&format!("d{n:02}"), files("x"))).collect();
    let root = hand.tree(directories);
    let manifest = hand.finish(root);
    fs::create_dir(lab.path("target")).unwrap();
    let done = AtomicBool::new(false);

    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for number in 0..40 {
                    let directory = lab.path(&format!("target/d{number:02}"));
                    if fs::rename(&directory, lab.path(&format!("target/moved-{number}"))).is_ok() {
                        let _ = plain_symlink(&outside, &directory);
                    }
                }
            }
        });
        // Failures are fine here; what counts is where nothing was written.
        let _ = lab.restore(&manifest, &into(&lab));
        done.store(true, Ordering::Relaxed);
    });

    assert_untouched(&outside);
}

#[test]
fn directories_nested_beyond_reason_end_with_a_failure_not_a_crash() {
    let lab = Lab::new();
    let hand = Hand::new(&lab.repository);
    let mut tree = hand.tree(Vec::new());
    for _ in 0..17_000 {
        tree = hand.tree(vec![Entry { tree: Some(tree), mode: 0o755, ..entry("d", EntryKind::Directory) }]);
    }
    let manifest = hand.finish(tree);
    let options = RestoreOptions { dry_run: true, ..into(&lab) };

    let report = lab.restore(&manifest, &options).unwrap();

    assert!(
        matches!(report.failures.as_slice(), [one] if one.cause.contains("too deep")),
        "{:?}",
        report.failures.len()
    );
    assert!(!lab.path("target").exists());
}
