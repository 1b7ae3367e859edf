//! What differs between two trees: both are walked side by side, and where they are the same tree, not at all.

mod compare;
mod tally;
mod walk;

use crate::base::id::ChunkId;
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::snapshot::Manifest;
use crate::repo::tree::Entry;
use crate::vault::browse::{self, Located};
use crate::vault::{Context, VaultError};

pub use compare::{Difference, compare, same_content};
pub use tally::{Counted, Tally};

/// One of the trees.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The snapshot.
    pub manifest: &'a Manifest,
    /// Only what is at or below this path (raw bytes, no leading slash).
    pub path: &'a [u8],
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Only the second tree has it.
    Added(&'a Entry),
    /// Only the first tree has it.
    Removed(&'a Entry),
    /// Both have it, and it is not the same.
    Changed {
        /// As it is in the first.
        before: &'a Entry,
        /// As it is in the second.
        after: &'a Entry,
        /// In what.
        difference: Difference,
    },
}

/// Receives each change with its path below what is compared, in the order of paths; what is in a directory that was
/// added or removed comes too.
pub type Visit<'a> = dyn FnMut(&[u8], Change<'_>) -> Result<(), VaultError> + 'a;

/// Compares two trees, or two files. Gives also how often something could not be read; each time was told to the
/// progress.
pub fn run(
    repository: &Repository,
    before: Side<'_>,
    after: Side<'_>,
    context: Context<'_>,
    visit: &mut Visit<'_>,
) -> Result<(Tally, u64), VaultError> {
    let index = browse::open_index(repository, context)?;
    let chunks = ChunkReader::new(repository, &index);
    let mut tally = Tally::default();
    let mut told = |path: &[u8], change: Change<'_>| {
        tally.count(&change);
        visit(path, change)
    };
    let located = |side: Side<'_>| browse::locate(&chunks, side.manifest.root, side.path);
    let unreadable = match (located(before)?, located(after)?) {
        (Located::Root(before), Located::Root(after)) => {
            walk::run(&chunks, Some(before), Some(after), context, &mut told)?
        }
        (Located::Entry(before), Located::Entry(after)) => {
            if let Some(difference) = compare(&chunks, &before, &after)? {
                told(b"", Change::Changed { before: &before, after: &after, difference })?;
            }
            walk::run(&chunks, before.tree, after.tree, context, &mut told)?
        }
        (Located::Root(before), Located::Entry(after)) => {
            walk::run(&chunks, Some(before), Some(directory(&after)?), context, &mut told)?
        }
        (Located::Entry(before), Located::Root(after)) => {
            walk::run(&chunks, Some(directory(&before)?), Some(after), context, &mut told)?
        }
    };
    Ok((tally, unreadable))
}

/// What is compared with a root.
fn directory(entry: &Entry) -> Result<ChunkId, VaultError> {
    entry.tree.ok_or_else(|| VaultError::Request {
        what: format!("`{}` is no directory, and the other side is one", String::from_utf8_lossy(&entry.name)),
        hint: Some("name a directory on both sides, or a file on both".to_owned()),
    })
}
