//! In what two entries differ.

use crate::repo::RepoError;
use crate::repo::tree::reader::TreeSource;
use crate::repo::tree::{Entry, EntryKind};

/// Longest file whose bytes are compared where its ids say nothing: small ones share chunks with their neighbours.
const SMALL_BYTES_MAX: u64 = 4096;

/// In what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Difference {
    /// It is of another type.
    pub kind: bool,
    /// The bytes of a file, the target of a link, the number of a device.
    pub content: bool,
    /// Permission bits.
    pub mode: bool,
    /// User or group.
    pub owner: bool,
    /// Extended attributes, ACLs among them.
    pub attributes: bool,
    /// The time it was last modified.
    pub times: bool,
}

impl Difference {
    /// Whether it is of another mode, owner, or attributes. What is of another type has its own.
    pub fn is_metadata(&self) -> bool {
        !self.kind && (self.mode || self.owner || self.attributes)
    }

    /// Whether only the time differs.
    pub fn is_only_times(&self) -> bool {
        *self == Self { times: true, ..Self::default() }
    }

    /// The letters restic uses: `T` another type, `M` another content, `U` other attributes or times.
    pub fn letters(&self) -> String {
        let metadata = self.is_metadata() || self.is_only_times();
        let letters = [(self.kind, 'T'), (self.content, 'M'), (metadata, 'U')];
        letters.iter().filter(|(is, _)| *is).map(|(_, letter)| *letter).collect()
    }
}

/// Compares two entries, and what files hold; not what is in directories. `None`: no difference.
pub fn compare(source: &dyn TreeSource, before: &Entry, after: &Entry) -> Result<Option<Difference>, RepoError> {
    let same = before.kind != after.kind || same_content(source, before, after)?;
    Ok(difference(before, after, !same))
}

/// The same where it is known whether what files hold differs.
pub fn difference(before: &Entry, after: &Entry, content: bool) -> Option<Difference> {
    let owner = |entry: &Entry| (entry.owner.uid, entry.owner.gid);
    let attributes = |entry: &Entry| entry.xattrs.clone().unwrap_or_default();
    let difference = Difference {
        kind: before.kind != after.kind,
        content,
        mode: before.mode != after.mode,
        owner: owner(before) != owner(after),
        attributes: attributes(before) != attributes(after),
        times: before.mtime != after.mtime,
    };
    (difference != Difference::default()).then_some(difference)
}

/// Whether two entries of one kind hold the same. Directories are not looked into.
pub fn same_content(source: &dyn TreeSource, before: &Entry, after: &Entry) -> Result<bool, RepoError> {
    match before.kind {
        EntryKind::File => same_bytes(source, before, after),
        EntryKind::Symlink => Ok(before.target == after.target),
        EntryKind::CharDevice | EntryKind::BlockDevice => Ok(before.device == after.device),
        EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket => Ok(true),
    }
}

fn same_bytes(source: &dyn TreeSource, before: &Entry, after: &Entry) -> Result<bool, RepoError> {
    if before.size != after.size {
        return Ok(false);
    }
    if before.content == after.content {
        return Ok(true);
    }
    let fragment = |entry: &Entry| entry.content.as_ref().is_some_and(|content| content.fragment.is_some());
    if before.size > SMALL_BYTES_MAX || !(fragment(before) || fragment(after)) {
        return Ok(false);
    }
    let both = small_bytes(source, before)?.zip(small_bytes(source, after)?);
    Ok(both.is_some_and(|(before, after)| before == after))
}

/// The bytes of a small file; `None` for one that has holes or lists.
fn small_bytes(source: &dyn TreeSource, entry: &Entry) -> Result<Option<Vec<u8>>, RepoError> {
    let plain = entry.content.as_ref().filter(|content| content.extents.is_none() && content.list_depth.is_none());
    let Some(content) = plain else { return Ok(None) };
    let mut bytes = Vec::new();
    for id in &content.ids {
        bytes.extend_from_slice(&source.fetch(id)?);
    }
    let start = content.fragment.unwrap_or(0) as usize;
    let end = start.saturating_add(usize::try_from(entry.size).unwrap_or(usize::MAX));
    Ok(bytes.get(start..end).map(<[u8]>::to_vec))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::id::ChunkId;
    use crate::repo::tree::FileContent;

    struct Chunks(HashMap<ChunkId, Vec<u8>>);

    impl TreeSource for Chunks {
        fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
            self.0.get(id).cloned().ok_or(RepoError::ChunkMissing { id: *id })
        }
    }

    fn id(byte: u8) -> ChunkId {
        ChunkId::from_bytes([byte; 32])
    }

    fn file(chunk: u8, fragment: Option<u32>, size: u64) -> Entry {
        Entry {
            size,
            content: Some(FileContent { ids: vec![id(chunk)], fragment, ..FileContent::default() }),
            ..Entry::bare(b"f".to_vec(), EntryKind::File)
        }
    }

    fn chunks() -> Chunks {
        Chunks([(id(1), b"abcdef".to_vec()), (id(2), b"xxcd".to_vec()), (id(3), b"cd".to_vec())].into())
    }

    fn letters(before: &Entry, after: &Entry) -> String {
        compare(&chunks(), before, after).unwrap().map(|difference| difference.letters()).unwrap_or_default()
    }

    #[test]
    fn small_files_are_the_same_wherever_their_bytes_lie() {
        assert_eq!(letters(&file(1, Some(2), 2), &file(2, Some(2), 2)), "");
        assert_eq!(letters(&file(1, Some(2), 2), &file(3, None, 2)), "");
        assert_eq!(letters(&file(1, Some(3), 2), &file(2, Some(2), 2)), "M");
    }

    #[test]
    fn larger_files_are_told_apart_by_their_ids_and_need_not_be_there() {
        assert_eq!(letters(&file(8, None, 9000), &file(8, None, 9000)), "");
        assert_eq!(letters(&file(8, None, 9000), &file(9, None, 9000)), "M");
    }

    #[test]
    fn a_changed_file_is_newer_too_and_only_other_attributes_are_worth_a_letter() {
        let before = file(8, None, 9000);
        let newer = Entry { mtime: Timestamp { seconds: 5, nanos: 0 }, ..before.clone() };
        assert_eq!(letters(&before, &newer), "U");
        assert_eq!(letters(&before, &Entry { size: 1, ..newer.clone() }), "M");
        assert_eq!(letters(&before, &Entry { size: 1, mode: 0o600, ..newer }), "MU");
        let link =
            Entry { kind: EntryKind::Symlink, target: Some(b"x".to_vec()), content: None, size: 0, ..before.clone() };
        assert_eq!(letters(&before, &link), "T");
        assert_eq!(letters(&link, &Entry { target: Some(b"y".to_vec()), ..link.clone() }), "M");
    }
}
