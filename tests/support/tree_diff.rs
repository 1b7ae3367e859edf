//! Two trees compared in everything a restore promises: names, kinds, content, modes, owners, times to the
//! nanosecond, link targets, hard-link groups, extended attributes, holes. Sockets are known not to come back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dssvault::sys::beneath::{FileName, open_dir, open_file, open_root};
use dssvault::sys::meta::{FileKind, Stat, Xattr, lstat_at, readlink_at, xattrs_of};

/// One entry, with everything that must be equal.
struct Seen {
    stat: Stat,
    target: Option<Vec<u8>>,
    xattrs: Vec<Xattr>,
    content: Option<[u8; 32]>,
}

/// Misses, one line each: the class, then the path. Empty if the trees are equal. The attributes of the two top
/// directories themselves are not compared.
pub fn differences(left: &Path, right: &Path) -> Vec<String> {
    let (left, right) = (scan(left), scan(right));
    let mut misses = Vec::new();
    let mut miss = |class: &str, path: &[u8]| misses.push(format!("{class} {:?}", String::from_utf8_lossy(path)));
    for path in right.keys().filter(|path| !left.contains_key(*path)) {
        miss("extra", path);
    }
    let mut groups: BTreeMap<(u64, u64), BTreeSet<(u64, u64)>> = BTreeMap::new();
    for (path, one) in &left {
        let Some(other) = right.get(path) else {
            if one.stat.kind != FileKind::Socket {
                miss("missing", path);
            }
            continue;
        };
        classes(one, other).into_iter().for_each(|class| miss(class, path));
        if one.stat.kind == FileKind::File && one.stat.nlink > 1 {
            let inode = |seen: &Seen| (seen.stat.device, seen.stat.inode);
            let group = groups.entry(inode(one)).or_default();
            if group.insert(inode(other)) && group.len() > 1 {
                miss("hardlink", path);
            }
        }
    }
    misses
}

fn classes(one: &Seen, other: &Seen) -> Vec<&'static str> {
    let (a, b) = (&one.stat, &other.stat);
    if a.kind != b.kind {
        return vec!["type"];
    }
    let is_file = a.kind == FileKind::File;
    let is_sparse = |stat: &Stat| stat.blocks * 1024 < stat.size;
    let checks = [
        ("mode", a.mode != b.mode),
        ("owner", (a.uid, a.gid) != (b.uid, b.gid)),
        ("mtime", a.mtime != b.mtime),
        ("symlink", one.target != other.target),
        ("device", matches!(a.kind, FileKind::CharDevice | FileKind::BlockDevice) && a.rdev != b.rdev),
        ("xattr", one.xattrs != other.xattrs),
        ("size", is_file && a.size != b.size),
        ("content", one.content != other.content),
        ("sparse", is_file && is_sparse(a) && b.blocks > 2 * a.blocks + 64),
    ];
    checks.into_iter().filter_map(|(class, differs)| differs.then_some(class)).collect()
}

/// All entries by path. Works at any depth, since only descriptors are used.
fn scan(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut seen = BTreeMap::new();
    let mut left = vec![(Vec::new(), File::from(open_root(root).unwrap()))];
    while let Some((path, dir)) = left.pop() {
        for name in dssvault::sys::beneath::list(&dir).unwrap() {
            let path = if path.is_empty() {
                name.as_bytes().to_vec()
            } else {
                [path.as_slice(), b"/", name.as_bytes()].concat()
            };
            let stat = lstat_at(dir.as_fd(), name.as_c_str()).unwrap();
            if stat.kind == FileKind::Directory {
                left.push((path.clone(), open_dir(&dir, &name).unwrap().into()));
            }
            seen.insert(path, look(&dir, &name, stat));
        }
    }
    seen
}

fn look(dir: &File, name: &FileName, stat: Stat) -> Seen {
    let target = (stat.kind == FileKind::Symlink).then(|| readlink_at(dir.as_fd(), name.as_c_str()).unwrap());
    let content = (stat.kind == FileKind::File).then(|| {
        let file: File = open_file(dir, name, false).unwrap().0.into();
        hash(&file, &stat)
    });
    Seen { stat, target, xattrs: xattrs_of(dir.as_fd(), name.as_c_str(), stat.kind).unwrap(), content }
}

/// The hash of the data and where it lies, so that huge holes need not be read. Data that is zero counts as hole.
fn hash(file: &File, stat: &Stat) -> [u8; 32] {
    let whole = || vec![dssvault::sys::meta::DataExtent { offset: 0, length: stat.size }];
    let extents = dssvault::sys::meta::data_extents(file, stat.size).unwrap().unwrap_or_else(whole);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0u8; 64 << 10];
    for extent in extents {
        let mut at = extent.offset;
        while at < extent.offset + extent.length {
            let page_end = (at / 4096 + 1) * 4096;
            let length = (page_end.min(extent.offset + extent.length) - at) as usize;
            let read = file.read_at(&mut buffer[..length], at).unwrap();
            assert!(read > 0, "a file shrank while it was compared");
            if buffer[..read].iter().any(|&byte| byte != 0) {
                hasher.update(&at.to_le_bytes());
                hasher.update(&buffer[..read]);
            }
            at += read as u64;
        }
    }
    *hasher.finalize().as_bytes()
}

/// Where a source with this absolute path is found below a target.
pub fn restored(target: &Path, source: &Path) -> std::path::PathBuf {
    target.join(source.strip_prefix("/").unwrap())
}

#[test]
fn the_comparison_sees_every_class_of_difference() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    for root in [&a, &b] {
        fs::create_dir(root).unwrap();
        for name in ["same", "content", "mode", "link-1", "time"] {
            fs::write(root.join(name), name).unwrap();
        }
        rustix::fs::symlinkat("t", rustix::fs::CWD, root.join("symlink")).unwrap();
    }
    fs::hard_link(a.join("link-1"), a.join("link-2")).unwrap();
    fs::write(b.join("link-2"), "link-1").unwrap();
    fs::write(b.join("content"), "CONTENT").unwrap();
    fs::write(b.join("extra"), "").unwrap();
    fs::write(a.join("missing"), "").unwrap();
    fs::set_permissions(b.join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::remove_file(b.join("symlink")).unwrap();
    std::os::unix::fs::symlink("u", b.join("symlink")).unwrap();
    rustix::fs::setxattr(b.join("same"), "user.x", b"y", rustix::fs::XattrFlags::empty()).unwrap();

    let found: BTreeSet<String> = differences(&a, &b).into_iter().filter(|miss| !miss.starts_with("mtime")).collect();

    let expected = [
        "content \"content\"",
        "extra \"extra\"",
        "hardlink \"link-2\"",
        "missing \"missing\"",
        "mode \"mode\"",
        "symlink \"symlink\"",
        "xattr \"same\"",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
