//! Finding a path in a tree, and walking what is below it, in bounded memory.

use crate::base::id::ChunkId;
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::index::{Index, IndexOptions, Verdicts};
use crate::repo::snapshot::Manifest;
use crate::repo::tree::Entry;
use crate::repo::tree::reader::{Entries, TREE_DEPTH_MAX, TreeSource};
use crate::vault::browse::{Visit, is_directory};
use crate::vault::{Context, VaultError};

/// Decoded entries a walk holds before it lets go of those in the directories above.
const HELD_MAX: usize = 20_000;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// The root of the snapshot: it has no entry of its own.
    Root(ChunkId),
    /// Anything else.
    Entry(Box<Entry>),
}

/// Finds `path` (raw bytes, no leading slash; empty: the root).
pub fn locate(source: &dyn TreeSource, root: ChunkId, path: &[u8]) -> Result<Located, VaultError> {
    let mut found = Located::Root(root);
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        let tree = match &found {
            Located::Root(tree) => Some(*tree),
            Located::Entry(entry) => entry.tree,
        };
        let entry = match tree {
            Some(tree) => child(source, tree, name)?,
            None => None,
        };
        let missing = || VaultError::Request {
            what: format!("the snapshot has no `{}`", String::from_utf8_lossy(path)),
            hint: Some("`dssvault ls SNAPSHOT` lists what it has".to_owned()),
        };
        found = Located::Entry(Box::new(entry.ok_or_else(missing)?));
    }
    Ok(found)
}

fn child(source: &dyn TreeSource, tree: ChunkId, name: &[u8]) -> Result<Option<Entry>, VaultError> {
    for entry in Entries::new(source, tree) {
        let entry = entry?;
        if entry.name.as_slice() >= name {
            return Ok((entry.name == name).then_some(entry));
        }
    }
    Ok(None)
}

/// The index for reading: without what the journal says is being deleted, and, when a segment is damaged, with
/// what the packs themselves say instead.
pub fn open_index(repository: &Repository, context: Context<'_>) -> Result<Index, VaultError> {
    let journal = repository.journal().load()?;
    let options = IndexOptions { verdicts: Verdicts::of(&journal), ..IndexOptions::new(&context.folders.cache) };
    let index = Index::open_with(repository, options, context.progress, context.cancel)?;
    if !index.problems().is_empty() {
        index.adopt_unlisted_packs(repository, context.progress, context.cancel)?;
    }
    Ok(index)
}

/// See [`super::walk()`].
pub fn run(
    repository: &Repository,
    manifest: &Manifest,
    subpath: &[u8],
    context: Context<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), VaultError> {
    let index = open_index(repository, context)?;
    let chunks = ChunkReader::new(repository, &index);
    let mut path = subpath.to_vec();
    match locate(&chunks, manifest.root, subpath)? {
        Located::Root(tree) => below(&chunks, tree, &mut path, context, visit),
        Located::Entry(entry) => match entry.tree {
            Some(tree) => below(&chunks, tree, &mut path, context, visit),
            None => visit(subpath, &entry).map(|_| ()),
        },
    }
}

/// Walks everything below a directory whose path is `path`, which is the same again at the end.
pub fn below(
    source: &dyn TreeSource,
    tree: ChunkId,
    path: &mut Vec<u8>,
    context: Context<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), VaultError> {
    let mut stack = vec![(path.len(), Entries::new(source, tree))];
    while let Some((length, entries)) = stack.last_mut() {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        path.truncate(*length);
        let Some(entry) = entries.next() else {
            stack.pop();
            continue;
        };
        let entry = entry?;
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&entry.name);
        let enter = visit(path, &entry)? && is_directory(&entry);
        if let Some(tree) = entry.tree.filter(|_| enter) {
            descend(source, tree, path, &mut stack)?;
        }
    }
    Ok(())
}

fn descend<'s>(
    source: &'s dyn TreeSource,
    tree: ChunkId,
    path: &[u8],
    stack: &mut Vec<(usize, Entries<'s>)>,
) -> Result<(), VaultError> {
    if stack.len() >= TREE_DEPTH_MAX {
        return Err(VaultError::Request {
            what: format!("directories are nested deeper than {TREE_DEPTH_MAX} at `{}`", String::from_utf8_lossy(path)),
            hint: None,
        });
    }
    if stack.iter().map(|(_, entries)| entries.held()).sum::<usize>() > HELD_MAX {
        stack.iter_mut().for_each(|(_, entries)| entries.park());
    }
    stack.push((path.len(), Entries::new(source, tree)));
    Ok(())
}
