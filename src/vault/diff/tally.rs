//! How much differs.

use crate::repo::tree::{Entry, EntryKind};
use crate::vault::diff::Change;

/// Entries of one fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counted {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Everything else.
    pub others: u64,
    /// Bytes of the files, holes included.
    pub bytes: u64,
}

impl Counted {
    fn add(&mut self, entry: &Entry) {
        match entry.kind {
            EntryKind::File => self.files += 1,
            EntryKind::Directory => self.dirs += 1,
            _ => self.others += 1,
        }
        self.bytes = self.bytes.saturating_add(entry.size);
    }
}

/// Sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tally {
    /// Files with another content.
    pub changed_files: u64,
    /// Their bytes before.
    pub changed_bytes_before: u64,
    /// Their bytes after.
    pub changed_bytes_after: u64,
    /// Entries of another type.
    pub changed_types: u64,
    /// Entries with another mode, owner or attributes.
    pub changed_metadata: u64,
    /// Entries of which only the time differs.
    pub changed_times: u64,
    /// Only in the second tree.
    pub added: Counted,
    /// Only in the first tree.
    pub removed: Counted,
}

impl Tally {
    /// Takes a change in.
    pub fn count(&mut self, change: &Change<'_>) {
        match change {
            Change::Added(entry) => self.added.add(entry),
            Change::Removed(entry) => self.removed.add(entry),
            Change::Changed { before, after, difference } => {
                self.changed_types += u64::from(difference.kind);
                self.changed_metadata += u64::from(difference.is_metadata());
                self.changed_times += u64::from(difference.is_only_times());
                if difference.content {
                    self.changed_files += 1;
                    self.changed_bytes_before = self.changed_bytes_before.saturating_add(before.size);
                    self.changed_bytes_after = self.changed_bytes_after.saturating_add(after.size);
                }
            }
        }
    }

    /// Whether nothing differs but times.
    pub fn is_empty(&self) -> bool {
        Self { changed_times: 0, ..*self } == Self::default()
    }
}
