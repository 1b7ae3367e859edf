//! From sorted records to trees, bottom-up, in memory that does not grow with the archive.

use crate::base::clock::Timestamp;
use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::repo::snapshot::Counts;
use crate::repo::tree::writer::{DirectoryWriter, encode_entry};
use crate::repo::tree::{Entry, EntryKind, Owner};
use crate::sys::sorter::Sorted;
use crate::vault::backup::import::record::{Noted, path_of};
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::store::{ChunkStore, TreeChunks};
use crate::vault::{Context, VaultError};

/// Permissions of a directory the archive names only as part of others.
const IMPLIED_MODE: u32 = 0o755;

/// Writes the trees; gives that of the root, and what is in it.
pub fn build(
    mut sorted: Sorted,
    store: &ChunkStore<'_>,
    problems: &ProblemLog<'_>,
    context: Context<'_>,
) -> Result<(ChunkId, Counts), VaultError> {
    let local = |error| VaultError::local("sort files in", &context.folders.cache, error);
    let mut builder = Builder {
        sink: TreeChunks::new(store),
        problems,
        counts: Counts::default(),
        key: Vec::new(),
        frames: vec![Frame::new(None, 0)],
    };
    let mut next = sorted.next().transpose().map_err(local)?;
    while let Some(record) = next {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        next = sorted.next().transpose().map_err(local)?;
        // The later one counts.
        if next.as_ref().is_some_and(|next| next.key == record.key) {
            continue;
        }
        let has_children = next.as_ref().is_some_and(|next| is_below(&next.key, &record.key));
        let entry = Noted::decode_entry(&record.value).map_err(local)?;
        builder.take(record.key, entry, has_children)?;
    }
    builder.finish()
}

fn is_below(key: &[u8], above: &[u8]) -> bool {
    key.strip_prefix(above).is_some_and(|rest| rest.first() == Some(&0))
}

/// A directory whose entries are still coming.
struct Frame {
    /// Itself; the root has no entry.
    entry: Option<Box<Entry>>,
    /// Bytes of its key.
    key_bytes: usize,
    writer: DirectoryWriter,
}

impl Frame {
    fn new(entry: Option<Box<Entry>>, key_bytes: usize) -> Self {
        Self { entry, key_bytes, writer: DirectoryWriter::default() }
    }
}

struct Builder<'s, 'a> {
    sink: TreeChunks<'s, 'a>,
    problems: &'s ProblemLog<'s>,
    counts: Counts,
    /// Key of the innermost open directory.
    key: Vec<u8>,
    frames: Vec<Frame>,
}

impl Builder<'_, '_> {
    fn take(&mut self, key: Vec<u8>, mut entry: Box<Entry>, has_children: bool) -> Result<(), RepoError> {
        self.leave(&key)?;
        self.enter_above(&key, &entry)?;
        let name = key.iter().rposition(|&byte| byte == 0).map_or(key.as_slice(), |at| &key[at + 1..]);
        entry.name = name.to_vec();
        if has_children && entry.kind != EntryKind::Directory {
            let cause = "the archive has this and also files below it, which were kept instead";
            self.problems.note(&path_of(&key), cause, true);
            entry = Box::new(implied(name, &entry));
        }
        if entry.kind == EntryKind::Directory {
            self.open(key, entry);
            return Ok(());
        }
        self.count(&entry);
        self.push(&entry)
    }

    /// Ends directories the next path does not lie in.
    fn leave(&mut self, key: &[u8]) -> Result<(), RepoError> {
        while self.frames.len() > 1 && !is_below(key, &self.key) {
            self.close()?;
        }
        Ok(())
    }

    /// Begins the directories above a path that have no member of their own.
    fn enter_above(&mut self, key: &[u8], like: &Entry) -> Result<(), RepoError> {
        let from = if self.frames.len() > 1 { self.key.len() + 1 } else { 0 };
        let ends: Vec<usize> =
            key.iter().enumerate().skip(from).filter(|(_, byte)| **byte == 0).map(|(at, _)| at).collect();
        let mut begin = from;
        for end in ends {
            let entry = implied(&key[begin..end], like);
            self.open(key[..end].to_vec(), Box::new(entry));
            begin = end + 1;
        }
        Ok(())
    }

    fn open(&mut self, key: Vec<u8>, entry: Box<Entry>) {
        self.counts.directories += 1;
        self.frames.push(Frame::new(Some(entry), key.len()));
        self.key = key;
    }

    fn close(&mut self) -> Result<(), RepoError> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let tree = frame.writer.finish(&mut self.sink)?;
        self.key.truncate(self.frames.last().map_or(0, |above| above.key_bytes));
        match frame.entry {
            Some(mut entry) => {
                entry.tree = Some(tree);
                self.push(&entry)
            }
            None => Ok(()),
        }
    }

    fn push(&mut self, entry: &Entry) -> Result<(), RepoError> {
        match self.frames.last_mut() {
            Some(frame) => frame.writer.push(&entry.name, &encode_entry(entry), &mut self.sink),
            None => Ok(()),
        }
    }

    fn count(&mut self, entry: &Entry) {
        if entry.kind != EntryKind::File {
            self.counts.others += 1;
            return;
        }
        let extents = entry.content.as_ref().and_then(|content| content.extents.as_ref());
        self.counts.files += 1;
        self.counts.bytes += extents.map_or(entry.size, |runs| runs.iter().map(|run| run.length).sum());
    }

    fn finish(mut self) -> Result<(ChunkId, Counts), VaultError> {
        while self.frames.len() > 1 {
            self.close()?;
        }
        let root = self.frames.pop().map_or_else(DirectoryWriter::default, |root| root.writer);
        let tree = root.finish(&mut self.sink);
        self.sink.finish();
        Ok((tree?, self.counts))
    }
}

/// A directory of which only what lies in it is known.
fn implied(name: &[u8], like: &Entry) -> Entry {
    let owner = Owner { user: like.owner.user.clone(), group: like.owner.group.clone(), ..like.owner };
    Entry {
        mode: IMPLIED_MODE,
        owner,
        mtime: Timestamp { nanos: 0, ..like.mtime },
        ctime: Timestamp { nanos: 0, ..like.mtime },
        ..Entry::bare(name.to_vec(), EntryKind::Directory)
    }
}
