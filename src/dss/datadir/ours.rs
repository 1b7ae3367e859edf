//! Entries of a data directory that are not DSS's: what a restore inside of it makes and keeps, and what the file
//! system of a mount point has there. No backup takes them, whatever it is asked, and no restore moves or removes them
//! as content of the node.

use std::path::{Path, PathBuf};

use crate::base::id::SnapshotId;
use crate::dss::datadir::classes::Class;
use crate::dss::datadir::table::{Nodes, Row};

/// Begins the name of a folder content is restored to.
const RESTORE: &str = ".dssvault-restore-";
/// Begins the name of a folder that holds what a restore replaced.
const BEFORE: &str = ".dssvault-before-";
/// Made by mkfs and used by fsck.
const LOST: &str = "lost+found";

/// What leaves them out; a leading `/` is the data directory.
pub const PATTERNS: [&str; 3] = ["/.dssvault-restore-*", "/.dssvault-before-*", "/lost+found"];

/// Rows as those of the table, for whoever weighs a directory. They are not in the table itself: it says what can be
/// left out of a backup, and these are never in one.
static ROWS: [Row; 3] = [
    own(".dssvault-restore-*", "nothing: content of a restore that was interrupted"),
    own(".dssvault-before-*", "the way back to what a restore replaced; `restore --forget-old` removes it"),
    own("lost+found", "nothing: the file system's own"),
];

const fn own(name: &'static str, lost: &'static str) -> Row {
    Row { name, nodes: Nodes::Any, class: Class::Ignorable, is_config: false, source: "dssvault", lost }
}

/// The folder the content of a snapshot is restored to, in the data directory.
pub fn restore_name(snapshot: &SnapshotId) -> String {
    format!("{RESTORE}{}", snapshot.short())
}

/// The folder that keeps what its restore replaced.
pub fn before_name(snapshot: &SnapshotId) -> String {
    format!("{BEFORE}{}", snapshot.short())
}

/// Whether an entry of a data directory is one of them.
pub fn is_ours(name: &[u8]) -> bool {
    name.starts_with(RESTORE.as_bytes()) || name.starts_with(BEFORE.as_bytes()) || name == LOST.as_bytes()
}

/// The row of such an entry.
pub fn row_of(name: &str) -> Option<&'static Row> {
    let is_meant = |row: &&Row| match row.name.strip_suffix('*') {
        Some(head) => name.starts_with(head) && !name.contains('/'),
        None => name == row.name,
    };
    ROWS.iter().find(is_meant)
}

/// What restores replaced and keep in a data directory, with the bytes it takes.
pub fn kept(root: &Path) -> Vec<(PathBuf, u64)> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(BEFORE));
    let mut found: Vec<(PathBuf, u64)> = named.map(|entry| (entry.path(), bytes_below(&entry.path()))).collect();
    found.sort();
    found
}

/// Bytes of regular files, by their names alone; what cannot be looked at weighs nothing.
fn bytes_below(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut left = vec![folder.to_owned()];
    let mut bytes = 0u64;
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => left.push(entry.path()),
                Ok(found) if found.is_file() => bytes = bytes.saturating_add(found.blocks().saturating_mul(512)),
                _ => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pattern::PatternSet;

    #[test]
    fn patterns_rows_and_names_mean_the_same_entries() {
        let id = SnapshotId::from_bytes([0xab; 16]);
        let patterns = PatternSet::new(&PATTERNS.map(str::to_owned)).unwrap();
        for name in [restore_name(&id), before_name(&id), LOST.to_owned()] {
            assert!(is_ours(name.as_bytes()) && patterns.matches(name.as_bytes(), true), "{name}");
            assert!(row_of(&name).is_some(), "{name}");
        }
        for name in [".dssvault", "config", "lost+found2", "config/lost+found", "config/.dssvault-before-1"] {
            assert!(!is_ours(name.as_bytes()) && !patterns.matches(name.as_bytes(), true), "{name}");
            assert!(row_of(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_is_kept_is_found_with_its_weight() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(kept(root.path()), []);
        let folder = root.path().join(".dssvault-before-1/config");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), [1; 10_000]).unwrap();
        let found = kept(root.path());
        assert!(found.len() == 1 && found[0].1 >= 8192, "{found:?}");
    }
}
