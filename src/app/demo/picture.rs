//! What a tree looks like from outside, to compare a restored one with its original.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::app::AppError;
use crate::app::demo::maker::failed;
use crate::base::cancel::Cancel;
use crate::vault::VaultError;

/// A file with more than this missing from its blocks has holes.
const HOLE_BYTES_MIN: u64 = 1 << 20;

/// Everything below a directory; the directory itself is left out, and sockets, which nobody can bring back.
pub struct Picture {
    entries: BTreeMap<PathBuf, Facts>,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of all files, holes left out.
    pub bytes: u64,
    /// What this account could not read.
    pub unreadable: u64,
}

/// What is compared of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    /// Type and permission bits.
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    size: u64,
    /// BLAKE3 of all bytes, or of a link's target; `None` for what could not be read and what has none.
    content: Option<blake3::Hash>,
    /// First path of the same file, for files with several names.
    linked_to: Option<PathBuf>,
    has_holes: bool,
}

/// Something that is not alike.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Where, below the compared directories.
    pub path: PathBuf,
    /// What differs.
    pub what: &'static str,
}

impl Picture {
    /// Looks at everything and reads every file. Nothing is followed and nothing is written.
    pub fn take(root: &Path, cancel: &Cancel) -> Result<Self, AppError> {
        let mut picture = Self { entries: BTreeMap::new(), files: 0, directories: 0, bytes: 0, unreadable: 0 };
        let mut first_names = HashMap::new();
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            for name in names_in(&root.join(&folder), &mut picture.unreadable)? {
                if cancel.is_requested() {
                    return Err(VaultError::Interrupted.into());
                }
                let relative = folder.join(name);
                if picture.add(root, &relative, &mut first_names)? {
                    open.push(relative);
                }
            }
        }
        Ok(picture)
    }

    /// Adds one entry; tells whether it is a directory to look into.
    fn add(
        &mut self,
        root: &Path,
        relative: &Path,
        first_names: &mut HashMap<(u64, u64), PathBuf>,
    ) -> Result<bool, AppError> {
        let path = root.join(relative);
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(failed("look at", &path))?,
        };
        let kind = metadata.file_type();
        if kind.is_socket() {
            return Ok(false);
        }
        let mut facts = Facts::of(&metadata);
        if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(failed("read", &path))?;
            facts.content = Some(blake3::hash(&target.into_os_string().into_vec()));
        } else if kind.is_file() {
            self.files += 1;
            self.bytes += if facts.has_holes { metadata.blocks() * 512 } else { metadata.len() };
            facts.content = hash_file(&path);
            self.unreadable += u64::from(facts.content.is_none());
        }
        if metadata.nlink() > 1 && !kind.is_dir() {
            let first = first_names.entry((metadata.dev(), metadata.ino())).or_insert_with(|| relative.to_owned());
            facts.linked_to = Some(first.clone());
        }
        self.directories += u64::from(kind.is_dir());
        self.entries.insert(relative.to_owned(), facts);
        Ok(kind.is_dir())
    }

    /// What differs from another picture. Owners count only for root, who alone can bring them back; holes only
    /// where this picture has them.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let owners_count = rustix::process::geteuid().is_root();
        let mut differences = Vec::new();
        for (path, facts) in &self.entries {
            let what = other.entries.get(path).map_or(Some("missing"), |there| facts.difference(there, owners_count));
            differences.extend(what.map(|what| Difference { path: path.clone(), what }));
        }
        let added = other.entries.keys().filter(|path| !self.entries.contains_key(*path));
        differences.extend(added.map(|path| Difference { path: path.clone(), what: "not in the original" }));
        differences
    }

    /// Paths and content alone.
    #[cfg(test)]
    pub fn content(&self) -> Vec<(&PathBuf, Option<blake3::Hash>)> {
        self.entries.iter().map(|(path, facts)| (path, facts.content)).collect()
    }
}

impl Facts {
    fn of(metadata: &Metadata) -> Self {
        let is_file = metadata.is_file();
        Self {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            size: if is_file { metadata.len() } else { 0 },
            content: None,
            linked_to: None,
            has_holes: is_file && metadata.blocks() * 512 + HOLE_BYTES_MIN < metadata.len(),
        }
    }

    fn difference(&self, other: &Self, owners_count: bool) -> Option<&'static str> {
        let unreadable = self.content.is_none() && other.content.is_some();
        [
            (self.mode != other.mode, "type or permissions"),
            (self.size != other.size, "size"),
            (self.content != other.content && !unreadable, "content"),
            (self.mtime != other.mtime, "modification time"),
            (owners_count && self.owner != other.owner, "owner"),
            (self.linked_to != other.linked_to, "hard links"),
            (self.has_holes && !other.has_holes, "holes"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

/// Names in a folder, in order; a folder that cannot be listed counts as unreadable.
fn names_in(folder: &Path, unreadable: &mut u64) -> Result<Vec<std::ffi::OsString>, AppError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {
            *unreadable += 1;
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed("list", folder)(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>();
    let mut names = names.map_err(failed("list", folder))?;
    names.sort();
    Ok(names)
}

/// Hash of a regular file, or `None` if it cannot be read.
fn hash_file(path: &Path) -> Option<blake3::Hash> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path).ok()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).ok()?;
    Some(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("d")).unwrap();
        for name in ["d/a", "d/b"] {
            fs::write(path(name), name).unwrap();
            let file = fs::OpenOptions::new().write(true).open(path(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000)).unwrap();
        }
        fs::hard_link(path("d/a"), path("d/z")).unwrap();
        symlink("a", path("d/link")).unwrap();
        dir
    }

    /// What differs after `change`, directory times aside, which nearly every change touches.
    fn after(change: impl FnOnce(&Path)) -> Vec<(String, &'static str)> {
        let dir = tree();
        let cancel = Cancel::default();
        let before = Picture::take(dir.path(), &cancel).unwrap();
        change(dir.path());
        let differences = before.differences(&Picture::take(dir.path(), &cancel).unwrap());
        let named = differences.into_iter().map(|found| (found.path.display().to_string(), found.what));
        named.filter(|(path, what)| !(path == "d" && *what == "modification time")).collect()
    }

    #[test]
    fn a_tree_is_like_itself() {
        assert_eq!(after(|_| {}), []);
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        let one = |path: &str, what| vec![(path.to_owned(), what)];
        assert_eq!(after(|root| fs::remove_file(root.join("d/b")).unwrap()), one("d/b", "missing"));
        assert_eq!(after(|root| fs::write(root.join("d/new"), "").unwrap()), one("d/new", "not in the original"));
        assert_eq!(after(|root| fs::write(root.join("d/b"), "d/X").unwrap()), one("d/b", "content"));
        let private = fs::Permissions::from_mode(0o600);
        assert_eq!(
            after(|root| fs::set_permissions(root.join("d/b"), private).unwrap()),
            one("d/b", "type or permissions")
        );
        let relinked = after(|root| {
            fs::remove_file(root.join("d/link")).unwrap();
            symlink("b", root.join("d/link")).unwrap();
        });
        assert_eq!(relinked, one("d/link", "content"));
        let parted = after(|root| {
            fs::rename(root.join("d/z"), root.join("d/old")).unwrap();
            fs::copy(root.join("d/old"), root.join("d/z")).unwrap();
            fs::remove_file(root.join("d/old")).unwrap();
        });
        assert!(parted.iter().any(|(path, _)| path == "d/a"), "{parted:?}");
    }
}
