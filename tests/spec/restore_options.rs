//! Parts, filters, dry runs, owners and stops.

use std::fs;
use std::os::unix::fs::MetadataExt;

use dssvault::repo::snapshot::Manifest;
use dssvault::vault::VaultError;
use dssvault::vault::restore::{OwnerMode, OwnerRule, RestoreOptions};

use crate::lab::Lab;
use crate::tree_diff::differences;

fn backed_up() -> (Lab, Manifest) {
    let lab = Lab::new();
    let source = lab.path("source");
    for name in ["etc/ssl/certs", "etc/empty", "home/ann", "home/bob"] {
        fs::create_dir_all(source.join(name)).unwrap();
    }
    for name in ["etc/ssl/a.pem", "etc/ssl/certs/b.pem", "etc/ssl/key", "etc/hosts", "home/ann/notes", "home/bob/x.pem"]
    {
        fs::write(source.join(name), name).unwrap();
    }
    let manifest = lab.back_up(&source);
    (lab, manifest)
}

/// All paths below a directory of the lab, in order; directories end with a slash.
fn paths(lab: &Lab, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![lab.path(name)];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let text = path.strip_prefix(lab.path(name)).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                found.push(format!("{text}/"));
                left.push(path);
            } else {
                found.push(text);
            }
        }
    }
    found.sort();
    found
}

fn restored_paths(change: impl FnOnce(&mut RestoreOptions)) -> Vec<String> {
    let (lab, manifest) = backed_up();
    let mut options = lab.part(&lab.path("source"), "target");
    change(&mut options);
    let report = lab.restore(&manifest, &options).unwrap();
    assert_eq!(report.failures, []);
    paths(&lab, "target")
}

#[test]
fn only_what_is_included_comes_with_the_directories_on_the_way() {
    let found = restored_paths(|options| options.include = vec!["*.pem".to_owned()]);
    let expected = [
        "etc/",
        "etc/ssl/",
        "etc/ssl/a.pem",
        "etc/ssl/certs/",
        "etc/ssl/certs/b.pem",
        "home/",
        "home/bob/",
        "home/bob/x.pem",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_included_directory_comes_with_all_in_it_except_what_is_excluded() {
    let found = restored_paths(|options| {
        options.include = vec!["/etc".to_owned()];
        options.exclude = vec!["certs/".to_owned(), "key".to_owned()];
    });
    assert_eq!(found, ["etc/", "etc/empty/", "etc/hosts", "etc/ssl/", "etc/ssl/a.pem"]);
}

#[test]
fn a_single_file_lands_in_the_target_under_its_name() {
    let (lab, manifest) = backed_up();
    let report = lab.restore_part(&manifest, &lab.path("source/etc/hosts"), "target");
    assert_eq!((report.files, report.directories), (1, 0));
    assert_eq!(fs::read(lab.path("target/hosts")).unwrap(), b"etc/hosts");
}

#[test]
fn a_path_the_snapshot_has_not_is_refused_before_anything_is_made() {
    let (lab, manifest) = backed_up();
    for missing in ["source/etc/nothing", "source/etc/hosts/below"] {
        let error = lab.restore(&manifest, &lab.part(&lab.path(missing), "target")).unwrap_err();
        assert!(matches!(&error, VaultError::Request { hint: Some(_), .. }), "{error}");
    }
    assert!(!lab.path("target").exists());
}

#[test]
fn a_dry_run_counts_the_same_and_changes_nothing() {
    let (lab, manifest) = backed_up();
    let options = lab.part(&lab.path("source"), "target");
    let dry = RestoreOptions { dry_run: true, delete: true, ..options.clone() };

    let planned = lab.restore(&manifest, &dry).unwrap();
    assert!(!lab.path("target").exists());
    let real = lab.restore(&manifest, &options).unwrap();
    assert_eq!((planned.files, planned.directories, planned.bytes), (real.files, real.directories, real.bytes));

    fs::write(lab.path("target/etc/hosts"), b"other").unwrap();
    fs::write(lab.path("target/extra"), b"x").unwrap();
    let planned = lab.restore(&manifest, &dry).unwrap();
    assert_eq!((planned.files, planned.unchanged, planned.deleted), (1, 5, 1), "{planned:?}");
    assert_eq!(fs::read(lab.path("target/etc/hosts")).unwrap(), b"other");
    assert!(lab.path("target/extra").exists());
}

#[test]
fn verification_finds_what_was_changed_after_it_was_written() {
    let (lab, manifest) = backed_up();
    let options = lab.part(&lab.path("source"), "target");
    let report = lab.restore(&manifest, &RestoreOptions { verify: true, ..options }).unwrap();
    assert_eq!((report.verified, report.failures.len()), (6, 0));
}

#[test]
fn owners_follow_the_map_and_the_mode() {
    if !rustix::process::geteuid().is_root() {
        return crate::skip::skip("owners_follow_the_map_and_the_mode", "only root may give files away");
    }
    let (lab, _) = backed_up();
    std::os::unix::fs::lchown(lab.path("source/etc/hosts"), Some(4711), Some(4712)).unwrap();
    let manifest = lab.back_up(&lab.path("source"));
    let owner = |owner, map: &[(bool, &str, &str)], into: &str| {
        let rule = |&(group, from, to): &(bool, &str, &str)| OwnerRule { group, from: from.into(), to: to.into() };
        let owner_map = map.iter().map(rule).collect();
        let options = RestoreOptions { owner, owner_map, ..lab.part(&lab.path("source"), into) };
        assert_eq!(lab.restore(&manifest, &options).unwrap().failures, []);
        let stat = fs::metadata(lab.path(into).join("etc/hosts")).unwrap();
        (stat.uid(), stat.gid())
    };
    assert_eq!(owner(OwnerMode::Names, &[], "names"), (4711, 4712));
    assert_eq!(owner(OwnerMode::Numeric, &[], "numeric"), (4711, 4712));
    assert_eq!(owner(OwnerMode::Current, &[], "current"), (0, 0));
    assert_eq!(owner(OwnerMode::Names, &[(false, "4711", "5"), (true, "4712", "root")], "mapped"), (5, 0));
}

#[test]
fn a_stop_asked_for_ends_it_as_interrupted() {
    let (lab, manifest) = backed_up();
    lab.cancel.request();
    let error = lab.restore(&manifest, &lab.part(&lab.path("source"), "target")).unwrap_err();
    assert!(matches!(error, VaultError::Interrupted | VaultError::Repo(_)), "{error}");
    assert!(!lab.path("target/etc/hosts").exists());
}

#[test]
fn a_bad_pattern_is_refused_with_its_text() {
    let (lab, manifest) = backed_up();
    let options = RestoreOptions { include: vec!["a[".to_owned()], ..lab.part(&lab.path("source"), "target") };
    let error = lab.restore(&manifest, &options).unwrap_err();
    assert!(error.to_string().contains("a["), "{error}");
    assert_eq!(differences(&lab.path("source/etc/empty"), &lab.path("source/etc/empty")), Vec::<String>::new());
}
