//! A tree of everything that is awkward to bring back. What needs root, or a file system that can do it, is left
//! out where it cannot be made; [`Awkward::left_out`] names it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use dssvault::base::clock::Timestamp;
use dssvault::sys::apply::{Attributes, apply_named};
use dssvault::sys::beneath::{FileName, create_file, make_dir, make_node, open_dir, open_root};
use dssvault::sys::meta::{FileKind, lstat_at};
use rustix::fs::XattrFlags;

/// How deep the deep part goes.
pub const DEPTH: usize = 1000;

pub struct Awkward {
    root: PathBuf,
    pub left_out: Vec<&'static str>,
}

/// Makes the tree at `root`.
pub fn make(root: &Path) -> Awkward {
    fs::create_dir(root).unwrap();
    let mut tree = Awkward { root: root.to_owned(), left_out: Vec::new() };
    tree.names();
    tree.contents();
    tree.links();
    tree.specials();
    tree.attributes();
    tree.depth();
    tree.times();
    tree
}

impl Awkward {
    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Whether it could be made; anything but a lack of rights or support is a fault of the test.
    fn tried<E: Into<io::Error>>(&mut self, what: &'static str, made: Result<(), E>) -> bool {
        let Err(error) = made else { return true };
        let error: io::Error = error.into();
        let expected = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported);
        assert!(expected, "{what}: {error}");
        self.left_out.push(what);
        false
    }

    fn names(&self) {
        let dir = self.at("names");
        fs::create_dir(&dir).unwrap();
        let long = vec![b'n'; 255];
        let names: [&[u8]; 9] = [
            b"\xff\xfe not utf-8",
            b"new\nline",
            b"tab\t",
            b" ",
            b"-rf",
            b"...",
            b"\\",
            "na\u{ef}ve".as_bytes(),
            &long,
        ];
        for name in names {
            fs::write(dir.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
        }
        fs::create_dir(dir.join(std::ffi::OsStr::from_bytes(b"dir\xff\n"))).unwrap();
        fs::write(dir.join(std::ffi::OsStr::from_bytes(b"dir\xff\n/inner")), b"x").unwrap();
    }

    fn contents(&self) {
        fs::write(self.at("empty"), b"").unwrap();
        fs::create_dir(self.at("empty directory")).unwrap();
        fs::write(self.at("one byte"), b"1").unwrap();
        fs::write(self.at("zeros"), vec![0; 100_000]).unwrap();
        let mut noise = vec![0; 5 << 20];
        blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut noise);
        fs::write(self.at("large"), &noise).unwrap();
        fs::write(self.at("large twin"), &noise).unwrap();
        noise[3 << 20] ^= 1;
        fs::write(self.at("large cousin"), &noise).unwrap();
        let crowded = self.at("crowded");
        fs::create_dir(&crowded).unwrap();
        for number in 0..1500 {
            fs::write(crowded.join(format!("file {number}")), format!("content {}", number % 700)).unwrap();
        }
        let sparse = File::create(self.at("sparse")).unwrap();
        sparse.set_len(64 << 20).unwrap();
        sparse.write_all_at(&noise[..300_000], 1 << 20).unwrap();
        sparse.write_all_at(b"island", (40 << 20) + 17).unwrap();
        File::create(self.at("only a hole")).unwrap().set_len(1 << 40).unwrap();
        let tail = File::create(self.at("data at the end")).unwrap();
        tail.write_all_at(b"end", (8 << 20) - 3).unwrap();
    }

    fn links(&self) {
        symlink("one byte", self.at("link")).unwrap();
        symlink("no/such/place", self.at("dangling link")).unwrap();
        symlink("/etc/passwd", self.at("absolute link")).unwrap();
        symlink("../../../..", self.at("upward link")).unwrap();
        symlink("links to itself", self.at("links to itself")).unwrap();
        symlink(std::ffi::OsStr::from_bytes(&[b't'; 4000]), self.at("long link")).unwrap();
        fs::create_dir(self.at("linked")).unwrap();
        fs::write(self.at("hard 1"), b"one file, three names").unwrap();
        fs::hard_link(self.at("hard 1"), self.at("hard 2")).unwrap();
        fs::hard_link(self.at("hard 1"), self.at("linked/hard 3")).unwrap();
        fs::write(self.at("hard empty 1"), b"").unwrap();
        fs::hard_link(self.at("hard empty 1"), self.at("linked/hard empty 2")).unwrap();
        fs::hard_link(self.at("large"), self.at("linked/large")).unwrap();
    }

    fn specials(&mut self) {
        let root = open_root(&self.root).unwrap();
        let name = |text: &str| FileName::new(text).unwrap();
        make_node(&root, &name("pipe"), FileKind::Fifo, 0).unwrap();
        drop(std::os::unix::net::UnixListener::bind(self.at("socket")));
        let null = make_node(&root, &name("device"), FileKind::CharDevice, rustix::fs::makedev(1, 3));
        self.tried("a character device", null);
        let block = make_node(&root, &name("block device"), FileKind::BlockDevice, rustix::fs::makedev(7, 250));
        self.tried("a block device", block);
    }

    fn attributes(&mut self) {
        for (name, mode) in [("mode 0", 0), ("mode 4755", 0o4755), ("mode 2755", 0o2755), ("mode 1444", 0o1444)] {
            fs::write(self.at(name), name).unwrap();
            fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let flags = XattrFlags::empty();
        fs::write(self.at("attributes"), b"a").unwrap();
        let user = rustix::fs::setxattr(self.at("attributes"), "user.note", b"\0binary\xff", flags)
            .and_then(|()| rustix::fs::setxattr(self.at("attributes"), "user.empty", b"", flags))
            .and_then(|()| rustix::fs::setxattr(self.at("empty directory"), "user.dir", b"d", flags));
        self.tried("user attributes", user);
        let trusted = rustix::fs::setxattr(self.at("attributes"), "trusted.note", b"t", flags)
            .and_then(|()| rustix::fs::lsetxattr(self.at("link"), "trusted.link", b"l", flags));
        self.tried("trusted attributes", trusted);
        fs::write(self.at("access acl"), b"a").unwrap();
        let made = rustix::fs::setxattr(self.at("access acl"), "system.posix_acl_access", &acl(6), flags);
        self.tried("an access ACL", made);
        fs::create_dir(self.at("default acl")).unwrap();
        let made = rustix::fs::setxattr(self.at("default acl"), "system.posix_acl_default", &acl(7), flags);
        // Inherits one ACL, then loses it: a restore must not let it come back.
        self.tried("a default ACL", made);
        fs::write(self.at("default acl/stripped"), b"s").unwrap();
        let _ = rustix::fs::removexattr(self.at("default acl/stripped"), "system.posix_acl_access");
        fs::write(self.at("default acl/inherited"), b"i").unwrap();
        fs::write(self.at("capability"), b"c").unwrap();
        fs::set_permissions(self.at("capability"), fs::Permissions::from_mode(0o755)).unwrap();
        self.owners();
        let capability = [1u8, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let made = rustix::fs::setxattr(self.at("capability"), "security.capability", &capability, flags);
        self.tried("a file capability", made);
        let locked = self.at("locked directory");
        fs::create_dir(&locked).unwrap();
        if rustix::process::geteuid().is_root() {
            // Others could not back it up at all.
            fs::write(locked.join("inside"), b"i").unwrap();
            fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        }
    }

    fn owners(&mut self) {
        let chown = |name: &str, uid, gid| std::os::unix::fs::lchown(self.at(name), Some(uid), Some(gid));
        let made = chown("one byte", 12_345, 54_321)
            .and_then(|()| chown("link", 12_346, 54_322))
            .and_then(|()| chown("pipe", 12_347, 54_323))
            .and_then(|()| chown("crowded", 12_348, 54_324))
            .and_then(|()| chown("capability", 12_349, 54_325))
            .and_then(|()| chown("mode 4755", 12_350, 54_326))
            .and_then(|()| fs::set_permissions(self.at("mode 4755"), fs::Permissions::from_mode(0o4755)));
        self.tried("owners", made);
    }

    /// A chain of directories far beyond the longest path, with something at the bottom.
    fn depth(&self) {
        let mut at = open_root(&self.root).unwrap();
        for level in 0..DEPTH {
            let name = FileName::new(format!("deep {level}")).unwrap();
            make_dir(&at, &name).unwrap();
            at = open_dir(&at, &name).unwrap();
        }
        let bottom: File = create_file(&at, &FileName::new("bottom").unwrap(), 0o644).unwrap().into();
        bottom.write_all_at(b"the bottom", 0).unwrap();
    }

    /// Last, for everything above changes times.
    fn times(&self) {
        let root = open_root(&self.root).unwrap();
        let times = [("one byte", -1, 999_999_999), ("pipe", 1, 1), ("link", 1_000_000_000, 123_456_789)];
        for (name, seconds, nanos) in
            times.into_iter().chain([("names", 1_234_567_890, 1), ("empty", 4_000_000_000, 2)])
        {
            let name = FileName::new(name).unwrap();
            let now = lstat_at(root.as_fd(), name.as_c_str()).unwrap();
            let mtime = Timestamp { seconds, nanos };
            let want = Attributes { mode: now.mode, uid: None, gid: None, mtime, xattrs: Vec::new() };
            assert!(apply_named(root.as_fd(), &name, &want, &now).is_empty());
        }
    }
}

/// Removes it: the usual ways give up at the depth.
impl Drop for Awkward {
    fn drop(&mut self) {
        let remove = || -> io::Result<()> {
            let parent = open_root(self.root.parent().unwrap())?;
            let name = FileName::new(self.root.file_name().unwrap().as_bytes()).unwrap();
            dssvault::sys::remove::remove_all(parent.as_fd(), &name).map(|_| ())
        };
        let _ = remove();
    }
}

/// An ACL with a named user and a mask.
pub fn acl(mask: u16) -> Vec<u8> {
    let entry = |tag: u16, permissions: u16, id: u32| {
        [tag.to_le_bytes().as_slice(), &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let entries =
        [entry(1, 6, none), entry(2, 7, 1234), entry(4, 4, none), entry(0x10, mask, none), entry(0x20, 0, none)];
    [2u32.to_le_bytes().as_slice(), &entries.concat()].concat()
}
