//! Which part of a snapshot is restored.

use crate::base::id::ChunkId;
use crate::repo::tree::Entry;
use crate::repo::tree::reader::{Entries, TreeSource};
use crate::vault::VaultError;

/// The part.
pub(super) enum Source {
    /// A directory: what is in it goes into the target. Its own entry, unless it is the root.
    Directory(ChunkId, Option<Box<Entry>>),
    /// Anything else: it goes into the target under its name.
    Single(Box<Entry>),
}

/// Finds `path` (raw bytes, slashes between) below a tree.
pub(super) fn find(source: &dyn TreeSource, root: ChunkId, path: &[u8]) -> Result<Source, VaultError> {
    let mut at = Source::Directory(root, None);
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        let Source::Directory(tree, _) = at else { return Err(not_there(path)) };
        let mut found = None;
        for entry in Entries::new(source, tree) {
            let entry = entry?;
            if entry.name.as_slice() >= name {
                found = Some(entry).filter(|entry| entry.name == name);
                break;
            }
        }
        let entry = found.ok_or_else(|| not_there(path))?;
        at = match entry.tree {
            Some(tree) => Source::Directory(tree, Some(Box::new(entry))),
            None => Source::Single(Box::new(entry)),
        };
    }
    Ok(at)
}

fn not_there(path: &[u8]) -> VaultError {
    VaultError::Request {
        what: format!("the snapshot has no `{}`", String::from_utf8_lossy(path)),
        hint: Some("`dssvault ls SNAPSHOT` lists what it has".to_owned()),
    }
}
