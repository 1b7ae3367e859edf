//! Small files share chunks: what that saves, and that nothing else may be told from it.

use std::fs;
use std::path::Path;

use dssvault::repo::chunks::ChunkReader;
use dssvault::repo::snapshot::Manifest;
use dssvault::vault::browse;
use dssvault::vault::dump;
use dssvault::vault::restore::{Overwrite, RestoreOptions, RestoreReport};

use crate::handmade::Hand;
use crate::lab::Lab;
use crate::tree_diff::differences;

fn write_files(folder: &Path, seed: u64) {
    fs::create_dir_all(folder).unwrap();
    for number in 0..500 {
        let line = format!("{seed} {number} of many small files\n");
        fs::write(folder.join(format!("file-{number:03}")), line.repeat(1 + number % 40)).unwrap();
    }
}

fn lab_with_files() -> (Lab, Manifest) {
    let lab = Lab::new();
    write_files(&lab.path("source/a"), 1);
    // Files touched within the last 20 ms are read again by the next backup.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let manifest = lab.back_up(&lab.path("source"));
    (lab, manifest)
}

fn restored(lab: &Lab, manifest: &Manifest, change: impl FnOnce(&mut RestoreOptions)) -> RestoreReport {
    let mut options = lab.part(&lab.path("source"), "target");
    change(&mut options);
    lab.restore(manifest, &options).unwrap()
}

#[test]
fn many_small_files_are_few_chunks_and_come_back() {
    let (lab, manifest) = lab_with_files();
    assert_eq!(manifest.counts.files_read, 500);
    assert!(manifest.counts.chunks_added < 100, "{} chunks", manifest.counts.chunks_added);
    let report = restored(&lab, &manifest, |options| options.verify = true);
    assert_eq!((report.files, report.verified, report.failures.len()), (500, 500, 0));
    assert_eq!(differences(&lab.path("source"), &lab.path("target")), Vec::<String>::new());
}

#[test]
fn a_copy_of_a_directory_shares_all_its_chunks_wherever_it_stands() {
    let (lab, _) = lab_with_files();
    // In front of the copy, so that everything in it is met at another position.
    write_files(&lab.path("source/0"), 2);
    write_files(&lab.path("source/b"), 1);
    let more = lab.back_up(&lab.path("source"));
    let own = fs::read_dir(lab.path("source/0")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    let own: u64 = own.sum();
    let trees = 200_000;
    assert!(more.counts.bytes_added < own + trees, "{} bytes were added", more.counts.bytes_added);
}

#[test]
fn a_change_stores_the_file_and_not_its_neighbours() {
    let (lab, first) = lab_with_files();
    fs::write(lab.path("source/a/file-250"), "changed").unwrap();
    let second = lab.back_up(&lab.path("source"));
    assert_eq!((second.counts.files_read, second.counts.bytes_read), (1, 7));
    // Itself, and the tree nodes from it to the root.
    assert!(second.counts.bytes_added < first.counts.bytes_added / 3, "{:?}", second.counts);
    assert_eq!(restored(&lab, &second, |_| {}).failures, []);
    assert_eq!(differences(&lab.path("source"), &lab.path("target")), Vec::<String>::new());
}

#[test]
fn a_restore_over_what_is_there_changes_only_what_differs() {
    let (lab, manifest) = lab_with_files();
    restored(&lab, &manifest, |_| {});
    let spoiled = lab.path("target/a/file-007");
    let before = fs::metadata(&spoiled).unwrap().modified().unwrap();
    let content = fs::read(&spoiled).unwrap();
    fs::write(&spoiled, content.to_ascii_uppercase()).unwrap();
    fs::File::options().write(true).open(&spoiled).unwrap().set_modified(before).unwrap();

    let trusting = restored(&lab, &manifest, |options| options.overwrite = Overwrite::IfChanged);
    assert_eq!((trusting.files, trusting.unchanged), (0, 500));
    let dry = restored(&lab, &manifest, |options| options.dry_run = true);
    assert_eq!((dry.files, dry.unchanged), (1, 499));
    let report = restored(&lab, &manifest, |_| {});
    assert_eq!((report.files, report.unchanged, report.failures.len()), (1, 499, 0), "{report:?}");
    assert_eq!(fs::read(&spoiled).unwrap(), content);
}

#[test]
fn one_of_them_is_dumped_alone() {
    let (lab, manifest) = lab_with_files();
    let file = lab.path("source/a/file-123");
    let (folders, mut out) = (lab.folders(), Vec::new());
    let path = &file.to_str().unwrap().as_bytes()[1..];
    dump::run(&lab.repository, &manifest, path, lab.context(&folders), &mut out).unwrap();
    assert_eq!(out, fs::read(&file).unwrap());
}

#[test]
fn files_of_several_names_and_long_ones_keep_chunks_of_their_own() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("a-short"), "short").unwrap();
    fs::write(source.join("b-linked"), "linked").unwrap();
    fs::hard_link(source.join("b-linked"), source.join("c-linked")).unwrap();
    fs::write(source.join("d-long"), vec![b'x'; 4097]).unwrap();
    fs::write(source.join("e-limit"), vec![b'y'; 4096]).unwrap();
    let manifest = lab.back_up(&source);
    let folders = lab.folders();
    let index = browse::open_index(&lab.repository, lab.context(&folders)).unwrap();
    let chunks = ChunkReader::new(&lab.repository, &index);
    let alone = |name: &str| {
        let path = source.join(name).to_str().unwrap().as_bytes()[1..].to_vec();
        let browse::Located::Entry(entry) = browse::locate(&chunks, manifest.root, &path).unwrap() else { panic!() };
        entry.content.unwrap().fragment.is_none()
    };
    assert_eq!(["b-linked", "c-linked", "d-long"].map(alone), [true; 3]);
    let report = restored(&lab, &manifest, |_| {});
    assert_eq!(report.failures, []);
    assert_eq!(differences(&source, &lab.path("target")), Vec::<String>::new());
}

#[test]
fn a_fragment_beyond_its_chunk_fails_the_file_alone() {
    let lab = Lab::new();
    let hand = Hand::new(&lab.repository);
    let beyond = |name: &str, fragment, size| {
        let mut entry = hand.file(name, b"shared chunk");
        entry.content.as_mut().unwrap().fragment = Some(fragment);
        entry.size = size;
        entry
    };
    let entries = vec![beyond("far", 5000, 4), beyond("good", 7, 5), beyond("long", 7, 6)];
    let root = hand.tree(entries);
    let manifest = hand.finish(root);
    let options = RestoreOptions { target: lab.path("target"), ..RestoreOptions::default() };
    let report = lab.restore(&manifest, &options).unwrap();
    let failed: Vec<&str> = report.failures.iter().map(|failure| failure.path.as_str()).collect();
    assert_eq!(failed, ["far", "long"]);
    assert_eq!(fs::read(lab.path("target/good")).unwrap(), b"chunk");
    assert_eq!(fs::read_dir(lab.path("target")).unwrap().count(), 1);
}
