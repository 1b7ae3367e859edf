//! What a frozen volume would not hold is seen and named, and refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dssvault::base::hint::Hint;
use dssvault::fsnap::{Gap, GapKind, Options, coverage, detect};

use crate::skip::skip;
use crate::volume::{Volume, run};

macro_rules! volume {
    ($test:literal) => {
        match Volume::btrfs(256, &[]) {
            Ok(volume) => volume,
            Err(reason) => return skip(concat!("fsnap_coverage::", $test), &reason),
        }
    };
}

fn gap(path: &str, kind: GapKind) -> Gap {
    Gap { path: path.into(), kind }
}

fn paths(gaps: &[Gap]) -> Vec<PathBuf> {
    gaps.iter().map(|gap| gap.path.clone()).collect()
}

#[test]
fn nested_subvolumes_are_empty_folders_in_a_snapshot_and_seen_at_any_depth() {
    let volume = volume!("nested_subvolumes_are_empty_folders_in_a_snapshot_and_seen_at_any_depth");
    let dir = volume.subvolume("data").join("node");
    fs::create_dir_all(dir.join("a/b/c/d")).unwrap();
    volume.subvolume("data/beside");
    for name in ["jobs", "a/b/c/d/deep"] {
        let nested = volume.subvolume(&format!("data/node/{name}"));
        fs::write(nested.join("content"), b"x").unwrap();
    }
    volume.subvolume("data/node/jobs/inner");

    let found = coverage(&dir).unwrap();

    assert_eq!(found.gaps, [gap("a/b/c/d/deep", GapKind::Subvolume), gap("jobs", GapKind::Subvolume)]);
    let error = found.require_complete(&dir).unwrap_err();
    assert!(error.to_string().contains("a/b/c/d/deep is a subvolume"), "{error}");
    assert!(error.hint().unwrap().contains("exclude"), "{error}");
    let frozen = detect(&dir, &Options::default()).unwrap().best().unwrap();
    let frozen = frozen.create("a node", &volume.journal()).unwrap();
    assert_eq!(fs::read_dir(frozen.read_path().join("jobs")).unwrap().count(), 0, "a gap that was none");
    assert_eq!(coverage(&dir).unwrap(), found, "our own snapshot is no gap");
    frozen.finish().unwrap();
}

#[test]
fn our_own_snapshot_beside_the_data_is_no_gap() {
    let volume = volume!("our_own_snapshot_beside_the_data_is_no_gap");
    let frozen = detect(&volume.top(), &Options::default()).unwrap().best().unwrap();
    let frozen = frozen.create("the whole volume", &volume.journal()).unwrap();
    assert_eq!(volume.subvolumes(), [format!(".{}", frozen.name())]);
    assert!(volume.top().join(format!(".{}", frozen.name())).exists(), "it cannot be seen: this proves nothing");
    assert_eq!(coverage(&volume.top()).unwrap().gaps, []);
    frozen.finish().unwrap();
    volume.require_clean(&[]);
}

#[test]
fn mounts_below_the_directory_are_seen_at_any_depth() {
    let volume = volume!("mounts_below_the_directory_are_seen_at_any_depth");
    let dir = volume.subvolume("data");
    fs::create_dir_all(dir.join("a/b/c/tmp")).unwrap();
    fs::create_dir_all(dir.join("bound")).unwrap();
    run("mount", ["-t", "tmpfs", "nothing", dir.join("a/b/c/tmp").to_str().unwrap()]).unwrap();
    run("mount", ["--bind", dir.join("a").to_str().unwrap(), dir.join("bound").to_str().unwrap()]).unwrap();

    let found = coverage(&dir).unwrap();

    assert_eq!(paths(&found.gaps), [Path::new("a/b/c/tmp"), Path::new("bound")]);
    let tmpfs = GapKind::Mount { fs_type: "tmpfs".to_owned(), source: "nothing".to_owned() };
    assert_eq!(found.gaps[0].kind, tmpfs);
    let left = found.retain(|path| !path.starts_with("a/b/c/tmp"));
    assert_eq!(paths(&left.gaps), [Path::new("bound")]);
    let error = left.require_complete(&dir).unwrap_err().to_string();
    assert!(error.contains("bound is a mount of") && error.contains(dir.to_str().unwrap()), "{error}");
}

#[test]
fn links_to_another_volume_are_named_and_those_to_the_same_one_are_not() {
    let volume = volume!("links_to_another_volume_are_named_and_those_to_the_same_one_are_not");
    let dir = volume.subvolume("data");
    let other = volume.beside("large disk");
    fs::create_dir_all(other.join("managed")).unwrap();
    fs::write(other.join("program"), b"").unwrap();
    fs::create_dir_all(dir.join("own/folder")).unwrap();
    fs::create_dir_all(dir.join("bin")).unwrap();
    symlink(other.join("managed"), dir.join("managed_datasets")).unwrap();
    symlink(other.join("managed"), dir.join("own/second level")).unwrap();
    symlink(other.join("program"), dir.join("bin/program")).unwrap();
    symlink("own/folder", dir.join("inside")).unwrap();
    symlink("/no/such/place", dir.join("dangling")).unwrap();
    symlink("loop", dir.join("loop")).unwrap();

    let found = coverage(&dir).unwrap();

    let link = || GapKind::Link { target: other.join("managed") };
    assert_eq!(found.gaps, [gap("managed_datasets", link()), gap("own/second level", link())]);
    assert_eq!(paths(&found.notes), [Path::new("bin/program")]);
    assert_eq!(found.unseen, [Path::new("loop")]);
    let error = found.require_complete(&dir).unwrap_err().to_string();
    assert!(error.contains("managed_datasets is a link to") && error.contains("large disk"), "{error}");
}

#[test]
fn a_plain_directory_is_covered() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::write(dir.path().join("a/file"), b"x").unwrap();
    let found = coverage(dir.path()).unwrap();
    assert!(found.gaps.is_empty() && found.notes.is_empty() && found.unseen.is_empty(), "{found:?}");
    assert!(found.require_complete(dir.path()).is_ok());
}
