//! Files come out as they went in; directories as archives that the real tar unpacks to the same tree.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dssvault::base::object::ObjectKind;
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::{VaultError, dump};

use crate::check_fixture::{Vault, noise};
use crate::skip::skip;

/// The bytes of a path below the source, as `dump` writes them; `None`: the whole snapshot.
fn dumped(vault: &Vault, path: Option<&[u8]>) -> Result<Vec<u8>, VaultError> {
    let mut out = Vec::new();
    let repository = vault.open();
    let listed = browse::find(&repository, "latest", &Filter::default())?;
    let path = path.map(|path| snapshot_path(vault, path)).unwrap_or_default();
    dump::run(&repository, &listed.manifest, &path, vault.context(), &mut out)?;
    Ok(out)
}

/// A path of the source as it stands in the tree.
fn snapshot_path(vault: &Vault, path: &[u8]) -> Vec<u8> {
    let joined = if path.is_empty() { vault.source() } else { vault.source().join(OsStr::from_bytes(path)) };
    joined.as_os_str().as_bytes()[1..].to_vec()
}

#[test]
fn a_file_comes_out_as_it_went_in() {
    let vault = Vault::new(3);
    let content = noise(1, 3_000_000);
    vault.write("dir/large", &content);
    vault.write("dir/empty", b"");
    vault.backup();
    assert_eq!(dumped(&vault, Some(b"dir/large")).unwrap(), content);
    assert_eq!(dumped(&vault, Some(b"dir/empty")).unwrap(), b"");
}

#[test]
fn holes_come_out_as_zeros() {
    let vault = Vault::new(3);
    let mut file = fs::File::create(vault.source().join("sparse")).unwrap();
    file.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 3 << 20).unwrap();
    file.flush().unwrap();
    vault.backup();
    let bytes = dumped(&vault, Some(b"sparse")).unwrap();
    assert_eq!(bytes, fs::read(vault.source().join("sparse")).unwrap());
}

#[test]
fn a_path_that_is_not_there_is_an_error_that_names_it() {
    let vault = Vault::new(3);
    vault.write("dir/file", b"x");
    vault.backup();
    for path in [b"dir/none".as_slice(), b"dir/file/below", b"none/file"] {
        let error = dumped(&vault, Some(path)).unwrap_err().to_string();
        assert!(error.contains(&*String::from_utf8_lossy(path)), "{error}");
    }
}

#[test]
fn a_damaged_chunk_ends_the_output_with_an_error_after_the_good_bytes() {
    let vault = Vault::new(3);
    let content = noise(1, 6_000_000);
    vault.write("large", &content);
    vault.backup();
    let pack = vault.names(ObjectKind::Pack).into_iter().max_by_key(|name| vault.bytes(name).len()).unwrap();
    vault.flip(&pack, 5_000_000);
    let repository = vault.open();
    let listed = browse::find(&repository, "latest", &Filter::default()).unwrap();
    for (path, front) in [(b"large".as_slice(), 1 << 20), (b"", 0)] {
        let mut out = Vec::new();
        let path = snapshot_path(&vault, path);
        let error = dump::run(&repository, &listed.manifest, &path, vault.context(), &mut out).unwrap_err();
        assert!(error.to_string().contains(&pack.to_string()), "{error}");
        assert!(out.len() > 1 << 20 && out.len() < content.len());
        assert!(front == 0 || content.starts_with(&out));
        assert!(!out.ends_with(&[0; 1024]), "a torn archive must not look whole");
    }
}

/// A tree with everything tar can hold; names as awkward as the file system allows.
fn awkward_tree(root: &Path) {
    let write = |name: &[u8], content: &[u8]| {
        let path = root.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    };
    write(b"plain", b"plain content\n");
    write(b"block", &[7; 512]);
    write(b"empty", b"");
    write(b"latin-\xe9\xff", b"not utf-8");
    write("späße/日本".as_bytes(), b"utf-8");
    write(b"new\nline and space ", b"odd");
    let long = [vec![b'd'; 200], b"/".to_vec(), vec![b'f'; 200]].concat();
    write(&long, b"long");
    write(&[vec![b'x'; 150], vec![0xff; 50]].concat(), b"long and not utf-8");
    let first = write(b"links/first", b"one file, two names");
    fs::hard_link(&first, root.join("links/second")).unwrap();
    symlink("first", root.join("links/short")).unwrap();
    symlink("t".repeat(300), root.join("links/dangling")).unwrap();
    fs::set_permissions(write(b"setuid", b"#!"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::create_dir(root.join("hollow")).unwrap();
    fs::set_permissions(root.join("hollow"), fs::Permissions::from_mode(0o1777)).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), fifo, 0o640.into(), 0).unwrap();
    times(&write(b"old", b"before 1970"), -2, 250_000_000);
    times(&write(b"precise", b"to the nanosecond"), 1_700_000_000, 123_456_789);
    times(&root.join("hollow"), 1_600_000_000, 1);
}

fn times(path: &Path, seconds: i64, nanos: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos };
    let both = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &both, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Everything a tree is, by path: what two trees are compared by.
fn portrait(root: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut inodes, mut waiting) = (BTreeMap::new(), BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let target = if meta.is_symlink() { fs::read_link(&path).unwrap() } else { PathBuf::new() };
        if meta.is_file() && meta.nlink() > 1 {
            inodes.entry(meta.ino()).or_insert_with(Vec::new).push(name.clone());
        }
        let xattr = rustix::fs::lgetxattr(&path, "user.spec", &mut [0u8; 64][..]).map_err(|_| ());
        let line = format!(
            "{:o} {}:{} {}.{:09} {:?} {} {xattr:?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            target,
            String::from_utf8_lossy(&content)
        );
        found.insert(name, line);
    }
    for mut names in inodes.into_values() {
        names.sort();
        found.insert(PathBuf::from(format!("one file: {names:?}")), String::new());
    }
    found
}

fn tar(arguments: &[&OsStr], archive: &[u8]) -> String {
    let mut child = Command::new("tar")
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(archive).unwrap());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        // Unpacking times before 1970 is worth a remark to GNU tar, and so is the record that POSIX has for
        // names that are no text.
        let remarks = ["implausibly old time stamp", "hdrcharset"];
        let odd: Vec<&str> = said.lines().filter(|line| !remarks.iter().any(|known| line.contains(known))).collect();
        assert!(odd.is_empty(), "{odd:#?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}

#[test]
fn a_directory_unpacks_with_gnu_tar_to_the_same_tree() {
    if Command::new("tar").arg("--version").output().is_err() {
        return skip("a_directory_unpacks_with_gnu_tar_to_the_same_tree", "there is no tar");
    }
    let vault = Vault::new(3);
    let tree = vault.source().join("tree");
    fs::create_dir(&tree).unwrap();
    awkward_tree(&tree);
    let flags = rustix::fs::XattrFlags::empty();
    let xattrs = rustix::fs::setxattr(tree.join("plain"), "user.spec", b"a=b%c\n\0", flags).is_ok();
    vault.backup();
    let archive = dumped(&vault, Some(b"tree")).unwrap();
    assert!(tar(&["-tvf".as_ref(), "-".as_ref()], &archive).contains(" tree/links/second link to tree/links/first"));
    let target = vault.dir.path().join("unpacked");
    fs::create_dir(&target).unwrap();
    let mut arguments: Vec<&OsStr> = ["-xpf", "-", "-C"].map(OsStr::new).to_vec();
    arguments.push(target.as_os_str());
    if xattrs {
        arguments.extend(["--xattrs", "--xattrs-include=*"].map(OsStr::new));
    }
    tar(&arguments, &archive);
    let (expected, found) = (portrait(&tree), portrait(&target.join("tree")));
    for (path, line) in &expected {
        assert_eq!(found.get(path), Some(line), "{}", path.display());
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn sockets_are_left_out_of_archives_with_a_word() {
    let vault = Vault::new(3);
    vault.write("dir/file", b"x");
    let _listener = std::os::unix::net::UnixListener::bind(vault.source().join("dir/socket")).unwrap();
    vault.backup();
    let archive = dumped(&vault, Some(b"dir")).unwrap();
    let names = tar(&["-tf".as_ref(), "-".as_ref()], &archive);
    assert_eq!(names, "dir/\ndir/file\n");
    let told = vault.told.0.lock().unwrap().join("\n");
    assert!(told.contains("dir/socket: a socket cannot be put into an archive"), "{told}");
}

#[test]
fn the_whole_snapshot_is_an_archive_of_all_its_paths() {
    let vault = Vault::new(3);
    vault.write("dir/file", b"x");
    vault.backup();
    let names = tar(&["-tf".as_ref(), "-".as_ref()], &dumped(&vault, None).unwrap());
    let file = &vault.shown("dir/file")[1..];
    assert!(names.lines().any(|name| name == file), "{names}");
}

#[test]
fn a_walk_visits_in_order_and_skips_what_it_is_told_to() {
    let vault = Vault::new(3);
    for path in ["a/1", "a/2", "b/1", "c"] {
        vault.write(path, path.as_bytes());
    }
    vault.backup();
    let repository = vault.open();
    let listed = browse::find(&repository, "latest", &Filter::default()).unwrap();
    let walked = |below: &[u8], skipped: &[u8]| {
        let mut seen = Vec::new();
        let base = snapshot_path(&vault, b"").len();
        let below = snapshot_path(&vault, below);
        browse::walk(&repository, &listed.manifest, &below, vault.context(), &mut |path, entry| {
            seen.push(String::from_utf8_lossy(&path[base..]).into_owned());
            Ok(entry.name != skipped)
        })
        .unwrap();
        seen
    };
    assert_eq!(walked(b"", b""), ["/a", "/a/1", "/a/2", "/b", "/b/1", "/c"]);
    assert_eq!(walked(b"", b"a"), ["/a", "/b", "/b/1", "/c"]);
    assert_eq!(walked(b"a", b""), ["/a/1", "/a/2"]);
    assert_eq!(walked(b"c", b""), ["/c"]);
}
