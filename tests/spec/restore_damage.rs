//! Damage costs the files that need what is damaged, by name, and nothing else; never a wrong byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::index::Index;
use dssvault::repo::secrets::Content;
use dssvault::repo::snapshot::Manifest;
use dssvault::vault::VaultError;

use crate::handmade::Hand;
use crate::lab::Lab;
use crate::tree_diff::differences;

fn backed_up() -> (Lab, Manifest) {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).unwrap();
    let mut noise = vec![0; 8 << 20];
    blake3::Hasher::new().update(b"damage").finalize_xof().fill(&mut noise);
    fs::write(source.join("large"), &noise).unwrap();
    for number in 0..40 {
        fs::write(source.join(format!("small {number:02}")), &noise[number * 1000..][..50_000 + number]).unwrap();
    }
    let manifest = lab.back_up(&source);
    (lab, manifest)
}

/// The names of packs that hold data, and the spans of their blocks.
fn data_packs(lab: &Lab) -> Vec<(ObjectName, Vec<(u64, u32)>)> {
    let silent = dssvault::base::progress::Silent;
    let index = Index::open(&lab.repository, &lab.path("other cache"), &silent, &lab.cancel).unwrap();
    let packs: Vec<_> = index.packs().map(|pack| pack.unwrap().1).collect();
    let data = packs.into_iter().filter(|pack| pack.domain.content == Content::Data);
    data.map(|pack| {
        let blocks = pack.blocks.iter().map(|block| (block.offset, block.stored_bytes)).collect();
        (ObjectName::of(ObjectKind::Pack, pack.id), blocks)
    })
    .collect()
}

fn flip(lab: &Lab, name: &ObjectName, at: usize) {
    let mut bytes = lab.store.contents()[name].to_vec();
    bytes[at] ^= 0x40;
    lab.store.replace(name, bytes);
}

/// Every file that is there is right, and every file is either there or named.
fn assert_honest(source: &Path, target: &Path, failed: &BTreeSet<String>) {
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match fs::read(target.join(&name)) {
            Ok(content) => assert_eq!(content, fs::read(&path).unwrap(), "{name}"),
            Err(_) => assert!(failed.contains(&name), "{name} is neither there nor named"),
        }
    }
}

fn failed_names(failures: &[dssvault::vault::restore::Failure]) -> BTreeSet<String> {
    failures.iter().map(|failure| failure.path.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn a_flipped_byte_in_any_block_fails_only_the_files_in_that_block() {
    let (lab, manifest) = backed_up();
    let source = lab.path("source");
    let mut number = 0;
    for (name, blocks) in data_packs(&lab) {
        for (offset, length) in blocks {
            flip(&lab, &name, offset as usize + length as usize / 2);
            let target = format!("target {number}");
            let report = lab.restore_part(&manifest, &source, &target);
            let failed = failed_names(&report.failures);
            assert!(!failed.is_empty() && failed.len() < 41, "{failed:?}");
            assert!(report.failures.iter().all(|failure| failure.cause.contains("packs/")), "{report:?}");
            assert_honest(&source, &lab.path(&target), &failed);
            flip(&lab, &name, offset as usize + length as usize / 2);
            number += 1;
        }
    }
    assert!(number > 3, "the test needs several blocks");
    assert_eq!(lab.restore_part(&manifest, &source, "whole").failures, []);
    assert_eq!(differences(&source, &lab.path("whole")), Vec::<String>::new());
}

#[test]
fn a_truncated_and_a_missing_pack_fail_what_lay_there() {
    let (lab, manifest) = backed_up();
    let source = lab.path("source");
    for cut in [true, false] {
        for (name, blocks) in data_packs(&lab) {
            let whole = lab.store.contents()[&name].clone();
            if cut {
                lab.store.replace(&name, whole[..blocks[blocks.len() / 2].0 as usize + 10].to_vec());
            } else {
                lab.repository.storage.delete(&name).unwrap();
            }
            let target = format!("target {cut} {}", &name.text()[..8]);
            let report = lab.restore_part(&manifest, &source, &target);
            assert!(!report.failures.is_empty());
            assert_honest(&source, &lab.path(&target), &failed_names(&report.failures));
            lab.store.replace(&name, whole);
        }
    }
}

#[test]
fn another_copy_of_a_damaged_chunk_is_used() {
    let lab = Lab::new();
    let build = || {
        let hand = Hand::new(&lab.repository);
        let root = hand.tree(vec![hand.file("file", b"stored twice")]);
        hand.finish(root)
    };
    let (manifest, _) = (build(), build());
    let packs = data_packs(&lab);
    assert_eq!(packs.len(), 2);
    for (name, blocks) in packs {
        flip(&lab, &name, blocks[0].0 as usize);
        let options = dssvault::vault::restore::RestoreOptions { target: lab.path(name.text()), ..Default::default() };
        let report = lab.restore(&manifest, &options).unwrap();
        assert_eq!(report.failures, []);
        assert_eq!(fs::read(lab.path(name.text()).join("file")).unwrap(), b"stored twice");
        flip(&lab, &name, blocks[0].0 as usize);
    }
}

#[test]
fn the_other_names_of_a_file_that_is_lost_are_named_too() {
    let lab = Lab::new();
    let hand = Hand::new(&lab.repository);
    let root = hand.tree(vec![hand.linked("a", b"shared", 5), hand.linked("b", b"shared", 5), hand.file("c", b"c")]);
    let manifest = hand.finish(root);
    let (name, blocks) = data_packs(&lab).remove(0);
    flip(&lab, &name, blocks[0].0 as usize);
    let options = dssvault::vault::restore::RestoreOptions { target: lab.path("target"), ..Default::default() };

    let report = lab.restore(&manifest, &options).unwrap();

    assert_eq!(failed_names(&report.failures), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!(fs::read(lab.path("target/c")).unwrap(), b"c");
}

#[test]
fn an_existing_file_is_left_alone_when_its_chunk_is_known_to_be_lost() {
    let (lab, manifest) = backed_up();
    let source = lab.path("source");
    lab.restore_part(&manifest, &source, "target");
    for name in lab.store.contents().into_keys().filter(|name| name.kind() == ObjectKind::Index) {
        lab.repository.storage.delete(&name).unwrap();
    }
    fs::remove_dir_all(lab.path("cache")).unwrap();
    let error = lab.restore(&manifest, &lab.part(&source, "target")).unwrap_err();
    assert!(matches!(error, VaultError::Repo(_)), "{error}");
    assert_eq!(differences(&source, &lab.path("target")), Vec::<String>::new());
}
